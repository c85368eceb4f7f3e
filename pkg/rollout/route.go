// Package rollout moves an app's routing from stage to stage by real upgrades of its release, and knows when a stage
// has arrived at every proxy. A steady flow of requests can go on meanwhile, whose losses are counted.
package rollout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"chartbasico/pkg/cluster"
)

// Route is what proxies should make of an app's VirtualService.
type Route struct {
	// Host is the full name of the app's Service: reviews.bookinfo.svc.cluster.local.
	Host string
	// Splits returns how a proxy should divide what is requested of a host at a port, which is the Service, or at a gateway
	// another: once for each of the routes that it is given there. None: no route of the VirtualService is for it there.
	Splits func(p cluster.Proxy, host string, port int) []Split
	// Connections has each subset whose cluster must be there, weight or not, and how many connections it may open; 0: any number.
	Connections map[string]int
	// Endpoints is how many pods each subset with a weight should have at each proxy. Not looked at if nil.
	Endpoints map[string]int
	// Carriers are the proxies, as namespace/pod, that must carry the route. Others that carry it must agree.
	Carriers []string
}

// Split is how a route divides requests.
type Split struct {
	Weights map[string]int // percent by subset
	Timeout time.Duration  // of the route; 0: any
}

// whole says whether a route divides nothing: all goes to the Service, or elsewhere.
func (s Split) whole() bool {
	for subset := range s.Weights {
		if subset != "" {
			return false
		}
	}
	return true
}

// ErrRejected is wrapped when a proxy refused configuration: waiting on is of no use.
var ErrRejected = errors.New("configuration rejected")

// Splits reads the weights by subset of each HTTP route of a VirtualService; they are empty where it does not lead to host.
// A destination that is alone has 100.
func Splits(virtualService *unstructured.Unstructured, host string) []map[string]int {
	routes, _, _ := unstructured.NestedSlice(virtualService.Object, "spec", "http")
	splits := make([]map[string]int, len(routes))
	for i, r := range routes {
		r, _ := r.(map[string]any)
		destinations, _, _ := unstructured.NestedSlice(r, "route")
		split := map[string]int{}
		for _, d := range destinations {
			d, _ := d.(map[string]any)
			to, _, _ := unstructured.NestedString(d, "destination", "host")
			if FullName(to, virtualService.GetNamespace()) != host {
				continue
			}
			subset, _, _ := unstructured.NestedString(d, "destination", "subset")
			weight := number(d["weight"])
			if len(destinations) == 1 {
				weight = 100
			}
			if weight > 0 { // Envoy is not told of a weight of 0
				split[subset] += weight
			}
		}
		splits[i] = split
	}
	return splits
}

// FullName is the full name of the Service that a host means when it is written in a namespace.
func FullName(host, namespace string) string {
	switch strings.Count(host, ".") {
	case 0:
		return host + "." + namespace + ".svc.cluster.local"
	case 1:
		return host + ".svc.cluster.local"
	}
	if strings.HasSuffix(host, ".svc") {
		return host + ".cluster.local"
	}
	return host
}

func number(v any) int {
	switch n := v.(type) {
	case int64:
		return int(n)
	case float64:
		return int(n)
	case int:
		return n
	}
	return 0
}

// look is how often a proxy that does not have the route yet is asked again: Envoy's admin interface tells its
// configuration when asked and cannot be watched.
const look = 20 * time.Millisecond

// WaitForRoute waits until every proxy that carries the route has exactly the splits that it should have, its clusters and its
// endpoints, and is in sync.
// wanted is asked at each look, as pods come and go meanwhile. The error of a wait that ended says what each proxy still
// has. A rejected configuration ends it at once.
func WaitForRoute(ctx context.Context, c cluster.Cluster, wanted func() (Route, error)) error {
	want, err := wanted()
	if err != nil {
		return err
	}
	if want.Splits == nil {
		return fmt.Errorf("no route to %s is wanted, so there is nothing to wait for", want.Host)
	}
	have, pods := map[string]bool{}, want.Endpoints
	return until(ctx, "route to "+want.Host, func() ([]string, error) {
		want, err := wanted()
		if err != nil {
			return nil, err
		}
		if !maps.Equal(want.Endpoints, pods) { // who has the route may not know the new ones
			clear(have)
			pods = want.Endpoints
		}
		return lacking(ctx, c, want, have)
	})
}

// until asks again and again what is missing, until it is nothing, or an error, or ctx ends.
func until(ctx context.Context, what string, missing func() ([]string, error)) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	var seen []string
	for {
		last, err := missing()
		if ctx.Err() == nil && (err != nil || len(last) == 0) {
			return err
		}
		if len(last) > 0 { // else it was asked too late to be answered
			seen = last
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w; last seen: %s", what, context.Cause(ctx), strings.Join(seen, "; "))
		}
	}
}

// Known is what one proxy should know of a Service.
type Known struct {
	Proxy string // namespace/pod
	Host  string // the Service's full name
	Pods  int    // how many pods it leads to
}

// WaitForEndpoints waits until proxies know the pods behind Services, and that they are healthy. known is asked at each look,
// as pods come and go meanwhile.
func WaitForEndpoints(ctx context.Context, c cluster.Cluster, known func() ([]Known, error)) error {
	return until(ctx, "endpoints", func() ([]string, error) {
		wanted, err := known()
		if err != nil {
			return nil, err
		}
		hosts := map[string][]string{} // by proxy
		for _, w := range wanted {
			hosts[w.Proxy] = append(hosts[w.Proxy], w.Host)
		}
		proxies, err := c.Proxies(ctx)
		if err != nil {
			return nil, fmt.Errorf("asking for the proxies: %w", err)
		}
		byName := map[string]cluster.Proxy{}
		for _, p := range proxies {
			byName[p.Namespace+"/"+p.Pod] = p
		}
		dumps := map[string]*adminv3.ConfigDump{}
		var missing []string
		for _, w := range wanted {
			if dumps[w.Proxy] == nil {
				dump, err := c.ProxyConfig(ctx, byName[w.Proxy], endpointsOf(hosts[w.Proxy]...))
				if err != nil {
					missing = append(missing, fmt.Sprintf("%s: %v", w.Proxy, err))
					continue
				}
				dumps[w.Proxy] = dump
			}
			has, err := carriedBy(dumps[w.Proxy], w.Host)
			if err != nil {
				return nil, fmt.Errorf("configuration of %s: %w", w.Proxy, err)
			}
			if got := has.endpoints[""]; got != w.Pods {
				missing = append(missing, fmt.Sprintf("%s knows %d endpoints of %s, expected %d", w.Proxy, got, w.Host, w.Pods))
			}
		}
		return missing, nil
	})
}

// lacking says in words what each proxy still lacks. Those that have the route are noted, and not asked again: their
// accounts are long.
func lacking(ctx context.Context, c cluster.Cluster, want Route, have map[string]bool) ([]string, error) {
	proxies, err := c.Proxies(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking for the proxies: %w", err)
	}
	var missing []string
	carried := map[string]bool{}
	for _, p := range proxies {
		name := p.Namespace + "/" + p.Pod
		if len(p.Rejected) > 0 {
			return nil, fmt.Errorf("%w by %s: %s", ErrRejected, name, strings.Join(p.Rejected, "; "))
		}
		if !p.Synced {
			missing = append(missing, name+" is not in sync")
			continue
		}
		if have[name] {
			carried[name] = true
			continue
		}
		dump, err := c.ProxyConfig(ctx, p, routeNames+"|"+endpointsOf(want.Host))
		if err != nil {
			if p.Gateway || slices.Contains(want.Carriers, name) { // another may be anybody's, on its way out
				missing = append(missing, fmt.Sprintf("%s: %v", name, err))
			}
			continue
		}
		has, err := carriedBy(dump, want.Host)
		if err != nil {
			return nil, fmt.Errorf("configuration of %s: %w", name, err)
		}
		carries, why := has.differs(p, want)
		if why != "" {
			missing = append(missing, name+" "+why)
		}
		if carries {
			carried[name], have[name] = true, why == ""
		}
	}
	for _, name := range want.Carriers {
		if !carried[name] {
			missing = append(missing, name+" does not carry the route")
		}
	}
	if len(carried) == 0 {
		missing = append(missing, "no proxy carries the route")
	}
	return missing, nil
}

// unrouted is what a sidecar does with the requests to a Service for which it has no route: all go to any pod.
var unrouted = []Split{{Weights: map[string]int{"": 100}}}

// held is what one proxy has of a route.
type held struct {
	splits      map[requested]timeouts
	connections map[string][]int // by subset: how many each of its clusters may open; a Service with several ports has one for each
	endpoints   map[string]int   // by subset
}

// requested is a virtual host of Envoy's: what is requested of a host at a port.
type requested struct {
	host string
	port int
}

func (r requested) compare(other requested) int {
	return cmp.Or(strings.Compare(r.host, other.host), r.port-other.port)
}

// timeouts are those of the routes that divide alike, by the split in words.
type timeouts map[string][]time.Duration

// carries says whether the proxy has the route anywhere, and why says where it differs from what is wanted.
func (h held) differs(p cluster.Proxy, want Route) (carries bool, why string) {
	for _, at := range slices.SortedFunc(maps.Keys(h.splits), requested.compare) {
		has, wanted := h.splits[at], want.Splits(p, at.host, at.port)
		if at.host != want.Host {
			wanted = slices.DeleteFunc(wanted, Split.whole) // as addRoutes leaves them out
		}
		if len(wanted) == 0 {
			if at.host != want.Host || p.Gateway { // a gateway has no default for a Service
				continue // it is another's route
			}
			wanted = unrouted
		} else {
			carries = true
		}
		expected := map[string]bool{}
		for _, s := range wanted {
			expected[inWords(s.Weights)] = true
		}
		if !slices.Equal(slices.Sorted(maps.Keys(has)), slices.Sorted(maps.Keys(expected))) {
			return true, fmt.Sprintf("divides %s, expected %s, of what is requested of %s at port %d", list(has), list(expected), at.host, at.port)
		}
		for _, s := range wanted {
			if s.Timeout > 0 && !slices.Contains(has[inWords(s.Weights)], s.Timeout) {
				return true, fmt.Sprintf("has no route with a timeout of %v", s.Timeout)
			}
		}
	}
	if !carries {
		return false, ""
	}
	return true, h.lacks(want)
}

// lacks says what of the clusters and their endpoints differs.
func (h held) lacks(want Route) string {
	for _, subset := range slices.Sorted(maps.Keys(want.Connections)) {
		got, n := h.connections[subset], want.Connections[subset]
		switch {
		case len(got) == 0:
			return "has no cluster of subset " + subset
		case n > 0 && slices.ContainsFunc(got, func(m int) bool { return m != n }):
			return fmt.Sprintf("lets subset %s have %v connections, expected %d", subset, got, n)
		}
	}
	for _, subset := range slices.Sorted(maps.Keys(want.Endpoints)) {
		if got := h.endpoints[subset]; got != want.Endpoints[subset] {
			return fmt.Sprintf("knows %d endpoints of subset %s, expected %d", got, subset, want.Endpoints[subset])
		}
	}
	return ""
}

func list[V any](set map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(set)), " and ")
}

func inWords(split map[string]int) string {
	var parts []string
	for _, subset := range slices.Sorted(maps.Keys(split)) {
		name := subset
		if name == "" {
			name = "(no subset)"
		}
		parts = append(parts, name+" "+strconv.Itoa(split[subset])+"%")
	}
	return strings.Join(parts, ", ")
}

// routeNames matches the names of route configurations: "9080", "http.80", "shop.example:80". Those of listeners have
// an underscore, those of clusters bars.
const routeNames = `[^|_]*`

// endpointsOf matches the names of the clusters of Services, each with its endpoints.
func endpointsOf(hosts ...string) string {
	quoted := make([]string, len(hosts))
	for i, h := range hosts {
		quoted[i] = regexp.QuoteMeta(h)
	}
	return `outbound\|.*\|(` + strings.Join(quoted, "|") + `)`
}

// carriedBy reads what a proxy has of the routes to a host.
func carriedBy(dump *adminv3.ConfigDump, host string) (held, error) {
	h := held{splits: map[requested]timeouts{}, connections: map[string][]int{}, endpoints: map[string]int{}}
	for _, part := range dump.GetConfigs() {
		switch {
		case part.MessageIs((*adminv3.RoutesConfigDump)(nil)):
			routes := &adminv3.RoutesConfigDump{}
			if err := part.UnmarshalTo(routes); err != nil {
				return h, err
			}
			for _, r := range routes.GetDynamicRouteConfigs() {
				if err := h.addRoutes(r.GetRouteConfig(), host); err != nil {
					return h, err
				}
			}
		case part.MessageIs((*adminv3.ClustersConfigDump)(nil)):
			clusters := &adminv3.ClustersConfigDump{}
			if err := part.UnmarshalTo(clusters); err != nil {
				return h, err
			}
			for _, c := range clusters.GetDynamicActiveClusters() { // one that warms has no endpoints yet
				if err := h.addCluster(c.GetCluster(), host); err != nil {
					return h, err
				}
			}
		case part.MessageIs((*adminv3.EndpointsConfigDump)(nil)):
			endpoints := &adminv3.EndpointsConfigDump{}
			if err := part.UnmarshalTo(endpoints); err != nil {
				return h, err
			}
			for _, e := range endpoints.GetDynamicEndpointConfigs() {
				if err := h.addEndpoints(e.GetEndpointConfig(), host); err != nil {
					return h, err
				}
			}
		}
	}
	return h, nil
}

func (h held) addRoutes(config *anypb.Any, host string) error {
	routes := &routev3.RouteConfiguration{}
	if err := config.UnmarshalTo(routes); err != nil {
		return err
	}
	for _, v := range routes.GetVirtualHosts() {
		named, number, err := net.SplitHostPort(v.GetName())
		if err != nil {
			continue // what is done with requests for no host that is known
		}
		port, err := strconv.Atoi(number)
		if err != nil {
			continue // somebody's own, by an EnvoyFilter
		}
		at := requested{named, port}
		for _, r := range v.GetRoutes() {
			split, subsets := destinations(r.GetRoute(), host)
			// Elsewhere, such as at a gateway, only a route to subsets is the app's own; one to the whole Service
			// is another owner's.
			if len(split) == 0 || named != host && !subsets {
				continue
			}
			if h.splits[at] == nil {
				h.splits[at] = timeouts{}
			}
			words := inWords(split)
			h.splits[at][words] = append(h.splits[at][words], r.GetRoute().GetTimeout().AsDuration())
		}
	}
	return nil
}

func destinations(action *routev3.RouteAction, host string) (split map[string]int, subsets bool) {
	split = map[string]int{}
	add := func(name string, weight int) {
		if subset, of, ok := outbound(name); ok && of == host {
			split[subset] += weight
			subsets = subsets || subset != ""
		}
	}
	if w := action.GetWeightedClusters(); w != nil {
		for _, c := range w.GetClusters() {
			add(c.GetName(), int(c.GetWeight().GetValue()))
		}
	} else {
		add(action.GetCluster(), 100)
	}
	return split, subsets
}

func (h held) addCluster(config *anypb.Any, host string) error {
	cluster := &clusterv3.Cluster{}
	if err := config.UnmarshalTo(cluster); err != nil {
		return err
	}
	subset, of, ok := outbound(cluster.GetName())
	if !ok || of != host {
		return nil
	}
	limit := 0
	for _, t := range cluster.GetCircuitBreakers().GetThresholds() {
		if t.GetPriority() == corev3.RoutingPriority_DEFAULT {
			limit = int(t.GetMaxConnections().GetValue())
		}
	}
	h.connections[subset] = append(h.connections[subset], limit)
	return nil
}

func (h held) addEndpoints(config *anypb.Any, host string) error {
	load := &endpointv3.ClusterLoadAssignment{}
	if err := config.UnmarshalTo(load); err != nil {
		return err
	}
	subset, of, ok := outbound(load.GetClusterName())
	if !ok || of != host {
		return nil
	}
	n := 0
	for _, l := range load.GetEndpoints() {
		for _, e := range l.GetLbEndpoints() {
			// Istio tells of pods that are not ready too, as unhealthy.
			if h := e.GetHealthStatus(); h == corev3.HealthStatus_HEALTHY || h == corev3.HealthStatus_UNKNOWN {
				n++
			}
		}
	}
	h.endpoints[subset] = max(h.endpoints[subset], n) // a Service with several ports has a cluster for each
	return nil
}

// outbound takes Istio's name of a cluster apart: outbound|9080|v1|reviews.bookinfo.svc.cluster.local.
func outbound(name string) (subset, host string, ok bool) {
	parts := strings.Split(name, "|")
	if len(parts) != 4 || parts[0] != "outbound" {
		return "", "", false
	}
	return parts[2], parts[3], true
}
