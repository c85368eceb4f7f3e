package assert

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Split judges whether requests divided over versions as wanted.
//
// want is the percentage of each version and sums to 100; got is how many requests each version answered; errors is
// how many were answered by none. rate is how often a mesh that divides exactly as wanted may be failed by chance
// (1e-6: once in a million splits); it must be between 0 and 1.
//
// It fails if there are errors, if a version of weight 0 (or one that want does not name) answered anything, or if the
// exact multinomial test's p-value is rate or less: the probability, under want, of all outcomes that are at most as
// likely as the one seen; errors are not part of it. With up to three live versions that is summed exactly. With k of more than three, the k
// versions are tested one by one by the exact two-sided binomial test, and k times the smallest p-value is taken
// (union bound), which never fails a right mesh more often than rate but sees a small shift less often.
func Split(want, got map[string]int, errors int, rate float64) Judgement {
	return judgeSplit(want, got, errors, rate, multinomialTest, clopperPearson)
}

// judgeSplit judges with a test, which gives the p-value of counts under weights, and intervals at confidence 1-alpha.
func judgeSplit(want, got map[string]int, errors int, rate float64, test func(weights, observed []int) float64, interval func(x, n int, alpha float64) (lo, hi float64)) Judgement {
	answered := total(got)
	j := Judgement{Want: percents(want), Got: counts(got), Interval: map[string][2]float64{}}
	if errors > 0 {
		j.Got += ", " + number(errors, "error")
	}
	var complaints []string
	switch {
	case !(rate > 0 && rate < 1):
		j.Why = fmt.Sprintf("rate: found %v, expected a number between 0 and 1", rate)
		return j
	case answered == 0:
		complaints = append(complaints, "nothing was answered, so nothing was measured")
	}
	if sum := total(want); sum != 100 {
		complaints = append(complaints, fmt.Sprintf("the wanted weights sum to %d, not 100", sum))
	}
	if errors > 0 {
		complaints = append(complaints, fmt.Sprintf("%s of %d requests", number(errors, "error"), answered+errors))
	}
	judged := answered > 0 && total(want) == 100 // else there is nothing to test, or nothing to test against
	var weights, observed []int
	for _, v := range versions(want, got) {
		w, n := want[v], got[v]
		switch {
		case w < 0 || n < 0:
			judged = false
			complaints = append(complaints, fmt.Sprintf("%s: found weight %d and %s, expected 0 or more", v, w, number(n, "answer")))
		case w > 0:
			weights, observed = append(weights, w), append(observed, n)
		case n > 0:
			judged = false // impossible under want, so the p-value is 0
			complaints = append(complaints, fmt.Sprintf("%s answered %s, expected none", v, number(n, "request")))
		}
		if answered > 0 && n >= 0 && n <= answered {
			lo, hi := interval(n, answered, rate)
			j.Interval[v] = [2]float64{100 * lo, 100 * hi}
		}
	}
	if judged {
		j.PValue = test(weights, observed)
		if j.PValue <= rate {
			complaints = append(complaints, fmt.Sprintf("a mesh that divides as wanted is this far off with probability %.2g, less than %.2g", j.PValue, rate))
		}
	}
	j.Pass, j.Why = len(complaints) == 0, strings.Join(complaints, "; ")
	return j
}

func versions(want, got map[string]int) []string {
	all := maps.Clone(got)
	if all == nil {
		all = map[string]int{}
	}
	maps.Copy(all, want)
	return slices.Sorted(maps.Keys(all))
}

// multinomialTest returns the p-value of the observed counts if each request falls on i with probability
// weights[i]/sum(weights), independently. All weights are positive.
func multinomialTest(weights, observed []int) float64 {
	n, sum := 0, 0
	for i := range weights {
		n += observed[i]
		sum += weights[i]
	}
	share := func(i int) float64 { return float64(weights[i]) / float64(sum) }
	fact := logFactorials(n)
	switch len(weights) {
	case 1:
		return 1
	case 2:
		b := newBinomial(fact, n, share(0))
		return math.Min(1, b.atMostAsLikely(b.log(observed[0])))
	case 3:
		return trinomial(fact, n, share(0), share(1), share(2), observed)
	}
	p := 1.0
	for i, x := range observed {
		b := newBinomial(fact, n, share(i))
		p = math.Min(p, b.atMostAsLikely(b.log(x)))
	}
	return math.Min(1, p*float64(len(weights)))
}

// trinomial walks over the count of the first version; the second's is then binomial among the rest, so that its
// outcomes that are at most as likely as the observed one are its two tails.
func trinomial(fact []float64, n int, p0, p1, p2 float64, observed []int) float64 {
	first := newBinomial(fact, n, p0)
	second := func(x int) binomial { return newBinomial(fact, n-x, p1/(p1+p2)) }
	limit := first.log(observed[0]) + second(observed[0]).log(observed[1])
	p := 0.0
	for x := range n + 1 {
		l := first.log(x)
		p += math.Exp(l) * second(x).atMostAsLikely(limit-l)
	}
	return math.Min(1, p)
}
