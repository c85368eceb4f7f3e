package assert

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"chartbasico/pkg/traffic"
)

// Served is what one version answered.
type Served struct {
	Version string
	// Requests is how many answers it gave, Errors how many of them were errors.
	Requests, Errors int
	// Latency is of the good ones.
	Latency traffic.Distribution
}

// NoMoreErrors judges that errors are no more frequent with one version than with another that served at the same time.
// It fails if Fisher's exact one-sided test says so at rate: if so large a part of all errors would fall on the first
// version by chance with probability rate or less, each request being as likely to go wrong with one as with the other.
func NoMoreErrors(newer, older Served, rate float64) Judgement {
	j := Judgement{
		Want: fmt.Sprintf("errors no more frequent than with %s", older.Version),
		Got:  fmt.Sprintf("%s; %s", newer.errors(), older.errors()),
	}
	if j.Why = unfit(newer.Requests, older.Requests, newer, older, rate); j.Why != "" {
		return j
	}
	j.PValue = fisher(newer.Errors, newer.Requests, older.Errors, older.Requests)
	if j.Pass = j.PValue > rate; !j.Pass {
		j.Why = fmt.Sprintf("%s fails more often than %s: so many of the errors fall on it by chance with probability %.2g, less than %.2g", newer.Version, older.Version, j.PValue, rate)
	}
	return j
}

// Enough is how many requests it takes for NoMoreErrors to find a version that fails such a part of its requests beside
// one that fails none: with so many, it gets past with probability rate at most. newer and older are the parts of the
// requests that each of the two gets. All are more than 0; parts are 1 at most, and failing and rate less.
func Enough(newer, older, failing, rate float64) int {
	enough := func(n int) bool { return getsPast(n, newer, older, failing, rate) <= rate }
	most := 1
	for !enough(most) {
		most *= 2
	}
	return most/2 + sort.Search(most-most/2, func(more int) bool { return enough(most/2 + more) })
}

// getsPast is the probability that n requests are not enough, over how many of them chance gives to the newer version,
// and how many of these fail.
func getsPast(n int, newer, older, failing, rate float64) float64 {
	fact := logFactorials(n)
	past := func(ofNewer, ofOlder int) float64 {
		proof, byChance := 0, 1.0 // that so many errors all fall on the newer version
		for ; byChance > rate && proof < ofNewer; proof++ {
			byChance *= float64(ofNewer-proof) / float64(ofNewer+ofOlder-proof)
		}
		if byChance > rate || float64(proof) > float64(ofNewer)*failing {
			return 1 // no number of errors is proof, or more than are expected
		}
		return newBinomial(fact, ofNewer, failing).upTo(proof - 1)
	}
	if newer == 1 {
		return past(n, int(float64(n)*older))
	}
	gets := newBinomial(fact, n, newer)
	mean := float64(n) * newer
	most := 8 * math.Sqrt(mean*(1-newer)) // what is farther off is too rare to count
	sum := 0.0
	for ofNewer := max(0, int(mean-most)); ofNewer <= min(n, int(mean+most)+1); ofNewer++ {
		sum += math.Exp(gets.log(ofNewer)) * past(ofNewer, int(float64(n-ofNewer)*older/(1-newer)))
	}
	return sum
}

// Slower is by how much a version may be slower before it counts: Factor times as long, and Slack longer.
type Slower struct {
	Factor float64
	Slack  time.Duration
}

func (s Slower) String() string { return fmt.Sprintf("%g times and %v", s.Factor, s.Slack) }

func (s Slower) of(d time.Duration) time.Duration {
	return time.Duration(s.Factor*float64(d)) + s.Slack
}

// percentiles are those at which latencies are compared.
var percentiles = []int{50, 90, 99}

// NotSlower judges that answers of one version take no longer than those of another may at most: limit of each. At
// each of the 50th, 90th and 99th percentile of both together, after limit has been laid on those of the older, it
// asks how many answers of each take longer, and takes Fisher's exact one-sided test of these two counts, at a third
// of rate for each percentile. (The first is Mood's median test.) PValue is three times the smallest of the three.
//
// It assumes nothing of how latencies are distributed. A bucket of the newer counts as its beginning and one of the
// older as its end, so that counting in buckets, which are 3.2% wide, never fails a version that is within limit.
func NotSlower(newer, older Served, limit Slower, rate float64) Judgement {
	n, o := newer.Latency.Count(), older.Latency.Count()
	j := Judgement{
		Want: fmt.Sprintf("not slower than %s by more than %v", older.Version, limit),
		Got:  fmt.Sprintf("%s; %s", newer.latency(), older.latency()),
	}
	if limit.Factor <= 0 || limit.Slack < 0 {
		j.Why = fmt.Sprintf("limit: found %v, expected a factor above 0 and a slack of 0 or more", limit)
		return j
	}
	if j.Why = unfit(n, o, newer, older, rate); j.Why != "" {
		return j
	}
	type value struct {
		at     time.Duration
		newer  bool
		number int
	}
	var values []value
	for _, b := range newer.Latency {
		values = append(values, value{b.From, true, b.N})
	}
	for _, b := range older.Latency {
		values = append(values, value{limit.of(b.UpTo), false, b.N})
	}
	slices.SortFunc(values, func(a, b value) int { return cmp.Compare(a.at, b.at) })
	above := func(p int) (ofNewer, ofOlder int) {
		rank := ((n+o)*p + 99) / 100
		seen := 0
		i := slices.IndexFunc(values, func(v value) bool { seen += v.number; return seen >= rank })
		for _, v := range values[i:] {
			switch {
			case v.at == values[i].at:
			case v.newer:
				ofNewer += v.number
			default:
				ofOlder += v.number
			}
		}
		return ofNewer, ofOlder
	}
	j.PValue = 1
	for _, p := range percentiles {
		ofNewer, ofOlder := above(p)
		pValue := fisher(ofNewer, n, ofOlder, o) * float64(len(percentiles))
		if pValue <= rate {
			j.Why = join(j.Why, fmt.Sprintf("%s is slower than %s by more than %v: of all answers, %s exceed the %dth percentile of both, by chance with probability %.2g, less than %.2g",
				newer.Version, older.Version, limit, shares(ofNewer, n, newer.Version, ofOlder, o, older.Version), p, pValue, rate))
		}
		j.PValue = math.Min(j.PValue, pValue)
	}
	j.Pass = j.Why == ""
	return j
}

func join(a, b string) string { return strings.TrimPrefix(a+"; "+b, "; ") }

func shares(x, n int, a string, y, m int, b string) string {
	return fmt.Sprintf("%.1f%% of %s and %.1f%% of %s", 100*float64(x)/float64(n), a, 100*float64(y)/float64(m), b)
}

// unfit says why nothing can be compared, or nothing.
func unfit(n, o int, newer, older Served, rate float64) string {
	switch {
	case !(rate > 0 && rate < 1):
		return fmt.Sprintf("rate: found %v, expected a number between 0 and 1", rate)
	case n == 0:
		return newer.Version + " answered nothing, so nothing was compared"
	case o == 0:
		return older.Version + " answered nothing, so nothing was compared"
	}
	return ""
}

func (s Served) errors() string {
	if s.Requests == 0 {
		return s.Version + " answered nothing"
	}
	return fmt.Sprintf("%s %d of %d (%.2f%%)", s.Version, s.Errors, s.Requests, 100*float64(s.Errors)/float64(s.Requests))
}

func (s Served) latency() string {
	if s.Latency.Count() == 0 {
		return s.Version + " answered nothing well"
	}
	var parts []string
	for _, p := range percentiles {
		parts = append(parts, fmt.Sprintf("%v", s.Latency.Percentile(p).Round(10*time.Microsecond)))
	}
	return s.Version + " " + strings.Join(parts, ", ")
}

// fisher is the probability that x or more of the x+y marked ones are among n of n+m, drawn at random.
func fisher(x, n, y, m int) float64 {
	marked, all := x+y, n+m
	least, most := max(0, marked-m), min(marked, n)
	if x <= least {
		return 1
	}
	choose := func(a, b int) float64 {
		return lgamma(float64(a)+1) - lgamma(float64(b)+1) - lgamma(float64(a-b)+1)
	}
	exactly := func(i int) float64 {
		return math.Exp(choose(marked, i) + choose(all-marked, n-i) - choose(all, n))
	}
	// up is the probability of i+1 over that of i.
	up := func(i int) float64 {
		return float64(marked-i) / float64(i+1) * float64(n-i) / float64(m-marked+i+1)
	}
	if mode := (marked + 1) * (n + 1) / (all + 2); x > mode {
		sum := 0.0
		for i, term := x, exactly(x); i <= most && term > sum*epsilon; i++ {
			sum += term
			term *= up(i)
		}
		return math.Min(1, sum)
	}
	sum := 0.0
	for i, term := x-1, exactly(x-1); i >= least && term > sum*epsilon; i-- {
		sum += term
		if i > least {
			term /= up(i - 1)
		}
	}
	return math.Max(0, 1-sum)
}
