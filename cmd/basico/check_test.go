package main

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/pkg/render"
)

// small writes an environment of one ConfigMap release and changes into its directory. The
// chart refuses keys that it does not know.
func small(t *testing.T, values string) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"charts/chart_basico/Chart.yaml":         "apiVersion: v2\nname: small\nversion: 0.1.0\n",
		"charts/chart_basico/values.schema.json": `{"type":"object","additionalProperties":false,"properties":{"app":{"type":"string"},"field":{"type":"string"}}}`,
		"charts/chart_basico/templates/all.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Values.app }}\n{{ .Values.field | default \"data\" }}: {}\n",
		"env.yaml":                               "releases:\n- name: one\n  namespace: default\n  chart: charts/chart_basico\n  values: [v.yaml]\n",
		"v.yaml":                                 values,
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	t.Chdir(dir)
}

// verb runs one command by itself.
func verb(t *testing.T, command func(streams) *cobra.Command, args ...string) result {
	t.Helper()
	var out strings.Builder
	cmd := command(streams{in: strings.NewReader(""), out: &out, err: &out})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	r := result{out: regexp.MustCompile(`in \d+ ms`).ReplaceAllString(out.String(), "in N ms")}
	if err != nil {
		r.status, r.err = status(err), err.Error()
	}
	return r
}

func status(err error) int {
	if exit, ok := err.(exitError); ok { //nolint:errorlint // as it is returned
		return exit.status
	}
	return exitCouldNot
}

func TestCheck(t *testing.T) {
	small(t, "app: shop\n")
	assert.Equal(t, result{out: "env: 1 release, 1 object, 0 problems in N ms\n"}, verb(t, newCheckCommand, "env.yaml"))
	assert.Equal(t, result{out: "v: 1 release, 1 object, 0 problems in N ms\n"}, verb(t, newCheckCommand, "-f", "v.yaml"))

	small(t, "app: shop\nfild: x\n")
	got := verb(t, newCheckCommand, "env.yaml")
	assert.Equal(t, exitFellShort, got.status)
	assert.Equal(t, "error: v.yaml:2 fild: unknown key \"fild\". Fix: write field [values-schema]\nenv: 1 release, 0 objects, 1 problem in N ms\n", got.out)

	small(t, "app: shop\nfield: dta\n")
	got = verb(t, newCheckCommand, "env.yaml", "-o", "json")
	assert.Equal(t, exitFellShort, got.status)
	var parsed struct {
		Checked []struct {
			Environment string
			Problems    []struct{ Rule, File, Object, Path, Fix, Severity string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(got.out), &parsed))
	require.Len(t, parsed.Checked, 1)
	require.Len(t, parsed.Checked[0].Problems, 1)
	assert.Equal(t, struct{ Rule, File, Object, Path, Fix, Severity string }{"schema", "v.yaml", "ConfigMap/default/shop", "dta", "write data", "error"}, parsed.Checked[0].Problems[0])
}

// What is wrong with the releases that render is said beside what keeps another from rendering, but for what that one may
// bring.
func TestCheckOfWhatRendersBesideWhatDoesNot(t *testing.T) {
	small(t, "app: shop\nfild: x\n")
	require.NoError(t, os.WriteFile("other.yaml", []byte("app: cart\nfield: dta\n"), 0o600))
	require.NoError(t, os.WriteFile("env.yaml", []byte(`releases:
- {name: one, namespace: default, chart: charts/chart_basico, values: [v.yaml]}
- {name: two, namespace: later, chart: charts/chart_basico, values: [other.yaml]}
`), 0o600))
	const want = `error: other.yaml ConfigMap/later/cart dta: unknown key "dta". Fix: write data [schema]
error: v.yaml:2 fild: unknown key "fild". Fix: write field [values-schema]
env: 2 releases, 1 object, 2 problems in N ms
`
	got := verb(t, newCheckCommand, "env.yaml")
	assert.Equal(t, exitFellShort, got.status)
	assert.Equal(t, want, got.out)
	_, releases, problems, err := checkEnvironment(t.Context(), render.New(), "env.yaml")
	require.NoError(t, err)
	assert.Nil(t, releases)
	assert.Len(t, problems, 2)
}

// A directory stands for the environments in it, and in its folders.
func TestCheckOfADirectory(t *testing.T) {
	small(t, "app: shop\n")
	for _, name := range []string{"environments/eu/prod.yml", "environments/dev.yaml"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		text := "releases:\n- {name: one, namespace: default, chart: " + strings.Repeat("../", strings.Count(name, "/")) + "charts/chart_basico, values: [one.yaml]}\n"
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(name), "one.yaml"), []byte("app: shop\n"), 0o600))
	}
	const each = ": 1 release, 1 object, 0 problems in N ms\n"
	assert.Equal(t, result{out: "env" + each + "dev" + each + "prod" + each}, verb(t, newCheckCommand, "env.yaml", "environments"))
	require.NoError(t, os.Mkdir("empty", 0o755))
	got := verb(t, newCheckCommand, "empty")
	assert.Equal(t, exitCouldNot, got.status)
	assert.Equal(t, "empty: no environment in it; expected files of .yaml or .yml in Helmfile's format", got.err)
}

func TestCheckThatCannotRun(t *testing.T) {
	small(t, "app: shop\n")
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"nothing":   {nil, "nothing to check"},
		"both":      {[]string{"env.yaml", "-f", "v.yaml"}, "an environment names its values files itself"},
		"no file":   {[]string{"none.yaml"}, "open none.yaml: no such file"},
		"version":   {[]string{"env.yaml", "--kube-version", "1.9"}, `no schemas of Kubernetes "1.9": there are 1.31`},
		"output":    {[]string{"env.yaml", "-o", "xml"}, `--output: found "xml", expected text or json`},
		"namespace": {[]string{"-f", "v.yaml", "-n", "Bad_NS"}, `--namespace: found "Bad_NS", expected at most 63 lower-case letters`},
		"no chart":  {[]string{"-f", "v.yaml", "--chart", "nowhere"}, "chart nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			got := verb(t, newCheckCommand, c.args...)
			assert.Equal(t, exitCouldNot, got.status)
			assert.Contains(t, got.err, c.want)
		})
	}
	got := verb(t, newCheckCommand, "none.yaml", "env.yaml")
	assert.Equal(t, exitCouldNot, got.status)
	assert.Contains(t, got.out, "env: 1 release", "the other is checked")
}

// What cannot be read was not checked, whoever names it; all else is, and is said with it.
func TestCheckOfWhatCannotBeRead(t *testing.T) {
	for name, c := range map[string]struct {
		values, env string // "" for the file as it is
		args        []string
		want        string
	}{
		"no file":                {"", "", []string{"-f", "w.yaml"}, "error: w.yaml: open "},
		"no file, among others":  {"fild: x\n", "", []string{"-f", "v.yaml", "-f", "w.yaml"}, "error: w.yaml: open "},
		"a directory":            {"", "", []string{"-f", "charts"}, "error: charts: read "},
		"no YAML":                {"a: [\n", "", []string{"-f", "v.yaml"}, "error: v.yaml: yaml: "},
		"no file, named":         {"", "releases:\n- {name: a, namespace: n, chart: charts/chart_basico, values: [w.yaml]}\n", []string{"env.yaml"}, `error: env.yaml:2 releases[0].values[0]: no values file "w.yaml"`},
		"a directory, named":     {"", "releases:\n- {name: a, namespace: n, chart: charts/chart_basico, values: [charts]}\n", []string{"env.yaml"}, `error: env.yaml:2 releases[0].values[0]: no values file "charts"`},
		"no YAML, named":         {"a: [\n", "", []string{"env.yaml"}, "error: v.yaml: yaml: "},
		"no chart, named":        {"", "releases:\n- {name: a, namespace: n, chart: c}\n", []string{"env.yaml"}, "error: env.yaml:2 releases[0].chart: chart "},
		"no YAML of environment": {"", "a: [\n", []string{"env.yaml"}, "error: env.yaml: yaml: "},
	} {
		t.Run(name, func(t *testing.T) {
			small(t, cmp.Or(c.values, "app: shop\n"))
			require.NoError(t, os.Mkdir("c", 0o755))
			require.NoError(t, os.WriteFile("c/Chart.yaml", []byte("name: [\n"), 0o600))
			if c.env != "" {
				require.NoError(t, os.WriteFile("env.yaml", []byte(c.env), 0o600))
			}
			got := verb(t, newCheckCommand, c.args...)
			assert.Equal(t, exitCouldNot, got.status)
			assert.Contains(t, got.out, c.want)
			got = verb(t, newCheckCommand, append(c.args, "-o", "json")...)
			assert.Equal(t, exitCouldNot, got.status)
			assert.Contains(t, got.out, `"fix": "`)
		})
	}
	small(t, "app: shop\nfild: x\n")
	require.NoError(t, os.WriteFile("broken.yaml", []byte("a: [\n"), 0o600))
	got := verb(t, newCheckCommand, "env.yaml", "broken.yaml")
	assert.Equal(t, exitCouldNot, got.status)
	assert.Contains(t, got.out, `v.yaml:2 fild: unknown key "fild"`)
}

func TestRender(t *testing.T) {
	small(t, "app: shop\n")
	got := verb(t, newRenderCommand, "env.yaml", "--release", "one")
	assert.Equal(t, result{out: "# Release: default/one\n---\n# Source: small/templates/all.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: shop\ndata: {}\n"}, got)

	got = verb(t, newRenderCommand, "env.yaml", "-o", "json")
	require.Zero(t, got.status, got.err)
	var parsed struct {
		Releases []struct {
			Name    string
			Objects []map[string]any
		}
	}
	require.NoError(t, json.Unmarshal([]byte(got.out), &parsed))
	assert.Equal(t, "ConfigMap", parsed.Releases[0].Objects[0]["kind"])

	assert.Equal(t, `--release: no release "onne" in env.yaml; did you mean one?`, verb(t, newRenderCommand, "env.yaml", "--release", "onne").err)
	assert.Contains(t, verb(t, newRenderCommand, "env.yaml", "-o", "xml").err, "expected yaml or json")
	assert.Contains(t, verb(t, newRenderCommand, "env.yaml", "--kube-version", "new").err, "Kubernetes version")
}
