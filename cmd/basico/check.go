package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"

	"chartbasico/pkg/check"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/problem"
	"chartbasico/pkg/render"
)

type checkFlags struct {
	files       []string
	chart       string
	namespace   string
	kubeVersion string
	output      string
}

func newCheckCommand(s streams) *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check ENV... | check -f VALUES",
		Short: "Say what is wrong with environments before anything runs",
		Long: `check renders the releases of each environment and holds every object against the schema
of its Kubernetes version or of Istio, against Kubernetes' and Istio's own validation and
analyzers, and against rules that need the whole environment. ENV is a file, or a directory
with the environments at and below it.

With -f it checks the one release that values files make, later files over earlier ones;
what other releases may bring, such as the Service that a route sends to, is not asked for.`,
		Example: `  basico check environments
  basico check environments/bookinfo-prod.yaml --kube-version 1.31 -o json
  basico check -f values/app1.yaml
  basico check -f values/app1.yaml --chart oci://registry.example.com/charts/chart_basico:1.2.0`,
		Args: func(_ *cobra.Command, args []string) error { return f.validate(args) },
		RunE: func(cmd *cobra.Command, args []string) error { return runCheck(cmd.Context(), s, f, args) },
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.files, "values", "f", nil, "values file of one release, instead of an environment; repeatable")
	flags.StringVar(&f.chart, "chart", "charts/chart_basico", "with -f: the chart's directory or archive, or oci://HOST/PATH/NAME:VERSION")
	flags.StringVarP(&f.namespace, "namespace", "n", "default", "with -f: namespace of the release")
	flags.StringVar(&f.kubeVersion, "kube-version", render.DefaultKubeVersion, "Kubernetes version to check for")
	flags.StringVarP(&f.output, "output", "o", "text", "format of the result: text or json")
	return cmd
}

// validate returns everything that is wrong with the command line.
func (f checkFlags) validate(args []string) error {
	var errs []error
	switch {
	case len(args) == 0 && len(f.files) == 0:
		errs = append(errs, errors.New("nothing to check: give an environment file, or -f and a values file"))
	case len(args) > 0 && len(f.files) > 0:
		errs = append(errs, fmt.Errorf("-f %s and %s: an environment names its values files itself", f.files[0], args[0]))
	}
	if wrong := validation.IsDNS1123Label(f.namespace); len(wrong) > 0 {
		errs = append(errs, fmt.Errorf("--namespace: found %q, expected at most 63 lower-case letters, digits and inner dashes", f.namespace))
	}
	if f.output != "text" && f.output != "json" {
		errs = append(errs, fmt.Errorf("--output: found %q, expected text or json", f.output))
	}
	return errors.Join(errs...)
}

// checked is the result of one environment, or of one release given by -f.
type checked struct {
	Environment string            `json:"environment"`
	Releases    int               `json:"releases"`
	Objects     int               `json:"objects"`
	Problems    []problem.Problem `json:"problems"`
	Seconds     float64           `json:"seconds"`

	unread bool // some of it, which was not checked
}

func runCheck(ctx context.Context, s streams, f checkFlags, args []string) error {
	checker, err := check.New(check.WithKubeVersion(f.kubeVersion))
	if err != nil {
		return err
	}
	renderer := newRenderer(progress(s.err), render.WithKubeVersion(f.kubeVersion))
	var results []checked
	if len(f.files) > 0 {
		result, err := checkFiles(ctx, renderer, checker, f)
		if err != nil {
			return err
		}
		results = append(results, result)
	}
	// Every environment that can be read is checked, also where another cannot.
	var unread []error
	files, err := environmentFiles(args)
	if err != nil {
		return err
	}
	for _, file := range files {
		result, err := checkFile(ctx, renderer, checker, file)
		if err != nil {
			unread = append(unread, err)
			continue
		}
		results = append(results, result)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := f.print(s, results); err != nil {
		return err
	}
	if len(unread) > 0 {
		return errors.Join(unread...)
	}
	var outcome error
	for _, r := range results {
		switch {
		case r.unread:
			return exitError{status: exitCouldNot}
		case r.errors() > 0:
			outcome = fellShort()
		}
	}
	return outcome
}

// environmentFiles puts the environments of a directory in its place.
func environmentFiles(args []string) ([]string, error) {
	var files []string
	for _, arg := range args {
		if info, err := os.Stat(arg); err != nil || !info.IsDir() {
			files = append(files, arg) // loading it says what is wrong
			continue
		}
		found, err := environment.Find(arg)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%s: no environment in it; expected files of .yaml or .yml in Helmfile's format", arg)
		}
		files = append(files, found...)
	}
	return files, nil
}

func checkFile(ctx context.Context, renderer *render.Renderer, checker *check.Checker, file string) (checked, error) {
	start := time.Now()
	env, err := environment.Load(file)
	var wrong problem.List
	if errors.As(err, &wrong) {
		return checked{Environment: wrong[0].Environment, Problems: wrong, Seconds: time.Since(start).Seconds(), unread: true}, nil
	}
	if err != nil {
		return checked{}, err
	}
	result := checked{Environment: env.Name, Releases: len(env.Releases)}
	releases, problems, err := examine(ctx, renderer, checker, env)
	if err != nil {
		return checked{}, err
	}
	result.Objects, result.Problems, result.unread = objects(releases), problems, slices.ContainsFunc(problems, render.Unreadable)
	result.Seconds = time.Since(start).Seconds()
	return result, nil
}

// examine renders and checks an environment: the releases that render, and what is wrong with any.
func examine(ctx context.Context, renderer *render.Renderer, checker *check.Checker, env *environment.Environment) ([]*render.Release, problem.List, error) {
	releases, err := renderer.Environment(ctx, env)
	var wrong problem.List
	switch {
	case errors.As(err, &wrong):
		return releases, append(wrong, checker.Some(ctx, env, releases)...).Sort(), nil
	case err != nil:
		return nil, nil, err
	}
	return releases, checker.Environment(ctx, env, releases), nil
}

func checkFiles(ctx context.Context, renderer *render.Renderer, checker *check.Checker, f checkFlags) (checked, error) {
	start := time.Now()
	name := filepath.Base(f.files[0])
	release := environment.Release{Name: strings.TrimSuffix(name, filepath.Ext(name)), Namespace: f.namespace, Chart: f.chart}
	if strings.HasPrefix(f.chart, "oci://") {
		published, err := environment.ParsePublished(f.chart)
		if err != nil {
			return checked{}, fmt.Errorf("--chart: %w", err)
		}
		release.Chart, release.Published = "", published
	}
	for _, file := range f.files {
		abs, err := filepath.Abs(file)
		if err != nil {
			return checked{}, err
		}
		release.ValuesFiles = append(release.ValuesFiles, abs)
	}
	result := checked{Environment: release.Name, Releases: 1}
	rendered, err := renderer.Release(ctx, release)
	var wrong problem.List
	switch {
	case errors.As(err, &wrong):
		result.Problems, result.unread = wrong.Sort(), slices.ContainsFunc(wrong, render.Unreadable)
	case err != nil:
		return checked{}, err
	default:
		result.Objects = len(rendered.Objects)
		result.Problems = checker.Release(ctx, rendered)
	}
	result.Seconds = time.Since(start).Seconds()
	return result, nil
}

func (f checkFlags) print(s streams, results []checked) error {
	if f.output == "json" {
		for i := range results {
			if results[i].Problems == nil {
				results[i].Problems = []problem.Problem{}
			}
		}
		encoder := json.NewEncoder(s.out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(map[string]any{"kubeVersion": f.kubeVersion, "checked": results})
	}
	for _, r := range results {
		for _, p := range r.Problems {
			fmt.Fprintf(s.out, "%s: %s\n", p.Severity, p)
		}
		fmt.Fprintln(s.out, r.summary())
	}
	return nil
}

// summary is the last line of a result.
func (r checked) summary() string {
	line := fmt.Sprintf("%s: %s, %s, %s", r.Environment, count(r.Releases, "release"), count(r.Objects, "object"), count(r.errors(), "problem"))
	if warnings := len(r.Problems) - r.errors(); warnings > 0 {
		line += ", " + count(warnings, "warning")
	}
	return fmt.Sprintf("%s in %.0f ms", line, r.Seconds*1000)
}

func (r checked) errors() int {
	n := 0
	for _, p := range r.Problems {
		if p.Severity == problem.Error {
			n++
		}
	}
	return n
}

func objects(releases []*render.Release) int {
	n := 0
	for _, r := range releases {
		n += len(r.Objects)
	}
	return n
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
