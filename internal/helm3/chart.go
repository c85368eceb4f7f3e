package helm3

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/strvals"
)

// Chart is a loaded chart. It is never changed, so any number of renderings may share it.
type Chart struct {
	Name        string
	Version     string
	KubeVersion string // the constraint; empty allows all
	Dir         string // absolute, or the archive it came from
	Schema      []byte // values.schema.json; nil where the chart has none

	loaded    *chart.Chart
	templates *templates
}

// LoadChart reads a chart from a directory or a packaged archive.
func LoadChart(dir string) (*Chart, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	loaded, err := loader.Load(abs)
	if err != nil {
		return nil, fmt.Errorf("chart %s: %w", dir, err)
	}
	if err := loaded.Validate(); err != nil {
		return nil, fmt.Errorf("chart %s: %w", dir, err)
	}
	return &Chart{Name: loaded.Name(), Version: loaded.Metadata.Version, KubeVersion: loaded.Metadata.KubeVersion, Dir: abs, Schema: loaded.Schema, loaded: loaded, templates: &templates{}}, nil
}

// File is a file of a chart; its name has slashes.
type File struct {
	Name string
	Data []byte
}

// Files are those that belong to the chart, which are all but what .helmignore names, in the
// order of their names.
func (c *Chart) Files() []File {
	files := make([]File, len(c.loaded.Raw))
	for i, f := range c.loaded.Raw {
		files[i] = File{f.Name, f.Data}
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return files
}

// Complete says what dependencies Chart.yaml names and the chart does not have.
func (c *Chart) Complete() error {
	if err := action.CheckDependencies(c.loaded, c.loaded.Metadata.Dependencies); err != nil {
		return fmt.Errorf("chart %s: %w", c.Name, err)
	}
	return nil
}

// Digest is one hash over everything in the chart but its version: two charts of the same
// digest differ in no file, however they were packaged.
func (c *Chart) Digest() (string, error) {
	meta := *c.loaded.Metadata
	meta.Version = ""
	head, err := json.Marshal(meta)
	if err != nil {
		return "", fmt.Errorf("chart %s: %w", c.Name, err)
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n", head)
	for _, f := range c.Files() {
		if f.Name != chartutil.ChartfileName {
			fmt.Fprintf(sum, "%q %x\n", f.Name, sha256.Sum256(f.Data))
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// instance returns a chart that Helm may change: it resolves dependencies in the chart itself.
func (c *Chart) instance() (*chart.Chart, error) {
	if len(c.loaded.Dependencies()) == 0 && len(c.loaded.Metadata.Dependencies) == 0 {
		ch := *c.loaded
		return &ch, nil
	}
	files := make([]*loader.BufferedFile, 0, len(c.loaded.Raw))
	for _, f := range c.loaded.Raw {
		files = append(files, &loader.BufferedFile{Name: f.Name, Data: f.Data})
	}
	return loader.LoadFiles(files)
}

// Coalesce lays values over the chart's defaults, as Helm does before it looks at the schema.
func (c *Chart) Coalesce(values map[string]any) (map[string]any, error) {
	ch, err := c.instance()
	if err != nil {
		return nil, err
	}
	if err := chartutil.ProcessDependenciesWithMerge(ch, values); err != nil {
		return nil, err
	}
	return chartutil.CoalesceValues(ch, values)
}

// MergeValues lays over upon base, as Helm does with several values files: maps are merged,
// anything else is replaced, a null is kept (it removes a default of the chart). Neither is changed.
func MergeValues(base, over map[string]any) map[string]any {
	out := make(map[string]any, len(base)+len(over))
	for k, v := range base {
		out[k] = v
	}
	for k, v := range over {
		if overMap, ok := v.(map[string]any); ok {
			if baseMap, ok := out[k].(map[string]any); ok {
				out[k] = MergeValues(baseMap, overMap)
				continue
			}
		}
		out[k] = v
	}
	return out
}

// SetValue sets one value as --set does; assignment is path=value, in Helm's syntax. The map
// is changed in place.
func SetValue(values map[string]any, assignment string) error {
	if err := strvals.ParseInto(assignment, values); err != nil {
		path, _, valued := strings.Cut(assignment, "=")
		if valued { // what follows may be secret, and Helm's words may repeat it
			return fmt.Errorf(`--set %s: found what is not path=value; write a comma in a value as \,`, path)
		}
		return fmt.Errorf("--set %s: %w", path, err)
	}
	return nil
}
