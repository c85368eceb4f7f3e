package yamlnode

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// ReplaceString returns data with the string at path replaced, and nothing else changed: comments, layout, line ends and
// the way the string is quoted stay. It changes nothing that it cannot change so: the error says what is in the way.
func ReplaceString(data []byte, path []string, value string) ([]byte, error) {
	root, twice, err := Parse(data)
	if err != nil {
		return nil, err
	}
	if len(twice) > 0 {
		return nil, fmt.Errorf("line %d: the key %s stands twice", twice[0].Line, twice[0].Path)
	}
	node := root
	for _, part := range path {
		if node != nil && node.Kind == yaml.AliasNode {
			return nil, fmt.Errorf("line %d: *%s stands for what is elsewhere in the file", node.Line, node.Value)
		}
		if _, node = child(node, part); node == nil {
			return nil, fmt.Errorf("%s is not there", strings.Join(path, "."))
		}
	}
	at := strings.Join(path, ".")
	switch {
	case node.Kind == yaml.AliasNode:
		return nil, fmt.Errorf("line %d: %s is *%s, which stands elsewhere in the file", node.Line, at, node.Value)
	case node.Kind != yaml.ScalarNode || node.Tag != "!!str":
		return nil, fmt.Errorf("line %d: found %s at %s, expected a string", node.Line, strings.TrimPrefix(node.Tag, "!!"), at)
	case node.Anchor != "" || node.Style&(yaml.TaggedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return nil, fmt.Errorf("line %d: %s is written with an anchor, a tag or as a block, and is not changed", node.Line, at)
	}
	start, err := offset(data, node.Line, node.Column)
	if err != nil {
		return nil, err
	}
	end, err := ends(data[start:], node)
	if err != nil {
		return nil, fmt.Errorf("line %d: %s: %w", node.Line, at, err)
	}
	text, err := written(value, node.Style)
	if err != nil {
		return nil, err
	}
	out := append(append(append([]byte{}, data[:start]...), text...), data[start+end:]...)
	return out, onlyThat(data, out, path, value)
}

// offset is where a line and column, both from 1 and in characters, are in the bytes.
func offset(data []byte, line, column int) (int, error) {
	at := 0
	for range line - 1 {
		i := strings.IndexByte(string(data[at:]), '\n')
		if i < 0 {
			return 0, fmt.Errorf("line %d is not there", line)
		}
		at += i + 1
	}
	for range column - 1 {
		_, size := utf8.DecodeRune(data[at:])
		at += size
	}
	return at, nil
}

// ends is how many bytes a scalar that begins here has.
func ends(data []byte, node *yaml.Node) (int, error) {
	switch {
	case node.Style&yaml.SingleQuotedStyle != 0:
		for i := 1; i < len(data); i++ {
			if data[i] == '\'' {
				if i+1 < len(data) && data[i+1] == '\'' {
					i++
					continue
				}
				return i + 1, nil
			}
		}
	case node.Style&yaml.DoubleQuotedStyle != 0:
		for i := 1; i < len(data); i++ {
			switch data[i] {
			case '\\':
				i++
			case '"':
				return i + 1, nil
			}
		}
	case strings.HasPrefix(string(data), node.Value):
		return len(node.Value), nil
	}
	return 0, errors.New("it goes over several lines, and is not changed")
}

// written is a string as it is written in that style, or plainly where that means the same.
func written(value string, style yaml.Style) (string, error) {
	switch {
	case style&yaml.SingleQuotedStyle != 0 && !strings.ContainsAny(value, "\r\n"):
		return "'" + strings.ReplaceAll(value, "'", "''") + "'", nil
	case style&yaml.DoubleQuotedStyle != 0:
		return strconv.Quote(value), nil
	}
	text, err := yaml.Marshal(value)
	plain := strings.TrimSuffix(string(text), "\n")
	if strings.ContainsAny(plain, "\n,[]{}") { // in a flow collection these would end it
		plain = strconv.Quote(value)
	}
	return plain, err
}

// onlyThat makes sure that the change is the one that was wanted.
func onlyThat(before, after []byte, path []string, value string) error {
	var was, is any
	if err := yaml.Unmarshal(before, &was); err != nil {
		return err
	}
	if err := yaml.Unmarshal(after, &is); err != nil {
		return err
	}
	at := was
	for i, part := range path {
		switch in := at.(type) {
		case map[string]any:
			if i == len(path)-1 {
				in[part] = value
			}
			at = in[part]
		case []any:
			n, err := strconv.Atoi(part)
			if err != nil || n >= len(in) {
				return fmt.Errorf("%s cannot be changed", strings.Join(path, "."))
			}
			if i == len(path)-1 {
				in[n] = value
			}
			at = in[n]
		}
	}
	if !reflect.DeepEqual(was, is) {
		return fmt.Errorf("%s cannot be changed without changing more", strings.Join(path, "."))
	}
	return nil
}
