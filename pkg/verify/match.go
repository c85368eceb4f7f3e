package verify

import (
	"cmp"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	networkingv1 "istio.io/api/networking/v1alpha3"
	"k8s.io/apimachinery/pkg/labels"
)

// request is what a route asks of a request, and of who sends it.
type request struct {
	path   string
	header http.Header

	authority *networkingv1.StringMatch // any, if nil
	gateways  []string                  // by namespace/name, mesh among them; none: those of the VirtualService
	labels    map[string]string         // that the caller has
	namespace string                    // of the caller; any, if empty
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
	for _, g := range m.GetGateways() {
		asked.gateways = append(asked.gateways, gatewayOf(g, namespace))
	}
	return asked, unmet
}

// mesh is what VirtualServices call all sidecars together.
const mesh = "mesh"

// gatewayOf is the full name of a Gateway that a VirtualService names.
func gatewayOf(named, namespace string) string {
	if named == mesh || strings.Contains(named, "/") {
		return named
	}
	return namespace + "/" + named
}

// caller is who sends requests.
type caller struct {
	gateway   string // by namespace/name, or mesh
	authority string // of what it requests: host:port, or the host alone
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

// unmetSource are those of them that are of who it is, and not of what it requests.
func (c caller) unmetSource(r request) (fields []string) {
	if len(r.gateways) > 0 {
		return nil
	}
	if !labels.SelectorFromSet(r.labels).Matches(labels.Set(c.labels)) {
		fields = append(fields, "sourceLabels")
	}
	if r.namespace != "" && r.namespace != c.namespace {
		fields = append(fields, "sourceNamespace")
	}
	return fields
}

// text is one that meets a match, if it is not by regex.
func text(m *networkingv1.StringMatch) string { return cmp.Or(m.GetExact(), m.GetPrefix()) }

// meets says whether a text meets a match that is not by regex.
func meets(m *networkingv1.StringMatch, value string) bool {
	return m.GetExact() == value || m.GetPrefix() != "" && strings.HasPrefix(value, m.GetPrefix())
}
