package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/local"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/measure"
	"chartbasico/pkg/render"
	"chartbasico/pkg/report"
	"chartbasico/pkg/verify"
)

// liveFlags are those of the verbs that measure what runs on a cluster already.
type liveFlags struct {
	cluster  string
	requests int
	rate     float64
	pace     float64
}

// add adds the flags; pace is the default of that one.
func (f *liveFlags) add(flags *pflag.FlagSet, pace float64) {
	flags.StringVar(&f.cluster, "cluster", local.DefaultName, "name of the running cluster (see basico cluster create)")
	flags.IntVar(&f.requests, "requests", 10_000, "requests from each sender at most")
	flags.Float64Var(&f.rate, "rate", 1e-6, "how often what is right may fail by chance, in each judgement")
	flags.Float64Var(&f.pace, "pace", pace, "requests a second from each sender; 0: as fast as they are answered")
}

func (f liveFlags) mistakes() []error {
	var errs []error
	if f.requests < 1 {
		errs = append(errs, fmt.Errorf("--requests: found %d, expected 1 or more", f.requests))
	}
	if f.rate <= 0 || f.rate >= 1 {
		errs = append(errs, fmt.Errorf("--rate: found %g, expected more than 0 and less than 1", f.rate))
	}
	if f.pace < 0 || f.pace > 1e6 {
		errs = append(errs, fmt.Errorf("--pace: found %g, expected 0 to 1e6", f.pace))
	}
	return errs
}

func (f liveFlags) command(pace float64) string {
	line := ""
	if f.cluster != local.DefaultName {
		line += " --cluster " + quote(f.cluster)
	}
	if f.requests != 10_000 {
		line += fmt.Sprintf(" --requests %d", f.requests)
	}
	if f.rate != 1e-6 {
		line += fmt.Sprintf(" --rate %g", f.rate)
	}
	if f.pace != pace {
		line += fmt.Sprintf(" --pace %g", f.pace)
	}
	return line
}

func (f liveFlags) options() measure.Options {
	return measure.Options{Requests: f.requests, Rate: f.rate, Pace: f.pace}
}

// look opens the cluster and looks at what of the environment runs there.
func (f liveFlags) look(ctx context.Context, env *environment.Environment, renderer *render.Renderer) (*verify.Running, error) {
	c, err := f.open(ctx)
	if err != nil {
		return nil, err
	}
	return verify.Look(ctx, c, env, renderer, 0)
}

func (f liveFlags) open(ctx context.Context) (cluster.Cluster, error) {
	return openLocal(ctx, f.cluster)
}

// openLocal opens a running local cluster by its name.
func openLocal(ctx context.Context, name string) (*local.Cluster, error) {
	c, err := local.Open(ctx, name)
	if errors.Is(err, local.ErrNotRunning) {
		err = fmt.Errorf("%w; start it with: basico cluster create --name %s", err, name)
	}
	return c, err
}

// outputFlags say in which forms a report is written.
type outputFlags struct {
	output string
	junit  string
	html   string
}

func (f *outputFlags) add(flags *pflag.FlagSet) {
	flags.StringVarP(&f.output, "output", "o", "text", "format of the result: text or json")
	flags.StringVar(&f.junit, "junit", "", "also write the result as JUnit XML to this file")
	flags.StringVar(&f.html, "report", "", "also write the result as one HTML page to this file")
}

func (f outputFlags) mistakes() []error {
	if f.output != "text" && f.output != "json" {
		return []error{fmt.Errorf("--output: found %q, expected text or json", f.output)}
	}
	return nil
}

// write writes the report in every form that was asked for.
func (f outputFlags) write(s streams, rep report.Report) error {
	var errs []error
	if f.output == "json" {
		errs = append(errs, rep.JSON(s.out))
	} else {
		errs = append(errs, rep.Text(s.out, textOptions(s.out)))
	}
	for _, out := range []struct {
		path  string
		write func(io.Writer) error
	}{{f.junit, rep.JUnit}, {f.html, rep.HTML}} {
		if out.path != "" {
			errs = append(errs, writeFile(out.path, out.write))
		}
	}
	return errors.Join(errs...)
}

// concluded is the exit of a verb that measures, once its report is written.
func concluded(rep report.Report, runErr error) error {
	switch {
	case runErr != nil:
		return exitError{status: exitCouldNot}
	case !rep.Held():
		return fellShort()
	}
	return nil
}
