package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/pflag"

	"chartbasico/pkg/cluster/local"
	"chartbasico/pkg/report"
)

// liveFlags are those of the verbs that measure what runs on a cluster already.
type liveFlags struct {
	targetFlags
	requests int
	rate     float64
	pace     float64
}

// add adds the flags; pace says what --pace is if nothing is said.
func (f *liveFlags) add(flags *pflag.FlagSet, requests, pace string) {
	f.targetFlags.add(flags, "", fmt.Sprintf(" (default %q)", local.DefaultName))
	flags.IntVar(&f.requests, "requests", 0, requests+" (default 10000, and 1000 where applications are real)")
	flags.Float64Var(&f.rate, "rate", 1e-6, "how often what is right may fail by chance, in each judgement")
	flags.Float64Var(&f.pace, "pace", 0, "requests a second from each sender ("+pace+")")
}

func (f liveFlags) mistakes() []error {
	errs := f.targetFlags.mistakes()
	if f.requests < 0 {
		errs = append(errs, fmt.Errorf("--requests: found %d, expected 1 or more, or 0 for the default", f.requests))
	}
	if f.rate <= 0 || f.rate >= 1 {
		errs = append(errs, fmt.Errorf("--rate: found %g, expected more than 0 and less than 1", f.rate))
	}
	if f.pace < 0 || f.pace > 1e6 {
		errs = append(errs, fmt.Errorf("--pace: found %g, expected 0 to 1e6", f.pace))
	}
	return errs
}

func (f liveFlags) command() string {
	line := f.targetFlags.command()
	if f.requests != 0 {
		line += fmt.Sprintf(" --requests %d", f.requests)
	}
	if f.rate != 1e-6 {
		line += fmt.Sprintf(" --rate %g", f.rate)
	}
	if f.pace != 0 {
		line += fmt.Sprintf(" --pace %g", f.pace)
	}
	return line
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
	var errs []error
	if f.output != "text" && f.output != "json" {
		errs = append(errs, fmt.Errorf("--output: found %q, expected text or json", f.output))
	}
	for _, out := range []struct{ flag, path string }{{"--junit", f.junit}, {"--report", f.html}} {
		if out.path == "" {
			continue
		}
		if err := writable(out.path); err != nil {
			errs = append(errs, fmt.Errorf("%s: expected a file that can be written: %w", out.flag, err))
		}
	}
	return errs
}

// writable says why a file cannot be written, and leaves it as it is: nobody wants to learn that after minutes.
func writable(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return nil // who reads a pipe would see its end
	}
	isNew := errors.Is(err, fs.ErrNotExist)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o666) //nolint:gosec // as os.Create, which writes it
	if err != nil {
		return err
	}
	err = file.Close()
	if isNew {
		err = errors.Join(err, os.Remove(path))
	}
	return err
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

// refuse reports what is wrong with an environment of which nothing is run then.
func (f outputFlags) refuse(s streams, environment string, rate float64, problems []report.Problem) error {
	rep := report.Report{Environments: []string{environment}, Started: time.Now(), ErrorRate: rate, Problems: problems}
	if err := f.write(s, rep); err != nil {
		return err
	}
	return exitError{status: exitCouldNot}
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
