package traffic

import (
	"cmp"
	"math/bits"
	"slices"
	"time"
)

// Latency summarises durations. Min and Max are exact; the percentiles are at most 3.2% too high (or 1 µs), since
// they are counted in buckets so that memory does not grow with the number of requests. All are 0 if there were none.
type Latency struct {
	Min time.Duration `json:"min"`
	P50 time.Duration `json:"p50"`
	P90 time.Duration `json:"p90"`
	P99 time.Duration `json:"p99"`
	Max time.Duration `json:"max"`
}

const (
	subBits = 5 // 32 buckets for each power of two
	sub     = 1 << subBits
	// From 1 µs to 2^32 µs, over an hour, which is more than any request may take; above that all is one bucket.
	buckets = sub * (32 - subBits + 1)
)

// histogram counts durations in buckets whose width grows with the duration.
type histogram struct {
	counts   [buckets]uint32
	n        uint64
	min, max time.Duration
}

func (h *histogram) record(d time.Duration) {
	if h.n == 0 || d < h.min {
		h.min = d
	}
	h.max = max(h.max, d)
	h.n++
	h.counts[bucket(d)]++
}

func (h *histogram) add(o *histogram) {
	if o.n == 0 {
		return
	}
	if h.n == 0 || o.min < h.min {
		h.min = o.min
	}
	h.max = max(h.max, o.max)
	h.n += o.n
	for i, c := range o.counts {
		h.counts[i] += c
	}
}

func (h *histogram) summary() Latency {
	return Latency{Min: h.min, P50: h.percentile(50), P90: h.percentile(90), P99: h.percentile(99), Max: h.max}
}

// percentile returns a duration that p percent of the recorded ones do not exceed.
func (h *histogram) percentile(p uint64) time.Duration {
	rank := (h.n*p + 99) / 100
	var seen uint64
	for i, c := range h.counts {
		if seen += uint64(c); seen >= rank && seen > 0 {
			return max(h.min, min(h.max, upper(i)))
		}
	}
	return 0
}

// bucket is linear below 32 µs; above, the highest bit chooses a group and the next five a bucket in it.
func bucket(d time.Duration) int {
	us := uint64(max(d, 0) / time.Microsecond)
	if us < sub {
		return int(us)
	}
	shift := bits.Len64(us) - 1 - subBits
	return min(shift*sub+int(us>>shift), buckets-1)
}

// upper is where a bucket ends and the next begins.
func upper(i int) time.Duration {
	if i < sub {
		return time.Duration(i+1) * time.Microsecond
	}
	shift := i/sub - 1
	us := uint64(i-shift*sub+1) << shift
	return time.Duration(us) * time.Microsecond
}

// lower is where a bucket begins.
func lower(i int) time.Duration {
	if i == 0 {
		return 0
	}
	return upper(i - 1)
}

// Bucket is how many of a number of durations lie between two: from From, which is the least, to below UpTo.
type Bucket struct {
	From time.Duration `json:"from"`
	UpTo time.Duration `json:"upTo"`
	N    int           `json:"n"`
}

// Distribution counts durations in buckets, in order and without empty ones. A bucket ends at most 3.2% (or 1 µs)
// after it begins, and all distributions have the same buckets, so that they can be added.
type Distribution []Bucket

// Add returns the durations of both.
func (d Distribution) Add(o Distribution) Distribution {
	all := slices.Concat(d, o)
	slices.SortStableFunc(all, func(a, b Bucket) int { return cmp.Compare(a.From, b.From) })
	var sum Distribution
	for _, b := range all {
		if last := len(sum) - 1; last >= 0 && sum[last].From == b.From {
			sum[last].N += b.N
			continue
		}
		sum = append(sum, b)
	}
	return sum
}

// Count is how many durations there are.
func (d Distribution) Count() int {
	n := 0
	for _, b := range d {
		n += b.N
	}
	return n
}

// Percentile is a duration that p percent do not exceed: the end of the bucket in which it lies. 0 if there are none.
func (d Distribution) Percentile(p int) time.Duration {
	rank := (d.Count()*p + 99) / 100
	seen := 0
	for _, b := range d {
		if seen += b.N; seen >= rank {
			return b.UpTo
		}
	}
	return 0
}

func (h *histogram) distribution() Distribution {
	var d Distribution
	for i, n := range h.counts {
		if n > 0 {
			d = append(d, Bucket{From: lower(i), UpTo: upper(i), N: int(n)})
		}
	}
	return d
}
