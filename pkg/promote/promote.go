// Package promote moves an app's routing along its stages on a cluster where it is installed, by real upgrades, and
// lets it go on only as long as the new version does no worse than the old one.
//
// It moves and measures with what verify and measure have; its own is what to compare with what, and when to turn back.
package promote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"chartbasico/pkg/assert"
	"chartbasico/pkg/cluster"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/lease"
	"chartbasico/pkg/measure"
	"chartbasico/pkg/release"
	"chartbasico/pkg/render"
	"chartbasico/pkg/report"
	"chartbasico/pkg/rollout"
	"chartbasico/pkg/verify"
)

// Options of a promotion. Zero values mean the defaults named at each field.
type Options struct {
	// To is the stage to reach. Default: the last.
	To string
	// Requests is how many each origin sends at each stage; more where a version that fails 5% might get past with
	// fewer. Default that of measure.Options.
	Requests int
	// Rate is how often each judgement may fail by chance. Default 1e-6.
	Rate float64
	// Pace is how many requests a second each origin sends. Default 500 to stand-ins, 50 to real applications.
	Pace float64
	// Limit is by how much the new version may be slower. Default 1.5 times and 1 ms.
	Limit assert.Slower
	// Settle bounds the wait until a change has arrived at every proxy. Default 30 s.
	Settle time.Duration
	// Who promotes, for Helm's history. Default: the user's name and the host's.
	Who string
	// Renderer renders the releases. Default: a new one.
	Renderer *render.Renderer
	// Progress is told what is being done, a line at a time. Default: nobody is told.
	Progress func(string)
}

func (o Options) withDefaults(standIns bool) Options {
	m := measure.Options{Requests: o.Requests, Rate: o.Rate}.WithDefaults(standIns)
	o.Requests, o.Rate = m.Requests, m.Rate
	pace := 500.0
	if !standIns {
		pace = 50
	}
	if o.Pace == 0 {
		o.Pace = pace
	}
	if o.Limit == (assert.Slower{}) {
		o.Limit = assert.Slower{Factor: 1.5, Slack: time.Millisecond}
	}
	if o.Who == "" {
		o.Who = lease.User()
	}
	if o.Renderer == nil {
		o.Renderer = render.New()
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return o
}

// Outcome is where a promotion ended.
type Outcome struct {
	Report *report.Report
	// App is whose routing it is, Stage the stage at which its release was left; "" if it was not touched and not known.
	App   verify.App
	Stage string
}

// Run promotes an app of an environment that is installed on the cluster. What fell short is in the report, and so is
// that it was rolled back; the error is for what could not be run, or was interrupted. Then too the cluster is at a
// stage, that of the outcome, and another Run goes on from there.
func Run(ctx context.Context, c cluster.Cluster, env *environment.Environment, app string, opts Options) (Outcome, error) {
	opts = opts.withDefaults(c.StandIns())
	p := &promotion{opts: opts, cluster: c, report: &report.Report{
		Environments: []string{env.Name}, Started: time.Now(), ErrorRate: opts.Rate, Cluster: report.Cluster{Kind: c.Kind(), Name: c.Name()},
	}}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case err, ok := <-c.Failed():
			if ok && err != nil {
				cancel(fmt.Errorf("%w: %w", verify.ErrCluster, err))
			}
		case <-ctx.Done():
		}
	}()
	err := p.run(ctx, env, app)
	if cause := context.Cause(ctx); cause != nil {
		err = cause // what else went wrong only followed from it
	}
	p.walk.Reached, p.walk.Elapsed = p.at, report.Seconds(time.Since(p.report.Started))
	p.report.Elapsed = p.walk.Elapsed
	if len(p.walk.Steps) > 0 {
		p.report.Walks = []report.Walk{p.walk}
	}
	return Outcome{Report: p.report, App: p.app, Stage: p.at}, err
}

// promotion is one Run.
type promotion struct {
	opts    Options
	cluster cluster.Cluster
	running *verify.Running
	mover   mover
	app     verify.App
	origins []rollout.Origin
	keep    []render.Override // subsets that are live and that the files have no more
	report  *report.Report
	walk    report.Walk
	at      string // the stage at which the release is
	turned  bool   // it is on its way back, as a stage did not hold
	stages  []seen // what was measured, in order
}

// mover is what a verify.Running does for a promotion while it leads an app.
type mover interface {
	Workloads() ([]verify.Workload, error)
	Origins(ctx context.Context, app verify.App) ([]rollout.Origin, []report.NotRun, error)
	Upgrade(ctx context.Context, app verify.App, stage verify.Stage, why string, also ...render.Override) (*render.Release, error)
	Arrive(ctx context.Context, app verify.App, rendered *render.Release, origins []rollout.Origin) error
}

// seen is what was measured at one stage, by the name of the origin.
type seen struct {
	stage  verify.Stage
	served map[string]map[string]assert.Served // by origin, version
}

func (p *promotion) say(format string, args ...any) { p.opts.Progress(fmt.Sprintf(format, args...)) }

func (p *promotion) run(ctx context.Context, env *environment.Environment, name string) error {
	var err error
	if p.running, err = verify.Look(ctx, p.cluster, env, p.opts.Renderer, p.opts.Settle); err != nil {
		return err
	}
	p.mover = p.running
	if p.report.Cluster, err = p.running.Describe(ctx); err != nil {
		return err
	}
	if p.app, err = p.running.App(name); err != nil {
		return err
	}
	to := p.app.Stages[len(p.app.Stages)-1]
	if p.opts.To != "" {
		if to, err = p.app.StageOf(p.opts.To); err != nil {
			return err
		}
	}
	return lease.Alone(ctx, p.running.Client(), p.app.Release.Namespace, p.app.Name, "basico promote by "+p.opts.Who, p.say,
		func(ctx context.Context, orphan bool) error { return p.alone(ctx, orphan, to) })
}

// alone promotes while nobody else does. orphan says that somebody who did was killed.
func (p *promotion) alone(ctx context.Context, orphan bool, to verify.Stage) error {
	revision, err := p.installed(ctx, orphan)
	if err != nil {
		return err
	}
	live, err := p.running.Live(ctx, p.app)
	if err != nil {
		return err
	}
	from, ok := p.app.At(live, stageOf(revision.Values))
	if !ok {
		return fmt.Errorf("%s: the route on the cluster divides %s, which is no stage of %s; put it at one with helm upgrade first", p.app.Name, percents(live.Weights), strings.Join(names(p.app.Stages), ", "))
	}
	return p.lead(ctx, from, to, live, revision)
}

// lead takes the app from the stage where it is to another.
func (p *promotion) lead(ctx context.Context, from, to verify.Stage, live rollout.Live, revision *release.Revision) error {
	path, back := p.path(from, to), p.index(to) < p.index(from)
	needed := append([]verify.Stage{from}, path...)
	if back { // what the stage that it leaves lacks may be why
		needed = path
	}
	if err := p.pods(needed); err != nil {
		return err
	}
	if err := p.senders(ctx); err != nil && !back {
		return err
	}
	p.at = from.Name
	p.walk = report.Walk{Environment: p.running.Env.Name, App: p.app.Title, From: from.Name, To: to.Name, Traffic: "of its own"}
	switch {
	case len(path) == 0:
		p.say("%s is at stage %s already", p.app.Name, to.Name)
	default:
		p.say("%s: from stage %s to %s, by requests of its own from %s", p.app.Name, from.Name, strings.Join(names(path), ", "), cmp.Or(strings.Join(originNames(p.origins), ", "), "nowhere yet"))
	}
	p.keep = kept(live, p.app)
	if back {
		return p.takeBack(ctx, from, to, live)
	}
	if made, err := p.make(ctx, from, live, revision); err != nil || !made {
		return err
	}
	if err := p.along(ctx, from, path); err != nil {
		return err
	}
	return p.unmake(ctx)
}

// takeBack goes to an earlier stage. It is to get away from a version, so nothing that is wrong at the stage that it
// leaves keeps it there.
func (p *promotion) takeBack(ctx context.Context, from, to verify.Stage, live rollout.Live) error {
	for version, weight := range to.Weights {
		if _, ok := live.Subsets[version]; weight > 0 && !ok {
			if m, err := p.bring(ctx, from); err != nil || m.arrives != "" {
				return err
			}
			break
		}
	}
	m, err := p.move(ctx, from, to, "promoted", p.keep)
	if err != nil || m.arrives != "" {
		return err
	}
	if err := p.senders(ctx); err != nil { // some may have shown nothing of the app before
		return err
	}
	why, err := p.gate(ctx, to, to) // nothing gains, so nothing is compared
	if err != nil {
		return err
	}
	if why != "" {
		p.walk.Why = why
		p.say("  FELL SHORT at stage %s: %s", to.Name, why)
	}
	return p.unmake(ctx)
}

// senders finds out where requests come from.
func (p *promotion) senders(ctx context.Context) error {
	var err error
	p.origins, p.report.NotRun, err = p.mover.Origins(ctx, p.app)
	return err
}

// installed returns the release's newest revision, after it has seen to what a killed promotion left.
func (p *promotion) installed(ctx context.Context, orphan bool) (*release.Revision, error) {
	revision, err := p.running.Installer.Status(ctx, p.app.Release)
	switch {
	case errors.Is(err, release.ErrNotInstalled):
		return nil, fmt.Errorf("%w; install the environment first, with helmfile apply or helm upgrade --install", err)
	case err != nil:
		return nil, err
	case !revision.Pending():
		return revision, nil
	case !orphan:
		return nil, fmt.Errorf("release %s: %s since %s: somebody else is changing it; wait, or run helm rollback if they are gone", p.app.Release.ID(), revision.Status, revision.Updated.Format(time.DateTime))
	}
	p.say("release %s was left %s by a promotion that was killed", p.app.Release.ID(), revision.Status)
	if err := p.running.Installer.GiveUp(ctx, p.app.Release, "interrupted: the promotion was killed"); err != nil {
		return nil, err
	}
	return p.running.Installer.Status(ctx, p.app.Release)
}

// path is the stages after from, up to to. Back is one step: the stages between would only add time with a version
// that is not wanted.
func (p *promotion) path(from, to verify.Stage) []verify.Stage {
	i, j := p.index(from), p.index(to)
	switch {
	case j > i:
		return p.app.Stages[i+1 : j+1]
	case j < i:
		return []verify.Stage{to}
	}
	return nil
}

func (p *promotion) index(stage verify.Stage) int {
	return slices.IndexFunc(p.app.Stages, func(s verify.Stage) bool { return s.Name == stage.Name })
}

// pods says which versions would get requests on the way and have nobody to answer them.
func (p *promotion) pods(stages []verify.Stage) error {
	workloads, err := p.mover.Workloads()
	if err != nil {
		return err
	}
	missing := map[string]string{}
	for _, s := range stages {
		for version, weight := range s.Weights {
			if weight > 0 && missing[version] == "" && !slices.ContainsFunc(workloads, func(w verify.Workload) bool {
				return w.Namespace == p.app.Namespace && w.App == p.app.Name && w.Version == version
			}) {
				missing[version] = fmt.Sprintf("%s %s gets %d%% at stage %s and has no ready pod; install it first", p.app.Name, version, weight, s.Name)
			}
		}
	}
	var errs []error
	for _, v := range slices.Sorted(maps.Keys(missing)) {
		errs = append(errs, errors.New(missing[v]))
	}
	return errors.Join(errs...)
}

// kept are overrides that keep the subsets that are live and that the files have no more. A subset may go only after no
// proxy has a route that names it, and Helm applies DestinationRules before VirtualServices.
func kept(live rollout.Live, app verify.App) []render.Override {
	var keep []render.Override
	for _, version := range slices.Sorted(maps.Keys(live.Subsets)) {
		if _, ok := app.Subsets[version]; !ok {
			keep = append(keep, render.Set("routing.versions."+strings.ReplaceAll(version, ".", `\.`), map[string]any{}))
		}
	}
	return keep
}

// make brings what the files say to the cluster, at the stage where it is: subsets that are new exist at every proxy
// before a route names one, and what another chart changes is not taken for what new weights do. Nothing is done where
// nothing differs. It says whether all is well to go on.
func (p *promotion) make(ctx context.Context, from verify.Stage, live rollout.Live, revision *release.Revision) (bool, error) {
	differs := revision.Status != "deployed" || len(p.keep) > 0 || !reflect.DeepEqual(withoutStage(revision.Values), withoutStage(p.app.Release.Values))
	for version := range p.app.Subsets {
		_, ok := live.Subsets[version]
		differs = differs || !ok
	}
	if !differs {
		rendered, err := p.opts.Renderer.Release(ctx, p.app.Release.Release, render.Set("routing.stage", from.Name))
		if err != nil {
			return false, fmt.Errorf("%s at stage %s: %w", p.app.Name, from.Name, err)
		}
		differs = !rendered.Matches(revision.Manifest)
	}
	if differs {
		if m, err := p.bring(ctx, from); err != nil || m.why() != "" {
			return false, err
		}
	}
	return p.begin(ctx, from)
}

// bring brings the release to what the files say, at the stage where it is.
func (p *promotion) bring(ctx context.Context, at verify.Stage) (moved, error) {
	p.say("  the release is brought to what the files say, at stage %s", at.Name)
	return p.move(ctx, at, at, "brought to the files", p.keep)
}

// unmake lets go of subsets that were kept.
func (p *promotion) unmake(ctx context.Context) error {
	if len(p.keep) == 0 {
		return nil
	}
	at, err := p.app.StageOf(p.at)
	if err != nil {
		return err
	}
	p.say("  subsets that no route names any more are let go")
	_, err = p.move(ctx, at, at, "subsets let go that no route names", nil)
	return err
}

// begin measures where the walk begins: it is what later stages are compared with, and must be well itself.
func (p *promotion) begin(ctx context.Context, from verify.Stage) (bool, error) {
	why, err := p.gate(ctx, p.cameFrom(from), from)
	if err != nil {
		return false, err
	}
	if why != "" {
		p.walk.Why = "not begun: " + why
		p.say("  not begun: %s", why)
	}
	return why == "", nil
}

// cameFrom is the stage that one where a walk begins is compared as the next of: the last before it at which the
// versions that gain by it had nothing, or less if they always had some. An earlier walk may have ended before it
// compared them, and a stage where one takes all is too late for their latencies. It is the stage itself where no two
// versions answer, or none gains.
func (p *promotion) cameFrom(stage verify.Stage) verify.Stage {
	found := stage
	if len(serving(stage)) < 2 {
		return found
	}
	for _, s := range slices.Backward(p.app.Stages[:p.index(stage)]) {
		gains := gaining(s, stage)
		if len(gains) == 0 || p.gone(losing(s, stage), stage) {
			continue
		}
		if p.gone(gains, s) {
			return s
		}
		if found.Name == stage.Name {
			found = s // they never had nothing, only less
		}
	}
	return found
}

// serving are the versions that get anything at a stage.
func serving(stage verify.Stage) []string { return gaining(verify.Stage{}, stage) }

// along walks the stages, and turns back at once where one does not hold.
func (p *promotion) along(ctx context.Context, from verify.Stage, path []verify.Stage) error {
	at := from
	for i, stage := range path {
		m, err := p.move(ctx, at, stage, "promoted", p.keep)
		if err != nil {
			return err
		}
		why := m.why()
		if why == "" {
			if why, err = p.gate(ctx, at, stage); err != nil {
				return err
			}
		}
		if why != "" {
			p.walk.Why = why
			for _, s := range path[i+1:] {
				p.notRun(fmt.Sprintf("%s at stage %s", p.app.Name, s.Name), "the promotion ended at stage "+stage.Name)
			}
			return p.back(ctx, at, stage, why)
		}
		at = stage
	}
	return nil
}

// back returns at once to the last stage at which no version that had gained by this step gets anything, or to the
// first.
func (p *promotion) back(ctx context.Context, previous, stage verify.Stage, why string) error {
	gains := gaining(previous, stage)
	to := p.app.Stages[0]
	for _, s := range p.app.Stages {
		if s.Name == stage.Name {
			break
		}
		if !slices.ContainsFunc(gains, func(v string) bool { return s.Weights[v] > 0 }) {
			to = s
		}
	}
	p.turned = true
	p.say("  ROLLING BACK from stage %s to %s: %s", stage.Name, to.Name, why)
	m, err := p.move(ctx, stage, to, "rolled back: "+why, p.keep)
	p.walk.Why = why // that requests were lost on the way back is in its step
	if m.arrives != "" {
		p.walk.Why += fmt.Sprintf("; the rollback to stage %s failed: %s", to.Name, m.arrives)
		p.say("  NOT ROLLED BACK to stage %s: %s", to.Name, m.arrives)
		failed := fmt.Errorf("%s was not rolled back from stage %s to %s: %s; see to that, and go back with --to %s", p.app.Name, stage.Name, to.Name, m.arrives, to.Name)
		return errors.Join(failed, err)
	}
	p.walk.RolledBack = true
	p.say("  %s is back at stage %s", p.app.Name, to.Name)
	return err
}

// gaining are the versions that get more at a stage than at the one before.
func gaining(previous, stage verify.Stage) []string {
	var gains []string
	for _, v := range slices.Sorted(maps.Keys(stage.Weights)) {
		if stage.Weights[v] > previous.Weights[v] {
			gains = append(gains, v)
		}
	}
	return gains
}

// losing are the versions that get less.
func losing(previous, stage verify.Stage) []string { return gaining(stage, previous) }

// step records a step of the walk that began then.
func (p *promotion) step(kind string, stage verify.Stage, began time.Time, why string) {
	p.walk.Steps = append(p.walk.Steps, report.Step{
		Kind: kind, Stage: stage.Name, Weights: stage.Weights, Why: why, Pass: why == "",
		At: report.Seconds(began.Sub(p.report.Started)), Elapsed: report.Seconds(time.Since(began)),
	})
}

func (p *promotion) check(name, subject string, j assert.Judgement, took time.Duration) {
	c := report.NewCheck(p.running.Env.Name, name, subject, j)
	c.Elapsed = report.Seconds(took)
	p.report.Checks = append(p.report.Checks, c)
}

func (p *promotion) notRun(what, reason string) {
	p.report.NotRun = append(p.report.NotRun, report.NotRun{Environment: p.running.Env.Name, What: what, Reason: reason})
}

func stageOf(values map[string]any) string {
	routing, _ := values["routing"].(map[string]any)
	stage, _ := routing["stage"].(string)
	return stage
}

func withoutStage(values map[string]any) map[string]any {
	out := maps.Clone(values)
	if routing, ok := out["routing"].(map[string]any); ok {
		routing = maps.Clone(routing)
		delete(routing, "stage")
		out["routing"] = routing
	}
	return out
}

func names(stages []verify.Stage) []string {
	var all []string
	for _, s := range stages {
		all = append(all, s.Name)
	}
	return all
}

func originNames(origins []rollout.Origin) []string {
	var all []string
	for _, o := range origins {
		all = append(all, o.Name)
	}
	return all
}

func percents(weights map[string]int) string {
	var parts []string
	for _, v := range slices.Sorted(maps.Keys(weights)) {
		parts = append(parts, fmt.Sprintf("%s %d%%", v, weights[v]))
	}
	return strings.Join(parts, ", ")
}
