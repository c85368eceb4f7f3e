package diff

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// field is a field that differs. Old or new is nil where one side lacks it.
type field struct {
	path     []string // the keys of maps; of list items the name, in brackets
	old, new any
	kind     string
	was, now *unstructured.Unstructured // the objects that it is of
}

func (f field) String() string {
	var b strings.Builder
	for i, part := range f.path {
		switch {
		case strings.HasPrefix(part, "["):
		case strings.ContainsAny(part, "./"):
			part = "[" + part + "]"
		case i > 0:
			b.WriteByte('.')
		}
		b.WriteString(part)
	}
	return b.String()
}

// fields lists what differs between two maps, down to where only one side has something, or
// the two have different kinds of things or scalars.
func fields(old, new map[string]any) []field {
	var out []field
	walk(nil, old, new, &out)
	return out
}

func walk(path []string, old, new any, out *[]field) {
	if reflect.DeepEqual(old, new) {
		return
	}
	below := func(part string) []string { return append(slices.Clone(path), part) }
	switch a := old.(type) {
	case map[string]any:
		if b, ok := new.(map[string]any); ok {
			for _, key := range keysOf(a, b) {
				walk(below(key), a[key], b[key], out)
			}
			return
		}
	case []any:
		if b, ok := new.([]any); ok {
			x, y := items(a, b)
			for _, key := range keysOf(x, y) {
				walk(below("["+key+"]"), x[key], y[key], out)
			}
			if reflect.DeepEqual(x, y) { // the same items in another order
				*out = append(*out, field{path: slices.Clone(path), old: old, new: new})
			}
			return
		}
	}
	if absent(old) && absent(new) {
		return
	}
	*out = append(*out, field{path: slices.Clone(path), old: old, new: new})
}

// emptyNow are the paths of maps that had keys and have none now. Lists are replaced as a whole where a
// CustomResourceDefinition does not say otherwise, and what the metadata are is Kubernetes' own.
func emptyNow(path []string, old, new map[string]any) (out [][]string) {
	for _, key := range keysOf(old, new) {
		a, _ := old[key].(map[string]any)
		b, there := new[key].(map[string]any)
		if !there || len(a) == 0 || key == "metadata" && len(path) == 0 {
			continue
		}
		below := append(slices.Clone(path), key)
		if len(b) == 0 {
			out = append(out, below)
		}
		out = append(out, emptyNow(below, a, b)...)
	}
	return out
}

// absent is what the API server does not tell from nothing.
func absent(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

func keysOf(a, b map[string]any) []string {
	all := make(map[string]any, len(a)+len(b))
	maps.Copy(all, a)
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

// listKeys are the fields by which Kubernetes and Istio tell the items of a list apart.
var listKeys = []string{"name", "host", "mountPath", "containerPort", "port", "path", "key", "topologyKey"}

// items gives the items of two lists the same keys: by a field that all have and that differs
// from item to item, by themselves where they are scalars, or by their place.
func items(a, b []any) (x, y map[string]any) {
	for _, key := range listKeys {
		x, okX := keyed(a, key)
		y, okY := keyed(b, key)
		if okX && okY {
			return x, y
		}
	}
	x, okX := scalars(a)
	y, okY := scalars(b)
	if okX && okY {
		return x, y
	}
	return placed(a), placed(b)
}

func keyed(list []any, key string) (map[string]any, bool) {
	out := make(map[string]any, len(list))
	for _, item := range list {
		m, ok := item.(map[string]any)
		if !ok {
			return nil, false
		}
		switch m[key].(type) {
		case string, int64, float64:
		default:
			return nil, false
		}
		out[fmt.Sprint(m[key])] = item
	}
	return out, len(out) == len(list)
}

func scalars(list []any) (map[string]any, bool) {
	out := make(map[string]any, len(list))
	for _, item := range list {
		switch item.(type) {
		case map[string]any, []any, nil:
			return nil, false
		}
		out[fmt.Sprint(item)] = item
	}
	return out, len(out) == len(list)
}

func placed(list []any) map[string]any {
	out := make(map[string]any, len(list))
	for i, item := range list {
		out[fmt.Sprint(i)] = item
	}
	return out
}

// compact is a value as JSON, its keys sorted.
func compact(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}
