package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../.."

func TestUpToDate(t *testing.T) {
	require.NoError(t, run(t.Context(), []string{"-check", "-root", root}, os.Stdout))
}

// TestDriftIsFound, in each file, with the command that repairs it.
func TestDriftIsFound(t *testing.T) {
	files, err := generate(t.Context(), root)
	require.NoError(t, err)

	copied := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", sourcePath} {
		raw, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(copied, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(copied, name), raw, 0o644))
	}
	var out strings.Builder
	err = run(t.Context(), []string{"-check", "-root", copied}, &out)
	for _, f := range files {
		require.ErrorContains(t, err, f.path+" is not what charts/chart_basico/values.schema.yaml says; run: go run ./internal/valuesdoc")
	}
	require.NoError(t, run(t.Context(), []string{"-root", copied}, &out))
	require.NoError(t, run(t.Context(), []string{"-check", "-root", copied}, &out))
}

// TestSmall: Helm reads and compiles the schema at each command.
func TestSmall(t *testing.T) {
	info, err := os.Stat(filepath.Join(root, chartDir, "values.schema.json"))
	require.NoError(t, err)
	assert.Less(t, info.Size(), int64(300_000))
}

func TestMistakesInTheSource(t *testing.T) {
	f, err := readForeign(t.Context(), root)
	require.NoError(t, err)
	for _, c := range []struct{ name, source, want string }{
		{"unknown key", "values: {properties: {a: {descripton: x}}}", `unknown key "descripton"`},
		{"no description", "values: {properties: {a: {type: string}}}", "values.a has no description"},
		{"unknown part", "values: {properties: {a: {$ref: '#b', description: x}}}", `values.a: no part "b" under ` + "`parts`"},
		{"unknown type", "values: {properties: {a: {$ref: 'k8s:core.v1.Prob', description: x}}}", "values.a: Kubernetes has no type core.v1.Prob"},
		{"unknown field", "values: {fieldsOf: {type: core.v1.PodSpec, fields: [affinty]}}", "values: core.v1.PodSpec has no field affinty"},
		{"unknown kind of Istio", "values: {properties: {a: {$ref: 'istio:Destination.x', description: x}}}", "values.a: Istio has no kind Destination"},
		{"unknown kind of key", "values: {properties: {a: {mapOf: {key: k, entry: {type: string}}, description: x}}}", `values.a: no key "k" under ` + "`keys`"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "source.yaml")
			require.NoError(t, os.WriteFile(path, []byte(c.source), 0o644))
			src, err := readSource(path)
			if err == nil {
				_, err = schemaJSON(src, f)
			}
			assert.ErrorContains(t, err, c.want)
		})
	}
}
