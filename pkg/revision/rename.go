package revision

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"chartbasico/pkg/diff"
)

// group is what a rename renames: an environment, or a values file by itself.
type group struct {
	environment string
	file        string
	marks       map[string]bool // what it consists of, by which it is known under another name
}

func (g group) name() string { return g.environment + g.file }

// rename gives the environments and values files that only t has the names by which now knows them, so that they are
// compared, and says which. An environment is known again by its releases and their values files, of which half must
// be the same, and a values file by its content.
func (t *tree) rename(now tree) []diff.Change {
	was, is := t.groups(), now.groups()
	known := func(in []group) func(group) bool {
		return func(g group) bool {
			return slices.ContainsFunc(in, func(other group) bool { return other.environment == g.environment && other.file == g.file })
		}
	}
	gone, come := slices.DeleteFunc(slices.Clone(was), known(is)), slices.DeleteFunc(slices.Clone(is), known(was))
	var out []diff.Change
	for len(gone) > 0 && len(come) > 0 {
		old, new, most := 0, 0, 0.0
		for i, g := range gone {
			for j, c := range come {
				if alike := likeness(g, c); alike > most {
					old, new, most = i, j, alike
				}
			}
		}
		if most < 0.5 {
			break
		}
		from, to := gone[old], come[new]
		for i := range t.inputs {
			in := &t.inputs[i]
			switch {
			case in.environment != from.environment:
			case from.environment != "":
				in.environment = to.environment
			case in.name == from.file:
				in.name = to.file
			}
		}
		out = append(out, diff.Renamed(to.environment, from.name(), to.name()))
		gone, come = slices.Delete(gone, old, old+1), slices.Delete(come, new, new+1)
	}
	return out
}

// groups are in the order of the inputs.
func (t *tree) groups() []group {
	var out []group
	for _, in := range t.inputs {
		if in.environment == "" {
			data, err := os.ReadFile(in.release.ValuesFiles[0])
			if err == nil { // else its rendering says why
				out = append(out, group{file: in.name, marks: map[string]bool{fmt.Sprintf("%x", sha256.Sum256(data)): true}})
			}
			continue
		}
		i := slices.IndexFunc(out, func(g group) bool { return g.environment == in.environment })
		if i < 0 {
			i = len(out)
			out = append(out, group{environment: in.environment, marks: map[string]bool{}})
		}
		marks := out[i].marks
		marks[in.name] = true
		for _, f := range in.release.ValuesFiles {
			marks[in.name+" "+within(t.root, f)] = true
		}
		for _, inline := range in.release.Values {
			data, err := json.Marshal(inline)
			if err == nil {
				marks[in.name+" "+string(data)] = true
			}
		}
	}
	return out
}

// likeness is the share of what two groups have in common.
func likeness(a, b group) float64 {
	if (a.environment == "") != (b.environment == "") {
		return 0
	}
	both := 0
	for m := range a.marks {
		if b.marks[m] {
			both++
		}
	}
	return float64(both) / float64(len(a.marks)+len(b.marks)-both)
}
