// Package assert judges what was measured. Each function takes numbers or objects and returns a Judgement; none sends,
// waits, reads or remembers anything, so a judgement can be repeated from the numbers in a report.
//
// Nothing measured is never good: zero requests, zero pods and zero proxies fail every assertion.
package assert

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Judgement is the outcome of one assertion.
type Judgement struct {
	// Want and Got are what should be and what was, in words for people.
	Want string `json:"want"`
	Got  string `json:"got"`
	// Pass says whether Got is what Want asks for.
	Pass bool `json:"pass"`
	// Why says what fell short. It is empty if nothing did.
	Why string `json:"why,omitempty"`
	// PValue is the probability of an outcome at least as unlikely as this one, if what is tested holds. 1 where
	// nothing is left to chance and it passed, 0 where it failed. Of SplitSoFar, 1 over the evidence against what is
	// tested, which is no such probability.
	PValue float64 `json:"pValue"`
	// Interval is the Clopper-Pearson interval of each version's share, in percent, at confidence 1 - rate. Of
	// SplitSoFar, what its confidence sequence leaves of them, at the same confidence over all the times that it is asked.
	Interval map[string][2]float64 `json:"interval,omitempty"`
}

// certain judges by facts alone: it passes if there is nothing to complain about.
func certain(want, got string, complaints ...string) Judgement {
	j := Judgement{Want: want, Got: got, Pass: len(complaints) == 0, Why: strings.Join(complaints, "; ")}
	if j.Pass {
		j.PValue = 1
	}
	return j
}

// percents lists integer percentages by key: "v1 90%, v2 10%".
func percents(of map[string]int) string {
	return list(of, func(n int) string { return fmt.Sprintf("%d%%", n) })
}

// counts lists counts by key: "v1 8992, v2 1008".
func counts(of map[string]int) string {
	return list(of, func(n int) string { return fmt.Sprint(n) })
}

func list(of map[string]int, number func(int) string) string {
	if len(of) == 0 {
		return "nothing"
	}
	var items []string
	for _, k := range slices.Sorted(maps.Keys(of)) {
		items = append(items, k+" "+number(of[k]))
	}
	return strings.Join(items, ", ")
}

func total(of map[string]int) int {
	n := 0
	for _, c := range of {
		n += c
	}
	return n
}

// number is a count with its noun: "1 request", "2 requests".
func number(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
