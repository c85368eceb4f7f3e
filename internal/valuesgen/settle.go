package valuesgen

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// tie makes the references in values point at something, where that is cheap to do: what is still wrong then, the
// chart says, and Settle takes away.
func (r *run) tie(values map[string]any) {
	names := func(block string) []string {
		m, _ := values[block].(map[string]any)
		return slices.DeleteFunc(slices.Sorted(maps.Keys(m)), func(k string) bool { return m[k] == nil })
	}
	blocks := map[string][]string{"fromConfig": names("config"), "fromSecret": names("secrets")}
	block := map[string]string{"fromConfig": "config", "fromSecret": "secrets"}
	walk(values, func(m map[string]any) {
		for _, from := range []string{"fromConfig", "fromSecret"} {
			if _, ok := m[from].(string); !ok || len(blocks[from]) == 0 {
				continue
			}
			name := blocks[from][r.IntN(len(blocks[from]))]
			m[from] = name
			if _, keyed := m["key"]; keyed {
				var keys []string
				entry, _ := values[block[from]].(map[string]any)[name].(map[string]any)
				for _, data := range []string{"data", "stringData", "binaryData"} {
					d, _ := entry[data].(map[string]any)
					keys = append(keys, slices.Sorted(maps.Keys(d))...)
				}
				if len(keys) > 0 {
					m["key"] = keys[r.IntN(len(keys))]
				}
			}
		}
	})
	if values["workload"] != nil && values["version"] == nil {
		values["version"], _ = r.value(properties(r.root)["version"], "version", 1)
	}
	if values["workload"] == nil {
		delete(values, "calls")
	}
	if routing, ok := values["routing"].(map[string]any); ok {
		if stages, ok := routing["stages"].([]any); ok && len(stages) > 0 {
			stage := stages[r.IntN(len(stages))].(map[string]any)
			routing["stage"] = stage["name"]
		}
		// A route by the name that is asked for is about one of the hosts.
		host := values["app"]
		if hosts, ok := routing["hosts"].([]any); ok && len(hosts) > 0 {
			host = hosts[0]
		}
		walk(routing["tls"], func(m map[string]any) {
			if m["sniHosts"] != nil {
				m["sniHosts"] = []any{host}
			}
		})
	}
}

// walk visits every map in v, in the order of keys.
func walk(v any, visit func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		visit(v)
		for _, k := range slices.Sorted(maps.Keys(v)) {
			walk(v[k], visit)
		}
	case []any:
		for _, below := range v {
			walk(below, visit)
		}
	}
}

var mistake = regexp.MustCompile(`(?m)^- (\S+): found `)

// Mistakes are the paths that an error of the chart names.
func Mistakes(err error) (paths []string) {
	if err == nil {
		return nil
	}
	for _, m := range mistake.FindAllStringSubmatch(err.Error(), -1) {
		paths = append(paths, m[1])
	}
	return paths
}

// Settle drops from values, in place, what the chart's errors name until it renders: what stands at the path, or the
// nearest that is there above it. dropped are the paths that were dropped. An error that names no path, or that stays,
// is returned.
func (g *Generator) Settle(values map[string]any, render func(map[string]any) error) (dropped []string, err error) {
	for range 50 {
		if err = render(values); err == nil {
			return dropped, nil
		}
		paths := Mistakes(err)
		if len(paths) == 0 {
			return dropped, err
		}
		before := len(dropped)
		for _, path := range paths {
			if gone := g.drop(values, path); gone != "" {
				dropped = append(dropped, gone)
			}
		}
		if len(dropped) > before {
			continue
		}
		// What is missing cannot be dropped, but the block that needs it.
		for _, block := range slices.Sorted(maps.Keys(values)) {
			without := Without(values, []string{block})
			if block != "app" && len(Mistakes(render(without))) < len(paths) {
				delete(values, block)
				dropped = append(dropped, block)
				break
			}
		}
		if len(dropped) == before {
			return dropped, err
		}
	}
	return dropped, err
}

// drop removes what stands at the path, as the chart's errors write it; where nothing is there, or it is required, the
// nearest above. It returns the path of what is gone, empty if nothing is.
func (g *Generator) drop(values map[string]any, path string) string {
	steps := Steps(values, path)
	for len(steps) > 0 {
		parent, ok := at(values, steps[:len(steps)-1])
		if m, isMap := parent.(map[string]any); ok && isMap {
			key := steps[len(steps)-1]
			if _, there := m[key]; there && !slices.Contains(required(g.schemaAt(steps[:len(steps)-1])), key) {
				delete(m, key)
				return strings.Join(steps, ".")
			}
		}
		steps = steps[:len(steps)-1]
	}
	return ""
}

// schemaAt is the schema of what stands at a path.
func (g *Generator) schemaAt(steps []string) node {
	n := g.root
	for _, step := range steps {
		next, ok := properties(n)[step]
		if !ok {
			if next, ok = n["items"].(node); !ok {
				_, next = entries(n)
			}
		}
		for next["$ref"] != nil {
			ref := next["$ref"].(string)
			next = g.definitions[ref[strings.LastIndex(ref, "/")+1:]]
		}
		n = next
	}
	return n
}

// Steps are the keys and indexes of a path. Keys of maps may have dots in them; those that are there are found.
func Steps(values map[string]any, path string) []string {
	path = strings.NewReplacer("[", ".", "]", "").Replace(path)
	var steps []string
	var v any = values
	for path != "" {
		m, _ := v.(map[string]any)
		step, rest, _ := strings.Cut(path, ".")
		for key := range m {
			if (path == key || strings.HasPrefix(path, key+".")) && len(key) > len(step) {
				step, rest = key, strings.TrimPrefix(path[len(key):], ".")
			}
		}
		steps = append(steps, step)
		v, _ = at(v, []string{step})
		path = rest
	}
	return steps
}

// At is what stands at the path; ok is false where nothing does.
func At(values map[string]any, path string) (any, bool) { return at(values, Steps(values, path)) }

func at(v any, steps []string) (any, bool) {
	for _, step := range steps {
		switch below := v.(type) {
		case map[string]any:
			next, ok := below[step]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(below) {
				return nil, false
			}
			v = below[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// Keys are the paths of all keys of maps in values, the outer before the inner.
func Keys(values map[string]any) (out [][]string) {
	var walk func(v any, path []string)
	walk = func(v any, path []string) {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				p := append(slices.Clone(path), k)
				out = append(out, p)
				walk(v[k], p)
			}
		case []any:
			for i, below := range v {
				walk(below, append(slices.Clone(path), strconv.Itoa(i)))
			}
		}
	}
	walk(values, nil)
	slices.SortStableFunc(out, func(a, b []string) int { return len(a) - len(b) })
	return out
}

// Without is a copy of values without the key at a path that Keys gave.
func Without(values map[string]any, path []string) map[string]any {
	out := Clone(values)
	if parent, ok := at(out, path[:len(path)-1]); ok {
		if m, ok := parent.(map[string]any); ok {
			delete(m, path[len(path)-1])
		}
	}
	return out
}

// Shrink drops keys for as long as fails says that what is left still fails.
func Shrink(values map[string]any, fails func(map[string]any) bool) map[string]any {
	for again := true; again; {
		again = false
		for _, path := range Keys(values) {
			if _, there := at(values, path); !there {
				continue
			}
			if smaller := Without(values, path); fails(smaller) {
				values, again = smaller, true
			}
		}
	}
	return values
}
