package render

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/runtime"
	sigsyaml "sigs.k8s.io/yaml"

	"chartbasico/internal/helm3"
	"chartbasico/internal/schemaerr"
	"chartbasico/internal/yamlnode"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/problem"
)

// unreadable is the rule of problems with what cannot be read at all.
const unreadable = "unreadable"

// Unreadable says whether a problem is that something cannot be read, so that what is in it was not looked at.
func Unreadable(p problem.Problem) bool { return p.Rule == unreadable }

// layer is one source of values.
type layer struct {
	file   string
	line   int        // of the release, where the values are not in a file of their own
	root   *yaml.Node // nil where lines are not known
	values map[string]any
}

type layers []layer

// merge lays a release's values over each other as Helm does, the overrides last.
func merge(release environment.Release, overrides []Override) (map[string]any, layers, problem.List) {
	var all layers
	var wrong problem.List
	for _, file := range release.ValuesFiles {
		l, problems := readValues(file)
		wrong = append(wrong, problems...)
		all = append(all, l)
	}
	for _, values := range release.Values {
		all = append(all, layer{file: release.File, line: release.Line, values: values})
	}
	if release.File != "" { // Helmfile installs it
		for _, l := range all {
			wrong = append(wrong, l.references(nil, l.values)...)
		}
	}
	merged := map[string]any{}
	for _, l := range all {
		merged = helm3.MergeValues(merged, l.values)
	}
	merged = runtime.DeepCopyJSON(merged)
	for _, o := range overrides {
		if err := o.apply(merged); err != nil {
			wrong = append(wrong, problem.Problem{Severity: problem.Error, Rule: "values", Found: err.Error(), Expected: "path=value", Fix: "correct the override"})
			continue
		}
		set := map[string]any{}
		_ = o.apply(set) // it could be applied above
		all = append(all, layer{file: "--set", values: set})
	}
	if len(wrong) > 0 {
		return nil, nil, in(release, wrong)
	}
	return merged, all, nil
}

func (o Override) apply(values map[string]any) error {
	if o.text != "" {
		return helm3.SetValue(values, o.text)
	}
	parts := splitPath(o.path)
	at := values
	for _, part := range parts[:len(parts)-1] {
		below, ok := at[part].(map[string]any)
		if !ok {
			below = map[string]any{}
			at[part] = below
		}
		at = below
	}
	at[parts[len(parts)-1]] = normal(o.value)
	return nil
}

// normal gives a number the type that it has in values read from a file, all the way down.
func normal(v any) any {
	switch v := v.(type) {
	case int:
		return float64(v)
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, below := range v {
			out[k] = normal(below)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, below := range v {
			out[i] = normal(below)
		}
		return out
	}
	return v
}

func splitPath(path string) []string {
	const dot = "\x00"
	parts := strings.Split(strings.ReplaceAll(path, `\.`, dot), ".")
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], dot, ".")
	}
	return parts
}

func readValues(file string) (layer, problem.List) {
	l := layer{file: relative(file)}
	fault := func(rule string, line int, path, what, expected, fix string) problem.Problem {
		return problem.Problem{Severity: problem.Error, Rule: rule, File: l.file, Line: line, Path: path, Found: what, Expected: expected, Fix: fix}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return l, problem.List{fault(unreadable, 0, "", err.Error(), "a values file", "correct the path or add the file")}
	}
	root, twice, err := yamlnode.Parse(data)
	if err != nil && strings.Contains(err.Error(), "unknown anchor") { // whose name may be a password
		return l, problem.List{fault(unreadable, 0, "", "a value that begins with *, as the name of an anchor does, which is not there", "one YAML document", "quote the value")}
	}
	if err != nil {
		return l, problem.List{fault(unreadable, 0, "", err.Error(), "one YAML document", "correct the YAML")}
	}
	l.root = root
	var wrong problem.List
	for _, d := range twice {
		wrong = append(wrong, fault("values", d.Line, d.Path, fmt.Sprintf("the key stands twice, first on line %d", d.First), "each key once", "remove one of the two"))
	}
	if len(wrong) > 0 {
		return l, wrong
	}
	if err := sigsyaml.Unmarshal(data, &l.values); err != nil {
		wrong = append(wrong, fault("values", 0, "", err.Error(), "a map of values", "write key: value lines"))
	}
	return l, wrong
}

// references finds the values that Helmfile would look up elsewhere, so that what it installs is not what is rendered.
func (l layer) references(path []string, value any) (wrong problem.List) {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			wrong = append(wrong, l.references(append(path[:len(path):len(path)], key), value[key])...)
		}
	case []any:
		for i, item := range value {
			wrong = append(wrong, l.references(append(path[:len(path):len(path)], strconv.Itoa(i)), item)...)
		}
	case string:
		if !environment.IsReference(value) {
			return nil
		}
		line := l.line
		if l.root != nil {
			line, _ = yamlnode.Find(l.root, path)
		}
		wrong = append(wrong, problem.Problem{Severity: problem.Error, Rule: "values", File: l.file, Line: line, Path: problem.Path(l.values, path),
			Found: problem.Quote(value) + ", which Helmfile looks up elsewhere", Expected: "a plain value",
			Fix: "write the value out, or name a Secret that is on the cluster; Helmfile's references are not read"})
	}
	return wrong
}

// locate names the layer in which the value at path was set last, and the line of it.
func (all layers) locate(path []string) (file string, line int) {
	l := all.last(path)
	line = l.line
	if l.root != nil {
		line, _ = yamlnode.Find(l.root, path)
	}
	return l.file, line
}

// written is the text of the number or truth value at path, as the file has it in which it was set last; "" where it is in none.
func (all layers) written(path []string) string {
	node := yamlnode.Value(all.last(path).root, path)
	if node == nil || node.Kind != yaml.ScalarNode || node.Style != 0 {
		return ""
	}
	return node.Value
}

// last is the layer in which the value at path was set last, or the most of the parts of path.
func (all layers) last(path []string) (last layer) {
	best := -1
	for _, l := range slices.Backward(all) {
		if depth := depthOf(l.values, path); depth > best {
			best, last = depth, l
		}
	}
	return last
}

// changed are warnings of what YAML reads as a number or a truth value without a word, where it becomes a text or a name:
// 1.10 is 1.1, 0644 is 420, and on is true.
func (all layers) changed() (out problem.List) {
	for _, l := range all {
		if l.root != nil {
			out = append(out, l.changed(l.root, nil, l.values, func(path []string) bool { return all.last(path).root == l.root })...)
		}
	}
	return out
}

func (l layer) changed(node *yaml.Node, path []string, value any, stays func(path []string) bool) (out problem.List) {
	warn := func(node *yaml.Node, path []string, read string) {
		found := node.Value + ", which YAML reads as " + read
		if schemaerr.Confidential(path) {
			found = "a value that YAML reads as another"
		}
		out = append(out, problem.Problem{Severity: problem.Warning, Rule: "values", File: l.file, Line: node.Line, Path: problem.Path(l.values, path),
			Found: found, Expected: "text, as it is written", Fix: "quote it"})
	}
	switch at := value.(type) {
	case map[string]any:
		for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
			key, name := node.Content[i], node.Content[i].Value
			below := append(path[:len(path):len(path)], name)
			if _, ok := at[name]; !ok && key.Kind == yaml.ScalarNode && key.Style == 0 && key.Tag != "!!merge" {
				var read map[string]any
				if err := sigsyaml.Unmarshal([]byte(name+": 0"), &read); err != nil {
					continue
				}
				for name = range read { // it is the only one
				}
				warn(key, below, "the key "+name)
			}
			out = append(out, l.changed(yamlnode.Value(node.Content[i+1], nil), below, at[name], stays)...)
		}
	case []any:
		for i := 0; node.Kind == yaml.SequenceNode && i < min(len(node.Content), len(at)); i++ {
			out = append(out, l.changed(yamlnode.Value(node.Content[i], nil), append(path[:len(path):len(path)], strconv.Itoa(i)), at[i], stays)...)
		}
	case float64, bool:
		read := fmt.Sprint(at)
		if number, ok := at.(float64); ok {
			read = strconv.FormatFloat(number, 'f', -1, 64)
		}
		if isText(path) && stays(path) && node.Kind == yaml.ScalarNode && node.Style == 0 && node.Value != read {
			warn(node, path, read)
		}
	}
	return out
}

// isText says whether a scalar at the path becomes text: in an environment, a ConfigMap or a Secret.
func isText(path []string) bool {
	n := len(path)
	return n == 5 && path[0] == "workload" && path[3] == "env" || n == 4 && (path[0] == "config" && path[2] == "data" || path[0] == "secrets" && path[2] == "stringData")
}

// depthOf counts the leading parts of path that are in values.
func depthOf(values any, path []string) int {
	for i, part := range path {
		var below any
		ok := false
		switch at := values.(type) {
		case map[string]any:
			below, ok = at[part]
		case []any:
			var n int
			if _, err := fmt.Sscanf(part, "%d", &n); err == nil && n < len(at) {
				below, ok = at[n], true
			}
		}
		if !ok {
			return i
		}
		values = below
	}
	return len(path)
}

// in says whose problems they are.
func in(release environment.Release, list problem.List) problem.List {
	for i := range list {
		list[i].Release = release.ID()
		if list[i].File == "" {
			list[i].File, list[i].Line = relative(release.File), release.Line
		}
	}
	return list
}
