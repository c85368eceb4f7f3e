package assert

import "math"

// SplitSoFar judges a split like Split, but may be asked again and again while requests are counted, and the counting
// may end at any moment for any reason: the probability that it ever fails a mesh that divides as wanted is rate at
// most, over all the times that it is asked.
//
// The evidence against want is the likelihood of the counts averaged over all ways to divide (by Jeffreys' prior, the
// Dirichlet distribution with all parameters 1/2) over their likelihood under want. Under want that is a martingale
// that starts at 1, so by Ville's inequality it ever reaches 1/rate with probability rate at most. PValue is 1 over
// the evidence, 1 at most. Interval has the shares of each version against which there is less evidence than 1/rate
// by the same mixture; with probability 1-rate all of them hold the true shares at all times.
func SplitSoFar(want, got map[string]int, errors int, rate float64) Judgement {
	parts := len(versions(want, got))
	if parts <= 2 {
		parts = 1 // the share of one is what the other leaves, so both intervals fail together
	}
	return judgeSplit(want, got, errors, rate,
		func(weights, observed []int) float64 {
			sum := 0
			for _, w := range weights {
				sum += w
			}
			shares := make([]float64, len(weights))
			for i, w := range weights {
				shares[i] = float64(w) / float64(sum)
			}
			return math.Min(1, math.Exp(-logEvidence(shares, observed)))
		},
		func(x, n int, alpha float64) (lo, hi float64) { return confidenceSequence(x, n, alpha/float64(parts)) })
}

// Known says whether every share is known to within so many points of the wanted percentage, as far as the intervals
// of a judgement say.
func Known(j Judgement, want map[string]int, points float64) bool {
	for version, interval := range j.Interval {
		w := float64(want[version])
		if interval[0] < w-points || interval[1] > w+points {
			return false
		}
	}
	return len(j.Interval) > 0
}

// logEvidence is the logarithm of the mixture's likelihood over that of the shares, which are all more than 0.
func logEvidence(shares []float64, observed []int) float64 {
	const half = 0.5
	n, log := 0.0, 0.0
	for i, x := range observed {
		n += float64(x)
		log += lgamma(float64(x)+half) - lgamma(half)
		if x > 0 {
			log -= float64(x) * math.Log(shares[i])
		}
	}
	k := half * float64(len(shares))
	return log + lgamma(k) - lgamma(n+k)
}

// confidenceSequence returns the shares against which x of n is less evidence than 1/alpha.
func confidenceSequence(x, n int, alpha float64) (lo, hi float64) {
	limit := -math.Log(alpha)
	against := func(p float64) float64 { return logEvidence([]float64{p, 1 - p}, []int{x, n - x}) }
	share := float64(x) / float64(n)
	// Evidence rises on either side of the share that was seen.
	bound := func(far float64) float64 {
		near := share
		for range 200 {
			mid := near + (far-near)/2
			if mid == near || mid == far {
				break
			}
			if against(mid) < limit {
				near = mid
			} else {
				far = mid
			}
		}
		return far
	}
	lo, hi = 0, 1
	if x > 0 {
		lo = bound(0)
	}
	if x < n {
		hi = bound(1)
	}
	return lo, hi
}

func lgamma(x float64) float64 {
	l, _ := math.Lgamma(x)
	return l
}
