package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/clustertest"
	"chartbasico/pkg/render"
	"chartbasico/pkg/report"
	"chartbasico/pkg/traffic"
)

// objects reads YAML documents as what a release in shop renders.
func objects(t *testing.T, documents string) []*render.Release {
	t.Helper()
	r := &render.Release{}
	for _, text := range strings.Split(documents, "---\n") {
		o := &unstructured.Unstructured{}
		require.NoError(t, yaml.Unmarshal([]byte(text), &o.Object))
		o.SetNamespace("shop")
		r.Objects = append(r.Objects, o)
	}
	return []*render.Release{r}
}

func TestExposuresThatAreNotRequested(t *testing.T) {
	const web = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n---\n"
	const istio = "apiVersion: networking.istio.io/v1\n"
	const http = "{port: {number: 80, protocol: HTTP}, hosts: [a.example]}"
	const redirect = "{port: {number: 80, protocol: HTTP}, tls: {httpsRedirect: true}, hosts: [a.example]}"
	const https = "{port: {number: 443, protocol: HTTPS}, hosts: [a.example]}"
	gateway := func(servers string) string {
		return istio + "kind: Gateway\nmetadata: {name: web}\nspec: {servers: [" + servers + "]}\n---\n"
	}
	virtual := func(gateway, match string) string {
		return istio + "kind: VirtualService\nmetadata: {name: web}\nspec: {hosts: [a.example], gateways: [" + gateway + "], http: [{match: [" + match + "], route: [{destination: {host: web}}]}]}\n"
	}
	exposed := func(object, why string) []Exposure {
		return []Exposure{{Object: object, Hosts: []string{"web.shop.svc.cluster.local"}, Why: why}}
	}
	const only = "requests are sent through Istio's own Gateways alone"
	for name, c := range map[string]struct {
		objects string
		want    []Exposure
	}{
		"plain HTTP":           {gateway(http) + virtual("web", ""), nil},
		"the mesh":             {virtual("mesh", ""), nil},
		"TLS for others":       {gateway(http+",{port: {number: 443, protocol: HTTPS}, hosts: [b.example]}") + virtual("web", ""), nil},
		"TLS for a namespace":  {gateway(http+",{port: {number: 443, protocol: HTTPS}, hosts: [other/a.example, \"*/b.example\"]}") + virtual("web", ""), nil},
		"TLS for its own":      {gateway(http+",{port: {number: 443, protocol: HTTPS}, hosts: [\"./*.example\"]}") + virtual("web", ""), exposed("VirtualService/shop/web", "its Gateway shop/web serves HTTPS at port 443, and requests are sent as plain HTTP")},
		"others alone":         {gateway("{port: {number: 80, protocol: HTTP}, hosts: [b.example]}") + virtual("web", ""), exposed("VirtualService/shop/web", "its Gateway shop/web serves none of its hosts")},
		"two Gateways":         {gateway(http) + strings.Replace(gateway(http), "name: web", "name: too", 1) + virtual("web, too", `{uri: {regex: "/v."}}`), exposed("VirtualService/shop/web", "a route is for requests by uri.regex, of which none is sent")},
		"TLS beside it":        {gateway(http+","+https+","+https) + virtual("web", ""), exposed("VirtualService/shop/web", "its Gateway shop/web serves HTTPS at port 443, and requests are sent as plain HTTP")},
		"TLS, with a redirect": {gateway(redirect+","+https) + virtual("web", ""), exposed("VirtualService/shop/web", "its Gateway shop/web serves HTTPS at port 443, and requests are sent as plain HTTP")},
		"a redirect alone":     {gateway(redirect) + virtual("web", ""), exposed("VirtualService/shop/web", "its Gateway shop/web only redirects")},
		"another's Gateway":    {virtual("istio-system/all", ""), exposed("VirtualService/shop/web", "its Gateway istio-system/all is of no release of the environment")},
		"a regex":              {gateway(http) + virtual("web", `{uri: {regex: "/v."}}`), exposed("VirtualService/shop/web", "a route is for requests by uri.regex, of which none is sent")},
		"an Ingress":           {"apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: in}\nspec: {rules: [{http: {paths: [{backend: {service: {name: web}}}]}}]}\n", exposed("Ingress/shop/in", only)},
		"an Ingress' default":  {"apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: in}\nspec: {defaultBackend: {service: {name: web}}}\n", exposed("Ingress/shop/in", only)},
		"an HTTPRoute":         {"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: in}\nspec: {parentRefs: [{name: all}], rules: [{backendRefs: [{name: web}]}]}\n", exposed("HTTPRoute/shop/in", only)},
		"an HTTPRoute inside":  {"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: in}\nspec: {parentRefs: [{name: web, kind: Service, group: \"\"}], rules: [{backendRefs: [{name: web}]}]}\n", nil},
		"a Route":              {"apiVersion: route.openshift.io/v1\nkind: Route\nmetadata: {name: in}\nspec: {to: {kind: Service, name: web}}\n", exposed("Route/shop/in", only)},
		"what is not ours":     {"apiVersion: route.openshift.io/v1\nkind: Route\nmetadata: {name: in}\nspec: {to: {kind: Service, name: other}}\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := Unrequested(objects(t, web+c.objects))
			require.NoError(t, err)
			if len(c.want) == 0 {
				assert.Empty(t, found)
			} else {
				assert.Equal(t, c.want, found)
			}
		})
	}
}

// What of our own environments is exposed and not requested.
func TestExposuresOfTheEnvironments(t *testing.T) {
	for file, want := range map[string][]string{"bookinfo-prod": nil, "bookinfo-dev": nil, "apps": nil, "kinds": {"VirtualService/kinds/portal-exposure"}} {
		found, err := Unrequested(rendered(t, "../../environments/"+file+".yaml"))
		require.NoError(t, err)
		var got []string
		for _, e := range found {
			got = append(got, e.Object)
		}
		assert.Equal(t, want, got, file)
	}
}

func TestWhyNothingIsSentFromTheGateway(t *testing.T) {
	front := []Workload{{Namespace: "shop", App: "front", Version: "v1", Calls: []Call{{"cart", "8080", "/"}}}}
	cart := App{Name: "cart", Namespace: "shop", Host: "cart.shop.svc.cluster.local"}
	by := func(object, host string) []Exposure {
		return []Exposure{{Object: object, Hosts: []string{host + ".shop.svc.cluster.local"}}}
	}
	assert.Equal(t, "nothing exposes it", notExposed(cart, nil, by("Ingress/shop/other", "other"), nil))
	assert.Equal(t, "neither it nor what calls it is exposed", notExposed(cart, nil, by("Ingress/shop/other", "other"), front))
	assert.Equal(t, "nothing is sent through Ingress/shop/cart", notExposed(cart, nil, by("Ingress/shop/cart", "cart"), nil))
	assert.Equal(t, "nothing is sent through Ingress/shop/front", notExposed(cart, nil, by("Ingress/shop/front", "front"), front))
	cart.requests = []request{{path: "/", header: http.Header{"X-Beta": {"1"}}}}
	assert.Equal(t, "its route wants headers, which what calls it on the way does not hand on", notExposed(cart, []Entry{{App: "front", Namespace: "shop"}}, nil, front))
	cart.requests = []request{{path: "/", namespace: "other"}}
	assert.Equal(t, "what calls it on the way does not meet its route", notExposed(cart, []Entry{{App: "front", Namespace: "shop"}}, nil, front))
}

// The report says of each what it is, and of an app that has no other way in why its routing was not measured.
func TestExposuresThatAreNotRequestedAreSaid(t *testing.T) {
	r := cart(t, nil)
	r.workloads = nil
	r.exposures = []Exposure{{Object: "Ingress/shop/cart", Hosts: []string{r.Host}, Why: "of another make"}}
	r.cluster.(*clustertest.Fake).OnProxies = func() ([]cluster.Proxy, error) { return nil, nil }
	require.NoError(t, r.reach(t.Context()))
	require.NoError(t, r.routing(t.Context(), r.App, nil))
	assert.Equal(t, []report.NotRun{
		{Environment: "shop", What: "requests through Ingress/shop/cart", Reason: "of another make", Expected: true},
		{Environment: "shop", What: "routing of cart", Reason: "nothing is sent through Ingress/shop/cart, and no workload says in its values that it calls it (calls)"},
	}, r.report.NotRun)
}

// A gateway that does not run, as one of the platform's on a cluster without it, ends no run: what leads through it is left
// out, which a cluster of real applications may not do.
func TestAGatewayThatDoesNotRun(t *testing.T) {
	entries := []Entry{
		{Gateway: "istio=edge", Host: "a.example", Port: 80, Path: "/", App: "front", Namespace: "shop", route: "shop/front-exposure"},
		{Gateway: "istio=edge", Host: "a.example", Port: 80, Path: "/api", App: "cart", Namespace: "shop", route: "shop/front-exposure"},
		{Host: "a.example", Port: 80, Path: "/", App: "front", Namespace: "shop", route: "shop/front"},
	}
	asked := 0
	r := cart(t, nil)
	fake := &clustertest.Fake{OnSend: func(_ context.Context, from cluster.Place, _ traffic.Load) (traffic.Tally, error) {
		if asked++; from.Gateway == "istio=edge" {
			return traffic.Tally{}, fmt.Errorf("%w: no pod labelled istio=edge runs", cluster.ErrNoPlace)
		}
		return traffic.Tally{}, nil
	}, OnProxies: func() ([]cluster.Proxy, error) { return nil, nil }}
	in, closed, err := open(t.Context(), fake, entries)
	require.NoError(t, err)
	assert.Equal(t, entries[2:], in)
	assert.Equal(t, 2, asked, "once at each gateway")
	const why = "no pod labelled istio=edge runs, as its Gateway selects"
	assert.Equal(t, []Exposure{{Object: "VirtualService/shop/front-exposure", Hosts: []string{"front.shop.svc.cluster.local", r.Host}, Why: why, absent: true}}, closed)
	for _, realApps := range []bool{false, true} {
		r := cart(t, nil)
		fake.RealApps = realApps
		r.cluster, r.workloads, r.exposures, r.entries = fake, nil, closed, nil
		require.NoError(t, r.reach(t.Context()))
		assert.Equal(t, []report.NotRun{{Environment: "shop", What: "requests through VirtualService/shop/front-exposure", Reason: why, Expected: !realApps}}, r.report.NotRun)
	}
	boom := errors.New("no such Service")
	_, _, err = open(t.Context(), &clustertest.Fake{OnSend: func(context.Context, cluster.Place, traffic.Load) (traffic.Tally, error) {
		return traffic.Tally{}, boom
	}}, entries)
	require.ErrorIs(t, err, boom)
}

// Of a Gateway's servers those count that serve a host of the VirtualService, and it is asked by the narrower of the two.
func TestEntriesAreOfTheServersThatServeTheirHosts(t *testing.T) {
	for name, c := range map[string]struct{ servers, hosts, url string }{
		"its own":          {"{port: {number: 8080, protocol: HTTP}, hosts: [a.example]}, {port: {number: 80, protocol: HTTP}, hosts: [b.example]}", "a.example", "http://a.example:8080/"},
		"any host":         {"{port: {number: 80, protocol: HTTP}, hosts: [a.example]}", `"*"`, "http://a.example/"},
		"any at a server":  {`{port: {number: 80, protocol: HTTP}, hosts: ["*/*"]}`, `"*.example"`, "http://any.example/"},
		"one of its hosts": {"{port: {number: 80, protocol: HTTP}, hosts: [shop/b.example]}", "a.example, b.example", "http://b.example/"},
		"a Service last":   {`{port: {number: 80, protocol: HTTP}, hosts: ["*"]}`, "web, a.example", "http://a.example/"},
		"a Service alone":  {`{port: {number: 80, protocol: HTTP}, hosts: ["*"]}`, "web", "http://web.shop.svc.cluster.local/"},
		"none":             {"{port: {number: 80, protocol: HTTP}, hosts: [other/a.example, c.example]}", "a.example, b.example", ""},
	} {
		t.Run(name, func(t *testing.T) {
			entries, err := Entries(objects(t, `kind: Gateway
apiVersion: networking.istio.io/v1
metadata: {name: web}
spec: {servers: [`+c.servers+`]}
---
kind: VirtualService
apiVersion: networking.istio.io/v1
metadata: {name: web}
spec: {hosts: [`+c.hosts+`], gateways: [web], http: [{route: [{destination: {host: web}}]}]}
`))
			require.NoError(t, err)
			if c.url == "" {
				assert.Empty(t, entries)
				return
			}
			require.Len(t, entries, 1)
			assert.Equal(t, c.url, entries[0].url())
		})
	}
}
