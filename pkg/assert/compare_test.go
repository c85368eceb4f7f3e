package assert

import (
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"chartbasico/pkg/traffic"
)

func TestFisherIsExact(t *testing.T) {
	choose := func(n, k int) *big.Rat {
		if k < 0 || k > n {
			return new(big.Rat)
		}
		return new(big.Rat).SetInt(new(big.Int).Binomial(int64(n), int64(k)))
	}
	for _, size := range [][2]int{{4, 4}, {1, 9}, {7, 30}, {40, 3}} {
		n, m := size[0], size[1]
		for x := range n + 1 {
			for y := range m + 1 {
				sum := new(big.Rat)
				for i := x; i <= n; i++ {
					sum.Add(sum, new(big.Rat).Mul(choose(x+y, i), choose(n+m-x-y, n-i)))
				}
				want, _ := sum.Quo(sum, choose(n+m, n)).Float64()
				assert.InEpsilon(t, want, fisher(x, n, y, m), 1e-9, "%d of %d and %d of %d", x, n, y, m)
			}
		}
	}
	assert.InEpsilon(t, 17.0/70, fisher(3, 4, 1, 4), 1e-12, "the lady who tastes tea")
	assert.InEpsilon(t, 1.0, fisher(0, 1000, 9000, 9000), 1e-12)
	assert.Less(t, fisher(50, 1000, 0, 9000), 1e-49, "far out in the tail")
}

func TestNoMoreErrors(t *testing.T) {
	of := func(version string, errors, requests int) Served {
		return Served{Version: version, Requests: requests, Errors: errors}
	}
	for name, c := range map[string]struct {
		newer, older Served
		rate         float64
		why          string
	}{
		"none at all":           {of("v2", 0, 1000), of("v1", 0, 9000), rate, ""},
		"as many":               {of("v2", 50, 1000), of("v1", 450, 9000), rate, ""},
		"fewer":                 {of("v2", 0, 1000), of("v1", 9000, 9000), rate, ""},
		"one is no proof":       {of("v2", 1, 1000), of("v1", 0, 9000), rate, ""},
		"five percent":          {of("v2", 50, 1000), of("v1", 0, 9000), rate, "v2 fails more often than v1: so many of the errors fall on it by chance with probability 3.3e-51, less than 1e-06"},
		"ten more than v1":      {of("v2", 150, 1000), of("v1", 450, 9000), rate, "v2 fails more often than v1: so many of the errors fall on it by chance with probability 3.6e-28, less than 1e-06"},
		"nothing of the newer":  {of("v2", 0, 0), of("v1", 0, 9000), rate, "v2 answered nothing, so nothing was compared"},
		"nothing of the older":  {of("v2", 0, 9), of("v1", 0, 0), rate, "v1 answered nothing, so nothing was compared"},
		"a rate that is no one": {of("v2", 0, 9), of("v1", 0, 9), 0, "rate: found 0, expected a number between 0 and 1"},
	} {
		t.Run(name, func(t *testing.T) {
			j := NoMoreErrors(c.newer, c.older, c.rate)
			verdict(t, c.why, j)
		})
	}
}

// With enough requests, a version that fails gets past at most as often as the rate says; with a fifth fewer, more often.
func TestEnoughFindsAVersionThatFails(t *testing.T) {
	const runs = 4000
	past := func(n int, newer, failing, rate float64, r *rand.Rand) float64 {
		passed := 0
		for range runs {
			a, b := Served{Version: "v2"}, Served{Version: "v1"}
			for range n {
				if r.Float64() >= newer {
					b.Requests++
					continue
				}
				a.Requests++
				if r.Float64() < failing {
					a.Errors++
				}
			}
			if NoMoreErrors(a, b, rate).Pass {
				passed++
			}
		}
		return float64(passed) / runs
	}
	for _, newer := range []float64{0.1, 0.5} {
		const failing, rate = 0.05, 0.01
		r := rand.New(rand.NewPCG(7, 8))
		n := Enough(newer, 1-newer, failing, rate)
		assert.LessOrEqual(t, past(n, newer, failing, rate, r), 1.4*rate, "%d at %g", n, newer)
		assert.Greater(t, past(n*4/5, newer, failing, rate, r), rate, "%d at %g", n, newer)
	}
	assert.Greater(t, Enough(0.1, 0.9, 0.05, 1e-7), Enough(0.1, 0.9, 0.05, 1e-6), "a lower rate takes more")
	assert.Greater(t, Enough(0.01, 0.99, 0.05, 1e-6), Enough(0.1, 0.9, 0.05, 1e-6), "a smaller part takes more")
	assert.Greater(t, Enough(0.1, 0.9, 0.01, 1e-6), Enough(0.1, 0.9, 0.05, 1e-6), "rarer errors take more")
}

// took makes a distribution of latencies as the harness counts them.
func took(t testing.TB, durations []time.Duration) traffic.Distribution {
	t.Helper()
	var d traffic.Distribution
	for _, at := range durations {
		from := time.Microsecond
		for from+from/32+1 <= at { // the shape of the real buckets: 3.2% wide
			from += from/32 + 1
		}
		d = d.Add(traffic.Distribution{{From: from, UpTo: from + from/32 + 1, N: 1}})
	}
	return d
}

// latencies are uneven, as real ones are: most about the same, some many times that.
func latencies(r *rand.Rand, n int, factor float64) []time.Duration {
	all := make([]time.Duration, n)
	for i := range all {
		ms := 10 * (1 + r.ExpFloat64())
		if r.IntN(50) == 0 {
			ms *= 10
		}
		all[i] = time.Duration(factor * ms * float64(time.Millisecond))
	}
	return all
}

var limit = Slower{Factor: 1.5, Slack: time.Millisecond}

func TestNotSlower(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	served := func(version string, d []time.Duration) Served {
		return Served{Version: version, Requests: len(d), Latency: took(t, d)}
	}
	older := served("v1", latencies(r, 2700, 1))
	tail := latencies(r, 300, 1)
	for i := range tail {
		if i%10 == 0 {
			tail[i] = time.Second
		}
	}
	for name, c := range map[string]struct {
		newer  Served
		older  Served
		limit  Slower
		slower string // part of why; "" if it passes
	}{
		"the same":               {served("v2", latencies(r, 300, 1)), older, limit, ""},
		"a little slower":        {served("v2", latencies(r, 300, 1.3)), older, limit, ""},
		"faster":                 {served("v2", latencies(r, 300, 0.1)), older, limit, ""},
		"at the limit":           {served("v2", latencies(r, 300, 1.5)), older, limit, ""},
		"twice as slow":          {served("v2", latencies(r, 300, 2)), older, limit, "50th percentile"},
		"slow in one of ten":     {served("v2", tail), older, limit, "99th percentile"},
		"twice, and that is all": {served("v2", latencies(r, 300, 2)), older, Slower{Factor: 3}, ""},
		"nothing to compare":     {served("v2", nil), older, limit, "v2 answered nothing"},
		"nothing to compare to":  {older, served("v2", nil), limit, "v2 answered nothing"},
		"a limit that is none":   {older, older, Slower{}, "limit: found 0 times and 0s"},
	} {
		t.Run(name, func(t *testing.T) {
			j := NotSlower(c.newer, c.older, c.limit, rate)
			assert.Equal(t, c.slower == "", j.Pass, j.Why)
			assert.Contains(t, j.Why, c.slower)
		})
	}
}

// Whatever latencies are like, even in bursts, a version as fast as the other is failed at most as often as rate says:
// which of the two serves a request is drawn by the proxy, so the test needs nothing else to be random.
func TestFalseAlarmsOfComparisonsAreAsRareAsStated(t *testing.T) {
	const rate, runs = 0.05, 2000
	r := rand.New(rand.NewPCG(3, 4))
	slower, failing := 0, 0
	for range runs {
		var newer, older Served
		newer.Version, older.Version = "v2", "v1"
		burst := 1.0
		counts := [2]map[time.Duration]int{{}, {}}
		for range 400 {
			if r.IntN(40) == 0 {
				burst = 0.2 + 20*r.Float64() // a machine that is now busy, now idle
			}
			at := time.Duration(burst*(1+r.Float64())*1000) * time.Microsecond
			if r.IntN(10) == 0 {
				counts[0][at*3/2+time.Millisecond]++ // exactly as slow as may be
			} else {
				counts[1][at]++
			}
			failed := 0
			if r.IntN(30) == 0 {
				failed = 1
			}
			if r.IntN(10) == 0 {
				newer.Requests, newer.Errors = newer.Requests+1, newer.Errors+failed
			} else {
				older.Requests, older.Errors = older.Requests+1, older.Errors+failed
			}
		}
		for i, s := range []*Served{&newer, &older} {
			for at, n := range counts[i] {
				s.Latency = append(s.Latency, traffic.Bucket{From: at, UpTo: at, N: n})
			}
		}
		if newer.Latency.Count() > 0 && !NotSlower(newer, older, limit, rate).Pass {
			slower++
		}
		if newer.Requests > 0 && !NoMoreErrors(newer, older, rate).Pass {
			failing++
		}
	}
	// Three standard deviations above 5% of 2,000.
	assert.LessOrEqual(t, slower, 129)
	assert.LessOrEqual(t, failing, 129)
	assert.Positive(t, slower+failing, "a test that never fails shows nothing")
}

// A version that is worse is found, at the numbers that promote uses by default.
func TestWhatComparisonsFind(t *testing.T) {
	const runs = 300
	each := rate / 7 // the rounds of 10,000 requests
	assert.False(t, NoMoreErrors(Served{Version: "v2", Requests: 1000, Errors: 7}, Served{Version: "v1", Requests: 9000}, each).Pass)
	assert.True(t, NoMoreErrors(Served{Version: "v2", Requests: 1000, Errors: 6}, Served{Version: "v1", Requests: 9000}, each).Pass)
	r := rand.New(rand.NewPCG(5, 6))
	found := 0
	for range runs {
		newer, older := Served{Version: "v2", Requests: 1000}, Served{Version: "v1", Requests: 9000}
		for range newer.Requests {
			if r.IntN(20) == 0 {
				newer.Errors++
			}
		}
		if !NoMoreErrors(newer, older, each).Pass {
			found++
		}
	}
	assert.Equal(t, runs, found, "5%% of a tenth of 10,000 requests fail")
}
