// Package gittest makes repositories for tests.
package gittest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Repository is a repository of its own in a temporary directory, whatever the user's settings.
type Repository struct {
	t   *testing.T
	Dir string
}

// New returns a repository with a small chart in it, and an environment and values files.
func New(t *testing.T) Repository {
	t.Helper()
	r := Repository{t, t.TempDir()}
	r.Git("init", "--quiet", "--initial-branch=main")
	r.Git("config", "user.name", "a")
	r.Git("config", "user.email", "a@example.com")
	r.Chart("1.0.0")
	r.Write("charts/chart_basico/values.schema.json", `{"type":"object","additionalProperties":false,"properties":{"app":{"type":"string"},"data":{"type":"string"}}}`)
	r.Write("charts/chart_basico/templates/all.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Values.app }}\ndata:\n  key: {{ .Values.data | default \"a\" }}\n")
	r.Write("charts/chart_basico/ci/full-values.yaml", "app: full\n")
	r.Write("environments/env.yaml", "releases:\n- name: one\n  namespace: default\n  chart: ../charts/chart_basico\n  values: [../values/one.yaml]\n")
	r.Write("values/one.yaml", "app: one\n")
	r.Write("values/deep/alone.yaml", "app: alone\n")
	r.Write("values/layer.yaml", "fault: cannot stand alone\n")
	r.Commit("one")
	return r
}

// Chart writes Chart.yaml with a version.
func (r Repository) Chart(version string) {
	r.t.Helper()
	r.Write("charts/chart_basico/Chart.yaml", "apiVersion: v2\nname: chart_basico\nversion: "+version+"\n")
}

// Git runs git in the repository and returns what it prints.
func (r Repository) Git(args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git", args...)
	cmd.Dir = r.Dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null")
	out, err := cmd.CombinedOutput()
	require.NoError(r.t, err, string(out))
	return strings.TrimSpace(string(out))
}

// Write writes a file.
func (r Repository) Write(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.Dir, name)
	require.NoError(r.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(r.t, os.WriteFile(path, []byte(text), 0o600))
}

// Commit commits everything.
func (r Repository) Commit(message string) {
	r.t.Helper()
	r.Git("add", "--all")
	r.Git("commit", "--quiet", "--message", message)
}
