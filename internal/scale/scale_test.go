package main

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"chartbasico/pkg/check"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/render"
)

func TestWhatIsMeasuredIsAsItIsSaid(t *testing.T) {
	chart, err := filepath.Abs("../../charts/chart_basico")
	require.NoError(t, err)
	s := size{Apps: 5, Routed: 2}
	path, files, err := write(t.TempDir(), chart, s)
	require.NoError(t, err)
	env, err := environment.Load(path)
	require.NoError(t, err)
	assert.Len(t, env.Releases, files)
	releases, err := render.New().Environment(t.Context(), env)
	require.NoError(t, err)
	checker, err := check.New()
	require.NoError(t, err)
	assert.Empty(t, checker.Environment(t.Context(), env, releases))

	pods, routings := 0, 0
	for _, r := range releases {
		for _, o := range r.Objects {
			switch o.GetKind() {
			case "Deployment":
				n, _, err := unstructured.NestedInt64(o.Object, "spec", "replicas")
				require.NoError(t, err)
				pods += int(n)
			case "DestinationRule":
				routings++
			}
		}
	}
	assert.Equal(t, s.pods(), pods)
	assert.Equal(t, s.Routed, routings)
}

func TestFiguresGoIntoTheDocument(t *testing.T) {
	figures := figures(
		[]checking{{13, 400 * time.Millisecond, 150 << 20}, {1130, 5 * time.Second, 220 << 20}},
		[]running{{10, 1, 51, 7, 4 * time.Second, 20 * time.Second, 1.3e9}},
	)
	got, err := replace("# Scale\n"+begin+"old\n"+end+"More.\n", figures)
	require.NoError(t, err)
	assert.Contains(t, got, "# Scale\n"+begin+"\n| values files")
	assert.Contains(t, got, "| 1130 | 5.0 s | 220 MB |\n")
	assert.Contains(t, got, "x-axis \"values files\" [13, 1130]\n  y-axis \"seconds\"\n  line [0.4, 5.0]\n")
	assert.Contains(t, got, "| 10 | 1 | 51 | 7 | 4 s | 20 s | 1.3 GB |\n")
	assert.Contains(t, got, end+"More.\n")
	assert.NotContains(t, got, "old")
	assert.Contains(t, got, "  title \"Memory of a check\"\n  x-axis \"values files\" [13, 1130]\n  y-axis \"MB\"\n  line [150, 220]\n")
	assert.Contains(t, got, "  title \"Memory of a local cluster\"\n  x-axis \"pods\" [51]\n  y-axis \"GB\"\n  line [1.3]\n")

	_, err = replace("# Scale\n", figures)
	assert.ErrorContains(t, err, "expected the lines")
}
