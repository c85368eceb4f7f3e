package assert

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// verdict is what a case expects: no reason means that it passes.
func verdict(t *testing.T, why string, j Judgement) {
	t.Helper()
	assert.Equal(t, why, j.Why)
	assert.Equal(t, why == "", j.Pass)
	assert.NotEmpty(t, j.Want)
	assert.NotEmpty(t, j.Got)
}

func TestAlternates(t *testing.T) {
	a, b, c := "pod-a", "pod-b", "pod-c"
	two := []string{b, a}
	for name, k := range map[string]struct {
		sequence, pods []string
		why            string
	}{
		"two":         {slices.Repeat([]string{a, b}, 50), two, ""},
		"odd":         {append(slices.Repeat([]string{b, a}, 50), b), two, ""},
		"three":       {slices.Repeat([]string{c, a, b}, 5), []string{a, b, c}, ""},
		"sticks":      {[]string{a, b, a, a, b}, two, "answer 4 is of pod-a out of turn"},
		"even only":   {[]string{a, a, b, b}, two, "answer 2 is of pod-a out of turn"},
		"order":       {[]string{a, b, c, a, c, b, a}, []string{a, b, c}, "answer 5 is of pod-c out of turn"},
		"one missing": {slices.Repeat([]string{a, b}, 5), []string{a, b, c}, "answer 3 is of pod-a out of turn"},
		"stranger":    {[]string{a, b, c, a}, two, `answer 3 is of "pod-c", expected one of pod-a, pod-b`},
		"error":       {[]string{a, b, "", b}, two, `answer 3 is of "", expected one of pod-a, pod-b`},
		"too few":     {[]string{a, b}, two, "2 answers for 2 pods show no turns, expected 4 or more"},
		"nothing":     {nil, two, "0 answers for 2 pods show no turns, expected 4 or more"},
		"one pod":     {[]string{a, a, a}, []string{a}, "1 pod cannot take turns, expected 2 or more"},
	} {
		t.Run(name, func(t *testing.T) { verdict(t, k.why, Alternates(k.sequence, k.pods)) })
	}
}

func TestPrefersIdle(t *testing.T) {
	for name, c := range map[string]struct {
		got  map[string]int
		rate float64
		p    float64
		why  string
	}{
		"clear":       {map[string]int{"idle": 750, "busy": 250}, rate, 6.738128253015444e-59, ""},
		"enough":      {map[string]int{"idle": 600, "busy": 400}, rate, 1.3642320780329735e-10, ""},
		"three":       {map[string]int{"idle": 400, "busy": 300, "busier": 300}, rate, 5.988277870041007e-06, "balancing that takes no notice of load gives the idle pod as much with probability 6e-06, more than 1e-06"},
		"even":        {map[string]int{"idle": 500, "busy": 500}, rate, 0.5126125090891802, "balancing that takes no notice of load gives the idle pod as much with probability 0.51, more than 1e-06"},
		"avoids":      {map[string]int{"idle": 250, "busy": 750}, rate, 1, "balancing that takes no notice of load gives the idle pod as much with probability 1, more than 1e-06"},
		"too few":     {map[string]int{"idle": 5, "busy": 0}, rate, 0.03125, "balancing that takes no notice of load gives the idle pod as much with probability 0.031, more than 1e-06"},
		"nothing":     {map[string]int{"idle": 0, "busy": 0}, rate, 1, "balancing that takes no notice of load gives the idle pod as much with probability 1, more than 1e-06"},
		"no idle pod": {map[string]int{"a": 5, "b": 5}, rate, 1, "found answers of a, b, expected the idle pod idle and one or more busy ones"},
		"only idle":   {map[string]int{"idle": 50}, rate, 1, "found answers of idle, expected the idle pod idle and one or more busy ones"},
		"bad rate":    {map[string]int{"idle": 50, "busy": 0}, 1, 1, "rate: found 1, expected a number between 0 and 1"},
	} {
		t.Run(name, func(t *testing.T) {
			j := PrefersIdle("idle", c.got, c.rate)
			verdict(t, c.why, j)
			assert.InEpsilon(t, c.p, j.PValue, 1e-8)
		})
	}
}

// With enough requests a right balancer falls short as often as the rate says at most; with a fifth fewer, more often.
func TestEnoughForIdle(t *testing.T) {
	short := func(n, pods int, rate float64, r *rand.Rand) float64 {
		const runs = 4000
		failed := 0
		for range runs {
			got := map[string]int{"idle": 0}
			for i := range pods - 1 {
				got[fmt.Sprint(i)] = 0
			}
			for range n {
				idle := r.IntN(pods) == 0 || r.IntN(10) > 0 && r.IntN(pods) == 0 // of two that are drawn
				if idle {
					got["idle"]++
				} else {
					got["0"]++
				}
			}
			if !PrefersIdle("idle", got, rate).Pass {
				failed++
			}
		}
		return float64(failed) / runs
	}
	for _, pods := range []int{2, 5, 20} {
		const rate = 0.01
		r := rand.New(rand.NewPCG(9, 10))
		n := EnoughForIdle(pods, rate)
		assert.LessOrEqual(t, short(n, pods, rate, r), 1.5*rate, "%d for %d", n, pods)
		assert.Greater(t, short(n*4/5, pods, rate, r), rate, "%d for %d", n, pods)
	}
	for pods, n := range map[int]int{2: 414, 5: 853, 20: 3233} {
		assert.Equal(t, n, EnoughForIdle(pods, rate), pods)
	}
}

func TestQueue(t *testing.T) {
	const quick = 200 * time.Millisecond
	for name, c := range map[string]struct {
		got Queued
		why string
	}{
		"exact":     {Queued{1200, 1001, 199, 9 * time.Millisecond}, ""},
		"shorter":   {Queued{1200, 1000, 200, 0}, "1000 served, expected 1001"},
		"longer":    {Queued{1200, 1200, 0, 0}, "1200 served, expected 1001"},
		"slow":      {Queued{1200, 1001, 199, 3 * time.Second}, "a refusal took 3s, expected 200ms at most"},
		"lost":      {Queued{1200, 1001, 198, 0}, "1 request neither served nor refused"},
		"not tried": {Queued{1001, 1001, 0, 0}, "1001 sent, expected more than the 1001 that are served"},
	} {
		t.Run(name, func(t *testing.T) { verdict(t, c.why, Queue(1001, quick, c.got)) })
	}
}

func TestTimeout(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		took   time.Duration
		why    string
	}{
		"on time":  {504, 10040 * time.Millisecond, ""},
		"early":    {504, 9 * time.Second, "ended after 9s, expected 9.9s to 10.5s"},
		"late":     {504, 12 * time.Second, "ended after 12s, expected 9.9s to 10.5s"},
		"answered": {200, 10 * time.Second, "status 200, expected 504"},
		"neither":  {0, 30 * time.Second, "status 0, expected 504; ended after 30s, expected 9.9s to 10.5s"},
	} {
		t.Run(name, func(t *testing.T) {
			verdict(t, c.why, Timeout(10*time.Second, 100*time.Millisecond, 500*time.Millisecond, c.status, c.took))
		})
	}
}

func TestNoneLost(t *testing.T) {
	verdict(t, "", NoneLost(5000, 0, nil))
	verdict(t, "lost: 503 overflow 2, timeout 1", NoneLost(5000, 3, map[string]int{"timeout": 1, "503 overflow": 2}))
	verdict(t, "nothing was sent, so nothing was measured", NoneLost(0, 0, nil))
}

func TestRefusedAndReached(t *testing.T) {
	verdict(t, "", Refused("example.org", 10, 10, map[string]int{"502": 10}))
	verdict(t, "1 request reached example.org, expected none", Refused("example.org", 10, 9, map[string]int{"502": 9}))
	verdict(t, "nothing was sent, so nothing was measured", Refused("example.org", 0, 0, nil))
	verdict(t, "", Reached("example.org", 10, 0, nil))
	verdict(t, "lost: 502 1", Reached("example.org", 10, 1, map[string]int{"502": 1}))
	verdict(t, "nothing was sent, so nothing was measured", Reached("example.org", 0, 0, nil))
}
