package promote

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	judge "chartbasico/pkg/assert"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/rollout"
	"chartbasico/pkg/traffic"
	"chartbasico/pkg/verify"
)

type weights = map[string]int

// Two rollouts one after the other: v1 to v2, and v2 to v3.
var stages = []verify.Stage{
	{Name: "v1", Weights: weights{"v1": 100}},
	{Name: "v2-canary", Weights: weights{"v1": 99, "v2": 1}},
	{Name: "v2", Weights: weights{"v1": 0, "v2": 100}},
	{Name: "v3-canary", Weights: weights{"v2": 90, "v3": 10}},
	{Name: "v3-half", Weights: weights{"v2": 50, "v3": 50}},
	{Name: "v3", Weights: weights{"v3": 100}},
}

func walking() *promotion {
	return &promotion{opts: Options{}.withDefaults(true), app: verify.App{Name: "cart", Title: "cart", Stages: stages}}
}

func TestForwardIsStageByStageAndBackIsOneStep(t *testing.T) {
	p := walking()
	assert.Equal(t, []string{"v2-canary", "v2", "v3-canary"}, names(p.path(stages[0], stages[3])))
	assert.Equal(t, []string{"v1"}, names(p.path(stages[4], stages[0])))
	assert.Empty(t, p.path(stages[2], stages[2]))
}

func TestWhoGainsAndWhoLoses(t *testing.T) {
	assert.Equal(t, []string{"v2"}, gaining(stages[0], stages[1]))
	assert.Equal(t, []string{"v1"}, losing(stages[1], stages[2]))
	assert.Equal(t, []string{"v3"}, gaining(stages[2], stages[3]))
	assert.Empty(t, gaining(stages[2], stages[2]))
}

func TestSoManyAreSentThatAVersionThatFailsIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		standIns        bool
		rate            float64
		previous, stage int
		want            int
	}{
		"more than enough as it is":                     {true, 1e-6, 2, 3, 10_000},
		"1% is few":                                     {true, 1e-6, 0, 1, 47_723},
		"where the walk begins, as later stages do":     {false, 1e-6, 0, 0, 1066},
		"all of them, beside v1 as it was at the first": {false, 1e-6, 1, 2, 1066},
		"10%, of which few errors are proof":            {false, 1e-6, 2, 3, 5903},
		"half of them, of which it takes more":          {false, 1e-6, 3, 4, 2185},
		"who accepts more false alarms needs fewer":     {false, 1e-3, 2, 3, 3008},
	} {
		t.Run(name, func(t *testing.T) {
			p := walking()
			p.opts = Options{Rate: c.rate}.withDefaults(c.standIns)
			assert.InDelta(t, c.want, p.requests(stages[c.previous], stages[c.stage]), 2)
		})
	}
}

func TestDefaultsByKindOfCluster(t *testing.T) {
	standIns, real := Options{}.withDefaults(true), Options{}.withDefaults(false)
	assert.Equal(t, []float64{10_000, 500}, []float64{float64(standIns.Requests), standIns.Pace})
	assert.Equal(t, []float64{1000, 50}, []float64{float64(real.Requests), real.Pace})
	given := Options{Requests: 7, Pace: 8}.withDefaults(false)
	assert.Equal(t, []float64{7, 8}, []float64{float64(given.Requests), given.Pace})
}

func one(version string, errors int, latency time.Duration) judge.Served {
	return judge.Served{Version: version, Requests: 5000, Errors: errors, Latency: traffic.Distribution{{From: latency, UpTo: latency, N: 5000 - errors}}}
}

// What is compared with what, and what passes.
func TestCompare(t *testing.T) {
	gateway := rollout.Origin{Name: "ingress gateway"}
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		previous, stage int
		now             map[string]judge.Served
		names           []string
		fails           []string
		against         string
	}{
		"as good":                     {3, 4, map[string]judge.Served{"v2": one("v2", 2, 10*ms), "v3": one("v3", 1, 12*ms)}, []string{moreErrors, slower}, nil, "v2"},
		"fails":                       {3, 4, map[string]judge.Served{"v2": one("v2", 0, 10*ms), "v3": one("v3", 250, 10*ms)}, []string{moreErrors, slower}, []string{moreErrors}, "v2"},
		"slow":                        {3, 4, map[string]judge.Served{"v2": one("v2", 0, 10*ms), "v3": one("v3", 0, 20*ms)}, []string{moreErrors, slower}, []string{slower}, "v2"},
		"both":                        {3, 4, map[string]judge.Served{"v2": one("v2", 0, 10*ms), "v3": one("v3", 250, 20*ms)}, []string{moreErrors, slower}, []string{moreErrors, slower}, "v2"},
		"new, and nothing came to it": {3, 4, map[string]judge.Served{"v2": one("v2", 0, 10*ms)}, []string{moreErrors, slower}, []string{moreErrors, slower}, "v2"},
		"the old one gets nothing: its errors at its last stage count": {4, 5, map[string]judge.Served{"v3": one("v3", 250, 90*ms)}, []string{moreErrors}, []string{moreErrors}, "v2, as it was at stage v3-half"},
		"the stage at which it had as much counts":                     {1, 2, map[string]judge.Served{"v2": one("v2", 0, 90*ms)}, []string{moreErrors}, nil, "v1, as it was at stage v1"},
		"one takes all where the walk begins: nothing is beside it":    {2, 2, map[string]judge.Served{"v2": one("v2", 250, 10*ms)}, nil, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := walking()
			p.stages = []seen{
				{stages[0], map[string]map[string]judge.Served{"ingress gateway": {"v1": one("v1", 0, 10*ms)}}},
				{stages[1], map[string]map[string]judge.Served{"ingress gateway": {"v1": one("v1", 0, 10*ms), "v2": one("v2", 0, 10*ms)}}},
				{stages[4], map[string]map[string]judge.Served{"ingress gateway": {"v2": one("v2", 0, 10*ms)}}},
			}
			var found, failed []string
			for _, x := range p.compare(stages[c.previous], stages[c.stage], gateway, c.now, 1e-6) {
				found = append(found, x.name)
				if !x.Pass {
					failed = append(failed, x.name)
				}
				if x.name == moreErrors {
					assert.Equal(t, x.Want, "errors no more frequent than with "+c.against)
				}
			}
			assert.Equal(t, c.names, found)
			assert.Equal(t, c.fails, failed)
		})
	}
}

func TestSubsetsThatTheFilesHaveNoMoreAreKept(t *testing.T) {
	app := verify.App{Subsets: map[string]verify.Subset{"v2": {Name: "v2"}, "v3": {Name: "v3"}}}
	assert.Empty(t, kept(rollout.Live{Subsets: map[string]string{"v2": "v2"}}, app))
	assert.Len(t, kept(rollout.Live{Subsets: map[string]string{"v1.3.4": "v1-3-4", "v2": "v2"}}, app), 1)
}

func TestWriteStage(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o640))
		return path
	}
	const content = "# ours\napp: cart\n\nrouting:\n  stage: v1   # now\n  stages: []\n"
	file := write("routing.yaml", content)
	other := write("other.yaml", "app: cart\n")
	inline := []map[string]any{{"routing": map[string]any{"stage": "v2"}}}

	found, err := StageFile(environment.Release{ValuesFiles: []string{file, other}})
	require.NoError(t, err)
	assert.Equal(t, file, found)
	_, err = StageFile(environment.Release{ValuesFiles: []string{file}, Values: inline, File: "env.yaml", Line: 7})
	require.ErrorContains(t, err, "env.yaml, line 7: routing.stage is set in the environment file itself")
	_, err = StageFile(environment.Release{Name: "cart", ValuesFiles: []string{other}})
	require.ErrorContains(t, err, "no values file sets routing.stage")
	_, err = StageFile(environment.Release{ValuesFiles: []string{write("anchor.yaml", "routing:\n  stage: &a v1\n")}})
	require.ErrorContains(t, err, "anchor.yaml: line 2: routing.stage is written with an anchor")

	changed, err := WriteStage(file, "v1")
	require.NoError(t, err)
	assert.False(t, changed)
	link := filepath.Join(dir, "link.yaml")
	require.NoError(t, os.Symlink(file, link))
	changed, err = WriteStage(link, "canary")
	require.NoError(t, err)
	assert.True(t, changed)
	now, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, strings.Replace(content, "stage: v1", "stage: canary", 1), string(now))
	info, err := os.Lstat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o640), info.Mode())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 4, "nothing temporary is left")
}
