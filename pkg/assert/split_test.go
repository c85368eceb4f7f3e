package assert

import (
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mathext"
)

const rate = 1e-6

func split10(x, n int) Judgement {
	return Split(map[string]int{"v1": 90, "v2": 10}, map[string]int{"v1": n - x, "v2": x}, 0, rate)
}

// The numbers that the documentation states.
func TestSplitOfTenPercentOfAThousandPassesFrom57To149(t *testing.T) {
	for x := range 1001 {
		assert.Equal(t, x >= 57 && x <= 149, split10(x, 1000).Pass, "%d of 1000", x)
	}
}

// What SciPy's binomtest gives.
func TestSplitAgreesWithSciPy(t *testing.T) {
	for _, c := range []struct {
		x, n, percent int
		p             float64
	}{
		{0, 10, 50, 0.001953125},
		{1, 10, 50, 0.021484375},
		{5, 10, 50, 1},
		{8, 10, 50, 0.109375},
		{0, 20, 10, 0.25452997802490435},
		{5, 20, 10, 0.04317449528446339},
		{10, 20, 25, 0.017035628882695168},
		{56, 1000, 10, 8.404749085662261e-07},
		{57, 1000, 10, 1.4563906857500156e-06},
		{149, 1000, 10, 1.1125374989202748e-06},
		{150, 1000, 10, 6.536140136047196e-07},
		{8992, 10000, 90, 0.7897164640859118},
		{0, 1000, 10, 3.1214611845456287e-46},
	} {
		t.Run(fmt.Sprintf("%d of %d at %d%%", c.x, c.n, c.percent), func(t *testing.T) {
			j := Split(map[string]int{"a": c.percent, "b": 100 - c.percent}, map[string]int{"a": c.x, "b": c.n - c.x}, 0, rate)
			assert.InEpsilon(t, c.p, j.PValue, 1e-8)
		})
	}
}

// exact is the p-value in rational numbers, without logarithms, shortcuts or rounding: every outcome is enumerated.
func exact(weights, observed []int) float64 {
	n, sum := 0, 0
	for i := range weights {
		n += observed[i]
		sum += weights[i]
	}
	// The common denominator sum^n is left out until the end.
	probability := func(x []int) *big.Int {
		p, left := big.NewInt(1), n
		for i, c := range x {
			p.Mul(p, new(big.Int).Binomial(int64(left), int64(c)))
			p.Mul(p, new(big.Int).Exp(big.NewInt(int64(weights[i])), big.NewInt(int64(c)), nil))
			left -= c
		}
		return p
	}
	limit, all := probability(observed), new(big.Int)
	for _, x := range outcomes(len(weights), n) {
		if p := probability(x); p.Cmp(limit) <= 0 {
			all.Add(all, p)
		}
	}
	whole := new(big.Int).Exp(big.NewInt(int64(sum)), big.NewInt(int64(n)), nil)
	f, _ := new(big.Rat).SetFrac(all, whole).Float64()
	return f
}

// outcomes lists all ways to divide n over k.
func outcomes(k, n int) [][]int {
	if k == 1 {
		return [][]int{{n}}
	}
	var all [][]int
	for x := range n + 1 {
		for _, rest := range outcomes(k-1, n-x) {
			all = append(all, append([]int{x}, rest...))
		}
	}
	return all
}

func TestMultinomialTestAgreesWithEnumeration(t *testing.T) {
	for _, c := range []struct {
		weights []int
		n       int
	}{
		{[]int{90, 10}, 1}, {[]int{90, 10}, 40}, {[]int{50, 50}, 31}, {[]int{1, 99}, 60}, {[]int{37, 63}, 25},
		{[]int{80, 15, 5}, 18}, {[]int{1, 1, 98}, 15}, {[]int{33, 33, 34}, 14}, {[]int{50, 25, 25}, 16}, {[]int{98, 1, 1}, 1},
	} {
		t.Run(fmt.Sprint(c.weights, c.n), func(t *testing.T) {
			for _, x := range outcomes(len(c.weights), c.n) {
				want := exact(c.weights, x)
				require.InEpsilon(t, want, multinomialTest(c.weights, x), 1e-9, "%v", x)
			}
		})
	}
}

// A test keeps its rate if the outcomes that it rejects have at most that probability together.
func TestSplitKeepsItsRateOfFalseAlarms(t *testing.T) {
	for _, c := range []struct {
		weights []int
		n       int
		rate    float64
		least   float64 // of rate that is used; the rest is the price of whole numbers, or of the union bound
	}{
		{[]int{90, 10}, 1000, 1e-6, 0.5},
		{[]int{90, 10}, 10000, 1e-6, 0.8},
		{[]int{50, 50}, 2000, 1e-6, 0.7},
		{[]int{99, 1}, 1000, 1e-3, 0.2},
		{[]int{80, 15, 5}, 120, 1e-3, 0.9},
		{[]int{50, 30, 20}, 120, 1e-6, 0.9},
		{[]int{40, 30, 20, 10}, 30, 0.05, 0.3},
		{[]int{70, 20, 5, 5}, 24, 0.01, 0.1},
	} {
		t.Run(fmt.Sprint(c.weights, c.n, c.rate), func(t *testing.T) {
			want := map[string]int{}
			for i, w := range c.weights {
				want[fmt.Sprint("v", i)] = w
			}
			fact := logFactorials(c.n)
			rejected, all := 0.0, 0.0
			for _, x := range outcomes(len(c.weights), c.n) {
				l, got := fact[c.n], map[string]int{}
				for i, n := range x {
					l += float64(n)*math.Log(float64(c.weights[i])/100) - fact[n]
					got[fmt.Sprint("v", i)] = n
				}
				all += math.Exp(l)
				if p := math.Exp(l); p > c.rate || p < 1e-20 {
					continue // its p-value is no lower than its own probability; or it adds nothing to the sum
				}
				if !passes(c.weights, x, c.rate) {
					rejected += math.Exp(l)
				}
			}
			require.InDelta(t, 1, all, 1e-9)
			t.Logf("rejects a right mesh with probability %.3g, stated %.3g", rejected, c.rate)
			assert.LessOrEqual(t, rejected, c.rate)
			assert.GreaterOrEqual(t, rejected, c.least*c.rate, "the test could be stricter")
		})
	}
}

func passes(weights, observed []int, rate float64) bool {
	return multinomialTest(weights, observed) > rate
}

// power is the probability that Split fails a mesh whose true share of v2 is actual percent where 10% is wanted.
func power(n int, actual float64) float64 {
	fact := logFactorials(n)
	wanted, b := newBinomial(fact, n, 0.1), newBinomial(fact, n, actual/100)
	caught := 0.0
	for x := range n + 1 {
		if wanted.atMostAsLikely(wanted.log(x)) <= rate {
			caught += math.Exp(b.log(x))
		}
	}
	return caught
}

func TestSplitSeesSmallShiftsGivenEnoughRequests(t *testing.T) {
	for _, c := range []struct {
		n        int
		actual   float64
		atLeast  float64
		lessThan float64
	}{
		{1000, 10, 0, 1e-6},
		{1000, 15, 0.3, 0.7},
		{1000, 20, 0.9999, 1.1},
		{10000, 11, 0, 0.2}, // one percent point is not seen with 10,000 …
		{10000, 12, 0.9, 1},
		{100000, 11, 0.9999, 1.1}, // … but is with 100,000
	} {
		t.Run(fmt.Sprint(c.n, " ", c.actual), func(t *testing.T) {
			p := power(c.n, c.actual)
			t.Logf("%d requests, true share %g%% where 10%% is wanted: caught with probability %.6g", c.n, c.actual, p)
			assert.GreaterOrEqual(t, p, c.atLeast)
			assert.Less(t, p, c.lessThan)
		})
	}
}

func TestSplitFailures(t *testing.T) {
	type m = map[string]int
	for name, c := range map[string]struct {
		want, got m
		errors    int
		rate      float64
		why       string
	}{
		"far off":           {m{"v1": 90, "v2": 10}, m{"v1": 800, "v2": 200}, 0, rate, "a mesh that divides as wanted is this far off with probability 3.7e-21, less than 1e-06"},
		"three far off":     {m{"v1": 80, "v2": 10, "v3": 10}, m{"v1": 800, "v2": 50, "v3": 150}, 0, rate, "a mesh that divides as wanted is this far off with probability 4.8e-12, less than 1e-06"},
		"four far off":      {m{"a": 25, "b": 25, "c": 25, "d": 25}, m{"a": 250, "b": 250, "c": 150, "d": 350}, 0, rate, "a mesh that divides as wanted is this far off with probability 6.5e-14, less than 1e-06"},
		"suspiciously none": {m{"v1": 90, "v2": 10}, m{"v1": 1000}, 0, rate, "a mesh that divides as wanted is this far off with probability 3.1e-46, less than 1e-06"},
		"weight 0":          {m{"v1": 100, "v2": 0}, m{"v1": 9999, "v2": 1}, 0, rate, "v2 answered 1 request, expected none"},
		"unknown version":   {m{"v1": 100}, m{"v1": 9998, "v9": 2}, 0, rate, "v9 answered 2 requests, expected none"},
		"errors":            {m{"v1": 100}, m{"v1": 9999}, 1, rate, "1 error of 10000 requests"},
		"errors, far off":   {m{"v1": 90, "v2": 10}, m{"v1": 800, "v2": 200}, 3, rate, "3 errors of 1003 requests; a mesh that divides as wanted is this far off with probability 3.7e-21, less than 1e-06"},
		"nothing":           {m{"v1": 100}, nil, 0, rate, "nothing was answered, so nothing was measured"},
		"only errors":       {m{"v1": 100}, nil, 7, rate, "nothing was answered, so nothing was measured; 7 errors of 7 requests"},
		"weights":           {m{"v1": 90, "v2": 9}, m{"v1": 90, "v2": 9}, 0, rate, "the wanted weights sum to 99, not 100"},
		"negative":          {m{"v1": 110, "v2": -10}, m{"v1": 90}, 0, rate, "v2: found weight -10 and 0 answers, expected 0 or more"},
		"no rate":           {m{"v1": 100}, m{"v1": 9}, 0, 0, "rate: found 0, expected a number between 0 and 1"},
		"rate not a number": {m{"v1": 100}, m{"v1": 9}, 0, math.NaN(), "rate: found NaN, expected a number between 0 and 1"},
	} {
		t.Run(name, func(t *testing.T) {
			j := Split(c.want, c.got, c.errors, c.rate)
			assert.False(t, j.Pass)
			assert.Equal(t, c.why, j.Why)
			if name != "errors" { // which leave nothing to say about the division
				assert.Less(t, j.PValue, 1e-6)
			}
		})
	}
}

func TestSplitThatHolds(t *testing.T) {
	j := Split(map[string]int{"v1": 90, "v2": 10, "v3": 0}, map[string]int{"v1": 8992, "v2": 1008}, 0, rate)
	assert.True(t, j.Pass)
	assert.Empty(t, j.Why)
	assert.Equal(t, "v1 90%, v2 10%, v3 0%", j.Want)
	assert.Equal(t, "v1 8992, v2 1008", j.Got)
	assert.InDelta(t, 0.80, j.PValue, 0.02)
	assert.Len(t, j.Interval, 3)
	assert.Zero(t, j.Interval["v3"][0])

	one := Split(map[string]int{"v1": 100}, map[string]int{"v1": 10000}, 0, rate)
	assert.True(t, one.Pass)
	assert.InDelta(t, 1.0, one.PValue, 0)
	assert.InDelta(t, 100.0, one.Interval["v1"][1], 0)

	four := Split(map[string]int{"a": 25, "b": 25, "c": 25, "d": 25}, map[string]int{"a": 2500, "b": 2450, "c": 2520, "d": 2530}, 0, rate)
	assert.True(t, four.Pass)
}

// What SciPy's binomtest gives, and the exact form of the rule of three.
func TestClopperPearson(t *testing.T) {
	for _, c := range []struct {
		x, n        int
		alpha       float64
		lo, hi, tol float64
	}{
		{0, 10, 0.05, 0, 0.30849710781876294, 1e-10},
		{10, 10, 0.05, 0.6915028921812371, 1, 1e-10},
		{8, 10, 0.05, 0.4439045376923585, 0.9747892736731665, 1e-10},
		{100, 1000, 0.05, 0.08210533435558, 0.12028793651869371, 1e-10},
		{1008, 10000, 1e-6, 0.0866775697296499, 0.11622787187489717, 1e-10},
		{0, 10000, 1e-6, 0, 1 - math.Pow(5e-7, 1e-4), 1e-12},
	} {
		lo, hi := clopperPearson(c.x, c.n, c.alpha)
		assert.InDelta(t, c.lo, lo, c.tol, "%d of %d", c.x, c.n)
		assert.InDelta(t, c.hi, hi, c.tol, "%d of %d", c.x, c.n)
	}
}

// The ends of an interval are where the tails have half of alpha each, summed here term by term and not by the beta
// function that found them.
func TestClopperPearsonEndsWhereTheTailsAreHalfOfAlpha(t *testing.T) {
	for _, n := range []int{10, 1000, 10000} {
		fact := logFactorials(n)
		for _, x := range []int{1, n / 10, n / 2, n - 1} {
			lo, hi := clopperPearson(x, n, rate)
			assert.InEpsilon(t, rate/2, newBinomial(fact, n, lo).from(x), 1e-6, "%d of %d from %g", x, n, lo)
			assert.InEpsilon(t, rate/2, newBinomial(fact, n, hi).upTo(x), 1e-6, "%d of %d to %g", x, n, hi)
		}
	}
}

func TestTailsAgreeWithTheBetaFunction(t *testing.T) {
	const n = 2000
	b := newBinomial(logFactorials(n), n, 0.3)
	for _, x := range []int{0, 1, 300, 500, 599} {
		assert.InEpsilon(t, mathext.RegIncBeta(float64(n-x), float64(x)+1, 0.7)+1e-300, b.upTo(x)+1e-300, 1e-8, "up to %d", x)
	}
	for _, x := range []int{601, 700, 900, 1999} {
		assert.InEpsilon(t, mathext.RegIncBeta(float64(x), float64(n-x)+1, 0.3)+1e-300, b.from(x)+1e-300, 1e-8, "from %d", x)
	}
}

func BenchmarkSplit(b *testing.B) {
	for name, c := range map[string][2]map[string]int{
		"two":   {{"v1": 90, "v2": 10}, {"v1": 8992, "v2": 1008}},
		"three": {{"v1": 80, "v2": 15, "v3": 5}, {"v1": 8010, "v2": 1480, "v3": 510}},
		"four":  {{"v1": 70, "v2": 15, "v3": 10, "v4": 5}, {"v1": 7010, "v2": 1480, "v3": 1010, "v4": 500}},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if !Split(c[0], c[1], 0, rate).Pass {
					b.Fatal("did not pass")
				}
			}
		})
	}
}
