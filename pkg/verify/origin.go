package verify

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	networkingv1 "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pkg/config/host"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/kubectl/pkg/util/podutils"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/render"
	"chartbasico/pkg/rollout"
	"chartbasico/pkg/traffic"
)

// The chart writes what a workload calls into this annotation of its pods, as a JSON list of host:port.
const callsAnnotation = "chart-basico/calls"

// callHeader makes a stand-in call on: hops are separated by ";".
const callHeader = "Basico-Call"

// GatewayName is how reports name the ingress gateway as an origin.
const GatewayName = "ingress gateway"

// Workload is the pods of one version of an app.
type Workload struct {
	Namespace, App, Version string
	// Calls are what it calls.
	Calls []Call
	// Shows is a text that a page has if this version was asked for it.
	Shows string
	// Waits says that it is slow when told to, though it is real.
	Waits bool
	// Pods are those that are ready, by name. Injected says whether they have a sidecar.
	Pods     []string
	Injected bool

	labels map[string]string // of its first pod
}

// String is the name in reports.
func (w Workload) String() string { return w.App + "/" + w.Version }

func (w Workload) place() cluster.Place {
	return cluster.Place{Namespace: w.Namespace, App: w.App, Version: w.Version}
}

// caller is the workload as it calls.
func (w Workload) caller(call Call) caller {
	port, _ := strconv.Atoi(call.Port) // by name it is none that a route is for
	return caller{gateway: mesh, authority: call.String(), port: port, namespace: w.Namespace, labels: w.labels}
}

// calls returns how the workload calls an app: where it does so at several ports, at one whose requests meet the route that
// divides, if any does.
func (w Workload) calls(app App) (call Call, ok bool) {
	for _, c := range w.Calls {
		if rollout.FullName(c.Host, w.Namespace) != app.Host {
			continue
		}
		if _, why := app.askedBy(w, c); why == "" {
			return c, true
		}
		if !ok {
			call, ok = c, true
		}
	}
	return call, ok
}

// Call is a host that a workload calls, with a port and a path.
type Call struct {
	Host, Port, Path string
}

// readCalls reads the annotation: a JSON list of host:port, each maybe with a path.
func readCalls(annotation string) ([]Call, error) {
	var written []string
	if err := json.Unmarshal([]byte(annotation), &written); err != nil {
		return nil, err
	}
	var calls []Call
	for _, w := range written {
		address, path, _ := strings.Cut(w, "/")
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		calls = append(calls, Call{Host: host, Port: port, Path: "/" + path})
	}
	return calls, nil
}

// String is the call's address.
func (c Call) String() string { return net.JoinHostPort(c.Host, c.Port) }

// url is what is called at a path that a route matches: the call's own, if the route matches that.
func (c Call) url(matched string) string {
	path := c.Path
	if !strings.HasPrefix(path, matched) {
		path = matched
	}
	return "http://" + c.String() + path
}

// Workloads groups pods by namespace, app and version, sorted so. Pods that end, or lack the labels, are left out.
func Workloads(pods []*corev1.Pod) ([]Workload, error) {
	found := map[[3]string]*Workload{}
	for _, p := range pods {
		key := [3]string{p.Namespace, p.Labels["app"], p.Labels["version"]}
		if key[1] == "" || key[2] == "" || p.DeletionTimestamp != nil || !podutils.IsPodReady(p) {
			continue
		}
		w := found[key]
		if w == nil {
			w = &Workload{Namespace: key[0], App: key[1], Version: key[2], Injected: hasSidecar(p), labels: p.Labels, Shows: p.Annotations[showsAnnotation], Waits: p.Annotations[waitsAnnotation] == "true"}
			if calls := p.Annotations[callsAnnotation]; calls != "" {
				var err error
				if w.Calls, err = readCalls(calls); err != nil {
					return nil, fmt.Errorf("Pod/%s/%s: annotation %s: found %q, expected a JSON list of host:port/path", p.Namespace, p.Name, callsAnnotation, calls)
				}
			}
			found[key] = w
		}
		w.Pods = append(w.Pods, p.Name)
	}
	var all []Workload
	for _, key := range slices.SortedFunc(maps.Keys(found), func(a, b [3]string) int { return slices.Compare(a[:], b[:]) }) {
		w := found[key]
		slices.Sort(w.Pods)
		all = append(all, *w)
	}
	return all, nil
}

func hasSidecar(p *corev1.Pod) bool {
	isProxy := func(c corev1.Container) bool { return c.Name == "istio-proxy" }
	return slices.ContainsFunc(p.Spec.Containers, isProxy) || slices.ContainsFunc(p.Spec.InitContainers, isProxy)
}

// Entry is a way in from outside: a host and a path at an ingress gateway that lead to an app.
type Entry struct {
	Gateway        string // labels of the gateway's pods, as a selector; Istio's own if empty
	Host, Path     string
	Header         http.Header // that its route wants
	Port           int
	App, Namespace string
	route          string // namespace/name of the VirtualService
	last           bool   // its route is the last there, which takes what no other does
}

// place is where requests to it are sent from.
func (e Entry) place() cluster.Place { return cluster.Place{Gateway: e.Gateway} }

func (e Entry) url() string {
	return "http://" + hostPort(e.Host, e.Port) + e.Path
}

// Entries finds the ways in that the environment's gateways open, in order of the releases.
func Entries(releases []*render.Release) ([]Entry, error) {
	var entries []Entry
	servers, err := serversOf(releases)
	if err != nil {
		return nil, err
	}
	services, err := specs[networkingv1.VirtualService](releases, "VirtualService")
	if err != nil {
		return nil, err
	}
	for _, s := range services {
		in := waysIn(s, servers)
		for i, route := range s.spec.GetHttp() {
			if len(route.GetRoute()) == 0 {
				continue
			}
			to := rollout.FullName(route.GetRoute()[0].GetDestination().GetHost(), s.GetNamespace())
			parts := strings.SplitN(to, ".", 3)
			if len(parts) < 3 {
				continue
			}
			all, _ := requestsFor(s.GetNamespace(), route.GetMatch())
			for _, w := range in {
				if !slices.Contains(w.caller().given(s.spec, s.GetNamespace()), i) {
					continue // those before take everything there
				}
				met, _ := w.caller().sent(all)
				for _, m := range met {
					entries = append(entries, Entry{Gateway: w.selector.String(), Host: w.host, Port: w.port, Path: m.path, Header: m.header, App: parts[0], Namespace: parts[1], route: s.GetNamespace() + "/" + s.GetName(), last: i == len(s.spec.GetHttp())-1})
				}
				if len(met) > 0 {
					break // one way in is enough
				}
			}
		}
	}
	return entries, nil
}

// server is one of a Gateway.
type server struct {
	gateway   string     // namespace/name
	selector  labels.Set // of the pods that serve it; Istio's own ingress gateway if empty
	protocol  string
	port      int
	redirects bool // it does nothing else
	hosts     []string
}

// plain says whether it serves plain HTTP.
func (s server) plain() bool { return s.protocol == "HTTP" && !s.redirects }

// meets returns a host by which requests for a VirtualService's hosts are served here, if there is any: one that is a Service
// only if no other is.
func (s server) meets(hosts []string, namespace string) (string, bool) {
	var others, services []string
	for _, h := range hosts {
		if h = hostOf(h, namespace); strings.HasSuffix(h, ".svc.cluster.local") {
			services = append(services, h)
		} else {
			others = append(others, h)
		}
	}
	for _, wanted := range slices.Concat(others, services) {
		for _, served := range s.hosts {
			if in, rest, ok := strings.Cut(served, "/"); ok { // for the VirtualServices of a namespace
				if in == "." {
					in, _, _ = strings.Cut(s.gateway, "/")
				}
				if in != "*" && in != namespace {
					continue
				}
				served = rest
			}
			served = strings.ToLower(served)
			switch wanted, served := host.Name(wanted), host.Name(served); {
			case !wanted.Matches(served):
			case wanted.SubsetOf(served):
				return concrete(string(wanted)), true
			default:
				return concrete(string(served)), true
			}
		}
	}
	return "", false
}

// serversOf are those of the environment's Gateways, by namespace/name.
func serversOf(releases []*render.Release) (map[string][]server, error) {
	gateways, err := specs[networkingv1.Gateway](releases, "Gateway")
	if err != nil {
		return nil, err
	}
	servers := map[string][]server{}
	for _, g := range gateways {
		named := g.GetNamespace() + "/" + g.GetName()
		servers[named] = []server{}
		for _, s := range g.spec.GetServers() {
			servers[named] = append(servers[named], server{
				gateway: named, selector: g.spec.GetSelector(), protocol: s.GetPort().GetProtocol(),
				port: int(s.GetPort().GetNumber()), redirects: s.GetTls().GetHttpsRedirect(), hosts: s.GetHosts(),
			})
		}
	}
	return servers, nil
}

// wayIn is where a VirtualService is served as plain HTTP, and the host by which.
type wayIn struct {
	server
	host string
}

// caller is the gateway as it is asked for the host.
func (w wayIn) caller() caller {
	return caller{gateway: w.gateway, authority: hostPort(w.host, w.port), port: w.port, labels: w.selector}
}

// waysIn are those of a VirtualService: one for each of its Gateways that has any, the highest port first.
func waysIn(s specOf[*networkingv1.VirtualService], servers map[string][]server) (in []wayIn) {
	for _, g := range s.spec.GetGateways() {
		of := servers[gatewayOf(g, s.GetNamespace())]
		for _, at := range slices.Backward(of) {
			if host, ok := at.meets(s.spec.GetHosts(), s.GetNamespace()); ok && at.plain() {
				in = append(in, wayIn{at, host})
				break
			}
		}
	}
	slices.SortStableFunc(in, func(a, b wayIn) int { return b.port - a.port })
	return in
}

// concrete is a host that a pattern of hosts matches.
func concrete(host string) string {
	if host == "*" {
		return "any.example"
	}
	return strings.Replace(host, "*.", "any.", 1)
}

func hostPort(host string, port int) string {
	if port == 80 {
		return host
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// Origins returns where requests to an app come from: the ingress gateway, directly or through apps that call it on
// the way, then each workload that calls it. direct are those whose next hop is the app itself.
func Origins(app App, entries []Entry, workloads []Workload) (origins []rollout.Origin, direct []rollout.Origin) {
	if o, hops, ok := fromGateway(app, entries, workloads); ok {
		origins = append(origins, o)
		if hops == 0 {
			direct = append(direct, o)
		}
	}
	for _, w := range workloads {
		call, ok := w.calls(app)
		if !ok {
			continue
		}
		asked, why := app.askedBy(w, call)
		if why != "" {
			continue
		}
		o := app.origin(w.String(), w.place(), call.url(asked[0].path), asked[0].header)
		origins = append(origins, o)
		direct = append(direct, o)
	}
	return origins, direct
}

// askedBy are the requests by which a workload that calls the app meets the route that divides; why says that there is none.
func (a App) askedBy(w Workload, call Call) (asked []request, why string) {
	if why := a.barred(w.caller(call), w.String()); why != "" {
		return nil, why
	}
	asked, unmet := w.caller(call).sent(a.requests)
	if len(asked) == 0 {
		return nil, fmt.Sprintf("its route is for requests by %s, and those of %s are others", cmp.Or(strings.Join(unmet, " and "), "gateways"), w)
	}
	return asked, ""
}

// barred says why no sidecar of a caller, by its name, has the route that divides, whatever it asks; "" if that is not so.
func (a App) barred(c caller, name string) string {
	switch {
	case a.outside:
		return "its VirtualService is not for requests to it in the mesh, as those of " + name + " are"
	case !exported(a.exportTo, a.Namespace, c.namespace):
		return "its VirtualService is not exported to the namespace of " + name
	case slices.ContainsFunc(a.earlier, c.has):
		return "a route before the one that divides takes all requests of " + name
	}
	return ""
}

// origin is where requests to the app come from, by the URL that is requested there.
func (a App) origin(name string, from cluster.Place, url string, header http.Header) rollout.Origin {
	return rollout.Origin{Name: name, From: from, AtOnce: a.AtOnce, Load: traffic.Load{URL: url, App: a.Name, Header: header.Clone()}}
}

// leads says whether an entry leads to the app itself.
func (a App) leads(e Entry) bool { return rollout.FullName(e.App, e.Namespace) == a.Host }

// through is the gateway as an origin. header is what the app's route wants of who calls it on the way.
func (a App) through(e Entry, header http.Header) rollout.Origin {
	o := a.origin(GatewayName, e.place(), e.url(), header)
	for name, values := range e.Header {
		o.Load.Header = with(o.Load.Header, name, values[0])
	}
	return o
}

// handedOn is the first of the requests of which what is called on the way hands on the headers: programs do so with those of
// traces, and the one by which bookinfo tells users apart.
func handedOn(asked []request) (request, bool) {
	for _, r := range asked {
		if _, user := r.header["End-User"]; len(r.header) == 0 || user && len(r.header) == 1 {
			return r, true
		}
	}
	return request{}, false
}

// best returns the entries in the order in which they are tried for the app: first those whose route may be the one that
// divides, then those that want no header. Those whose route is another of its own VirtualServices, that of its routing and
// that of its exposure, are left out: they are not divided as the stages say.
func (a App) best(entries []Entry) []Entry {
	rank := func(e Entry) int {
		switch {
		case e.last && a.leads(e):
			return 0
		case len(e.Header) == 0:
			return 1
		}
		return 2
	}
	entries = slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool {
		own := a.Namespace + "/" + a.Name
		return a.leads(e) && !e.last && (e.route == own || e.route == own+"-exposure")
	})
	slices.SortStableFunc(entries, func(x, y Entry) int { return rank(x) - rank(y) })
	return entries
}

// fromGateway finds the shortest way from an entry to the app over the calls of the workloads between.
func fromGateway(app App, entries []Entry, workloads []Workload) (o rollout.Origin, hops int, ok bool) {
	type step struct {
		host  string   // full name of the Service reached
		calls []string // URLs called on the way after the entry
		entry Entry
		asked request // of the app by the last one
	}
	var queue []step
	seen := map[string]bool{}
	for _, e := range app.best(entries) {
		queue = append(queue, step{host: rollout.FullName(e.App, e.Namespace), entry: e})
	}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		if at.host == app.Host {
			o = app.through(at.entry, at.asked.header)
			if len(at.calls) > 0 {
				o.Load.Header = with(o.Load.Header, callHeader, strings.Join(at.calls, ";"))
			}
			return o, len(at.calls), true
		}
		if seen[at.host] {
			continue
		}
		seen[at.host] = true
		for _, w := range workloads {
			if rollout.FullName(w.App, w.Namespace) != at.host {
				continue
			}
			for _, call := range w.Calls {
				next := rollout.FullName(call.Host, w.Namespace)
				asked := request{path: "/"}
				if next == app.Host {
					all, _ := app.askedBy(w, call)
					var ok bool
					if asked, ok = handedOn(all); !ok {
						continue
					}
				}
				queue = append(queue, step{host: next, calls: append(slices.Clone(at.calls), call.url(asked.path)), entry: at.entry, asked: asked})
			}
		}
	}
	return rollout.Origin{}, 0, false
}
