// Package schemaerr turns what a JSON schema says about a value into findings for people: the
// path, what was found, what was expected, and the key that was most likely meant.
package schemaerr

import (
	"fmt"
	"maps"
	"math/big"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"go.yaml.in/yaml/v3"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"chartbasico/internal/nearest"
	"chartbasico/pkg/problem"
)

// Finding is one thing that a schema refuses.
type Finding struct {
	Path                 []string // in the value
	Place                string   // the path as people write it
	Found, Expected, Fix string
}

// Explain returns what err says, leaf by leaf. Schema is the whole document that the schema
// was compiled from, and value is what was validated. Written is the text of the number or truth value at a path as its
// file has it, "" where that is not known; nil where there are no files. Of what may be secret it shows the type only.
func Explain(err *jsonschema.ValidationError, schema, value any, written func(path []string) string) []Finding {
	e := explainer{schema: schema, value: value, written: written}
	e.walk(err)
	return e.findings
}

// Unknown is what is said of a key that a schema does not have, where it has the known ones.
func Unknown(key string, known []string) (found, fix string) {
	fix = "remove it"
	if len(known) > 0 && len(known) <= 30 {
		fix += "; known here: " + strings.Join(known, ", ")
	}
	if near := nearest.Word(key, known); near != "" {
		fix = "write " + near
	}
	return "unknown key " + strconv.Quote(key), fix
}

type explainer struct {
	schema, value any
	written       func(path []string) string
	findings      []Finding
}

func (e *explainer) walk(err *jsonschema.ValidationError) {
	switch k := err.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf:
		if best := branch(err); best != nil {
			e.walk(best)
			return
		}
		if len(err.Causes) > 0 {
			var want []string
			for _, c := range err.Causes {
				for _, leaf := range leaves(c) {
					if t, ok := leaf.ErrorKind.(*kind.Type); ok && samePath(leaf, err) {
						want = append(want, t.Want...)
					}
				}
			}
			if len(want) > 0 {
				e.add(err.InstanceLocation, e.found(err.InstanceLocation), oneOf(want), e.retyped(err, want))
				return
			}
			e.walk(err.Causes[0])
			return
		}
		e.add(err.InstanceLocation, e.found(err.InstanceLocation), "exactly one of the allowed forms", "leave out what does not belong together")
		return
	case *kind.AdditionalProperties:
		refuser := e.refuser(err)
		properties, _ := refuser["properties"].(map[string]any)
		known := slices.Sorted(maps.Keys(properties))
		patterns, _ := refuser["patternProperties"].(map[string]any)
		for _, key := range slices.Sorted(slices.Values(k.Properties)) {
			if len(patterns) > 0 && len(known) == 0 {
				legal := slices.Sorted(maps.Keys(patterns))
				e.add(append(slices.Clone(err.InstanceLocation), key), "illegal key "+strconv.Quote(key), legalKey(refuser, legal), renamed(key, legal))
				continue
			}
			found, fix := Unknown(key, known)
			e.add(append(slices.Clone(err.InstanceLocation), key), found, "", fix)
		}
		return
	case *kind.Required:
		for _, key := range k.Missing {
			e.add(err.InstanceLocation, "no "+key+", which is required", "", "add "+key)
		}
		return
	case *kind.Type:
		e.add(err.InstanceLocation, e.found(err.InstanceLocation), oneOf(k.Want), e.retyped(err, k.Want))
		return
	case *kind.Enum:
		var want []string
		for _, w := range k.Want {
			want = append(want, fmt.Sprint(w))
		}
		fix := ""
		if text, ok := k.Got.(string); ok {
			if near := nearest.Word(text, want); near != "" {
				fix = "write " + near
			}
		}
		e.add(err.InstanceLocation, e.found(err.InstanceLocation), oneOf(want), fix)
		return
	case *kind.Pattern:
		e.add(err.InstanceLocation, e.found(err.InstanceLocation), "text that matches "+k.Want, "")
		return
	case *kind.Minimum:
		e.add(err.InstanceLocation, e.found(err.InstanceLocation), "at least "+number(k.Want), "")
		return
	case *kind.Maximum:
		e.add(err.InstanceLocation, e.found(err.InstanceLocation), "at most "+number(k.Want), "")
		return
	case *kind.ContentEncoding: // of what may be secret, and is not shown
		e.add(err.InstanceLocation, "text that is not "+k.Want, k.Want, "encode it")
		return
	case *kind.FalseSchema:
		e.add(err.InstanceLocation, e.found(err.InstanceLocation), "nothing here", "remove it")
		return
	case *kind.PropertyNames:
		e.add(append(slices.Clone(err.InstanceLocation), k.Property), "key "+strconv.Quote(k.Property), "a legal name", strings.Join(texts(err.Causes), ", "))
		return
	}
	if len(err.Causes) > 0 {
		for _, c := range err.Causes {
			e.walk(c)
		}
		return
	}
	expected := text(err)
	if e.secret(err.InstanceLocation) {
		expected = "what its schema takes" // the text may have the value
	}
	e.add(err.InstanceLocation, e.found(err.InstanceLocation), expected, "")
}

// number is a bound with all its digits.
func number(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	f, _ := r.Float64()
	return strconv.FormatFloat(f, 'f', -1, 64)
}

func (e *explainer) add(path []string, found, expected, fix string) {
	f := Finding{Path: slices.Clone(path), Place: problem.Path(e.value, path), Found: found, Expected: expected, Fix: fix}
	if !slices.ContainsFunc(e.findings, func(g Finding) bool {
		return slices.Equal(f.Path, g.Path) && f.Found == g.Found && f.Expected == g.Expected
	}) {
		e.findings = append(e.findings, f)
	}
}

// at is the value at path, nil where there is none.
func (e *explainer) at(path []string) any {
	v := e.value
	for _, part := range path {
		switch at := v.(type) {
		case map[string]any:
			v = at[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i >= len(at) {
				return nil
			}
			v = at[i]
		default:
			return nil
		}
	}
	return v
}

// found shows the value at path, with its type where the text alone does not tell it.
func (e *explainer) found(path []string) string {
	v := e.at(path)
	switch v.(type) {
	case nil:
		return "nothing"
	case map[string]any:
		return "a map"
	case []any:
		return "a list"
	case string:
		if e.secret(path) {
			return "text"
		}
		return problem.Quote(v)
	case bool:
	default:
		if e.secret(path) {
			return "a number"
		}
	}
	if e.written != nil && !e.secret(path) {
		if text := e.written(path); text != "" {
			return text
		}
	}
	return problem.Quote(v)
}

// retyped is the fix for a value of another type than those that are wanted, "" where it is not known.
func (e *explainer) retyped(err *jsonschema.ValidationError, want []string) string {
	wants := func(t string) bool { return slices.Contains(want, t) }
	switch v := e.at(err.InstanceLocation).(type) {
	case nil, map[string]any:
	case []any:
		if !wants("object") {
			return ""
		}
		name := "NAME"
		if len(v) > 0 && !e.secret(err.InstanceLocation) {
			first, _ := v[0].(map[string]any)
			if own, ok := first["name"].(string); ok {
				name = own
			}
		}
		return "write " + name + ": under it instead of - name: " + name
	case string:
		var scalar any
		_ = yaml.Unmarshal([]byte(v), &scalar) // what is no YAML is text
		_, whole := scalar.(int)
		_, fraction := scalar.(float64)
		_, truth := scalar.(bool)
		if whole && (wants("integer") || wants("number")) || fraction && wants("number") || truth && wants("boolean") {
			return "remove the quotes"
		}
		properties, _ := e.refuser(err)["properties"].(map[string]any)
		if keys := slices.Sorted(maps.Keys(properties)); wants("object") && len(keys) > 0 && len(keys) <= 30 {
			return "write it as a map; known here: " + strings.Join(keys, ", ")
		}
	default:
		if wants("string") {
			return "quote it"
		}
	}
	return ""
}

// confidential are the names of keys below which people keep what nobody else may read.
var confidential = regexp.MustCompile(`(?i)(secret|password|passwd|token|credential|(private|api|access)[-_]?key)s?$`)

// Confidential says whether what is at path may be secret, by the name of a key.
func Confidential(path []string) bool { return slices.ContainsFunc(path, confidential.MatchString) }

// secret says whether what is at path may be: by the name of a key, in a Secret, or in a container's environment.
func (e *explainer) secret(path []string) bool {
	if Confidential(path) {
		return true
	}
	n := len(path)
	if n >= 3 && path[n-3] == "env" && path[n-1] == "value" {
		return true
	}
	object, _ := e.value.(map[string]any)
	return n > 0 && object["kind"] == "Secret" && (path[0] == "data" || path[0] == "stringData")
}

// branch is the one alternative that the value was meant for: the only one that does not
// already fail on the value's type or on its required keys.
func branch(err *jsonschema.ValidationError) *jsonschema.ValidationError {
	var found *jsonschema.ValidationError
	for _, c := range err.Causes {
		fits := !slices.ContainsFunc(leaves(c), func(leaf *jsonschema.ValidationError) bool {
			if !samePath(leaf, err) {
				return false
			}
			switch leaf.ErrorKind.(type) {
			case *kind.Type, *kind.Required, *kind.FalseSchema:
				return true
			}
			return false
		})
		if fits {
			if found != nil {
				return nil
			}
			found = c
		}
	}
	return found
}

func leaves(err *jsonschema.ValidationError) []*jsonschema.ValidationError {
	if len(err.Causes) == 0 {
		return []*jsonschema.ValidationError{err}
	}
	var out []*jsonschema.ValidationError
	for _, c := range err.Causes {
		out = append(out, leaves(c)...)
	}
	return out
}

func samePath(a, b *jsonschema.ValidationError) bool {
	return slices.Equal(a.InstanceLocation, b.InstanceLocation)
}

// refuser is the schema that refused a value.
func (e *explainer) refuser(err *jsonschema.ValidationError) map[string]any {
	_, pointer, _ := strings.Cut(err.SchemaURL, "#")
	at := e.schema
	for _, part := range strings.Split(strings.Trim(pointer, "/"), "/") {
		if part == "" {
			continue
		}
		if decoded, uerr := url.PathUnescape(part); uerr == nil {
			part = decoded
		}
		part = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
		switch v := at.(type) {
		case map[string]any:
			at = v[part]
		case []any:
			i, aerr := strconv.Atoi(part)
			if aerr != nil || i >= len(v) {
				return nil
			}
			at = v[i]
		default:
			return nil
		}
	}
	schema, _ := at.(map[string]any)
	return schema
}

// legalKey says what a key of a map is: in words where its schema has them, which are its $comment.
func legalKey(schema map[string]any, patterns []string) string {
	out := "a key that matches " + strings.Join(patterns, " or ")
	if say, ok := schema["$comment"].(string); ok {
		out = say + ", which matches " + strings.Join(patterns, " or ")
	}
	return out
}

var (
	illegal = regexp.MustCompile(`[^A-Za-z0-9._-]+`)
	capital = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	noLabel = regexp.MustCompile(`[^a-z0-9]+`)
)

// renamed is the fix for a key: the legal one that is next to it, if there is one.
func renamed(key string, patterns []string) string {
	label := strings.ToLower(capital.ReplaceAllString(key, "$1-$2"))
	for _, near := range []string{illegal.ReplaceAllString(key, "_"), strings.Trim(noLabel.ReplaceAllString(label, "-"), "-")} {
		for _, pattern := range patterns {
			if legal, err := regexp.Compile(pattern); err == nil && legal.MatchString(near) {
				return "write " + near
			}
		}
	}
	return "rename it"
}

var printer = message.NewPrinter(language.English)

func text(err *jsonschema.ValidationError) string { return err.ErrorKind.LocalizedString(printer) }

func texts(causes []*jsonschema.ValidationError) (out []string) {
	for _, c := range causes {
		for _, leaf := range leaves(c) {
			out = append(out, text(leaf))
		}
	}
	return out
}

func oneOf(words []string) string {
	words = slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "null" || w == "<nil>" })
	slices.Sort(words)
	words = slices.Compact(words)
	switch len(words) {
	case 0:
		return "nothing"
	case 1:
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
