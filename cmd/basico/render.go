package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"chartbasico/internal/nearest"
	"chartbasico/pkg/charts"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/render"
)

type renderFlags struct {
	release     string
	kubeVersion string
	output      string
}

func newRenderCommand(s streams) *cobra.Command {
	var f renderFlags
	cmd := &cobra.Command{
		Use:   "render ENV",
		Short: "Print the objects of an environment's releases",
		Long: `render prints what Helm would install for each release of an environment, in the order of
the releases' needs. YAML is as Helm's template command prints it.`,
		Example: `  basico render environments/bookinfo-prod.yaml
  basico render environments/bookinfo-prod.yaml --release reviews-routing -o json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.output != "yaml" && f.output != "json" {
				return fmt.Errorf("--output: found %q, expected yaml or json", f.output)
			}
			return runRender(cmd.Context(), s, f, args[0])
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.release, "release", "", "only this release: its name, or namespace/name")
	flags.StringVar(&f.kubeVersion, "kube-version", render.DefaultKubeVersion, "Kubernetes version to render for")
	flags.StringVarP(&f.output, "output", "o", "yaml", "format: yaml or json")
	return cmd
}

func runRender(ctx context.Context, s streams, f renderFlags, file string) error {
	env, err := environment.Load(file)
	if err != nil {
		return err
	}
	if f.release != "" {
		if err := only(env, f.release); err != nil {
			return err
		}
	}
	releases, err := newRenderer(progress(s.err), render.WithKubeVersion(f.kubeVersion)).Environment(ctx, env)
	if err != nil {
		return err
	}
	if f.output == "json" {
		return renderJSON(s.out, releases)
	}
	for _, r := range releases {
		if _, err := fmt.Fprintf(s.out, "# Release: %s\n%s", r.ID(), r.Manifest); err != nil {
			return err
		}
	}
	return nil
}

// newRenderer returns a renderer that says what it downloads.
func newRenderer(say func(string), opts ...render.Option) *render.Renderer {
	return render.New(append(opts, render.WithPublished(charts.New(nil, say)))...)
}

// only leaves the wanted releases in the environment.
func only(env *environment.Environment, want string) error {
	var kept []environment.Release
	var names []string
	for _, r := range env.Releases {
		names = append(names, r.Name)
		if r.Name == want || r.ID() == want {
			kept = append(kept, r)
		}
	}
	switch {
	case len(kept) == 0:
		err := fmt.Errorf("--release: no release %q in %s", want, env.File)
		if near := nearest.Word(want, names); near != "" {
			err = fmt.Errorf("%w; did you mean %s?", err, near)
		}
		return err
	case len(kept) > 1:
		return errors.New("--release: " + want + " stands in several namespaces; write namespace/name")
	}
	env.Releases = kept
	return nil
}

func renderJSON(out io.Writer, releases []*render.Release) error {
	type release struct {
		Name      string                       `json:"name"`
		Namespace string                       `json:"namespace"`
		Objects   []*unstructured.Unstructured `json:"objects"`
	}
	all := make([]release, len(releases))
	for i, r := range releases {
		all[i] = release{Name: r.Name, Namespace: r.Namespace, Objects: r.Objects}
		if all[i].Objects == nil {
			all[i].Objects = []*unstructured.Unstructured{}
		}
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(map[string]any{"releases": all})
}
