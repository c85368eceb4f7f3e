package promote

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/clustertest"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/report"
	"chartbasico/pkg/rollout"
	"chartbasico/pkg/traffic"
	"chartbasico/pkg/verify"
)

// shop is a mesh that gives v2 a part of the requests by chance, and a small version none of the first round.
type shop struct {
	v2    float64                  // its part
	small string                   // the version that gets nothing of the first round
	first int                      // how many of the first round it answers all the same, with errors
	fails map[string]float64       // the part of its requests that a version fails
	takes map[string]time.Duration // how long a version takes
	sent  int
	r     *rand.Rand
}

func (s *shop) send(_ context.Context, _ cluster.Place, load traffic.Load) (traffic.Tally, error) {
	t := traffic.Tally{Requests: load.Requests, Versions: map[string]int{}, VersionErrors: map[string]int{}, VersionLatency: map[string]traffic.Distribution{}}
	for i := range load.Requests {
		version := "v1"
		if s.r.Float64() < s.v2 {
			version = "v2"
		}
		fails := s.r.Float64() < s.fails[version]
		if s.sent == 0 {
			version, fails = map[string]string{"v1": "v2", "v2": "v1"}[s.small], false
			if i < s.first {
				version, fails = s.small, true
			}
		}
		if fails {
			t.Errors++
			t.VersionErrors[version]++
			continue
		}
		t.Versions[version]++
	}
	for version, n := range t.Versions {
		t.VersionLatency[version] = traffic.Distribution{{From: s.takes[version], UpTo: s.takes[version], N: n}}
	}
	s.sent += load.Requests
	return t, nil
}

var alike = map[string]time.Duration{"v1": 10 * time.Millisecond, "v2": 10 * time.Millisecond}

func random() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func inShop() *verify.Running { return &verify.Running{Env: &environment.Environment{Name: "shop"}} }

// gated is a promotion that measures the shop from one origin.
func gated(s *shop) *promotion {
	s.r, s.takes = random(), alike
	p := walking()
	p.cluster = &clustertest.Fake{OnSend: s.send}
	p.report = &report.Report{}
	p.running = inShop()
	p.origins = []rollout.Origin{{Name: "front/v1"}}
	return p
}

// At a weight of 1% one first round of twelve has nothing for that version, which is no fault of it.
func TestARoundWithNothingToCompareDecidesNothing(t *testing.T) {
	v1, half := weights{"v1": 100}, weights{"v1": 50, "v2": 50}
	for name, c := range map[string]struct {
		shop            shop
		previous, stage weights
		why             string
	}{
		"the new one gets 1%":                 {shop{v2: 0.01, small: "v2"}, v1, weights{"v1": 99, "v2": 1}, ""},
		"the old one gets 1%":                 {shop{v2: 0.99, small: "v1"}, half, weights{"v1": 1, "v2": 99}, ""},
		"all that the new one got went wrong": {shop{v2: 0.01, small: "v2", first: 1}, v1, weights{"v1": 99, "v2": 1}, ""},
		"a bad one is found all the same":     {shop{v2: 0.01, small: "v2", fails: map[string]float64{"v2": 1}}, v1, weights{"v1": 99, "v2": 1}, "v2 fails more often than v1"},
	} {
		t.Run(name, func(t *testing.T) {
			p := gated(&c.shop)
			previous, stage := verify.Stage{Name: "before", Weights: c.previous}, verify.Stage{Name: "now", Weights: c.stage}
			why, err := p.gate(t.Context(), previous, stage)
			require.NoError(t, err)
			if c.why != "" {
				assert.Contains(t, why, c.why)
				return
			}
			assert.Empty(t, why)
			assert.Equal(t, p.requests(previous, stage), c.shop.sent)
		})
	}
}
