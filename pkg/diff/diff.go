// Package diff says what changes between two renderings of the same releases, object by
// object, and what that means for a running system, judged by the written rules in rules.go.
// It knows rendered objects, schemas of values and version numbers; nothing of clusters, files
// or revisions.
package diff

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes/scheme"
)

// Release is a release as one side renders it.
type Release struct {
	Environment string // empty for a values file by itself
	Name        string // of the release, namespace/name, or the values file
	Objects     []*unstructured.Unstructured
	Refused     []string // why it does not render; Objects is empty then
	Absent      bool     // it is to be uninstalled; Objects is empty then
}

// Change is one difference.
type Change struct {
	Rule        string `json:"rule"`
	Level       Level  `json:"level"`
	Environment string `json:"environment,omitempty"`
	Release     string `json:"release,omitempty"`
	Object      string `json:"object,omitempty"` // Kind/namespace/name
	Path        string `json:"path,omitempty"`   // in the object, the chart's values or Chart.yaml
	Old         string `json:"old,omitempty"`    // one line; empty where there was nothing
	New         string `json:"new,omitempty"`
	Meaning     string `json:"meaning"`
}

// change begins a change that the named rule judges.
func change(rule rule) Change {
	return Change{Rule: rule.Name, Level: rule.Level, Meaning: rule.Meaning}
}

// Renamed is the change of an environment, or of a values file by itself, that has another name now.
func Renamed(environment, old, new string) Change {
	c := change(renamed)
	c.Environment, c.Old, c.New = environment, old, new
	return c
}

// Releases compares releases of the same environment and name. What only the new side has is added
// with all its objects; what only the old side has stays installed, as no upgrade touches it.
func Releases(before, after []Release) []Change {
	var out []Change
	type key struct{ environment, name string }
	was := map[key]Release{}
	for _, r := range before {
		was[key{r.Environment, r.Name}] = r
	}
	owned := owners(before, after)
	for _, now := range after {
		k := key{now.Environment, now.Name}
		out = append(out, release(was[k], now, owned[now.Environment])...)
		delete(was, k)
	}
	for _, r := range before {
		if _, gone := was[key{r.Environment, r.Name}]; gone {
			if r.Absent {
				continue
			}
			c := change(releaseDropped)
			c.Environment, c.Release, c.Old, c.New = r.Environment, r.Name, "listed", "dropped"
			out = append(out, c)
		}
	}
	out = append(out, selections(before, after)...)
	return sorted(out)
}

// owner is the release that has an object, and whether Helm keeps the object for it.
type owner struct {
	release string
	keeps   bool
}

// owners are the releases that have objects when the upgrades begin, by environment: what Helmfile uninstalls is gone by then.
// Hooks belong to no release, nor does what comes from a chart's directory crds, which Helm makes once, for all of them; an
// object that the API server names is always a new one.
func owners(before, after []Release) map[string]map[identity]owner {
	goes := func(r Release) bool {
		return slices.ContainsFunc(after, func(now Release) bool {
			return now.Absent && now.Environment == r.Environment && now.Name == r.Name
		})
	}
	out := map[string]map[identity]owner{}
	for _, r := range before {
		if r.Environment == "" {
			continue
		}
		if out[r.Environment] == nil {
			out[r.Environment] = map[identity]owner{}
		}
		uninstalled := goes(r)
		for _, o := range r.Objects {
			if !isHook(o) && o.GetKind() != "CustomResourceDefinition" && o.GetName() != "" && (isKept(o) || !uninstalled) {
				out[r.Environment][identityOf(o)] = owner{r.Name, isKept(o)}
			}
		}
	}
	return out
}

func release(was, now Release, owned map[identity]owner) []Change {
	var out []Change
	there := was.Name != "" && !was.Absent
	switch {
	case len(now.Refused) > 0 && !there: // nothing of it ran
	case len(was.Refused) > 0 && (len(now.Refused) > 0 || now.Absent):
	case len(now.Refused) > 0:
		c := change(valuesRefused)
		c.New = strings.Join(now.Refused, "; ")
		out = append(out, c)
	case len(was.Refused) > 0:
		c := change(valuesAccepted)
		c.Old = strings.Join(was.Refused, "; ")
		out = append(out, c)
	case now.Absent && there:
		c := change(releaseUninstalled)
		c.Old, c.New = "installed", "installed: false"
		out = append(objects(was.Objects, nil, nil), c)
	default:
		out = objects(was.Objects, now.Objects, owned)
	}
	for i := range out {
		out[i].Environment, out[i].Release = now.Environment, now.Name
	}
	return out
}

// identity is what makes an object the same one: its version may differ.
type identity struct{ group, kind, namespace, name string }

func identityOf(o *unstructured.Unstructured) identity {
	return identity{o.GroupVersionKind().Group, o.GetKind(), o.GetNamespace(), o.GetName()}
}

func (id identity) String() string {
	if id.namespace == "" {
		return id.kind + "/" + id.name
	}
	return id.kind + "/" + id.namespace + "/" + id.name
}

// objects compares those of a release. What is owned in the environment and new in this release is another's.
func objects(before, after []*unstructured.Unstructured, owned map[identity]owner) []Change {
	was, now := byIdentity(before), byIdentity(after)
	var out []Change
	var removed, added []*unstructured.Unstructured
	for _, o := range before {
		switch {
		case now[identityOf(o)] != nil:
		case isKept(o):
			c := change(objectKept)
			c.Object, c.New = identityOf(o).String(), "kept"
			out = append(out, c)
		default:
			removed = append(removed, o)
		}
	}
	for _, o := range after {
		old := was[identityOf(o)]
		if old == nil {
			added = append(added, o)
			continue
		}
		out = append(out, object(old, o)...)
	}
	for _, o := range removed {
		out = append(out, gone(o, removed, added))
	}
	for _, o := range added {
		if by, ok := owned[identityOf(o)]; ok && !isHook(o) {
			c := change(objectMoved)
			c.Object, c.Old, c.New = identityOf(o).String(), "of "+by.release, "added"
			if by.keeps {
				c.Meaning = "Helm keeps it as the other release's and refuses the upgrade, unless that is run with --take-ownership"
			}
			out = append(out, c)
			continue
		}
		if successor(o, removed, added) {
			continue // said of the old one
		}
		rule := objectAdded
		if restricts(o, added) {
			rule = access
		}
		c := change(rule)
		c.Object, c.New = identityOf(o).String(), "added"
		out = append(out, c)
	}
	return out
}

func byIdentity(objects []*unstructured.Unstructured) map[identity]*unstructured.Unstructured {
	out := make(map[identity]*unstructured.Unstructured, len(objects))
	for _, o := range objects {
		out[identityOf(o)] = o
	}
	return out
}

// gone is the change of an object that is not rendered any more: another of its kind took its
// place under a new name, or nothing did.
func gone(o *unstructured.Unstructured, removed, added []*unstructured.Unstructured) Change {
	rule, now := objectRemoved, "removed"
	if heirs := sameKind(o, added); len(heirs) == 1 && len(sameKind(o, removed)) == 1 {
		rule, now = objectRenamed, identityOf(heirs[0]).String()
		if o.GetKind() == "Job" {
			rule = jobRerun
		}
	}
	c := change(rule)
	c.Object, c.New = identityOf(o).String(), now
	switch meaning, known := loss[o.GetKind()]; {
	case rule.Name != objectRemoved.Name:
	case o.GetKind() == "DestinationRule" && !holds(o.Object, []string{"spec", "subsets"}):
		c = policyGone(o)
	case known:
		c.Meaning = meaning
	}
	return c
}

// policyGone is the change of a DestinationRule without subsets that is deleted: no route names it, so it is judged as if
// its policy alone were.
func policyGone(o *unstructured.Unstructured) Change {
	policy, _, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "trafficPolicy")
	rule := judge(field{path: []string{"spec", "trafficPolicy"}, old: policy, kind: o.GetKind(), was: o, now: o})
	c := change(rule)
	if rule.Name == settings.Name {
		c.Meaning = "its policy is gone: requests to its host go by Istio's defaults"
	}
	c.Object, c.New = identityOf(o).String(), "removed"
	return c
}

// restricts says whether an added object may refuse what passed before. To a host that is added with it nothing was sent.
func restricts(o *unstructured.Unstructured, added []*unstructured.Unstructured) bool {
	if o.GetKind() != "DestinationRule" {
		return slices.Contains(restricting, o.GetKind())
	}
	host := text(o, "spec", "host")
	encrypts := func(pattern string) bool { return holds(o.Object, split(pattern)) }
	return slices.ContainsFunc(slices.Concat(policyTLS, subsetTLS), encrypts) && !slices.ContainsFunc(added, func(other *unstructured.Unstructured) bool {
		hosts, _, _ := unstructured.NestedStringSlice(other.Object, "spec", "hosts")
		return other.GetKind() == "ServiceEntry" && slices.Contains(hosts, host) ||
			other.GetKind() == "Service" && other.GetName() == host && other.GetNamespace() == o.GetNamespace()
	})
}

func successor(o *unstructured.Unstructured, removed, added []*unstructured.Unstructured) bool {
	return len(sameKind(o, removed)) == 1 && len(sameKind(o, added)) == 1
}

func sameKind(o *unstructured.Unstructured, among []*unstructured.Unstructured) []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for _, other := range among {
		if other.GroupVersionKind().GroupKind() == o.GroupVersionKind().GroupKind() && other.GetNamespace() == o.GetNamespace() {
			out = append(out, other)
		}
	}
	return out
}

// object judges each field that differs by the first rule that names it.
func object(was, now *unstructured.Unstructured) []Change {
	var out []Change
	id := identityOf(now)
	add := func(rule rule, path, old, new string) {
		c := change(rule)
		c.Object, c.Path, c.Old, c.New = id.String(), path, old, new
		out = append(out, c)
	}
	if was.GetAPIVersion() != now.GetAPIVersion() {
		add(apiVersion, "apiVersion", was.GetAPIVersion(), now.GetAPIVersion())
	}
	if !scheme.Scheme.IsGroupRegistered(now.GroupVersionKind().Group) {
		for _, path := range emptyNow(nil, was.Object, now.Object) {
			add(emptied, field{path: path}.String(), "", "{}")
		}
	}
	for _, f := range fields(was.Object, now.Object) {
		if f.path[0] == "apiVersion" {
			continue
		}
		f.kind, f.was, f.now = id.kind, was, now
		rule := judge(f)
		old, new := show(f.old), show(f.new)
		if id.kind == "Secret" && (f.path[0] == "data" || f.path[0] == "stringData") {
			old, new = hidden(f.old), hidden(f.new)
		}
		add(rule, f.String(), old, new)
	}
	return out
}

// isKept: an upgrade that does not render the object any more leaves it in the cluster.
func isKept(o *unstructured.Unstructured) bool {
	return o.GetAnnotations()["helm.sh/resource-policy"] == "keep"
}

func isHook(o *unstructured.Unstructured) bool { return o.GetAnnotations()["helm.sh/hook"] != "" }

// show is a value in one line.
func show(v any) string {
	if v == nil {
		return ""
	}
	s, ok := v.(string)
	if !ok || s == "" {
		s = compact(v)
	}
	s = strings.ReplaceAll(s, "\n", "⏎")
	if r := []rune(s); len(r) > 120 {
		s = string(r[:117]) + "..."
	}
	return s
}

// hidden says that there is a value, and not which.
func hidden(v any) string {
	if v == nil {
		return ""
	}
	return "(secret)"
}

// selections finds workloads that a Service, a disruption budget or a policy selected before,
// and selects no more although its own selector is as it was.
func selections(before, after []Release) []Change {
	was, now := chosen(before), chosen(after)
	var out []Change
	for key, old := range was {
		new, ok := now[key]
		if !ok || compact(old.selector) != compact(new.selector) {
			continue
		}
		for workload := range old.selected {
			if _, there := new.workloads[workload]; there && !new.selected[workload] {
				c := change(selectionLost)
				c.Environment, c.Release, c.Object = new.environment, new.release, key.id.String()
				c.Old, c.New = "selects "+workload, "selects it no more"
				out = append(out, c)
			}
		}
	}
	return out
}

type chooser struct {
	environment string
	id          identity
}

type choice struct {
	environment, release string
	selector             map[string]any
	selected             map[string]bool
	workloads            map[string]bool // all of the namespace
}

func chosen(releases []Release) map[chooser]choice {
	type pods struct {
		name   string
		labels map[string]any
	}
	workloads := map[[2]string][]pods{} // by environment and namespace
	for _, r := range releases {
		for _, o := range r.Objects {
			labels, ok, _ := unstructured.NestedMap(o.Object, "spec", "template", "metadata", "labels")
			if ok {
				key := [2]string{scope(r), o.GetNamespace()}
				workloads[key] = append(workloads[key], pods{identityOf(o).String(), labels})
			}
		}
	}
	out := map[chooser]choice{}
	for _, r := range releases {
		for _, o := range r.Objects {
			at, ok := selectorOf[o.GetKind()]
			if !ok {
				continue
			}
			selector, ok, _ := unstructured.NestedMap(o.Object, at...)
			if !ok || len(selector) == 0 {
				continue
			}
			c := choice{r.Environment, r.Name, selector, map[string]bool{}, map[string]bool{}}
			for _, w := range workloads[[2]string{scope(r), o.GetNamespace()}] {
				c.workloads[w.name] = true
				c.selected[w.name] = matches(selector, w.labels)
				if !c.selected[w.name] {
					delete(c.selected, w.name)
				}
			}
			out[chooser{scope(r), identityOf(o)}] = c
		}
	}
	return out
}

// scope is where objects meet: an environment, or a values file by itself.
func scope(r Release) string {
	if r.Environment != "" {
		return r.Environment
	}
	return "\x00" + r.Name
}

func matches(selector, labels map[string]any) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return true
}

// sorted also takes out what is said twice.
func sorted(changes []Change) []Change {
	Sort(changes)
	return slices.Compact(changes)
}

// Sort puts the gravest first, and the rest in an order that is the same on every run.
func Sort(changes []Change) {
	slices.SortStableFunc(changes, func(a, b Change) int {
		return cmp.Or(
			cmp.Compare(b.Level, a.Level), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Path, b.Path),
			cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Release, b.Release), cmp.Compare(a.Object, b.Object),
			cmp.Compare(a.Old, b.Old), cmp.Compare(a.New, b.New),
		)
	})
}

// Highest is the level of the gravest change.
func Highest(changes []Change) Level {
	highest := None
	for _, c := range changes {
		highest = max(highest, c.Level)
	}
	return highest
}

// Level is how much a change asks of those who have the old version running.
type Level int

const (
	None Level = iota
	Patch
	Minor
	Major
)

var levels = []string{"none", "patch", "minor", "major"}

func (l Level) String() string { return levels[l] }

// MarshalText writes the level as a word.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads the word again.
func (l *Level) UnmarshalText(text []byte) error {
	i := slices.Index(levels, string(text))
	if i < 0 {
		return fmt.Errorf("level %q, expected one of %s", text, strings.Join(levels, ", "))
	}
	*l = Level(i)
	return nil
}
