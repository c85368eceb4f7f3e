package verify

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/clustertest"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/render"
	"chartbasico/pkg/report"
	"chartbasico/pkg/rollout"
	"chartbasico/pkg/traffic"
)

// anything is what a route without matches asks.
var anything = []request{{path: "/"}}

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
			object(`{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: cart, namespace: shop}, spec: {hosts: [cart], http: [{match: ` + matches + `, route: [{destination: {host: cart, subset: v1, port: {number: 8080}}}]}]}}`),
			object(`{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: cart, namespace: shop}, spec: {subsets: [{name: v1, labels: {version: v1}}]}}`),
		},
	}})
	require.NoError(t, err)
	return apps[0]
}

func TestRequestsAreOfTheRouteThatDivides(t *testing.T) {
	for matches, want := range map[string]struct {
		met       []request
		unmatched string
	}{
		`[]`:                      {met: anything},
		`[{uri: {prefix: /api}}]`: {met: []request{{path: "/api"}}},
		`[{headers: {end-user: {exact: tester}, x-beta: {prefix: "1."}, x-any: {}}}]`: {
			met: []request{{path: "/", header: http.Header{"End-User": {"tester"}, "X-Beta": {"1."}, "X-Any": {"any"}}}},
		},
		`[{uri: {regex: "/v[0-9]+"}}, {uri: {exact: /v1}, method: {exact: GET}, scheme: {exact: http}}]`: {met: []request{{path: "/v1"}}},
		`[{uri: {regex: "/v[0-9]+"}, method: {exact: POST}}, {method: {exact: PUT}}, {headers: {x-beta: {regex: ".*"}}}, {queryParams: {a: {exact: b}}}]`: {
			unmatched: "its route is for requests by uri.regex and method and headers.x-beta.regex and queryParams, of which none is sent",
		},
		`[{authority: {regex: "cart.*"}, scheme: {exact: https}}]`: {unmatched: "its route is for requests by scheme and authority.regex, of which none is sent"},
		`[{sourceLabels: {app: front}, sourceNamespace: shop, gateways: [edge, mesh, other/edge]}]`: {
			met: []request{{path: "/", labels: map[string]string{"app": "front"}, namespace: "shop", gateways: []string{"shop/edge", "mesh", "other/edge"}}},
		},
	} {
		t.Run(matches, func(t *testing.T) {
			got := routedBy(t, matches)
			assert.Equal(t, want.met, got.requests)
			assert.Equal(t, want.unmatched, got.Unmatched)
		})
	}
}

func TestGatewaysAreNamedAsIstioReadsThem(t *testing.T) {
	for named, want := range map[string]string{
		"mesh": "mesh", "edge": "shop/edge", "./edge": "shop/edge", "other/edge": "other/edge", "edge.other": "other/edge", "edge.other.svc.cluster.local": "other/edge",
	} {
		assert.Equal(t, want, gatewayOf(named, "shop"), named)
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
	origins, _ = Origins(routedBy(t, `[{headers: {x-beta: {exact: "1"}}}, {headers: {end-user: {exact: tester}}}]`), at("front"), workloads)
	require.Len(t, origins, 2, "it hands on those of the second match")
	assert.Equal(t, http.Header{"End-User": {"tester"}, "X-Canary": {"yes"}, callHeader: {"http://cart:8080/"}}, origins[0].Load.Header)
	longer := []Workload{
		{Namespace: "shop", App: "front", Version: "v1", Calls: []Call{{"cart", "8080", "/"}, {"desk", "80", "/"}}, labels: map[string]string{"app": "front"}},
		{Namespace: "shop", App: "desk", Version: "v1", Calls: []Call{{"cart", "8080", "/"}}, labels: map[string]string{"app": "desk"}},
	}
	origins, _ = Origins(routedBy(t, `[{headers: {x-beta: {exact: "1"}}, sourceLabels: {app: front}}, {sourceLabels: {app: desk}}]`), at("front"), longer)
	require.Len(t, origins, 3)
	assert.Equal(t, "http://desk:80/;http://cart:8080/", origins[0].Load.Header.Get(callHeader), "a longer way, where the shorter one is none")
	origins, _ = Origins(app, at("cart"), workloads)
	require.Len(t, origins, 2)
	assert.Equal(t, http.Header{"X-Canary": {"yes"}}, origins[0].Load.Header, "the gateway has a route of its own")
	assert.Equal(t, http.Header{"X-Beta": {"1"}}, origins[1].Load.Header)
}

// The operator's own routes come before the one that divides, and are not asked for.
func TestTheGatewayIsAskedForTheRouteThatDivides(t *testing.T) {
	entries := []Entry{
		{Host: "shop.example", Path: "/", Port: 80, App: "cart", Namespace: "shop", route: "shop/cart", Header: http.Header{"X-Tester": {"yes"}}},
		{Host: "shop.example", Path: "/old", Port: 80, App: "cart", Namespace: "shop", route: "shop/cart"},
		{Host: "shop.example", Path: "/", Port: 80, App: "cart", Namespace: "shop", route: "shop/cart", last: true},
	}
	app := routedBy(t, `[]`)
	origins, _ := Origins(app, entries, nil)
	require.Len(t, origins, 1)
	assert.Equal(t, "http://shop.example/", origins[0].Load.URL)
	assert.Empty(t, origins[0].Load.Header)
	origins, _ = Origins(app, entries[:2], nil)
	assert.Empty(t, origins, "what the others divide is not what the stages say")
	assert.Equal(t, "the gateway does not meet its route", notExposed(app, entries[:2], nil, nil))
	entries[1].route = "shop/all"
	origins, _ = Origins(app, entries[:2], nil)
	require.Len(t, origins, 1)
	assert.Equal(t, "http://shop.example/old", origins[0].Load.URL, "another VirtualService divides as well")
}

func TestAnAppWhoseRouteIsNotRequestedIsNone(t *testing.T) {
	running := &Running{Env: &environment.Environment{File: "env.yaml"}, Apps: []App{routedBy(t, `[{uri: {regex: "/v[0-9]+"}}]`)}}
	_, err := running.App("cart")
	assert.EqualError(t, err, "env.yaml: cart: its route is for requests by uri.regex, of which none is sent")
}

// Where the divided route is for others than the gateway, no other way in stands for it.
func TestARouteThatTheGatewayDoesNotMeet(t *testing.T) {
	for _, match := range []string{"sourceLabels: {app: front}", "gateways: [mesh]"} {
		entries, err := Entries(objects(t, `kind: Gateway
apiVersion: networking.istio.io/v1
metadata: {name: edge}
spec: {selector: {istio: edge}, servers: [{port: {number: 80, protocol: HTTP}, hosts: [a.example]}]}
---
kind: VirtualService
apiVersion: networking.istio.io/v1
metadata: {name: cart}
spec: {hosts: [cart, a.example], gateways: [edge, mesh], http: [{match: [{uri: {prefix: /old}}], route: [{destination: {host: cart, subset: v1}}]}, {match: [{`+match+`}], route: [{destination: {host: cart, subset: v2}}]}]}
`))
		require.NoError(t, err)
		require.Len(t, entries, 1)
		origins, _ := Origins(routedBy(t, `[{`+match+`}]`), entries, nil)
		assert.Empty(t, origins, match)
	}
}

// Who calls the app sends what meets its route there, and is no origin where nothing does.
func TestEachCallerMeetsTheRouteByItsOwnRequests(t *testing.T) {
	workloads := []Workload{
		{Namespace: "shop", App: "front", Version: "v1", Pods: []string{"f"}, Injected: true, Calls: []Call{{"cart", "8080", "/"}}, labels: map[string]string{"app": "front", "tier": "web"}},
		{Namespace: "back", App: "batch", Version: "v1", Pods: []string{"b"}, Injected: true, Calls: []Call{{"cart.shop", "8080", "/"}}, labels: map[string]string{"app": "batch"}},
	}
	const both = "front/v1 http://cart:8080/, batch/v1 http://cart.shop:8080/"
	for matches, want := range map[string]struct {
		origins, carriers string
		some              bool
	}{
		`[]`: {both, "shop/f, back/b", false},
		`[{sourceLabels: {app: front, tier: web}}]`:                                                 {"front/v1 http://cart:8080/", "shop/f", true},
		`[{sourceNamespace: back}]`:                                                                 {"batch/v1 http://cart.shop:8080/", "back/b", true},
		`[{authority: {exact: "cart:8080"}}]`:                                                       {"front/v1 http://cart:8080/", "shop/f, back/b", false},
		`[{authority: {prefix: cart}}]`:                                                             {both, "shop/f, back/b", false},
		`[{authority: {exact: cart}}]`:                                                              {"", "shop/f, back/b", false}, // proxies compare the port as well
		`[{sourceLabels: {app: other}}]`:                                                            {"", "", true},
		`[{sourceNamespace: back, uri: {prefix: /b}}, {uri: {prefix: /a}}]`:                         {"front/v1 http://cart:8080/a, batch/v1 http://cart.shop:8080/b", "shop/f, back/b", false},
		`[{gateways: [edge], uri: {prefix: /api}, headers: {x: {exact: "1"}}}, {gateways: [mesh]}]`: {both, "shop/f, back/b", false},
		`[{gateways: [edge], uri: {prefix: /api}}]`:                                                 {"", "", true},
		`[{gateways: [edge, mesh], sourceLabels: {app: other}}]`:                                    {both, "shop/f, back/b", false},
		`[{sourceLabels: {app: front}, headers: {x: {exact: "1"}}}, {sourceNamespace: back, headers: {x: {exact: "2"}}}]`: {"front/v1 http://cart:8080/ 1, batch/v1 http://cart.shop:8080/ 2", "shop/f, back/b", true},
	} {
		t.Run(matches, func(t *testing.T) {
			app := routedBy(t, matches)
			var found []string
			origins, direct := Origins(app, nil, workloads)
			assert.Equal(t, origins, direct)
			for _, o := range origins {
				found = append(found, strings.TrimSpace(o.Name+" "+o.Load.URL+" "+o.Load.Header.Get("X")))
			}
			assert.Equal(t, want.origins, strings.Join(found, ", "))
			route := app.carried(rollout.Route{}, workloads)
			assert.Equal(t, want.carriers, strings.Join(route.Carriers, ", "))
			told, err := app.route(app.Release, "")
			require.NoError(t, err)
			assert.Equal(t, want.some, len(told.Splits(cluster.Proxy{Namespace: "else"}, app.Host, 8080)) == 0)
		})
	}
}

// A proxy is given the routes that are for it, up to one that takes everything, and is waited for until it has those.
func TestEachProxyIsGivenTheRoutesThatAreForIt(t *testing.T) {
	releases := objects(t, `kind: Gateway
apiVersion: networking.istio.io/v1
metadata: {name: edge}
spec: {selector: {istio: edge}, servers: [{port: {number: 80, protocol: HTTP}, hosts: [a.example]}, {port: {number: 8443, protocol: HTTPS}, hosts: [b.example]}]}
---
kind: DestinationRule
apiVersion: networking.istio.io/v1
metadata: {name: cart}
spec: {host: cart, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
kind: VirtualService
apiVersion: networking.istio.io/v1
metadata: {name: cart}
spec: {hosts: [x], http: []}
`)
	vs := object(releases[0], "VirtualService", "cart")
	tester := cluster.Proxy{Namespace: "shop", Labels: map[string]string{"app": "tester"}}
	front := cluster.Proxy{Namespace: "shop", Labels: map[string]string{"app": "front"}}
	edge := cluster.Proxy{Namespace: "edge", Gateway: true, Labels: map[string]string{"istio": "edge"}}
	team := cluster.Proxy{Namespace: "istio-system", Gateway: true, Labels: map[string]string{"istio": "ingressgateway"}}
	const cart = "cart.shop.svc.cluster.local"
	const toV2 = `, route: [{destination: {host: cart, subset: v2}}]}`
	const half = `route: [{destination: {host: cart, subset: v1}, weight: 50}, {destination: {host: cart, subset: v2}, weight: 50}]}`
	const mine, old, beta = `{match: [{sourceLabels: {app: tester}}]` + toV2, `{match: [{uri: {prefix: /old}}]` + toV2, `{match: [{headers: {x-beta: {exact: "1"}}}]` + toV2
	const toMesh, toEdge = `hosts: [cart]`, `hosts: [a.example, cart], gateways: [edge, mesh]`
	for name, c := range map[string]struct {
		of, http string
		proxy    cluster.Proxy
		host     string
		port     int
		want     string
	}{
		"one for all":                       {toMesh, `{` + half, front, cart, 8080, "1:50 2:50"},
		"all of a caller's":                 {toMesh, mine + `, {` + half, tester, cart, 8080, "2:100"},
		"of another's none":                 {toMesh, mine + `, {` + half, front, cart, 8080, "1:50 2:50"},
		"a caller's, of one path":           {toMesh, `{match: [{sourceLabels: {app: tester}, uri: {prefix: /t}}]` + toV2 + `, {` + half, tester, cart, 8080, "2:100, 1:50 2:50"},
		"an own one, and one for some":      {toMesh, old + `, {match: [{sourceLabels: {app: front}}], ` + half, front, cart, 8080, "2:100, 1:50 2:50"},
		"an own one, and one for others":    {toMesh, old + `, {match: [{sourceLabels: {app: front}}], ` + half, tester, cart, 8080, "2:100"},
		"by header, and by path":            {toMesh, beta + `, {match: [{uri: {prefix: /}}], ` + half, front, cart, 8080, "2:100, 1:50 2:50"},
		"of another namespace":              {toMesh, `{match: [{sourceNamespace: back}], ` + half, front, cart, 8080, ""},
		"one of a port, there":              {toMesh, `{match: [{port: 8080}], ` + half, front, cart, 8080, "1:50 2:50"},
		"one of a port, at another":         {toMesh, `{match: [{port: 8080}], ` + half, front, cart, 9000, ""},
		"one that leads elsewhere":          {toMesh, `{match: [{uri: {exact: /}}], route: [{destination: {host: other}}]}, {` + half, front, cart, 8080, "1:50 2:50"},
		"of another host":                   {toMesh, `{` + half, front, "other.shop.svc.cluster.local", 8080, ""},
		"at a gateway, one of the mesh":     {toMesh, `{` + half, edge, "a.example", 80, ""},
		"in the mesh, one of a gateway":     {`hosts: [cart], gateways: [edge]`, `{` + half, front, cart, 8080, ""},
		"in the mesh, one of another host":  {`hosts: [a.example], gateways: [edge, mesh]`, `{` + half, front, cart, 8080, ""},
		"at its gateway":                    {toEdge, `{` + half, edge, "a.example", 80, "1:50 2:50"},
		"at its gateway, at another port":   {toEdge, `{` + half, edge, "a.example", 8080, ""},
		"at its gateway, at another's port": {toEdge, `{` + half, edge, "a.example", 8443, ""},
		"at another's gateway":              {toEdge, `{` + half, team, "a.example", 80, ""},
		"at a gateway of no release":        {`hosts: [a.example], gateways: [team/main]`, `{` + half, team, "a.example", 8080, "1:50 2:50"},
		"at its gateway, one of some pods":  {toEdge, old + `, {match: [{sourceLabels: {app: front}}], ` + half, edge, "a.example", 80, "2:100"},
		"at its gateway, by its labels":     {toEdge, `{match: [{sourceLabels: {istio: edge}}], ` + half, edge, "a.example", 80, "1:50 2:50"},
		"at its gateway, by its name":       {toEdge, old + `, {match: [{gateways: [edge]}], ` + half, edge, "a.example", 80, "2:100, 1:50 2:50"},
		"at its gateway, one for the mesh":  {toEdge, old + `, {match: [{gateways: [mesh]}], ` + half, edge, "a.example", 80, "2:100"},
		"after one that another completes":  {toMesh, `{match: [{uri: {prefix: /}}], delegate: {name: more}}, {` + half, front, cart, 8080, "1:50 2:50"},
		"exported to its namespace":         {toMesh + `, exportTo: ['.', back]`, `{` + half, front, cart, 8080, "1:50 2:50"},
		"exported to another":               {toMesh + `, exportTo: [back]`, `{` + half, front, cart, 8080, ""},
		"a host with capitals":              {`hosts: [A.Example], gateways: [edge]`, `{` + half, edge, "a.example", 80, "1:50 2:50"},
		"in the mesh, one for a gateway":    {toEdge, old + `, {match: [{gateways: [edge]}], ` + half, front, cart, 8080, "2:100"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := map[string]any{}
			require.NoError(t, yaml.Unmarshal([]byte(`{`+c.of+`, http: [`+c.http+`]}`), &spec))
			vs.Object["spec"] = spec
			servers, err := serversOf(releases)
			require.NoError(t, err)
			route, err := App{Name: "cart", Host: cart, servers: servers}.route(releases[0], "")
			require.NoError(t, err)
			var got []string
			for _, s := range route.Splits(c.proxy, c.host, c.port) {
				got = append(got, strings.NewReplacer("map[", "", "]", "", "v", "").Replace(fmt.Sprint(s.Weights)))
			}
			assert.Equal(t, c.want, strings.Join(got, ", "))
		})
	}
}

// Exposure beside routing divides at the gateway, by a VirtualService of its own that has all of the routes: the stage has to
// arrive there too, and what the others of them divide is not what the stages say.
func TestExposureBesideRoutingDivides(t *testing.T) {
	chart, err := filepath.Abs("../../charts/chart_basico")
	require.NoError(t, err)
	dir := t.TempDir()
	env := filepath.Join(dir, "env.yaml")
	require.NoError(t, os.WriteFile(env, []byte("releases: [{name: cart, namespace: shop, chart: "+chart+", values: [cart.yaml]}]\n"), 0o600))
	with := func(routing, exposure string) []*render.Release {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "cart.yaml"), []byte(`app: cart
service: {ports: {http: {port: 8080}}}
routing:
  port: 8080
  stage: half
  stages: [{name: half, weights: {v1: 50, v2: 50}}]
`+routing+`
exposure: {kind: istio, hosts: [a.example], `+exposure+`}
`), 0o600))
		return rendered(t, env)
	}
	const old = "  http: [{match: [{uri: {prefix: /old}}], route: [{destination: {host: cart, subset: v1}}]}]\n"
	releases := with(old, "")
	apps, err := Apps(releases)
	require.NoError(t, err)
	route, err := apps[0].route(releases[0], "")
	require.NoError(t, err)
	gateway := cluster.Proxy{Gateway: true, Labels: map[string]string{"istio": "ingressgateway"}}
	own, half := rollout.Split{Weights: map[string]int{"v1": 100}}, rollout.Split{Weights: map[string]int{"v1": 50, "v2": 50}}
	assert.Equal(t, []rollout.Split{own, half}, route.Splits(gateway, "a.example", 80))
	assert.Equal(t, []rollout.Split{own, half}, route.Splits(cluster.Proxy{}, apps[0].Host, 8080))
	narrowed, err := apps[0].route(releases[0], "v1")
	require.NoError(t, err)
	half.Timeout = 10 * time.Second
	assert.Equal(t, []rollout.Split{own, half}, narrowed.Splits(gateway, "a.example", 80))
	url := func(releases []*render.Release) string {
		entries, err := Entries(releases)
		require.NoError(t, err)
		apps, err := Apps(releases)
		require.NoError(t, err)
		origins, _ := Origins(apps[0], entries, nil)
		if len(origins) == 0 {
			return notExposed(apps[0], entries, nil, nil)
		}
		return origins[0].Load.URL
	}
	assert.Equal(t, "http://a.example/", url(releases))
	assert.Equal(t, "the gateway does not meet its route", url(with(old+"  match: [{sourceLabels: {app: front}}]", "")))
	assert.Equal(t, "http://a.example/a", url(with("", "paths: {a: {path: /a}, b: {path: /b}}")), "each path divides")
}

// Who calls an app whose VirtualService is for a gateway alone is divided by nothing.
func TestARouteForAGatewayAloneIsMeasuredThereAlone(t *testing.T) {
	workloads := []Workload{{Namespace: "shop", App: "front", Version: "v1", Pods: []string{"f"}, Injected: true, Calls: []Call{{"cart", "8080", "/"}}}}
	app := routedBy(t, `[]`)
	origins, _ := Origins(app, nil, workloads)
	require.Len(t, origins, 1)
	require.NoError(t, unstructured.SetNestedStringSlice(app.Release.Objects[0].Object, []string{"edge"}, "spec", "gateways"))
	apps, err := Apps([]*render.Release{app.Release})
	require.NoError(t, err)
	origins, _ = Origins(apps[0], nil, workloads)
	assert.Empty(t, origins)
	assert.Empty(t, apps[0].carried(rollout.Route{}, workloads).Carriers)
	_, whys := notAsked(apps[0], workloads)
	assert.Equal(t, []string{"its VirtualService is not for requests to it in the mesh, as those of front/v1 are"}, whys)
}

// Who is taken whole by a route before the one that divides is not measured by the stages.
func TestWhomAnEarlierRouteTakes(t *testing.T) {
	var workloads []Workload
	for _, name := range []string{"front", "tester"} {
		workloads = append(workloads, Workload{Namespace: "shop", App: name, Version: "v1", Pods: []string{name}, Injected: true, Calls: []Call{{"cart", "8080", "/"}}, labels: map[string]string{"app": name}})
	}
	app := routedBy(t, `[]`)
	vs := app.Release.Objects[0]
	routes, _, _ := unstructured.NestedSlice(vs.Object, "spec", "http")
	with := func(earlier string) ([]rollout.Origin, App, []Entry) {
		var own map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(earlier), &own))
		require.NoError(t, unstructured.SetNestedSlice(vs.Object, append([]any{own}, routes...), "spec", "http"))
		require.NoError(t, unstructured.SetNestedStringSlice(vs.Object, []string{"mesh", "edge"}, "spec", "gateways"))
		require.NoError(t, unstructured.SetNestedStringSlice(vs.Object, []string{"cart", "a.example"}, "spec", "hosts"))
		edge := objects(t, `{kind: Gateway, apiVersion: networking.istio.io/v1, metadata: {name: edge}, spec: {servers: [{port: {number: 80, protocol: HTTP}, hosts: [a.example]}]}}`)
		apps, err := Apps([]*render.Release{app.Release})
		require.NoError(t, err)
		entries, err := Entries(append(edge, app.Release))
		require.NoError(t, err)
		origins, _ := Origins(apps[0], entries, workloads)
		return origins, apps[0], entries
	}
	names := func(origins []rollout.Origin) (all []string) {
		for _, o := range origins {
			all = append(all, o.Name)
		}
		return all
	}
	origins, cart, _ := with(`{match: [{sourceLabels: {app: tester}}], route: [{destination: {host: other}}]}`)
	assert.Equal(t, []string{GatewayName, "front/v1"}, names(origins))
	assert.Equal(t, []string{"shop/front"}, cart.carried(rollout.Route{}, workloads).Carriers)
	_, whys := notAsked(cart, workloads)
	assert.Equal(t, []string{"a route before the one that divides takes all requests of tester/v1"}, whys)

	origins, _, entries := with(`{match: [{gateways: [edge]}], route: [{destination: {host: cart, subset: v1}}]}`)
	assert.Equal(t, []string{"front/v1", "tester/v1"}, names(origins))
	assert.Len(t, entries, 1)

	origins, _, _ = with(`{match: [{uri: {prefix: /old}}], route: [{destination: {host: cart, subset: v1}}]}`)
	assert.Equal(t, []string{GatewayName, "front/v1", "tester/v1"}, names(origins))
	origins, _, _ = with(`{route: [{destination: {host: cart, subset: v1}}]}`)
	assert.Empty(t, origins)
}

// Neither is who does not see it, and a gateway that does not lead to the app is sent nothing.
func TestARouteThatIsNotExportedIsMeasuredWhereItIs(t *testing.T) {
	workloads := []Workload{{Namespace: "shop", App: "front", Version: "v1", Pods: []string{"f"}, Injected: true, Calls: []Call{{"cart", "8080", "/"}}},
		{Namespace: "back", App: "desk", Version: "v1", Pods: []string{"d"}, Injected: true, Calls: []Call{{"cart.shop", "8080", "/"}}}}
	app := routedBy(t, `[]`)
	require.NoError(t, unstructured.SetNestedStringSlice(app.Release.Objects[0].Object, []string{"."}, "spec", "exportTo"))
	apps, err := Apps([]*render.Release{app.Release})
	require.NoError(t, err)
	assert.Equal(t, []string{"shop/f"}, apps[0].carried(rollout.Route{}, workloads).Carriers)
	_, whys := notAsked(apps[0], workloads)
	assert.Equal(t, []string{"its VirtualService is not exported to the namespace of desk/v1"}, whys)

	var asked []string
	running := &Running{
		Cluster: &clustertest.Fake{OnSend: func(_ context.Context, from cluster.Place, load traffic.Load) (traffic.Tally, error) {
			asked = append(asked, load.URL)
			return traffic.Tally{}, nil
		}},
		entries: []Entry{{Gateway: "istio=other", Host: "b.example", Port: 80, Path: "/", App: "other", Namespace: "shop"}},
	}
	origins, _, err := running.originsOf(t.Context(), apps[0], workloads)
	require.NoError(t, err)
	assert.Len(t, origins, 1)
	assert.Equal(t, []string{"http://cart:8080/"}, asked)
}

// Of two ports that a workload calls, the one is asked whose requests are divided.
func TestACallerIsAskedAtThePortThatDivides(t *testing.T) {
	for _, calls := range [][]Call{{{"cart", "9000", "/"}, {"cart", "8080", "/"}}, {{"cart", "8080", "/"}, {"cart", "9000", "/"}}} {
		origins, _ := Origins(routedBy(t, `[{port: 8080}]`), nil, []Workload{{Namespace: "shop", App: "front", Version: "v1", Calls: calls}})
		require.Len(t, origins, 1)
		assert.Equal(t, "http://cart:8080/", origins[0].Load.URL)
	}
	app, front := routedBy(t, `[{port: 8080}]`), []Workload{{Namespace: "shop", App: "front", Version: "v1", Calls: []Call{{"cart", "9000", "/"}}}}
	origins, _ := Origins(app, nil, front)
	assert.Empty(t, origins)
	_, whys := notAsked(app, front)
	assert.Equal(t, []string{"its route is for requests by port, and those of front/v1 are others"}, whys)
}

// Where no caller meets the route, that is not what was expected.
func TestARouteThatNoCallerMeetsIsSaid(t *testing.T) {
	r := cart(t, nil)
	r.workloads = []Workload{{Namespace: "shop", App: "front", Version: "v1", Calls: []Call{{"cart", "8080", "/"}}}}
	app := routedBy(t, `[{sourceLabels: {app: batch}, authority: {exact: cart}}]`)
	require.NoError(t, r.routing(t.Context(), app, nil))
	const why = "neither it nor what calls it is exposed, and its route is for requests by authority and sourceLabels, and those of front/v1 are others"
	assert.Equal(t, []report.NotRun{{Environment: "shop", What: "routing of cart", Reason: why}}, r.report.NotRun)
	_, _, err := (&Running{Cluster: r.cluster}).originsOf(t.Context(), app, r.workloads)
	require.EqualError(t, err, "cart: "+why+", so there is nowhere to send requests from")
}

// A way in is what meets the route at its gateway.
func TestEntriesMeetTheRouteAtTheirGateway(t *testing.T) {
	const web = "kind: Service\napiVersion: v1\nmetadata: {name: web}\n---\n"
	const gateways = `kind: Gateway
apiVersion: networking.istio.io/v1
metadata: {name: plain}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, protocol: HTTP}, hosts: [a.example]}]}
---
kind: Gateway
apiVersion: networking.istio.io/v1
metadata: {name: edge}
spec: {selector: {istio: edge}, servers: [{port: {number: 8080, protocol: HTTP}, hosts: [a.example]}]}
---
`
	for matches, want := range map[string]struct{ url, header, why string }{
		`{}`:                                   {url: "http://a.example:8080/"},
		`{authority: {exact: "a.example"}}`:    {url: "http://a.example/"},
		`{authority: {prefix: a.ex}}`:          {url: "http://a.example:8080/"},
		`{authority: {exact: b.example}}`:      {why: "a route is for requests by authority, of which none is sent"},
		`{sourceLabels: {istio: edge}}`:        {url: "http://a.example:8080/"},
		`{sourceLabels: {app: front}}`:         {why: "a route is for requests by sourceLabels, of which none is sent"},
		`{gateways: [plain], uri: {exact: /}}`: {url: "http://a.example/"},
		`{gateways: [mesh]}`:                   {},
		`{gateways: [edge], uri: {prefix: /api}, headers: {x: {exact: "1"}}}, {gateways: [mesh, plain]}`: {url: "http://a.example:8080/api", header: "1"},
	} {
		t.Run(matches, func(t *testing.T) {
			releases := objects(t, web+gateways+`kind: VirtualService
apiVersion: networking.istio.io/v1
metadata: {name: web}
spec: {hosts: [a.example], gateways: [plain, edge, mesh], http: [{match: [`+matches+`], route: [{destination: {host: web}}]}]}
`)
			entries, err := Entries(releases)
			require.NoError(t, err)
			if want.url == "" {
				assert.Empty(t, entries)
			} else {
				require.Len(t, entries, 1)
				assert.Equal(t, want.url, entries[0].url())
				assert.Equal(t, want.header, entries[0].Header.Get("X"))
			}
			exposures, err := Unrequested(releases)
			require.NoError(t, err)
			var whys []string
			for _, e := range exposures {
				whys = append(whys, e.Why)
			}
			if want.why == "" {
				assert.Empty(t, whys)
			} else {
				assert.Contains(t, whys, want.why)
			}
		})
	}
}
