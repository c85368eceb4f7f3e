// Package environment reads environment files: the releases that live together. The format is
// Helmfile's, and it stops here; the subset that is understood is in decode.go, and everything
// else is refused by name.
package environment

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"chartbasico/internal/nearest"
)

// Environment is the releases that live together.
type Environment struct {
	Name     string // the file's base name without its extension
	File     string // as it was given to Load
	Releases []Release
	Absent   []Release // installed: false, which Helmfile uninstalls
}

// Release is one release as the environment wants it. Paths are absolute.
type Release struct {
	Name            string
	Namespace       string
	Chart           string           // directory, or archive; empty where the chart is Published
	Published       *Published       // nil where Chart is on this machine
	ValuesFiles     []string         // in the order in which they are laid over each other
	Values          []map[string]any // inline values, in order; they lie over the files
	Needs           []string         // namespace/name of the releases that must be there before
	CreateNamespace bool             // Helmfile creates the namespace, if it is not there
	HistoryMax      *int             // of Helm's revisions so many are kept, 0: all; nil: 10
	File            string           // the environment file
	Line            int              // of the release in it
	Path            string           // of the release in it, as in releases[2]
}

// Published is one version of a chart in a registry, or in a repository with an index.
type Published struct {
	Repository string // oci://host/path, or the URL below which index.yaml is
	Name       string
	Version    string
	CAFile     string // certificates to trust besides the machine's
	PlainHTTP  bool   // a registry without TLS
}

// OCI says whether the chart is in a registry.
func (p Published) OCI() bool { return strings.HasPrefix(p.Repository, ociScheme) }

func (p Published) String() string {
	if p.OCI() {
		return p.Repository + "/" + p.Name + ":" + p.Version
	}
	return p.Repository + " " + p.Name + " " + p.Version
}

// ID is how other releases name this one: namespace/name.
func (r Release) ID() string { return r.Namespace + "/" + r.Name }

// reference is the expression by which Helmfile's library for them, vals, finds references in values.
var reference = regexp.MustCompile(`ref\+[^+:]*://[^+\n ]+[^+\n ",]`)

// IsReference says whether Helmfile takes a text in values, inline or in a file, for one that it looks up elsewhere:
// ref+vault://path#key. Helm takes it as it is.
func IsReference(text string) bool { return reference.MatchString(text) }

// Load reads an environment file. Releases come in the order of their needs, and otherwise in
// the order in which they are written. Every mistake is found at once: the error is a
// problem.List, unless the file cannot be read.
func Load(path string) (*Environment, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w; expected an environment: a file in Helmfile's format", err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	base := filepath.Base(path)
	env := &Environment{Name: strings.TrimSuffix(base, filepath.Ext(base)), File: path}
	d := &decoder{env: env, dir: filepath.Dir(abs), repositories: map[string]Published{}}
	d.decode(data)
	d.order()
	if err := d.problems.Sort().Err(); err != nil {
		return nil, err
	}
	return env, nil
}

// Find lists the environments at and below a directory: its YAML files, but for those that are values of another.
// None where there is no such directory.
func Find(dir string) ([]string, error) {
	files, err := YAML(dir)
	values := map[string]bool{}
	for _, file := range files {
		env, err := Load(file)
		if err != nil {
			continue // whoever loads it again says why
		}
		for _, r := range slices.Concat(env.Releases, env.Absent) {
			for _, f := range r.ValuesFiles {
				values[f] = true
			}
		}
	}
	return slices.DeleteFunc(files, func(file string) bool {
		abs, err := filepath.Abs(file)
		return err == nil && values[abs]
	}), err
}

// YAML lists the YAML files at and below a directory, .yaml and .yml. None where there is no such directory.
func YAML(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if path == dir && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if ext := filepath.Ext(path); err == nil && !entry.IsDir() && (ext == ".yaml" || ext == ".yml") {
			files = append(files, path)
		}
		return err
	})
	return files, err
}

// order sorts releases by their needs: always the first in the file that lacks nothing.
func (d *decoder) order() {
	releases := d.env.Releases
	if slices.ContainsFunc(slices.Concat(releases, d.env.Absent), func(r Release) bool { return r.Name == "" || r.Namespace == "" }) {
		return // that is a mistake of its own, and others may mean this release
	}
	ids := make([]string, len(releases))
	first := map[string]int{}
	for i, r := range releases {
		ids[i] = r.ID()
		if j, ok := first[ids[i]]; ok {
			d.add(r.Line, r.Path, fmt.Sprintf("release %s stands twice, first on line %d", ids[i], releases[j].Line), "each release once", "remove one of the two")
			return
		}
		first[ids[i]] = i
	}
	unknown := false
	for i, r := range releases {
		for _, need := range r.Needs {
			if _, ok := first[need]; ok {
				continue
			}
			unknown = true
			fix := "add that release, or remove the need"
			others := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == ids[i] })
			if near := nearest.Word(need, others); near != "" {
				fix = "write " + near
			}
			d.add(r.Line, join(r.Path, "needs"), "release "+r.ID()+" needs "+need+", which is not in this environment", "namespace/name of a release", fix)
		}
	}
	if unknown {
		return
	}
	sorted := make([]Release, 0, len(releases))
	done := map[string]bool{}
	for len(sorted) < len(releases) {
		next := slices.IndexFunc(releases, func(r Release) bool {
			return !done[r.ID()] && !slices.ContainsFunc(r.Needs, func(need string) bool { return !done[need] })
		})
		if next < 0 {
			d.cycle(releases, done)
			return
		}
		done[ids[next]] = true
		sorted = append(sorted, releases[next])
	}
	d.env.Releases = sorted
}

// cycle names the releases that wait for each other, in the order in which they do.
func (d *decoder) cycle(releases []Release, done map[string]bool) {
	byID := map[string]Release{}
	var at Release
	for _, r := range slices.Backward(releases) {
		byID[r.ID()] = r
		if !done[r.ID()] {
			at = r
		}
	}
	var walked []string
	for !slices.Contains(walked, at.ID()) {
		walked = append(walked, at.ID())
		at = byID[at.Needs[slices.IndexFunc(at.Needs, func(need string) bool { return !done[need] })]]
	}
	ring := append(walked[slices.Index(walked, at.ID()):], at.ID())
	d.add(at.Line, "releases", "releases need each other: "+strings.Join(ring, " → "), "an order in which they can be installed", "remove one of these needs")
}
