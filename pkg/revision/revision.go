// Package revision opens a chart, with the environments and values files that lie beside it, as
// they were: in a directory, an archive, a registry or a revision of git; and renders the same
// releases by two of them, for pkg/diff to compare.
package revision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"chartbasico/internal/git"
	"chartbasico/internal/helm3"
	"chartbasico/pkg/charts"
	"chartbasico/pkg/diff"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/problem"
	"chartbasico/pkg/render"
)

// Where the chart, environments and values files are looked for in a tree, besides the chart's own
// ci/*-values.yaml.
const (
	DefaultChart    = "charts/chart_basico"
	environmentsDir = "environments"
	valuesDir       = "values"
)

// Revision is a chart as it was, with the environments and values files beside it, if any.
type Revision struct {
	Name string // as it was given to Open

	chart  string // directory or archive; empty where the environments of a tree name published charts only
	root   string // of the tree; empty where there is only the chart
	temp   string
	charts *charts.Store
}

// Opener says where revisions are looked for.
type Opener struct {
	Dir      string // of the repository; relative names are below it
	Chart    string // the chart's directory in a tree; empty for DefaultChart, or else what the environments name
	Registry *helm3.Registry
	Charts   *charts.Store // gets the charts that environments name; nil for one that says nothing
}

// Open opens what name names: oci://host/path:version, a chart's directory or .tgz archive, a
// directory with a chart and values in it, or a revision of git. Close removes what was unpacked.
func (o Opener) Open(ctx context.Context, name string) (*Revision, error) {
	r := &Revision{Name: name, charts: o.Charts}
	if r.charts == nil {
		r.charts = charts.New(nil, nil)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, name)
	if filepath.IsAbs(name) {
		path = name
	}
	info, err := os.Stat(path)
	switch {
	case strings.HasPrefix(name, "oci://"):
		err = o.pull(ctx, r, name)
	case err == nil && !info.IsDir():
		r.chart = path
	case err == nil && exists(filepath.Join(path, "Chart.yaml")):
		r.chart = path
	case err == nil:
		r.root = path
		if err = o.find(r); errors.Is(err, errNoChart) {
			err = fmt.Errorf("%s: no Chart.yaml in it, and %w below it", name, err)
		}
	default:
		err = o.checkout(ctx, r, name)
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (o Opener) pull(ctx context.Context, r *Revision, ref string) error {
	archive, _, err := o.Registry.Pull(ctx, ref)
	if err != nil {
		return err
	}
	if err := r.makeTemp(); err != nil {
		return err
	}
	r.chart = filepath.Join(r.temp, "chart.tgz")
	return os.WriteFile(r.chart, archive, 0o600)
}

func (o Opener) checkout(ctx context.Context, r *Revision, name string) error {
	repository, err := git.Open(ctx, o.Dir)
	if err != nil {
		return fmt.Errorf("%s: neither a file nor a directory, and %w", name, err)
	}
	commit, err := repository.Commit(ctx, name)
	if err != nil {
		return fmt.Errorf("%s: neither a file nor a directory, and %w", name, err)
	}
	files, err := repository.Files(ctx, commit)
	if err != nil {
		return err
	}
	if err := r.makeTemp(); err != nil {
		return err
	}
	if err := git.Write(r.temp, files); err != nil {
		return err
	}
	r.root = r.temp
	if err = o.find(r); errors.Is(err, errNoChart) {
		err = fmt.Errorf("revision %s has %w", name, err)
	}
	return err
}

var errNoChart = errors.New("no chart")

// find finds the chart of a tree.
func (o Opener) find(r *Revision) error {
	chart := cmp.Or(o.Chart, DefaultChart)
	r.chart = filepath.Join(r.root, filepath.FromSlash(chart))
	if exists(filepath.Join(r.chart, "Chart.yaml")) {
		return nil
	}
	none := fmt.Errorf("%w at %s", errNoChart, chart)
	if o.Chart != "" {
		return none
	}
	files, err := environment.Find(filepath.Join(r.root, environmentsDir))
	if err != nil {
		return err
	}
	var named []string
	elsewhere := false
	for _, file := range files {
		env, err := environment.Load(file)
		if err != nil {
			continue // it is said to be not compared
		}
		for _, release := range env.Releases {
			if release.Published != nil {
				elsewhere = true
			} else if !slices.Contains(named, release.Chart) {
				named = append(named, release.Chart)
			}
		}
	}
	switch len(named) {
	case 0:
		r.chart = ""
		if !elsewhere {
			return none
		}
		return nil
	case 1:
		r.chart = named[0]
		return nil
	}
	return fmt.Errorf("%s: no chart at %s, and the environments name %d: %s. Fix: say which by --chart", r.Name, chart, len(named), within(r.root, strings.Join(named, ", ")))
}

func (r *Revision) makeTemp() (err error) {
	r.temp, err = os.MkdirTemp("", "basico-revision-")
	return err
}

// Close removes what Open unpacked.
func (r *Revision) Close() error {
	if r.temp == "" {
		return nil
	}
	return os.RemoveAll(r.temp)
}

// input is the releases of one side's files, before anything is rendered.
type input struct {
	environment string
	name        string // namespace/name in an environment, else the values file
	release     environment.Release
	absent      bool // it is to be uninstalled
}

// Compare renders the releases of both sides, by both charts, and judges the difference. Where
// only one side has environments and values files, they are used for both; where neither has,
// those below dir are. A release whose chart is published has the one that each side names for
// it, unless a side is a chart alone.
func Compare(ctx context.Context, before, after *Revision, dir string) (*diff.Result, error) {
	return between(ctx, before, after, dir, true)
}

// between leaves out releases of published charts unless they are asked for.
func between(ctx context.Context, before, after *Revision, dir string, elsewhere bool) (*diff.Result, error) {
	was, err := before.load()
	if err != nil {
		return nil, err
	}
	now, err := after.load()
	if err != nil {
		return nil, err
	}
	result := &diff.Result{Old: before.Name, New: after.Name}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	oldRoot, newRoot := before.root, after.root
	switch {
	case oldRoot == "" && newRoot == "":
		oldRoot, newRoot = dir, dir
	case oldRoot == "":
		oldRoot = newRoot
	case newRoot == "":
		newRoot = oldRoot
	}
	trees := before.root != "" && after.root != ""
	takes := func(chart string) func(environment.Published) bool {
		return func(p environment.Published) bool { return elsewhere && (trees || p.Name == chart) }
	}
	oldName, newName := cmp.Or(was.Name, now.Name), cmp.Or(now.Name, was.Name)
	olds, err := inputs(oldRoot, oldName, takes(oldName))
	if err != nil {
		return nil, err
	}
	news, err := inputs(newRoot, newName, takes(newName))
	if err != nil {
		return nil, err
	}
	if len(olds.inputs) == 0 && len(news.inputs) == 0 {
		return nil, fmt.Errorf("nothing to compare: no release in %s/, and no values file in %s/ or the chart's ci/", environmentsDir, valuesDir)
	}
	result.NotCompared = append(alike(&olds, &news, before.Name, after.Name), news.chartless...)
	renames := olds.rename(news)

	renderer := render.New(render.WithPublished(after.charts))
	by := func(inputs []input, root string, side, other *Revision, there tree) ([]diff.Release, error) {
		return renderAll(ctx, renderer, inputs, root, func(in input) environment.Release {
			r := in.release
			r.Chart, r.Published = cmp.Or(side.chart, other.chart), nil
			if side.root != "" {
				r.Published = there.like(in).release.Published
			}
			return r
		})
	}
	oldByOld, err := by(olds.inputs, oldRoot, before, after, olds)
	if err != nil {
		return nil, err
	}
	oldByNew, err := by(olds.inputs, oldRoot, after, before, news)
	if err != nil {
		return nil, err
	}
	if was.Name != "" && now.Name != "" {
		if result.Chart, err = diff.Charts(*was, *now); err != nil {
			return nil, err
		}
	}
	newByNew := oldByNew
	if oldRoot != newRoot {
		if newByNew, err = by(news.inputs, newRoot, after, before, news); err != nil {
			return nil, err
		}
	}
	// What the version of a published chart changes is judged where that is released.
	own := func(i int) bool {
		return !trees || olds.inputs[i].release.Published == nil && news.like(olds.inputs[i]).release.Published == nil
	}
	result.Chart = append(result.Chart, diff.Releases(only(oldByOld, own), only(oldByNew, own))...)
	level := diff.Highest(result.Chart)
	foreign := func(i int) bool { return !own(i) }
	result.Chart = append(result.Chart, diff.Releases(only(oldByOld, foreign), only(oldByNew, foreign))...)
	diff.Sort(result.Chart)
	if oldRoot != newRoot {
		result.Values = append(renames, diff.Releases(base(oldByOld, oldByNew, newByNew), newByNew)...)
		diff.Sort(result.Values)
	}
	for _, r := range newByNew {
		if len(r.Refused) > 0 && !renders(oldByOld, r) {
			result.NotCompared = append(result.NotCompared, diff.Skipped{Name: strings.TrimSpace(r.Environment + " " + r.Name), Reason: "renders on neither side: " + strings.Join(r.Refused, "; ")})
		}
	}
	result.Compared = compared(newByNew)
	if was.Name == "" || now.Name == "" {
		result.Gate = diff.Gate{Base: before.Name, Level: level, Old: was.Version, New: now.Version, Pass: true,
			Reason: "no chart of one's own on both sides: the version of a published one is judged where it is released"}
		return result, nil
	}
	result.Gate, err = diff.Judge(before.Name, level, was.Version, now.Version)
	return result, err
}

// only are the releases at the places that take says.
func only(all []diff.Release, take func(int) bool) []diff.Release {
	var out []diff.Release
	for i, r := range all {
		if take(i) {
			out = append(out, r)
		}
	}
	return out
}

// base is what the new values are compared with: the old values by the new chart, or by the old
// chart where the new one takes the new values only.
func base(byOld, byNew, now []diff.Release) []diff.Release {
	out := slices.Clone(byNew)
	for i := range out {
		if len(out[i].Refused) > 0 && renders(now, out[i]) {
			out[i] = byOld[i]
		}
	}
	return out
}

func renders(releases []diff.Release, r diff.Release) bool {
	return slices.ContainsFunc(releases, func(other diff.Release) bool {
		return other.Environment == r.Environment && other.Name == r.Name && len(other.Refused) == 0
	})
}

func compared(releases []diff.Release) diff.Compared {
	var c diff.Compared
	seen := map[string]bool{}
	for _, r := range releases {
		if len(r.Refused) > 0 || r.Absent {
			continue
		}
		if r.Environment != "" && !seen[r.Environment] {
			seen[r.Environment] = true
			c.Environments++
		}
		c.Releases++
		c.Objects += len(r.Objects)
	}
	return c
}

// load reads what is compared of the chart itself; nothing where there is none.
func (r *Revision) load() (*diff.Chart, error) {
	if r.chart == "" {
		return &diff.Chart{}, nil
	}
	chart, err := helm3.LoadChart(r.chart)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Name, err)
	}
	digest, err := chart.Digest()
	if err != nil {
		return nil, err
	}
	return &diff.Chart{Name: chart.Name, Version: chart.Version, KubeVersion: chart.KubeVersion, Schema: chart.Schema, Archive: digest}, nil
}

// tree is the inputs of one side's files.
type tree struct {
	root    string
	inputs  []input
	skipped []diff.Skipped      // environments that cannot be read
	named   map[string][]string // the values files of each environment, below the root

	chartless []diff.Skipped // values files that stand alone, where there is no chart for them
}

// alike takes out of each side the environments that the other cannot read, as they would count
// as removed or added, and says what is not compared.
func alike(was, now *tree, old, new string) []diff.Skipped {
	out := slices.Clone(now.skipped)
	for i, s := range out {
		if !was.skips(s.Name) {
			was.leave(s.Name, now)
			out[i].Reason = "cannot be read in " + new + ": " + s.Reason
		}
	}
	for _, s := range was.skipped {
		if !now.skips(s.Name) {
			now.leave(s.Name, was)
			s.Reason = "cannot be read in " + old + ": " + s.Reason
			out = append(out, s)
		}
	}
	return out
}

// like is the release of the tree that an input is a side of, or else the input itself.
func (t *tree) like(in input) input {
	i := slices.IndexFunc(t.inputs, func(other input) bool { return other.environment == in.environment && other.name == in.name })
	if i < 0 {
		return in
	}
	return t.inputs[i]
}

func (t *tree) skips(environment string) bool {
	return slices.ContainsFunc(t.skipped, func(s diff.Skipped) bool { return s.Name == environment })
}

// leave takes out an environment. Its values files seem to stand alone where it cannot be read.
func (t *tree) leave(environment string, unread *tree) {
	t.inputs = slices.DeleteFunc(t.inputs, func(in input) bool { return in.environment == environment })
	unread.inputs = slices.DeleteFunc(unread.inputs, func(in input) bool {
		return in.environment == "" && slices.Contains(t.named[environment], in.name)
	})
}

// inputs reads the environments of a tree, and every values file that none of them names as a
// release by itself. Only releases of the named chart take part, and those of published ones that are taken.
func inputs(root, chart string, takes func(environment.Published) bool) (t tree, err error) {
	t.root, t.named = root, map[string][]string{}
	used := map[string]bool{}
	files, err := environment.Find(filepath.Join(root, environmentsDir))
	if err != nil {
		return t, err
	}
	chartNames := map[string]string{}
	first := map[string]string{}
	for _, file := range files {
		name := within(filepath.Join(root, environmentsDir), strings.TrimSuffix(file, filepath.Ext(file)))
		if other := first[name]; other != "" {
			return t, fmt.Errorf("%s and %s: two environments of the name %s. Fix: rename one", within(root, other), within(root, file), name)
		}
		first[name] = file
		env, err := environment.Load(file)
		if err != nil {
			t.skipped = append(t.skipped, diff.Skipped{Name: name, Reason: within(root, err.Error())})
			continue
		}
		for i, release := range slices.Concat(env.Releases, env.Absent) {
			for _, f := range release.ValuesFiles {
				used[f] = true
				t.named[name] = append(t.named[name], within(root, f))
			}
			if release.Published != nil {
				if takes(*release.Published) {
					t.inputs = append(t.inputs, input{name, release.ID(), release, i >= len(env.Releases)})
				}
				continue
			}
			if _, ok := chartNames[release.Chart]; !ok {
				loaded, err := helm3.LoadChart(release.Chart)
				if err != nil {
					return t, err
				}
				chartNames[release.Chart] = loaded.Name
			}
			if chartNames[release.Chart] == chart {
				t.inputs = append(t.inputs, input{name, release.ID(), release, i >= len(env.Releases)})
			}
		}
	}
	alone, err := valuesFiles(root)
	if err != nil {
		return t, err
	}
	for _, file := range alone {
		if used[file] {
			continue
		}
		if chart == "" {
			t.chartless = append(t.chartless, diff.Skipped{Name: within(root, file), Reason: "no environment says by which chart it is rendered"})
			continue
		}
		name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
		t.inputs = append(t.inputs, input{name: within(root, file), release: environment.Release{Name: name, Namespace: "default", ValuesFiles: []string{file}}})
	}
	return t, nil
}

func valuesFiles(root string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(root, "charts", "*", "ci", "*-values.yaml"))
	if err != nil {
		return nil, err
	}
	more, err := environment.YAML(filepath.Join(root, valuesDir))
	return append(files, more...), err
}

// renderAll renders each release as it stands on one side. One that is refused says why; charts that cannot be had are
// all in the error.
func renderAll(ctx context.Context, renderer *render.Renderer, inputs []input, root string, on func(input) environment.Release) ([]diff.Release, error) {
	out := make([]diff.Release, 0, len(inputs))
	var faults []error
	for _, in := range inputs {
		r := diff.Release{Environment: in.environment, Name: in.name, Absent: in.absent}
		if in.absent {
			out = append(out, r)
			continue
		}
		release := on(in)
		rendered, err := renderer.Release(ctx, release)
		var wrong problem.List
		switch {
		case errors.As(err, &wrong):
			for _, p := range wrong.Sort() {
				r.Refused = append(r.Refused, within(root, p.String()))
			}
		case ctx.Err() != nil:
			return nil, err
		case err != nil && release.Published != nil:
			faults = append(faults, fmt.Errorf("%s:%d %s.chart: %w", within(root, release.File), release.Line, release.Path, err))
		case err != nil:
			return nil, err
		default:
			r.Objects = rendered.Objects
		}
		out = append(out, r)
	}
	return out, errors.Join(faults...)
}

// within shows paths as people in the tree would write them.
func within(root, text string) string {
	return strings.ReplaceAll(text, root+string(filepath.Separator), "")
}
