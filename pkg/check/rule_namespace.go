package check

import (
	"slices"
	"strings"

	"chartbasico/pkg/problem"
	"chartbasico/pkg/render"
)

var ruleNamespace = rule{"namespace", "A namespace that objects or releases are in exists before them.", environmentScope, func(m *model) (out problem.List) {
	creators := map[string][]*render.Release{}
	releases := map[string]*render.Release{}
	for _, o := range m.objects {
		releases[o.release.ID()] = o.release
		if o.GetKind() == "Namespace" && !slices.Contains(creators[o.GetName()], o.release) {
			creators[o.GetName()] = append(creators[o.GetName()], o.release)
		}
	}
	for _, o := range m.objects {
		if r := o.release; r.CreateNamespace && !slices.Contains(creators[r.Namespace], r) {
			creators[r.Namespace] = append(creators[r.Namespace], r)
		}
	}
	seen := map[string]bool{}
	for _, o := range m.objects {
		for _, ns := range []string{o.release.Namespace, o.GetNamespace()} {
			key := o.release.ID() + " " + ns
			if ns == "" || seen[key] || given(ns) || o.release.CreateNamespace && ns == o.release.Namespace {
				continue
			}
			seen[key] = true
			switch {
			case len(creators[ns]) == 0:
				out = append(out, o.problem("metadata.namespace", "namespace "+ns+", which nothing creates", "a namespace of a release of this environment", "add a release with a namespace block that release "+o.release.ID()+" needs"))
			case slices.ContainsFunc(creators[ns], func(r *render.Release) bool { return r != o.release && needs(releases, o.release, r.ID(), nil) }):
			case !slices.Contains(creators[ns], o.release):
				creator := creators[ns][0].ID()
				out = append(out, o.problem("metadata.namespace", "release "+o.release.ID()+" does not need "+creator+", which creates namespace "+ns, "the namespace first", "add "+creator+" to its needs"))
			case ns == o.release.Namespace:
				out = append(out, o.problem("metadata.namespace", "release "+o.release.ID()+" is installed in the namespace that it creates", "a namespace that is there before", "install it in default"))
			}
		}
	}
	return out
}}

// given are the namespaces of every platform with Istio.
func given(ns string) bool {
	return ns == "default" || ns == "istio-system" || strings.HasPrefix(ns, "kube-")
}

// needs says whether r needs the release id, itself or through others.
func needs(all map[string]*render.Release, r *render.Release, id string, walked []string) bool {
	if slices.Contains(walked, r.ID()) {
		return false
	}
	walked = append(walked, r.ID())
	return slices.ContainsFunc(r.Needs, func(need string) bool {
		return need == id || all[need] != nil && needs(all, all[need], id, walked)
	})
}
