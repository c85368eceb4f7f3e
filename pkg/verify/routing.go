package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"chartbasico/pkg/assert"
	"chartbasico/pkg/lease"
	"chartbasico/pkg/render"
	"chartbasico/pkg/report"
	"chartbasico/pkg/rollout"
)

// routed is one app under measurement.
type routed struct {
	*run
	App

	origins []rollout.Origin // all of them, the gateway first
	direct  []rollout.Origin // those whose requests go to the app itself
}

// routing walks an app's stages and measures each one. beside starts what goes on meanwhile.
func (r *run) routing(ctx context.Context, app App, beside func(func(context.Context) error)) error {
	a := &routed{run: r, App: app}
	a.origins, a.direct = Origins(app, r.entries, r.workloads)
	by, whys := notAsked(app, r.workloads)
	if len(a.origins) == 0 {
		called := cmp.Or(strings.Join(whys, "; "), "no workload says in its values that it calls it (calls)")
		a.notRun("routing of "+a.Title, notExposed(app, r.entries, r.exposures, r.workloads)+", and "+called, false)
		return nil
	}
	for i, w := range by {
		a.notRun(fmt.Sprintf("splits of %s from %s", a.Title, w), whys[i], true)
	}
	switch {
	case a.origins[0].Name != GatewayName:
		a.notRun("splits of "+a.Title+" from the ingress gateway", notExposed(app, r.entries, r.exposures, r.workloads), true)
	case !a.cluster.StandIns():
		if err := a.findPage(ctx); err != nil || len(a.origins) == 0 {
			return err
		}
	}
	if len(a.texts()) > 0 && a.cluster.StandIns() {
		a.notRun("what people see of "+a.Title, "a stand-in shows no page", true)
	}
	a.say("%s: stages %s", a.Title, a.stages())
	return lease.Alone(ctx, r.installer.Client(), app.Release.Namespace, app.Name, verifier(), r.say,
		func(ctx context.Context, _ bool) error { return a.stageByStage(ctx, beside) })
}

// verifier is who has the lease of an app.
func verifier() string { return "basico verify by " + lease.User() }

// unmoved waits until nobody moves the route of one of the apps: to install the releases moves it too.
func (r *run) unmoved(ctx context.Context, apps []App) error {
	in := map[string][]string{}
	for _, a := range apps {
		in[a.Release.Namespace] = append(in[a.Release.Namespace], a.Name)
	}
	for _, namespace := range slices.Sorted(maps.Keys(in)) {
		if err := lease.Free(ctx, r.installer.Client(), namespace, in[namespace], verifier(), r.say); err != nil {
			return err
		}
	}
	return nil
}

// stageByStage walks the stages while nobody else moves the route.
func (a *routed) stageByStage(ctx context.Context, beside func(func(context.Context) error)) error {
	back := false
	defer func() {
		if !back {
			a.putBack(ctx)
		}
	}()
	first, last := a.Stages[0], a.Stages[len(a.Stages)-1]
	if arrived, err := a.moveTo(ctx, first); err != nil || !arrived {
		return err
	}
	if err := a.balancing(ctx, first); err != nil {
		return err
	}
	beside(a.timeLimit) // not before: its request would take a turn
	if arrived, err := a.walk(ctx); err != nil || !arrived {
		return err
	}
	if len(a.Stages) > 1 {
		if err := a.balancing(ctx, last); err != nil {
			return err
		}
	}
	if err := a.balancingNotRun(); err != nil {
		return err
	}
	narrowed, err := a.queue(ctx, last)
	if err != nil {
		return err
	}
	_, err = a.move(ctx, a.named(), narrowed)
	back = err == nil
	return err
}

// named is the stage that the app's values name.
func (a *routed) named() Stage {
	return a.Stages[slices.IndexFunc(a.Stages, func(s Stage) bool { return s.Name == a.Current })]
}

// putBack takes the app to the stage that its values name, after a run that ended on the way, and does not wait until
// it has arrived: a cluster that others use goes on with that stage.
func (a *routed) putBack(ctx context.Context) {
	if cause := context.Cause(ctx); errors.Is(cause, ErrCluster) || errors.Is(cause, lease.ErrBusy) {
		return // there is no cluster, or it is somebody else who moves it now
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if _, err := a.mover().upgrade(ctx, a.App, a.named(), ""); err != nil {
		a.fails("a route is left at the stage that its values name", a.Title+" at stage "+a.Current, "it is, however the run ends", err)
		return
	}
	a.say("%s is back at stage %s", a.Title, a.Current)
}

// walk goes from stage to stage, with a steady flow of requests while the stage changes, and measures at each. It says
// whether it got to the end.
func (a *routed) walk(ctx context.Context) (bool, error) {
	var flows []rollout.Flow
	for i, stage := range a.Stages {
		if i > 0 {
			arrived, during, err := a.moveUnderLoad(ctx, stage)
			if err != nil {
				return false, err
			}
			flows = rollout.Join(flows, during)
			if !arrived {
				for _, s := range a.Stages[i+1:] {
					a.notRun(fmt.Sprintf("splits of %s at stage %s", a.Title, s.Name), "the walk ended at stage "+stage.Name, false)
				}
				a.lost(flows)
				return false, nil
			}
		}
		if err := a.splits(ctx, stage); err != nil {
			return false, err
		}
	}
	a.lost(flows)
	return true, nil
}

// splits measures how the requests of every origin divide: to stand-ins from two at a time, as no proxy on the way of one
// keeps all processors busy; to real applications from one after the other.
func (a *routed) splits(ctx context.Context, stage Stage) error {
	measured := make([]report.Split, len(a.origins))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(1)
	if a.cluster.StandIns() {
		group.SetLimit(2)
	}
	for i, o := range a.origins {
		group.Go(func() error {
			var err error
			measured[i], err = a.split(ctx, stage, o)
			return err
		})
	}
	err := group.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range measured {
		if s.App != "" { // it was measured before another one failed
			a.report.Splits = append(a.report.Splits, s)
		}
	}
	return err
}

// moveUnderLoad moves to a stage while requests go on, and returns what came of them.
func (a *routed) moveUnderLoad(ctx context.Context, stage Stage) (bool, []rollout.Flow, error) {
	steady := rollout.StartSteady(ctx, a.cluster, a.origins, a.opts.SteadyRate)
	arrived, err := a.moveTo(ctx, stage)
	flows, flowErr := steady.Stop()
	if err == nil {
		err = flowErr
	}
	return arrived, flows, err
}

// lost judges the requests that went on while stages changed.
func (a *routed) lost(flows []rollout.Flow) {
	for _, f := range flows {
		a.check("no request lost while stages change", a.Title+" from "+f.Origin.Name,
			assert.NoneLost(f.Tally.Requests, f.Tally.Errors, f.Tally.Failures), f.Tally.Elapsed)
	}
}

// split measures how the requests of one origin divide.
func (a *routed) split(ctx context.Context, stage Stage, o rollout.Origin) (report.Split, error) {
	load := o.Load
	load.Requests, load.Concurrency = a.opts.Requests, o.Concurrency(a.cluster.StandIns())
	var texts map[string]string
	if !a.cluster.StandIns() && o.Name == GatewayName {
		texts = a.texts()
		load.Texts = slices.Sorted(maps.Values(texts))
	}
	load.Progress = func(sent int) {
		a.say("  %s %s from %s: %d of %d requests so far", a.Title, stage.Name, o.Name, sent, load.Requests)
	}
	tally, err := a.cluster.Send(ctx, o.From, load)
	if err != nil {
		return report.Split{}, fmt.Errorf("%s at stage %s from %s: %w", a.Title, stage.Name, o.Name, err)
	}
	s := report.Split{
		Environment: a.env.Name, App: a.Title, Stage: stage.Name, From: o.Name,
		Requests: tally.Requests, Errors: tally.Errors, Want: stage.Weights, Got: tally.Versions,
		Failures: tally.Failures, Elapsed: report.Seconds(tally.Elapsed),
	}
	if len(texts) > 0 {
		a.pageShows(stage, texts, tally, tally.Elapsed)
	}
	s.Judge(assert.Split(stage.Weights, tally.Versions, tally.Errors, a.opts.Rate))
	verdict := "held"
	if !s.Pass {
		verdict = "FELL SHORT"
	}
	a.say("  %s %s from %s: %s (%d requests, %.1f s) %s", a.Title, stage.Name, o.Name, counts(tally.Versions), tally.Requests, tally.Elapsed.Seconds(), verdict)
	return s, nil
}

// moveTo upgrades the release to a stage and waits until it has arrived. A stage that does not arrive is a failed check.
func (a *routed) moveTo(ctx context.Context, stage Stage) (bool, error) {
	return a.move(ctx, stage, "")
}

// move does as moveTo, with more overrides, and waits for the limits of a narrowed subset too, if it is given one.
func (a *routed) move(ctx context.Context, stage Stage, narrowed string, also ...render.Override) (bool, error) {
	start := time.Now()
	rendered, err := a.mover().upgrade(ctx, a.App, stage, "", also...)
	if err != nil {
		return false, err
	}
	if err := a.mover().arrive(ctx, a.App, rendered, narrowed, a.running, a.origins); err != nil {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		a.fails("route arrives at every proxy", a.Title+" at stage "+stage.Name, "every proxy divides as the stage says and is in sync", err)
		for _, o := range a.origins {
			a.notRun(fmt.Sprintf("split of %s at stage %s from %s", a.Title, stage.Name, o.Name), "the route did not arrive at every proxy", false)
		}
		return false, nil
	}
	a.check("route arrives at every proxy", a.Title+" at stage "+stage.Name, assert.Judgement{
		Want: "every proxy divides as the stage says and is in sync", Got: fmt.Sprintf("in %d ms", time.Since(start).Milliseconds()), Pass: true,
	}, time.Since(start))
	if a.opts.AtStage != nil {
		if err := a.opts.AtStage(ctx, a.App, stage); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (a *routed) mover() mover {
	return mover{cluster: a.cluster, installer: a.installer, renderer: a.opts.Renderer, settle: a.opts.Settle}
}

// counts lists counts by version: "v1 8992, v2 1008".
func counts(by map[string]int) string {
	var parts []string
	for _, v := range slices.Sorted(maps.Keys(by)) {
		parts = append(parts, fmt.Sprintf("%s %d", v, by[v]))
	}
	return strings.Join(parts, ", ")
}
