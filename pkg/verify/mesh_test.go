package verify

import (
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
