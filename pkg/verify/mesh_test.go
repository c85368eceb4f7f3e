package verify

import (
	"fmt"
	"testing"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/clustertest"
	"chartbasico/pkg/report"
)

func TestVersionsAreAProxysOwn(t *testing.T) {
	t.Parallel()
	started, err := anypb.New(&adminv3.BootstrapConfigDump{Bootstrap: &bootstrapv3.Bootstrap{Node: &corev3.Node{
		Metadata: &structpb.Struct{Fields: map[string]*structpb.Value{"ISTIO_VERSION": structpb.NewStringValue("1.31.0")}},
		UserAgentVersionType: &corev3.Node_UserAgentBuildVersion{UserAgentBuildVersion: &corev3.BuildVersion{
			Version: &typev3.SemanticVersion{MajorNumber: 1, MinorNumber: 40, Patch: 2},
		}},
	}}})
	require.NoError(t, err)
	fake := &clustertest.Fake{
		OnProxies: func() ([]cluster.Proxy, error) { return []cluster.Proxy{{Pod: "a"}, {Pod: "b"}}, nil },
		OnProxyConfig: func(cluster.Proxy) (*adminv3.ConfigDump, error) {
			return &adminv3.ConfigDump{Configs: []*anypb.Any{started}}, nil
		},
	}
	described, err := describe(t.Context(), fake, "v1.37.2")
	require.NoError(t, err)
	assert.Equal(t, report.Cluster{Kind: "fake", Name: "fake", Kubernetes: "v1.37.2", Istio: "1.31.0", Envoy: "1.40.2"}, described)
}

// A queue is filled behind one connection only, so the caller's proxy has to have one worker; others may have more.
func TestManyWorkers(t *testing.T) {
	started := func(workers float64) *adminv3.ConfigDump {
		config := &structpb.Struct{Fields: map[string]*structpb.Value{"concurrency": structpb.NewNumberValue(workers)}}
		bootstrap, err := anypb.New(&adminv3.BootstrapConfigDump{Bootstrap: &bootstrapv3.Bootstrap{Node: &corev3.Node{
			Metadata: &structpb.Struct{Fields: map[string]*structpb.Value{"PROXY_CONFIG": structpb.NewStructValue(config)}},
		}}})
		require.NoError(t, err)
		return &adminv3.ConfigDump{Configs: []*anypb.Any{bootstrap}}
	}
	many := func(pod, caller string, n int) string {
		return fmt.Sprintf(`the proxy of Pod/%s has %d workers, each with a connection of its own; one with a single worker is needed (proxy.istio.io/config: "concurrency: 1" on the pods of %s)`, pod, n, caller)
	}
	for name, c := range map[string]struct {
		gateway       bool
		ofGateway, of float64
		standIns      bool
		why           string
	}{
		"one":                     {false, 4, 1, false, ""},
		"two":                     {false, 1, 2, false, many("shop/f", "front/v1", 2)},
		"not known":               {false, 1, 0, false, many("shop/f", "front/v1", 0)},
		"one of the gateway's":    {true, 1, 2, false, ""},
		"four of the gateway's":   {true, 4, 1, false, many("istio-system/g", "ingress gateway", 4)},
		"stand-ins have one each": {false, 4, 4, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := onRealApps(t, nil)
			fake := r.cluster.(*clustertest.Fake)
			fake.RealApps = !c.standIns
			fake.OnProxies = func() ([]cluster.Proxy, error) {
				return []cluster.Proxy{
					{Namespace: "istio-system", Pod: "g", Gateway: true, Labels: map[string]string{"istio": "ingressgateway"}},
					{Namespace: "edge", Pod: "other", Gateway: true, Labels: map[string]string{"istio": "ingress"}},
					{Namespace: "shop", Pod: "a"}, {Namespace: "shop", Pod: "f"},
				}, nil
			}
			fake.OnProxyConfig = func(p cluster.Proxy) (*adminv3.ConfigDump, error) {
				switch p.Pod {
				case "g":
					return started(c.ofGateway), nil
				case "f":
					return started(c.of), nil
				}
				return started(16), nil
			}
			r.workloads = append(r.workloads, Workload{Namespace: "shop", App: "front", Version: "v1", Pods: []string{"f"}})
			r.direct[0].From.Version = "v1"
			if c.gateway {
				r.direct = r.origins[:1]
			}
			why, err := r.manyWorkers(t.Context())
			require.NoError(t, err)
			assert.Equal(t, c.why, why)
		})
	}
}
