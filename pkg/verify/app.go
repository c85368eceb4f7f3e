package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	networkingv1 "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pkg/config/kube"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/render"
	"chartbasico/pkg/rollout"
)

// App is an app with routing, as its rendered release says.
type App struct {
	Name, Namespace string
	// Title is what reports call it: its name, after its namespace if the environment has another app of that name.
	Title string
	// Host is the full name of its Service, Port the port that is requested.
	Host string
	Port int
	// Protocol is that of the routes that divide: HTTP; or TCP or TLS, of which nothing is measured.
	Protocol string
	// Unmatched says why no request that is sent meets the divided route, whoever sends it, if so.
	Unmatched string
	// Release owns the routing.
	Release *render.Release
	// Stages are in the order of the values; Current is the one that the values name.
	Stages  []Stage
	Current string
	// Subsets are the versions' subsets and the policy in force for each.
	Subsets map[string]Subset
	// Timeout bounds a request; 0 if nothing does.
	Timeout time.Duration
	// AtOnce is how many requests may be on their way at once without a limit of the environment's routing refusing any:
	// half of the lowest, as a steady flow goes beside. 0: nothing limits them.
	AtOnce int

	requests []request // that meet the divided route, each perhaps from some callers alone
	earlier  []request // that routes before it take whole, each perhaps from some callers alone
	exportTo []string  // namespaces that see its VirtualService; all, if empty
	outside  bool      // its VirtualService is not for those who request its Service in the mesh
	servers  map[string][]server
	http2    bool // the port is one of HTTP/2, as those of gRPC are
}

// Stage is one step of a rollout: percent by version.
type Stage struct {
	Name    string         `json:"name"`
	Weights map[string]int `json:"weights"`
}

// only returns the one version that gets everything.
func (s Stage) only() (string, bool) {
	for v, w := range s.Weights {
		if w == 100 {
			return v, true
		}
	}
	return "", false
}

// Subset is a version's subset of a DestinationRule.
type Subset struct {
	Name    string
	Policy  *networkingv1.TrafficPolicy // the subset's own over the app's
	Pending int                         // requests that may wait for a connection
	// Connections is how many the subset's own policy lets be open; 0: it says nothing of it, or its ports differ.
	Connections int

	ports []int // those with a policy of their own (portLevelSettings)
}

// active is how many requests may be on their way; Istio counts those of HTTP/1.1 in it too.
func (s Subset) active() int {
	if n := s.Policy.GetConnectionPool().GetHttp().GetHttp2MaxRequests(); n > 0 {
		return int(n)
	}
	return queueDefault
}

// balancing is the simple load balancer in force; Istio's default is least request.
func (s Subset) balancing() networkingv1.LoadBalancerSettings_SimpleLB {
	lb := s.Policy.GetLoadBalancer()
	if lb == nil {
		return networkingv1.LoadBalancerSettings_UNSPECIFIED
	}
	return lb.GetSimple()
}

// Apps finds the apps with routing among the rendered releases of an environment, sorted by namespace and name.
func Apps(releases []*render.Release) ([]App, error) {
	var apps []App
	var errs []error
	for _, r := range releases {
		if _, ok := r.Values["routing"].(map[string]any); !ok {
			continue
		}
		app, err := appOf(r, releases)
		if err != nil {
			errs = append(errs, fmt.Errorf("release %s/%s: %w", r.Namespace, r.Name, err))
			continue
		}
		apps = append(apps, app)
	}
	// Any of them may be on the way to another.
	lowest := queueDefault
	for _, a := range apps {
		for _, s := range a.Subsets {
			lowest = min(lowest, s.Pending, s.active())
		}
	}
	if lowest < queueDefault {
		for i := range apps {
			apps[i].AtOnce = max(1, lowest/2)
		}
	}
	of := map[string]int{}
	for _, a := range apps {
		of[a.Name]++
	}
	for i, a := range apps {
		apps[i].Title = a.Name
		if of[a.Name] > 1 {
			apps[i].Title = a.Namespace + "/" + a.Name
		}
	}
	slices.SortFunc(apps, func(a, b App) int { return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name) })
	return apps, errors.Join(errs...)
}

func appOf(r *render.Release, releases []*render.Release) (App, error) {
	var values struct {
		App     string `json:"app"`
		Routing struct {
			Stage  string  `json:"stage"`
			Stages []Stage `json:"stages"`
		} `json:"routing"`
	}
	if err := convert(r.Values, &values); err != nil {
		return App{}, fmt.Errorf("routing: %w", err)
	}
	app := App{Name: values.App, Release: r, Stages: values.Routing.Stages, Current: values.Routing.Stage}
	vs := object(r, "VirtualService", app.Name)
	dr := object(r, "DestinationRule", app.Name)
	if vs == nil || dr == nil {
		return App{}, fmt.Errorf("routing renders no VirtualService or no DestinationRule named %s", app.Name)
	}
	app.Namespace = vs.GetNamespace()
	app.Host = rollout.FullName(app.Name, app.Namespace)
	var err error
	if app.servers, err = serversOf(releases); err != nil {
		return App{}, err
	}
	if err := app.readRoute(vs); err != nil {
		return App{}, err
	}
	if err := app.readSubsets(dr); err != nil {
		return App{}, err
	}
	if app.Protocol != "HTTP" {
		return app, nil
	}
	ports, err := servicePorts(releases, app.Namespace, app.Name)
	if err != nil {
		return App{}, err
	}
	if app.Port == 0 {
		app.Port = servicePort(ports)
	}
	if app.Port == 0 {
		return App{}, fmt.Errorf("no release has Service/%s/%s, so its port is not known", app.Namespace, app.Name)
	}
	app.http2 = slices.ContainsFunc(ports, func(p corev1.ServicePort) bool {
		return int(p.Port) == app.Port && kube.ConvertProtocol(p.Port, p.Name, p.Protocol, p.AppProtocol).IsHTTP2()
	})
	return app, nil
}

// readRoute takes port, requests and timeout from the route that divides; it is the last, which catches the rest.
func (a *App) readRoute(vs *unstructured.Unstructured) error {
	spec := &networkingv1.VirtualService{}
	if err := decode(vs, spec); err != nil {
		return err
	}
	switch {
	case len(spec.GetHttp()) > 0:
		a.Protocol = "HTTP"
	case len(spec.GetTls()) > 0:
		a.Protocol = "TLS"
		return nil
	case len(spec.GetTcp()) > 0:
		a.Protocol = "TCP"
		return nil
	default:
		return fmt.Errorf("%s has no route", name(vs))
	}
	route := spec.GetHttp()[len(spec.GetHttp())-1]
	met, unmet := requestsFor(vs.GetNamespace(), route.GetMatch())
	if a.requests = met; len(met) == 0 {
		a.Unmatched = "its route is for requests by " + strings.Join(unmet, " and ") + ", of which none is sent"
	}
	a.earlier = nil
	for _, route := range spec.GetHttp()[:len(spec.GetHttp())-1] {
		a.earlier = append(a.earlier, wholly(route, vs.GetNamespace())...)
	}
	a.exportTo = spec.GetExportTo()
	a.outside = !atMesh(spec) || !covers(spec, vs.GetNamespace(), a.Host)
	a.Timeout = route.GetTimeout().AsDuration()
	for _, d := range route.GetRoute() {
		a.Port = int(d.GetDestination().GetPort().GetNumber())
	}
	return nil
}

// queueDefault is Envoy's and Istio's when nothing is said.
const queueDefault = 1<<32 - 1

func (a *App) readSubsets(dr *unstructured.Unstructured) error {
	spec := &networkingv1.DestinationRule{}
	if err := decode(dr, spec); err != nil {
		return err
	}
	a.Subsets = map[string]Subset{}
	for _, s := range spec.GetSubsets() {
		policy := over(spec.GetTrafficPolicy(), s.GetTrafficPolicy())
		pending := queueDefault
		if n := policy.GetConnectionPool().GetHttp().GetHttp1MaxPendingRequests(); n > 0 {
			pending = int(n)
		}
		connections := int(s.GetTrafficPolicy().GetConnectionPool().GetTcp().GetMaxConnections())
		if len(spec.GetTrafficPolicy().GetPortLevelSettings())+len(s.GetTrafficPolicy().GetPortLevelSettings()) > 0 {
			connections = 0
		}
		var ports []int
		for _, p := range s.GetTrafficPolicy().GetPortLevelSettings() {
			ports = append(ports, int(p.GetPort().GetNumber()))
		}
		a.Subsets[s.GetLabels()["version"]] = Subset{Name: s.GetName(), Policy: policy, Pending: pending, Connections: connections, ports: ports}
	}
	return nil
}

// over is how Istio lets a subset's policy replace the app's: each of these fields as a whole.
func over(app, subset *networkingv1.TrafficPolicy) *networkingv1.TrafficPolicy {
	p := &networkingv1.TrafficPolicy{LoadBalancer: app.GetLoadBalancer(), ConnectionPool: app.GetConnectionPool()}
	if lb := subset.GetLoadBalancer(); lb != nil {
		p.LoadBalancer = lb
	}
	if pool := subset.GetConnectionPool(); pool != nil {
		p.ConnectionPool = pool
	}
	return p
}

// route is what proxies should have when the app's rendered release is in force. Of the limits it has those of the subset
// that is narrowed, and with them that of time, if there is one. Endpoints has the subsets with a weight.
func (a App) route(rendered *render.Release, narrowed string) (rollout.Route, error) {
	dr := object(rendered, "DestinationRule", a.Name)
	if object(rendered, "VirtualService", a.Name) == nil || dr == nil {
		return rollout.Route{}, fmt.Errorf("routing renders no VirtualService or no DestinationRule named %s", a.Name)
	}
	var now App
	if err := now.readSubsets(dr); err != nil {
		return rollout.Route{}, err
	}
	want := rollout.Route{Host: a.Host, Connections: map[string]int{}, Endpoints: map[string]int{}}
	for _, s := range now.Subsets {
		want.Connections[s.Name] = 0
		if s.Name == narrowed {
			want.Connections[s.Name] = s.Connections
		}
	}
	services, err := specs[networkingv1.VirtualService]([]*render.Release{rendered}, "VirtualService") // exposure brings one of its own
	if err != nil {
		return rollout.Route{}, err
	}
	splits := make([][]rollout.Split, len(services)) // of each VirtualService, one for each route
	for n, s := range services {
		routes := s.spec.GetHttp()
		for i, weights := range rollout.Splits(s.Unstructured, a.Host) {
			split := rollout.Split{Weights: weights}
			if narrowed != "" && i == len(routes)-1 {
				split.Timeout = routes[i].GetTimeout().AsDuration()
			}
			splits[n] = append(splits[n], split)
			for subset := range weights {
				want.Endpoints[subset] = 0
			}
		}
	}
	if len(want.Endpoints) == 0 {
		return want, nil
	}
	want.Splits = func(p cluster.Proxy, host string, port int) (given []rollout.Split) {
		for n, s := range services {
			for _, c := range callersOf(s.spec, s.GetNamespace(), a.servers, p, host, port) {
				for _, i := range c.given(s.spec, s.GetNamespace()) {
					if split := splits[n][i]; len(split.Weights) > 0 {
						given = append(given, split)
					}
				}
			}
		}
		return given
	}
	return want, nil
}

// stages returns the stages in words: "v1, canary, half, v2".
func (a App) stages() string {
	var names []string
	for _, s := range a.Stages {
		names = append(names, s.Name)
	}
	return strings.Join(names, ", ")
}

// versions are those that get a weight at some stage.
func (a App) versions() []string {
	set := map[string]bool{}
	for _, s := range a.Stages {
		for v := range s.Weights {
			set[v] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

func object(r *render.Release, kind, name string) *unstructured.Unstructured {
	for _, o := range r.Objects {
		if o.GetKind() == kind && o.GetName() == name {
			return o
		}
	}
	return nil
}

// servicePort is the first port of a Service that speaks HTTP by its name or appProtocol.
func servicePort(ports []corev1.ServicePort) int {
	for _, p := range ports {
		if strings.HasPrefix(p.Name, "http") || strings.HasPrefix(ptr.Deref(p.AppProtocol, ""), "http") {
			return int(p.Port)
		}
	}
	return 0
}

// servicePorts are the ports of a Service of the releases.
func servicePorts(releases []*render.Release, namespace, name string) (ports []corev1.ServicePort, err error) {
	for _, r := range releases {
		if o := object(r, "Service", name); o != nil && o.GetNamespace() == namespace {
			written, _, _ := unstructured.NestedSlice(o.Object, "spec", "ports")
			if err := convert(written, &ports); err != nil {
				return nil, fmt.Errorf("Service/%s/%s: %w", namespace, name, err)
			}
			if servicePort(ports) > 0 {
				return ports, nil
			}
		}
	}
	return ports, nil
}

// specOf is one of Istio's objects with its spec.
type specOf[S any] struct {
	*unstructured.Unstructured
	spec S
}

// specs reads the specs of the releases' objects of one of Istio's kinds, in order.
func specs[S any, P interface {
	*S
	json.Unmarshaler
}](releases []*render.Release, kind string) ([]specOf[P], error) {
	var all []specOf[P]
	for _, r := range releases {
		for _, o := range r.Objects {
			if o.GetKind() != kind || !strings.HasSuffix(o.GroupVersionKind().Group, ".istio.io") {
				continue // Gateway is a kind of Gateway API's too
			}
			spec := P(new(S))
			if err := decode(o, spec); err != nil {
				return nil, err
			}
			all = append(all, specOf[P]{o, spec})
		}
	}
	return all, nil
}

// decode reads the spec of one of Istio's objects.
func decode(o *unstructured.Unstructured, into json.Unmarshaler) error {
	raw, err := json.Marshal(o.Object["spec"])
	if err != nil {
		return fmt.Errorf("%s: %w", name(o), err)
	}
	if err := into.UnmarshalJSON(raw); err != nil {
		return fmt.Errorf("%s: %w", name(o), err)
	}
	return nil
}

func convert(from, into any) error {
	raw, err := yaml.Marshal(from)
	if err != nil {
		return err
	}
	return yaml.Unmarshal(raw, into)
}

func name(o *unstructured.Unstructured) string {
	return o.GetKind() + "/" + o.GetNamespace() + "/" + o.GetName()
}

// related groups apps, by their index, whose requests pass through each other: what is done to one would show in what
// is measured of the other. Groups, and apps in them, are in the order of the apps.
func related(apps []App, workloads []Workload) [][]int {
	group := make([]int, len(apps))
	for i := range apps {
		group[i] = i
	}
	for i, app := range apps {
		reached := reachable(app.Host, workloads)
		for j, other := range apps {
			if reached[other.Host] && group[i] != group[j] {
				from, to := max(group[i], group[j]), min(group[i], group[j])
				for k := range group {
					if group[k] == from {
						group[k] = to
					}
				}
			}
		}
	}
	var groups [][]int
	at := map[int]int{}
	for i, g := range group {
		n, ok := at[g]
		if !ok {
			n = len(groups)
			at[g] = n
			groups = append(groups, nil)
		}
		groups[n] = append(groups[n], i)
	}
	return groups
}

// reachable are the hosts that are called from a host's workloads, or from what those call.
func reachable(host string, workloads []Workload) map[string]bool {
	reached := map[string]bool{}
	queue := []string{host}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, w := range workloads {
			if rollout.FullName(w.App, w.Namespace) != at {
				continue
			}
			for _, c := range w.Calls {
				if to := rollout.FullName(c.Host, w.Namespace); !reached[to] {
					reached[to] = true
					queue = append(queue, to)
				}
			}
		}
	}
	return reached
}
