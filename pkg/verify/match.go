package verify

import (
	"cmp"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	networkingv1 "istio.io/api/networking/v1alpha3"
)

// request is what of a request a route matches.
type request struct {
	path   string
	header http.Header
}

// requestsFor returns a request for each match that one of ours, a plain GET, can meet, without repeating any; one to "/" if
// there are no matches. unmet are the fields by which it can meet none of the others.
func requestsFor(matches []*networkingv1.HTTPMatchRequest) (met []request, unmet []string) {
	if len(matches) == 0 {
		return []request{{path: "/"}}, nil
	}
	for _, m := range matches {
		asked, fields := requestFor(m)
		switch {
		case len(fields) > 0:
			for _, f := range fields {
				if !slices.Contains(unmet, f) {
					unmet = append(unmet, f)
				}
			}
		case !slices.ContainsFunc(met, func(r request) bool { return reflect.DeepEqual(r, asked) }):
			met = append(met, asked)
		}
	}
	return met, unmet
}

// requestFor returns a request that meets a match, or the fields by which none of ours does.
func requestFor(m *networkingv1.HTTPMatchRequest) (asked request, unmet []string) {
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
	fails("authority", m.GetAuthority() != nil)
	fails("queryParams", len(m.GetQueryParams()) > 0)
	fails("sourceLabels", len(m.GetSourceLabels()) > 0)
	fails("sourceNamespace", m.GetSourceNamespace() != "")
	return asked, unmet
}

// text is one that meets a match, if it is not by regex.
func text(m *networkingv1.StringMatch) string { return cmp.Or(m.GetExact(), m.GetPrefix()) }

// meets says whether a text meets a match that is not by regex.
func meets(m *networkingv1.StringMatch, value string) bool {
	return m.GetExact() == value || m.GetPrefix() != "" && strings.HasPrefix(value, m.GetPrefix())
}
