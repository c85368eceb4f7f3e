package node

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/local/internal/loopback"
)

// outsideIP is what the names of hosts outside the cluster resolve to, all that have no declared address: no cluster's
// address, and none of the world's (RFC 2544).
var outsideIP = netip.MustParseAddr("198.18.0.1")

// Dial returns a function that dials as a program at that place would.
func (a *Agent) Dial(from cluster.Place) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		to, err := a.Resolve(from, addr)
		if err != nil {
			return nil, err
		}
		return new(net.Dialer).DialContext(ctx, network, to)
	}
}

// Resolve returns the loopback address that a program at that place reaches when it dials addr: what cluster DNS,
// kube-proxy and the sidecar's iptables rules do together. The error wraps cluster.ErrNoPlace if no such pod runs.
func (a *Agent) Resolve(from cluster.Place, addr string) (string, error) {
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	number, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return "", fmt.Errorf("dial %s: the port is no number", addr)
	}
	port := uint16(number)
	if from.Outside {
		return "", fmt.Errorf("%w: a stand-in outside of the mesh would show nothing", cluster.ErrNoPlace)
	}
	if from.InFront() {
		return a.resolveGateway(from, port)
	}
	p, err := a.find(from)
	if err != nil {
		return "", err
	}
	if ip, err := netip.ParseAddr(host); host == "localhost" || err == nil && ip.IsLoopback() {
		return netip.AddrPortFrom(p.appAddress(), loopback.Port(port)).String(), nil
	}
	if p.hasProxy() && !p.gateway() {
		return a.resolveSidecar(p, host, port)
	}
	return a.resolvePlain(p, host, port)
}

// find returns a running pod of the place.
func (a *Agent) find(place cluster.Place) (*pod, error) {
	var ready, others []*pod
	for _, p := range a.live() {
		l := p.object.Labels
		switch {
		case p.object.Namespace != place.Namespace:
		case place.Pod != "" && p.object.Name != place.Pod:
		case place.Pod == "" && l["app"] != place.App:
		case place.Pod == "" && place.Version != "" && l["version"] != place.Version:
		case p.isReady():
			ready = append(ready, p)
		default:
			others = append(others, p)
		}
	}
	// A pod by name need not be ready: it may call others before it is.
	if place.Pod != "" {
		ready = append(ready, others...)
	}
	if len(ready) == 0 {
		return nil, fmt.Errorf("%s: %w: no pod of it is ready", place, cluster.ErrNoPlace)
	}
	return ready[0], nil
}

func (p *pod) isReady() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ready
}

// resolveGateway returns where a client outside reaches an ingress gateway's port.
func (a *Agent) resolveGateway(from cluster.Place, port uint16) (string, error) {
	var gateways []*pod
	for _, p := range a.live() {
		if p.gateway() && p.isReady() && from.Fronts(p.object.Namespace, p.object.Labels) {
			gateways = append(gateways, p)
		}
	}
	if len(gateways) == 0 {
		return "", fmt.Errorf("ingress gateway (pods labelled %s): %w: none is ready", from.GatewayLabels(), cluster.ErrNoPlace)
	}
	p := gateways[a.nextTurn(len(gateways))]
	target := port
	services, err := a.services.Services(p.object.Namespace).List(labels.Everything())
	if err != nil {
		return "", err
	}
	for _, s := range services {
		if len(s.Spec.Selector) > 0 && labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(p.object.Labels)) {
			if t, ok := targetPort(s, port, p.object); ok {
				target = t
			}
		}
	}
	return netip.AddrPortFrom(a.config.Net.Inbound(p.ip), loopback.Port(target)).String(), nil
}

func targetPort(s *corev1.Service, port uint16, object *corev1.Pod) (uint16, bool) {
	for _, sp := range s.Spec.Ports {
		if sp.Port != int32(port) {
			continue
		}
		if sp.TargetPort.Type == intstr.Int {
			if sp.TargetPort.IntVal == 0 {
				return port, true
			}
			return uint16(sp.TargetPort.IntVal), true
		}
		for _, c := range object.Spec.Containers {
			for _, cp := range c.Ports {
				if cp.Name == sp.TargetPort.StrVal {
					return uint16(cp.ContainerPort), true
				}
			}
		}
	}
	return 0, false
}

// resolveSidecar returns the listener of the pod's sidecar that takes the connection.
func (a *Agent) resolveSidecar(p *pod, host string, port uint16) (string, error) {
	ip := a.lookup(p.object.Namespace, host)
	// What Envoy would only pass on to its original destination goes there by itself: a pod's own address.
	if loopback.PodCIDR.Contains(ip) {
		return a.podAddress(ip, port), nil
	}
	to, ok := a.forwarder.Listener(p.ip, netip.AddrPortFrom(ip, port))
	if !ok {
		return "", fmt.Errorf("dial %s: the sidecar of %s has no listeners yet", net.JoinHostPort(host, strconv.Itoa(int(port))), p.name())
	}
	return to.String(), nil
}

// resolvePlain returns where a pod without a sidecar gets to.
func (a *Agent) resolvePlain(p *pod, host string, port uint16) (string, error) {
	s := a.service(p.object.Namespace, host)
	if s == nil {
		if ip := a.lookup(p.object.Namespace, host); loopback.PodCIDR.Contains(ip) {
			return a.podAddress(ip, port), nil
		}
		return a.outside.Address(host, port)
	}
	endpoints, err := a.endpoints(s, port)
	if err != nil {
		return "", err
	}
	if len(endpoints) == 0 {
		return "", fmt.Errorf("Service/%s/%s, port %d: no endpoint is ready", s.Namespace, s.Name, port)
	}
	e := endpoints[a.nextTurn(len(endpoints))]
	return a.podAddress(e.Addr(), e.Port()), nil
}

// podAddress is where a pod's port is reached: at its sidecar, if that takes the port, else at the application.
func (a *Agent) podAddress(ip netip.Addr, port uint16) string {
	at := a.config.Net.Inbound(ip)
	for _, p := range a.live() {
		if p.ip == ip && p.hasProxy() && !p.gateway() && !a.forwarder.Inbound(ip, port) {
			at = a.config.Net.App(ip)
		}
	}
	return netip.AddrPortFrom(at, loopback.Port(port)).String()
}

// endpoints returns the ready endpoints behind a Service's port.
func (a *Agent) endpoints(s *corev1.Service, port uint16) ([]netip.AddrPort, error) {
	name, ok := portName(s, port)
	if !ok {
		return nil, fmt.Errorf("Service/%s/%s has no port %d", s.Namespace, s.Name, port)
	}
	list, err := a.slices.EndpointSlices(s.Namespace).List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: s.Name}))
	if err != nil {
		return nil, err
	}
	var endpoints []netip.AddrPort
	for _, slice := range list {
		for _, sp := range slice.Ports {
			if sp.Port == nil || sp.Name == nil || *sp.Name != name {
				continue
			}
			for _, e := range slice.Endpoints {
				if e.Conditions.Ready != nil && !*e.Conditions.Ready {
					continue
				}
				for _, address := range e.Addresses {
					if ip, err := netip.ParseAddr(address); err == nil {
						endpoints = append(endpoints, netip.AddrPortFrom(ip, uint16(*sp.Port)))
					}
				}
			}
		}
	}
	slices.SortFunc(endpoints, netip.AddrPort.Compare)
	return endpoints, nil
}

func portName(s *corev1.Service, port uint16) (string, bool) {
	for _, p := range s.Spec.Ports {
		if p.Port == int32(port) {
			return p.Name, true
		}
	}
	return "", false
}

// lookup is the cluster's DNS as a pod of the namespace sees it: a Service's address, a headless Service's pod, an
// address itself, one that is declared for a host outside, and for all else the world outside.
func (a *Agent) lookup(namespace, host string) netip.Addr {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip
	}
	if s := a.service(namespace, host); s != nil {
		if ip, err := netip.ParseAddr(s.Spec.ClusterIP); err == nil {
			return ip
		}
		for _, p := range s.Spec.Ports {
			if endpoints, err := a.endpoints(s, uint16(p.Port)); err == nil && len(endpoints) > 0 {
				return endpoints[a.nextTurn(len(endpoints))].Addr()
			}
		}
	}
	if pod, rest, ok := strings.Cut(host, "."); ok {
		if s := a.service(namespace, rest); s != nil && s.Spec.ClusterIP == corev1.ClusterIPNone {
			for _, p := range a.live() {
				if p.object.Namespace == s.Namespace && p.object.Spec.Hostname == pod {
					return p.ip
				}
			}
		}
	}
	if ip, ok := a.declaredAddress(host); ok {
		return ip
	}
	return outsideIP
}

// service returns the Service that a name means in a namespace: NAME, NAME.NS, NAME.NS.svc or NAME.NS.svc.cluster.local.
func (a *Agent) service(namespace, host string) *corev1.Service {
	parts := strings.Split(strings.TrimSuffix(strings.TrimSuffix(host, "."), ".cluster.local"), ".")
	switch {
	case len(parts) == 2, len(parts) == 3 && parts[2] == "svc":
		namespace = parts[1]
	case len(parts) != 1:
		return nil
	}
	s, err := a.services.Services(namespace).Get(parts[0])
	if err != nil {
		return nil
	}
	return s
}

// publishedUntilGone: a Service names the pod as an endpoint, ready or not, for as long as its object is there.
func (a *Agent) publishedUntilGone(object *corev1.Pod) bool {
	services, err := a.services.Services(object.Namespace).List(labels.Everything())
	return err == nil && slices.ContainsFunc(services, func(s *corev1.Service) bool {
		return s.Spec.PublishNotReadyAddresses && len(s.Spec.Selector) > 0 &&
			labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(object.Labels))
	})
}

func (a *Agent) nextTurn(n int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.turn++
	return a.turn % n
}
