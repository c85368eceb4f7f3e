package xds

import (
	"net/netip"
	"strconv"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

var pod = netip.MustParseAddr("10.244.0.7")

// outsideOf gives each host and port a port of its own on one address, and keeps who asked.
func outsideOf(asked map[string]string) func(string, uint16) (string, error) {
	return func(host string, port uint16) (string, error) {
		key := host + ":" + strconv.Itoa(int(port))
		if _, ok := asked[key]; !ok {
			asked[key] = "127.67.0.1:" + strconv.Itoa(40000+len(asked))
		}
		return asked[key], nil
	}
}

func testRewriter(gateway bool) (*rewriter, map[string]string) {
	asked := map[string]string{}
	return newRewriter(64, pod, gateway, outsideOf(asked), nobody), asked
}

func socket(ip string, port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: ip, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
	}}}
}

func at(a *corev3.Address) string {
	ap, _ := addrPort(a.GetSocketAddress())
	return ap.String()
}

func pack(t *testing.T, messages ...proto.Message) []*anypb.Any {
	t.Helper()
	var out []*anypb.Any
	for _, m := range messages {
		a, err := anypb.New(m)
		require.NoError(t, err)
		out = append(out, a)
	}
	return out
}

func unpack[T proto.Message](t *testing.T, a *anypb.Any, into T) T {
	t.Helper()
	require.NoError(t, a.UnmarshalTo(into))
	return into
}

func TestOutboundListeners(t *testing.T) {
	t.Parallel()
	r, _ := testRewriter(false)
	resources := pack(t,
		&listenerv3.Listener{Name: "0.0.0.0_9080", Address: socket("0.0.0.0", 9080), BindToPort: wrapperspb.Bool(false), TrafficDirection: corev3.TrafficDirection_OUTBOUND},
		&listenerv3.Listener{Name: "0.0.0.0_80", Address: socket("0.0.0.0", 80), BindToPort: wrapperspb.Bool(false), TrafficDirection: corev3.TrafficDirection_OUTBOUND},
		&listenerv3.Listener{Name: "10.96.0.1_443", Address: socket("10.96.0.1", 443), BindToPort: wrapperspb.Bool(false), TrafficDirection: corev3.TrafficDirection_OUTBOUND},
		&listenerv3.Listener{
			Name: "virtualOutbound", Address: socket("0.0.0.0", 15001), UseOriginalDst: wrapperspb.Bool(true), TrafficDirection: corev3.TrafficDirection_OUTBOUND,
			ListenerFilters: []*listenerv3.ListenerFilter{{Name: originalDst}, {Name: "envoy.filters.listener.tls_inspector"}},
		},
	)
	table, err := r.listeners(resources)
	require.NoError(t, err)

	any9080 := netip.MustParseAddrPort("0.0.0.0:9080")
	kubernetes := netip.MustParseAddrPort("10.96.0.1:443")
	assert.Equal(t, map[netip.AddrPort]netip.AddrPort{
		any9080:                               netip.MustParseAddrPort("127.66.0.7:9080"),
		netip.MustParseAddrPort("0.0.0.0:80"): netip.MustParseAddrPort("127.66.0.7:61080"),
		kubernetes:                            netip.MustParseAddrPort("127.66.0.7:62100"),
		{}:                                    netip.MustParseAddrPort("127.66.0.7:15999"),
	}, table)
	for i, want := range []string{"127.66.0.7:9080", "127.66.0.7:61080", "127.66.0.7:62100", "127.66.0.7:15999"} {
		l := unpack(t, resources[i], &listenerv3.Listener{})
		assert.Equal(t, want, at(l.GetAddress()), l.GetName())
		assert.False(t, l.GetUseOriginalDst().GetValue(), l.GetName())
		if l.GetName() != virtualOutbound {
			assert.True(t, l.GetBindToPort().GetValue(), l.GetName())
		} else {
			require.Len(t, l.GetListenerFilters(), 1)
			assert.Equal(t, "envoy.filters.listener.tls_inspector", l.GetListenerFilters()[0].GetName())
		}
	}

	// A service's address keeps its port when others come before it.
	resources = pack(t,
		&listenerv3.Listener{Name: "10.96.0.9_3306", Address: socket("10.96.0.9", 3306), TrafficDirection: corev3.TrafficDirection_OUTBOUND},
		&listenerv3.Listener{Name: "10.96.0.1_443", Address: socket("10.96.0.1", 443), TrafficDirection: corev3.TrafficDirection_OUTBOUND},
	)
	table, err = r.listeners(resources)
	require.NoError(t, err)
	assert.Equal(t, "127.66.0.7:62100", table[kubernetes].String())
	assert.Equal(t, "127.66.0.7:62101", table[netip.MustParseAddrPort("10.96.0.9:3306")].String())
}

func TestRangesOfAddressesAreSaidToBeImpossible(t *testing.T) {
	t.Parallel()
	r, _ := testRewriter(false)
	_, err := r.listeners(pack(t, &listenerv3.Listener{
		Name: "0.0.0.0_3306", Address: socket("0.0.0.0", 3306), TrafficDirection: corev3.TrafficDirection_OUTBOUND,
		FilterChains: []*listenerv3.FilterChain{{FilterChainMatch: &listenerv3.FilterChainMatch{PrefixRanges: []*corev3.CidrRange{{AddressPrefix: "203.0.113.0"}}}}},
	}))
	require.NoError(t, err)
	assert.Equal(t, []string{"Listener 0.0.0.0_3306: a local cluster cannot tell connections apart by ranges of addresses"}, r.cannot)
}

func TestVirtualInbound(t *testing.T) {
	t.Parallel()
	r, _ := testRewriter(false)
	chain := func(name string, port uint32, tls bool) *listenerv3.FilterChain {
		c := &listenerv3.FilterChain{Name: name, FilterChainMatch: &listenerv3.FilterChainMatch{}}
		if port > 0 {
			c.FilterChainMatch.DestinationPort = wrapperspb.UInt32(port)
		}
		if tls {
			c.TransportSocket = &corev3.TransportSocket{Name: "envoy.transport_sockets.tls"}
			c.FilterChainMatch.TransportProtocol = "tls"
		}
		return c
	}
	guessed := chain("7000-http", 7000, true)
	guessed.FilterChainMatch.ApplicationProtocols = []string{"istio-http/1.1"}
	resources := pack(t, &listenerv3.Listener{
		Name: virtualInbound, Address: socket("0.0.0.0", 15006), TrafficDirection: corev3.TrafficDirection_INBOUND,
		ListenerFilters: []*listenerv3.ListenerFilter{{Name: originalDst}},
		FilterChains: []*listenerv3.FilterChain{
			chain("virtualInbound-blackhole", 15006, false),
			chain("passthrough", 0, false), chain("passthrough-tls", 0, true),
			chain("9080", 9080, false), chain("9080-tls", 9080, true), chain("80", 80, false),
			chain("strict", 8443, true), guessed, chain("7000", 7000, true),
		},
	})
	table, err := r.listeners(resources)
	require.NoError(t, err)
	assert.Empty(t, table, "nothing that goes out is taken by it")
	l := unpack(t, resources[0], &listenerv3.Listener{})
	assert.Equal(t, "127.64.0.7:15006", at(l.GetAddress()))
	var names, addresses []string
	for _, c := range l.GetFilterChains() {
		names = append(names, c.GetName())
	}
	for _, a := range l.GetAdditionalAddresses() {
		addresses = append(addresses, at(a.GetAddress()))
	}
	assert.Equal(t, []string{"virtualInbound-blackhole", "passthrough", "9080", "80", "strict", "7000"}, names)
	assert.Equal(t, []string{"127.64.0.7:9080", "127.64.0.7:61080", "127.64.0.7:8443", "127.64.0.7:7000"}, addresses)
	for _, c := range l.GetFilterChains() {
		assert.Nil(t, c.GetTransportSocket(), c.GetName())
		assert.Empty(t, c.GetFilterChainMatch().GetTransportProtocol(), c.GetName())
	}
	assert.Equal(t, uint32(61080), l.GetFilterChains()[3].GetFilterChainMatch().GetDestinationPort().GetValue(), "a moved port is the one that connections come to")
	assert.Empty(t, l.GetListenerFilters())
}

func TestGatewayListener(t *testing.T) {
	t.Parallel()
	r, _ := testRewriter(true)
	resources := pack(t, &listenerv3.Listener{Name: "0.0.0.0_80", Address: socket("0.0.0.0", 80), TrafficDirection: corev3.TrafficDirection_OUTBOUND})
	table, err := r.listeners(resources)
	require.NoError(t, err)
	assert.Empty(t, table)
	assert.Equal(t, "127.64.0.7:61080", at(unpack(t, resources[0], &listenerv3.Listener{}).GetAddress()))
}

func loadAssignment(name string, addresses ...*corev3.Address) *endpointv3.ClusterLoadAssignment {
	group := &endpointv3.LocalityLbEndpoints{}
	for _, a := range addresses {
		group.LbEndpoints = append(group.LbEndpoints, &endpointv3.LbEndpoint{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: a}}})
	}
	return &endpointv3.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpointv3.LocalityLbEndpoints{group}}
}

func addresses(a *endpointv3.ClusterLoadAssignment) []string {
	var out []string
	for s := range sockets(a) {
		ap, _ := addrPort(s)
		out = append(out, ap.String())
	}
	return out
}

func TestClusters(t *testing.T) {
	t.Parallel()
	r, asked := testRewriter(false)
	original := func(name string) *clusterv3.Cluster {
		return &clusterv3.Cluster{
			Name: name, ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_ORIGINAL_DST},
			LbPolicy:           clusterv3.Cluster_CLUSTER_PROVIDED,
			UpstreamBindConfig: &corev3.BindConfig{SourceAddress: socket("127.0.0.6", 0).GetSocketAddress()},
		}
	}
	dns := &clusterv3.Cluster{
		Name:                 "outbound|3306||mysql.example.com",
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS},
		LoadAssignment:       loadAssignment("outbound|3306||mysql.example.com", socket("mysql.example.com", 3306)),
	}
	eds := &clusterv3.Cluster{Name: "outbound|9080|v1|reviews.bookinfo.svc.cluster.local", ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}}
	resources := pack(t, original("inbound|9080||"), original(passthroughCluster), dns, eds)
	names, err := r.clusters(resources)
	require.NoError(t, err)
	assert.Len(t, names, 4)

	inbound := unpack(t, resources[0], &clusterv3.Cluster{})
	assert.Equal(t, clusterv3.Cluster_STATIC, inbound.GetType())
	assert.Equal(t, clusterv3.Cluster_ROUND_ROBIN, inbound.GetLbPolicy())
	assert.Equal(t, []string{"127.65.0.7:9080"}, addresses(inbound.GetLoadAssignment()))
	assert.Nil(t, inbound.GetUpstreamBindConfig())

	sidecar := original("inbound|80||")
	sidecar.LoadAssignment = loadAssignment("inbound|80||", socket("127.0.0.1", 8080))
	withEndpoint := pack(t, sidecar)
	_, err = r.clusters(withEndpoint)
	require.NoError(t, err)
	assert.Equal(t, []string{"127.65.0.7:8080"}, addresses(unpack(t, withEndpoint[0], &clusterv3.Cluster{}).GetLoadAssignment()), "a Sidecar resource names the application's port")

	assert.Equal(t, []string{asked[":0"]}, addresses(unpack(t, resources[1], &clusterv3.Cluster{}).GetLoadAssignment()))

	mysql := unpack(t, resources[2], &clusterv3.Cluster{})
	assert.Equal(t, clusterv3.Cluster_STATIC, mysql.GetType())
	assert.Equal(t, []string{asked["mysql.example.com:3306"]}, addresses(mysql.GetLoadAssignment()))

	assert.True(t, proto.Equal(eds, unpack(t, resources[3], &clusterv3.Cluster{})), "a cluster without addresses is passed on as it is")
}

// What leads outside by itself, by a connection's original destination or by DNS, has a stand-in as all else.
func TestClustersOfHostsOutside(t *testing.T) {
	t.Parallel()
	original := func(name string) *clusterv3.Cluster {
		return &clusterv3.Cluster{
			Name: name, ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_ORIGINAL_DST},
			LbPolicy: clusterv3.Cluster_CLUSTER_PROVIDED,
		}
	}
	dynamic := func(name string) *clusterv3.Cluster {
		c := original(name)
		c.ClusterDiscoveryType = &clusterv3.Cluster_ClusterType{ClusterType: &clusterv3.Cluster_CustomClusterType{Name: dynamicForwardProxy}}
		return c
	}
	for name, want := range map[string]struct {
		cluster *clusterv3.Cluster
		asked   string
	}{
		"NONE":                  {original("outbound|27017||mongo.example.com"), "mongo.example.com:27017"},
		"NONE, a subset":        {original("outbound|80|v1|api.example.com"), "api.example.com:80"},
		"NONE, a wildcard":      {original("outbound|443||*.example.com"), "*.example.com:443"},
		"DYNAMIC_DNS":           {dynamic("outbound|80||*.example.org"), "*.example.org:80"},
		"ALLOW_ANY_DYNAMIC_DNS": {dynamic("AllowAnyDynamicDNSCluster"), ":0"},
	} {
		r, asked := testRewriter(false)
		resources := pack(t, want.cluster)
		_, err := r.clusters(resources)
		require.NoError(t, err, name)
		got := unpack(t, resources[0], &clusterv3.Cluster{})
		assert.Equal(t, clusterv3.Cluster_STATIC, got.GetType(), name)
		assert.Nil(t, got.GetClusterType(), name)
		assert.Equal(t, clusterv3.Cluster_ROUND_ROBIN, got.GetLbPolicy(), name)
		assert.Equal(t, []string{asked[want.asked]}, addresses(got.GetLoadAssignment()), name)
	}

	r, asked := testRewriter(false)
	headless := original("outbound|5432||db.shop.svc.cluster.local")
	resources := pack(t, headless)
	_, err := r.clusters(resources)
	require.NoError(t, err)
	assert.True(t, proto.Equal(headless, unpack(t, resources[0], &clusterv3.Cluster{})), "a headless Service is not outside")
	assert.Empty(t, asked)
}

func TestNoFilterAsksDNS(t *testing.T) {
	t.Parallel()
	r, _ := testRewriter(false)
	resources := pack(t, &listenerv3.Listener{
		Name: "0.0.0.0_443", Address: socket("0.0.0.0", 443), TrafficDirection: corev3.TrafficDirection_OUTBOUND,
		FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{Name: sniDynamicForwardProxy}, {Name: "envoy.filters.network.tcp_proxy"}}}},
	})
	_, err := r.listeners(resources)
	require.NoError(t, err)
	filters := unpack(t, resources[0], &listenerv3.Listener{}).GetFilterChains()[0].GetFilters()
	require.Len(t, filters, 1)
	assert.Equal(t, "envoy.filters.network.tcp_proxy", filters[0].GetName())
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	r, asked := testRewriter(false)
	assigned := loadAssignment("a", socket("10.244.1.2", 80), socket("10.244.1.3", 9080), socket("203.0.113.5", 443), socket("10.244.1.4", 9080))
	assigned.Endpoints[0].LbEndpoints[3].HealthStatus = corev3.HealthStatus_UNHEALTHY
	resources := pack(t, assigned)
	pods, err := r.endpoints(resources)
	require.NoError(t, err)
	assert.Equal(t, []podsOf{{"a", map[netip.Addr]bool{netip.MustParseAddr("10.244.1.2"): true, netip.MustParseAddr("10.244.1.3"): true}}}, pods)
	assert.Equal(t, []string{"127.64.1.2:61080", "127.64.1.3:9080", asked["203.0.113.5:443"], "127.64.1.4:9080"}, addresses(unpack(t, resources[0], &endpointv3.ClusterLoadAssignment{})))
}
