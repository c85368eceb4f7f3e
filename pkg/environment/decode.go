package environment

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation"

	"chartbasico/internal/nearest"
	"chartbasico/internal/yamlnode"
	"chartbasico/pkg/problem"
)

// The keys that are read, and those of Helmfile that change nothing in what is rendered or
// measured here: they may stand in the file. A key of neither list would do something that is
// not done, so it is refused.
var (
	topKeys         = []string{"releases", "helmDefaults", "repositories"}
	defaultKeys     = []string{"createNamespace", "historyMax"}
	releaseKeys     = []string{"name", "namespace", "chart", "version", "values", "needs", "installed", "createNamespace", "historyMax"}
	ignoredTop      = []string{"commonLabels", "helmBinary", "templates"} // of templates, what a release merges is read there
	ignoredDefaults = []string{"wait", "waitForJobs", "timeout", "atomic", "cleanupOnFail"}
	ignoredRelease  = append([]string{"labels"}, ignoredDefaults...)
)

// decoder reads one file and collects what is wrong with it.
type decoder struct {
	env             *Environment
	dir             string
	createNamespace bool
	historyMax      *int
	repositories    map[string]Published // by name, without a chart's name and version
	problems        problem.List
}

func (d *decoder) add(line int, path, found, expected, fix string) {
	d.problems = append(d.problems, problem.Problem{
		Severity: problem.Error, Rule: "environment", Environment: d.env.Name, File: d.env.File, Line: line,
		Path: path, Found: found, Expected: expected, Fix: fix,
	})
}

func (d *decoder) decode(data []byte) {
	root, twice, err := yamlnode.Parse(data)
	if err != nil {
		d.unparsed(data, err)
		return
	}
	for _, t := range twice {
		d.add(t.Line, t.Path, fmt.Sprintf("the key stands twice, first on line %d", t.First), "each key once", "remove one of the two")
	}
	if root == nil {
		d.add(0, "releases", "the file is empty", "a list of releases", "add releases")
		return
	}
	d.createNamespace = true // Helmfile's default
	var releases *yaml.Node
	d.fields(root, "", topKeys, ignoredTop, func(key string, value *yaml.Node) {
		switch key {
		case "helmDefaults":
			d.fields(value, key, defaultKeys, ignoredDefaults, func(below string, value *yaml.Node) {
				switch at := join(key, below); below {
				case "createNamespace":
					d.createNamespace = d.boolean(value, at)
				case "historyMax":
					d.historyMax = d.count(value, at)
				}
			})
		case "repositories":
			for i, item := range d.items(value, key) {
				d.repository(item, fmt.Sprintf("%s[%d]", key, i))
			}
		case "releases":
			releases = value
		}
	})
	if releases == nil && !isTemplate(root) {
		d.add(root.Line, "releases", "no releases", "a list of releases", "add releases")
	}
	if releases == nil {
		return
	}
	all := d.items(releases, "releases")
	for i, item := range all {
		d.release(item, i)
	}
	switch {
	case len(d.env.Releases) > 0 || len(d.problems) > 0:
	case len(all) == 0:
		d.add(releases.Line, "releases", "no release", "one release at least", "add a release")
	default:
		d.add(releases.Line, "releases", "no release that is installed", "one release at least", "remove installed: false of one")
	}
}

// unparsed says why a file is not one YAML document. Where it has a template, that is the likely reason.
func (d *decoder) unparsed(data []byte, err error) {
	fix := "correct the YAML"
	if errors.Is(err, yamlnode.ErrSecond) {
		fix = "keep the document with releases only; Helmfile's environments are not read"
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimSpace(line)
		if strings.Contains(line, "{{") && !strings.HasPrefix(line, "#") {
			d.add(n, "", "a template "+problem.Quote(line)+", and "+err.Error(), "one YAML document without templates", noTemplates)
			return
		}
	}
	d.add(0, "", err.Error(), "one YAML document", fix)
}

// noTemplates is what to do about a template.
const noTemplates = "write the value out; Helmfile's templates are not read"

// isTemplate says whether a node is an unquoted {{ … }}: to YAML that is a map whose key is a map.
func isTemplate(node *yaml.Node) bool {
	return node.Kind == yaml.MappingNode && node.Style&yaml.FlowStyle != 0 && len(node.Content) > 0 && node.Content[0].Kind == yaml.MappingNode
}

// template finds the first unquoted template in a node.
func template(node *yaml.Node) *yaml.Node {
	if isTemplate(node) {
		return node
	}
	for _, below := range node.Content {
		if found := template(below); found != nil {
			return found
		}
	}
	return nil
}

// mismatch says that a node is not what is expected.
func (d *decoder) mismatch(node *yaml.Node, path, expected, fix string) {
	if isTemplate(node) {
		fix = noTemplates
	}
	d.add(node.Line, path, describe(node), expected, fix)
}

// fields hands the map's known entries to take and names every other key.
func (d *decoder) fields(node *yaml.Node, path string, known, ignored []string, take func(key string, value *yaml.Node)) {
	if node.Kind != yaml.MappingNode || isTemplate(node) {
		d.mismatch(node, path, "a map", "write key: value lines")
		return
	}
	for _, e := range d.entries(node, path, nil) {
		key, value := e.key, e.value
		switch {
		case isTemplate(key):
			d.mismatch(key, path, "a key", noTemplates)
		case slices.Contains(known, key.Value):
			take(key.Value, value)
		case slices.Contains(ignored, key.Value):
		default:
			legal := slices.Concat(known, ignored)
			fix := "remove it; understood here: " + strings.Join(legal, ", ")
			if near := nearest.Word(key.Value, legal); near != "" {
				fix = "write " + near
			}
			if slices.Contains(known, "installed") && releaseFixes[key.Value] != "" {
				fix = releaseFixes[key.Value]
			}
			d.add(key.Line, join(path, key.Value), "key "+problem.Quote(key.Value)+" is not understood", "a key of Helmfile's that this reads", fix)
		}
	}
}

// releaseFixes are what to do about keys of a release that are not read, where to remove them is not enough.
var releaseFixes = map[string]string{
	"condition": "remove it; installed: false leaves a release out",
	"inherit":   "give the template an anchor, and merge it into the release by <<: *NAME",
	"set":       "write it as a map under values",
}

// entry is a key of a map, and what stands there.
type entry struct{ key, value *yaml.Node }

// entries are those of a map and of the maps that it merges by <<. Its own keys win, then those of the map that stands first.
func (d *decoder) entries(node *yaml.Node, path string, within []*yaml.Node) []entry {
	var own, merged []entry
	within = append(within, node)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], resolve(node.Content[i+1])
		if key.Tag != "!!merge" {
			own = append(own, entry{key, value})
			continue
		}
		from := []*yaml.Node{value}
		if value.Kind == yaml.SequenceNode {
			from = d.items(value, path)
		}
		for _, m := range from {
			if m.Kind != yaml.MappingNode || isTemplate(m) || slices.Contains(within, m) {
				d.mismatch(m, join(path, "<<"), "a map that stands elsewhere, or a list of such maps", "write <<: *NAME, where a map has the anchor &NAME")
				continue
			}
			merged = append(merged, d.entries(m, path, within)...)
		}
	}
	for _, e := range merged {
		if !slices.ContainsFunc(own, func(o entry) bool { return o.key.Value == e.key.Value }) {
			own = append(own, e)
		}
	}
	return own
}

func (d *decoder) release(node *yaml.Node, index int) {
	path := fmt.Sprintf("releases[%d]", index)
	before := len(d.problems)
	r := Release{File: d.env.File, Line: node.Line, Path: path, CreateNamespace: d.createNamespace, HistoryMax: d.historyMax}
	installed := true
	var chart, version, values *yaml.Node
	var needs []string
	d.fields(node, path, releaseKeys, ignoredRelease, func(key string, value *yaml.Node) {
		at := join(path, key)
		switch key {
		case "name":
			r.Name = d.name(value, at, isReleaseName, "a name that Helm allows: at most 53 lower-case letters, digits, inner dashes and dots")
		case "namespace":
			r.Namespace = d.name(value, at, isNamespace, "a name that Kubernetes allows: at most 63 lower-case letters, digits and inner dashes")
		case "chart":
			chart = value
		case "version":
			version = value
		case "values":
			values = value
		case "needs":
			for j, item := range d.items(value, at) {
				needs = append(needs, d.text(item, fmt.Sprintf("%s[%d]", at, j)))
			}
		case "installed":
			installed = d.boolean(value, at)
		case "createNamespace":
			r.CreateNamespace = d.boolean(value, at)
		case "historyMax":
			r.HistoryMax = d.count(value, at)
		}
	})
	if chart != nil {
		d.chart(&r, chart, version)
	}
	if values != nil {
		d.values(&r, values, join(path, "values"))
	}
	wrong := len(d.problems) > before
	for _, field := range []struct {
		key    string
		absent bool
	}{{"name", r.Name == ""}, {"namespace", r.Namespace == ""}, {"chart", chart == nil}} {
		if field.absent && !wrong {
			d.add(node.Line, join(path, field.key), "a release without "+field.key, "name, namespace and chart", "add "+field.key)
		}
	}
	for _, need := range needs {
		switch strings.Count(need, "/") {
		case 0:
			r.Needs = append(r.Needs, r.Namespace+"/"+need) // Helmfile: the release's own namespace
		case 1:
			r.Needs = append(r.Needs, need)
		default:
			d.add(node.Line, join(path, "needs"), problem.Quote(need), "namespace/name", "leave out the context")
		}
	}
	if installed {
		d.env.Releases = append(d.env.Releases, r)
	} else {
		d.env.Absent = append(d.env.Absent, r)
	}
}

// name reads a text that others take for a name only if it is legal.
func (d *decoder) name(node *yaml.Node, path string, legal func(string) bool, expected string) string {
	text := d.text(node, path)
	if text == "" || legal(text) {
		return text
	}
	fix := "choose another name"
	near := strings.Trim(strings.NewReplacer("_", "-", " ", "-").Replace(strings.ToLower(text)), "-.")
	if legal(near) {
		fix = "write " + near
	}
	d.add(node.Line, path, problem.Quote(text), expected, fix)
	return text
}

// isReleaseName is Helm's rule: its own pattern is that of a subdomain.
func isReleaseName(s string) bool { return len(s) <= 53 && len(validation.IsDNS1123Subdomain(s)) == 0 }

func isNamespace(s string) bool { return len(validation.IsDNS1123Label(s)) == 0 }

func (d *decoder) values(r *Release, node *yaml.Node, path string) {
	for i, item := range d.items(node, path) {
		at := fmt.Sprintf("%s[%d]", path, i)
		if found := template(item); found != nil {
			d.mismatch(found, at, "a file or a map of values", "")
			continue
		}
		if item.Kind == yaml.MappingNode {
			var inline map[string]any
			if err := decodeJSON(item, &inline); err != nil {
				d.add(item.Line, at, err.Error(), "a map of values", "correct the YAML")
			}
			r.Values = append(r.Values, inline)
			continue
		}
		name := d.text(item, at)
		if name == "" {
			continue
		}
		file := d.abs(name)
		switch info, err := os.Stat(file); {
		case len(r.Values) > 0:
			d.add(item.Line, at, "a values file after inline values", "files first", "put the file before the inline values")
		case filepath.Ext(file) == ".gotmpl":
			d.add(item.Line, at, "a template "+problem.Quote(name), "a plain YAML file", "write the values out; templates of values are not read")
		case err != nil || info.IsDir():
			d.add(item.Line, at, "no values file "+problem.Quote(name), "a file, relative to this file", "correct the path or add the file")
		}
		r.ValuesFiles = append(r.ValuesFiles, file)
	}
}

// decodeJSON decodes as Helm does: through JSON, so that every number is a float64.
func decodeJSON(node *yaml.Node, into any) error {
	var raw any
	if err := node.Decode(&raw); err != nil {
		return err
	}
	data, err := json.Marshal(raw)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

func (d *decoder) abs(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(d.dir, path)
}

func (d *decoder) text(node *yaml.Node, path string) string {
	if node.Kind != yaml.ScalarNode || node.Tag == "!!null" || node.Value == "" {
		d.mismatch(node, path, "a text", "write a text")
		return ""
	}
	if strings.Contains(node.Value, "{{") {
		d.add(node.Line, path, "a template "+problem.Quote(node.Value), "a plain text", noTemplates)
		return ""
	}
	return node.Value
}

func (d *decoder) boolean(node *yaml.Node, path string) bool {
	var b bool
	if node.Kind != yaml.ScalarNode || node.Decode(&b) != nil {
		d.mismatch(node, path, "true or false", "write true or false")
	}
	return b
}

func (d *decoder) count(node *yaml.Node, path string) *int {
	var n int
	if node.Kind != yaml.ScalarNode || node.Tag == "!!null" || node.Decode(&n) != nil || n < 0 {
		d.mismatch(node, path, "a whole number, 0 for no limit", "write a whole number")
	}
	return &n
}

func (d *decoder) items(node *yaml.Node, path string) []*yaml.Node {
	if node.Kind != yaml.SequenceNode {
		d.mismatch(node, path, "a list", "begin each entry with a dash")
		return nil
	}
	out := make([]*yaml.Node, len(node.Content))
	for i, item := range node.Content {
		out[i] = resolve(item)
	}
	return out
}

func resolve(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

func describe(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		if isTemplate(node) {
			return "a template " + problem.Quote("{{ "+firstWords(node)+" }}")
		}
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	}
	if node.Tag == "!!null" || node.Value == "" {
		return "nothing"
	}
	return problem.Quote(node.Value)
}

// firstWords is the text of a template up to what YAML takes for an end.
func firstWords(node *yaml.Node) string {
	for len(node.Content) > 0 {
		node = node.Content[0]
	}
	return node.Value
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
