package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// valuesYAML is the chart's values.yaml: every block and its keys, all absent.
func valuesYAML(src *source) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Generated from values.schema.yaml; change that, then run: %s\n", command)
	b.WriteString("# A block that is absent renders nothing. Every key: docs/values.md. Examples: values/.\n")
	for _, p := range src.Values.Properties {
		n := src.resolve(p.value)
		fmt.Fprintf(&b, "\n# %s\n# %s\n", p.value.Description, keyLine(p.name, n))
		for _, child := range n.Properties {
			if d := src.describe(child.value); d != "" {
				fmt.Fprintf(&b, "#   # %s\n#   %s\n", d, keyLine(child.name, src.resolve(child.value)))
			}
		}
	}
	// Helm wants a map, and comments alone are none.
	b.WriteString("\n{}\n")
	return b.Bytes()
}

func keyLine(name string, n *node) string {
	return strings.TrimRight(name+": "+placeholder(n), " ")
}

// placeholder is the default, or an empty value of the right type.
func placeholder(n *node) string {
	switch {
	case n.Default != nil:
		return compact(n.Default)
	case n.Properties != nil:
		return ""
	case n.MapOf != nil || n.FieldsOf != nil || n.Ref != "":
		return "{}"
	case n.Enum != nil:
		return fmt.Sprint(n.Enum[0])
	case n.Type == "array" || strings.HasSuffix(n.Ref, "endpoints"):
		return "[]"
	case n.Type == "integer":
		return "0"
	case n.Type == "boolean":
		return "false"
	default:
		return `""`
	}
}

// reference is docs/values.md.
func reference(src *source) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<!-- Generated from %s; change that, then run: %s -->\n", sourcePath, command)
	b.WriteString(`# Values

A values file holds the blocks it needs; a block that is absent renders nothing. A key that is not
listed here is an error with its path. ` + "`<name>`" + ` stands for a name of your choice. A ` + "`null`" + ` removes what a
lower layer of values has set. Types that begin with Kubernetes, Istio, Gateway API or OpenShift are their own, field by
field: see the [Kubernetes API](https://kubernetes.io/docs/reference/kubernetes-api/) and
[Istio's configuration](https://istio.io/latest/docs/reference/config/networking/).
`)
	for _, p := range src.Values.Properties {
		if p.name == "global" {
			continue
		}
		n := src.resolve(p.value)
		fmt.Fprintf(&b, "\n## `%s`\n\n%s\n", p.name, p.value.Description)
		if n.Properties == nil && n.MapOf == nil {
			fmt.Fprintf(&b, "\nType: %s.%s\n", src.typeOf(n), need(src.Values, p.name))
			continue
		}
		src.table(&b, p.name, n)
	}
	for _, p := range src.Parts {
		if !tabled(p.name) {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n", strings.ToUpper(p.name[:1])+p.name[1:])
		src.table(&b, "", p.value)
	}
	return b.Bytes()
}

// tabled says which shared parts have a table of their own instead of being repeated in each place.
func tabled(part string) bool {
	return slices.Contains([]string{"container", "env", "volume", "updateStrategy"}, part)
}

func (s *source) table(b *bytes.Buffer, path string, n *node) {
	b.WriteString("\n| key | type | default | |\n| --- | --- | --- | --- |\n")
	s.rows(b, path, n)
}

func (s *source) rows(b *bytes.Buffer, path string, n *node) {
	if n.MapOf != nil {
		entry := path + ".<name>"
		target := s.resolve(n.MapOf.Entry)
		if target.Properties == nil && target.FieldsOf == nil || s.tabledRef(n.MapOf.Entry) {
			return
		}
		s.rows(b, entry, target)
		return
	}
	join := func(name string) string { return strings.TrimPrefix(path+"."+name, ".") }
	for _, p := range n.Properties {
		def := ""
		if p.value.Default != nil {
			def = "`" + compact(p.value.Default) + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s%s |\n", join(p.name), s.typeOf(p.value), def, s.describe(p.value), need(n, p.name))
		if child := s.resolve(p.value); !s.tabledRef(p.value) {
			if child.Items != nil && child.Items.Properties != nil {
				s.rows(b, join(p.name)+"[]", child.Items)
			} else {
				s.rows(b, join(p.name), child)
			}
		}
	}
	for _, f := range n.FieldsOf {
		fmt.Fprintf(b, "| `%s` | %s | | As there.%s |\n",
			strings.Join(mapped(f.Fields, join), "`, `"), foreignName(f.foreignRef())+" fields", needs(n, f.Fields))
	}
}

func mapped(in []string, f func(string) string) []string {
	out := make([]string, 0, len(in))
	for _, s := range in {
		out = append(out, f(s))
	}
	return out
}

func need(parent *node, name string) string {
	if slices.Contains(parent.Required, name) {
		return " Required."
	}
	return ""
}

func needs(parent *node, names []string) string {
	var required []string
	for _, n := range names {
		if slices.Contains(parent.Required, n) {
			required = append(required, "`"+n+"`")
		}
	}
	if required == nil {
		return ""
	}
	return " Required: " + strings.Join(required, ", ") + "."
}

// resolve follows a $ref to a part of ours.
func (s *source) resolve(n *node) *node {
	if name, ok := strings.CutPrefix(n.Ref, "#"); ok {
		return s.part(name)
	}
	return n
}

func (s *source) tabledRef(n *node) bool {
	name, ok := strings.CutPrefix(n.Ref, "#")
	return ok && tabled(name)
}

// describe is a node's own description, or that of the part it refers to.
func (s *source) describe(n *node) string {
	if n.Description == "" {
		return s.resolve(n).Description
	}
	return n.Description
}

func (s *source) typeOf(n *node) string {
	if s.tabledRef(n) {
		name := n.Ref[1:]
		return fmt.Sprintf("[%s](#%s)", name, strings.ToLower(name))
	}
	if n.Ref != "" && !strings.HasPrefix(n.Ref, "#") {
		return foreignName(n.Ref)
	}
	n = s.resolve(n)
	switch {
	case n.MapOf != nil:
		return fmt.Sprintf("map of %s to %s", s.Keys[n.MapOf.Key].Say, s.typeOf(n.MapOf.Entry))
	case n.Enum != nil:
		return "`" + strings.Join(mapped(texted(n.Enum), func(v string) string { return v }), "`, `") + "`"
	case n.Properties != nil && n.Type == nil, n.FieldsOf != nil:
		return "object"
	case n.Type == "array":
		return "list of " + s.typeOf(n.Items)
	}
	if types, ok := n.Type.([]any); ok {
		return strings.Join(texted(types), " or ")
	}
	return fmt.Sprint(n.Type)
}

func texted(in []any) []string {
	out := make([]string, 0, len(in))
	for _, v := range in {
		out = append(out, fmt.Sprint(v))
	}
	return out
}

// foreignName is a foreign type as a reader would look it up.
func foreignName(ref string) string {
	for _, p := range publishers {
		if path, ok := strings.CutPrefix(ref, p.prefix+":"); ok {
			return p.name + " " + strings.TrimSuffix(path, "[]")
		}
	}
	return "Kubernetes " + ref[strings.LastIndexAny(ref, ".:")+1:]
}

func compact(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	out, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(out)
}
