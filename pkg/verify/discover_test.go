package verify

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	networkingv1 "istio.io/api/networking/v1alpha3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/render"
	"chartbasico/pkg/rollout"
)

func rendered(t *testing.T, file string) []*render.Release {
	t.Helper()
	env, err := environment.Load(file)
	require.NoError(t, err)
	releases, err := render.New().Environment(t.Context(), env)
	require.NoError(t, err)
	return releases
}

func TestAppsOfBookinfo(t *testing.T) {
	apps, err := Apps(rendered(t, "../../environments/bookinfo-prod.yaml"))
	require.NoError(t, err)
	require.Len(t, apps, 1)
	a := apps[0]
	assert.Equal(t, "reviews", a.Name)
	assert.Equal(t, "reviews.bookinfo.svc.cluster.local", a.Host)
	assert.Equal(t, 9080, a.Port)
	assert.Equal(t, []request{{path: "/", port: 9080}}, a.requests)
	assert.Equal(t, "v1", a.Current)
	assert.Equal(t, "v1, canary, half, v2", a.stages())
	assert.Equal(t, map[string]int{"v1": 90, "v2": 10}, a.Stages[1].Weights)
	assert.Equal(t, 10*time.Second, a.Timeout)
	assert.Equal(t, networkingv1.LoadBalancerSettings_ROUND_ROBIN, a.Subsets["v1"].balancing())
	assert.Equal(t, networkingv1.LoadBalancerSettings_LEAST_REQUEST, a.Subsets["v2"].balancing())
	assert.Equal(t, 1000, a.Subsets["v1"].Pending)
	route, err := a.route(a.Release, "")
	require.NoError(t, err)
	assert.Equal(t, []rollout.Split{{Weights: map[string]int{"v1": 100}}}, route.Splits(cluster.Proxy{Namespace: "bookinfo"}, a.Host, 9080))
	route.Splits = nil // functions are not compared
	assert.Equal(t, rollout.Route{Host: a.Host, Connections: map[string]int{"v1": 0, "v2": 0}, Endpoints: map[string]int{"v1": 0}}, route)
	narrowed, err := a.route(a.Release, "v1")
	require.NoError(t, err)
	assert.Equal(t, 10*time.Second, narrowed.Splits(cluster.Proxy{Namespace: "bookinfo"}, a.Host, 9080)[0].Timeout)
}

// Apps of one name in two namespaces can be told apart in what is reported.
func TestAppsOfOneName(t *testing.T) {
	chart, err := filepath.Abs("../../charts/chart_basico")
	require.NoError(t, err)
	dir := t.TempDir()
	for _, app := range []string{"cart", "shop"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, app+".yaml"), []byte("app: "+app+`
service: {ports: {http: {port: 80}}}
routing: {stage: v1, stages: [{name: v1, weights: {v1: 100}}]}
`), 0o600))
	}
	env := filepath.Join(dir, "env.yaml")
	require.NoError(t, os.WriteFile(env, []byte(`releases:
- {name: cart, namespace: green, chart: `+chart+`, values: [cart.yaml]}
- {name: shop, namespace: green, chart: `+chart+`, values: [shop.yaml]}
- {name: cart, namespace: blue, chart: `+chart+`, values: [cart.yaml]}
`), 0o600))
	apps, err := Apps(rendered(t, env))
	require.NoError(t, err)
	var titles []string
	for _, a := range apps {
		titles = append(titles, a.Title)
	}
	assert.Equal(t, []string{"blue/cart", "green/cart", "shop"}, titles)
}

// No more are sent at once than the limits of any app on the way let through, with a steady flow beside.
func TestLimitsOfTheRoutingBoundWhatIsSentAtOnce(t *testing.T) {
	chart, err := filepath.Abs("../../charts/chart_basico")
	require.NoError(t, err)
	app := func(dir, name, pool string) string {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+".yaml"), []byte("app: "+name+`
service: {ports: {http: {port: 80}}}
routing: {stage: v1, stages: [{name: v1, weights: {v1: 100}}], versions: {v1: {trafficPolicy: {connectionPool: {http: `+pool+`}}}}}
`), 0o600))
		return "- {name: " + name + ", namespace: shop, chart: " + chart + ", values: [" + name + ".yaml]}\n"
	}
	for pools, want := range map[[2]string]int{
		{"{}", "{}"}:                            500, // the chart lets 1,000 wait
		{"{}", "{http1MaxPendingRequests: 40}"}: 20,
		{"{http2MaxRequests: 30}", "{http1MaxPendingRequests: 40}"}:                         15,
		{"{http2MaxRequests: 1}", "{}"}:                                                     1,
		{"{http1MaxPendingRequests: 50, http2MaxRequests: 70}", "{http2MaxRequests: 1000}"}: 25,
	} {
		dir := t.TempDir()
		env := filepath.Join(dir, "env.yaml")
		require.NoError(t, os.WriteFile(env, []byte("releases:\n"+app(dir, "front", pools[0])+app(dir, "store", pools[1])), 0o600))
		apps, err := Apps(rendered(t, env))
		require.NoError(t, err)
		require.Len(t, apps, 2)
		for _, a := range apps {
			assert.Equal(t, want, a.AtOnce, "%s, %v", a.Name, pools)
			origins, _ := Origins(a, []Entry{{Host: "shop.example", Path: "/", Port: 80, App: a.Name, Namespace: "shop"}}, []Workload{{Namespace: "shop", App: "batch", Version: "v1", Calls: []Call{{a.Name, "80", "/"}}}})
			require.Len(t, origins, 2)
			for _, o := range origins {
				assert.Equal(t, want, o.AtOnce)
			}
		}
	}
}

func TestNothingIsRouted(t *testing.T) {
	apps, err := Apps(rendered(t, "../../environments/apps.yaml"))
	require.NoError(t, err)
	assert.Empty(t, apps)
}

func TestAppsThatRouteTCPAreKnown(t *testing.T) {
	dir := t.TempDir()
	chart, err := filepath.Abs("../../charts/chart_basico")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "db.yaml"), []byte(`
app: db
routing: {protocol: TCP, port: 5432, stage: v1, stages: [{name: v1, weights: {v1: 100}}]}
`), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "env.yaml"), []byte("releases:\n- {name: db, namespace: shop, chart: "+chart+", values: [db.yaml]}\n"), 0o600))
	apps, err := Apps(rendered(t, filepath.Join(dir, "env.yaml")))
	require.NoError(t, err)
	require.Len(t, apps, 1)
	assert.Equal(t, "TCP", apps[0].Protocol)
	running := Running{Env: &environment.Environment{File: "env.yaml"}, Apps: apps}
	_, err = running.App("db")
	require.ErrorIs(t, err, ErrNoApp)
	assert.EqualError(t, err, "env.yaml: no such app with routing: db routes TCP, and requests are sent as HTTP")
}

func TestEntriesOfBookinfo(t *testing.T) {
	entries, err := Entries(rendered(t, "../../environments/bookinfo-prod.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, entries)
	assert.Equal(t, "productpage", entries[0].App)
	assert.Equal(t, "bookinfo", entries[0].Namespace)
	assert.Equal(t, 80, entries[0].Port)
	assert.Contains(t, entries[0].url(), "http://any.example/")
}

func TestEgressOfBookinfo(t *testing.T) {
	egresses, err := Egresses(rendered(t, "../../environments/bookinfo-prod.yaml"))
	require.NoError(t, err)
	require.Len(t, egresses, 1)
	assert.True(t, egresses[0].Closed)
	assert.ElementsMatch(t, []Outside{{"mysql.example.com", "TCP", 3306}, {"books.example.com", "HTTP", 80}}, egresses[0].Declared)
	assert.True(t, egresses[0].covers(Workload{Namespace: "bookinfo", App: "reviews", Injected: true}))
	assert.False(t, egresses[0].covers(Workload{Namespace: "bookinfo", App: "reviews"}), "without a sidecar nothing is refused")
	assert.False(t, egresses[0].covers(Workload{Namespace: "apps", Injected: true}))
}

func pod(name, app, version, calls string, sidecar bool) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{"app": app, "version": version}, Annotations: map[string]string{}}}
	if calls != "" {
		p.Annotations[callsAnnotation] = calls
	}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	p.Spec.Containers = []corev1.Container{{Name: app}}
	if sidecar {
		p.Spec.InitContainers = []corev1.Container{{Name: "istio-proxy"}}
	}
	return p
}

func TestWorkloads(t *testing.T) {
	starting := pod("cart-3", "cart", "v1", "", true)
	starting.Status.Conditions[0].Status = corev1.ConditionFalse
	got, err := Workloads([]*corev1.Pod{
		pod("front-1", "front", "v1", `["cart:8080"]`, true), pod("cart-2", "cart", "v1", "", true), pod("cart-1", "cart", "v1", "", true),
		starting, pod("gateway", "gateway", "", "", true),
	})
	require.NoError(t, err)
	assert.Equal(t, []Workload{
		{Namespace: "shop", App: "cart", Version: "v1", Pods: []string{"cart-1", "cart-2"}, Injected: true, labels: map[string]string{"app": "cart", "version": "v1"}},
		{Namespace: "shop", App: "front", Version: "v1", Pods: []string{"front-1"}, Injected: true, Calls: []Call{{"cart", "8080", "/"}}, labels: map[string]string{"app": "front", "version": "v1"}},
	}, got)

	_, err = Workloads([]*corev1.Pod{pod("front-1", "front", "v1", "cart", true)})
	assert.ErrorContains(t, err, `Pod/shop/front-1: annotation chart-basico/calls: found "cart", expected a JSON list of host:port/path`)
}

func TestOrigins(t *testing.T) {
	store := App{Name: "store", Namespace: "shop", Host: "store.shop.svc.cluster.local", requests: []request{{path: "/items"}}}
	workloads := []Workload{
		{Namespace: "shop", App: "cart", Version: "v1", Calls: []Call{{"store", "8080", "/"}}},
		{Namespace: "shop", App: "front", Version: "v1", Calls: []Call{{"cart", "8080", "/"}, {"cart.other", "80", "/"}}},
		{Namespace: "other", App: "batch", Version: "v2", Calls: []Call{{"store.shop", "8080", "/"}}},
	}
	entries := []Entry{{Host: "shop.example", Path: "/", Port: 80, App: "front", Namespace: "shop"}}
	all, direct := Origins(store, entries, workloads)
	require.Len(t, all, 3)
	assert.Equal(t, GatewayName, all[0].Name)
	assert.Equal(t, "http://shop.example/", all[0].Load.URL)
	assert.Equal(t, "http://cart:8080/;http://store:8080/items", all[0].Load.Header.Get(callHeader), "through front and cart")
	assert.Equal(t, "cart/v1", all[1].Name)
	assert.Equal(t, "http://store:8080/items", all[1].Load.URL)
	assert.Equal(t, "batch/v2", all[2].Name)
	assert.Equal(t, []rollout.Origin{all[1], all[2]}, direct)

	exposed, direct := Origins(App{Name: "front", Namespace: "shop", Host: "front.shop.svc.cluster.local", requests: anything}, entries, workloads)
	require.Len(t, exposed, 1)
	assert.Equal(t, exposed, direct, "the gateway leads to it")
	assert.Empty(t, exposed[0].Load.Header)

	none, _ := Origins(App{Name: "alone", Namespace: "shop", Host: "alone.shop.svc.cluster.local"}, entries, workloads)
	assert.Empty(t, none)
}

func TestRelated(t *testing.T) {
	app := func(name string) App { return App{Name: name, Host: name + ".shop.svc.cluster.local"} }
	calls := func(from string, to ...string) Workload {
		w := Workload{Namespace: "shop", App: from, Version: "v1"}
		for _, host := range to {
			w.Calls = append(w.Calls, Call{host, "80", "/"})
		}
		return w
	}
	apps := []App{app("a"), app("b"), app("c"), app("d")}
	for name, c := range map[string]struct {
		workloads []Workload
		want      [][]int
	}{
		"nobody calls":                    {nil, [][]int{{0}, {1}, {2}, {3}}},
		"called by one that has no route": {[]Workload{calls("front", "a", "b", "c", "d")}, [][]int{{0}, {1}, {2}, {3}}},
		"one calls another":               {[]Workload{calls("d", "b")}, [][]int{{0}, {1, 3}, {2}}},
		"through one between":             {[]Workload{calls("a", "between"), calls("between", "c")}, [][]int{{0, 2}, {1}, {3}}},
		"all of them, in a ring":          {[]Workload{calls("d", "c"), calls("c", "b"), calls("b", "a"), calls("a", "d")}, [][]int{{0, 1, 2, 3}}},
		"two that call a third":           {[]Workload{calls("b", "d"), calls("a", "d")}, [][]int{{0, 1, 3}, {2}}},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, c.want, related(apps, c.workloads)) })
	}
}

func TestProxiesKnowNoPodsOfAHeadlessService(t *testing.T) {
	service := func(name, ip string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"kind": "Service", "metadata": map[string]any{"name": name, "namespace": "shop"}, "spec": map[string]any{"clusterIP": ip},
		}}
	}
	workloads := []Workload{
		{Namespace: "shop", App: "cart", Version: "v1", Pods: []string{"a", "b"}},
		{Namespace: "shop", App: "cart", Version: "v2", Pods: []string{"c"}},
		{Namespace: "shop", App: "store", Version: "v1", Pods: []string{"d"}},
	}
	releases := []*render.Release{{Objects: []*unstructured.Unstructured{service("cart", ""), service("store", "None")}}}
	assert.Equal(t, map[string]int{"cart.shop.svc.cluster.local": 3}, behind(workloads, releases))
}
