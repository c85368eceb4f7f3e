package xds

import (
	"context"
	"log/slog"
	"math"
	"net/netip"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func anyOf(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	require.NoError(t, err)
	return a
}

func httpFilter(t *testing.T, name string, config proto.Message) *hcmv3.HttpFilter {
	t.Helper()
	return &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: anyOf(t, config)}}
}

// manager is what istiod sends for a port of a sidecar that nobody asked anything of.
func manager(t *testing.T) *hcmv3.HttpConnectionManager {
	t.Helper()
	return &hcmv3.HttpConnectionManager{
		StatPrefix: "inbound_0.0.0.0_9080;", StreamIdleTimeout: durationpb.New(0), NormalizePath: wrapperspb.Bool(true),
		HttpFilters: []*hcmv3.HttpFilter{
			httpFilter(t, "envoy.filters.http.fault", &faultv3.HTTPFault{}),
			httpFilter(t, "envoy.filters.http.cors", &corsv3.Cors{}),
			httpFilter(t, "envoy.filters.http.router", &routerv3.Router{}),
		},
		RouteSpecifier: &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: &routev3.RouteConfiguration{
			Name: "inbound|9080||",
			VirtualHosts: []*routev3.VirtualHost{{Name: "inbound|http|9080", Domains: []string{"*"}, Routes: []*routev3.Route{{
				Name: "default", Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
				Action: &routev3.Route_Route{Route: &routev3.RouteAction{
					ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: "inbound|9080||"}, Timeout: durationpb.New(0),
				}},
			}}}},
		}},
	}
}

func chainOf(t *testing.T, filter string, config proto.Message) *listenerv3.FilterChain {
	t.Helper()
	return &listenerv3.FilterChain{
		FilterChainMatch: &listenerv3.FilterChainMatch{DestinationPort: wrapperspb.UInt32(9080), TransportProtocol: "raw_buffer"},
		Filters:          []*listenerv3.Filter{{Name: filter, ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: anyOf(t, config)}}},
	}
}

func TestPassive(t *testing.T) {
	t.Parallel()
	cluster, ok := passive(chainOf(t, "http", manager(t)))
	assert.True(t, ok)
	assert.Equal(t, "inbound|9080||", cluster)

	route := func(m *hcmv3.HttpConnectionManager) *routev3.Route {
		return m.GetRouteConfig().VirtualHosts[0].Routes[0]
	}
	for name, change := range map[string]func(m *hcmv3.HttpConnectionManager){
		"a filter more": func(m *hcmv3.HttpConnectionManager) {
			m.HttpFilters = append(m.HttpFilters, httpFilter(t, "envoy.filters.http.rbac", &rbacv3.RBAC{}))
		},
		"a fault": func(m *hcmv3.HttpConnectionManager) {
			m.HttpFilters[0] = httpFilter(t, "envoy.filters.http.fault", &faultv3.HTTPFault{UpstreamCluster: "c"})
		},
		"a time limit":     func(m *hcmv3.HttpConnectionManager) { route(m).GetRoute().Timeout = durationpb.New(time.Second) },
		"an idle limit":    func(m *hcmv3.HttpConnectionManager) { m.StreamIdleTimeout = durationpb.New(time.Second) },
		"own replies":      func(m *hcmv3.HttpConnectionManager) { m.LocalReplyConfig = &hcmv3.LocalReplyConfig{} },
		"a header removed": func(m *hcmv3.HttpConnectionManager) { route(m).RequestHeadersToRemove = []string{"x"} },
		"another path": func(m *hcmv3.HttpConnectionManager) {
			route(m).Match.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: "/a"}
		},
		"a second route": func(m *hcmv3.HttpConnectionManager) {
			h := m.GetRouteConfig().VirtualHosts[0]
			h.Routes = append(h.Routes, h.Routes[0])
		},
		"a retry of hosts": func(m *hcmv3.HttpConnectionManager) {
			m.GetRouteConfig().VirtualHosts[0].RetryPolicy = &routev3.RetryPolicy{}
		},
		"routes elsewhere": func(m *hcmv3.HttpConnectionManager) {
			m.RouteSpecifier = &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{}}
		},
	} {
		m := manager(t)
		change(m)
		_, ok := passive(chainOf(t, "http", m))
		assert.False(t, ok, name)
	}
	_, ok = passive(chainOf(t, "tcp", &tcpv3.TcpProxy{}))
	assert.False(t, ok, "TCP")
	encrypted := chainOf(t, "http", manager(t))
	encrypted.TransportSocket = &corev3.TransportSocket{Name: "tls"}
	_, ok = passive(encrypted)
	assert.False(t, ok, "mutual TLS")
}

func inboundCluster(connections uint32) *clusterv3.Cluster {
	return &clusterv3.Cluster{
		Name: "inbound|9080||", LbPolicy: clusterv3.Cluster_CLUSTER_PROVIDED,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_ORIGINAL_DST},
		CircuitBreakers: &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
			MaxConnections: wrapperspb.UInt32(connections), MaxRequests: wrapperspb.UInt32(math.MaxUint32), MaxPendingRequests: wrapperspb.UInt32(1000),
		}}},
	}
}

func TestUnlimited(t *testing.T) {
	t.Parallel()
	assert.True(t, unlimited(inboundCluster(math.MaxUint32)))
	assert.False(t, unlimited(inboundCluster(1)), "a queue can form in front of one connection")
	tls := inboundCluster(math.MaxUint32)
	tls.TransportSocket = &corev3.TransportSocket{Name: "tls"}
	assert.False(t, unlimited(tls))
}

// TestSidecarIsLeftOutAndPutBack: a caller is given the application's address while the sidecar only passes on, and
// counts as out of sync from the moment that this ends until it has the other address.
func TestSidecarIsLeftOutAndPutBack(t *testing.T) {
	t.Parallel()
	asked := map[string]string{}
	f, err := New("127.0.0.1:1", 64, outsideOf(asked), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer f.Close()
	callerIP := netip.MustParseAddr("10.244.0.8")
	got := make(chan *discoveryv3.DiscoveryResponse, 10)
	callee := f.connect(pod, false, func(*discoveryv3.DiscoveryResponse) error { return nil })
	caller := f.connect(callerIP, false, func(r *discoveryv3.DiscoveryResponse) error { got <- r; return nil })
	caller.listeners = map[netip.AddrPort]netip.AddrPort{}

	send := func(p *proxy, kind, nonce string, resources ...proto.Message) {
		require.NoError(t, f.sendOn(p, &discoveryv3.DiscoveryResponse{TypeUrl: kind, Nonce: nonce, VersionInfo: "v" + nonce, Resources: pack(t, resources...)}))
	}
	accept := func(p *proxy, kind, nonce string) *discoveryv3.DiscoveryRequest {
		request := &discoveryv3.DiscoveryRequest{TypeUrl: kind, ResponseNonce: nonce}
		f.answered(p, request)
		return request
	}
	// next accepts the endpoints that the caller gets, and returns the address in them.
	next := func() string {
		select {
		case r := <-got:
			assert.False(t, f.State(callerIP).Synced, "before it has answered")
			a := unpack(t, r.Resources[0], &endpointv3.ClusterLoadAssignment{})
			request := accept(caller, resourcev3.EndpointType, r.GetNonce())
			assert.Equal(t, "e1", request.GetResponseNonce(), "istiod knows no nonces but its own")
			assert.Equal(t, "ve1", r.GetVersionInfo())
			return at(a.Endpoints[0].LbEndpoints[0].GetEndpoint().GetAddress())
		case <-time.After(10 * time.Second):
			require.FailNow(t, "the caller was sent nothing")
			return ""
		}
	}
	listener := func(filters ...*hcmv3.HttpFilter) *listenerv3.Listener {
		m := manager(t)
		m.HttpFilters = append(m.HttpFilters, filters...)
		return &listenerv3.Listener{Name: virtualInbound, Address: socket("0.0.0.0", 15006), FilterChains: []*listenerv3.FilterChain{chainOf(t, "http", m)}}
	}
	synced := func() {
		t.Helper()
		require.Eventually(t, func() bool { return f.State(callerIP).Synced }, 10*time.Second, time.Millisecond)
	}

	send(caller, resourcev3.ClusterType, "c0", &clusterv3.Cluster{Name: "outbound|9080||reviews", ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}})
	<-got
	accept(caller, resourcev3.ClusterType, "c0")
	send(caller, resourcev3.EndpointType, "e1", loadAssignment("outbound|9080||reviews", socket(pod.String(), 9080)))
	assert.Equal(t, "127.64.0.7:9080", next(), "nothing is known of its sidecar")
	synced()

	send(callee, resourcev3.ClusterType, "c1", inboundCluster(math.MaxUint32))
	accept(callee, resourcev3.ClusterType, "c1")
	send(callee, resourcev3.ListenerType, "l1", listener())
	assert.Empty(t, got, "not before it has accepted its listeners")
	accept(callee, resourcev3.ListenerType, "l1")
	assert.False(t, f.State(callerIP).Synced)
	assert.Equal(t, "127.65.0.7:9080", next())
	synced()

	send(callee, resourcev3.ListenerType, "l2", listener(httpFilter(t, "envoy.filters.http.rbac", &rbacv3.RBAC{})))
	accept(callee, resourcev3.ListenerType, "l2")
	assert.False(t, f.State(callerIP).Synced, "a policy holds only once nobody goes past it")
	assert.Equal(t, "127.64.0.7:9080", next())
	synced()

	send(callee, resourcev3.ListenerType, "l3", listener())
	accept(callee, resourcev3.ListenerType, "l3")
	assert.Equal(t, "127.65.0.7:9080", next())
	send(callee, resourcev3.ClusterType, "c2", inboundCluster(1))
	accept(callee, resourcev3.ClusterType, "c2")
	assert.Equal(t, "127.64.0.7:9080", next(), "a limit on connections")
	synced()

	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	assert.ErrorContains(t, f.AwaitUnused(ctx, pod), "10.244.0.7 is still in use by 10.244.0.8 (outbound|9080||reviews)")
}
