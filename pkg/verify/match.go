package verify

import (
	"cmp"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	networkingv1 "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pkg/config/host"
	"k8s.io/apimachinery/pkg/labels"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/rollout"
)

// request is what a route asks of a request, and of who sends it.
type request struct {
	path   string
	header http.Header

	authority *networkingv1.StringMatch // any, if nil
	gateways  []string                  // by namespace/name, mesh among them; none: those of the VirtualService
	labels    map[string]string         // that the caller has
	namespace string                    // of the caller; any, if empty
	port      int                       // that is requested; any, if 0
}

// requestsFor returns a request for each match that one of ours, a plain GET, can meet; one to "/" if there are no matches.
// unmet are the fields by which it can meet none of the others. namespace is the VirtualService's.
func requestsFor(namespace string, matches []*networkingv1.HTTPMatchRequest) (met []request, unmet []string) {
	if len(matches) == 0 {
		return []request{{path: "/"}}, nil
	}
	for _, m := range matches {
		asked, fields := requestFor(namespace, m)
		if len(fields) == 0 {
			met = append(met, asked)
		}
		unmet = also(unmet, fields)
	}
	return met, unmet
}

func also(fields, more []string) []string {
	for _, f := range more {
		if !slices.Contains(fields, f) {
			fields = append(fields, f)
		}
	}
	return fields
}

// requestFor returns a request that meets a match, or the fields by which none of ours does.
func requestFor(namespace string, m *networkingv1.HTTPMatchRequest) (asked request, unmet []string) {
	fails := func(field string, failed bool) {
		if failed {
			unmet = append(unmet, field)
		}
	}
	asked.path = cmp.Or(text(m.GetUri()), "/")
	fails("uri.regex", m.GetUri().GetRegex() != "")
	for _, name := range slices.Sorted(maps.Keys(m.GetHeaders())) {
		want := m.GetHeaders()[name]
		fails("headers."+name+".regex", want.GetRegex() != "")
		if asked.header == nil {
			asked.header = http.Header{}
		}
		asked.header.Set(name, cmp.Or(text(want), "any")) // one without a value wants the header alone
	}
	fails("method", m.GetMethod() != nil && !meets(m.GetMethod(), http.MethodGet))
	fails("scheme", m.GetScheme() != nil && !meets(m.GetScheme(), "http"))
	fails("authority.regex", m.GetAuthority().GetRegex() != "")
	fails("queryParams", len(m.GetQueryParams()) > 0)
	asked.authority, asked.labels, asked.namespace = m.GetAuthority(), m.GetSourceLabels(), m.GetSourceNamespace()
	asked.port = int(m.GetPort())
	for _, g := range m.GetGateways() {
		asked.gateways = append(asked.gateways, gatewayOf(g, namespace))
	}
	return asked, unmet
}

// mesh is what VirtualServices call all sidecars together.
const mesh = "mesh"

// gatewayOf is the full name of a Gateway that a VirtualService names, as resolveGatewayName of Istio reads it: gw, ./gw,
// ns/gw, or gw.ns.svc.cluster.local.
func gatewayOf(named, namespace string) string {
	if in, name, ok := strings.Cut(named, "/"); ok {
		if in == "." {
			in = namespace
		}
		return in + "/" + name
	}
	if named == mesh {
		return named
	}
	name, domain, ok := strings.Cut(named, ".")
	if ok {
		namespace, _, _ = strings.Cut(domain, ".")
	}
	return namespace + "/" + name
}

// caller is who sends requests.
type caller struct {
	gateway   string // by namespace/name, or mesh
	authority string // of what it requests: host:port, or the host alone
	port      int    // that it requests
	namespace string
	labels    map[string]string
}

// sent are those of the requests that the caller can send, without repeating any. unmet are the fields by which it can send
// none of the others; those for other gateways are left out.
func (c caller) sent(requests []request) (met []request, unmet []string) {
	for _, r := range requests {
		fields, here := c.unmet(r)
		if here && len(fields) == 0 && !slices.ContainsFunc(met, func(m request) bool { return m.path == r.path && reflect.DeepEqual(m.header, r.header) }) {
			met = append(met, r)
		}
		unmet = also(unmet, fields)
	}
	return met, unmet
}

// unmet are the fields by which a request is for other callers, if so; here says whether it is for its gateway. A match that
// names gateways asks for no labels and no namespace, as Istio reads it.
func (c caller) unmet(r request) (fields []string, here bool) {
	if len(r.gateways) > 0 && !slices.Contains(r.gateways, c.gateway) {
		return nil, false
	}
	if r.authority != nil && !meets(r.authority, c.authority) {
		fields = append(fields, "authority")
	}
	return append(fields, c.unmetSource(r)...), true
}

// has says whether its proxy has the route of a request, whatever the caller requests.
func (c caller) has(r request) bool {
	_, here := c.unmet(r)
	return here && len(c.unmetSource(r)) == 0
}

// unmetSource are those of them by which its proxy has no such route: of who it is and the port, and not of what else it requests.
func (c caller) unmetSource(r request) (fields []string) {
	if r.port > 0 && r.port != c.port {
		fields = append(fields, "port")
	}
	if len(r.gateways) > 0 {
		return fields
	}
	if !labels.SelectorFromSet(r.labels).Matches(labels.Set(c.labels)) {
		fields = append(fields, "sourceLabels")
	}
	if r.namespace != "" && r.namespace != c.namespace {
		fields = append(fields, "sourceNamespace")
	}
	return fields
}

// given are the HTTP routes of a VirtualService that its proxy has, by their index: Istio leaves out those that are not for
// it, and what comes after one that takes everything.
func (c caller) given(vs *networkingv1.VirtualService, namespace string) (routes []int) {
	for i, route := range vs.GetHttp() {
		for _, m := range matchesOf(route) {
			if asked, _ := requestFor(namespace, m); c.has(asked) {
				routes = append(routes, i)
				break
			}
		}
		if slices.ContainsFunc(wholly(route, namespace), c.has) {
			return routes
		}
	}
	return routes
}

// matchesOf are those of a route: one that asks nothing, where it has none. Of one with a delegate there are none, as the
// delegate's own routes stand there, and ask for more.
func matchesOf(route *networkingv1.HTTPRoute) []*networkingv1.HTTPMatchRequest {
	switch {
	case route.GetDelegate() != nil:
		return nil
	case len(route.GetMatch()) == 0:
		return []*networkingv1.HTTPMatchRequest{{}}
	}
	return route.GetMatch()
}

// wholly are what a route asks of those of whom it takes every request.
func wholly(route *networkingv1.HTTPRoute, namespace string) (all []request) {
	for _, m := range matchesOf(route) {
		if takesAll(m) {
			asked, _ := requestFor(namespace, m)
			all = append(all, asked)
		}
	}
	return all
}

// takesAll says whether every request meets a match that is for who sends it, as route.IsCatchAllRoute of Istio has it.
func takesAll(m *networkingv1.HTTPMatchRequest) bool {
	anywhere := m.GetUri() == nil || m.GetUri().GetPrefix() == "/" || m.GetUri().GetRegex() == ".*"
	return anywhere && m.GetMethod() == nil && m.GetAuthority() == nil && m.GetScheme() == nil &&
		len(m.GetHeaders())+len(m.GetWithoutHeaders())+len(m.GetQueryParams()) == 0
}

// callersOf are those whose requests of a host at a port a proxy sends by the routes of a VirtualService: a sidecar is the
// mesh, and a pod may serve several Gateways. One that is of no release may be any pod's.
func callersOf(vs *networkingv1.VirtualService, namespace string, servers map[string][]server, p cluster.Proxy, host string, port int) (callers []caller) {
	if !covers(vs, namespace, host) || !exported(vs.GetExportTo(), namespace, p.Namespace) {
		return nil
	}
	at := func(gateway string) caller {
		return caller{gateway: gateway, port: port, namespace: p.Namespace, labels: p.Labels}
	}
	if !p.Gateway {
		if atMesh(vs) {
			callers = append(callers, at(mesh))
		}
		return callers
	}
	for _, g := range vs.GetGateways() {
		named := gatewayOf(g, namespace)
		of, ours := servers[named]
		serves := func(s server) bool {
			_, meets := s.meets([]string{host}, namespace)
			return meets && s.port == port && s.selector.AsSelector().Matches(labels.Set(p.Labels))
		}
		if named != mesh && (!ours || slices.ContainsFunc(of, serves)) {
			callers = append(callers, at(named))
		}
	}
	return callers
}

// atMesh says whether a VirtualService is for sidecars, as one is that names no gateway.
func atMesh(vs *networkingv1.VirtualService) bool {
	return len(vs.GetGateways()) == 0 || slices.Contains(vs.GetGateways(), mesh)
}

// covers says whether a VirtualService is for requests of a host.
func covers(vs *networkingv1.VirtualService, namespace, requested string) bool {
	return slices.ContainsFunc(vs.GetHosts(), func(h string) bool {
		return host.Name(requested).SubsetOf(host.Name(hostOf(h, namespace)))
	})
}

// exported says whether what is exported to some namespaces is seen in one: ours is its own.
func exported(to []string, ours, seen string) bool {
	return len(to) == 0 || slices.ContainsFunc(to, func(t string) bool { return t == "*" || t == seen || t == "." && seen == ours })
}

// hostOf is what Istio makes of a host of a VirtualService: one without a dot is a Service of its namespace, and capitals are
// small.
func hostOf(written, namespace string) string {
	written = strings.ToLower(written)
	if written == "*" || strings.Contains(written, ".") {
		return written
	}
	return rollout.FullName(written, namespace)
}

// text is one that meets a match, if it is not by regex.
func text(m *networkingv1.StringMatch) string { return cmp.Or(m.GetExact(), m.GetPrefix()) }

// meets says whether a text meets a match that is not by regex.
func meets(m *networkingv1.StringMatch, value string) bool {
	return m.GetExact() == value || m.GetPrefix() != "" && strings.HasPrefix(value, m.GetPrefix())
}
