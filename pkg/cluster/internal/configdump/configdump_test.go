package configdump

import (
	"testing"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConfigDumpIsReadPastUnknownExtensions(t *testing.T) {
	text := `{"configs": [
	  {"@type": "type.googleapis.com/envoy.admin.v9.Unheard", "value": {"a": [1]}, "transport_api_version": {"no": "enum"}},
	  {"@type": "type.googleapis.com/envoy.admin.v3.RoutesConfigDump", "dynamic_route_configs": [{"route_config": {
	    "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration", "name": "9080", "unheard": 1,
	    "virtual_hosts": [{"name": "reviews", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": [
	      {"name": "v1", "weight": 90}, {"name": "v2", "weight": 10}]}},
	      "typed_per_filter_config": {"x": {"@type": "type.googleapis.com/istio.unheard", "b": 2}}}]}]}}]}
	]}`
	dump, err := Read([]byte(text))
	require.NoError(t, err)
	require.Len(t, dump.GetConfigs(), 2)
	routes := &adminv3.RoutesConfigDump{}
	require.NoError(t, dump.GetConfigs()[1].UnmarshalTo(routes))
	assert.Contains(t, routes.String(), "9080")
}
