// Package valuesgen makes random values for a chart out of its schema: what the schema allows, with the knowledge that
// domain.yaml adds of what makes sense in a place. It knows nothing of templates: rules across fields are kept by
// Settle, which drops what the chart's own errors name. The same seed gives the same values.
//
// A generator of its own rather than a property-test library: values are trees, so that dropping keys, which is all
// that Shrink does, leads to a small counterexample that still reads as a values file.
package valuesgen

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Generator makes values. Safe for concurrent use.
type Generator struct {
	root        node
	definitions map[string]node
	pools       map[string][]any
	keys        []string
	likely      []string
	only        map[string][]only
}

// only are the fields that go with a value of a field beside them.
type only struct {
	Is     any      `json:"is"`
	Fields []string `json:"fields"`
}

type node = map[string]any

//go:embed domain.yaml
var domainYAML []byte

// New returns a generator for a values.schema.json.
func New(schema []byte) (*Generator, error) {
	var domain struct {
		Keys   []string          `json:"keys"`
		Likely []string          `json:"likely"`
		Only   map[string][]only `json:"only"`
		Pools  map[string][]any  `json:"pools"`
	}
	if err := yaml.UnmarshalStrict(domainYAML, &domain); err != nil {
		return nil, fmt.Errorf("domain.yaml: %w", err)
	}
	g := &Generator{definitions: map[string]node{}, pools: domain.Pools, keys: domain.Keys, likely: domain.Likely, only: domain.Only}
	if err := json.Unmarshal(schema, &g.root); err != nil {
		return nil, fmt.Errorf("values schema: %w", err)
	}
	if defs, ok := g.root["definitions"].(node); ok {
		for name, d := range defs {
			g.definitions[name] = d.(node)
		}
	}
	return g, nil
}

// Values makes values of a seed. They pass the schema; rules across fields may be broken.
func (g *Generator) Values(seed uint64) map[string]any {
	r := &run{Generator: g, Rand: rand.New(rand.NewPCG(seed, 1))}
	out := r.object(g.root, "", 0)
	r.tie(out)
	return out
}

// Places lists the pools that are no place of the schema: they are not used.
func (g *Generator) Places() (unknown []string) {
	known := map[string]bool{}
	var walk func(n node, place string)
	walk = func(n node, place string) {
		known[place] = true
		if n["$ref"] != nil {
			return
		}
		for name, p := range properties(n) {
			walk(p, join(place, name))
		}
		if _, entry := entries(n); entry != nil {
			walk(entry, join(place, "*"))
		}
		if items, ok := n["items"].(node); ok {
			walk(items, join(place, "[]"))
		}
	}
	walk(g.root, "")
	for name, d := range g.definitions {
		walk(d, name)
	}
	for _, place := range append(slices.Collect(maps.Keys(g.pools)), g.likely...) {
		if !known[place] {
			unknown = append(unknown, place)
		}
	}
	slices.Sort(unknown)
	return unknown
}

type run struct {
	*Generator
	*rand.Rand
}

const deepest = 7

// value makes a value for a place; ok is false where it is better left out.
func (r *run) value(n node, place string, depth int) (value any, ok bool) {
	if pool, found := r.pools[place]; found {
		v := pool[r.IntN(len(pool))]
		return clone(v), v != "skip"
	}
	if ref, found := n["$ref"].(string); found {
		name := ref[strings.LastIndex(ref, "/")+1:]
		return r.value(r.definitions[name], name, depth)
	}
	if enum, found := n["enum"].([]any); found {
		enum = slices.DeleteFunc(slices.Clone(enum), func(v any) bool { return v == nil })
		return enum[r.IntN(len(enum))], true
	}
	types := slices.DeleteFunc(types(n), func(t string) bool { return t == "null" })
	if len(types) == 0 {
		return nil, false
	}
	switch types[r.IntN(len(types))] {
	case "object":
		return r.object(n, place, depth), true
	case "array":
		items, _ := n["items"].(node)
		out := []any{}
		for range max(1, number(n, "minItems", 0)) + r.IntN(2) {
			// Kubernetes takes no list that has an entry twice.
			if v, ok := r.value(items, join(place, "[]"), depth+1); ok && !slices.ContainsFunc(out, func(other any) bool { return reflect.DeepEqual(v, other) }) {
				out = append(out, v)
			}
		}
		return out, len(out) >= number(n, "minItems", 1)
	case "boolean":
		return r.IntN(2) == 0, true
	case "integer", "number":
		low := number(n, "minimum", 0)
		high := min(number(n, "maximum", low+3), low+100)
		return float64(low + r.IntN(high-low+1)), true
	default:
		return r.text(n, place), true
	}
}

// object makes a map: all that is required, and some of the rest, fewer the deeper it is.
func (r *run) object(n node, place string, depth int) map[string]any {
	out := map[string]any{}
	must := required(n)
	all := properties(n)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		share := 0.3
		if depth > 0 {
			share = min(0.5, 3/float64(len(all)))
		}
		if depth >= deepest {
			share = 0
		}
		if slices.Contains(r.likely, join(place, name)) {
			share = 0.8
		}
		if !slices.Contains(must, name) && r.Float64() >= share {
			continue
		}
		if nullable(all[name], r.definitions) && r.IntN(40) == 0 {
			out[name] = nil // as a layer does that removes what a lower one set
			continue
		}
		if v, ok := r.value(all[name], join(place, name), depth+1); ok {
			out[name] = v
		}
	}
	r.keepOnly(all, place, out)
	if pattern, entry := entries(n); entry != nil && depth < deepest {
		for range 1 + r.IntN(2) {
			if v, ok := r.value(entry, join(place, "*"), depth+1); ok {
				out[r.key(pattern)] = v
			}
		}
	}
	return out
}

// keepOnly takes away the fields that go with another value of a field beside them.
func (r *run) keepOnly(all map[string]node, place string, out map[string]any) {
	for field := range all {
		rules := r.only[join(place, field)]
		if len(rules) == 0 {
			continue
		}
		is := out[field]
		if is == nil {
			is = rules[0].Is
		}
		var mine []string
		if i := slices.IndexFunc(rules, func(o only) bool { return o.Is == is }); i >= 0 {
			mine = rules[i].Fields
		}
		for _, o := range rules {
			for _, f := range o.Fields {
				if !slices.Contains(mine, f) {
					delete(out, f)
				}
			}
		}
	}
}

// key is a name for an entry of a map.
func (r *run) key(pattern string) string {
	fits := r.keys
	if pattern != "" {
		re := regexp.MustCompile(pattern)
		fits = slices.DeleteFunc(slices.Clone(fits), func(k string) bool { return !re.MatchString(k) })
		if len(fits) == 0 || r.IntN(10) == 0 {
			return r.matching(pattern)
		}
	}
	return fits[r.IntN(len(fits))]
}

func (r *run) text(n node, place string) string {
	if pattern, ok := n["pattern"].(string); ok {
		return r.matching(pattern)
	}
	words := []string{"a", "main", "x-1", "some-name"}
	return words[r.IntN(len(words))]
}

func join(place, name string) string {
	if place == "" {
		return name
	}
	return place + "." + name
}

func properties(n node) map[string]node {
	out := map[string]node{}
	all, _ := n["properties"].(node)
	for name, p := range all {
		out[name] = p.(node)
	}
	return out
}

// entries is the schema of a map's entries, and the pattern of its keys.
func entries(n node) (pattern string, entry node) {
	if patterns, ok := n["patternProperties"].(node); ok {
		for pattern, e := range patterns {
			return pattern, e.(node)
		}
	}
	entry, _ = n["additionalProperties"].(node)
	return "", entry
}

func required(n node) (out []string) {
	all, _ := n["required"].([]any)
	for _, name := range all {
		out = append(out, name.(string))
	}
	return out
}

func types(n node) (out []string) {
	switch t := n["type"].(type) {
	case string:
		return []string{t}
	case []any:
		for _, name := range t {
			out = append(out, name.(string))
		}
	}
	return out
}

func nullable(n node, definitions map[string]node) bool {
	if ref, ok := n["$ref"].(string); ok {
		return nullable(definitions[ref[strings.LastIndex(ref, "/")+1:]], definitions)
	}
	return slices.Contains(types(n), "null")
}

func number(n node, keyword string, otherwise int) int {
	if v, ok := n[keyword].(float64); ok {
		return int(v)
	}
	return otherwise
}

// clone copies a value, so that no two values share a map.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, below := range v {
			out[k] = clone(below)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, below := range v {
			out[i] = clone(below)
		}
		return out
	}
	return v
}

// Clone copies values.
func Clone(values map[string]any) map[string]any { return clone(values).(map[string]any) }
