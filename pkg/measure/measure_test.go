package measure

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/clustertest"
	"chartbasico/pkg/rollout"
	"chartbasico/pkg/traffic"
)

// mesh divides requests by chance, so many of a hundred to v2, of which failing fail; it counts the rounds.
func mesh(percent int, failing float64, rounds *int) *clustertest.Fake {
	r := rand.New(rand.NewPCG(1, 2))
	return &clustertest.Fake{OnSend: func(_ context.Context, _ cluster.Place, load traffic.Load) (traffic.Tally, error) {
		*rounds++
		t := traffic.Tally{Requests: load.Requests, Versions: map[string]int{}, VersionErrors: map[string]int{}, Failures: map[string]int{}}
		for range load.Requests {
			switch {
			case r.IntN(100) >= percent:
				t.Versions["v1"]++
			case r.Float64() < failing:
				t.VersionErrors["v2"]++
				t.Errors++
				t.Failures["500"]++
			default:
				t.Versions["v2"]++
			}
		}
		return t, nil
	}}
}

var canary = map[string]int{"v1": 90, "v2": 10}

func TestRounds(t *testing.T) {
	assert.Equal(t, []int{250, 250, 500, 1000, 2000, 4000, 2000}, Rounds(10_000))
	assert.Equal(t, []int{250, 50}, Rounds(300))
	assert.Equal(t, []int{7}, Rounds(7))
	assert.Empty(t, Rounds(0))
}

// Real applications are asked less, and less at once.
func TestDefaultsByKindOfCluster(t *testing.T) {
	for real, want := range map[bool][2]int{false: {10_000, 64}, true: {1000, 16}} {
		fake, sent := mesh(10, 0, new(int)), 0
		fake.RealApps = real
		whole := fake.OnSend
		fake.OnSend = func(ctx context.Context, from cluster.Place, load traffic.Load) (traffic.Tally, error) {
			assert.Equal(t, want[1], load.Concurrency)
			sent += load.Requests
			return whole(ctx, from, load)
		}
		_, err := Split(t.Context(), fake, rollout.Origin{}, canary, Options{})
		require.NoError(t, err)
		assert.Equal(t, want[0], sent)
	}
}

func TestItEndsWhenThereIsSomethingToSay(t *testing.T) {
	for name, c := range map[string]struct {
		want    map[string]int
		percent int
		opts    Options
		sent    int
		pass    bool
		known   bool
	}{
		"all of a right split, if nothing is asked of its shares": {canary, 10, Options{}, 10_000, true, false},
		"a right split, as soon as it is known":                   {canary, 10, Options{Points: 4}, 4_000, true, true},
		"all to one, sooner":                                      {map[string]int{"v1": 100, "v2": 0}, 0, Options{Points: 4}, 500, true, true},
		"a wrong split, at once":                                  {canary, 50, Options{Points: 2}, 250, false, false},
		"one that gets what it should not":                        {map[string]int{"v1": 100, "v2": 0}, 1, Options{}, 250, false, false},
		"when it is told to":                                      {canary, 10, Options{After: func(r Result) bool { return r.Tally.Requests >= 500 }}, 500, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			rounds := 0
			r, err := Split(t.Context(), mesh(c.percent, 0, &rounds), rollout.Origin{Load: traffic.Load{App: "reviews"}}, c.want, c.opts)
			require.NoError(t, err)
			assert.Equal(t, c.sent, r.Tally.Requests)
			assert.Equal(t, c.pass, r.Split.Pass, r.Split.Why)
			assert.Equal(t, c.known, r.Known)
			assert.Positive(t, rounds)
		})
	}
}

// Requests that a version fails were routed to it all the same; those that none answered are lost.
func TestErrorsOfAVersionCountInTheSplit(t *testing.T) {
	rounds := 0
	r, err := Split(t.Context(), mesh(50, 1, &rounds), rollout.Origin{}, map[string]int{"v1": 50, "v2": 50}, Options{Requests: 1000})
	require.NoError(t, err)
	assert.True(t, r.Split.Pass, r.Split.Why)
	assert.Equal(t, r.Tally.Errors, r.Got["v2"])
	assert.Zero(t, r.Lost())
	assert.Equal(t, 3, Result{Tally: traffic.Tally{Errors: 5, VersionErrors: map[string]int{"v2": 2}}}.Lost())
}

func TestAnInterruptKeepsWhatWasMeasured(t *testing.T) {
	rounds, stop := 0, errors.New("interrupted")
	fake := mesh(10, 0, &rounds)
	whole := fake.OnSend
	fake.OnSend = func(ctx context.Context, from cluster.Place, load traffic.Load) (traffic.Tally, error) {
		if rounds == 2 {
			load.Requests = 10
			tally, _ := whole(ctx, from, load)
			return tally, stop
		}
		return whole(ctx, from, load)
	}
	r, err := Split(t.Context(), fake, rollout.Origin{Name: "front/v1"}, canary, Options{})
	require.ErrorIs(t, err, stop)
	assert.ErrorContains(t, err, "from front/v1")
	assert.Equal(t, 510, r.Tally.Requests)
	assert.True(t, r.Split.Pass)
}
