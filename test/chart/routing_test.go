package chart_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const routing = `
app: shop
routing:
  stage: old
  port: 9080
  stages:
    - {name: old, weights: {v1.0: 100}}
    - {name: canary, weights: {v1.0: 90, v2.0: 10}}
    - {name: new, weights: {v2.0: 100}}
`

// weights are those of the last route, which is the weighted one, by subset.
func weights(t *testing.T, virtualService *unstructured.Unstructured) map[string]int64 {
	http, _, err := unstructured.NestedSlice(virtualService.Object, "spec", "http")
	require.NoError(t, err)
	out := map[string]int64{}
	for _, r := range http[len(http)-1].(map[string]any)["route"].([]any) {
		subset, _, err := unstructured.NestedString(r.(map[string]any), "destination", "subset")
		require.NoError(t, err)
		out[subset] = number(r.(map[string]any)["weight"])
	}
	return out
}

func number(v any) int64 {
	switch n := v.(type) {
	case int64:
		return n
	case float64:
		return int64(n)
	}
	panic(fmt.Sprintf("%v is no number", v))
}

// TestPromotionChangesWeightsOnly: between any two stages, nothing in the output differs but weights.
func TestPromotionChangesWeightsOnly(t *testing.T) {
	sources := map[string]string{"here": routing}
	for _, path := range examples(t) {
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		if values := parse(t, string(raw)); values["routing"] != nil {
			sources[path] = string(raw)
		}
	}
	require.Greater(t, len(sources), 1)
	for name, source := range sources {
		t.Run(name, func(t *testing.T) {
			var first string
			for _, stage := range parse(t, source)["routing"].(map[string]any)["stages"].([]any) {
				values := parse(t, source)
				values["routing"].(map[string]any)["stage"] = stage.(map[string]any)["name"]
				manifest, _, err := render(t.Context(), "demo", values)
				require.NoError(t, err)
				got, err := decode(manifest)
				require.NoError(t, err)
				for version, want := range stage.(map[string]any)["weights"].(map[string]any) {
					subset := strings.ReplaceAll(version, ".", "-")
					assert.Equal(t, number(want), weights(t, got.get(t, "VirtualService/"+values["app"].(string)))[subset], version)
				}
				lines := strings.Split(manifest, "\n")
				for i, line := range lines {
					if strings.HasPrefix(strings.TrimSpace(line), "weight: ") {
						lines[i] = "weight"
					}
				}
				rest := strings.Join(lines, "\n")
				if first == "" {
					first = rest
				}
				assert.Equal(t, first, rest)
			}
		})
	}
}

func TestRoutingDefaults(t *testing.T) {
	got := renderObjects(t, routing)
	assert.Equal(t, map[string]any{
		"host":          "shop",
		"trafficPolicy": map[string]any{"connectionPool": map[string]any{"http": map[string]any{"http1MaxPendingRequests": float64(1000)}}},
		"subsets": []any{
			map[string]any{"name": "v1-0", "labels": map[string]any{"version": "v1.0"}},
			map[string]any{"name": "v2-0", "labels": map[string]any{"version": "v2.0"}},
		},
	}, got.get(t, "DestinationRule/shop").Object["spec"])
	route := func(subset string, weight float64) any {
		return map[string]any{
			"destination": map[string]any{"host": "shop", "subset": subset, "port": map[string]any{"number": float64(9080)}},
			"weight":      weight,
		}
	}
	assert.Equal(t, map[string]any{
		"hosts":    []any{"shop"},
		"gateways": []any{"mesh"},
		"http": []any{map[string]any{
			"match":   []any{map[string]any{"port": float64(9080)}},
			"timeout": "10s", "route": []any{route("v1-0", 100), route("v2-0", 0)},
		}},
	}, got.get(t, "VirtualService/shop").Object["spec"])
}

// TestSubsetOutlivesItsRoutes: a version that has left all stages keeps its subset while it is under versions.
func TestSubsetOutlivesItsRoutes(t *testing.T) {
	got := renderObjects(t, `
app: shop
routing:
  stage: new
  stages: [{name: new, weights: {v2: 100}}]
  versions: {v1: {}}
`)
	assert.Equal(t, map[string]int64{"v2": 100}, weights(t, got.get(t, "VirtualService/shop")))
	subsets, _, err := unstructured.NestedSlice(got.get(t, "DestinationRule/shop").Object, "spec", "subsets")
	require.NoError(t, err)
	assert.Len(t, subsets, 2)
}

// TestPolicyOfAVersion: Istio takes a subset's connection pool instead of the App's; ours adds to it.
func TestPolicyOfAVersion(t *testing.T) {
	got := renderObjects(t, routing+`
  trafficPolicy: {loadBalancer: {simple: RANDOM}}
  versions:
    v1.0: {trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}
    v2.0: {trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}}}
`)
	spec := got.get(t, "DestinationRule/shop").Object["spec"].(map[string]any)
	queue := map[string]any{"http1MaxPendingRequests": float64(1000)}
	assert.Equal(t, map[string]any{
		"connectionPool": map[string]any{"http": queue},
		"loadBalancer":   map[string]any{"simple": "RANDOM"},
	}, spec["trafficPolicy"])
	subsets := spec["subsets"].([]any)
	assert.Equal(t, map[string]any{"loadBalancer": map[string]any{"simple": "ROUND_ROBIN"}}, subsets[0].(map[string]any)["trafficPolicy"])
	assert.Equal(t, map[string]any{"connectionPool": map[string]any{
		"http": queue,
		"tcp":  map[string]any{"maxConnections": float64(1)},
	}}, subsets[1].(map[string]any)["trafficPolicy"])
}

// TestGatewayFollowsRouting: who comes from outside is divided as the mesh is, at each stage.
func TestGatewayFollowsRouting(t *testing.T) {
	for _, stage := range []string{"old", "canary", "new"} {
		values := parse(t, routing+"exposure: {kind: istio, hosts: [shop.example.com], paths: {a: {path: /a}, b: {path: /b, pathType: Exact}}}")
		values["routing"].(map[string]any)["stage"] = stage
		got := renderValues(t, values)
		outside := got.get(t, "VirtualService/shop-exposure")
		assert.Equal(t, weights(t, got.get(t, "VirtualService/shop")), weights(t, outside), stage)
		http, _, err := unstructured.NestedSlice(outside.Object, "spec", "http")
		require.NoError(t, err)
		require.Len(t, http, 1)
		assert.Equal(t, []any{
			map[string]any{"uri": map[string]any{"prefix": "/a"}},
			map[string]any{"uri": map[string]any{"exact": "/b"}},
		}, http[0].(map[string]any)["match"])
	}
}

func TestOperatorsOwnRoutesComeFirst(t *testing.T) {
	got := renderObjects(t, routing+`
  http:
    - match: [{headers: {end-user: {exact: jason}}}]
      route: [{destination: {host: shop, subset: v2-0}}]
  retries: {attempts: 0}
`)
	http, _, err := unstructured.NestedSlice(got.get(t, "VirtualService/shop").Object, "spec", "http")
	require.NoError(t, err)
	require.Len(t, http, 2)
	assert.Contains(t, http[0], "match")
	assert.Equal(t, map[string]any{"attempts": float64(0)}, http[1].(map[string]any)["retries"])
}

// TestOtherPortsAreLeftAlone: in the mesh, what is sent to another port of the Service is not for the routes to the port
// of routing. At a gateway, which has ports of its own, they hold whatever the port.
func TestOtherPortsAreLeftAlone(t *testing.T) {
	matches := func(id, kind, text string) (out []any) {
		t.Helper()
		routes, _, err := unstructured.NestedSlice(renderObjects(t, routing+text).get(t, id).Object, "spec", kind)
		require.NoError(t, err)
		for _, r := range routes {
			out = append(out, r.(map[string]any)["match"])
		}
		return out
	}
	const own = `
  match: [{uri: {prefix: /a}}, {uri: {prefix: /b}, gateways: [mesh]}, {port: 9090}]
  http: [{match: [{uri: {exact: /c}}], redirect: {uri: /d}}, {match: [{uri: {exact: /e}, gateways: [edge]}], redirect: {uri: /f}}]`
	list := func(text string) any { return parse(t, "all: "+text)["all"] }
	for _, c := range []struct{ kind, layer, want string }{
		{"http", own, `[[{uri: {exact: /c}, port: 9080}], [{uri: {exact: /e}, gateways: [edge]}], [{uri: {prefix: /a}, port: 9080}, {uri: {prefix: /b}, gateways: [mesh], port: 9080}, {port: 9090}]]`},
		{"http", "\n  gateways: [mesh, edge]", `[[{port: 9080, gateways: [mesh]}, {gateways: [edge]}]]`},
		{"http", "\n  gateways: [edge]", `[null]`},
		{"http", "\n  hosts: [shop.example.com]", `[null]`},
		{"http", "\n  hosts: [shop, shop.example.com]", `[null]`}, // what is no Service is dialled at 80
		{"http", "\n  hosts: [shop.other]", `[null]`},
		{"http", "\n  hosts: [shop." + namespace + ".svc.cluster.local, shop." + namespace + ".svc, shop." + namespace + ", shop]", `[[{port: 9080}]]`},
		{"http", "\n  gateways: [edge]\n  hosts: [shop.example.com]\n  match: [{}, {uri: {prefix: /a}}]", `[[{}, {uri: {prefix: /a}}]]`}, // all of them
		{"http", "\n  match: [{}, {uri: {prefix: /a}}]", `[[{port: 9080}, {uri: {prefix: /a}, port: 9080}]]`},
		{"tcp", "\n  protocol: TCP", `[[{port: 9080}]]`},
		{"tls", "\n  protocol: TLS\n  hosts: [shop]", `[[{sniHosts: [shop], port: 9080}]]`},
	} {
		assert.Equal(t, list(c.want), any(matches("VirtualService/shop", c.kind, c.layer)), c.layer)
	}
	assert.Equal(t, list(`[[{uri: {exact: /c}}], [{uri: {exact: /e}, gateways: [edge]}], [{uri: {prefix: /a}}, {uri: {prefix: /b}, gateways: [mesh]}, {port: 9090}]]`),
		any(matches("VirtualService/shop-exposure", "http", own+"\nexposure: {kind: istio, hosts: [shop.example.com]}")))
}

func TestExposureWithTLS(t *testing.T) {
	got := renderObjects(t, `
app: shop
exposure: {kind: istio, hosts: [shop.example.com], port: 80, tls: {secretName: shop-cert}}
`)
	servers, _, err := unstructured.NestedSlice(got.get(t, "Gateway/shop").Object, "spec", "servers")
	require.NoError(t, err)
	hosts := []any{"shop.example.com"}
	assert.Equal(t, []any{
		map[string]any{"hosts": hosts, "port": map[string]any{"name": "http", "number": float64(80), "protocol": "HTTP"}, "tls": map[string]any{"httpsRedirect": true}},
		map[string]any{"hosts": hosts, "port": map[string]any{"name": "https", "number": float64(443), "protocol": "HTTPS"}, "tls": map[string]any{"mode": "SIMPLE", "credentialName": "shop-cert"}},
	}, servers)
}

func TestSharedGateway(t *testing.T) {
	got := renderObjects(t, `
app: shop
exposure: {kind: istio, hosts: [shop.example.com], port: 80, gateway: {existing: istio-system/shared}}
`)
	assert.NotContains(t, got, "Gateway/shop")
	gateways, _, err := unstructured.NestedStringSlice(got.get(t, "VirtualService/shop-exposure").Object, "spec", "gateways")
	require.NoError(t, err)
	assert.Equal(t, []string{"istio-system/shared"}, gateways)
}
