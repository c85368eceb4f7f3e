package check

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/pkg/environment"
	"chartbasico/pkg/problem"
	"chartbasico/pkg/render"
)

// The environments of this repository have no errors, on every Kubernetes version.
func TestOwnEnvironments(t *testing.T) {
	files, err := filepath.Glob("../../environments/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, version := range versions() {
		checker, err := New(WithKubeVersion(version))
		require.NoError(t, err)
		renderer := render.New(render.WithKubeVersion(version))
		for _, file := range files {
			t.Run(version+"/"+filepath.Base(file), func(t *testing.T) {
				env, err := environment.Load(file)
				require.NoError(t, err)
				releases, err := renderer.Environment(t.Context(), env)
				require.NoError(t, err)
				for _, p := range checker.Environment(t.Context(), env, releases) {
					assert.NotEqual(t, problem.Error, p.Severity, p.String())
				}
			})
		}
	}
}

func BenchmarkRenderAndCheck(b *testing.B) {
	env, err := environment.Load("../../environments/bookinfo-prod.yaml")
	require.NoError(b, err)
	renderer := render.New()
	checker, err := New()
	require.NoError(b, err)
	for b.Loop() {
		releases, err := renderer.Environment(b.Context(), env)
		if err != nil {
			b.Fatal(err)
		}
		checker.Environment(b.Context(), env, releases)
	}
}

func BenchmarkCheck(b *testing.B) {
	env, err := environment.Load("../../environments/bookinfo-prod.yaml")
	require.NoError(b, err)
	releases, err := render.New().Environment(b.Context(), env)
	require.NoError(b, err)
	checker, err := New()
	require.NoError(b, err)
	for b.Loop() {
		checker.Environment(b.Context(), env, releases)
	}
}
