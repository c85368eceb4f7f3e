package diff

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Schemas compares two schemas of values: which keys are new, gone, or required, and which
// values are refused that were legal. Descriptions do not matter. A nil schema allows all.
func Schemas(before, after []byte) ([]Change, error) {
	was, err := schemaOf(before)
	if err != nil {
		return nil, fmt.Errorf("the old schema: %w", err)
	}
	now, err := schemaOf(after)
	if err != nil {
		return nil, fmt.Errorf("the new schema: %w", err)
	}
	c := schemas{was: was, now: now, seen: map[[2]string]bool{}}
	c.compare("", was, now)
	return sorted(c.changes), nil
}

func schemaOf(data []byte) (map[string]any, error) {
	if data == nil {
		return map[string]any{}, nil
	}
	var out map[string]any
	err := json.Unmarshal(data, &out)
	return out, err
}

type schemas struct {
	was, now map[string]any
	seen     map[[2]string]bool // definitions that were compared, or are being compared; "" is a schema that allows all
	changes  []Change
}

func (c *schemas) add(rule rule, path, old, new string) {
	change := change(rule)
	change.Path, change.Old, change.New = path, old, new
	c.changes = append(c.changes, change)
}

func (c *schemas) compare(path string, a, b map[string]any) {
	refA, _ := a["$ref"].(string)
	refB, _ := b["$ref"].(string)
	if refA != "" || refB != "" {
		if (refA != "" || len(a) == 0) && (refB != "" || len(b) == 0) {
			if c.seen[[2]string{refA, refB}] {
				return
			}
			c.seen[[2]string{refA, refB}] = true
		}
		if refA != "" {
			a = resolve(c.was, refA, a)
		}
		if refB != "" {
			b = resolve(c.now, refB, b)
		}
		c.compare(path, a, b)
		return
	}
	c.object(path, a, b)
	c.sets(path, a, b)
	c.bounds(path, a, b)
	for _, key := range []string{"items", "additionalProperties"} {
		at := join(path, "*")
		if key == "items" {
			at = path + "[]"
		}
		x, okX := a[key].(map[string]any)
		y, okY := b[key].(map[string]any)
		switch {
		case okX && okY:
			c.compare(at, x, y)
		case okY && a[key] != false:
			c.add(valueNarrowed, at, "anything", show(y))
		case okX && b[key] != false:
			c.add(valueWidened, at, show(x), "anything")
		}
	}
	c.patterns(join(path, "*"), a, b)
	// What this cannot read is said to have changed.
	for _, key := range []string{"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "propertyNames", "contains", "prefixItems"} {
		if !reflect.DeepEqual(a[key], b[key]) {
			c.add(valueNarrowed, path, key+" "+show(a[key]), key+" "+show(b[key]))
		}
	}
}

// patterns compares the schemas of keys that are free but for a pattern. One pattern in place of
// another is a narrower one, as whether it allows all that the other did is not decided here.
func (c *schemas) patterns(path string, a, b map[string]any) {
	x, y := sub(a, "patternProperties"), sub(b, "patternProperties")
	keysX, keysY := keysOf(x, nil), keysOf(y, nil)
	if len(x) == 1 && len(y) == 1 && keysX[0] != keysY[0] {
		c.add(valueNarrowed, path, "names "+keysX[0], "names "+keysY[0])
		c.compare(path, asMap(x[keysX[0]]), asMap(y[keysY[0]]))
		return
	}
	for _, key := range keysOf(x, y) {
		_, had := x[key]
		_, has := y[key]
		switch {
		case had && has:
			c.compare(path, asMap(x[key]), asMap(y[key]))
		case has && closed(a), had && !closed(b):
			c.add(valueWidened, path, "", "names "+key)
		default:
			c.add(valueNarrowed, path, "names "+key, "")
		}
	}
}

func (c *schemas) object(path string, a, b map[string]any) {
	if !allowsObjects(a) || !allowsObjects(b) {
		return // its type says all there is to say
	}
	old, new := sub(a, "properties"), sub(b, "properties")
	for _, key := range keysOf(old, new) {
		_, had := old[key]
		_, has := new[key]
		at := join(path, key)
		was, now := asMap(old[key]), asMap(new[key])
		if !had {
			was, had = unnamed(a, key)
		}
		if !has {
			now, has = unnamed(b, key)
		}
		switch {
		case had && has && (len(was) == 0 || len(now) == 0):
			c.whole(at, was, now)
		case had && has:
			c.compare(at, was, now)
		case had:
			c.add(keyRemoved, at, "legal", "unknown")
		case has:
			c.add(keyAdded, at, "", "legal")
		}
	}
	for _, key := range words(b["required"]) {
		if !slices.Contains(words(a["required"]), key) {
			c.add(keyRequired, join(path, key), "optional", "required")
		}
	}
	for _, key := range words(a["required"]) {
		if !slices.Contains(words(b["required"]), key) {
			c.add(valueWidened, join(path, key), "required", "optional")
		}
	}
	switch {
	case !closed(a) && closed(b):
		c.add(valueNarrowed, path, "any key", "known keys only")
	case closed(a) && !closed(b):
		c.add(valueWidened, path, "known keys only", "any key")
	}
}

// whole says in one line what is different where one side allows all.
func (c *schemas) whole(path string, a, b map[string]any) {
	below := schemas{was: c.was, now: c.now, seen: maps.Clone(c.seen)} // what it finds stands in this line only
	below.compare(path, a, b)
	switch Highest(below.changes) {
	case Major:
		c.add(valueNarrowed, path, "anything", show(b))
	case Minor:
		c.add(valueWidened, path, show(a), "anything")
	}
}

// unnamed is the schema of a key that a map does not name: that of a pattern, or of all others. Not ok: it is refused.
func unnamed(schema map[string]any, key string) (of map[string]any, ok bool) {
	patterns := sub(schema, "patternProperties")
	for _, pattern := range keysOf(patterns, nil) {
		if expression, err := regexp.Compile(pattern); err == nil && expression.MatchString(key) {
			return asMap(patterns[pattern]), true
		}
	}
	return sub(schema, "additionalProperties"), !closed(schema)
}

func allowsObjects(schema map[string]any) bool {
	types := words(schema["type"])
	return len(types) == 0 || slices.Contains(types, "object")
}

// sets compares what a value may be one of: types and enumerations.
func (c *schemas) sets(path string, a, b map[string]any) {
	for _, key := range []string{"type", "enum"} {
		old, new := words(a[key]), words(b[key])
		if key == "type" && slices.Contains(old, "number") {
			old = append(old, "integer")
		}
		if key == "type" && slices.Contains(new, "number") {
			new = append(new, "integer")
		}
		lost := len(new) > 0 && (len(old) == 0 || slices.ContainsFunc(old, func(w string) bool { return !slices.Contains(new, w) }))
		won := len(old) > 0 && (len(new) == 0 || slices.ContainsFunc(new, func(w string) bool { return !slices.Contains(old, w) }))
		switch {
		case lost:
			c.add(valueNarrowed, path, key+" "+show(a[key]), key+" "+show(b[key]))
		case won:
			c.add(valueWidened, path, key+" "+show(a[key]), key+" "+show(b[key]))
		}
	}
	for _, key := range []string{"const", "pattern", "format", "multipleOf"} {
		switch {
		case reflect.DeepEqual(a[key], b[key]):
		case b[key] == nil:
			c.add(valueWidened, path, key+" "+show(a[key]), "")
		case a[key] == nil:
			c.add(valueNarrowed, path, "", key+" "+show(b[key]))
		default: // whether one pattern allows what another does is not decided here
			c.add(valueNarrowed, path, key+" "+show(a[key]), key+" "+show(b[key]))
		}
	}
}

func (c *schemas) bounds(path string, a, b map[string]any) {
	for _, key := range []string{"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"} {
		old, had := a[key].(float64)
		new, has := b[key].(float64)
		if had == has && old == new {
			continue
		}
		upper := strings.Contains(strings.ToLower(key), "max")
		rule := valueWidened
		if has && (!had || (upper && new < old) || (!upper && new > old)) {
			rule = valueNarrowed
		}
		c.add(rule, path, bound(key, a[key]), bound(key, b[key]))
	}
}

func bound(key string, v any) string {
	if v == nil {
		return ""
	}
	return key + " " + show(v)
}

// resolve follows a reference within the document; what stands beside it holds too.
func resolve(document map[string]any, ref string, beside map[string]any) map[string]any {
	at := document
	for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		part = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
		at = sub(at, part)
	}
	out := make(map[string]any, len(at)+len(beside))
	for k, v := range at {
		out[k] = v
	}
	for k, v := range beside {
		if k != "$ref" {
			out[k] = v
		}
	}
	return out
}

func closed(schema map[string]any) bool { return schema["additionalProperties"] == false }

func sub(m map[string]any, key string) map[string]any { return asMap(m[key]) }

func asMap(v any) map[string]any {
	m, ok := v.(map[string]any)
	if !ok {
		return map[string]any{}
	}
	return m
}

// words are the texts of a list, or the one text.
func words(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		out := make([]string, len(v))
		for i := range v {
			out[i] = fmt.Sprint(v[i])
		}
		return out
	}
	return nil
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
