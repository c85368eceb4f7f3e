// Package measure finds out how the requests of one origin divide over versions while they are sent, so that it can
// stop as soon as there is something to say.
//
// It changes nothing on the cluster, and knows nothing of stages.
package measure

import (
	"context"
	"fmt"
	"maps"

	"chartbasico/pkg/assert"
	"chartbasico/pkg/cluster"
	"chartbasico/pkg/rollout"
	"chartbasico/pkg/traffic"
)

// Options of a measurement. Zero values mean the defaults named at each field.
type Options struct {
	// Requests is how many are sent at most. Default 10,000 to stand-ins, 1,000 to real applications, which take so much
	// longer for each.
	Requests int
	// Rate is how often a right split may fail by chance. Default 1e-6.
	Rate float64
	// Points is how near to the wanted percentage every share must be known to be for the measurement to end before
	// Requests. 0: it ends early only where the split is wrong.
	Points float64
	// Pace is how many requests a second are sent. 0: as fast as they are answered.
	Pace float64
	// Progress is told every ten seconds how many requests were sent so far. Default: nobody is told.
	Progress func(sent int)
	// After is told what is known after each round; an answer of true ends the measurement. Default: nobody is told.
	After func(Result) (stop bool)
}

// WithDefaults returns the options with their defaults in place, as for a cluster where applications are stand-ins or
// not.
func (o Options) WithDefaults(standIns bool) Options {
	requests := 10_000
	if !standIns {
		requests = 1000
	}
	if o.Requests == 0 {
		o.Requests = requests
	}
	if o.Rate == 0 {
		o.Rate = 1e-6
	}
	if o.After == nil {
		o.After = func(Result) bool { return false }
	}
	return o
}

// Result is what is known so far.
type Result struct {
	// Tally is what came of all requests so far. Its percentiles are left out; VersionLatency is there.
	Tally traffic.Tally
	// Got is how many requests each version answered, with errors that it answered itself.
	Got map[string]int
	// Split judges Got by the sequential test. Errors are not part of it.
	Split assert.Judgement
	// Known says that every share is known to within Options.Points of the wanted one.
	Known bool
}

// Lost is how many requests no version answered.
func (r Result) Lost() int {
	lost := r.Tally.Errors
	for _, n := range r.Tally.VersionErrors {
		lost -= n
	}
	return lost
}

// first is how many requests the first round has.
const first = 250

// Rounds are the sizes of the rounds in which n requests are sent: each as many as all before it.
func Rounds(n int) []int {
	var rounds []int
	for sent := 0; sent < n; {
		next := min(max(first, sent), n-sent)
		rounds = append(rounds, next)
		sent += next
	}
	return rounds
}

// Split sends requests from an origin and judges after each round how those so far divided. It ends when the split is
// wrong, or known well enough, or opts.After says so, or all requests are sent; the error rate holds however it ends.
// The error is for what could not be sent; the result has what was measured before it.
func Split(ctx context.Context, c cluster.Cluster, o rollout.Origin, want map[string]int, opts Options) (Result, error) {
	opts = opts.WithDefaults(c.StandIns())
	var r Result
	for _, n := range Rounds(opts.Requests) {
		load := o.Load
		load.Requests, load.Concurrency, load.Rate = n, o.Concurrency(c.StandIns()), opts.Pace
		if before := r.Tally.Requests; opts.Progress != nil {
			load.Progress = func(sent int) { opts.Progress(before + sent) }
		}
		tally, err := c.Send(ctx, o.From, load)
		r.Tally = r.Tally.Plus(tally)
		r.judge(want, opts)
		if err != nil {
			return r, fmt.Errorf("from %s: %w", o.Name, err)
		}
		if opts.After(r) || !r.Split.Pass || r.Known {
			break
		}
	}
	return r, nil
}

func (r *Result) judge(want map[string]int, opts Options) {
	r.Got = maps.Clone(r.Tally.Versions)
	for version, n := range r.Tally.VersionErrors {
		r.Got[version] += n
	}
	r.Split = assert.SplitSoFar(want, r.Got, 0, opts.Rate)
	r.Known = opts.Points > 0 && assert.Known(r.Split, want, opts.Points)
}
