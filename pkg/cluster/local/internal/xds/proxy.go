package xds

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

// proxy is what is known of one Envoy. The Forwarder's lock guards all but the rewriter, which has its own.
type proxy struct {
	rewriting sync.Mutex // an Envoy that comes back may meet the end of its old stream
	rewriter  *rewriter

	streams   int
	pending   map[string][]response // by type: what was sent and is not answered, the oldest first
	refused   map[string]bool       // by type: the last one was
	rejected  []string
	listeners map[netip.AddrPort]netip.AddrPort
	inbound   map[uint16]bool
	endpoints map[string]map[netip.Addr]bool // the pods of each cluster
}

// response is what was sent to the proxy, and what holds once it is accepted.
type response struct {
	nonce string
	apply func()
}

func newProxy(r *rewriter) *proxy {
	return &proxy{
		rewriter: r, pending: map[string][]response{}, refused: map[string]bool{},
		endpoints: map[string]map[netip.Addr]bool{},
	}
}

// synced: it has its listeners, and neither an answer is out nor was the last one a refusal.
func (p *proxy) synced() bool {
	for _, responses := range p.pending {
		if len(responses) > 0 {
			return false
		}
	}
	return p.streams > 0 && p.listeners != nil && len(p.refused) == 0
}

// uses: the pod is an endpoint, or may be until the proxy has answered.
func (p *proxy) uses(pod netip.Addr) bool {
	if len(p.pending[resourcev3.EndpointType]) > 0 {
		return true
	}
	for _, pods := range p.endpoints {
		if pods[pod] {
			return true
		}
	}
	return false
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
		p.refused[kind] = true
		p.rejected = append(p.rejected, fmt.Sprintf("%s: %s", shortType(kind), detail.GetMessage()))
		return
	}
	delete(p.refused, kind)
}

// sent notes a response that the proxy is to answer.
func (p *proxy) sent(sent *discoveryv3.DiscoveryResponse, apply func()) {
	kind := sent.GetTypeUrl()
	p.pending[kind] = append(p.pending[kind], response{nonce: sent.GetNonce(), apply: apply})
}

// rewrite rewrites a response in place and returns what holds once it is accepted.
func (p *proxy) rewrite(response *discoveryv3.DiscoveryResponse) (apply func(), err error) {
	p.rewriting.Lock()
	defer p.rewriting.Unlock()
	apply = func() {}
	switch response.GetTypeUrl() {
	case resourcev3.ListenerType:
		inbound, err := inboundPorts(response)
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
			p.listeners, p.inbound = table, inbound
			p.rejected = append(p.rejected, cannot...)
		}, nil
	case resourcev3.ClusterType:
		names, err := p.rewriter.clusters(response.Resources)
		if err != nil {
			return nil, err
		}
		return func() {
			maps.DeleteFunc(p.endpoints, func(cluster string, _ map[netip.Addr]bool) bool { return !names[cluster] })
		}, nil
	case resourcev3.EndpointType:
		pods, err := p.rewriter.endpoints(response.Resources)
		if err != nil {
			return nil, err
		}
		return func() {
			for cluster, in := range pods {
				p.endpoints[cluster] = in
			}
		}, nil
	}
	return apply, nil
}

// shortType returns the last part of a type's name: Listener, Cluster, ….
func shortType(url string) string { return url[strings.LastIndexAny(url, "./")+1:] }

// inboundPorts returns the ports that the proxy is to take, those for mutual TLS alone included: nobody else may.
func inboundPorts(response *discoveryv3.DiscoveryResponse) (map[uint16]bool, error) {
	ports := map[uint16]bool{}
	for _, resource := range response.GetResources() {
		l := &listenerv3.Listener{}
		if err := resource.UnmarshalTo(l); err != nil {
			return nil, err
		}
		if l.GetName() != virtualInbound {
			continue
		}
		for _, chain := range l.GetFilterChains() {
			if port := chain.GetFilterChainMatch().GetDestinationPort().GetValue(); port != 0 {
				ports[uint16(port)] = true
			}
		}
	}
	return ports, nil
}
