package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"chartbasico/internal/helm3"
	"chartbasico/pkg/charts"
	"chartbasico/pkg/revision"
)

type diffFlags struct {
	chart        string
	output       string
	sinceRelease bool
	registry     registryFlags
}

func newDiffCommand(s streams) *cobra.Command {
	var f diffFlags
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say what changes between two versions of the chart and its values, and judge it",
		Long: `diff renders every environment and values file by two versions of the chart, and says what
changes, object by object, and what that means for what is running. Each of OLD and NEW is a
revision of git, a chart's directory or .tgz archive, oci://HOST/PATH:VERSION, or a directory
that holds a chart with environments/ and values/ beside it. Where a side has no values of its
own, those of the other side are used, or of this directory.

It falls short where the version in Chart.yaml rose by less than the change asks for, since OLD
or, with --since-release, since the last tag CHART-VERSION on the way to HEAD.`,
		Example: `  basico diff main .                       # what is being worked on
  basico diff v1.2.0 HEAD -o markdown      # for a pull request
  basico diff oci://registry.example.com/charts/chart_basico:1.2.0 charts/chart_basico`,
		Args: func(_ *cobra.Command, args []string) error { return f.validate(args) },
		RunE: func(cmd *cobra.Command, args []string) error { return runDiff(cmd.Context(), s, f, args) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.chart, "chart", "", "directory of the chart in a revision; default "+revision.DefaultChart+", or else the one that the environments name")
	flags.StringVarP(&f.output, "output", "o", "text", "format of the result: text, json or markdown")
	flags.BoolVar(&f.sinceRelease, "since-release", false, "judge the version by the changes since the last release instead of OLD")
	f.registry.add(flags)
	return cmd
}

func (f diffFlags) validate(args []string) error {
	var errs []error
	if len(args) != 2 {
		errs = append(errs, fmt.Errorf("found %s, expected OLD and NEW", count(len(args), "argument")))
	}
	switch f.output {
	case "text", "json", "markdown":
	default:
		errs = append(errs, fmt.Errorf("--output: found %q, expected text, json or markdown", f.output))
	}
	return errors.Join(errs...)
}

func runDiff(ctx context.Context, s streams, f diffFlags, args []string) (err error) {
	options, err := f.registry.options(s.in)
	if err != nil {
		return err
	}
	opener := revision.Opener{Dir: ".", Chart: f.chart, Registry: helm3.NewRegistry(options)}
	options.Username, options.Password = "", "" // of the registry of OLD and NEW, and of no other that an environment names
	opener.Charts = charts.New(helm3.NewRegistry(options), progress(s.err))
	var sides [2]*revision.Revision
	for i, name := range args {
		if sides[i], err = opener.Open(ctx, name); err != nil {
			return err
		}
		defer func() {
			if fault := sides[i].Close(); fault != nil {
				err = errors.Join(err, fault)
			}
		}()
	}
	result, err := revision.Compare(ctx, sides[0], sides[1], ".")
	if err != nil {
		return err
	}
	if f.sinceRelease {
		if result.Gate, err = opener.SinceRelease(ctx, sides[1], "HEAD"); err != nil {
			return err
		}
	}
	write := map[string]func() error{
		"text":     func() error { return result.Text(s.out) },
		"json":     func() error { return result.JSON(s.out) },
		"markdown": func() error { return result.Markdown(s.out) },
	}[f.output]
	if err := write(); err != nil {
		return err
	}
	if !result.Gate.Pass {
		return fellShort()
	}
	return nil
}
