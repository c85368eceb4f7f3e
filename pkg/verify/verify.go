// Package verify runs an environment on a cluster and measures what the mesh does with it: how requests divide at each
// stage of each routed app's rollout, and everything else that the environment's files promise.
package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/labels"

	"chartbasico/pkg/assert"
	"chartbasico/pkg/cluster"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/measure"
	"chartbasico/pkg/release"
	"chartbasico/pkg/render"
	"chartbasico/pkg/report"
	"chartbasico/pkg/rollout"
)

// Options of a run. Zero values mean the defaults named at each field.
type Options struct {
	// Requests is how many are sent for each split. Default 10,000 to stand-ins, 1,000 to real applications, which
	// take so much longer for each.
	Requests int
	// Rate is how often a right split may fail by chance. Default 1e-6.
	Rate float64
	// SteadyRate is how many requests a second each origin sends while stages change. Default 200 to stand-ins, 20 to
	// real applications.
	SteadyRate float64
	// Settle bounds the wait until a change has arrived at every proxy. Default 30 s.
	Settle time.Duration
	// Renderer renders the releases. Default: a new one.
	Renderer *render.Renderer
	// Progress is told what is being done, a line at a time, maybe from several goroutines. Default: nobody is told.
	Progress func(string)
	// Installed is called when all releases are ready, before anything is measured. Its error ends the run.
	Installed func(ctx context.Context) error
	// AtStage is called each time that a stage has arrived at every proxy, before anything is measured there, for
	// several apps at once. Its error ends the run.
	AtStage func(ctx context.Context, app App, stage Stage) error
}

func (o Options) withDefaults(standIns bool) Options {
	m := measure.Options{Requests: o.Requests, Rate: o.Rate}.WithDefaults(standIns)
	o.Requests, o.Rate = m.Requests, m.Rate
	if o.SteadyRate == 0 {
		o.SteadyRate = rollout.Rate(standIns)
	}
	if o.Settle == 0 {
		o.Settle = 30 * time.Second
	}
	if o.Renderer == nil {
		o.Renderer = render.New()
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return o
}

// Run installs the environment on the cluster and measures it. What fell short is in the report; the error is for what
// could not be run, such as a release that does not get ready or a process of the cluster that died. With an error,
// the report holds what had been found out before it.
//
// The releases stay installed, each routed app at the stage that its values name.
func Run(ctx context.Context, c cluster.Cluster, env *environment.Environment, opts Options) (*report.Report, error) {
	opts = opts.withDefaults(c.StandIns())
	r := &run{cluster: c, env: env, opts: opts, filling: &sync.Mutex{}, report: &report.Report{
		Environments: []string{env.Name}, Started: time.Now(), ErrorRate: opts.Rate,
		Cluster: report.Cluster{Kind: c.Kind(), Name: c.Name()},
	}}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stopped := make(chan struct{})
	go func() { // a process that dies ends everything at once
		select {
		case err, ok := <-c.Failed():
			if ok && err != nil {
				cancel(fmt.Errorf("%w: %w", ErrCluster, err))
			}
		case <-stopped:
		}
	}()
	err := r.all(ctx)
	close(stopped)
	if cause := context.Cause(ctx); cause != nil {
		err = cause // what else went wrong only followed from it
	}
	r.report.Elapsed = report.Seconds(time.Since(r.report.Started))
	return r.report, err
}

// ErrCluster is wrapped when a process that the cluster needs died during a run.
var ErrCluster = errors.New("the cluster failed")

// run is one Run.
type run struct {
	cluster   cluster.Cluster
	env       *environment.Environment
	opts      Options
	installer *release.Installer
	releases  []*render.Release
	own       own
	entries   []Entry
	exposures []Exposure
	workloads []Workload                 // as they ran when everything was installed
	running   func() ([]Workload, error) // as they run now: pods may come and go
	filling   *sync.Mutex                // held while a queue is filled: several at once would not be full before the slow request ends

	mu     sync.Mutex
	report *report.Report
}

func (r *run) all(ctx context.Context) error {
	if err := r.step(ctx, "install", r.install); err != nil {
		return err
	}
	if r.opts.Installed != nil {
		if err := r.opts.Installed(ctx); err != nil {
			return err
		}
	}
	apps, err := Apps(r.releases)
	if err != nil {
		return err
	}
	if err := r.look(ctx); err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"injection", r.injection},
		{"egress", r.egress},
		{"reach", r.reach},
		{"mutual TLS", r.mutualTLS},
		{"kinds of workload", r.workloadKinds},
	} {
		if err := r.step(ctx, step.name, step.do); err != nil {
			return err
		}
	}
	if err := r.routings(ctx, apps); err != nil {
		return err
	}
	return r.step(ctx, "proxies", func(ctx context.Context) error {
		if len(r.own.gateways) == 0 && !slices.ContainsFunc(r.own.pods(r.installer.Pods("", labels.Everything())), hasSidecar) {
			r.notRun(inSync, "no pod of the environment has a proxy, and no gateway leads to it", true)
			return nil
		}
		return r.proxies(ctx)
	})
}

// sideBySide is how many apps are measured at once: while one waits for its route, others keep the machine busy.
const sideBySide = 4

// routings walks the stages of every app: those that have nothing to do with each other side by side. Each writes into
// a report of its own, so that the order is that of the apps.
func (r *run) routings(ctx context.Context, apps []App) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Waiting for a time limit costs no work, so it goes on beside everything else.
	waits, wait := background(ctx)
	var group errgroup.Group
	group.SetLimit(sideBySide)
	parts := make([]*run, len(apps))
	for i := range apps {
		parts[i] = &run{
			cluster: r.cluster, env: r.env, opts: r.opts, installer: r.installer,
			releases: r.releases, own: r.own, entries: r.entries, exposures: r.exposures, workloads: r.workloads, running: r.running, filling: r.filling, report: &report.Report{},
		}
	}
	for _, together := range related(apps, r.workloads) {
		group.Go(func() error {
			for _, i := range together {
				part, app := parts[i], apps[i]
				if app.Protocol != "HTTP" {
					part.notRun("routing of "+app.Title, app.Protocol+" is routed, and requests are sent as HTTP", true)
					continue
				}
				if app.Unmatched != "" {
					part.notRun("routing of "+app.Title, app.Unmatched, true)
					continue
				}
				err := part.step(ctx, "routing of "+app.Title, func(ctx context.Context) error { return part.routing(ctx, app, wait) })
				if err != nil {
					cancel(err)
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	if err == nil {
		err = r.step(ctx, "time limits", func(context.Context) error { return waits() })
	}
	_ = waits() // after an error too, as they write into the reports; that they were ended is no news
	for _, part := range parts {
		r.report.Splits = append(r.report.Splits, part.report.Splits...)
		r.report.Checks = append(r.report.Checks, part.report.Checks...)
		r.report.NotRun = append(r.report.NotRun, part.report.NotRun...)
		r.report.Timings = append(r.report.Timings, part.report.Timings...)
	}
	return err
}

// background runs functions beside the rest; waits returns when all are done, with their errors.
func background(ctx context.Context) (waits func() error, start func(func(context.Context) error)) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	start = func(f func(context.Context) error) {
		wg.Go(func() {
			if err := f(ctx); err != nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	return func() error { wg.Wait(); return errors.Join(errs...) }, start
}

// step runs one step and takes its time.
func (r *run) step(ctx context.Context, name string, do func(context.Context) error) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	start := time.Now()
	err := do(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Timings = append(r.report.Timings, report.Timing{Step: r.env.Name + ": " + name, Elapsed: report.Seconds(time.Since(start))})
	return err
}

func (r *run) say(format string, args ...any) { r.opts.Progress(fmt.Sprintf(format, args...)) }

func (r *run) check(name, subject string, j assert.Judgement, took time.Duration) {
	c := report.NewCheck(r.env.Name, name, subject, j)
	c.Elapsed = report.Seconds(took)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Checks = append(r.report.Checks, c)
}

// fails records a check that failed before anything could be judged.
func (r *run) fails(name, subject, want string, err error) {
	r.check(name, subject, assert.Judgement{Want: want, Got: "not so", Why: err.Error()}, 0)
}

// notRun records what was left out. expected is for what this environment or cluster cannot have.
func (r *run) notRun(what, reason string, expected bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.NotRun = append(r.report.NotRun, report.NotRun{Environment: r.env.Name, What: what, Reason: reason, Expected: expected})
}

func (r *run) install(ctx context.Context) error {
	var err error
	if r.releases, err = r.opts.Renderer.Environment(ctx, r.env); err != nil {
		return err
	}
	if r.own, err = ownOf(r.releases); err != nil {
		return err
	}
	ours := ownIn(r.cluster, r.own)
	r.cluster = ours
	if err := ours.begin(ctx); err != nil {
		return err
	}
	var timeout time.Duration // the usual one
	if !r.cluster.StandIns() {
		timeout = 10 * time.Minute // real applications may take minutes to start on a busy machine
	}
	r.installer, err = release.New(ctx, r.cluster.Kubeconfig(), release.Options{Timeout: timeout, Done: func(_, name string, took time.Duration) {
		r.say("  %s ready (%.1f s)", name, took.Seconds())
	}})
	if err != nil {
		return err
	}
	apps, err := Apps(r.releases)
	if err != nil {
		return err
	}
	if err := r.unmoved(ctx, apps); err != nil {
		return err
	}
	r.say("%s: installing %d releases", r.env.Name, len(r.releases))
	r.report.Cluster.Kubernetes = r.installer.KubernetesVersion()
	install := func(ctx context.Context) error { return r.installer.Install(ctx, r.releases) }
	if !r.cluster.StandIns() {
		return install(ctx) // real applications read what they refer to
	}
	return r.withPlaceholders(ctx, install)
}

// look reads what runs: the ways in, the workloads with their calls, and the versions.
func (r *run) look(ctx context.Context) error {
	var err error
	if r.report.Cluster, err = describe(ctx, r.cluster, r.report.Cluster.Kubernetes); err != nil {
		return err
	}
	if r.entries, err = Entries(r.releases); err != nil {
		return err
	}
	if r.exposures, err = Unrequested(r.releases); err != nil {
		return err
	}
	var closed []Exposure
	if r.entries, closed, err = open(ctx, r.cluster, r.entries); err != nil {
		return err
	}
	r.exposures = append(r.exposures, closed...)
	r.running = func() ([]Workload, error) {
		return Workloads(r.own.made(r.installer.Pods("", labels.Everything())))
	}
	r.workloads, err = r.running()
	return err
}
