package check

import (
	"fmt"
	"strings"

	"chartbasico/pkg/problem"
)

var ruleWeights = rule{"weights", "The weights of a route sum to 100.", releaseScope, func(m *model) (out problem.List) {
	for _, o := range m.virtualServices() {
		for _, route := range destinations(o) {
			var sum int64
			weighted := false
			for _, d := range route {
				sum += d.weight
				weighted = weighted || d.weighted
			}
			if weighted && sum != 100 {
				path, _, _ := strings.Cut(route[0].path, ".route[")
				out = append(out, o.style(path+".route", fmt.Sprintf("weights that sum to %d", sum), "100", "correct the weights"))
			}
		}
	}
	return out
}}
