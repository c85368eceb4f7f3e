package xds

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"chartbasico/pkg/cluster/local/internal/loopback"
)

// Names that istiod gives: pilot/pkg/model/proxy_config.go and pilot/pkg/networking/util/util.go.
const (
	virtualInbound     = "virtualInbound"
	virtualOutbound    = "virtualOutbound"
	passthroughCluster = "PassthroughCluster"
	originalDst        = "envoy.filters.listener.original_dst"
)

// Envoy's names of what asks DNS for the host of each request, and of each TLS connection.
const (
	dynamicForwardProxy    = "envoy.clusters.dynamic_forward_proxy"
	sniDynamicForwardProxy = "envoy.filters.network.sni_dynamic_forward_proxy"
)

// domain ends the names of all Services of the cluster.
const domain = ".svc.cluster.local"

// outboundPort is where virtualOutbound takes what no other listener does. Not istiod's own choice, 15001: the first
// filter chain closes connections to that port, as they would be a loop where iptables redirects.
const outboundPort = 15999

// firstVIP is the first of the ports that stand for services' addresses, above those that loopback.Port gives.
const firstVIP = 62100

// rewriter makes istiod's configuration for one proxy into one that works without iptables: what depends on a
// connection's original destination gets an address instead. Everything else is passed on as it is.
type rewriter struct {
	net     loopback.Net
	pod     netip.Addr
	gateway bool
	outside func(host string, port uint16) (string, error)
	behind  func(pod netip.Addr, port uint16) bool // whether that pod's sidecar is left out of the way
	vips    map[netip.AddrPort]uint16              // an own port for each listener on a service's address
	cannot  []string                               // what of the configuration cannot be as istiod means it
}

func newRewriter(n loopback.Net, pod netip.Addr, gateway bool, outside func(string, uint16) (string, error), behind func(netip.Addr, uint16) bool) *rewriter {
	return &rewriter{net: n, pod: pod, gateway: gateway, outside: outside, behind: behind, vips: map[netip.AddrPort]uint16{}}
}

// listeners rewrites the listeners in place and returns where connections to an original destination are to go. The
// zero AddrPort is the destination of all that no other takes.
func (r *rewriter) listeners(resources []*anypb.Any) (map[netip.AddrPort]netip.AddrPort, error) {
	table := map[netip.AddrPort]netip.AddrPort{}
	for _, resource := range resources {
		l := &listenerv3.Listener{}
		if err := resource.UnmarshalTo(l); err != nil {
			return nil, err
		}
		if err := r.listener(l, table); err != nil {
			return nil, fmt.Errorf("listener %s: %w", l.GetName(), err)
		}
		if err := resource.MarshalFrom(l); err != nil {
			return nil, err
		}
	}
	return table, nil
}

func (r *rewriter) listener(l *listenerv3.Listener, table map[netip.AddrPort]netip.AddrPort) error {
	socket := l.GetAddress().GetSocketAddress()
	if socket == nil {
		return nil // a Unix domain socket or an internal listener: no address to share
	}
	original, err := addrPort(socket)
	if err != nil {
		return err
	}
	switch {
	case r.gateway:
		bind(socket, r.net.Inbound(r.pod), loopback.Port(original.Port()))
		l.AdditionalAddresses = nil
	case l.GetName() == virtualInbound:
		r.virtualInbound(l, socket)
	case l.GetName() == virtualOutbound:
		l.UseOriginalDst = wrapperspb.Bool(false)
		l.AdditionalAddresses = nil
		bind(socket, r.net.Outbound(r.pod), outboundPort)
		table[netip.AddrPort{}] = netip.AddrPortFrom(r.net.Outbound(r.pod), outboundPort)
	case l.GetTrafficDirection() == corev3.TrafficDirection_INBOUND:
		// Istio's Sidecar resource can ask for a listener on a port of its own.
		bind(socket, r.net.Inbound(r.pod), loopback.Port(original.Port()))
		l.AdditionalAddresses = nil
	default:
		port := loopback.Port(original.Port())
		if !original.Addr().IsUnspecified() {
			if port, err = r.vip(original); err != nil {
				return err
			}
		}
		l.BindToPort = wrapperspb.Bool(true)
		l.AdditionalAddresses = nil
		for _, chain := range l.GetFilterChains() {
			if len(chain.GetFilterChainMatch().GetPrefixRanges()) > 0 {
				r.cannot = append(r.cannot, fmt.Sprintf("Listener %s: a local cluster cannot tell connections apart by ranges of addresses", l.GetName()))
			}
		}
		askNoDNS(l)
		bind(socket, r.net.Outbound(r.pod), port)
		table[original] = netip.AddrPortFrom(r.net.Outbound(r.pod), port)
	}
	kept := l.ListenerFilters[:0]
	for _, f := range l.ListenerFilters {
		if f.GetName() != originalDst {
			kept = append(kept, f)
		}
	}
	l.ListenerFilters = kept
	return nil
}

// askNoDNS takes the filter away that asks DNS for the host of each TLS connection. The one for HTTP asks nothing where
// no cluster is dynamic.
func askNoDNS(l *listenerv3.Listener) {
	for _, chain := range l.GetFilterChains() {
		chain.Filters = slices.DeleteFunc(chain.Filters, func(f *listenerv3.Filter) bool { return f.GetName() == sniDynamicForwardProxy })
	}
}

// virtualInbound listens on each port that a filter chain is for, as those are the ports that istiod knows of. No proxy
// here has a certificate, so of a port that takes both, the chains that end mutual TLS go; one that demands it takes
// what comes as if it had come so.
func (r *rewriter) virtualInbound(l *listenerv3.Listener, socket *corev3.SocketAddress) {
	own := uint16(socket.GetPortValue())
	bind(socket, r.net.Inbound(r.pod), own)
	l.AdditionalAddresses = nil
	plain := map[uint16]bool{}
	for _, chain := range l.FilterChains {
		if chain.GetTransportSocket() == nil {
			plain[uint16(chain.GetFilterChainMatch().GetDestinationPort().GetValue())] = true
		}
	}
	seen := map[uint16]bool{own: true}
	chains := l.FilterChains[:0]
	for _, chain := range l.FilterChains {
		match := chain.GetFilterChainMatch()
		port := uint16(match.GetDestinationPort().GetValue())
		if chain.GetTransportSocket() != nil {
			// Where the protocol is to be guessed, HTTP has a chain of its own beside the one for all.
			if port == 0 || plain[port] || len(match.GetApplicationProtocols()) > 0 {
				continue
			}
			chain.TransportSocket, match.TransportProtocol = nil, ""
		}
		chains = append(chains, chain)
		if port == 0 {
			continue
		}
		if moved := loopback.Port(port); moved != port {
			match.DestinationPort = wrapperspb.UInt32(uint32(moved))
		}
		if !seen[port] {
			seen[port] = true
			address := &corev3.SocketAddress{}
			bind(address, r.net.Inbound(r.pod), loopback.Port(port))
			l.AdditionalAddresses = append(l.AdditionalAddresses, &listenerv3.AdditionalAddress{
				Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: address}},
			})
		}
	}
	l.FilterChains = chains
}

// vip returns the port that stands for a service's address and port, the same one for as long as the proxy lives.
func (r *rewriter) vip(original netip.AddrPort) (uint16, error) {
	port, ok := r.vips[original]
	if !ok {
		if len(r.vips) > math.MaxUint16-firstVIP {
			return 0, fmt.Errorf("no port is left for %s: a proxy has %d listeners on addresses of their own", original, len(r.vips))
		}
		port = uint16(firstVIP + len(r.vips))
		r.vips[original] = port
	}
	return port, nil
}

// clusters rewrites the clusters in place and returns, by their names, which of them limit nothing.
func (r *rewriter) clusters(resources []*anypb.Any) (map[string]bool, error) {
	names := map[string]bool{}
	for _, resource := range resources {
		c := &clusterv3.Cluster{}
		if err := resource.UnmarshalTo(c); err != nil {
			return nil, err
		}
		names[c.GetName()] = unlimited(c)
		if err := r.cluster(c); err != nil {
			return nil, fmt.Errorf("cluster %s: %w", c.GetName(), err)
		}
		if err := resource.MarshalFrom(c); err != nil {
			return nil, err
		}
	}
	return names, nil
}

func (r *rewriter) cluster(c *clusterv3.Cluster) error {
	switch {
	case strings.HasPrefix(c.GetName(), "inbound|"):
		// The original destination of what comes in is the application of this pod.
		port, err := inboundPort(c)
		if err != nil {
			return err
		}
		static(c, netip.AddrPortFrom(r.net.App(r.pod), loopback.Port(port)).String())
		c.UpstreamBindConfig = nil
	case anywhere(c):
		// A ServiceEntry with the resolution NONE or DYNAMIC_DNS, or what no ServiceEntry names.
		address, err := r.outside(outboundHost(c.GetName()))
		if err != nil {
			return err
		}
		static(c, address)
	case c.GetLoadAssignment() != nil:
		if err := r.loadAssignment(c.GetLoadAssignment(), nobody); err != nil {
			return err
		}
		switch c.GetType() {
		case clusterv3.Cluster_STRICT_DNS, clusterv3.Cluster_LOGICAL_DNS:
			c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
		}
	}
	return nil
}

// anywhere tells whether the cluster leads outside by a connection's original destination, or by what DNS says of the
// host that is asked for.
func anywhere(c *clusterv3.Cluster) bool {
	if c.GetClusterType().GetName() == dynamicForwardProxy {
		return true
	}
	host, _ := outboundHost(c.GetName())
	return c.GetType() == clusterv3.Cluster_ORIGINAL_DST && !strings.HasSuffix(host, domain)
}

// outboundHost reads outbound|PORT|SUBSET|HOST. Any other name is of a cluster for no certain host: "" and 0.
func outboundHost(cluster string) (string, uint16) {
	parts := strings.Split(cluster, "|")
	if len(parts) != 4 || parts[0] != "outbound" {
		return "", 0
	}
	port, err := strconv.ParseUint(parts[1], 10, 16)
	if err != nil {
		return "", 0
	}
	return parts[3], uint16(port)
}

// static gives a cluster of connections' original destinations one endpoint.
func static(c *clusterv3.Cluster, address string) {
	target := netip.MustParseAddrPort(address)
	socket := &corev3.SocketAddress{}
	bind(socket, target.Addr(), target.Port())
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	c.LbPolicy = clusterv3.Cluster_ROUND_ROBIN
	c.LbConfig = nil
	c.LoadAssignment = &endpointv3.ClusterLoadAssignment{
		ClusterName: c.GetName(),
		Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{{
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{
				Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: socket}},
			}},
		}}}},
	}
}

// inboundPort is the application's port: that of the endpoint, where a Sidecar resource names one, else the one that
// comes in.
func inboundPort(c *clusterv3.Cluster) (uint16, error) {
	for socket := range sockets(c.GetLoadAssignment()) {
		return uint16(socket.GetPortValue()), nil
	}
	parts := strings.Split(c.GetName(), "|")
	port, err := strconv.ParseUint(parts[1], 10, 16)
	if err != nil {
		return 0, fmt.Errorf("expected inbound|PORT|…: %w", err)
	}
	return uint16(port), nil
}

// podsOf is the pods of a cluster that requests may be sent to.
type podsOf struct {
	name string
	pods map[netip.Addr]bool
}

// endpoints rewrites the endpoints in place and returns the pods in each cluster, in the same order.
func (r *rewriter) endpoints(resources []*anypb.Any) ([]podsOf, error) {
	var pods []podsOf
	for _, resource := range resources {
		a := &endpointv3.ClusterLoadAssignment{}
		if err := resource.UnmarshalTo(a); err != nil {
			return nil, err
		}
		pods = append(pods, podsOf{a.GetClusterName(), podsIn(a)})
		if err := r.loadAssignment(a, r.behind); err != nil {
			return nil, fmt.Errorf("endpoints of %s: %w", a.GetClusterName(), err)
		}
		if err := resource.MarshalFrom(a); err != nil {
			return nil, err
		}
	}
	return pods, nil
}

// nobody is behind a sidecar that is left out.
func nobody(netip.Addr, uint16) bool { return false }

func (r *rewriter) loadAssignment(a *endpointv3.ClusterLoadAssignment, behind func(netip.Addr, uint16) bool) error {
	for socket := range sockets(a) {
		target, err := r.target(socket.GetAddress(), uint16(socket.GetPortValue()), behind)
		if err != nil {
			return err
		}
		bind(socket, target.Addr(), target.Port())
	}
	return nil
}

// target returns where an endpoint is reached: a pod at its inbound address, or at the application's if its sidecar is
// left out; all else in the world outside.
func (r *rewriter) target(host string, port uint16, behind func(netip.Addr, uint16) bool) (netip.AddrPort, error) {
	if ip, err := netip.ParseAddr(host); err == nil && loopback.PodCIDR.Contains(ip) {
		if behind(ip, port) {
			return netip.AddrPortFrom(r.net.App(ip), loopback.Port(port)), nil
		}
		return netip.AddrPortFrom(r.net.Inbound(ip), loopback.Port(port)), nil
	}
	address, err := r.outside(host, port)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.ParseAddrPort(address)
}

// podsIn returns the pods that requests may be sent to. istiod also lists pods that are not ready, or are ending, and
// says of them that they are unhealthy.
func podsIn(a *endpointv3.ClusterLoadAssignment) map[netip.Addr]bool {
	pods := map[netip.Addr]bool{}
	for _, group := range a.GetEndpoints() {
		for _, e := range group.GetLbEndpoints() {
			switch e.GetHealthStatus() {
			case corev3.HealthStatus_UNKNOWN, corev3.HealthStatus_HEALTHY:
			default:
				continue
			}
			ip, err := netip.ParseAddr(e.GetEndpoint().GetAddress().GetSocketAddress().GetAddress())
			if err == nil && loopback.PodCIDR.Contains(ip) {
				pods[ip] = true
			}
		}
	}
	return pods
}

// sockets yields the socket address of each endpoint that has one.
func sockets(a *endpointv3.ClusterLoadAssignment) func(func(*corev3.SocketAddress) bool) {
	return func(yield func(*corev3.SocketAddress) bool) {
		for _, group := range a.GetEndpoints() {
			for _, e := range group.GetLbEndpoints() {
				if socket := e.GetEndpoint().GetAddress().GetSocketAddress(); socket != nil && !yield(socket) {
					return
				}
			}
		}
	}
}

func addrPort(socket *corev3.SocketAddress) (netip.AddrPort, error) {
	ip, err := netip.ParseAddr(socket.GetAddress())
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(ip, uint16(socket.GetPortValue())), nil
}

func bind(socket *corev3.SocketAddress, ip netip.Addr, port uint16) {
	socket.Address = ip.String()
	socket.PortSpecifier = &corev3.SocketAddress_PortValue{PortValue: uint32(port)}
}
