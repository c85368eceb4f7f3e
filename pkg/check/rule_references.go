package check

import (
	"maps"
	"slices"
	"strings"

	"chartbasico/internal/nearest"
	"chartbasico/pkg/problem"
	"chartbasico/pkg/render"
)

// What is not in the environment may be made elsewhere, so only a name like that of something here, which nothing names, is told of.
var ruleReferences = rule{"references", "What pods name is there: the key of a ConfigMap or Secret, and no name is mistyped.", environmentScope, func(m *model) (out problem.List) {
	named := map[string]bool{}
	references := make([][]reference, len(m.pods))
	for i, p := range m.pods {
		references[i] = p.references()
		for _, r := range references[i] {
			named[r.kind+"/"+p.GetNamespace()+"/"+r.name] = true
		}
	}
	there := map[string]object{}     // by kind/namespace/name
	taken := map[string]bool{}       // namespace/name of any kind: what is to be made may be named after what makes it
	unnamed := map[string][]string{} // by kind/namespace/, what no pods name
	for _, o := range m.objects {
		id := o.GetKind() + "/" + o.GetNamespace() + "/"
		there[id+o.GetName()], taken[o.GetNamespace()+"/"+o.GetName()] = o, true
		if o.GroupVersionKind().Group == "" && !named[id+o.GetName()] {
			unnamed[id] = append(unnamed[id], o.GetName())
		}
	}
	for i, p := range m.pods {
		for _, r := range references[i] {
			id := r.kind + "/" + p.GetNamespace() + "/"
			o, ok := there[id+r.name]
			switch {
			case r.optional || r.name == "":
			case ok && r.key != "":
				keys := dataKeys(o)
				if len(keys) == 0 || slices.Contains(keys, r.key) {
					continue // what has none is filled by others
				}
				fix := "add the key to " + o.id + ", or correct it"
				near := nearest.Word(r.key, keys)
				if near != "" {
					fix = "write " + near
				}
				wrong := p.style(r.path+"."+r.keyField, problem.Quote(r.key)+", which "+o.id+" does not have", "one of "+strings.Join(keys, ", "), fix)
				if near == "" {
					wrong.Severity = problem.Warning // an operator or a hook may add it
				}
				out = append(out, wrong)
			case !ok && !taken[p.GetNamespace()+"/"+r.name] && (r.kind != "Secret" || !m.others(p.GetNamespace(), r.name)):
				near := nearest.Word(r.name, unnamed[id])
				if near == "" || r.kind == "Secret" && m.others(p.GetNamespace(), near) {
					continue
				}
				wrong := p.problem(r.path+"."+r.nameField, problem.Quote(r.name)+", which is no "+r.kind+" of this environment", "the name of one that is there", "write "+near)
				wrong.Severity = problem.Warning
				out = append(out, wrong)
			}
		}
	}
	return out
}}

// others says whether an object that is no workload names a Secret, as a Certificate does the one that it makes, or may have
// made it: an operator names what it makes after the object that it makes it for.
func (m *model) others(namespace, name string) bool {
	return slices.ContainsFunc(m.objects, func(o object) bool {
		_, workload := render.PodTemplate(o.GetKind())
		if workload || o.GetNamespace() != namespace {
			return false
		}
		group := o.GroupVersionKind().Group
		operated := strings.Contains(group, ".") && !strings.HasSuffix(group, ".k8s.io") && !strings.HasSuffix(group, ".istio.io")
		return mentions(o.Object["spec"], name) || operated && strings.HasPrefix(name, o.GetName()+"-")
	})
}

// mentions says whether a text is anywhere in a value.
func mentions(value any, text string) bool {
	switch v := value.(type) {
	case string:
		return v == text
	case []any:
		return slices.ContainsFunc(v, func(below any) bool { return mentions(below, text) })
	case map[string]any:
		for _, below := range v {
			if mentions(below, text) {
				return true
			}
		}
	}
	return false
}

// reference is an object that pods name, and maybe a key in it.
type reference struct {
	kind, name, key     string
	path                string
	nameField, keyField string
	optional            bool
}

// references are those of the pods' volumes and containers, of their account, and of what pulls their images.
func (p pods) references() (out []reference) {
	base := strings.TrimPrefix(p.template+".spec", ".")
	add := func(kind, path, nameField string, of any) {
		from, _ := of.(map[string]any)
		if from == nil {
			return
		}
		optional, _ := from["optional"].(bool)
		r := reference{kind: kind, name: text(from, nameField), key: text(from, "key"), path: path, nameField: nameField, keyField: "key", optional: optional}
		items := list(from, "items")
		if len(items) == 0 {
			out = append(out, r)
		}
		for i, item := range items {
			r.key, r.keyField = text(item, "key"), at("items", i)+".key"
			out = append(out, r)
		}
	}
	for i, v := range list(p.spec, "volumes") {
		path := at(base+".volumes", i)
		add("ConfigMap", path+".configMap", "name", v["configMap"])
		add("Secret", path+".secret", "secretName", v["secret"])
		add("PersistentVolumeClaim", path+".persistentVolumeClaim", "claimName", v["persistentVolumeClaim"])
		for j, source := range list(v, "projected", "sources") {
			path := at(path+".projected.sources", j)
			add("ConfigMap", path+".configMap", "name", source["configMap"])
			add("Secret", path+".secret", "name", source["secret"])
		}
	}
	for _, kind := range []string{"initContainers", "containers", "ephemeralContainers"} {
		for i, c := range list(p.spec, kind) {
			path := at(base+"."+kind, i)
			for j, from := range list(c, "envFrom") {
				add("ConfigMap", at(path+".envFrom", j)+".configMapRef", "name", from["configMapRef"])
				add("Secret", at(path+".envFrom", j)+".secretRef", "name", from["secretRef"])
			}
			for j, variable := range list(c, "env") {
				from, _ := variable["valueFrom"].(map[string]any)
				add("ConfigMap", at(path+".env", j)+".valueFrom.configMapKeyRef", "name", from["configMapKeyRef"])
				add("Secret", at(path+".env", j)+".valueFrom.secretKeyRef", "name", from["secretKeyRef"])
			}
		}
	}
	for i, s := range list(p.spec, "imagePullSecrets") {
		add("Secret", at(base+".imagePullSecrets", i), "name", s)
	}
	if text(p.spec, "serviceAccountName") != "default" { // which every namespace has
		add("ServiceAccount", base, "serviceAccountName", p.spec)
	}
	return out
}

// dataKeys are the keys of a ConfigMap or Secret, sorted.
func dataKeys(o object) (keys []string) {
	for _, field := range []string{"data", "binaryData", "stringData"} {
		data, _ := o.Object[field].(map[string]any)
		keys = slices.AppendSeq(keys, maps.Keys(data))
	}
	slices.Sort(keys)
	return keys
}
