package verify

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"chartbasico/pkg/environment"
	"chartbasico/pkg/render"
)

// routedBy is an app whose divided route has these matches.
func routedBy(t *testing.T, matches string) App {
	t.Helper()
	object := func(text string) *unstructured.Unstructured {
		o := &unstructured.Unstructured{}
		require.NoError(t, yaml.Unmarshal([]byte(text), &o.Object))
		return o
	}
	apps, err := Apps([]*render.Release{{
		Values: map[string]any{"app": "cart", "routing": map[string]any{"stage": "v1", "stages": []any{map[string]any{"name": "v1", "weights": map[string]any{"v1": 100}}}}},
		Objects: []*unstructured.Unstructured{
			object(`{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: cart, namespace: shop}, spec: {http: [{match: ` + matches + `, route: [{destination: {host: cart, subset: v1, port: {number: 8080}}}]}]}}`),
			object(`{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: cart, namespace: shop}, spec: {subsets: [{name: v1, labels: {version: v1}}]}}`),
		},
	}})
	require.NoError(t, err)
	return apps[0]
}

func TestRequestsAreOfTheRouteThatDivides(t *testing.T) {
	for matches, want := range map[string]App{
		`[]`:                      {Path: "/"},
		`[{uri: {prefix: /api}}]`: {Path: "/api"},
		`[{headers: {end-user: {exact: tester}, x-beta: {prefix: "1."}, x-any: {}}}]`: {
			Path: "/", Header: http.Header{"End-User": {"tester"}, "X-Beta": {"1."}, "X-Any": {"any"}},
		},
		`[{uri: {regex: "/v[0-9]+"}}, {uri: {exact: /v1}, method: {exact: GET}, scheme: {exact: http}}]`: {Path: "/v1"},
		`[{uri: {regex: "/v[0-9]+"}, method: {exact: POST}}, {method: {exact: PUT}}, {headers: {x-beta: {regex: ".*"}}}, {queryParams: {a: {exact: b}}}]`: {
			Unmatched: "its route is for requests by uri.regex and method and headers.x-beta.regex and queryParams, of which none is sent",
		},
		`[{authority: {exact: cart.example}, sourceLabels: {app: front}, sourceNamespace: shop, scheme: {exact: https}}]`: {
			Unmatched: "its route is for requests by scheme and authority and sourceLabels and sourceNamespace, of which none is sent",
		},
	} {
		t.Run(matches, func(t *testing.T) {
			got := routedBy(t, matches)
			assert.Equal(t, want, App{Path: got.Path, Header: got.Header, Unmatched: got.Unmatched})
		})
	}
}

// The headers go along from wherever requests come, if what is called on the way hands them on.
func TestOriginsSendTheHeadersOfTheRoute(t *testing.T) {
	workloads := []Workload{{Namespace: "shop", App: "front", Version: "v1", Calls: []Call{{"cart", "8080", "/"}}}}
	at := func(app string) []Entry {
		return []Entry{{Host: "shop.example", Path: "/", Port: 80, App: app, Namespace: "shop", Header: http.Header{"X-Canary": {"yes"}}}}
	}
	app := routedBy(t, `[{headers: {end-user: {exact: tester}}}]`)
	origins, _ := Origins(app, at("front"), workloads)
	require.Len(t, origins, 2)
	assert.Equal(t, http.Header{"End-User": {"tester"}, "X-Canary": {"yes"}, callHeader: {"http://cart:8080/"}}, origins[0].Load.Header)
	assert.Equal(t, http.Header{"End-User": {"tester"}}, origins[1].Load.Header)

	app = routedBy(t, `[{headers: {x-beta: {exact: "1"}}}]`)
	origins, _ = Origins(app, at("front"), workloads)
	require.Len(t, origins, 1, "front would not hand it on")
	assert.Equal(t, "front/v1", origins[0].Name)
	origins, _ = Origins(app, at("cart"), workloads)
	require.Len(t, origins, 2)
	assert.Equal(t, http.Header{"X-Beta": {"1"}, "X-Canary": {"yes"}}, origins[0].Load.Header)
}

// The operator's own routes come before the one that divides, and are not asked for.
func TestTheGatewayIsAskedForTheRouteThatDivides(t *testing.T) {
	entries := []Entry{
		{Host: "shop.example", Path: "/", Port: 80, App: "cart", Namespace: "shop", Header: http.Header{"X-Tester": {"yes"}}},
		{Host: "shop.example", Path: "/old", Port: 80, App: "cart", Namespace: "shop"},
		{Host: "shop.example", Path: "/", Port: 80, App: "cart", Namespace: "shop", last: true},
	}
	app := routedBy(t, `[]`)
	origins, _ := Origins(app, entries, nil)
	require.Len(t, origins, 1)
	assert.Equal(t, "http://shop.example/", origins[0].Load.URL)
	assert.Empty(t, origins[0].Load.Header)
	origins, _ = Origins(app, entries[:2], nil)
	assert.Equal(t, "http://shop.example/old", origins[0].Load.URL)
}

func TestAnAppWhoseRouteIsNotRequestedIsNone(t *testing.T) {
	running := &Running{Env: &environment.Environment{File: "env.yaml"}, Apps: []App{routedBy(t, `[{uri: {regex: "/v[0-9]+"}}]`)}}
	_, err := running.App("cart")
	require.ErrorIs(t, err, ErrNoApp)
	assert.EqualError(t, err, "env.yaml: no such app with routing: cart: its route is for requests by uri.regex, of which none is sent")
}
