package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"chartbasico/pkg/check"
	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/kind"
	"chartbasico/pkg/cluster/local"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/problem"
	"chartbasico/pkg/render"
	"chartbasico/pkg/report"
	"chartbasico/pkg/verify"
)

type verifyFlags struct {
	targetFlags
	outputFlags
	envoy    string
	requests int
	rate     float64
	keep     bool
	beside   string
}

func newVerifyCommand(s streams) *cobra.Command {
	f := verifyFlags{}
	cmd := &cobra.Command{
		Use:   "verify ENV",
		Short: "Run an environment on a cluster and measure where its requests go",
		Long: `verify checks an environment file, starts a cluster, installs the releases with Helm,
and measures: how requests divide at each stage of each routed app, that none is lost
while stages change, balancing, queues, time limits, egress, injection, and that every
proxy is in sync.

On a cluster that others use as well (--context), mind that it changes what runs there: it
installs or upgrades the releases, walks every route through its stages and leaves it at
the one that the values name, and restarts a pod of each StatefulSet that has storage.`,
		Example: `  basico verify environments/bookinfo-prod.yaml
  basico verify environments/bookinfo-prod.yaml -o json --junit junit.xml --report report.html
  basico cluster create && basico verify environments/bookinfo-dev.yaml --cluster basico
  basico verify environments/bookinfo-prod.yaml --on kind
  basico verify environments/bookinfo-prod.yaml --on kind --beside local.json --report report.html
  basico verify environments/bookinfo-prod.yaml --context staging`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.validate(); err != nil {
				return err
			}
			return runVerify(cmd.Context(), s, f, args[0])
		},
	}
	flags := cmd.Flags()
	f.targetFlags.add(flags, "; releases stay on it", "; releases stay on it")
	flags.StringVar(&f.envoy, "envoy", "", "path of Envoy (default: the one on the PATH, else a pinned one)")
	flags.IntVar(&f.requests, "requests", 0, "requests for each split (default 10000, and 1000 where applications are real)")
	flags.Float64Var(&f.rate, "rate", 1e-6, "how often a right split may fail by chance")
	f.outputFlags.add(flags)
	flags.StringVar(&f.beside, "beside", "", "show the splits of an earlier result beside the new ones: a file written by -o json, of this environment")
	flags.BoolVar(&f.keep, "keep", false, "keep the cluster running after the result, until Ctrl-C")
	return cmd
}

// validate returns everything that is wrong with the flags.
func (f verifyFlags) validate() error {
	errs := append(f.targetFlags.mistakes(), f.outputFlags.mistakes()...)
	if f.requests < 0 {
		errs = append(errs, fmt.Errorf("--requests: found %d, expected 1 or more, or 0 for the default", f.requests))
	}
	if f.rate <= 0 || f.rate >= 1 {
		errs = append(errs, fmt.Errorf("--rate: found %g, expected more than 0 and less than 1", f.rate))
	}
	if (f.cluster != "" || f.context != "") && (f.keep || f.envoy != "") {
		errs = append(errs, errors.New("--keep and --envoy are for a cluster that is started here, not for --cluster and --context"))
	}
	if f.on == "kind" && f.envoy != "" {
		errs = append(errs, errors.New("--envoy is for --on local: kind has its own"))
	}
	return errors.Join(errs...)
}

func runVerify(ctx context.Context, s streams, f verifyFlags, file string) error {
	say := progress(s.err)
	say("checking " + file)
	renderer := newRenderer(say)
	env, releases, problems, err := checkEnvironment(ctx, renderer, file)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return f.refuse(s, env.Name, f.rate, problems)
	}
	var earlier report.Report
	if f.beside != "" {
		if earlier, err = readReport(f.beside, env.Name); err != nil {
			return err
		}
	}
	c, stop, err := f.start(ctx, say, render.Images(releases))
	if err != nil {
		return err
	}
	rep, runErr := verify.Run(ctx, c, env, verify.Options{Requests: f.requests, Rate: f.rate, Renderer: renderer, Progress: say})
	rep.Command = f.command(file)
	rep.SetBeside(earlier)
	if runErr != nil {
		rep.Problems = append(rep.Problems, report.Problem{Environment: env.Name, Rule: "could not be run to the end", Found: runErr.Error()})
	}
	writeErr := f.write(s, *rep)
	if f.keep && ctx.Err() == nil {
		say("the cluster runs on until Ctrl-C: export KUBECONFIG=" + c.Kubeconfig())
		<-ctx.Done()
	}
	if err := errors.Join(writeErr, stop()); err != nil {
		return err
	}
	return concluded(*rep, runErr)
}

// checkEnvironment reads, renders and checks an environment. Problems are mistakes in it, which are reported alike
// whoever finds them; where it cannot even be read, only its name is known.
func checkEnvironment(ctx context.Context, renderer *render.Renderer, file string) (*environment.Environment, []*render.Release, []report.Problem, error) {
	var wrong problem.List
	env, err := environment.Load(file)
	if errors.As(err, &wrong) {
		return &environment.Environment{Name: wrong[0].Environment, File: file}, nil, reported(wrong), nil
	}
	if err != nil {
		return nil, nil, nil, err
	}
	checker, err := check.New()
	if err != nil {
		return nil, nil, nil, err
	}
	releases, problems, err := examine(ctx, renderer, checker, env)
	if err != nil {
		return nil, nil, nil, err
	}
	if mistakes := reported(problems); len(mistakes) > 0 {
		return env, nil, mistakes, nil
	}
	return env, releases, nil, nil
}

// reported are the mistakes among problems as a report has them.
func reported(problems problem.List) []report.Problem {
	var out []report.Problem
	for _, p := range problems {
		if p.Severity != problem.Error {
			continue
		}
		out = append(out, report.Problem{
			Environment: p.Environment, Release: p.Release, File: p.File, Line: p.Line, Path: p.Path, Object: p.Object,
			Rule: p.Rule, Found: p.Found, Expected: p.Expected, Fix: p.Fix,
		})
	}
	return out
}

// start returns the cluster to run on, with these images, and what ends it if it was started here.
func (f verifyFlags) start(ctx context.Context, say func(string), images []string) (cluster.Cluster, func() error, error) {
	if f.context != "" || f.cluster != "" {
		c, stop, err := f.open(ctx, say)
		if err != nil {
			return nil, nil, err
		}
		if k, ok := c.(*kind.Cluster); ok {
			say("loading images")
			if err := k.Load(ctx, images); err != nil {
				return nil, nil, errors.Join(err, stop())
			}
		}
		return c, stop, nil
	}
	if f.on == "kind" {
		return f.startKind(ctx, say, images)
	}
	say("starting a local cluster")
	c, err := local.Start(ctx, local.Options{Name: f.ownName(), Envoy: f.envoy, Progress: func(line string) { say("  " + line) }})
	if err != nil {
		return nil, nil, err
	}
	return c, func() error {
		// The context may have been what ended the run.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		return c.Stop(ctx)
	}, nil
}

// ownName is the name of a cluster that is this run's alone.
func (f verifyFlags) ownName() string { return fmt.Sprintf("verify-%d", os.Getpid()) }

func (f verifyFlags) startKind(ctx context.Context, say func(string), images []string) (cluster.Cluster, func() error, error) {
	say("starting a kind cluster")
	name := f.ownName()
	c, err := kind.Create(ctx, kind.Options{Name: name, Images: images, Temporary: true, Progress: func(line string) { say("  " + line) }})
	if err != nil {
		return nil, nil, err
	}
	return c, func() error {
		// The context may have been what ended the run.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), kind.RemoveTimeout)
		defer cancel()
		_, err := kind.Delete(ctx, name)
		return errors.Join(c.Close(), err)
	}, nil
}

// command repeats the run.
func (f verifyFlags) command(file string) string {
	line := "basico verify " + file + f.targetFlags.command()
	if f.beside != "" {
		line += " --beside " + quote(f.beside)
	}
	if f.requests != 0 {
		line += fmt.Sprintf(" --requests %d", f.requests)
	}
	if f.rate != 1e-6 {
		line += fmt.Sprintf(" --rate %g", f.rate)
	}
	return line
}

// readReport reads a result of an environment that was written as JSON.
func readReport(path, environment string) (report.Report, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return report.Report{}, fmt.Errorf("--beside: %w", err)
	}
	var rep report.Report
	if err := json.Unmarshal(raw, &rep); err != nil {
		return report.Report{}, fmt.Errorf("--beside: %s: %w; expected what basico verify -o json writes", path, err)
	}
	if !slices.Contains(rep.Environments, environment) {
		return report.Report{}, fmt.Errorf("--beside: %s: environments: found %q, expected %q among them, as only the same stages can stand side by side", path, rep.Environments, environment)
	}
	return rep, nil
}

func writeFile(path string, write func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

// textOptions are for a terminal if that is what w is.
func textOptions(w io.Writer) report.TextOptions {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return report.TextOptions{}
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		width = 0 // the default will do
	}
	return report.TextOptions{Width: width, Color: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// progress writes a line with the time since it was made. It is safe for concurrent use.
func progress(w io.Writer) func(string) {
	start := time.Now()
	var mu sync.Mutex
	return func(line string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(w, "%6.1f s  %s\n", time.Since(start).Seconds(), line)
	}
}
