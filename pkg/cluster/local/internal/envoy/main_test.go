package envoy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	managerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"chartbasico/internal/proc"
)

// binary is the Envoy of all tests: the real one.
var binary string

func TestMain(m *testing.M) {
	var err error
	// Before any test changes the PATH.
	binary, err = Find(context.Background(), "", func(s string) { fmt.Println(s) })
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func group(t *testing.T) *proc.Group {
	t.Helper()
	g := proc.NewGroup()
	t.Cleanup(g.Stop)
	return g
}

const nodeID = "sidecar~10.244.0.5~pod-a.shop~shop.svc.cluster.local"

// config is of an Envoy whose addresses nobody else uses: each test has its own address.
func config(t *testing.T, address string, xds netip.AddrPort) Config {
	t.Helper()
	return Config{
		ID: nodeID, Cluster: "reviews.shop",
		Metadata: map[string]any{"LABELS": map[string]string{"app": "reviews"}, "INSTANCE_IPS": "10.244.0.5"},
		Locality: &corev3.Locality{Region: "here"},
		XDS:      xds, Admin: netip.AddrPortFrom(netip.MustParseAddr(address), 15000),
		LogFile: filepath.Join(t.TempDir(), "pod-a.log"),
	}
}

// controlPlane is an aggregated discovery service. It sends each resource once to who asks for its type, and says
// nothing where it has none.
type controlPlane struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer

	at        netip.AddrPort
	resources map[string]*anypb.Any // by type; not to be changed while an Envoy runs
}

func newControlPlane(t *testing.T) *controlPlane {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	at, err := netip.ParseAddrPort(l.Addr().String())
	require.NoError(t, err)
	c := &controlPlane{at: at, resources: map[string]*anypb.Any{}}
	s := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(s, c)
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := s.Serve(l); !errors.Is(err, grpc.ErrServerStopped) {
			assert.NoError(t, err)
		}
	})
	t.Cleanup(func() {
		s.Stop()
		serving.Wait()
	})
	return c
}

func (c *controlPlane) StreamAggregatedResources(stream discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	for {
		request, err := stream.Recv()
		if err != nil {
			return err
		}
		resource := c.resources[request.TypeUrl]
		if request.VersionInfo != "" || resource == nil {
			continue
		}
		response := &discoveryv3.DiscoveryResponse{TypeUrl: request.TypeUrl, VersionInfo: "1", Nonce: "1", Resources: []*anypb.Any{resource}}
		if err := stream.Send(response); err != nil {
			return err
		}
	}
}

// answer makes nodes servers that answer with text on an address.
func (c *controlPlane) answer(t *testing.T, at netip.AddrPort, text string) {
	t.Helper()
	packed := func(m proto.Message) *anypb.Any {
		a, err := anypb.New(m)
		require.NoError(t, err)
		return a
	}
	routes := &routev3.RouteConfiguration{Name: "all", VirtualHosts: []*routev3.VirtualHost{{
		Name: "all", Domains: []string{"*"}, Routes: []*routev3.Route{{
			Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
			Action: &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{
				Status: 200, Body: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: text}},
			}},
		}},
	}}}
	manager := &managerv3.HttpConnectionManager{
		StatPrefix: "all", RouteSpecifier: &managerv3.HttpConnectionManager_Rds{Rds: &managerv3.Rds{
			RouteConfigName: "all", ConfigSource: aggregated(),
		}},
		HttpFilters: []*managerv3.HttpFilter{{Name: "envoy.filters.http.router", ConfigType: &managerv3.HttpFilter_TypedConfig{TypedConfig: packed(&routerv3.Router{})}}},
	}
	listener := &listenerv3.Listener{
		Name: "all", Address: address(at), TrafficDirection: corev3.TrafficDirection_INBOUND,
		FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{
			Name: "envoy.filters.network.http_connection_manager", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: packed(manager)},
		}}}},
	}
	for _, resource := range []*anypb.Any{
		packed(&clusterv3.Cluster{Name: "unused", ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}}),
		packed(listener), packed(routes),
	} {
		c.resources[resource.TypeUrl] = resource
	}
}
