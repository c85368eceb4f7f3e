package assert

import (
	"math"
	"sort"

	"gonum.org/v1/gonum/mathext"
)

// tie is how much two logarithms of equal probabilities may differ by rounding. Outcomes within it count as equally
// likely, so rounding can make a p-value too large by that little, not too small.
const tie = 1e-7

// logFactorials returns log(i!) for i up to n.
func logFactorials(n int) []float64 {
	f := make([]float64, n+1)
	for i := range f {
		f[i], _ = math.Lgamma(float64(i) + 1)
	}
	return f
}

// binomial is the distribution of the number of successes in n trials, each of probability p, 0 < p < 1.
type binomial struct {
	fact       []float64 // log(i!) up to n at least
	n          int
	p          float64
	logP, logQ float64
}

func newBinomial(fact []float64, n int, p float64) binomial {
	return binomial{fact: fact, n: n, p: p, logP: math.Log(p), logQ: math.Log1p(-p)}
}

// log is the logarithm of the probability of exactly x successes.
func (b binomial) log(x int) float64 {
	return b.fact[b.n] - b.fact[x] - b.fact[b.n-x] + float64(x)*b.logP + float64(b.n-x)*b.logQ
}

// atMostAsLikely is the probability of all outcomes whose log probability is at most limit: two tails, since
// probabilities rise up to the mode and fall after it.
func (b binomial) atMostAsLikely(limit float64) float64 {
	limit += tie
	mode := min(int(float64(b.n+1)*b.p), b.n)
	if b.log(mode) <= limit {
		return 1
	}
	below := sort.Search(mode, func(x int) bool { return b.log(x) > limit }) - 1
	above := mode + sort.Search(b.n-mode+1, func(i int) bool { return b.log(mode+i) <= limit })
	return b.upTo(below) + b.from(above)
}

// upTo is the probability of x successes or fewer, for x below the mode.
func (b binomial) upTo(x int) float64 {
	sum := 0.0
	odds := (1 - b.p) / b.p
	for term := b.first(x); term > sum*epsilon; x-- {
		sum += term
		term *= float64(x) / float64(b.n-x+1) * odds
	}
	return sum
}

// from is the probability of x successes or more, for x above the mode.
func (b binomial) from(x int) float64 {
	sum := 0.0
	odds := b.p / (1 - b.p)
	for term := b.first(x); term > sum*epsilon; x++ {
		sum += term
		term *= float64(b.n-x) / float64(x+1) * odds
	}
	return sum
}

// epsilon ends the sum of a tail. Terms fall ever faster, so what follows is of that order too.
const epsilon = 1e-18

func (b binomial) first(x int) float64 {
	if x < 0 || x > b.n {
		return 0
	}
	return math.Exp(b.log(x))
}

// clopperPearson returns the interval of shares which x of n does not contradict: below lo, x or more, and above hi,
// x or fewer, would have a probability under alpha/2.
func clopperPearson(x, n int, alpha float64) (lo, hi float64) {
	lo, hi = 0, 1
	if x > 0 {
		lo = betaQuantile(float64(x), float64(n-x+1), alpha/2)
	}
	if x < n {
		// By symmetry, so that a small alpha is not lost in 1 - alpha.
		hi = 1 - betaQuantile(float64(n-x), float64(x+1), alpha/2)
	}
	return lo, hi
}

// betaQuantile is the y at which the beta distribution's probability reaches p, by bisection: gonum's own inverse
// gives up its accuracy far out in the tail.
func betaQuantile(a, b, p float64) float64 {
	lo, hi := 0.0, 1.0
	for range 200 {
		mid := lo + (hi-lo)/2
		if mid == lo || mid == hi {
			break
		}
		if mathext.RegIncBeta(a, b, mid) < p {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

// atLeast is the exact probability of x successes or more in n trials of probability p.
func atLeast(x, n int, p float64) float64 {
	switch {
	case x <= 0:
		return 1
	case x > n:
		return 0
	}
	return mathext.RegIncBeta(float64(x), float64(n-x+1), p)
}
