package main

import (
	"fmt"
	"os"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// source is values.schema.yaml.
type source struct {
	Keys   map[string]key `yaml:"keys"`
	Values *node          `yaml:"values"`
	Parts  ordered[*node] `yaml:"parts"`
}

// key is a kind of map key: the expression it must match, and its name in the reference.
type key struct {
	Pattern string `yaml:"pattern"`
	Say     string `yaml:"say"`
}

// node is one level of the values.
type node struct {
	Ref         string         `yaml:"$ref"`
	Description string         `yaml:"description"`
	Default     any            `yaml:"default"`
	Type        any            `yaml:"type"`
	Enum        []any          `yaml:"enum"`
	Pattern     string         `yaml:"pattern"`
	Minimum     *int           `yaml:"minimum"`
	Maximum     *int           `yaml:"maximum"`
	MinLength   *int           `yaml:"minLength"`
	MaxLength   *int           `yaml:"maxLength"`
	MinItems    *int           `yaml:"minItems"`
	Items       *node          `yaml:"items"`
	Required    []string       `yaml:"required"`
	Properties  ordered[*node] `yaml:"properties"`
	MapOf       *mapOf         `yaml:"mapOf"`
	FieldsOf    oneOrMore      `yaml:"fieldsOf"`
}

// mapOf is a map whose keys the user chooses.
type mapOf struct {
	Key   string `yaml:"key"`
	Entry *node  `yaml:"entry"`
}

// fieldsOf names fields of a foreign type that stand beside our own.
type fieldsOf struct {
	Type   string   `yaml:"type"`
	Fields []string `yaml:"fields"`
}

// foreignRef is how a $ref would name the type.
func (f fieldsOf) foreignRef() string {
	if strings.Contains(f.Type, ":") {
		return f.Type
	}
	return "k8s:" + f.Type
}

type oneOrMore []fieldsOf

func (o *oneOrMore) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.SequenceNode {
		return n.Decode((*[]fieldsOf)(o))
	}
	var one fieldsOf
	if err := n.Decode(&one); err != nil {
		return err
	}
	*o = oneOrMore{one}
	return nil
}

// ordered is a map that keeps the order of the file.
type ordered[T any] []entry[T]

type entry[T any] struct {
	name  string
	value T
}

func (o *ordered[T]) UnmarshalYAML(n *yaml.Node) error {
	for i := 0; i < len(n.Content); i += 2 {
		e := entry[T]{name: n.Content[i].Value}
		if err := n.Content[i+1].Decode(&e.value); err != nil {
			return err
		}
		*o = append(*o, e)
	}
	return nil
}

// UnmarshalYAML refuses keys that node does not have: a mistyped one would silently loosen the schema.
func (s *node) UnmarshalYAML(n *yaml.Node) error {
	known := map[string]bool{}
	t := reflect.TypeFor[node]()
	for i := range t.NumField() {
		known[t.Field(i).Tag.Get("yaml")] = true
	}
	for i := 0; i < len(n.Content); i += 2 {
		if k := n.Content[i]; !known[k.Value] {
			return fmt.Errorf("line %d: unknown key %q", k.Line, k.Value)
		}
	}
	type plain node
	return n.Decode((*plain)(s))
}

func readSource(path string) (*source, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var s source
	if err := yaml.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &s, nil
}

// part is a shared part by name, nil if there is none.
func (s *source) part(name string) *node {
	for _, p := range s.Parts {
		if p.name == name {
			return p.value
		}
	}
	return nil
}
