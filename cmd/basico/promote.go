package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"chartbasico/pkg/assert"
	"chartbasico/pkg/promote"
	"chartbasico/pkg/render"
	"chartbasico/pkg/report"
	"chartbasico/pkg/verify"
)

type promoteFlags struct {
	liveFlags
	outputFlags
	to     string
	slower float64
	write  bool
}

func newPromoteCommand(s streams) *cobra.Command {
	f := promoteFlags{}
	cmd := &cobra.Command{
		Use:   "promote ENV APP",
		Short: "Lead an app along its stages on a running cluster, and turn back where the new version does worse",
		Long: `promote moves the routing of an app from the stage where it is on the cluster to another,
stage by stage, by upgrades of its release. At each stage it waits until every proxy has
the new weights, sends requests of its own, and goes on only if none is lost, they divide
as wanted, and the version that gets more neither fails more often nor is slower than the
one that gets less. Otherwise it goes back at once to the last stage without that version.

To an earlier stage it goes in one step, and does not turn round. Interrupted, it leaves
the app at a stage, and the same command goes on from there.`,
		Example: `  basico promote environments/bookinfo-prod.yaml reviews
  basico promote environments/bookinfo-prod.yaml reviews --to canary --write
  basico promote environments/bookinfo-prod.yaml reviews --to v1
  basico promote environments/bookinfo-prod.yaml reviews --on kind --slower 10
  basico promote environments/bookinfo-prod.yaml reviews --context staging`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.validate(); err != nil {
				return err
			}
			return runPromote(cmd.Context(), s, f, args[0], args[1])
		},
	}
	flags := cmd.Flags()
	f.liveFlags.add(flags, "requests from each sender at each stage; more where it takes more to find a version that fails 5%",
		"default 500, and 50 where applications are real")
	flags.StringVar(&f.to, "to", "", "the stage to reach (default: the last)")
	flags.Float64Var(&f.slower, "slower", 1.5, "how many times as long the new version may take, and 1 ms")
	flags.BoolVar(&f.write, "write", false, "write the stage that was reached into the values file")
	f.outputFlags.add(flags)
	return cmd
}

func (f promoteFlags) validate() error {
	errs := append(f.liveFlags.mistakes(), f.outputFlags.mistakes()...)
	if f.slower < 1 || f.slower > 1000 {
		errs = append(errs, fmt.Errorf("--slower: found %g, expected 1 to 1000", f.slower))
	}
	return errors.Join(errs...)
}

// command repeats the promotion, or goes on with it.
func (f promoteFlags) command(file, app string) string {
	line := "basico promote " + file + " " + app + f.liveFlags.command()
	if f.to != "" {
		line += " --to " + quote(f.to)
	}
	if f.slower != 1.5 {
		line += fmt.Sprintf(" --slower %g", f.slower)
	}
	if f.write {
		line += " --write"
	}
	return line
}

func runPromote(ctx context.Context, s streams, f promoteFlags, file, app string) (err error) {
	say := progress(s.err)
	renderer := newRenderer(say)
	env, releases, problems, err := checkEnvironment(ctx, renderer, file)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return f.refuse(s, env.Name, f.rate, problems)
	}
	stageFile := ""
	if f.write { // before anything is moved
		if stageFile, err = promotedFile(releases, app); err != nil {
			return err
		}
	}
	c, stop, err := f.open(ctx, say)
	if err != nil {
		return err
	}
	defer func() { err = closed(err, stop()) }()
	outcome, runErr := promote.Run(ctx, c, env, app, promote.Options{
		To: f.to, Requests: f.requests, Rate: f.rate, Pace: f.pace, Limit: assert.Slower{Factor: f.slower, Slack: time.Millisecond},
		Renderer: renderer, Progress: say,
	})
	rep := outcome.Report
	rep.Command = f.command(file, app)
	if outcome.Stage == "" && runErr != nil {
		return runErr // nothing was begun, so there is nothing to report
	}
	if runErr != nil {
		found := runErr.Error()
		if ctx.Err() != nil {
			found = fmt.Sprintf("interrupted: %s is at stage %s; the same command goes on from there", outcome.App.Name, outcome.Stage)
		}
		rep.Problems = append(rep.Problems, report.Problem{Environment: env.Name, Rule: "could not be run to the end", Found: found})
	}
	if f.write {
		changed, err := promote.WriteStage(stageFile, outcome.Stage)
		if err != nil {
			rep.Problems = append(rep.Problems, report.Problem{Environment: env.Name, File: stageFile, Path: "routing.stage", Found: err.Error()})
			runErr = errors.Join(runErr, err)
		} else if changed {
			say(fmt.Sprintf("%s: routing.stage is %s now", stageFile, outcome.Stage))
		}
	}
	if err := f.outputFlags.write(s, *rep); err != nil {
		return err
	}
	return concluded(*rep, runErr)
}

// promotedFile is the values file into which the stage of an app is written.
func promotedFile(releases []*render.Release, name string) (string, error) {
	apps, err := verify.Apps(releases)
	if err != nil {
		return "", err
	}
	for _, a := range apps {
		if a.Name == name || a.Namespace+"/"+a.Name == name {
			return promote.StageFile(a.Release.Release)
		}
	}
	return "", nil // Run says what is wrong with the name
}
