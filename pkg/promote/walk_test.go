package promote

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/clustertest"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/release"
	"chartbasico/pkg/render"
	"chartbasico/pkg/report"
	"chartbasico/pkg/rollout"
	"chartbasico/pkg/traffic"
	"chartbasico/pkg/verify"
)

// field is where an app is moved: a cluster that does at once what it is told.
type field struct {
	mu      sync.Mutex // the steady flow asks while the stage changes
	at      verify.Stage
	ready   []string                 // the versions that have pods
	fails   map[string]float64       // the part of its requests that a version fails; those without pods fail all
	takes   map[string]time.Duration // how long a version takes; all alike if not said
	loses   bool                     // one request while a stage changes
	breaks  error                    // why the steady flow is not sent to the end
	origins error                    // why there is nowhere to ask from, as long as the heaviest version has no pods
	refuses map[string]error         // by the stage that is upgraded to

	recorded string           // what Helm has of the release beside what the files render to
	arrives  map[string]error // by the stage that is to arrive
}

func (f *field) Workloads() ([]verify.Workload, error) {
	var all []verify.Workload
	for _, v := range f.ready {
		all = append(all, verify.Workload{App: "cart", Version: v})
	}
	return all, nil
}

func (f *field) Origins(context.Context, verify.App) ([]rollout.Origin, []report.NotRun, error) {
	if f.origins != nil && !slices.Contains(f.ready, heaviest(f.stage())) {
		return nil, nil, f.origins
	}
	return []rollout.Origin{{Name: "front/v1"}}, nil, nil
}

func (f *field) Upgrade(_ context.Context, _ verify.App, stage verify.Stage, _ string, _ ...render.Override) (*render.Release, error) {
	if err := f.refuses[stage.Name]; err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at = stage
	return nil, nil
}

func (f *field) stage() verify.Stage {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at
}

func (f *field) Arrive(context.Context, verify.App, *render.Release, []rollout.Origin) error {
	return f.arrives[f.stage().Name]
}

func heaviest(s verify.Stage) string {
	return slices.MaxFunc(slices.Sorted(maps.Keys(s.Weights)), func(a, b string) int { return s.Weights[a] - s.Weights[b] })
}

// send divides as the stage says. The steady flow meets the stage that is left and the one that is reached.
func (f *field) send(ctx context.Context, from cluster.Place, load traffic.Load) (traffic.Tally, error) {
	steady := load.Requests == 0
	if steady {
		load.Requests = 100
		if f.loses {
			return traffic.Tally{Requests: 100, Errors: 1, Versions: map[string]int{"v1": 99}}, nil
		}
	}
	s := &shop{sent: 1, r: random(), v2: float64(f.stage().Weights["v2"]) / 100, fails: f.fails, takes: f.takes}
	if f.takes == nil {
		s.takes = alike
	}
	t, err := s.send(ctx, from, load)
	for _, v := range []string{"v1", "v2"} {
		if !slices.Contains(f.ready, v) { // nobody answers
			t.Errors += t.Versions[v]
			delete(t.Versions, v)
		}
	}
	if steady && f.breaks != nil {
		return t, f.breaks
	}
	return t, err
}

// led leads the cart from one stage to another, with two versions and a stage between.
func led(t *testing.T, f *field, from, to int) (*promotion, error) {
	t.Helper()
	p := walking()
	p.app.Stages = []verify.Stage{
		{Name: "v1", Weights: weights{"v1": 100, "v2": 0}}, {Name: "tenth", Weights: weights{"v1": 90, "v2": 10}},
		{Name: "half", Weights: weights{"v1": 50, "v2": 50}}, {Name: "v2", Weights: weights{"v1": 0, "v2": 100}},
	}
	p.app.Release, p.app.Subsets = &render.Release{Release: routing(t)}, map[string]verify.Subset{"v1": {}, "v2": {}}
	p.app.Release.Values = map[string]any{}
	f.at = p.app.Stages[from]
	recorded, err := p.opts.Renderer.Release(t.Context(), p.app.Release.Release, render.Set("routing.stage", f.at.Name))
	require.NoError(t, err)
	p.cluster, p.mover, p.running, p.report = &clustertest.Fake{OnSend: f.send}, f, inShop(), &report.Report{}
	live := rollout.Live{Subsets: map[string]string{"v1": "v1", "v2": "v2"}}
	err = p.lead(t.Context(), f.at, p.app.Stages[to], live, &release.Revision{Status: "deployed", Values: map[string]any{}, Manifest: recorded.Manifest + f.recorded})
	return p, err
}

// routing is a release of a chart that is as small as one can be.
func routing(t *testing.T) environment.Release {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "templates"), 0o755))
	for name, text := range map[string]string{
		"Chart.yaml":         "apiVersion: v2\nname: c\nversion: 0.1.0\n",
		"templates/all.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cart}\ndata: {stage: {{ .Values.routing.stage }}}\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return environment.Release{Name: "cart-routing", Namespace: "shop", Chart: dir}
}

func steps(p *promotion) []string {
	var all []string
	for _, s := range p.walk.Steps {
		all = append(all, s.Kind+" "+s.Stage)
	}
	return all
}

// Whatever is wrong with a version, it can be taken back.
func TestBackFromABrokenStage(t *testing.T) {
	for name, f := range map[string]*field{
		"nothing is wrong":                {ready: []string{"v1", "v2"}},
		"the version fails":               {ready: []string{"v1", "v2"}, fails: map[string]float64{"v2": 1}},
		"requests are lost while it goes": {ready: []string{"v1", "v2"}, loses: true},
		"the steady flow breaks":          {ready: []string{"v1", "v2"}, breaks: cluster.ErrNoPlace},
		"it has no pods":                  {ready: []string{"v1"}},
		"nowhere to ask from, without it": {ready: []string{"v1"}, origins: errors.New("nowhere to send requests from")},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := led(t, f, 3, 0)
			require.NoError(t, err)
			assert.Equal(t, []string{"moved v1", "measured v1"}, steps(p))
			assert.Equal(t, "v1", p.at)
			assert.True(t, p.walk.Steps[1].Pass, p.walk.Steps[1].Why)
			assert.Equal(t, f.loses || f.breaks != nil, p.walk.Why != "", p.walk.Why)
		})
	}
}

// However long a round is, it is said how far it is.
func TestALongRoundIsNotSilent(t *testing.T) {
	p := walking()
	f := &field{ready: []string{"v1", "v2"}, at: stages[0]}
	var said []string
	p.opts.Progress = func(line string) { said = append(said, line) }
	p.mover, p.running, p.report = f, inShop(), &report.Report{}
	p.origins = []rollout.Origin{{Name: "front/v1"}}
	p.cluster = &clustertest.Fake{OnSend: func(ctx context.Context, from cluster.Place, load traffic.Load) (traffic.Tally, error) {
		require.NotNil(t, load.Progress)
		assert.LessOrEqual(t, load.Every, 15*time.Second)
		load.Progress(load.Requests / 2)
		return f.send(ctx, from, load)
	}}
	why, err := p.gate(t.Context(), stages[0], stages[0])
	require.NoError(t, err)
	require.Empty(t, why)
	assert.Contains(t, said, "    from front/v1: 125 of 10000 requests so far")
	assert.Contains(t, said, "    from front/v1: 6000 of 10000 requests so far", "with those of the rounds before")
}

// What another chart does, with the same values, is not taken for what the new version does.
func TestAnotherChartIsBroughtFirst(t *testing.T) {
	f := &field{ready: []string{"v1", "v2"}, recorded: "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: of-the-old-chart}\n"}
	p, err := led(t, f, 1, 2)
	require.NoError(t, err)
	assert.Equal(t, []string{"moved tenth", "measured tenth", "moved half", "measured half"}, steps(p))
}

func TestBackNeedsPodsOfTheStageToReach(t *testing.T) {
	p, err := led(t, &field{ready: []string{"v2"}}, 3, 0)
	require.ErrorContains(t, err, "cart v1 gets 100% at stage v1 and has no ready pod; install it first")
	assert.Empty(t, p.walk.Steps)
}

// Forward, the stage where it begins must be well.
func TestForwardFromABrokenStageIsNotBegun(t *testing.T) {
	_, err := led(t, &field{ready: []string{"v1"}}, 1, 3)
	require.ErrorContains(t, err, "cart v2 gets 10% at stage tenth and has no ready pod")
}

// What a walk that was interrupted did not compare is compared where the next begins.
func TestWhereAWalkBeginsIsCompared(t *testing.T) {
	slow := map[string]time.Duration{"v1": 10 * time.Millisecond, "v2": 20 * time.Millisecond}
	for name, c := range map[string]struct {
		from  int
		takes map[string]time.Duration
		why   string
		steps []string
	}{
		"as good, at a tenth":         {1, alike, "", []string{"measured tenth", "moved half", "measured half", "moved v2", "measured v2"}},
		"slow, at a tenth":            {1, slow, "not begun: v2 is slower than v1", []string{"measured tenth"}},
		"slow, at half, of all it is": {2, slow, "not begun: v2 is slower than v1", []string{"measured half"}},
		"slow, and nothing beside it": {3, slow, "", []string{"measured v2"}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := led(t, &field{ready: []string{"v1", "v2"}, takes: c.takes}, c.from, 3)
			require.NoError(t, err)
			assert.Equal(t, c.steps, steps(p))
			assert.Contains(t, p.walk.Why, c.why)
			assert.Equal(t, c.why == "", p.walk.Why == "", p.walk.Why)
		})
	}
}

func TestWhatAStageIsComparedAsTheNextOf(t *testing.T) {
	p := walking()
	for stage, want := range []string{"v1", "v1", "v2", "v2", "v2", "v3"} {
		assert.Equal(t, want, p.cameFrom(stages[stage]).Name, stages[stage].Name)
	}
	first := []verify.Stage{{Name: "both", Weights: weights{"v1": 50, "v2": 50}}}
	p.app.Stages = first
	assert.Equal(t, "both", p.cameFrom(first[0]).Name, "nothing is before it")
	p.app.Stages = []verify.Stage{{Name: "most", Weights: weights{"v1": 80, "v2": 20}}, {Name: "half", Weights: weights{"v1": 50, "v2": 50}}}
	assert.Equal(t, "most", p.cameFrom(p.app.Stages[1]).Name, "where it got less, if never nothing")
	p.app.Stages = []verify.Stage{{Name: "v1", Weights: weights{"v1": 100}}, {Name: "others", Weights: weights{"v2": 50, "v3": 50}}}
	assert.Equal(t, "others", p.cameFrom(p.app.Stages[1]).Name, "nothing of the old one is beside it")
}

// Only what has arrived is called rolled back.
func TestARollbackThatFailsIsSaidToHaveFailed(t *testing.T) {
	no := errors.New("the API server says no")
	for name, c := range map[string]struct {
		f       *field
		reached string
	}{
		"it arrives":       {&field{}, "v1"},
		"it loses":         {&field{loses: true}, "v1"},
		"it is refused":    {&field{refuses: map[string]error{"v1": no}}, "tenth"},
		"it never arrives": {&field{arrives: map[string]error{"v1": no}}, "v1"},
	} {
		t.Run(name, func(t *testing.T) {
			c.f.ready, c.f.fails = []string{"v1", "v2"}, map[string]float64{"v2": 1}
			p, err := led(t, c.f, 0, 3)
			assert.Equal(t, "rolled back v1", steps(p)[len(p.walk.Steps)-1])
			assert.Equal(t, c.reached, p.at)
			if c.f.refuses == nil && c.f.arrives == nil {
				require.NoError(t, err)
				assert.True(t, p.walk.RolledBack)
				assert.NotContains(t, p.walk.Why, "rollback")
				return
			}
			require.ErrorContains(t, err, "cart was not rolled back from stage tenth to v1: "+no.Error())
			assert.False(t, p.walk.RolledBack)
			assert.Contains(t, p.walk.Why, "v2 fails more often than v1")
			assert.Contains(t, p.walk.Why, "the rollback to stage v1 failed: "+no.Error())
		})
	}
}

// A stage at which it is not known whether requests were lost is not held, whatever else is known of it.
func TestASteadyFlowThatBreaksTurnsBack(t *testing.T) {
	no := errors.New("a proxy refused the route")
	for name, c := range map[string]struct {
		f   *field
		why string
	}{
		"the stage arrives":  {&field{}, "steady flow from front/v1: no such place"},
		"the stage does not": {&field{arrives: map[string]error{"tenth": no}}, no.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			c.f.ready, c.f.breaks = []string{"v1", "v2"}, cluster.ErrNoPlace
			p, err := led(t, c.f, 0, 3)
			require.NoError(t, err)
			assert.Equal(t, []string{"measured v1", "moved tenth", "rolled back v1"}, steps(p))
			assert.Equal(t, "v1", p.at)
			assert.True(t, p.walk.RolledBack)
			assert.Equal(t, c.why, p.walk.Why)
			assert.Contains(t, p.report.NotRun, report.NotRun{
				Environment: "shop",
				What:        "no request lost while stages change: cart from stage v1 to tenth, to the end",
				Reason:      "steady flow from front/v1: no such place",
			})
		})
	}
}
