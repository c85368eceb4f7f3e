package environment

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// load writes the environment beside a chart and a values file and loads it.
func load(t *testing.T, text string) (*Environment, error) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "chart"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "sub/chart"), 0o755))
	for name, content := range map[string]string{"env.yaml": text, "v.yaml": "a: 1\n", "chart/Chart.yaml": "name: c\n", "sub/chart/Chart.yaml": "name: c\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	t.Chdir(dir)
	return Load("env.yaml")
}

func release(name, rest string) string {
	return "- name: " + name + "\n  namespace: n\n  chart: chart\n" + rest
}

func ids(env *Environment) (out []string) {
	for _, r := range env.Releases {
		out = append(out, r.Name)
	}
	return out
}

func TestLoad(t *testing.T) {
	env, err := load(t, "helmDefaults: {createNamespace: false, wait: true}\nreleases:\n"+
		release("b", "  needs: [n/c, a]\n  values:\n  - v.yaml\n  - replicas: 3\n    x: {y: z}\n")+
		release("a", "  createNamespace: true\n")+
		release("gone", "  installed: false\n")+
		release("c", "  labels: {tier: one}\n"))
	require.NoError(t, err)
	assert.Equal(t, "env", env.Name)
	assert.Equal(t, []string{"a", "c", "b"}, ids(env), "needs first, else as written")
	b := env.Releases[2]
	wd, err := os.Getwd()
	require.NoError(t, err)
	assert.Equal(t, Release{
		Name: "b", Namespace: "n", Chart: filepath.Join(wd, "chart"), ValuesFiles: []string{filepath.Join(wd, "v.yaml")},
		Values: []map[string]any{{"replicas": 3.0, "x": map[string]any{"y": "z"}}}, Needs: []string{"n/c", "n/a"}, File: "env.yaml", Line: 3, Path: "releases[0]",
	}, b)
	assert.True(t, env.Releases[0].CreateNamespace)
	require.Len(t, env.Absent, 1)
	assert.Equal(t, "n/gone", env.Absent[0].ID())
}

// A release's own keys hold before those that it merges, and of several merged maps the first; see also that helmfile does so.
func TestMergedKeys(t *testing.T) {
	env, err := load(t, `templates:
  base: &base {namespace: n, chart: chart, historyMax: 3, values: [v.yaml]}
  far: &far {<<: *base, namespace: far, createNamespace: false}
releases:
- {name: a, <<: *base, historyMax: 4}
- {name: b, <<: [*far, *base], needs: [n/a]}
- name: c
  <<: {namespace: m, chart: sub/chart}
  values: [{x: {<<: *far}}]
`)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "c"}, ids(env))
	a, b, c := env.Releases[0], env.Releases[1], env.Releases[2]
	assert.Equal(t, []any{"n", 4, 1, true}, []any{a.Namespace, *a.HistoryMax, len(a.ValuesFiles), a.CreateNamespace})
	assert.Equal(t, []any{"far", 3, 1, false}, []any{b.Namespace, *b.HistoryMax, len(b.ValuesFiles), b.CreateNamespace})
	assert.Equal(t, []any{"m", "chart"}, []any{c.Namespace, filepath.Base(c.Chart)})
	assert.Equal(t, "far", c.Values[0]["x"].(map[string]any)["namespace"])
}

func TestCreateNamespaceIsHelmfilesDefault(t *testing.T) {
	env, err := load(t, "releases:\n"+release("a", ""))
	require.NoError(t, err)
	assert.True(t, env.Releases[0].CreateNamespace)
}

func TestHistoryMax(t *testing.T) {
	env, err := load(t, "releases:\n"+release("a", "  historyMax: 0\n")+release("b", "")+"helmDefaults: {historyMax: 50}\n")
	require.NoError(t, err)
	assert.Equal(t, []int{0, 50}, []int{*env.Releases[0].HistoryMax, *env.Releases[1].HistoryMax})
	env, err = load(t, "releases:\n"+release("a", ""))
	require.NoError(t, err)
	assert.Nil(t, env.Releases[0].HistoryMax)
}

func TestMistakes(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":                         {"", "env.yaml releases: the file is empty; expected a list of releases. Fix: add releases"},
		"no releases":                   {"helmDefaults: {}\n", "env.yaml:1 releases: no releases"},
		"unknown key":                   {"environments: {}\nreleases: []\n", `env.yaml:1 environments: key "environments" is not understood`},
		"mistyped key":                  {"releases:\n" + release("a", "  value: []\n"), `env.yaml:5 releases[0].value: key "value" is not understood; expected a key of Helmfile's that this reads. Fix: write values`},
		"condition":                     {"releases:\n" + release("a", "  condition: \"false\"\n"), `env.yaml:5 releases[0].condition: key "condition" is not understood; expected a key of Helmfile's that this reads. Fix: remove it; installed: false leaves a release out`},
		"set":                           {"releases:\n" + release("a", "  set: [{name: a, value: 2}]\n"), `releases[0].set: key "set" is not understood; expected a key of Helmfile's that this reads. Fix: write it as a map under values`},
		"inherit":                       {"templates:\n  t: {chart: chart}\nreleases:\n" + release("a", "  inherit: [{template: t}]\n"), `env.yaml:7 releases[0].inherit: key "inherit" is not understood; expected a key of Helmfile's that this reads. Fix: give the template an anchor, and merge it into the release by <<: *NAME`},
		"merged text":                   {"releases:\n" + release("a", "  <<: chart\n"), `env.yaml:5 releases[0].<<: "chart"; expected a map that stands elsewhere, or a list of such maps. Fix: write <<: *NAME, where a map has the anchor &NAME`},
		"merged into itself":            {"releases:\n- &a {name: a, namespace: n, chart: chart, <<: *a}\n", "env.yaml:2 releases[0].<<: a map; expected a map that stands elsewhere"},
		"merged mistake":                {"templates:\n  t: &t {namespace: n, chrt: chart}\nreleases:\n- {name: a, chart: chart, <<: *t}\n", `env.yaml:2 releases[0].chrt: key "chrt" is not understood`},
		"need of one without namespace": {"releases:\n- {name: a, namespce: n, chart: chart}\n" + release("b", "  needs: [a]\n"), `env.yaml:2 releases[0].namespce: key "namespce" is not understood; expected a key of Helmfile's that this reads. Fix: write namespace`},
		"labels of all releases":        {"helmDefaults: {labels: {a: b}}\nreleases:\n" + release("a", ""), `env.yaml:1 helmDefaults.labels: key "labels" is not understood`},
		"key twice":                     {"releases:\n" + release("a", "  name: b\n"), "env.yaml:5 releases[0].name: the key stands twice, first on line 2"},
		"no name":                       {"releases:\n- namespace: n\n  chart: chart\n", "env.yaml:2 releases[0].name: a release without name"},
		"values missing":                {"releases:\n" + release("a", "  values: [w.yaml]\n"), `env.yaml:5 releases[0].values[0]: no values file "w.yaml"`},
		"chart missing":                 {"releases:\n- {name: a, namespace: n, chart: bitnami/x}\n", `env.yaml:2 releases[0].chart: no chart at "bitnami/x"`},
		"archive missing":               {"releases:\n- {name: a, namespace: n, chart: x-1.0.0.tgz}\n", `no chart at "x-1.0.0.tgz"; expected a directory with a Chart.yaml, or a chart's archive, .tgz, relative to this file`},
		"file after inline":             {"releases:\n" + release("a", "  values: [{a: 1}, v.yaml]\n"), "env.yaml:5 releases[0].values[1]: a values file after inline values"},
		"template":                      {"releases:\n- {name: \"{{ .X }}\", namespace: n, chart: chart}\n", `env.yaml:2 releases[0].name: a template "{{ .X }}"`},
		"values template":               {"releases:\n" + release("a", "  values: [v.yaml.gotmpl]\n"), `releases[0].values[0]: a template "v.yaml.gotmpl"`},
		"unknown need":                  {"releases:\n" + release("abc", "") + release("b", "  needs: [n/abd]\n"), "env.yaml:5 releases[1].needs: release n/b needs n/abd, which is not in this environment; expected namespace/name of a release. Fix: write n/abc"},
		"need like itself":              {"releases:\n" + release("app1-v1.3.4", "  needs: [n/app1-v1.3.5]\n"), "env.yaml:2 releases[0].needs: release n/app1-v1.3.4 needs n/app1-v1.3.5, which is not in this environment; expected namespace/name of a release. Fix: add that release, or remove the need"},
		"need like another and itself":  {"releases:\n" + release("app1-v1.3.4", "  needs: [n/app1-v1.3.5]\n") + release("app1-v1.3.3", ""), "env.yaml:2 releases[0].needs: release n/app1-v1.3.4 needs n/app1-v1.3.5, which is not in this environment; expected namespace/name of a release. Fix: write n/app1-v1.3.3"},
		"need after one not installed":  {"releases:\n" + release("x", "  installed: false\n") + release("a", "  needs: [zzz]\n"), "env.yaml:6 releases[1].needs: release n/a needs n/zzz"},
		"twice after one not installed": {"releases:\n" + release("x", "  installed: false\n") + release("a", "") + release("a", ""), "env.yaml:9 releases[2]: release n/a stands twice, first on line 6"},
		"cycle":                         {"releases:\n" + release("x", "  needs: [a]\n") + release("a", "  needs: [b]\n") + release("b", "  needs: [a]\n"), "releases need each other: n/a → n/b → n/a"},
		"release twice":                 {"releases:\n" + release("a", "") + release("a", ""), "env.yaml:5 releases[1]: release n/a stands twice, first on line 2"},
		"not a list":                    {"releases: {}\n", "env.yaml:1 releases: a map; expected a list"},
		"not a number":                  {"releases:\n" + release("a", "  historyMax: -1\n"), `env.yaml:5 releases[0].historyMax: "-1"; expected a whole number, 0 for no limit`},
		"not a bool":                    {"releases:\n" + release("a", "  installed: perhaps\n"), `env.yaml:5 releases[0].installed: "perhaps"; expected true or false`},
		"no release":                    {"releases: []\n", "env.yaml:1 releases: no release; expected one release at least. Fix: add a release"},
		"none installed":                {"releases:\n" + release("a", "  installed: false\n"), "env.yaml:2 releases: no release that is installed; expected one release at least. Fix: remove installed: false of one"},
		"namespace": {"releases:\n- {name: a, namespace: Bad_NS, chart: chart}\n",
			`env.yaml:2 releases[0].namespace: "Bad_NS"; expected a name that Kubernetes allows: at most 63 lower-case letters, digits and inner dashes. Fix: write bad-ns`},
		"namespace with a dot": {"releases:\n- {name: a, namespace: a.b, chart: chart}\n", `releases[0].namespace: "a.b"; expected a name that Kubernetes allows: at most 63 lower-case letters, digits and inner dashes. Fix: choose another name`},
		"namespace too long":   {"releases:\n- {name: a, namespace: " + strings.Repeat("n", 64) + ", chart: chart}\n", "releases[0].namespace: "},
		"release name": {"releases:\n- {name: a_b, namespace: n, chart: chart}\n",
			`env.yaml:2 releases[0].name: "a_b"; expected a name that Helm allows: at most 53 lower-case letters, digits, inner dashes and dots. Fix: write a-b`},
		"release name too long": {"releases:\n- {name: " + strings.Repeat("n", 54) + ", namespace: n, chart: chart}\n", "releases[0].name: "},
		"broken":                {"releases: [\n", "env.yaml: yaml: line"},
		"no version":            {"releases:\n- {name: a, namespace: n, chart: oci://h/c/x}\n", "env.yaml:2 releases[0].version: no version of oci://h/c/x; expected one exact version, such as 1.2.0, so that every run is of the same chart. Fix: add version"},
		"range":                 {"releases:\n- {name: a, namespace: n, chart: oci://h/c/x, version: ~1.2.0}\n", `releases[0].version: "~1.2.0"; expected one exact version`},
		"part of a version":     {"releases:\n- name: a\n  namespace: n\n  chart: oci://h/c/x\n  version: 1.2\n", `env.yaml:5 releases[0].version: "1.2"; expected one exact version`},
		"latest":                {"releases:\n- {name: a, namespace: n, chart: oci://h/c/x, version: latest}\n", `releases[0].version: "latest"; expected one exact version`},
		"two versions":          {"releases:\n- {name: a, namespace: n, chart: \"oci://h/c/x:1.0.0\", version: 1.0.1}\n", `releases[0].version: "1.0.1", and 1.0.0 in chart; expected one version`},
		"digest":                {"releases:\n- {name: a, namespace: n, chart: \"oci://h/c/x@sha256:ab\", version: 1.0.1}\n", `releases[0].chart: "oci://h/c/x@sha256:ab"; expected a version, not a digest`},
		"host alone":            {"releases:\n- {name: a, namespace: n, chart: oci://h, version: 1.0.1}\n", `releases[0].chart: "oci://h"; expected oci://HOST/PATH/NAME`},
		"version of a path":     {"releases:\n" + release("a", "  version: 1.2.0\n"), `env.yaml:5 releases[0].version: "1.2.0" of a chart on this machine; expected the version that its Chart.yaml says. Fix: remove it`},
		"a URL":                 {"releases:\n- {name: a, namespace: n, chart: https://h/x-1.0.0.tgz}\n", `releases[0].chart: "https://h/x-1.0.0.tgz"; expected oci://HOST/PATH/NAME, or NAME/CHART of an entry of repositories`},
		"unknown repository":    {"releases:\n- {name: a, namespace: n, chart: p/x, version: 1.0.0}\n", `releases[0].chart: no chart at "p/x"; expected a directory with a Chart.yaml, or a chart's archive, .tgz, relative to this file, or oci://HOST/PATH/NAME. Fix: correct the path, or add repository p to repositories`},
		"credentials":           {"repositories:\n- {name: p, url: h/c, password: secret, username: u, oci: true}\nreleases:\n- {name: a, namespace: n, chart: p/x, version: 1.0.0}\n", "env.yaml:2 repositories[0]: credentials; expected none in a file that others read. Fix: remove username and password; helm registry login keeps them, also where HELM_REGISTRY_CONFIG says"},
		"credentials of index":  {"repositories:\n- {name: p, url: \"https://h/c\", username: u}\nreleases:\n" + release("a", ""), "helm repo add --username keeps them, also where HELM_REPOSITORY_CONFIG says"},
		"key of a repository":   {"repositories:\n- {name: p, url: \"https://h/c\", skipTLSVerify: true}\nreleases:\n" + release("a", ""), `repositories[0].skipTLSVerify: key "skipTLSVerify" is not understood`},
		"registry with scheme":  {"repositories:\n- {name: p, url: \"oci://h/c\", oci: true}\nreleases:\n" + release("a", ""), `repositories[0].url: "oci://h/c"; expected http:// or https:// and where index.yaml is, or with oci: true host/path of a registry. Fix: write h/c`},
		"registry without oci":  {"repositories:\n- {name: p, url: \"oci://h/c\"}\nreleases:\n" + release("a", ""), "Fix: write h/c, and oci: true"},
		"index without scheme":  {"repositories:\n- {name: p, url: h/c}\nreleases:\n" + release("a", ""), "Fix: write https:// before it, or add oci: true"},
		"index in plain HTTP":   {"repositories:\n- {name: p, url: \"http://h/c\", plainHttp: true}\nreleases:\n" + release("a", ""), "repositories[0].plainHttp: true; expected oci: true beside it"},
		"repository without":    {"repositories:\n- {name: p}\nreleases:\n" + release("a", ""), "repositories[0]: a repository without name or url"},
		"repository's name":     {"repositories:\n- {name: p/q, url: \"https://h\"}\nreleases:\n" + release("a", ""), `repositories[0].name: "p/q"; expected a name without slash`},
		"repository twice":      {"repositories:\n- {name: p, url: \"https://h\"}\n- {name: p, url: \"https://h\"}\nreleases:\n" + release("a", ""), `env.yaml:3 repositories[1].name: repository "p" stands twice`},
		"no certificates":       {"repositories:\n- {name: p, url: \"https://h\", caFile: ca.crt}\nreleases:\n" + release("a", ""), `repositories[0].caFile: no file "ca.crt"`},
		"repository, directory": {"repositories:\n- {name: sub, url: \"https://h\"}\nreleases:\n- {name: a, namespace: n, chart: sub/chart, version: 1.0.0}\n", `releases[0].chart: "sub/chart", which is both in repository sub and a directory; expected one chart. Fix: write ./sub/chart`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, c.text)
			require.ErrorContains(t, err, c.want)
			assert.Equal(t, 1, strings.Count(err.Error(), "\n")+1, "one mistake, one problem: %v", err)
		})
	}
}

func TestPublishedCharts(t *testing.T) {
	const repositories = `repositories:
- {name: reg, url: h:5000/c/, oci: true, plainHttp: true}
- {name: idx, url: "https://h/charts/", caFile: v.yaml}
`
	for chart, want := range map[string]Published{
		"oci://h:5000/a/x, version: 1.2.0":            {Repository: "oci://h:5000/a", Name: "x", Version: "1.2.0"},
		"\"oci://h:5000/a/x:v1.2.0-rc.1\"":            {Repository: "oci://h:5000/a", Name: "x", Version: "v1.2.0-rc.1"},
		"\"oci://h/x:1.2.0+b\", version: \"1.2.0+b\"": {Repository: "oci://h", Name: "x", Version: "1.2.0+b"},
		"reg/x, version: 1.2.0":                       {Repository: "oci://h:5000/c", Name: "x", Version: "1.2.0", PlainHTTP: true},
		"reg/below/x, version: 1.2.0":                 {Repository: "oci://h:5000/c/below", Name: "x", Version: "1.2.0", PlainHTTP: true},
		"idx/x, version: 1.2.0":                       {Repository: "https://h/charts", Name: "x", Version: "1.2.0", CAFile: "v.yaml"},
	} {
		// Repositories may stand below the releases.
		env, err := load(t, "releases:\n- {name: a, namespace: n, chart: "+chart+"}\n- {name: b, namespace: n, chart: ./sub/chart}\n"+repositories)
		require.NoError(t, err)
		if want.CAFile != "" {
			want.CAFile, err = filepath.Abs(want.CAFile)
			require.NoError(t, err)
		}
		assert.Equal(t, &want, env.Releases[0].Published)
		assert.Empty(t, env.Releases[0].Chart)
		assert.Nil(t, env.Releases[1].Published)
		assert.Equal(t, "chart", filepath.Base(env.Releases[1].Chart))
	}
}

func TestParsePublished(t *testing.T) {
	p, err := ParsePublished("oci://h:5000/a/x:1.2.0")
	require.NoError(t, err)
	assert.Equal(t, &Published{Repository: "oci://h:5000/a", Name: "x", Version: "1.2.0"}, p)
	assert.Equal(t, "oci://h:5000/a/x:1.2.0", p.String())
	for _, wrong := range []string{"oci://h:5000/a/x", "oci://h/x:1", "oci://h:1.0.0", "oci://h/x@sha256:ab"} {
		_, err := ParsePublished(wrong)
		require.ErrorContains(t, err, `found "`+wrong+`", expected`)
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	_, err := load(t, "hooks: []\nreleases:\n"+release("a", "  values: [w.yaml]\n  needs: [b]\n"))
	require.Error(t, err)
	assert.Len(t, strings.Split(err.Error(), "\n"), 3)
}

func TestNamesThatAreLegal(t *testing.T) {
	for _, c := range []struct{ name, namespace string }{
		{"app1-v1.3.4", "n-1"}, {strings.Repeat("n", 53), strings.Repeat("n", 63)}, {"1", "\"1\""},
	} {
		_, err := load(t, "releases:\n- {name: "+c.name+", namespace: "+c.namespace+", chart: chart}\n")
		assert.NoError(t, err)
	}
}

func TestFileThatIsNotThere(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.yaml"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// Environments may lie in folders, with values files beside them, which are none.
func TestFind(t *testing.T) {
	_, err := load(t, "releases:\n"+release("a", ""))
	require.NoError(t, err)
	for name, text := range map[string]string{
		"environments/dev.yml":             "releases:\n- {name: a, namespace: n, chart: ../chart, values: [eu/common.yaml]}\n",
		"environments/eu/prod.yaml":        "releases:\n- {name: a, namespace: n, chart: ../../chart, values: [values/a.yml]}\n- {name: b, namespace: n, chart: ../../chart, values: [off.yaml], installed: false}\n",
		"environments/eu/common.yaml":      "a: 1\n",
		"environments/eu/off.yaml":         "a: 1\n",
		"environments/eu/values/a.yml":     "a: 1\n",
		"environments/eu/unread.yaml":      "releases: none\n",
		"environments/eu/prod.yaml.gotmpl": "",
		"environments/README.md":           "",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	}
	found, err := Find("environments")
	require.NoError(t, err)
	assert.Equal(t, []string{"environments/dev.yml", "environments/eu/prod.yaml", "environments/eu/unread.yaml"}, found)
	found, err = Find("none")
	require.NoError(t, err)
	assert.Empty(t, found)
	_, err = Find("v.yaml/x")
	require.Error(t, err, "what cannot be looked at is not empty")
}
