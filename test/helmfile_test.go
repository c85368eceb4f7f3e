package test

import (
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"chartbasico/pkg/render"
)

// What we render for an environment is what the real helmfile renders.
func TestHelmfileRendersTheSame(t *testing.T) {
	for _, file := range append(files(t, "environments/*.yaml"), files(t, "test/testdata/merged-keys.yaml")...) {
		t.Run(base(file), func(t *testing.T) {
			ctx := within(t, 2*time.Minute)
			cmd := exec.CommandContext(ctx, tool(t, "HELMFILE"), "--file", file, "--helm-binary", tool(t, "HELM"), "template", "--skip-deps", "--kube-version", renderer.KubeVersion())
			var stderr strings.Builder
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			require.NoErrorf(t, err, "%s", stderr.String())

			ours, err := renderer.Environment(ctx, load(t, file))
			require.NoError(t, err)
			want := objects(t, string(out))
			got := map[string]map[string]any{}
			for _, o := range manifests(t, ours) {
				got[id(o)] = o.Object
			}
			assert.Equal(t, want, got)
		})
	}
}

// manifests are the objects as printed, without what rendering adds to them.
func manifests(t *testing.T, releases []*render.Release) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	for _, r := range releases {
		all = append(all, parse(t, r.Manifest)...)
	}
	return all
}

func objects(t *testing.T, text string) map[string]map[string]any {
	t.Helper()
	byID := map[string]map[string]any{}
	for _, o := range parse(t, text) {
		_, twice := byID[id(o)]
		require.Falsef(t, twice, "%s is rendered twice", id(o))
		byID[id(o)] = o.Object
	}
	require.NotEmpty(t, byID)
	return byID
}

func parse(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	var all []*unstructured.Unstructured
	for {
		o := &unstructured.Unstructured{}
		err := decoder.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		if len(o.Object) > 0 {
			all = append(all, o)
		}
	}
}

// id tells objects of an environment apart. Releases of several namespaces may print objects without one.
func id(o *unstructured.Unstructured) string {
	return o.GetKind() + "/" + o.GetNamespace() + "/" + o.GetName()
}
