package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/yaml"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/clustertest"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/lease"
	"chartbasico/pkg/release"
	"chartbasico/pkg/render"
	"chartbasico/pkg/report"
	"chartbasico/pkg/rollout"
	"chartbasico/pkg/traffic"
)

// shop is an environment in a namespace that a release in another one makes: front calls cart, and is exposed.
func shop(t *testing.T, more ...string) []*render.Release {
	t.Helper()
	in := func(namespace string, objects ...string) *render.Release {
		r := &render.Release{Release: environment.Release{Namespace: namespace}}
		for _, text := range objects {
			o := &unstructured.Unstructured{}
			require.NoError(t, yaml.Unmarshal([]byte(text), &o.Object))
			if o.GetKind() != "Namespace" {
				o.SetNamespace(namespace)
			}
			r.Objects = append(r.Objects, o)
		}
		return r
	}
	return []*render.Release{
		in("default", `{apiVersion: v1, kind: Namespace, metadata: {name: shop}}`),
		in("shop", append(more,
			`{apiVersion: apps/v1, kind: Deployment, metadata: {name: front}, spec: {template: {metadata: {labels: {app: front, version: v1}}}}}`,
			`{apiVersion: apps/v1, kind: Deployment, metadata: {name: cart}, spec: {template: {metadata: {labels: {app: cart, version: v1}}}}}`,
			`{apiVersion: batch/v1, kind: CronJob, metadata: {name: sweep}, spec: {jobTemplate: {spec: {template: {metadata: {labels: {app: sweep, version: v1}}}}}}}`)...),
	}
}

const (
	gatewayOfShop = `{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: shop}, spec: {selector: {istio: shopgateway}}}`
	routeOfShop   = `{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: front}, spec: {hosts: [shop.example], gateways: [shop, mesh]}}`
)

func TestGatewaysOfAnEnvironment(t *testing.T) {
	for name, c := range map[string]struct {
		objects []string
		has     []string
	}{
		"no route":                    {nil, nil},
		"a Gateway of its own":        {[]string{gatewayOfShop, routeOfShop}, []string{"shopgateway"}},
		"one of no selector":          {[]string{`{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: shop}, spec: {}}`}, []string{"ingressgateway"}},
		"somebody else's":             {[]string{`{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: front}, spec: {gateways: [istio-system/main]}}`}, []string{"ingressgateway"}},
		"the mesh alone":              {[]string{`{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: front}, spec: {gateways: [mesh]}}`}, nil},
		"an Ingress of Istio's":       {[]string{`{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: front}, spec: {ingressClassName: istio}}`}, []string{"ingressgateway"}},
		"an Ingress of another class": {[]string{`{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: front}, spec: {ingressClassName: nginx}}`}, nil},
		"one of Gateway API": {[]string{`{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: front}, spec: {parentRefs: [{name: main, namespace: istio-system}]}}`},
			[]string{"main"}},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := ownOf(shop(t, c.objects...))
			require.NoError(t, err)
			var has []string
			for label, l := range map[string]map[string]string{
				"ingressgateway": {"istio": "ingressgateway"}, "shopgateway": {"istio": "shopgateway"}, "egressgateway": {"istio": "egressgateway"},
				"main": {gatewayName: "main"},
			} {
				if o.has("istio-system", l) {
					has = append(has, label)
				}
				assert.False(t, o.has("others", map[string]string{gatewayName: "main"}), "one of that name of another namespace")
			}
			assert.ElementsMatch(t, c.has, has)
		})
	}
}

// podOn is a pod that is ready, maybe with a sidecar.
func podOn(namespace, app string, sidecar bool, l map[string]string) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: app + "-0", Labels: map[string]string{"app": app, "version": "v1"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
	maps.Copy(p.Labels, l)
	if sidecar {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "istio-proxy"})
	}
	return p
}

func namespaceOn(name, injection string) *corev1.Namespace {
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if injection != "" {
		n.Labels = map[string]string{"istio-injection": injection}
	}
	return n
}

// installerOn watches what there is.
func installerOn(t *testing.T, namespaces []*corev1.Namespace, pods ...*corev1.Pod) *release.Installer {
	t.Helper()
	client := fake.NewClientset()
	for _, n := range namespaces {
		_, err := client.CoreV1().Namespaces().Create(t.Context(), n, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	for _, p := range pods {
		_, err := client.CoreV1().Pods(p.Namespace).Create(t.Context(), p, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	client.PrependReactor("create", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) { // as a dry run
		return true, a.(clienttesting.CreateAction).GetObject(), nil
	})
	watch, err := release.NewWatch(t.Context(), client)
	require.NoError(t, err)
	return &release.Installer{Watch: watch}
}

// A pod of somebody else that has no sidecar where its namespace asks for one is not this environment's failure.
func TestInjectionIsJudgedInTheEnvironmentAlone(t *testing.T) {
	gateway := podOn("istio-system", "gateway", true, map[string]string{"istio": "shopgateway", "sidecar.istio.io/inject": "true"})
	stranger := podOn("others", "front", false, nil)
	r := cart(t, nil)
	r.releases = shop(t, gatewayOfShop, routeOfShop)
	var err error
	r.own, err = ownOf(r.releases)
	require.NoError(t, err)
	r.installer = installerOn(t, []*corev1.Namespace{namespaceOn("default", ""), namespaceOn("shop", ""), namespaceOn("others", "enabled"), namespaceOn("istio-system", "")},
		podOn("shop", "front", false, nil), podOn("shop", "tester", false, nil), podOn("default", "front", false, nil), gateway, stranger)
	require.NoError(t, r.injection(t.Context()))
	var subjects []string
	for _, c := range r.report.Checks {
		assert.Truef(t, c.Pass, "%s: %s", c.Subject, c.Why)
		subjects = append(subjects, c.Subject)
	}
	assert.ElementsMatch(t, []string{
		"Pod/shop/front-0", "Pod/shop/tester-0", "Pod/istio-system/gateway-0",
		"a pod in namespace default", "a pod in namespace default labelled sidecar.istio.io/inject=false",
		"a pod in namespace shop", "a pod in namespace shop labelled sidecar.istio.io/inject=false",
	}, subjects)
}

// A quota or a policy of the cluster may refuse the pod that is tried, which says nothing of the injection.
func TestAPodThatIsRefusedShowsNoInjection(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	for name, c := range map[string]struct {
		err  error
		ends bool
	}{
		"a quota":        {apierrors.NewForbidden(pods, "basico-probe", errors.New("exceeded quota: small")), false},
		"a rule":         {apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "basico-probe", nil), false},
		"a webhook":      {apierrors.NewBadRequest(`admission webhook "policy.example" denied the request`), false},
		"what is broken": {apierrors.NewInternalError(errors.New("failed calling webhook")), true},
	} {
		t.Run(name, func(t *testing.T) {
			r := cart(t, nil)
			r.installer = installerOn(t, nil)
			r.installer.Client().(*fake.Clientset).PrependReactor("create", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
				tried := a.(clienttesting.CreateAction).GetObject().(*corev1.Pod).Spec.Containers[0].Resources
				assert.Equal(t, "16Mi", tried.Limits.Memory().String())
				assert.Equal(t, tried.Limits, tried.Requests)
				return true, nil, c.err
			})
			err := r.probe(t.Context(), namespaceOn("shop", "enabled"), "")
			if c.ends {
				require.ErrorIs(t, err, c.err)
				return
			}
			require.NoError(t, err)
			assert.Empty(t, r.report.Checks)
			assert.Equal(t, []report.NotRun{{Environment: "shop", What: "injection of a pod in namespace shop", Reason: "it was refused: " + c.err.Error(), Expected: true}}, r.report.NotRun)
		})
	}
}

// Who calls the app and is not of the environment sends no requests, wherever it is.
func TestRequestsComeFromTheEnvironmentAlone(t *testing.T) {
	calls := func(p *corev1.Pod) *corev1.Pod {
		p.Annotations = map[string]string{callsAnnotation: `["cart.shop:8080"]`}
		return p
	}
	running := &Running{Cluster: &clustertest.Fake{OnSend: func(context.Context, cluster.Place, traffic.Load) (traffic.Tally, error) {
		return traffic.Tally{}, nil
	}}, Env: &environment.Environment{Name: "shop"}, Installer: installerOn(t, nil,
		calls(podOn("shop", "front", true, nil)), podOn("shop", "cart", true, nil),
		calls(podOn("shop", "tester", true, nil)), calls(podOn("others", "front", true, nil)))}
	var err error
	running.own, err = ownOf(shop(t))
	require.NoError(t, err)
	origins, _, err := running.Origins(t.Context(), App{Name: "cart", Namespace: "shop", Host: "cart.shop.svc.cluster.local", requests: anything})
	require.NoError(t, err)
	require.Len(t, origins, 1)
	assert.Equal(t, cluster.Place{Namespace: "shop", App: "front", Version: "v1"}, origins[0].From)
}

// on is what the proxies say of a cluster where the environment is not alone.
func on(stranger cluster.Proxy, ours ...cluster.Proxy) *clustertest.Fake {
	stranger.Namespace, stranger.Pod = "others", "front"
	return &clustertest.Fake{OnProxies: func() ([]cluster.Proxy, error) { return append(slices.Clone(ours), stranger), nil }}
}

var refusing = cluster.Proxy{Rejected: []string{"no such filter"}, Refused: []string{"no such filter"}}

func TestProxiesOfOthersAreNotJudged(t *testing.T) {
	o, err := ownOf(shop(t))
	require.NoError(t, err)
	r := cart(t, nil)
	r.opts.Settle = 20 * time.Millisecond
	r.cluster = ownIn(on(refusing, cluster.Proxy{Namespace: "shop", Pod: "front", Synced: true}), o)
	require.NoError(t, r.proxies(t.Context()))
	c := the(t, r, inSync)
	assert.True(t, c.Pass, c.Why)
	assert.Equal(t, "1 proxies", c.Subject)
	assert.Empty(t, r.report.Problems)
}

const cartHost = "cart.shop.svc.cluster.local"

// cartAt is what a proxy has that sends to the v1 of the cart, without a time limit, and lets its subsets have so many connections.
func cartAt(t *testing.T, connections map[string]uint32) *adminv3.ConfigDump {
	t.Helper()
	packed := func(m proto.Message) *anypb.Any {
		a, err := anypb.New(m)
		require.NoError(t, err)
		return a
	}
	clusters := &adminv3.ClustersConfigDump{}
	for subset, n := range connections {
		clusters.DynamicActiveClusters = append(clusters.DynamicActiveClusters, &adminv3.ClustersConfigDump_DynamicCluster{Cluster: packed(&clusterv3.Cluster{
			Name:            "outbound|8080|" + subset + "|" + cartHost,
			CircuitBreakers: &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{MaxConnections: wrapperspb.UInt32(n)}}},
		})})
	}
	return &adminv3.ConfigDump{Configs: []*anypb.Any{
		packed(&adminv3.RoutesConfigDump{DynamicRouteConfigs: []*adminv3.RoutesConfigDump_DynamicRouteConfig{{
			RouteConfig: packed(&routev3.RouteConfiguration{VirtualHosts: []*routev3.VirtualHost{{Name: cartHost + ":8080", Routes: []*routev3.Route{
				{Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: "outbound|8080|v1|" + cartHost}}}},
			}}}}),
		}}}),
		packed(clusters),
		packed(&adminv3.EndpointsConfigDump{DynamicEndpointConfigs: []*adminv3.EndpointsConfigDump_DynamicEndpointConfig{{
			EndpointConfig: packed(&endpointv3.ClusterLoadAssignment{ClusterName: "outbound|8080|v1|" + cartHost}),
		}}}),
	}}
}

// cartRouted is the cart's routing to v1, with that spec of its DestinationRule.
func cartRouted(t *testing.T, timeout, rule string) *render.Release {
	t.Helper()
	r := &render.Release{}
	for _, written := range []string{
		`{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: cart, namespace: shop}, spec: {hosts: [cart], http: [{timeout: ` + timeout + `, route: [{destination: {host: cart, subset: v1}}]}]}}`,
		`{kind: DestinationRule, metadata: {name: cart, namespace: shop}, spec: ` + rule + `}`,
	} {
		o := &unstructured.Unstructured{}
		require.NoError(t, yaml.Unmarshal([]byte(written), &o.Object))
		r.Objects = append(r.Objects, o)
	}
	return r
}

// Of the limits only those of the subset that is narrowed are waited for: the others may have been changed by hand.
func TestLimitsChangedByHandAreLeft(t *testing.T) {
	rendered := cartRouted(t, "0s", `{trafficPolicy: {connectionPool: {tcp: {maxConnections: 100}}}, subsets: [
  {name: v1, labels: {version: v1}, trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}},
  {name: v2, labels: {version: v2}, trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}}},
  {name: v3, labels: {version: v3}}]}`)
	for narrowed, c := range map[string]struct {
		live map[string]uint32
		err  string
	}{
		"":   {map[string]uint32{"v1": 5, "v2": 5, "v3": 5}, ""},
		"v2": {map[string]uint32{"v1": 5, "v2": 1, "v3": 5}, ""},
		"v1": {map[string]uint32{"v1": 5, "v2": 1, "v3": 5}, "lets subset v1 have [5] connections, expected 7"},
		"v3": {map[string]uint32{"v1": 5, "v2": 5, "v3": 50}, ""}, // the app's own holds for it again, whatever that is
	} {
		t.Run(narrowed, func(t *testing.T) {
			fake := on(cluster.Proxy{Namespace: "shop", Pod: "front-0", Synced: true})
			fake.OnProxyConfig = func(cluster.Proxy) (*adminv3.ConfigDump, error) { return cartAt(t, c.live), nil }
			none := func() ([]Workload, error) { return nil, nil }
			settle := time.Minute
			if c.err != "" {
				settle = 50 * time.Millisecond
			}
			err := mover{cluster: fake, settle: settle}.arrive(t.Context(), App{Name: "cart", Namespace: "shop", Host: cartHost}, rendered, narrowed, none, nil)
			if c.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.err)
			}
		})
	}
}

// A proxy of somebody else that refuses configuration, or is not in sync, keeps no stage from arriving: neither does it
// turn a promotion back.
func TestAStageArrivesWhateverProxiesOfOthersDo(t *testing.T) {
	dump := cartAt(t, map[string]uint32{"v1": 1024})
	releases := shop(t)
	running := &Running{Env: &environment.Environment{Name: "shop"}, Installer: installerOn(t, nil, podOn("shop", "front", true, nil)), settle: time.Second}
	var err error
	running.own, err = ownOf(releases)
	require.NoError(t, err)
	rendered := cartRouted(t, "5s", `{subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}}]}`)
	for name, stranger := range map[string]cluster.Proxy{"refuses": refusing, "is not in sync": {}} {
		t.Run(name, func(t *testing.T) {
			fake := on(stranger, cluster.Proxy{Namespace: "shop", Pod: "front-0", Synced: true})
			fake.OnProxyConfig = func(p cluster.Proxy) (*adminv3.ConfigDump, error) {
				if p.Namespace != "shop" {
					return nil, errors.New("a stranger was asked")
				}
				return dump, nil
			}
			running.Cluster = ownIn(fake, running.own)
			require.NoError(t, running.Arrive(t.Context(), App{Name: "cart", Namespace: "shop", Host: cartHost}, rendered, nil))
			// Limits that somebody has changed by hand are waited for only where the run itself changes them.
			err := mover{cluster: running.Cluster, settle: 50 * time.Millisecond}.arrive(t.Context(), App{Name: "cart", Namespace: "shop", Host: cartHost}, rendered, "v1", running.Workloads, nil)
			require.ErrorContains(t, err, "shop/front-0 has no route with a timeout of 5s")
			running.Cluster = ownIn(on(cluster.Proxy{}, cluster.Proxy{Namespace: "shop", Pod: "front-0", Rejected: []string{"no such filter"}}), running.own)
			require.ErrorIs(t, running.Arrive(t.Context(), App{Name: "cart", Namespace: "shop", Host: cartHost}, rendered, nil), rollout.ErrRejected)
		})
	}
}

// What a proxy has refused in a run fails it, though it accepted something newer, or went; what it refused before does not.
func TestARefusalOnTheWayFailsTheRun(t *testing.T) {
	o, err := ownOf(shop(t))
	require.NoError(t, err)
	front := func(rejected, refused []string) []cluster.Proxy {
		return []cluster.Proxy{{Namespace: "shop", Pod: "front", Synced: true, Rejected: rejected, Refused: refused}}
	}
	other := []cluster.Proxy{{Namespace: "shop", Pod: "front-of-now", Synced: true}}
	old, both := []string{"old"}, []string{"old", "no such filter"}
	for name, c := range map[string]struct {
		before, meanwhile, end []cluster.Proxy
		rejected               string
	}{
		"nothing":                            {front(nil, nil), front(nil, nil), front(nil, nil), ""},
		"overcome":                           {front(nil, nil), front(nil, nil), front(nil, []string{"no such filter"}), "no such filter"},
		"by a pod that is gone":              {front(nil, nil), front(nil, []string{"no such filter"}), other, "no such filter"},
		"before":                             {front(nil, old), front(nil, old), front(nil, old), ""},
		"the same again":                     {front(nil, old), front(nil, old), front(nil, []string{"old", "old"}), "old"},
		"before, and again":                  {front(nil, old), front(nil, old), front(nil, both), "no such filter"},
		"before, and it still holds":         {front(old, old), front(old, old), front(old, old), "old"},
		"before, by another pod of its name": {front(nil, both), front(nil, old), front(nil, old), ""},
	} {
		t.Run(name, func(t *testing.T) {
			now := c.before
			seen := ownIn(&clustertest.Fake{OnProxies: func() ([]cluster.Proxy, error) { return slices.Clone(now), nil }}, o)
			require.NoError(t, seen.begin(t.Context()))
			r := cart(t, nil)
			r.opts.Settle = 20 * time.Millisecond
			r.cluster = seen
			now = c.meanwhile
			_, err := r.cluster.Proxies(t.Context())
			require.NoError(t, err)
			now = c.end
			require.NoError(t, r.proxies(t.Context()))
			found := the(t, r, inSync)
			assert.Equal(t, c.rejected == "", found.Pass, found.Why)
			if c.rejected != "" {
				require.Len(t, r.report.Problems, 1)
				assert.Equal(t, c.rejected, r.report.Problems[0].Found)
			}
		})
	}
}

// Where a promotion moves a route, verify neither installs nor walks.
func TestVerifyMovesNoRouteThatAnotherMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := cart(t, func(context.Context, traffic.Load) (traffic.Tally, error) { return traffic.Tally{}, nil })
		r.installer = installerOn(t, nil)
		r.entries, r.workloads = nil, []Workload{{Namespace: "shop", App: "front", Version: "v1", Calls: []Call{{Host: "cart", Port: "8080", Path: "/"}}}}
		r.Release = &render.Release{Release: environment.Release{Namespace: "releases"}}
		began, done, ended := make(chan struct{}), make(chan struct{}), make(chan error)
		go func() {
			ended <- lease.Alone(t.Context(), r.installer.Client(), "releases", "cart", "basico promote by ana@host", r.say, func(context.Context, bool) error {
				close(began)
				<-done
				return nil
			})
		}()
		<-began
		for name, err := range map[string]error{
			"to install": r.unmoved(t.Context(), []App{r.App}),
			"to walk":    r.routing(t.Context(), r.App, func(func(context.Context) error) { t.Error("it walks") }),
		} {
			require.ErrorIs(t, err, lease.ErrBusy, name)
			require.ErrorContains(t, err, "basico promote by ana@host", name)
		}
		close(done)
		require.NoError(t, <-ended)
		require.NoError(t, r.unmoved(t.Context(), []App{r.App}))
	})
}

func TestOnlyWhatTheReleasesMakeIsTheirs(t *testing.T) {
	o, err := ownOf(shop(t))
	require.NoError(t, err)
	var made []string
	for _, p := range o.made(installerOn(t, nil, podOn("shop", "front", true, nil), podOn("shop", "sweep", false, nil), podOn("shop", "tester", true, nil),
		podOn("others", "cart", true, nil)).Pods("", labels.Everything())) {
		made = append(made, fmt.Sprintf("%s/%s", p.Namespace, p.Name))
	}
	assert.Equal(t, []string{"shop/front-0", "shop/sweep-0"}, made)
}
