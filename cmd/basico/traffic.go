package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/measure"
	"chartbasico/pkg/report"
	"chartbasico/pkg/rollout"
	"chartbasico/pkg/verify"
)

type trafficFlags struct {
	liveFlags
	outputFlags
	from   string
	stage  string
	points float64
}

func newTrafficCommand(s streams) *cobra.Command {
	f := trafficFlags{}
	cmd := &cobra.Command{
		Use:   "traffic ENV APP",
		Short: "Measure how the requests to an app on a running cluster divide over its versions",
		Long: `traffic sends requests to an app with routing, from the ingress gateway and from each
workload that calls it, and judges while they are answered whether they divide as the
route on the cluster says. It changes nothing.

It ends as soon as the split is proved wrong, or every share is known to within --within
points of the wanted one, and at the latest after --requests. The test is sequential: the
error rate holds however early it ends.`,
		Example: `  basico traffic environments/bookinfo-prod.yaml reviews
  basico traffic environments/bookinfo-prod.yaml reviews --from productpage/v1 --within 1 --requests 100000
  basico traffic environments/bookinfo-prod.yaml reviews --stage canary -o json
  basico traffic environments/bookinfo-prod.yaml reviews --on kind
  basico traffic environments/bookinfo-prod.yaml reviews --context staging`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.validate(); err != nil {
				return err
			}
			return runTraffic(cmd.Context(), s, f, args[0], args[1])
		},
	}
	flags := cmd.Flags()
	f.liveFlags.add(flags, "requests from each sender at most", "0: as fast as they are answered")
	flags.StringVar(&f.from, "from", "all", "who sends the requests: gateway, the app/version of a workload, or all")
	flags.StringVar(&f.stage, "stage", "", "the stage that is wanted (default: what the route on the cluster says)")
	flags.Float64Var(&f.points, "within", 2, "points of a percentage to within which every share must be known to end early; 0: not before --requests")
	f.outputFlags.add(flags)
	return cmd
}

func (f trafficFlags) validate() error {
	errs := append(f.liveFlags.mistakes(), f.outputFlags.mistakes()...)
	if f.points < 0 || f.points > 100 {
		errs = append(errs, fmt.Errorf("--within: found %g, expected 0 to 100", f.points))
	}
	return errors.Join(errs...)
}

// command repeats the measurement.
func (f trafficFlags) command(file, app string) string {
	line := "basico traffic " + file + " " + app + f.liveFlags.command()
	if f.from != "all" {
		line += " --from " + quote(f.from)
	}
	if f.stage != "" {
		line += " --stage " + quote(f.stage)
	}
	if f.points != 2 {
		line += fmt.Sprintf(" --within %g", f.points)
	}
	return line
}

func runTraffic(ctx context.Context, s streams, f trafficFlags, file, appName string) (err error) {
	say := progress(s.err)
	env, err := environment.Load(file)
	if err != nil {
		return err
	}
	c, stop, err := f.open(ctx, say)
	if err != nil {
		return err
	}
	defer func() { err = closed(err, stop()) }()
	running, err := verify.Look(ctx, c, env, newRenderer(say), 0)
	if err != nil {
		return err
	}
	app, err := running.App(appName)
	if err != nil {
		return err
	}
	origins, left, err := running.Origins(ctx, app)
	if err != nil {
		return err
	}
	if origins, err = from(origins, left, f.from); err != nil {
		return err
	}
	stage, err := wanted(ctx, running, app, f.stage)
	if err != nil {
		return err
	}
	described, err := running.Describe(ctx)
	if err != nil {
		return err
	}
	rep := report.Report{
		Environments: []string{running.Env.Name}, Command: f.command(file, appName), Started: time.Now(), ErrorRate: f.rate,
		Cluster: described,
	}
	if f.from == "all" {
		rep.NotRun = left
	}
	say(fmt.Sprintf("%s: wanted at stage %s: %s", app.Name, stage.Name, percents(stage.Weights)))
	var runErr error
	for _, o := range origins {
		split, err := f.measure(ctx, c, running.Env.Name, app, stage, o, say)
		if split.Requests > 0 {
			rep.Splits = append(rep.Splits, split)
		}
		if err != nil {
			runErr = err
			rep.Problems = append(rep.Problems, report.Problem{Environment: running.Env.Name, Rule: "could not be run to the end", Found: err.Error()})
			break
		}
	}
	rep.Elapsed = report.Seconds(time.Since(rep.Started))
	if err := f.write(s, rep); err != nil {
		return err
	}
	return concluded(rep, runErr)
}

func (f trafficFlags) measure(ctx context.Context, c cluster.Cluster, env string, app verify.App, stage verify.Stage, o rollout.Origin, say func(string)) (report.Split, error) {
	opts := measure.Options{Requests: f.requests, Rate: f.rate, Pace: f.pace, Points: f.points}.WithDefaults(c.StandIns())
	opts.After = func(r measure.Result) bool {
		say(fmt.Sprintf("  from %s: %d requests: %s", o.Name, r.Tally.Requests, shares(r)))
		return false
	}
	opts.Progress = func(sent int) {
		say(fmt.Sprintf("  from %s: %d of %d requests so far", o.Name, sent, opts.Requests))
	}
	r, err := measure.Split(ctx, c, o, stage.Weights, opts)
	split := report.Split{
		Environment: env, App: app.Title, Stage: stage.Name, From: o.Name,
		Requests: r.Tally.Requests, Errors: r.Tally.Errors, Want: stage.Weights, Got: r.Got, Failures: r.Tally.Failures,
		Sequential: true, Elapsed: report.Seconds(r.Tally.Elapsed),
	}
	split.Judge(r.Split)
	if n := r.Tally.Errors; n > 0 {
		split.Pass = false
		split.Why = strings.TrimPrefix(split.Why+fmt.Sprintf("; %d of %d requests had no good answer", n, r.Tally.Requests), "; ")
	}
	switch {
	case err != nil:
		split.Note = "it was interrupted"
	case r.Known && r.Tally.Requests < opts.Requests:
		split.Note = fmt.Sprintf("it ended early: every share is known to within %g points of the wanted one", f.points)
	case !r.Split.Pass && r.Tally.Requests < opts.Requests:
		split.Note = "it ended early: the split is proved wrong"
	case !r.Known && f.points > 0 && r.Split.Pass:
		split.Note = fmt.Sprintf("shares are not known to within %g points; that takes more --requests", f.points)
	}
	return split, err
}

// shares are the measured ones with their intervals: "v1 90.20% (88.11–92.02), v2 …".
func shares(r measure.Result) string {
	all := 0
	for _, n := range r.Got {
		all += n
	}
	var parts []string
	for _, v := range slices.Sorted(maps.Keys(r.Split.Interval)) {
		i := r.Split.Interval[v]
		parts = append(parts, fmt.Sprintf("%s %.2f%% (%.2f–%.2f)", v, 100*float64(r.Got[v])/float64(all), i[0], i[1]))
	}
	if n := r.Tally.Errors; n > 0 {
		parts = append(parts, fmt.Sprintf("errors %d", n))
	}
	return strings.Join(parts, ", ")
}

func percents(weights map[string]int) string {
	var parts []string
	for _, v := range slices.Sorted(maps.Keys(weights)) {
		parts = append(parts, fmt.Sprintf("%s %d%%", v, weights[v]))
	}
	return strings.Join(parts, ", ")
}

// from keeps the origins of that name. left are those from which nothing can be sent.
func from(origins []rollout.Origin, left []report.NotRun, name string) ([]rollout.Origin, error) {
	if name == "all" {
		return origins, nil
	}
	var names []string
	for _, o := range origins {
		short := strings.TrimPrefix(o.Name, "ingress ")
		if name == o.Name || name == short {
			return []rollout.Origin{o}, nil
		}
		names = append(names, short)
	}
	why := ""
	for _, l := range left {
		why += fmt.Sprintf("; not run: %s: %s", l.What, l.Reason)
	}
	return nil, fmt.Errorf("--from: found %q, expected all, %s%s", name, strings.Join(names, ", "), why)
}

// wanted is the stage of that name, or else the one at which the cluster is. A route that divides as no stage does is
// measured against itself.
func wanted(ctx context.Context, running *verify.Running, app verify.App, name string) (verify.Stage, error) {
	if name != "" {
		return app.StageOf(name)
	}
	live, err := running.Live(ctx, app)
	if err != nil {
		return verify.Stage{}, err
	}
	if stage, ok := app.At(live, app.Current); ok {
		return stage, nil
	}
	return verify.Stage{Name: "(none in the files)", Weights: live.Weights}, nil
}
