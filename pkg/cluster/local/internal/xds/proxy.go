package xds

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

// proxy is what is known of one Envoy.
type proxy struct {
	// sending is held from the rewriting of a response until it is sent. It guards what is used for that.
	sending     sync.Mutex
	rewriter    *rewriter
	send        func(*discoveryv3.DiscoveryResponse) error
	assignments map[string]*anypb.Any // the endpoints of each cluster as istiod sent them
	version     string                // of the last of them
	resent      int                   // how many responses there were that are not istiod's

	// The Forwarder's lock guards the rest.
	streams   int
	pending   map[string][]response // by type: what was sent and is not answered, the oldest first
	nonces    map[string]string     // by type: istiod's last one
	owed      int                   // endpoints that are to be sent again
	refusal   map[string]string     // by type: why the last one was refused, if it was
	cannot    []string              // what of the listeners that hold stands for nothing
	refused   []string              // all of these that ever were, the oldest first
	listeners map[netip.AddrPort]netip.AddrPort
	inbound   map[uint16]bool                // the ports that the sidecar takes
	passive   map[uint16]string              // those where it only passes on, and the cluster that it passes on to
	clusters  map[string]bool                // those that it has, and whether they limit nothing
	endpoints map[string]map[netip.Addr]bool // the pods of each cluster
}

// response is what was sent to the proxy, and what holds once it is accepted.
type response struct {
	nonce string
	apply func()
}

func newProxy(r *rewriter) *proxy {
	p := &proxy{rewriter: r, refusal: map[string]string{}, endpoints: map[string]map[netip.Addr]bool{}}
	p.connected(nil)
	return p
}

// connected forgets what was of an earlier stream.
func (p *proxy) connected(send func(*discoveryv3.DiscoveryResponse) error) {
	p.send, p.assignments = send, map[string]*anypb.Any{}
	p.pending, p.nonces = map[string][]response{}, map[string]string{}
}

// leavesOut tells whether the sidecar does nothing on a port.
func (p *proxy) leavesOut(port uint16) bool {
	cluster, ok := p.passive[port]
	return ok && p.clusters[cluster]
}

// leftOut returns the ports on which the sidecar does nothing.
func (p *proxy) leftOut() map[uint16]bool {
	ports := map[uint16]bool{}
	for port := range p.passive {
		if p.leavesOut(port) {
			ports[port] = true
		}
	}
	return ports
}

// synced: it has its listeners, and neither an answer is out nor was the last one a refusal.
func (p *proxy) synced() bool {
	for _, responses := range p.pending {
		if len(responses) > 0 {
			return false
		}
	}
	return p.streams > 0 && p.owed == 0 && p.listeners != nil && len(p.refusal) == 0
}

// uses says how the proxy has the pod as an endpoint, or may have it until it has answered; "" if it has not.
func (p *proxy) uses(pod netip.Addr) string {
	if n := len(p.pending[resourcev3.EndpointType]); n > 0 {
		return fmt.Sprintf("%d answers on endpoints are out", n)
	}
	for cluster, pods := range p.endpoints {
		// Endpoints may still come for a cluster that has just been taken away.
		if _, there := p.clusters[cluster]; there && pods[pod] {
			return cluster
		}
	}
	return ""
}

// answered takes the proxy's answer to a response: an acknowledgement, or a refusal with its reason. It answers those
// before as well: the proxy has taken them in their order.
func (p *proxy) answered(request *discoveryv3.DiscoveryRequest) {
	kind := request.GetTypeUrl()
	pending := p.pending[kind]
	i := slices.IndexFunc(pending, func(r response) bool { return r.nonce == request.GetResponseNonce() })
	if i < 0 {
		return
	}
	p.pending[kind] = pending[i+1:]
	detail := request.GetErrorDetail()
	for j, r := range pending[:i+1] {
		if j < i || detail == nil {
			r.apply()
		}
	}
	if detail != nil {
		p.refusal[kind] = fmt.Sprintf("%s: %s", shortType(kind), detail.GetMessage())
		p.refused = append(p.refused, p.refusal[kind])
		return
	}
	delete(p.refusal, kind)
}

// rejected is what the proxy refuses now: it has accepted nothing newer of that type.
func (p *proxy) rejected() []string {
	var messages []string
	for _, kind := range slices.Sorted(maps.Keys(p.refusal)) {
		messages = append(messages, p.refusal[kind])
	}
	return append(messages, p.cannot...)
}

// sent notes a response that the proxy is to answer.
func (p *proxy) sent(sent *discoveryv3.DiscoveryResponse, apply func()) {
	kind := sent.GetTypeUrl()
	p.pending[kind] = append(p.pending[kind], response{nonce: sent.GetNonce(), apply: apply})
	if !strings.HasPrefix(sent.GetNonce(), ownNonce) {
		p.nonces[kind] = sent.GetNonce()
	}
}

// rewrite rewrites a response in place and returns what holds once it is accepted.
func (p *proxy) rewrite(response *discoveryv3.DiscoveryResponse) (apply func(), err error) {
	switch response.GetTypeUrl() {
	case resourcev3.ListenerType:
		inbound, passive, err := inboundPorts(response)
		if err != nil {
			return nil, err
		}
		table, err := p.rewriter.listeners(response.Resources)
		if err != nil {
			return nil, err
		}
		cannot := p.rewriter.cannot
		p.rewriter.cannot = nil
		return func() {
			p.listeners, p.inbound, p.passive = table, inbound, passive
			p.cannot, p.refused = cannot, append(p.refused, cannot...)
		}, nil
	case resourcev3.ClusterType:
		clusters, err := p.rewriter.clusters(response.Resources)
		if err != nil {
			return nil, err
		}
		gone := func(cluster string) bool { _, there := clusters[cluster]; return !there }
		maps.DeleteFunc(p.assignments, func(cluster string, _ *anypb.Any) bool { return gone(cluster) })
		return func() {
			p.clusters = clusters
			maps.DeleteFunc(p.endpoints, func(cluster string, _ map[netip.Addr]bool) bool { return gone(cluster) })
		}, nil
	case resourcev3.EndpointType:
		originals := make([]*anypb.Any, len(response.Resources))
		for i, r := range response.Resources {
			originals[i] = unchanged(r)
		}
		pods, err := p.rewriter.endpoints(response.Resources)
		if err != nil {
			return nil, err
		}
		for i, cluster := range pods {
			p.assignments[cluster.name] = originals[i]
		}
		p.version = response.GetVersionInfo()
		return func() {
			for _, cluster := range pods {
				p.endpoints[cluster.name] = cluster.pods
			}
		}, nil
	}
	return func() {}, nil
}

// unchanged returns a resource that stays as it is when r is rewritten in place.
func unchanged(r *anypb.Any) *anypb.Any {
	return &anypb.Any{TypeUrl: r.GetTypeUrl(), Value: r.GetValue()}
}

// ownNonce begins the nonces of responses that are not istiod's.
const ownNonce = "basico-"

// again returns the response that sends the endpoints of those clusters again that the pod is in; nil if there are
// none.
func (p *proxy) again(pod netip.Addr) (*discoveryv3.DiscoveryResponse, error) {
	var resources []*anypb.Any
	for _, cluster := range slices.Sorted(maps.Keys(p.assignments)) {
		a := &endpointv3.ClusterLoadAssignment{}
		if err := p.assignments[cluster].UnmarshalTo(a); err != nil {
			return nil, err
		}
		for socket := range sockets(a) {
			if socket.GetAddress() == pod.String() {
				resources = append(resources, unchanged(p.assignments[cluster]))
				break
			}
		}
	}
	if len(resources) == 0 {
		return nil, nil
	}
	p.resent++
	return &discoveryv3.DiscoveryResponse{
		TypeUrl: resourcev3.EndpointType, VersionInfo: p.version, Nonce: ownNonce + strconv.Itoa(p.resent), Resources: resources,
	}, nil
}

// upstream makes a request fit for istiod, which knows its own nonces only.
func (p *proxy) upstream(request *discoveryv3.DiscoveryRequest) {
	if strings.HasPrefix(request.GetResponseNonce(), ownNonce) {
		request.ResponseNonce = p.nonces[request.GetTypeUrl()]
	}
}

// shortType returns the last part of a type's name: Listener, Cluster, ….
func shortType(url string) string { return url[strings.LastIndexAny(url, "./")+1:] }

// inboundPorts returns the ports that the proxy is to take, those for mutual TLS alone included, since nobody else may;
// and those where it only passes on, with the cluster that it passes on to.
func inboundPorts(response *discoveryv3.DiscoveryResponse) (ports map[uint16]bool, passes map[uint16]string, err error) {
	ports, passes = map[uint16]bool{}, map[uint16]string{}
	for _, resource := range response.GetResources() {
		l := &listenerv3.Listener{}
		if err := resource.UnmarshalTo(l); err != nil {
			return nil, nil, err
		}
		if l.GetName() != virtualInbound {
			continue
		}
		plain := map[uint16]int{}
		for _, chain := range l.GetFilterChains() {
			port := uint16(chain.GetFilterChainMatch().GetDestinationPort().GetValue())
			if port == 0 {
				continue
			}
			ports[port] = true
			if chain.GetTransportSocket() != nil {
				continue
			}
			plain[port]++
			if cluster, ok := passive(chain); ok {
				passes[port] = cluster
			}
		}
		maps.DeleteFunc(passes, func(port uint16, _ string) bool { return plain[port] != 1 })
	}
	return ports, passes, nil
}
