package envoy

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Config is what an Envoy has to know before it asks its control plane.
type Config struct {
	ID       string           // of the node, as istiod reads it: sidecar~10.244.0.5~pod.namespace~namespace.svc.cluster.local
	Cluster  string           // of the node: app.namespace
	Metadata map[string]any   // of the node; anything that can be written as JSON
	Locality *corev3.Locality // of the node; default none
	XDS      netip.AddrPort   // the aggregated discovery service, in plain text
	Admin    netip.AddrPort   // where Envoy's admin interface listens: a loopback address
	LogFile  string           // takes what Envoy writes; its directory must exist. Its name must be no other Envoy's
	Dir      string           // takes the bootstrap, under the name of LogFile; must exist. Default: that of LogFile
}

const (
	xdsCluster = "xds-grpc"
	// gatewayType begins the ID of a node that is no sidecar.
	gatewayType = "router~"
	// openConnections ends the names of the counters of open connections.
	openConnections = ".downstream_cx_active"
)

// Bootstrap returns Envoy's bootstrap, in JSON: Istio's (tools/packaging/common/envoy_bootstrap.json) less what a
// local cluster has no use for. Left out are
//   - the clusters prometheus_stats and agent, and the listeners for scraping and readiness that use them: nothing
//     scrapes, and readiness is asked of the admin interface;
//   - sds-grpc: there are no certificates without Istio's agent;
//   - tracing, stats sinks, access log service and what else mesh config may add to a bootstrap;
//   - internal listeners, which only HBONE (ambient mesh) uses;
//   - stats tags: nobody aggregates.
func Bootstrap(c Config) ([]byte, error) {
	metadata, err := toStruct(c.Metadata)
	if err != nil {
		return nil, fmt.Errorf("the bootstrap of %s: metadata: %w", c.ID, err)
	}
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("the bootstrap of %s: %w", c.ID, err)
	}
	xds, err := adsCluster(c.XDS)
	if err != nil {
		return nil, err
	}
	runtime, err := structpb.NewStruct(map[string]any{
		"re2.max_program_size.error_level":                               32768,
		"envoy.reloadable_features.http_reject_path_with_fragment":       false,
		"envoy.reloadable_features.coalesce_lb_rebuilds_on_batch_update": false,
	})
	if err != nil {
		return nil, err
	}
	b := &bootstrapv3.Bootstrap{
		Node: &corev3.Node{Id: c.ID, Cluster: c.Cluster, Locality: c.Locality, Metadata: metadata},
		LayeredRuntime: &bootstrapv3.LayeredRuntime{Layers: []*bootstrapv3.RuntimeLayer{
			{Name: "global config", LayerSpecifier: &bootstrapv3.RuntimeLayer_StaticLayer{StaticLayer: runtime}},
			{Name: "admin", LayerSpecifier: &bootstrapv3.RuntimeLayer_AdminLayer_{AdminLayer: &bootstrapv3.RuntimeLayer_AdminLayer{}}},
		}},
		StatsConfig:         statsConfig(strings.HasPrefix(c.ID, gatewayType)),
		DeferredStatOptions: &bootstrapv3.Bootstrap_DeferredStatOptions{EnableDeferredCreationStats: true},
		Admin:               &bootstrapv3.Admin{Address: address(c.Admin)},
		DynamicResources: &bootstrapv3.Bootstrap_DynamicResources{
			LdsConfig: aggregated(), CdsConfig: aggregated(),
			AdsConfig: &corev3.ApiConfigSource{
				ApiType: corev3.ApiConfigSource_GRPC, TransportApiVersion: corev3.ApiVersion_V3,
				SetNodeOnFirstMessageOnly: true,
				GrpcServices: []*corev3.GrpcService{{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
					EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: xdsCluster},
				}}},
			},
		},
		StaticResources: &bootstrapv3.Bootstrap_StaticResources{Clusters: []*clusterv3.Cluster{xds}},
	}
	if err := b.ValidateAll(); err != nil {
		return nil, fmt.Errorf("the bootstrap of %s: %w", c.ID, err)
	}
	return protojson.MarshalOptions{UseProtoNames: true}.Marshal(b)
}

func (c Config) validate() error {
	var mistakes []error
	if c.ID == "" || c.Cluster == "" {
		mistakes = append(mistakes, fmt.Errorf("ID and Cluster must be set, found %q and %q", c.ID, c.Cluster))
	}
	if !c.XDS.IsValid() || c.XDS.Port() == 0 {
		mistakes = append(mistakes, fmt.Errorf("XDS: expected an address and port, found %s", c.XDS))
	}
	if !c.Admin.Addr().IsLoopback() || c.Admin.Port() == 0 {
		mistakes = append(mistakes, fmt.Errorf("Admin: expected a loopback address and port, found %s", c.Admin))
	}
	return errors.Join(mistakes...)
}

// toStruct goes by JSON, because structpb takes no map[string]string and no []string.
func toStruct(m map[string]any) (*structpb.Struct, error) {
	data, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	s := &structpb.Struct{}
	if m == nil {
		return s, nil
	}
	return s, protojson.Unmarshal(data, s)
}

// statsConfig keeps the counters that tell what became of configuration, and Envoy's own state. All others cost
// memory for each cluster and listener (with 200 clusters, 6 MB of 24), and what they count is counted by the clients
// here. A gateway counts its open connections too, see AwaitIdle. Of an idle Envoy's 65 MB, 51 are the program itself,
// which all Envoys share.
func statsConfig(gateway bool) *metricsv3.StatsConfig {
	var kept []*matcherv3.StringMatcher
	for _, prefix := range []string{"cluster_manager.", "listener_manager.", "server.", "control_plane.", "cluster." + xdsCluster + "."} {
		kept = append(kept, &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: prefix}})
	}
	if gateway {
		kept = append(kept, &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Suffix{Suffix: openConnections}})
	}
	return &metricsv3.StatsConfig{
		UseAllDefaultTags: wrapperspb.Bool(false),
		StatsMatcher: &metricsv3.StatsMatcher{StatsMatcher: &metricsv3.StatsMatcher_InclusionList{
			InclusionList: &matcherv3.ListStringMatcher{Patterns: kept},
		}},
	}
}

// aggregated: Envoy is not ready before it was told, however long that takes.
func aggregated() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
		InitialFetchTimeout:   durationpb.New(0),
		ResourceApiVersion:    corev3.ApiVersion_V3,
	}
}

func adsCluster(at netip.AddrPort) (*clusterv3.Cluster, error) {
	http2, err := anypb.New(&httpv3.HttpProtocolOptions{
		UpstreamProtocolOptions: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{
			ExplicitHttpConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
					Http2ProtocolOptions: &corev3.Http2ProtocolOptions{},
				},
			},
		},
	})
	if err != nil {
		return nil, err
	}
	return &clusterv3.Cluster{
		Name:                 xdsCluster,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		ConnectTimeout:       durationpb.New(time.Second),
		LoadAssignment: &endpointv3.ClusterLoadAssignment{
			ClusterName: xdsCluster,
			Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{{
				HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: address(at)}},
			}}}},
		},
		TypedExtensionProtocolOptions: map[string]*anypb.Any{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2},
	}, nil
}

func address(a netip.AddrPort) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: a.Addr().String(), PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(a.Port())},
	}}}
}
