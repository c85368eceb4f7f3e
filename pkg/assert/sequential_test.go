package assert

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
)

// watch counts requests one by one that divide as truth says, and judges them at every 25th, as someone would who
// stops as soon as there is something to say.
func watch(r *rand.Rand, want map[string]int, truth float64, most int, rate, points float64) (failed, known, covered bool) {
	got := map[string]int{"v1": 0, "v2": 0}
	covered = true
	for n := 1; n <= most; n++ {
		if r.Float64() < truth {
			got["v2"]++
		} else {
			got["v1"]++
		}
		if n%25 != 0 {
			continue
		}
		j := SplitSoFar(want, got, 0, rate)
		i := j.Interval["v2"]
		covered = covered && i[0] <= 100*truth && 100*truth <= i[1]
		if !j.Pass {
			return true, false, covered
		}
		known = known || Known(j, want, points)
	}
	return false, known, covered
}

// Looking at every step does not fail a right mesh more often than stated, leaves the true share outside of the
// intervals no more often, and does not call a wrong share known.
func TestErrorRatesOfTheSequentialTest(t *testing.T) {
	const rate, runs = 0.05, 600
	most := rate*runs + 3*math.Sqrt(runs*rate*(1-rate)) // three standard deviations above what is stated
	r := rand.New(rand.NewPCG(1, 2))
	want := map[string]int{"v1": 90, "v2": 10}
	failed, uncovered, wrong := 0.0, 0.0, 0.0
	for range runs {
		f, _, c := watch(r, want, 0.10, 1500, rate, 5)
		if f {
			failed++
		}
		if !c {
			uncovered++
		}
		if _, known, _ := watch(r, want, 0.151, 1500, rate, 5); known { // just beyond five points off
			wrong++
		}
	}
	assert.LessOrEqual(t, failed, most, "a right mesh failed")
	assert.LessOrEqual(t, uncovered, most, "a true share outside of its interval")
	assert.LessOrEqual(t, wrong, most, "a wrong share called known")
	assert.Positive(t, failed+uncovered, "a test that never fails shows nothing")
}

// The same for a fixed test that is asked again and again: it is wrong far more often than it says, which is why the
// sequential one is needed.
func TestAFixedTestMayNotBeAskedAgain(t *testing.T) {
	const rate, runs = 0.05, 200
	r := rand.New(rand.NewPCG(3, 4))
	failed := 0
	for range runs {
		x := 0
		for n := 1; n <= 1500; n++ {
			if r.IntN(10) == 0 {
				x++
			}
			if n%25 == 0 && !Split(map[string]int{"v1": 90, "v2": 10}, map[string]int{"v1": n - x, "v2": x}, 0, rate).Pass {
				failed++
				break
			}
		}
	}
	assert.Greater(t, failed, int(3*rate*runs))
}

func TestTheSequentialTestFindsAWrongSplit(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 50 {
		failed, _, _ := watch(r, map[string]int{"v1": 90, "v2": 10}, 0.15, 5000, rate, 1)
		assert.True(t, failed)
	}
}

func TestSplitSoFar(t *testing.T) {
	for name, c := range map[string]struct {
		want, got map[string]int
		errors    int
		why       string
	}{
		"as wanted":   {map[string]int{"v1": 90, "v2": 10}, map[string]int{"v1": 903, "v2": 97}, 0, ""},
		"all to one":  {map[string]int{"v1": 100, "v2": 0}, map[string]int{"v1": 1000}, 0, ""},
		"three":       {map[string]int{"v1": 50, "v2": 30, "v3": 20}, map[string]int{"v1": 510, "v2": 290, "v3": 200}, 0, ""},
		"a stranger":  {map[string]int{"v1": 100, "v2": 0}, map[string]int{"v1": 999, "v2": 1}, 0, "v2 answered 1 request, expected none"},
		"an error":    {map[string]int{"v1": 100}, map[string]int{"v1": 999}, 1, "1 error of 1000 requests"},
		"nothing":     {map[string]int{"v1": 100}, nil, 0, "nothing was answered, so nothing was measured"},
		"swapped":     {map[string]int{"v1": 90, "v2": 10}, map[string]int{"v1": 97, "v2": 903}, 0, "a mesh that divides as wanted is this far off with probability 0, less than 1e-06"},
		"sum is off":  {map[string]int{"v1": 90}, map[string]int{"v1": 97}, 0, "the wanted weights sum to 90, not 100"},
		"three wrong": {map[string]int{"v1": 50, "v2": 30, "v3": 20}, map[string]int{"v1": 510, "v2": 200, "v3": 290}, 0, "a mesh that divides as wanted is this far off with probability 1.1e-13, less than 1e-06"},
	} {
		t.Run(name, func(t *testing.T) { verdict(t, c.why, SplitSoFar(c.want, c.got, c.errors, rate)) })
	}
}

// How many requests it takes until a share is known to within two points, beside a fixed test: the documentation says so.
func TestKnown(t *testing.T) {
	for v1, sequential := range map[int]int{100: 900, 90: 9400, 50: 23900} {
		want := map[string]int{"v1": v1, "v2": 100 - v1}
		exactly := func(n int) map[string]int { return map[string]int{"v1": n * v1 / 100, "v2": n - n*v1/100} }
		assert.True(t, Known(SplitSoFar(want, exactly(sequential), 0, rate), want, 2), "%d%%", v1)
		assert.False(t, Known(SplitSoFar(want, exactly(sequential-100), 0, rate), want, 2), "%d%%", v1)
		fixed := sequential * 10 / 16
		assert.False(t, Known(Split(want, exactly(fixed-100), 0, rate), want, 2), "%d%%: the price is more than six tenths", v1)
	}
	assert.False(t, Known(Judgement{}, map[string]int{"v1": 100}, 100), "nothing is known of nothing")
}
