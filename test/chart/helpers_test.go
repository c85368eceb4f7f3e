// Package chart_test tests charts/chart_basico by rendering it: every example in values/, and
// fragments of values for what no example shows.
package chart_test

import (
	"context"
	"io/fs"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	loader4 "helm.sh/helm/v4/pkg/chart/loader"
	release4 "helm.sh/helm/v4/pkg/release/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"chartbasico/internal/corpus"
	"chartbasico/internal/helm3"
)

const (
	root        = "../.."
	chartDir    = root + "/charts/chart_basico"
	kubeVersion = "v1.37.2"
	namespace   = "shop"
)

// chart3 is the chart as Helm 3 loads it, once.
var chart3 = sync.OnceValues(func() (*helm3.Chart, error) { return helm3.LoadChart(chartDir) })

// schema is the chart's schema, compiled once.
var schema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	return jsonschema.NewCompiler().Compile(chartDir + "/values.schema.json")
})

// render renders values with Helm 3, as release name in namespace.
func render(ctx context.Context, name string, values map[string]any) (manifest, notes string, err error) {
	chart, err := chart3()
	if err != nil {
		return "", "", err
	}
	return helm3.Template(ctx, chart,
		helm3.Spec{Name: name, Namespace: namespace, Values: values},
		helm3.Capabilities{KubeVersion: kubeVersion})
}

// render4 renders values with Helm 4, which also holds them against the schema. The errors are
// those of both Helms, which share the texts.
func render4(ctx context.Context, name string, values map[string]any) (manifest, notes string, err error) {
	chart, err := loader4.Load(chartDir)
	if err != nil {
		return "", "", err
	}
	version, err := common.ParseKubeVersion(kubeVersion)
	if err != nil {
		return "", "", err
	}
	cfg := action.NewConfiguration()
	cfg.SetLogger(slog.DiscardHandler)
	install := action.NewInstall(cfg)
	install.DryRunStrategy = action.DryRunClient
	install.Replace = true
	install.ReleaseName = name
	install.Namespace = namespace
	install.KubeVersion = version
	rel, err := install.RunWithContext(ctx, chart, values)
	if err != nil {
		return "", "", err
	}
	r := rel.(*release4.Release)
	return r.Manifest, r.Info.Notes, nil
}

// parse reads values written in a test.
func parse(t testing.TB, text string) map[string]any {
	t.Helper()
	values := map[string]any{}
	require.NoError(t, yaml.Unmarshal([]byte(text), &values))
	return values
}

// objects are what a manifest holds, by Kind/name.
type objects map[string]*unstructured.Unstructured

func decode(manifest string) (objects, error) { return corpus.Objects(manifest) }

// renderObjects renders values written in a test, as release demo.
func renderObjects(t testing.TB, text string) objects {
	t.Helper()
	return renderValues(t, parse(t, text))
}

// renderValues renders values as release demo, and holds them against their golden.
func renderValues(t testing.TB, values map[string]any) objects {
	t.Helper()
	shape, err := schema()
	require.NoError(t, err)
	require.NoError(t, shape.Validate(values), "what Helm refuses is no case")
	manifest, notes, err := render(t.Context(), "demo", values)
	require.NoError(t, err)
	golden(t, caseName(t, values), values, manifest, notes)
	return decoded(t, manifest)
}

// renderMany is renderValues for tests that render more than anybody would read.
func renderMany(t testing.TB, values map[string]any) objects {
	t.Helper()
	manifest, _, err := render(t.Context(), "demo", values)
	require.NoError(t, err)
	return decoded(t, manifest)
}

func decoded(t testing.TB, manifest string) objects {
	t.Helper()
	got, err := decode(manifest)
	require.NoError(t, err)
	return got
}

// get is an object that must be there.
func (o objects) get(t testing.TB, id string) *unstructured.Unstructured {
	t.Helper()
	require.Contains(t, o, id)
	return o[id]
}

// into is an object that must be there, as its Go type.
func into[T any](t testing.TB, o objects, id string) *T {
	t.Helper()
	out := new(T)
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.get(t, id).Object, out, true))
	return out
}

// examples are all files under values/, relative to the root.
func examples(t testing.TB) []string {
	t.Helper()
	var out []string
	require.NoError(t, filepath.WalkDir(filepath.Join(root, "values"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".yaml") {
			out = append(out, path)
		}
		return err
	}))
	require.NotEmpty(t, out)
	return out
}

// blank is a blank line before a separator: Helm 4 keeps one between two documents of a template.
var blank = regexp.MustCompile(`\n\n+---`)
