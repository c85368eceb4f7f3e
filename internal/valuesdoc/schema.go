package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// compiler makes one flat schema: Helm resolves no $ref to another file.
type compiler struct {
	src     *source
	foreign *foreign
	defs    object
}

func schemaJSON(src *source, f *foreign) ([]byte, error) {
	c := &compiler{src: src, foreign: f, defs: object{}}
	root, err := c.compile(src.Values, "values")
	if err != nil {
		return nil, err
	}
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["title"] = "Values of chart_basico"
	root["definitions"] = c.defs
	out, err := json.MarshalIndent(root, "", " ")
	return append(out, '\n'), err
}

// compile makes JSON Schema of one level of ours; path says where, for errors.
func (c *compiler) compile(n *node, path string) (object, error) {
	out := object{}
	set := func(k string, v any, given bool) {
		if given {
			out[k] = v
		}
	}
	set("description", n.Description, n.Description != "")
	set("default", n.Default, n.Default != nil)
	if n.Ref != "" {
		to, err := c.ref(n.Ref)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		out["$ref"] = to
		return out, nil
	}
	set("type", n.Type, n.Type != nil)
	set("enum", n.Enum, n.Enum != nil)
	set("pattern", n.Pattern, n.Pattern != "")
	set("minimum", n.Minimum, n.Minimum != nil)
	set("maximum", n.Maximum, n.Maximum != nil)
	set("minLength", n.MinLength, n.MinLength != nil)
	set("maxLength", n.MaxLength, n.MaxLength != nil)
	set("minItems", n.MinItems, n.MinItems != nil)
	set("required", n.Required, n.Required != nil)
	if n.Items != nil {
		items, err := c.compile(n.Items, path+"[]")
		if err != nil {
			return nil, err
		}
		out["items"] = items
	}
	if n.MapOf != nil {
		return out, c.compileMap(n.MapOf, path, out)
	}
	if n.Properties != nil || n.FieldsOf != nil {
		return out, c.compileObject(n, path, out)
	}
	return out, nil
}

func (c *compiler) compileMap(m *mapOf, path string, out object) error {
	k, ok := c.src.Keys[m.Key]
	if !ok {
		return fmt.Errorf("%s: no key %q under `keys`", path, m.Key)
	}
	entry, err := c.compile(m.Entry, path+".<name>")
	if err != nil {
		return err
	}
	nullable(entry)
	out["type"] = "object"
	out["patternProperties"] = object{k.Pattern: entry}
	out["additionalProperties"] = false
	out["$comment"] = k.Say // what a key is, for those who explain why one is refused
	return nil
}

func (c *compiler) compileObject(n *node, path string, out object) error {
	fields := object{}
	for _, p := range n.Properties {
		child, err := c.compile(p.value, path+"."+p.name)
		if err != nil {
			return err
		}
		if p.value.Description == "" && p.value.Ref == "" {
			return fmt.Errorf("%s.%s has no description", path, p.name)
		}
		fields[p.name] = child
	}
	for _, f := range n.FieldsOf {
		_, def, err := c.foreign.definition(f.foreignRef())
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		properties, _ := def["properties"].(object)
		for _, name := range f.Fields {
			published, ok := properties[name].(object)
			if !ok {
				return fmt.Errorf("%s: %s has no field %s", path, f.Type, name)
			}
			if fields[name] != nil {
				return fmt.Errorf("%s: two fields %s", path, name)
			}
			if fields[name], err = c.foreign.convert(published, c.ref); err != nil {
				return fmt.Errorf("%s.%s: %w", path, name, err)
			}
		}
	}
	for name, child := range fields {
		if !slices.Contains(n.Required, name) {
			nullable(child.(object))
		}
	}
	if out["type"] == nil {
		out["type"] = "object"
	}
	out["properties"] = fields
	out["additionalProperties"] = false
	return nil
}

// ref brings what a $ref names into the schema, once, and says where it is.
func (c *compiler) ref(ref string) (string, error) {
	name, ours := strings.CutPrefix(ref, "#")
	var build func() (object, error)
	if ours {
		part := c.src.part(name)
		if part == nil {
			return "", fmt.Errorf("no part %q under `parts`", name)
		}
		build = func() (object, error) { return c.compile(part, "parts."+name) }
	} else {
		var def object
		var err error
		if name, def, err = c.foreign.definition(ref); err != nil {
			return "", err
		}
		build = func() (object, error) {
			if o, ok := overrides[name]; ok {
				return maps.Clone(o), nil
			}
			return c.foreign.convert(def, c.ref)
		}
	}
	to := "#/definitions/" + name
	if _, done := c.defs[name]; done {
		return to, nil
	}
	c.defs[name] = nil // Types may refer to themselves.
	def, err := build()
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	nullable(def)
	c.defs[name] = def
	return to, nil
}
