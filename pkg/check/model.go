package check

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"chartbasico/internal/nearest"
	"chartbasico/pkg/render"
)

// object is a rendered object and the release it is of.
type object struct {
	*unstructured.Unstructured
	id      string // Kind/namespace/name
	release *render.Release
}

// key tells an object from all others, as its id does not: both Istio and Gateway API have a Gateway.
func (o object) key() string {
	return o.GroupVersionKind().Group + "/" + o.GetKind() + "/" + o.GetNamespace() + "/" + o.GetName()
}

// newObject gives an object that has only the beginning of a name a whole one, as the API server does; the number tells it from others.
func newObject(u *unstructured.Unstructured, release *render.Release, number int) object {
	o := object{u, render.ID(u), release}
	if u.GetName() == "" && u.GetGenerateName() != "" {
		o.Unstructured = u.DeepCopy()
		o.SetName(fmt.Sprintf("%.58s%05d", u.GetGenerateName(), number))
	}
	return o
}

// hooked says whether an object is one of Helm's hooks, and whether of those that only helm test makes.
func (o object) hooked() (hook, test bool) {
	note := render.Hook(o.Unstructured)
	return note != "", slices.ContainsFunc(strings.Split(note, ","), func(event string) bool {
		return strings.HasPrefix(strings.TrimSpace(event), "test")
	})
}

// file is the user's file that most likely has to change: the last values file, or the environment's.
func (o object) file() string {
	file := o.release.File
	if n := len(o.release.ValuesFiles); n > 0 {
		file = o.release.ValuesFiles[n-1]
	}
	if wd, err := os.Getwd(); err == nil {
		if rest, ok := strings.CutPrefix(file, wd+string(filepath.Separator)); ok {
			return rest
		}
	}
	return file
}

// pods are what a workload's template makes.
type pods struct {
	object
	template string // the template's path in the workload
	labels   map[string]string
	notes    map[string]string // annotations
	spec     map[string]any
	ends     bool // a Job's, a CronJob's, or a hook that is a Pod
}

// service is a name that pods can send requests to: a Service, or a host of a ServiceEntry.
type service struct {
	object
	host     string // its full name
	ports    []port
	selector map[string]string
	pods     []pods // that it selects
	entry    bool   // of a ServiceEntry: the endpoints are outside
	platform bool   // there before the environment, which knows nothing of its pods
}

type port struct {
	path             string
	name, protocol   string
	number           int64
	target           any // name or number
	transport        string
	appProtocolGiven bool
}

// model is the environment as the rules see it.
type model struct {
	objects  []object
	pods     []pods
	services map[string]*service   // by namespace/name
	entries  map[string][]*service // of ServiceEntries, by host
	names    []string              // of services, sorted
}

func newModel(releases []*render.Release) *model {
	m := &model{services: map[string]*service{}, entries: map[string][]*service{}}
	for _, r := range releases {
		for _, u := range r.Objects {
			m.objects = append(m.objects, newObject(u, r, len(m.objects)))
		}
	}
	for _, o := range m.objects {
		hook, test := o.hooked()
		if path, ok := render.PodTemplate(o.GetKind()); ok && !test {
			template, _, _ := unstructured.NestedMap(o.Object, path...)
			labels, _, _ := unstructured.NestedStringMap(template, "metadata", "labels")
			notes, _, _ := unstructured.NestedStringMap(template, "metadata", "annotations")
			spec, _, _ := unstructured.NestedMap(template, "spec")
			m.pods = append(m.pods, pods{
				object: o, template: strings.Join(path, "."), labels: labels, notes: notes, spec: spec,
				ends: o.GetKind() == "Job" || o.GetKind() == "CronJob" || hook && o.GetKind() == "Pod", // of hooks, Helm awaits the end of Jobs and Pods
			})
		}
	}
	baseline, _ := platform() // an error is analyze's to tell
	for _, u := range baseline {
		if o := (object{u, render.ID(u), nil}); o.GetKind() == "Service" {
			m.services[o.GetNamespace()+"/"+o.GetName()] = &service{object: o, host: fullName(o), ports: servicePorts(o), platform: true}
		}
	}
	for _, o := range m.objects {
		_, test := o.hooked()
		switch {
		case test:
		case o.GetKind() == "Service" && o.GetAPIVersion() == "v1":
			s := &service{object: o, host: fullName(o), ports: servicePorts(o)}
			s.selector, _, _ = unstructured.NestedStringMap(o.Object, "spec", "selector")
			for _, p := range m.pods {
				if len(s.selector) > 0 && p.GetNamespace() == o.GetNamespace() && contains(p.labels, s.selector) {
					s.pods = append(s.pods, p)
				}
			}
			key := o.GetNamespace() + "/" + o.GetName()
			if have := m.services[key]; have == nil || have.platform {
				m.names = append(m.names, key)
				m.services[key] = s
			}
		case o.GetKind() == "ServiceEntry":
			hosts, _ := stringList(o.Object, "spec", "hosts")
			for _, host := range hosts {
				m.entries[host] = append(m.entries[host], &service{object: o, host: host, ports: entryPorts(o), entry: true})
			}
		}
	}
	slices.Sort(m.names)
	return m
}

// clusterDomain ends the full name of each Service.
const clusterDomain = ".svc.cluster.local"

func fullName(o object) string { return o.GetName() + "." + o.GetNamespace() + clusterDomain }

// resolve finds what a host names in an object of Istio's in the namespace: a Service by its name alone or by the full one,
// or a host outside.
func (m *model) resolve(host, namespace string) *service {
	if !strings.Contains(host, ".") {
		return m.services[namespace+"/"+host]
	}
	if full, ok := strings.CutSuffix(host, clusterDomain); ok {
		name, in, _ := strings.Cut(full, ".")
		if s := m.services[in+"/"+name]; s != nil {
			return s
		}
	}
	return m.outside(host, namespace)
}

// lookup finds what a host names for a pod in the namespace, whose resolver completes it. Of a host outside one word will do.
func (m *model) lookup(host, namespace string) *service {
	if s := m.named(host, namespace); s != nil {
		return s
	}
	if strings.Contains(host, ".") {
		return m.resolve(host, namespace)
	}
	return m.outside(host, namespace)
}

// named is the Service of a name in the namespace, or of a name and its namespace.
func (m *model) named(name, namespace string) *service {
	if short, in, ok := strings.Cut(name, "."); ok {
		name, namespace = short, strings.TrimSuffix(in, ".svc")
	}
	return m.services[namespace+"/"+name]
}

// outside is what the ServiceEntries that hold in the namespace say of a host: by its own name or else the longest with a
// wildcard, those of the namespace or else all, with the ports of each.
func (m *model) outside(host, namespace string) *service {
	var all, own []*service
	longest := ""
	for name, entries := range m.entries {
		suffix, wide := strings.CutPrefix(name, "*")
		if name != host && (!wide || !strings.HasSuffix(host, suffix) || longest == host || len(name) <= len(longest)) {
			continue
		}
		if here := slices.DeleteFunc(slices.Clone(entries), func(s *service) bool { return !s.exported(namespace) }); len(here) > 0 {
			longest, all = name, here
		}
	}
	for _, s := range all {
		if s.GetNamespace() == namespace {
			own = append(own, s)
		}
	}
	if len(own) > 0 {
		all = own
	}
	if len(all) == 0 {
		return nil
	}
	united := *all[0]
	for _, s := range all[1:] {
		united.ports = append(slices.Clone(united.ports), s.ports...)
	}
	return &united
}

// exported says whether what a ServiceEntry declares holds in a namespace.
func (s *service) exported(namespace string) bool {
	to, _ := stringList(s.Object, "spec", "exportTo")
	return len(to) == 0 || slices.Contains(to, "*") || slices.Contains(to, namespace) || slices.Contains(to, ".") && s.GetNamespace() == namespace
}

// destinationRules are those whose host is s.
func (m *model) destinationRules(s *service) []object {
	var out []object
	for _, o := range m.objects {
		if o.GetKind() != "DestinationRule" {
			continue
		}
		if of := m.resolve(text(o.Object, "spec", "host"), o.GetNamespace()); of != nil && of.host == s.host {
			out = append(out, o)
		}
	}
	return out
}

// destination is a place that a route sends requests to.
type destination struct {
	object
	path, hostPath, portPath string
	host, subset             string
	port                     any // number or name, nil where none is named
	weight                   int64
	weighted                 bool
}

// mirrors says whether it gets copies of requests, whose answers nobody sees.
func (d destination) mirrors() bool { return strings.Contains(d.path, "irror") } // mirror, mirrors or requestMirror

// to is what a route of an object in the namespace sends to.
func (m *model) to(d destination) *service {
	if d.GetKind() == "VirtualService" {
		return m.resolve(d.host, d.GetNamespace())
	}
	return m.named(d.host, d.GetNamespace())
}

// routes are the places that the routes of an object send to, by route, whatever its kind.
func routes(o object) [][]destination {
	group, _, _ := strings.Cut(o.GetAPIVersion(), "/")
	switch group + "/" + o.GetKind() {
	case "networking.istio.io/VirtualService":
		return destinations(o)
	case "gateway.networking.k8s.io/HTTPRoute", "gateway.networking.k8s.io/GRPCRoute":
		return backendRefs(o)
	case "networking.k8s.io/Ingress":
		return ingressBackends(o)
	case "route.openshift.io/Route":
		return [][]destination{routeTargets(o)}
	}
	return nil
}

// destinations are all places that a VirtualService names, by route.
func destinations(o object) [][]destination {
	var out [][]destination
	for _, protocol := range []string{"http", "tls", "tcp"} {
		for i, r := range list(o.Object, "spec", protocol) {
			base := at("spec."+protocol, i)
			var route []destination
			for j, d := range list(r, "route") {
				route = append(route, destinationAt(o, d, at(base+".route", j), ".destination"))
			}
			if len(route) > 0 {
				out = append(out, route)
			}
			if mirror, ok := r["mirror"].(map[string]any); ok {
				out = append(out, []destination{destinationAt(o, map[string]any{"destination": mirror}, base+".mirror", "")})
			}
			for j, d := range list(r, "mirrors") {
				out = append(out, []destination{destinationAt(o, map[string]any{"destination": d["destination"]}, at(base+".mirrors", j), ".destination")})
			}
		}
	}
	return out
}

func destinationAt(o object, d map[string]any, path, below string) destination {
	out := destination{
		object: o, path: path, hostPath: path + below + ".host", portPath: path + below + ".port.number",
		host: text(d, "destination", "host"), subset: text(d, "destination", "subset"),
	}
	if n, ok := number(d, "destination", "port", "number"); ok {
		out.port = n
	}
	out.weight, out.weighted = number(d, "weight")
	return out
}

// backendRefs are the Services that a route of Gateway API names.
func backendRefs(o object) [][]destination {
	var out [][]destination
	for i, rule := range list(o.Object, "spec", "rules") {
		var route []destination
		for j, ref := range list(rule, "backendRefs") {
			if d, ok := backendRef(o, ref, at(at("spec.rules", i)+".backendRefs", j)); ok {
				route = append(route, d)
			}
		}
		out = append(out, route)
		for j, filter := range list(rule, "filters") {
			ref, _, _ := unstructured.NestedMap(filter, "requestMirror", "backendRef")
			if d, ok := backendRef(o, ref, at(at("spec.rules", i)+".filters", j)+".requestMirror.backendRef"); ok {
				out = append(out, []destination{d})
			}
		}
	}
	return out
}

func backendRef(o object, ref map[string]any, path string) (destination, bool) {
	if ref == nil || text(ref, "group") != "" || text(ref, "kind") != "" && text(ref, "kind") != "Service" {
		return destination{}, false
	}
	out := destination{object: o, path: path, hostPath: path + ".name", portPath: path + ".port", host: text(ref, "name")}
	if n := text(ref, "namespace"); n != "" {
		out.host += "." + n
	}
	if n, ok := number(ref, "port"); ok {
		out.port = n
	}
	return out, true
}

// ingressBackends are the Services that an Ingress names, by path.
func ingressBackends(o object) [][]destination {
	var out [][]destination
	add := func(backend map[string]any, path string) {
		service, ok, _ := unstructured.NestedMap(backend, "service")
		if !ok {
			return // a resource of some controller
		}
		d := destination{object: o, path: path, hostPath: path + ".service.name", portPath: path + ".service.port", host: text(service, "name")}
		if n, ok := number(service, "port", "number"); ok {
			d.port = n
		} else if name := text(service, "port", "name"); name != "" {
			d.port = name
		}
		out = append(out, []destination{d})
	}
	if backend, ok, _ := unstructured.NestedMap(o.Object, "spec", "defaultBackend"); ok {
		add(backend, "spec.defaultBackend")
	}
	for i, rule := range list(o.Object, "spec", "rules") {
		for j, path := range list(rule, "http", "paths") {
			backend, _, _ := unstructured.NestedMap(path, "backend")
			add(backend, at(at("spec.rules", i)+".http.paths", j)+".backend")
		}
	}
	return out
}

// routeTargets are the Services that an OpenShift Route divides over. Its port is one of the Service by name, or one of the pods by number.
func routeTargets(o object) []destination {
	port, _, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "port", "targetPort")
	if n, ok := number(o.Object, "spec", "port", "targetPort"); ok {
		port = podPort(n)
	}
	target := func(path, name string) destination {
		return destination{object: o, path: path, hostPath: path + ".name", portPath: "spec.port.targetPort", host: name, port: port}
	}
	out := []destination{target("spec.to", text(o.Object, "spec", "to", "name"))}
	for i, alternate := range list(o.Object, "spec", "alternateBackends") {
		out = append(out, target(at("spec.alternateBackends", i), text(alternate, "name")))
	}
	return out
}

// podPort is a number of the pods' port, and not of the Service's.
type podPort int64

func at(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

func (m *model) virtualServices() []object {
	return slices.DeleteFunc(slices.Clone(m.objects), func(o object) bool { return o.GetKind() != "VirtualService" })
}

func servicePorts(o object) []port {
	var out []port
	for i, p := range list(o.Object, "spec", "ports") {
		q := port{path: "spec.ports[" + strconv.Itoa(i) + "]", name: text(p, "name"), protocol: text(p, "appProtocol"), target: p["targetPort"], transport: transportOf(p)}
		q.appProtocolGiven = q.protocol != ""
		q.number, _ = number(p, "port")
		if q.target == nil {
			q.target = q.number
		}
		out = append(out, q)
	}
	return out
}

func entryPorts(o object) []port {
	var out []port
	for i, p := range list(o.Object, "spec", "ports") {
		n, _ := number(p, "number")
		out = append(out, port{path: "spec.ports[" + strconv.Itoa(i) + "]", name: text(p, "name"), number: n})
	}
	return out
}

// has says whether the Service has the port, which is a number, a name or one of the pods'.
func (s *service) has(wanted any) bool {
	return slices.ContainsFunc(s.ports, func(p port) bool {
		switch wanted := wanted.(type) {
		case int64:
			return p.number == wanted
		case podPort:
			name, named := p.target.(string)
			if !named {
				return p.target == int64(wanted)
			}
			return slices.ContainsFunc(s.pods, func(pods pods) bool { return pods.port(name, p.transport) == int64(wanted) })
		}
		return p.name == wanted
	})
}

func (s *service) portNumbers() string {
	var out []string
	for _, p := range s.ports {
		out = append(out, strconv.FormatInt(p.number, 10))
	}
	return strings.Join(out, ", ")
}

// portList is the Service's ports by name and number.
func (s *service) portList() string {
	var out []string
	for _, p := range s.ports {
		out = append(out, strings.TrimSpace(p.name+" "+strconv.FormatInt(p.number, 10)))
	}
	return strings.Join(out, ", ")
}

// ports are those of all containers of the pods, the ones that run before the others too.
func (p pods) ports() (out []map[string]any) {
	for _, kind := range []string{"containers", "initContainers"} {
		for _, c := range list(p.spec, kind) {
			out = append(out, list(c, "ports")...)
		}
	}
	return out
}

// port is the number of a container's port by its name and protocol, 0 where there is none.
func (p pods) port(name, transport string) int64 {
	for _, cp := range p.ports() {
		if text(cp, "name") == name && transportOf(cp) == transport {
			n, _ := number(cp, "containerPort")
			return n
		}
	}
	return 0
}

// listens says whether a container of the pods has the Service's target port: by name and protocol, as Kubernetes looks it up,
// or by number.
func (p pods) listens(target any, transport string) bool {
	if name, named := target.(string); named {
		return p.port(name, transport) != 0
	}
	return slices.ContainsFunc(p.ports(), func(cp map[string]any) bool {
		n, numbered := number(cp, "containerPort")
		return numbered && n == target
	})
}

func (p pods) portNames() string {
	var out []string
	for _, c := range list(p.spec, "containers") {
		for _, cp := range list(c, "ports") {
			n, _ := number(cp, "containerPort")
			out = append(out, strings.TrimPrefix(text(cp, "name")+" "+ofTransport(strconv.FormatInt(n, 10), transportOf(cp)), " "))
		}
	}
	if len(out) == 0 {
		return "no port"
	}
	return strings.Join(out, ", ")
}

// transportOf is the protocol of a port of a Service or of a container.
func transportOf(port map[string]any) string { return cmp.Or(text(port, "protocol"), "TCP") }

// ofTransport is a port as messages name it.
func ofTransport(port, transport string) string {
	if transport == "TCP" {
		return port
	}
	return port + "/" + transport
}

func contains(labels, selector map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return true
}

func list(m map[string]any, path ...string) []map[string]any {
	items, _, _ := unstructured.NestedFieldNoCopy(m, path...)
	slice, _ := items.([]any)
	out := make([]map[string]any, 0, len(slice))
	for _, item := range slice {
		at, _ := item.(map[string]any)
		out = append(out, at)
	}
	return out
}

func text(m map[string]any, path ...string) string {
	v, _, _ := unstructured.NestedFieldNoCopy(m, path...)
	s, _ := v.(string)
	return s
}

func number(m map[string]any, path ...string) (int64, bool) {
	v, _, _ := unstructured.NestedFieldNoCopy(m, path...)
	switch n := v.(type) {
	case int64:
		return n, true
	case float64:
		return int64(n), true
	}
	return 0, false
}

// stringList is a list of texts, and whether there is one.
func stringList(m map[string]any, path ...string) ([]string, bool) {
	out, ok, _ := unstructured.NestedStringSlice(m, path...)
	return out, ok
}

// nearService is the Service of the namespace whose name is most like this one, empty where none is.
func (m *model) nearService(name, namespace string) string {
	var names []string
	for _, known := range m.names {
		if short, ok := strings.CutPrefix(known, namespace+"/"); ok {
			names = append(names, short)
		}
	}
	return nearest.Word(name, names)
}
