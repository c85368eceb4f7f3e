package revision

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/internal/git"
	"chartbasico/internal/git/gittest"
	"chartbasico/internal/registrytest"
	"chartbasico/pkg/diff"
)

func compare(t *testing.T, dir, before, after string) *diff.Result {
	t.Helper()
	opener := Opener{Dir: dir, Chart: "charts/chart_basico"}
	a, err := opener.Open(t.Context(), before)
	require.NoError(t, err)
	b, err := opener.Open(t.Context(), after)
	require.NoError(t, err)
	result, err := Compare(t.Context(), a, b, dir)
	require.NoError(t, err)
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
	return result
}

func rulesOf(changes []diff.Change) []string {
	out := []string{}
	for _, c := range changes {
		out = append(out, c.Rule+" "+c.Environment+" "+c.Release)
	}
	return out
}

func TestCompare(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	r := gittest.New(t)
	same := compare(t, r.Dir, "HEAD", ".")
	assert.Empty(t, same.Chart)
	assert.Empty(t, same.Values)
	assert.Equal(t, diff.Compared{Environments: 1, Releases: 3, Objects: 3}, same.Compared)
	require.Len(t, same.NotCompared, 1)
	assert.Equal(t, "values/layer.yaml", same.NotCompared[0].Name)
	assert.Contains(t, same.NotCompared[0].Reason, `renders on neither side: values/layer.yaml:1 fault: unknown key "fault"`)
	assert.True(t, same.Gate.Pass)

	// Values and chart change in one commit: each is counted where it belongs.
	r.Write("values/one.yaml", "app: one\ndata: b\n")
	r.Write("charts/chart_basico/templates/all.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Values.app }}\n  labels: {a: b}\ndata:\n  key: {{ .Values.data | default \"a\" }}\n")
	r.Chart("1.0.1")
	r.Commit("two")
	got := compare(t, r.Dir, "HEAD~1", "HEAD")
	assert.Equal(t, []string{"archive  ", "metadata  charts/chart_basico/ci/full-values.yaml", "metadata  values/deep/alone.yaml", "metadata env default/one"}, rulesOf(got.Chart))
	assert.Equal(t, []string{"configuration env default/one"}, rulesOf(got.Values))
	assert.Equal(t, "b", got.Values[0].New)
	assert.True(t, got.Gate.Pass, got.Gate.Reason)

	// Values that rendered and are refused now are a major change, new values or not.
	r.Write("charts/chart_basico/values.schema.json", `{"type":"object","additionalProperties":false,"properties":{"app":{"type":"string"}}}`)
	r.Write("values/one.yaml", "app: one\n")
	r.Chart("1.0.2")
	r.Commit("three")
	got = compare(t, r.Dir, "HEAD~1", "HEAD")
	require.NotEmpty(t, got.Chart)
	assert.Equal(t, "key-removed  ", rulesOf(got.Chart)[0])
	assert.Equal(t, "values-refused env default/one", rulesOf(got.Chart)[1])
	assert.Equal(t, []string{"configuration env default/one"}, rulesOf(got.Values), "judged against what ran")
	assert.False(t, got.Gate.Pass)
	assert.Equal(t, "2.0.0", got.Gate.Minimum)

	// A chart alone takes the values of the other side.
	alone := compare(t, r.Dir, "HEAD~1", "charts/chart_basico")
	assert.Empty(t, alone.Values)
	assert.Contains(t, rulesOf(alone.Chart), "values-refused env default/one")

	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	assert.Empty(t, left, "what was unpacked is removed")
}

// A link that leads out of the repository is in nobody's way, but of those who read it.
func TestCompareWithALinkThatLeadsOut(t *testing.T) {
	r := gittest.New(t)
	require.NoError(t, os.Symlink("/etc/hostname", filepath.Join(r.Dir, "notes")))
	require.NoError(t, os.Symlink("/etc/hostname", filepath.Join(r.Dir, "values/linked.yaml")))
	r.Commit("links")
	got := compare(t, r.Dir, "HEAD~1", "HEAD")
	assert.Empty(t, got.Chart)
	assert.Empty(t, got.Values)
	skipped := slices.IndexFunc(got.NotCompared, func(s diff.Skipped) bool { return s.Name == "values/linked.yaml" })
	require.GreaterOrEqual(t, skipped, 0, got.NotCompared)
	assert.Contains(t, got.NotCompared[skipped].Reason, "renders on neither side: ")

	require.NoError(t, os.Symlink("/etc/hostname", filepath.Join(r.Dir, "charts/chart_basico/templates/linked.yaml")))
	r.Commit("a chart with one")
	opener := Opener{Dir: r.Dir, Chart: "charts/chart_basico"}
	before, err := opener.Open(t.Context(), "HEAD~1")
	require.NoError(t, err)
	defer before.Close()
	after, err := opener.Open(t.Context(), "HEAD")
	require.NoError(t, err)
	defer after.Close()
	_, err = Compare(t.Context(), before, after, r.Dir)
	require.ErrorContains(t, err, "templates/outside-of-the-revision: no such file or directory")
}

// An environment that one side cannot read is compared on neither: nothing of it is removed or added.
func TestCompareUnreadable(t *testing.T) {
	r := gittest.New(t)
	r.Write("environments/env.yaml", "releases: none\n")
	r.Commit("broken")
	for _, c := range []struct{ before, after string }{{"HEAD~1", "HEAD"}, {"HEAD", "HEAD~1"}} {
		got := compare(t, r.Dir, c.before, c.after)
		assert.Empty(t, got.Chart)
		assert.Empty(t, got.Values)
		assert.Equal(t, diff.Compared{Releases: 2, Objects: 2}, got.Compared)
		require.Len(t, got.NotCompared, 2)
		assert.Equal(t, "env", got.NotCompared[0].Name)
		assert.Contains(t, got.NotCompared[0].Reason, "cannot be read in HEAD: environments/env.yaml:1 releases:")
	}
	both := compare(t, r.Dir, "HEAD", ".")
	assert.Equal(t, diff.Compared{Releases: 3, Objects: 3}, both.Compared, "its values files stand alone on both")
	require.Len(t, both.NotCompared, 2)
	assert.NotContains(t, both.NotCompared[0].Reason, "cannot be read in")
}

// A tree whose chart is an archive, or lies elsewhere, is compared by what its environments name.
func TestCompareByTheChartOfEnvironments(t *testing.T) {
	r := gittest.New(t)
	commit := func(env, text string) {
		r.Write(env, text)
		r.Commit("next")
	}
	r.Git("mv", "charts/chart_basico", "vendored")
	commit("environments/env.yaml", "releases:\n- {name: one, namespace: default, chart: ../vendored, values: [../values/one.yaml]}\n")
	commit("values/one.yaml", "app: one\ndata: b\n")
	elsewhere := func(before, after string) *diff.Result {
		opener := Opener{Dir: r.Dir}
		a, err := opener.Open(t.Context(), before)
		require.NoError(t, err)
		b, err := opener.Open(t.Context(), after)
		require.NoError(t, err)
		result, err := Compare(t.Context(), a, b, r.Dir)
		require.NoError(t, err)
		require.NoError(t, errors.Join(a.Close(), b.Close()))
		return result
	}
	got := elsewhere("HEAD~1", "HEAD")
	assert.Empty(t, got.Chart)
	assert.Equal(t, []string{"configuration env default/one"}, rulesOf(got.Values))
	assert.Empty(t, elsewhere("HEAD~2", "HEAD~1").Chart, "it moved")

	repository, err := git.Open(t.Context(), r.Dir)
	require.NoError(t, err)
	head, err := repository.Commit(t.Context(), "HEAD")
	require.NoError(t, err)
	files, err := repository.Files(t.Context(), head, "vendored")
	require.NoError(t, err)
	var archive bytes.Buffer
	zip := gzip.NewWriter(&archive)
	tarball := tar.NewWriter(zip)
	for _, f := range files {
		require.NoError(t, tarball.WriteHeader(&tar.Header{Name: f.Path, Mode: 0o644, Size: int64(len(f.Data))}))
		_, err := tarball.Write(f.Data)
		require.NoError(t, err)
	}
	require.NoError(t, errors.Join(tarball.Close(), zip.Close()))
	r.Write("charts/chart.tgz", archive.String())
	r.Git("rm", "-r", "--quiet", "vendored")
	commit("environments/env.yaml", "releases:\n- {name: one, namespace: default, chart: ../charts/chart.tgz, values: [../values/one.yaml]}\n")
	commit("values/one.yaml", "app: one\n")
	got = elsewhere("HEAD~1", ".")
	assert.Empty(t, got.Chart)
	assert.Equal(t, []string{"configuration env default/one"}, rulesOf(got.Values))
	assert.Empty(t, elsewhere("HEAD~2", "HEAD~1").Chart, "the same chart in an archive")

	r.Write("other/Chart.yaml", "apiVersion: v2\nname: other\nversion: 1.0.0\n")
	r.Write("environments/z.yaml", "releases:\n- {name: one, namespace: default, chart: ../other}\n")
	_, err = Opener{Dir: r.Dir}.Open(t.Context(), ".")
	require.EqualError(t, err, ".: no chart at charts/chart_basico, and the environments name 2: charts/chart.tgz, other. Fix: say which by --chart")
	r.Git("rm", "-r", "--quiet", "--force", "environments/env.yaml")
	require.NoError(t, os.Remove(filepath.Join(r.Dir, "environments/z.yaml")))
	_, err = Opener{Dir: r.Dir}.Open(t.Context(), ".")
	require.EqualError(t, err, ".: no Chart.yaml in it, and no chart at charts/chart_basico below it")
}

// An environment in a folder is one, and so is a file of .yml.
func TestCompareEveryFile(t *testing.T) {
	r := gittest.New(t)
	r.Write("environments/eu/prod.yml", "releases:\n- {name: one, namespace: eu, chart: ../../charts/chart_basico, values: [values.yaml]}\n")
	r.Write("environments/eu/values.yaml", "app: eu\n")
	r.Write("values/two.yml", "app: two\n")
	r.Commit("more")
	got := compare(t, r.Dir, "HEAD~1", "HEAD")
	assert.Equal(t, []string{"object-added  values/two.yml", "object-added eu/prod eu/one"}, rulesOf(got.Values))
	assert.Equal(t, diff.Compared{Environments: 2, Releases: 5, Objects: 5}, got.Compared)
	require.Len(t, got.NotCompared, 1, "values/layer.yaml")

	r.Git("mv", "environments/eu/prod.yml", "environments/eu/prod.yaml")
	r.Commit("the same name")
	assert.Empty(t, compare(t, r.Dir, "HEAD~1", "HEAD").Values)

	r.Write("environments/eu/prod.yml", "releases: []\n")
	now, err := Opener{Dir: r.Dir, Chart: "charts/chart_basico"}.Open(t.Context(), ".")
	require.NoError(t, err)
	_, err = Compare(t.Context(), now, now, r.Dir)
	require.EqualError(t, err, "environments/eu/prod.yaml and environments/eu/prod.yml: two environments of the name eu/prod. Fix: rename one")
}

// Under another name an environment is the same one, whatever else changes in it.
func TestCompareRenamed(t *testing.T) {
	r := gittest.New(t)
	stage := "releases:\n- {name: one, namespace: default, chart: ../charts/chart_basico, values: [../values/one.yaml, ../values/%s.yaml]}\n" +
		"- {name: two, namespace: default, chart: ../charts/chart_basico, values: [../values/two.yaml]}\n"
	r.Write("values/two.yaml", "app: two\n")
	for _, name := range []string{"dev", "prod"} {
		r.Write("values/"+name+".yaml", "data: "+name+"\n")
		r.Write("environments/"+name+".yaml", fmt.Sprintf(stage, name))
	}
	r.Commit("two that are nearly the same")
	r.Write("environments/eu/production.yaml", strings.ReplaceAll(fmt.Sprintf(stage, "prod"), "../", "../../"))
	r.Write("environments/z.yaml", fmt.Sprintf(stage, "dev"))
	r.Write("values/prod.yaml", "data: x\n")
	r.Git("rm", "--quiet", "environments/prod.yaml", "environments/dev.yaml")
	r.Git("mv", "values/deep/alone.yaml", "values/alone.yaml")
	r.Commit("renamed")
	got := compare(t, r.Dir, "HEAD~1", "HEAD")
	require.Equal(t, []string{"configuration eu/production default/one", "renamed  ", "renamed eu/production ", "renamed z "}, rulesOf(got.Values))
	assert.Equal(t, "prod → x", got.Values[0].Old+" → "+got.Values[0].New)
	for i, want := range []string{"values/deep/alone.yaml → values/alone.yaml", "prod → eu/production", "dev → z"} {
		assert.Equal(t, want, got.Values[i+1].Old+" → "+got.Values[i+1].New)
	}
	assert.Equal(t, diff.Patch, got.Values[1].Level)

	r.Git("rm", "--quiet", "environments/z.yaml")
	r.Write("environments/b.yaml", "releases:\n- {name: one, namespace: elsewhere, chart: ../charts/chart_basico, values: [../values/one.yaml]}\n")
	r.Commit("another one")
	got = compare(t, r.Dir, "HEAD~1", "HEAD")
	assert.Equal(t, []string{"object-added b elsewhere/one", "release-dropped z default/one", "release-dropped z default/two"}, rulesOf(got.Values))
}

// A release that an environment drops stays installed; one that it does not want is uninstalled.
func TestCompareDropped(t *testing.T) {
	r := gittest.New(t)
	line := "- {name: %s, namespace: default, chart: ../charts/chart_basico, values: [../values/%[1]s.yaml]%s}\n"
	r.Write("values/two.yaml", "app: two\n")
	write := func(two string) {
		r.Write("environments/env.yaml", "releases:\n"+fmt.Sprintf(line, "one", "")+two)
		r.Commit("two")
	}
	write(fmt.Sprintf(line, "two", ""))
	write(fmt.Sprintf(line, "two", ", installed: false"))
	got := compare(t, r.Dir, "HEAD~1", "HEAD")
	assert.Equal(t, []string{"object-removed env default/two", "release-uninstalled env default/two"}, rulesOf(got.Values))
	assert.Equal(t, diff.Compared{Environments: 1, Releases: 3, Objects: 3}, got.Compared)
	assert.Len(t, got.NotCompared, 1, "values/layer.yaml")
	write("")
	r.Git("rm", "--quiet", "values/two.yaml")
	r.Commit("its values too")
	got = compare(t, r.Dir, "HEAD~3", "HEAD")
	assert.Equal(t, []string{"release-dropped env default/two"}, rulesOf(got.Values))
	assert.Empty(t, compare(t, r.Dir, "HEAD~2", "HEAD").Values, "it was not installed")
}

func TestOpenWhatIsNotThere(t *testing.T) {
	r := gittest.New(t)
	r.Git("tag", "nochart", "HEAD")
	for name, want := range map[string]string{
		"nothing":      `nothing: neither a file nor a directory, and git knows no revision "nothing"`,
		"values":       "values: no Chart.yaml in it, and no chart at charts/chart_basico below it",
		"--help":       `git knows no revision "--help"`,
		"environments": "no Chart.yaml in it",
	} {
		_, err := Opener{Dir: r.Dir, Chart: "charts/chart_basico"}.Open(t.Context(), name)
		require.ErrorContains(t, err, want, name)
	}
	_, err := Opener{Dir: r.Dir, Chart: "charts/other"}.Open(t.Context(), "HEAD")
	require.EqualError(t, err, "revision HEAD has no chart at charts/other")
	_, err = Opener{Dir: t.TempDir(), Chart: "charts/chart_basico"}.Open(t.Context(), "HEAD")
	require.ErrorContains(t, err, "not a git repository")
}

func TestSinceRelease(t *testing.T) {
	r := gittest.New(t)
	gate := func() diff.Gate {
		opener := Opener{Dir: r.Dir, Chart: "charts/chart_basico"}
		now, err := opener.Open(t.Context(), "HEAD")
		require.NoError(t, err)
		defer now.Close()
		g, err := opener.SinceRelease(t.Context(), now, "HEAD")
		require.NoError(t, err)
		return g
	}
	first := gate()
	assert.True(t, first.Pass)
	assert.Equal(t, "no release yet (no tag chart_basico-X.Y.Z on the way to HEAD): nothing to judge version 1.0.0 by", first.Reason)

	for _, version := range []string{"0.9.0", "0.10.0", "1.0.0"} { // the last is the release that is under way
		r.Chart(version)
		r.Commit(version)
		r.Git("tag", "chart_basico-"+version)
	}
	r.Git("tag", "chart_basico-tools-9.0.0")
	assert.Equal(t, "chart_basico-0.10.0", gate().Base)

	r.Chart("1.0.1")
	r.Write("charts/chart_basico/templates/all.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Values.app }}-x\n")
	r.Commit("rename")
	got := gate()
	assert.Equal(t, "chart_basico-1.0.0", got.Base)
	assert.False(t, got.Pass)
	assert.Equal(t, "2.0.0", got.Minimum)

	r.Chart("1.1.0-rc.1")
	r.Commit("candidate")
	r.Git("tag", "chart_basico-1.1.0-rc.1")
	got = gate()
	assert.False(t, got.Pass, "a candidate announces its release")
	for _, version := range []string{"1.1.0-rc.2", "1.1.0"} {
		r.Chart(version)
		r.Commit(version)
		got = gate()
		assert.Equal(t, "chart_basico-1.0.0", got.Base, "a candidate is no release")
		assert.False(t, got.Pass, version)
	}
	r.Chart("2.0.0-rc.1")
	r.Commit("candidate of enough")
	assert.True(t, gate().Pass)
}

// Where git cannot tell the last release, no version passes for want of one.
func TestSinceReleaseThatIsUnknown(t *testing.T) {
	r := gittest.New(t)
	r.Chart("0.9.0")
	r.Commit("first")
	r.Git("tag", "chart_basico-0.9.0")
	r.Chart("1.0.0")
	r.Commit("second")
	unfit := func(dir string) error {
		opener := Opener{Dir: dir, Chart: "charts/chart_basico"}
		now, err := opener.Open(t.Context(), ".")
		require.NoError(t, err)
		defer now.Close()
		_, err = opener.SinceRelease(t.Context(), now, "HEAD")
		return err
	}
	shallow := filepath.Join(t.TempDir(), "clone")
	r.Git("clone", "--quiet", "--depth=1", "file://"+r.Dir, shallow)
	require.EqualError(t, unfit(shallow), "this clone is shallow: older commits and the tags of releases are missing. Fix: git fetch --unshallow --tags (in a workflow: check out with fetch-depth: 0)")

	r.Git("tag", "chart_basico-1.0.0")
	r.Chart("1.0.1")
	require.NoError(t, unfit(r.Dir), "work goes on after a release")
	r.Git("tag", "chart_basico-1.2.0")
	hash := r.Git("rev-parse", "HEAD")[:12]
	require.EqualError(t, unfit(r.Dir), "the tag chart_basico-1.2.0 stands on commit "+hash+", whose Chart.yaml says version 1.0.0. "+
		"Fix: git tag --delete chart_basico-1.2.0 and put it onto the commit of that version, or set version in Chart.yaml to 1.2.0 and tag that commit")
}

// Application teams have no chart of their own: what the version that an environment names changes is shown for each
// release, with the same values, and judged where the chart is released.
func TestComparePublishedCharts(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	registry := registrytest.Start(t)
	registrytest.Login(t, registry.Addr)
	for version, label := range map[string]string{"1.2.0": "old", "1.3.0": "new"} {
		registry.Push(t, "charts/chart_basico:"+version, registrytest.Archive(t, "chart_basico", version, map[string]string{
			"templates/all.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Values.app }}\n  labels: {a: " + label + "}\ndata:\n  key: {{ .Values.data | default \"a\" }}\n",
		}))
	}
	r := gittest.New(t)
	env := func(first, second string) {
		r.Write("environments/env.yaml", "repositories:\n- {name: platform, url: "+registry.Addr+"/charts, oci: true, caFile: "+registry.CA+"}\nreleases:\n"+
			"- {name: one, namespace: default, chart: platform/chart_basico, version: "+first+", values: [../values/one.yaml]}\n"+
			"- {name: two, namespace: default, chart: platform/chart_basico, version: "+second+", values: [../values/two.yaml]}\n")
	}
	r.Write("values/two.yaml", "app: two\n")
	const chart = "charts/chart_basico"
	r.Git("mv", chart, "kept")
	env("1.2.0", "1.3.0")
	r.Commit("two versions of a published chart, and none of one's own")
	between := func(before, after string) *diff.Result {
		t.Helper()
		opener := Opener{Dir: r.Dir}
		a, err := opener.Open(t.Context(), before)
		require.NoError(t, err)
		b, err := opener.Open(t.Context(), after)
		require.NoError(t, err)
		got, err := Compare(t.Context(), a, b, r.Dir)
		require.NoError(t, err)
		require.NoError(t, errors.Join(a.Close(), b.Close()))
		return got
	}
	got := between("HEAD", ".")
	assert.Empty(t, got.Chart)
	assert.Empty(t, got.Values)
	assert.Equal(t, diff.Compared{Environments: 1, Releases: 2, Objects: 2}, got.Compared)
	assert.Equal(t, []diff.Skipped{
		{Name: "values/deep/alone.yaml", Reason: "no environment says by which chart it is rendered"},
		{Name: "values/layer.yaml", Reason: "no environment says by which chart it is rendered"},
	}, got.NotCompared)
	_, err := Opener{Dir: r.Dir}.SinceRelease(t.Context(), &Revision{Name: "HEAD"}, "HEAD")
	require.ErrorContains(t, err, "HEAD has no chart of its own")

	env("1.3.0", "1.3.0")
	r.Write("values/two.yaml", "app: two\ndata: b\n")
	r.Commit("the upgrade of one, and values of the other")
	got = between("HEAD~1", "HEAD")
	assert.Equal(t, []string{"metadata env default/one"}, rulesOf(got.Chart))
	assert.Equal(t, "new", got.Chart[0].New)
	assert.Equal(t, []string{"configuration env default/two"}, rulesOf(got.Values))
	assert.True(t, got.Gate.Pass)
	assert.Contains(t, got.Gate.Reason, "judged where it is released")

	// From a chart in the tree to the published one, whose version is not the tree's.
	got = between("HEAD~2", "HEAD~1")
	assert.Equal(t, []string{"metadata env default/one"}, rulesOf(got.Chart))
	assert.Equal(t, []string{"object-added env default/two", "release-dropped  charts/chart_basico/ci/full-values.yaml"}, rulesOf(got.Values))

	// Beside a chart of one's own, whose version need not rise for what a published one changes.
	r.Git("mv", "kept", chart)
	r.Commit("a chart of one's own again")
	env("1.2.0", "1.3.0")
	r.Commit("back")
	got = between("HEAD~1", "HEAD")
	assert.Equal(t, []string{"metadata env default/one"}, rulesOf(got.Chart))
	assert.True(t, got.Gate.Pass, got.Gate.Reason)
	assert.Equal(t, "1.0.0", got.Gate.New)

	// A chart alone is what all releases of that name are rendered by.
	got = between("HEAD", chart)
	assert.Contains(t, rulesOf(got.Chart), "metadata env default/one")
	assert.Contains(t, rulesOf(got.Chart), "metadata env default/two")

	// What cannot be had is said for all.
	env("1.4.0", "1.5.0")
	a, err := Opener{Dir: r.Dir}.Open(t.Context(), "HEAD")
	require.NoError(t, err)
	b, err := Opener{Dir: r.Dir}.Open(t.Context(), ".")
	require.NoError(t, err)
	_, err = Compare(t.Context(), a, b, r.Dir)
	require.ErrorContains(t, err, "environments/env.yaml:4 releases[0].chart: release default/one: oci://"+registry.Addr+"/charts/chart_basico:1.4.0: no such tag")
	require.ErrorContains(t, err, "environments/env.yaml:5 releases[1].chart: release default/two: oci://"+registry.Addr+"/charts/chart_basico:1.5.0: no such tag")

	// A release of the chart waits for no chart that is to be published.
	r.Git("tag", "chart_basico-1.0.0")
	r.Chart("1.0.1")
	r.Commit("names a version that is not there yet")
	head, err := Opener{Dir: r.Dir, Chart: chart}.Open(t.Context(), "HEAD")
	require.NoError(t, err)
	gate, err := Opener{Dir: r.Dir, Chart: chart}.SinceRelease(t.Context(), head, "HEAD")
	require.NoError(t, err)
	assert.True(t, gate.Pass, gate.Reason)
	require.NoError(t, errors.Join(a.Close(), b.Close(), head.Close()))
}
