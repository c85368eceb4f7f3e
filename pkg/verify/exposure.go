package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	networkingv1 "istio.io/api/networking/v1alpha3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/render"
	"chartbasico/pkg/rollout"
	"chartbasico/pkg/traffic"
)

// Exposure is a way in from outside through which nothing is sent.
type Exposure struct {
	// Object is what opens it, as Kind/namespace/name.
	Object string
	// Hosts are the full names of the Services of the environment that it leads to.
	Hosts []string
	// Why is why nothing is sent.
	Why string

	absent bool // its gateway does not run, though others' may on a cluster that they use too
}

// Unrequested are the ways in that are not among the Entries, in order of the releases: Istio's for anything but plain HTTP,
// and all that are not Istio's own.
func Unrequested(releases []*render.Release) ([]Exposure, error) {
	all, err := unrequestedIstio(releases)
	if err != nil {
		return nil, err
	}
	for _, r := range releases {
		for _, o := range r.Objects {
			if hosts := backends(o); len(hosts) > 0 {
				all = append(all, Exposure{Object: name(o), Hosts: hosts, Why: "requests are sent through Istio's own Gateways alone"})
			}
		}
	}
	services := map[string]bool{}
	for _, r := range releases {
		for _, o := range r.Objects {
			if o.GetKind() == "Service" {
				services[rollout.FullName(o.GetName(), o.GetNamespace())] = true
			}
		}
	}
	for i := range all {
		all[i].Hosts = slices.DeleteFunc(all[i].Hosts, func(h string) bool { return !services[h] })
	}
	return slices.DeleteFunc(all, func(e Exposure) bool { return len(e.Hosts) == 0 }), nil
}

// unrequestedIstio are the VirtualServices at Gateways, so far as nothing is sent through them.
func unrequestedIstio(releases []*render.Release) ([]Exposure, error) {
	services, err := specs[networkingv1.VirtualService](releases, "VirtualService")
	if err != nil {
		return nil, err
	}
	servers, err := serversOf(releases)
	if err != nil {
		return nil, err
	}
	var all []Exposure
	for _, s := range services {
		leads := func(why string) {
			all = append(all, Exposure{Object: name(s.Unstructured), Hosts: destinationsOf(s.GetNamespace(), s.spec), Why: why})
		}
		for _, g := range s.spec.GetGateways() {
			if g = gatewayOf(g, s.GetNamespace()); g == mesh {
				continue
			}
			of, ours := servers[g]
			meets, plain := false, false
			var others []string
			for _, at := range of {
				if _, ok := at.meets(s.spec.GetHosts(), s.GetNamespace()); !ok {
					continue
				}
				meets, plain = true, plain || at.plain()
				if at.protocol != "HTTP" {
					others = also(others, []string{fmt.Sprintf("%s at port %d", at.protocol, at.port)})
				}
			}
			switch {
			case !ours:
				leads("its Gateway " + g + " is of no release of the environment")
			case !meets:
				leads("its Gateway " + g + " serves none of its hosts")
			case len(others) > 0:
				leads(fmt.Sprintf("its Gateway %s serves %s, and requests are sent as plain HTTP", g, strings.Join(others, " and ")))
			case !plain:
				leads("its Gateway " + g + " only redirects")
			}
		}
		in := waysIn(s, servers)
		for _, route := range s.spec.GetHttp() {
			if len(in) == 0 || len(route.GetRoute()) == 0 {
				continue
			}
			asked, unmet := requestsFor(s.GetNamespace(), route.GetMatch())
			var met []request
			for _, w := range in {
				more, fields := w.caller().sent(asked)
				met, unmet = append(met, more...), also(unmet, fields)
			}
			if len(met) == 0 && len(unmet) > 0 { // else it is for other gateways
				leads("a route is for requests by " + strings.Join(unmet, " and ") + ", of which none is sent")
			}
		}
	}
	return all, nil
}

// open keeps the ways in whose gateways run; through the others nothing is sent. It asks once at each gateway, for nothing
// that counts.
func open(ctx context.Context, c cluster.Cluster, entries []Entry) (in []Entry, closed []Exposure, err error) {
	runs := map[string]bool{} // by gateway
	for _, e := range entries {
		if _, asked := runs[e.Gateway]; !asked {
			_, err := c.Send(ctx, e.place(), traffic.Load{URL: e.url(), Header: e.Header, Requests: 1, Concurrency: 1, AnyStatus: true})
			if err != nil && !errors.Is(err, cluster.ErrNoPlace) {
				return nil, nil, fmt.Errorf("%s from the ingress gateway: %w", e.url(), err)
			}
			runs[e.Gateway] = err == nil
		}
		if runs[e.Gateway] {
			in = append(in, e)
			continue
		}
		to := rollout.FullName(e.App, e.Namespace)
		object, why := "VirtualService/"+e.route, "no pod labelled "+e.place().GatewayLabels()+" runs, as its Gateway selects"
		if i := slices.IndexFunc(closed, func(x Exposure) bool { return x.Object == object && x.Why == why }); i >= 0 {
			closed[i].Hosts = also(closed[i].Hosts, []string{to})
		} else {
			closed = append(closed, Exposure{Object: object, Hosts: []string{to}, Why: why, absent: true})
		}
	}
	return in, closed, nil
}

// destinationsOf are the full names of the hosts that a VirtualService leads to.
func destinationsOf(namespace string, spec *networkingv1.VirtualService) []string {
	var hosts []string
	to := func(d *networkingv1.Destination) {
		if host := rollout.FullName(d.GetHost(), namespace); !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	for _, route := range spec.GetHttp() {
		for _, d := range route.GetRoute() {
			to(d.GetDestination())
		}
	}
	for _, route := range spec.GetTls() {
		for _, d := range route.GetRoute() {
			to(d.GetDestination())
		}
	}
	for _, route := range spec.GetTcp() {
		for _, d := range route.GetRoute() {
			to(d.GetDestination())
		}
	}
	return hosts
}

// backends are the full names of the Services that an Ingress, a route of Gateway API or a Route of OpenShift leads to.
func backends(o *unstructured.Unstructured) []string {
	var hosts []string
	to := func(from any, path ...string) {
		object, _ := from.(map[string]any)
		service, _, _ := unstructured.NestedMap(object, path...)
		if service == nil && len(path) == 0 {
			service = object
		}
		named, _ := service["name"].(string)
		namespace, _ := service["namespace"].(string)
		if namespace == "" {
			namespace = o.GetNamespace()
		}
		if host := rollout.FullName(named, namespace); named != "" && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	list := func(from any, path ...string) []any {
		object, _ := from.(map[string]any)
		found, _, _ := unstructured.NestedSlice(object, path...)
		return found
	}
	switch group, kind := o.GroupVersionKind().Group, o.GetKind(); {
	case kind == "Ingress":
		to(o.Object, "spec", "defaultBackend", "service")
		for _, rule := range list(o.Object, "spec", "rules") {
			for _, path := range list(rule, "http", "paths") {
				to(path, "backend", "service")
			}
		}
	case group == "gateway.networking.k8s.io" && strings.HasSuffix(kind, "Route"):
		if !slices.ContainsFunc(list(o.Object, "spec", "parentRefs"), ofGateway) {
			return nil // one of a Service is for the mesh
		}
		for _, rule := range list(o.Object, "spec", "rules") {
			for _, backend := range list(rule, "backendRefs") {
				to(backend)
			}
		}
	case group == "route.openshift.io" && kind == "Route":
		to(o.Object, "spec", "to")
		for _, backend := range list(o.Object, "spec", "alternateBackends") {
			to(backend)
		}
	}
	return hosts
}

// ofGateway says whether a parent of a route is a Gateway, as one without a kind is.
func ofGateway(parent any) bool {
	object, _ := parent.(map[string]any)
	kind, named := object["kind"].(string)
	return !named || kind == "Gateway"
}

// reachedFrom says whether requests to a host get to the app, as workloads call each other.
func (a App) reachedFrom(host string, workloads []Workload) bool {
	return host == a.Host || reachable(host, workloads)[a.Host]
}

// leading are the ways in by which requests get to the app.
func leading(app App, entries []Entry, workloads []Workload) []Entry {
	return slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool {
		return !app.reachedFrom(rollout.FullName(e.App, e.Namespace), workloads)
	})
}

// notExposed says of an app to which nothing is sent from the ingress gateway why that is so.
func notExposed(app App, entries []Entry, exposures []Exposure, workloads []Workload) string {
	if in := leading(app, entries, workloads); len(in) > 0 {
		if len(app.best(in)) == 0 {
			return "the gateway does not meet its route"
		}
		if slices.ContainsFunc(workloads, app.asks) {
			return "its route wants headers, which what calls it on the way does not hand on"
		}
		return "what calls it on the way does not meet its route"
	}
	var found []string
	leads := func(host string) bool { return app.reachedFrom(host, workloads) }
	for _, e := range exposures {
		if slices.ContainsFunc(e.Hosts, leads) && !slices.Contains(found, e.Object) {
			found = append(found, e.Object)
		}
	}
	called := slices.ContainsFunc(workloads, func(w Workload) bool { _, calls := w.calls(app); return calls })
	switch {
	case len(found) > 0:
		return "nothing is sent through " + strings.Join(found, " and ")
	case called:
		return "neither it nor what calls it is exposed"
	}
	return "nothing exposes it"
}

// asks says whether a workload calls the app by requests that meet its route.
func (a App) asks(w Workload) bool {
	call, calls := w.calls(a)
	if !calls {
		return false
	}
	_, why := a.askedBy(w, call)
	return why == ""
}

// notAsked says of each workload that calls the app and does not ask it why that is so.
func notAsked(app App, workloads []Workload) (by []Workload, whys []string) {
	for _, w := range workloads {
		if call, calls := w.calls(app); calls {
			if _, why := app.askedBy(w, call); why != "" {
				by, whys = append(by, w), append(whys, why)
			}
		}
	}
	return by, whys
}
