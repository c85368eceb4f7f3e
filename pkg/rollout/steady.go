package rollout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/traffic"
)

// Origin is where requests to an app come from.
type Origin struct {
	// Name is what reports call it: "ingress gateway", "productpage/v1".
	Name string
	From cluster.Place
	// Load is one request: URL, Host, Header and App are set.
	Load traffic.Load
	// AtOnce is how many requests may be on their way at once without the routing's own limits refusing any. 0: any number.
	AtOnce int
}

// Concurrency is how many requests are on their way at once when as many are sent as are answered: enough to keep every
// proxy on the way busy, 64 to stand-ins and 16 to real applications, which are busy sooner. It is no more than AtOnce.
func (o Origin) Concurrency(standIns bool) int {
	if standIns {
		return o.bounded(64)
	}
	return o.bounded(16)
}

func (o Origin) bounded(n int) int {
	if o.AtOnce > 0 {
		return min(n, o.AtOnce)
	}
	return n
}

// Flow is what came of the steady requests of one origin.
type Flow struct {
	Origin Origin
	Tally  traffic.Tally
}

// Rate is how many requests a second each origin of a steady flow sends, if nothing else is said: fewer to real
// applications than to stand-ins.
func Rate(standIns bool) float64 {
	if standIns {
		return 200
	}
	return 20
}

// Steady is a flow of requests that goes on until it is stopped.
type Steady struct {
	stop  context.CancelFunc
	cut   context.CancelCauseFunc
	most  time.Duration // how long it may take to its end once it is stopped
	wg    sync.WaitGroup
	flows []Flow
	errs  []error
}

// StartSteady starts a flow from every origin, each of rate requests a second (0: that of Rate). It ends with Stop. The end of
// ctx ends it too, and cuts what is in flight, which is then not counted.
func StartSteady(ctx context.Context, c cluster.Cluster, origins []Origin, rate float64) *Steady {
	if rate == 0 {
		rate = Rate(c.StandIns())
	}
	stopped, stop := context.WithCancel(context.Background())
	ctx, cut := context.WithCancelCause(ctx)
	s := &Steady{stop: stop, cut: cut, flows: make([]Flow, len(origins)), errs: make([]error, len(origins))}
	for i, o := range origins {
		load := o.Load
		load.Rate, load.Requests, load.Concurrency, load.Stop = rate, 0, o.bounded(8), stopped.Done()
		s.most = max(s.most, cmp.Or(load.Timeout, traffic.DefaultTimeout)+answering)
		s.wg.Go(func() {
			tally, err := c.Send(ctx, o.From, load)
			if late := context.Cause(ctx); errors.Is(late, errUnanswered) && (err == nil || errors.Is(err, context.Canceled)) {
				err = late
			}
			s.flows[i] = Flow{Origin: o, Tally: tally}
			if err != nil {
				s.errs[i] = fmt.Errorf("steady flow from %s: %w", o.Name, err)
			}
		})
	}
	return s
}

// answering is how long whoever sends may take, after the last request's timeout, to tell what came of a flow.
const answering = 10 * time.Second

var errUnanswered = errors.New("its sender does not tell what came of it")

// Stop starts no request any more, waits until those in flight are answered or fail, each within its timeout, and returns
// what was counted, in the order of the origins. The error is for flows that could not be sent, or of which nothing is told
// soon after that, as where the node of the sender is gone; lost requests are in the tallies.
func (s *Steady) Stop() ([]Flow, error) {
	s.stop()
	late := time.AfterFunc(s.most, func() { s.cut(fmt.Errorf("%w %v after it was stopped", errUnanswered, s.most)) })
	s.wg.Wait()
	late.Stop()
	s.cut(nil)
	return s.flows, errors.Join(s.errs...)
}

// Join adds the counts of flows from the same origins, in the same order. Nothing may be joined to nothing.
func Join(flows, more []Flow) []Flow {
	if len(flows) == 0 {
		return more
	}
	for i, f := range more {
		flows[i].Tally = flows[i].Tally.Plus(f.Tally)
	}
	return flows
}
