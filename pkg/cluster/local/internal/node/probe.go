package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"chartbasico/pkg/cluster/local/internal/loopback"
	"chartbasico/pkg/cluster/local/internal/standin"
)

// errNeverReady is wrapped by probe errors that no later probe can mend.
var errNeverReady = errors.New("probe cannot pass")

// listenPorts returns the ports a container's stand-in listens on: those it declares, and those that a probe names by
// number, on which a real server would listen too.
func (p *pod) listenPorts(c corev1.Container) []uint16 {
	var ports []uint16
	add := func(port int32) {
		if port > 0 && port <= 0xffff && !slices.Contains(ports, uint16(port)) {
			ports = append(ports, uint16(port))
		}
	}
	for _, port := range c.Ports {
		if port.Protocol == corev1.ProtocolTCP || port.Protocol == "" {
			add(port.ContainerPort)
		}
	}
	for _, probe := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
		if probe == nil {
			continue
		}
		handler, err := p.handler(probe)
		switch {
		case err != nil: // the probe will say so
		case handler.HTTPGet != nil && handler.HTTPGet.Port.Type == intstr.Int:
			add(handler.HTTPGet.Port.IntVal)
		case handler.TCPSocket != nil && handler.TCPSocket.Port.Type == intstr.Int:
			add(handler.TCPSocket.Port.IntVal)
		case handler.GRPC != nil:
			add(handler.GRPC.Port)
		}
	}
	return ports
}

// agentPort is where Istio's agent, in a real pod, takes the probes that injection has rewritten.
const agentPort = 15020

// probe asks once. Commands cannot run, as there is no program: they pass.
func (p *pod) probe(ctx context.Context, c corev1.Container, probe *corev1.Probe) error {
	timeout := time.Duration(max(probe.TimeoutSeconds, 1)) * time.Second
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	address := p.appAddress()
	handler, err := p.handler(probe)
	if err != nil {
		return err
	}
	if p.istiod() {
		return p.probeIstiod(ctx, handler)
	}
	switch {
	case handler.HTTPGet != nil:
		port, err := portNumber(c, handler.HTTPGet.Port)
		if err != nil {
			return err
		}
		return httpProbe(ctx, netip.AddrPortFrom(address, loopback.Port(port)).String(), handler.HTTPGet)
	case handler.TCPSocket != nil:
		port, err := portNumber(c, handler.TCPSocket.Port)
		if err != nil {
			return err
		}
		return tcpProbe(ctx, netip.AddrPortFrom(address, loopback.Port(port)).String())
	case handler.GRPC != nil:
		return tcpProbe(ctx, netip.AddrPortFrom(address, loopback.Port(uint16(handler.GRPC.Port))).String())
	default:
		return nil
	}
}

// probeIstiod asks the process for which the pod stands.
func (p *pod) probeIstiod(ctx context.Context, handler corev1.ProbeHandler) error {
	get := handler.HTTPGet
	if get == nil {
		return nil
	}
	address, ok := p.agent.config.Istiod[int32(get.Port.IntValue())]
	if !ok {
		return fmt.Errorf("%w: istiod has no port %s", errNeverReady, get.Port.String())
	}
	return httpProbe(ctx, address, get)
}

// handler returns how the container itself is asked, also where injection has moved the probe to Istio's agent.
func (p *pod) handler(probe *corev1.Probe) (corev1.ProbeHandler, error) {
	if get := probe.HTTPGet; get != nil && get.Port.IntValue() == agentPort {
		return p.originalProbe(get.Path)
	}
	return probe.ProbeHandler, nil
}

// originalProbe returns what injection has moved to Istio's agent, from where it keeps it for the agent.
func (p *pod) originalProbe(path string) (corev1.ProbeHandler, error) {
	c := p.proxyContainer()
	if c == nil {
		return corev1.ProbeHandler{}, fmt.Errorf("%w: it asks Istio's agent on port %d, and the pod has none", errNeverReady, agentPort)
	}
	for _, e := range c.spec.Env {
		if e.Name != "ISTIO_KUBE_APP_PROBERS" {
			continue
		}
		probers := map[string]corev1.ProbeHandler{}
		if err := json.Unmarshal([]byte(e.Value), &probers); err != nil {
			return corev1.ProbeHandler{}, fmt.Errorf("%w: %s of %s: %w", errNeverReady, e.Name, proxyContainer, err)
		}
		if original, ok := probers[path]; ok {
			return original, nil
		}
	}
	return corev1.ProbeHandler{}, fmt.Errorf("%w: %s knows no probe %s", errNeverReady, proxyContainer, path)
}

func portNumber(c corev1.Container, port intstr.IntOrString) (uint16, error) {
	if port.Type == intstr.Int {
		return uint16(port.IntVal), nil
	}
	for _, p := range c.Ports {
		if p.Name == port.StrVal {
			return uint16(p.ContainerPort), nil
		}
	}
	return 0, fmt.Errorf("%w: container %s has no port named %q", errNeverReady, c.Name, port.StrVal)
}

var prober = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func httpProbe(ctx context.Context, address string, get *corev1.HTTPGetAction) error {
	// As a kubelet does (pkg/probe/http/request.go): a path that is no URL is asked for as it is, and what the probe
	// says of headers goes before what a kubelet says.
	target, err := url.Parse(get.Path)
	if err != nil {
		target = &url.URL{Path: get.Path}
	}
	target.Scheme, target.Host = "http", address
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return fmt.Errorf("%w: %w", errNeverReady, err)
	}
	for _, h := range get.HTTPHeaders {
		request.Header.Add(h.Name, h.Value)
	}
	request.Host = request.Header.Get("Host")
	if request.Header.Get("User-Agent") == "" {
		request.Header.Set("User-Agent", standin.Probe+"1")
	}
	response, err := prober.Do(request)
	if err != nil {
		return fmt.Errorf("probe failed: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode >= 400 {
		return fmt.Errorf("probe failed: GET %s: %s", get.Path, response.Status)
	}
	return nil
}

func tcpProbe(ctx context.Context, address string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("probe failed: %w", err)
	}
	return conn.Close()
}
