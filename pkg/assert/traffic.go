package assert

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"
)

// Alternates judges whether round robin really takes turns: sequence is the pod of each answer in the order sent, one
// request at a time over one connection; pods are those that should take turns, two or more. Every run of len(pods)
// answers must have each pod once, so the order is the same all the way and counts differ by at most 1.
func Alternates(sequence, pods []string) Judgement {
	pods = slices.Sorted(slices.Values(pods))
	got := map[string]int{}
	for _, p := range sequence {
		got[p]++
	}
	if n := got[""]; n > 0 {
		delete(got, "")
		got["(error)"] = n
	}
	want := "turns between " + strings.Join(pods, ", ")
	var complaints []string
	if len(pods) < 2 {
		complaints = append(complaints, fmt.Sprintf("%s cannot take turns, expected 2 or more", number(len(pods), "pod")))
	} else if len(sequence) < 2*len(pods) {
		complaints = append(complaints, fmt.Sprintf("%s for %s show no turns, expected %d or more", number(len(sequence), "answer"), number(len(pods), "pod"), 2*len(pods)))
	}
	for i := 0; i < len(sequence) && len(complaints) == 0; i++ {
		switch {
		case !slices.Contains(pods, sequence[i]):
			complaints = append(complaints, fmt.Sprintf("answer %d is of %q, expected one of %s", i+1, sequence[i], strings.Join(pods, ", ")))
		case slices.Contains(sequence[max(0, i-len(pods)+1):i], sequence[i]):
			complaints = append(complaints, fmt.Sprintf("answer %d is of %s out of turn", i+1, sequence[i]))
		}
	}
	return certain(want, counts(got), complaints...)
}

// PrefersIdle judges whether an idle pod gets more than its even share, as least request balancing gives it while the
// other pods are busy. got counts answers by pod over all the pods that might have answered. It passes only if that
// is proved: the probability of as many for idle or more, if balancing took no notice (one-sided exact binomial
// against 1/len(got), 50% for two pods), is rate or less. Pods without an answer must be in got with 0.
func PrefersIdle(idle string, got map[string]int, rate float64) Judgement {
	j := Judgement{
		Want: fmt.Sprintf("more than its even share for the idle pod %s", idle),
		Got:  counts(got), PValue: 1,
	}
	n, known := got[idle]
	switch {
	case !(rate > 0 && rate < 1):
		j.Why = fmt.Sprintf("rate: found %v, expected a number between 0 and 1", rate)
		return j
	case !known || len(got) < 2:
		j.Why = fmt.Sprintf("found answers of %s, expected the idle pod %s and one or more busy ones", strings.Join(slices.Sorted(maps.Keys(got)), ", "), idle)
		return j
	}
	j.PValue = atLeast(n, total(got), 1/float64(len(got)))
	if j.Pass = j.PValue <= rate; !j.Pass {
		j.Why = fmt.Sprintf("balancing that takes no notice of load gives the idle pod as much with probability %.2g, more than %.2g", j.PValue, rate)
	}
	return j
}

// EnoughForIdle is how many requests it takes for PrefersIdle to prove it of one idle pod among so many (2 or more), where
// the balancer takes the less busy of two that it draws, as Envoy does: with so many, a right one falls short with
// probability rate at most. One request in ten may find the other pods idle too.
func EnoughForIdle(pods int, rate float64) int {
	even := 1 / float64(pods)
	drawn := 1 - (1-even)*(1-even)
	share := 0.9*drawn + 0.1*even
	enough := func(n int) bool {
		proof := sort.Search(n+1, func(x int) bool { return atLeast(x, n, even) <= rate })
		return proof <= n && 1-atLeast(proof, n, share) <= rate
	}
	most := 1
	for !enough(most) {
		most *= 2
	}
	return most/2 + sort.Search(most-most/2, func(more int) bool { return enough(most/2 + more) })
}

// Queued is what came of requests that were in flight at once.
type Queued struct {
	Sent, Served, Refused int
	// SlowestRefusal is how long a refusal took at most, of those that were sent when the queue was full.
	SlowestRefusal time.Duration
}

// Queue judges a queue of a stated length: exactly serve requests are served in the end, every other one is refused,
// none within more than atOnce. More must be sent than are served, or the limit was not reached.
func Queue(serve int, atOnce time.Duration, got Queued) Judgement {
	var complaints []string
	if got.Sent <= serve {
		complaints = append(complaints, fmt.Sprintf("%d sent, expected more than the %d that are served", got.Sent, serve))
	}
	if got.Served != serve {
		complaints = append(complaints, fmt.Sprintf("%d served, expected %d", got.Served, serve))
	}
	if lost := got.Sent - got.Served - got.Refused; lost != 0 {
		complaints = append(complaints, fmt.Sprintf("%s neither served nor refused", number(lost, "request")))
	}
	if got.SlowestRefusal > atOnce {
		complaints = append(complaints, fmt.Sprintf("a refusal took %v, expected %v at most", got.SlowestRefusal.Round(time.Millisecond), atOnce))
	}
	return certain(
		fmt.Sprintf("%d served, all others refused within %v", serve, atOnce),
		fmt.Sprintf("%d sent, %d served, %d refused within %v", got.Sent, got.Served, got.Refused, got.SlowestRefusal.Round(100*time.Microsecond)),
		complaints...)
}

// Timeout judges whether a request that the application would have answered too late ended when the limit says, with
// status 504: not before limit - early, not after limit + late.
func Timeout(limit, early, late time.Duration, status int, took time.Duration) Judgement {
	var complaints []string
	if status != 504 {
		complaints = append(complaints, fmt.Sprintf("status %d, expected 504", status))
	}
	if took < limit-early || took > limit+late {
		complaints = append(complaints, fmt.Sprintf("ended after %v, expected %v to %v", took.Round(time.Millisecond), limit-early, limit+late))
	}
	return certain(fmt.Sprintf("504 after %v to %v", limit-early, limit+late), fmt.Sprintf("%d after %v", status, took.Round(time.Millisecond)), complaints...)
}

// NoneLost judges that every request got a good answer. failures is errors by reason.
func NoneLost(requests, errors int, failures map[string]int) Judgement {
	var complaints []string
	if requests == 0 {
		complaints = append(complaints, "nothing was sent, so nothing was measured")
	}
	if errors > 0 {
		complaints = append(complaints, "lost: "+counts(failures))
	}
	return certain("every request answered", fmt.Sprintf("%d lost of %d", errors, requests), complaints...)
}

// Refused judges that no request to a host was let through, as to one that is not declared under REGISTRY_ONLY.
// failures is errors by reason. One answer is a failure, and so is nothing sent.
func Refused(host string, requests, errors int, failures map[string]int) Judgement {
	var complaints []string
	if requests == 0 {
		complaints = append(complaints, "nothing was sent, so nothing was measured")
	}
	if through := requests - errors; through != 0 {
		complaints = append(complaints, fmt.Sprintf("%s reached %s, expected none", number(through, "request"), host))
	}
	return certain(host+" refused", fmt.Sprintf("%d of %d refused (%s)", errors, requests, counts(failures)), complaints...)
}

// Reached judges that every request to a host was answered. failures is errors by reason.
func Reached(host string, requests, errors int, failures map[string]int) Judgement {
	j := NoneLost(requests, errors, failures)
	j.Want, j.Got = host+" reached", fmt.Sprintf("%d of %d reached it", requests-errors, requests)
	return j
}
