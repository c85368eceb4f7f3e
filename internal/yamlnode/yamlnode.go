// Package yamlnode reads YAML files so that what is said about them can name the line.
package yamlnode

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ErrSecond is that of a file with more than one document.
var ErrSecond = errors.New("a second document; only one is read")

// Parse reads the single document in data and returns its root, nil where it is empty. A
// second document and keys that stand twice in a map are errors: YAML forbids the latter, and
// most readers keep one of the two without a word.
func Parse(data []byte) (*yaml.Node, []Duplicate, error) {
	decoder := yaml.NewDecoder(strings.NewReader(string(data)))
	var doc, second yaml.Node
	if err := decoder.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil, nil
		}
		return nil, nil, err
	}
	if err := decoder.Decode(&second); err == nil {
		return nil, nil, fmt.Errorf("line %d: %w", second.Line, ErrSecond)
	} else if !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	root := doc.Content[0]
	return root, duplicates(root, ""), nil
}

// Duplicate is a key that stands twice in one map.
type Duplicate struct {
	Path        string // as people write it: a.list[1].name
	Line, First int    // where it stands again, and where first
}

func duplicates(node *yaml.Node, path string) []Duplicate {
	var out []Duplicate
	switch node.Kind {
	case yaml.MappingNode:
		first := map[string]int{}
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i]
			below := key.Value
			if path != "" {
				below = path + "." + key.Value
			}
			if line, ok := first[key.Value]; ok && key.Tag != "!!merge" {
				out = append(out, Duplicate{Path: below, Line: key.Line, First: line})
			} else {
				first[key.Value] = key.Line
			}
			out = append(out, duplicates(node.Content[i+1], below)...)
		}
	case yaml.SequenceNode:
		for i, item := range node.Content {
			out = append(out, duplicates(item, path+"["+strconv.Itoa(i)+"]")...)
		}
	}
	return out
}

// Find returns the line of the key at path, and how many of path's parts are there at all:
// the line is that of the deepest one. It is 0, 0 where not even the first part is there.
func Find(root *yaml.Node, path []string) (line, depth int) {
	node := root
	for i, part := range path {
		key, value := child(resolved(node), part)
		if value == nil {
			return line, i
		}
		line, node = key.Line, value
	}
	return line, len(path)
}

// Value returns the value at path, nil where it is not there.
func Value(root *yaml.Node, path []string) *yaml.Node {
	node := root
	for _, part := range path {
		_, node = child(resolved(node), part)
	}
	return resolved(node)
}

// resolved is what an alias stands for, or the node itself.
func resolved(node *yaml.Node) *yaml.Node {
	if node != nil && node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

func child(node *yaml.Node, part string) (key, value *yaml.Node) {
	if node == nil {
		return nil, nil
	}
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == part {
				return node.Content[i], node.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(part); err == nil && i >= 0 && i < len(node.Content) {
			return node.Content[i], node.Content[i]
		}
	}
	return nil, nil
}
