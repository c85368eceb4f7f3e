package render

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/pkg/environment"
	"chartbasico/pkg/problem"
)

// release is a release of the small chart with values files of these contents, in a fresh
// working directory.
func release(t *testing.T, files ...string) environment.Release {
	t.Helper()
	chart, err := filepath.Abs("testdata/chart")
	require.NoError(t, err)
	dir := t.TempDir()
	t.Chdir(dir)
	r := environment.Release{Name: "one", Namespace: "here", Chart: chart, File: "env.yaml", Line: 7}
	for i, content := range files {
		path := filepath.Join(dir, string(rune('a'+i))+".yaml")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		r.ValuesFiles = append(r.ValuesFiles, path)
	}
	return r
}

func TestRelease(t *testing.T) {
	in := release(t, "app: shop\nimage: {tag: v1, repository: x}\n", "image: {tag: v2}\n")
	in.Values = []map[string]any{{"replicas": 2.0}}
	got, err := New().Release(t.Context(), in)
	require.NoError(t, err)
	require.Len(t, got.Objects, 2)
	assert.Equal(t, "Namespace/shop", ID(got.Objects[0]), "Helm's install order")
	assert.Equal(t, "ConfigMap/here/shop", ID(got.Objects[1]))
	assert.Equal(t, map[string]any{"tag": "v2", "replicas": "2"}, got.Objects[1].Object["data"])
	assert.Equal(t, map[string]any{"tag": "v2", "repository": "x"}, got.Values["image"])
	assert.Contains(t, got.Manifest, "# Source: small/templates/all.yaml")
}

// What Helmfile looks up elsewhere is not known here. Helm, by a values file alone, takes it as it is.
func TestReferences(t *testing.T) {
	in := release(t, "app: shop\nimage:\n  tag: ref+vault://svc/#tag\n")
	in.Values = []map[string]any{{"list": []any{"x", "secretref+echo://a/b+c"}, "image": map[string]any{"repository": "a ref+ b, ref+c://d"}}}
	_, err := New().Release(t.Context(), in)
	const fix = ", which Helmfile looks up elsewhere; expected a plain value. Fix: write the value out, or name a Secret that is on the cluster; Helmfile's references are not read [values]"
	require.EqualError(t, err, `a.yaml:3 image.tag: "ref+vault://svc/#tag"`+fix+"\n"+`env.yaml:7 list[1]: "secretref+echo://a/b+c"`+fix)

	in.Values, in.File = nil, ""
	got, err := New().Release(t.Context(), in)
	require.NoError(t, err)
	assert.Equal(t, "ref+vault://svc/#tag", got.Objects[1].Object["data"].(map[string]any)["tag"])
}

// What YAML changes without a word is told with what the file has; of what may be secret only that it is so.
func TestWhatYAMLChanges(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	require.NoError(t, os.MkdirAll("chart/templates", 0o755))
	require.NoError(t, os.WriteFile("chart/Chart.yaml", []byte("apiVersion: v2\nname: c\nversion: 1.0.0\n"), 0o600))
	require.NoError(t, os.WriteFile("last.yaml", []byte("workload: {containers: {a: {env: {LAST: '1.10'}}}}\n"), 0o600))
	require.NoError(t, os.WriteFile("v.yaml", []byte(`workload:
  containers:
    env: {image: {a: b}, tty: on}
    a:
      env:
        API: 1.10
        ACCOUNT: 012345670123
        DEBUG: yes
        ON: hello
        0644: &anchor 0x1F # told when the key is right
        PASSWORD: 0700
        FINE: 1.5
        TRUE: {valueFrom: {}}
        TEXT: "1.10"
        DATE: 2025-01-01
        OFF: true
        AGAIN: *anchor
        LAST: 1.10
      limits: {cpu: 1.50}
config:
  c: {data: {v: 2.0, n: 2}}
  env: {immutable: yes}
secrets:
  s: {stringData: {pin: 0123}}
list: [{8080: a, 1e3: b}]
`), 0o600))
	got, err := New().Release(t.Context(), environment.Release{Name: "one", Namespace: "here", Chart: "chart", ValuesFiles: []string{filepath.Join(dir, "v.yaml"), filepath.Join(dir, "last.yaml")}})
	require.NoError(t, err)
	const env = " workload.containers.a.env."
	var want []string
	for _, line := range []string{
		"6" + env + `API: 1.10, which YAML reads as 1.1`,
		"7" + env + `ACCOUNT: 012345670123, which YAML reads as 1402433619`,
		"8" + env + `DEBUG: yes, which YAML reads as true`,
		"9" + env + `ON: ON, which YAML reads as the key true`,
		"10" + env + `0644: 0644, which YAML reads as the key 420`,
		"11" + env + `PASSWORD: a value that YAML reads as another`,
		"13" + env + `TRUE: TRUE, which YAML reads as the key true`,
		"16" + env + `OFF: OFF, which YAML reads as the key false`,
		"10" + env + `AGAIN: 0x1F, which YAML reads as 31`,
		`21 config.c.data.v: 2.0, which YAML reads as 2`,
		`21 config.c.data.n: n, which YAML reads as the key false`,
		`24 secrets.s.stringData.pin: a value that YAML reads as another`,
		`25 list[0].1e3: 1e3, which YAML reads as the key 1000`,
	} {
		want = append(want, "v.yaml:"+line+"; expected text, as it is written. Fix: quote it [values]")
	}
	assert.Equal(t, want, strings.Split(got.Warnings.Error(), "\n"))
}

// An object of the whole cluster may name a namespace, which the API server takes and forgets.
func TestNamespaces(t *testing.T) {
	objects, _, problems := split(`
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: a, namespace: there}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: b, namespace: there}
---
apiVersion: longhorn.io/v1beta2
kind: Node
metadata: {name: c, namespace: there}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: d}
`, environment.Release{Namespace: "here"}, "")
	require.Empty(t, problems)
	var ids []string
	for _, o := range objects {
		ids = append(ids, ID(o))
	}
	assert.Equal(t, []string{"ClusterRole/a", "ConfigMap/there/b", "Node/there/c", "ConfigMap/here/d"}, ids)
}

func TestOverrides(t *testing.T) {
	in := release(t, "app: shop\n")
	in.Values = []map[string]any{{"image": map[string]any{"tag": "v1", "repository": "x"}}}
	r := New()
	got, err := r.Release(t.Context(), in, Set("replicas", 3), SetText("image.tag=v9"))
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"tag": "v9", "replicas": "3"}, got.Objects[1].Object["data"])
	assert.Equal(t, "v1", in.Values[0]["image"].(map[string]any)["tag"], "the release itself stays as it was")

	got, err = r.Release(t.Context(), in, Set("image", map[string]any{"tag": "v3"}))
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"tag": "v3"}, got.Values["image"], "a map replaces")

	_, err = r.Release(t.Context(), in, Set("imagge.tag", "x"))
	require.EqualError(t, err, `--set imagge: unknown key "imagge". Fix: write image [values-schema]`)
}

func TestSplitPath(t *testing.T) {
	assert.Equal(t, []string{"routing", "versions", "v1.3.4", "x"}, splitPath(`routing.versions.v1\.3\.4.x`))
}

func TestMistakes(t *testing.T) {
	template := "templates/all.yaml"
	for name, c := range map[string]struct {
		files []string
		want  []string
	}{
		"key, in the file that has it": {[]string{"app: a\nimage:\n  tga: v1\n", "image:\n  tag: v1\n"}, []string{`a.yaml:3 image.tga: unknown key "tga". Fix: write tag [values-schema]`}},
		"type":                         {[]string{"app: a\nreplicas: many\n"}, []string{`a.yaml:2 replicas: "many"; expected integer [values-schema]`}},
		"number as it is written":      {[]string{"app: shop\n", "app: &a 1.10\n"}, []string{`b.yaml:1 app: 1.10; expected string. Fix: quote it [values-schema]`}},
		"number of an alias":           {[]string{"x: &a 0123456\napp: *a\n"}, []string{`a.yaml:2 app: 0123456; expected string. Fix: quote it [values-schema]`, "unknown key"}},
		"required":                     {[]string{"replicas: 1\n"}, []string{"a.yaml: no app, which is required. Fix: add app [values-schema]"}},
		"all at once":                  {[]string{"app: 1\nreplicas: x\n"}, []string{"a.yaml:1 app: 1; expected string. Fix: quote it [values-schema]", `a.yaml:2 replicas: "x"; expected integer [values-schema]`}},
		"key twice":                    {[]string{"app: a\napp: b\n"}, []string{"a.yaml:2 app: the key stands twice, first on line 1; expected each key once. Fix: remove one of the two [values]"}},
		"text that looks like YAML":    {[]string{"app: a\nimage: {tag: *hunter2}\n"}, []string{"a.yaml: a value that begins with *, as the name of an anchor does, which is not there; expected one YAML document. Fix: quote the value [unreadable]"}},
		"a list":                       {[]string{"- app\n"}, []string{"a.yaml: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type map[string]interface {}; expected a map of values. Fix: write key: value lines [values]"}},
		"rules of the chart": {[]string{"app: x\nbreak: rules\n"}, []string{
			`a.yaml:1 app: "x"; expected "y". Fix: write y [values]`,
			"a.yaml image.tag: nothing; expected a tag. Fix: set it [values]",
		}},
		"fail":                {[]string{"app: x\nbreak: fail\n"}, []string{template + ":2: the chart says no [template]"}},
		"stack":               {[]string{"app: x\nbreak: nil\n"}, []string{"templates/_deep.tpl:1: nil pointer evaluating interface {}.such [template]"}},
		"broken YAML":         {[]string{"app: x\nbreak: yaml\n"}, []string{template + ": error converting YAML to JSON"}},
		"twice in the object": {[]string{"app: x\nbreak: twice\n"}, []string{template + `: yaml: unmarshal errors: line 10: key "tag" already set in map; expected YAML in which each key stands once`}},
	} {
		t.Run(name, func(t *testing.T) {
			in := release(t, c.files...)
			_, err := New().Environment(t.Context(), &environment.Environment{Name: "env", Releases: []environment.Release{in}})
			require.Error(t, err)
			got := strings.Split(err.Error(), "\n")
			require.Len(t, got, len(c.want), err)
			for _, want := range c.want {
				assert.Contains(t, err.Error(), want)
			}
		})
	}
}

func TestEnvironmentIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := New().Environment(ctx, &environment.Environment{Releases: []environment.Release{release(t, "app: a\n")}})
	require.ErrorIs(t, err, context.Canceled)
}

func TestChartThatIsNone(t *testing.T) {
	in := release(t)
	in.Chart = t.TempDir()
	_, err := New().Release(t.Context(), in)
	require.ErrorContains(t, err, "release here/one: chart ")
}

// It hides nothing of what is wrong with others.
func TestChartThatIsNoneBesideOthers(t *testing.T) {
	wrong := release(t, "replicas: x\n")
	none := environment.Release{Name: "none", Namespace: "here", Chart: t.TempDir(), File: "env.yaml", Line: 9, Path: "releases[1]"}
	syntax := none
	syntax.Name, syntax.Chart, syntax.Line, syntax.Path = "syntax", t.TempDir(), 12, "releases[2]"
	for name, content := range map[string]string{"Chart.yaml": "apiVersion: v2\nname: c\nversion: 0.1.0\n", "values.schema.json": "{"} {
		require.NoError(t, os.WriteFile(filepath.Join(syntax.Chart, name), []byte(content), 0o600))
	}
	_, err := New().Environment(t.Context(), &environment.Environment{Name: "env", Releases: []environment.Release{none, wrong, syntax}})
	var list problem.List
	require.ErrorAs(t, err, &list)
	require.Len(t, list, 4, err)
	assert.Equal(t, "values-schema", list[0].Rule)
	assert.Equal(t, "values-schema", list[1].Rule)
	for i, r := range []environment.Release{none, syntax} {
		p := list[2+i]
		assert.True(t, Unreadable(p))
		assert.Equal(t, []string{"env", r.ID(), "env.yaml", r.Path + ".chart"}, []string{p.Environment, p.Release, p.File, p.Path})
		assert.Equal(t, r.Line, p.Line)
		assert.Contains(t, p.Found, "chart "+r.Chart)
		assert.NotEmpty(t, p.Fix)
	}
}

func TestMatchesWhatHelmRecorded(t *testing.T) {
	got, err := New().Release(t.Context(), release(t, "app: shop\nimage: {tag: v1}\n"))
	require.NoError(t, err)
	require.Len(t, got.Objects, 2)
	first, second, ok := strings.Cut(strings.TrimPrefix(got.Manifest, "---\n"), "\n---\n")
	require.True(t, ok)
	assert.True(t, got.Matches(got.Manifest))
	assert.True(t, got.Matches("---\n"+second+"\n---\n"+first), "in another order")
	assert.False(t, got.Matches("---\n"+first), "one is new")
	assert.False(t, got.Matches(got.Manifest+"---\napiVersion: v1\nkind: Secret\nmetadata: {name: gone}\n"))
	assert.False(t, got.Matches(strings.Replace(got.Manifest, "v1", "v2", 1)))
	assert.False(t, got.Matches(""))
	got.Objects[0].SetAnnotations(map[string]string{"helm.sh/hook": "pre-install"})
	assert.False(t, got.Matches(got.Manifest))
	assert.True(t, got.Matches("---\n"+second), "hooks are not in it")
}

// Helm makes what is in the directory crds once, and records it nowhere; a CustomResourceDefinition of a template it does.
func TestMatchesWithoutCRDs(t *testing.T) {
	in := release(t, "app: shop\nimage: {tag: v1}\n")
	definition := func(name string) string {
		return "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: " + name + "}\n"
	}
	chart := filepath.Join(t.TempDir(), "chart")
	require.NoError(t, os.CopyFS(chart, os.DirFS(in.Chart)))
	require.NoError(t, os.Remove(filepath.Join(chart, "values.schema.json"))) // which takes no values of a chart below
	for path, content := range map[string]string{
		"crds/two.yaml":              definition("a") + definition("b"),
		"charts/below/Chart.yaml":    "apiVersion: v2\nname: below\nversion: 1.0.0\n",
		"charts/below/crds/one.yaml": definition("c"),
		"templates/crds/one.yaml":    definition("d"),
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(chart, path)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(chart, path), []byte(content), 0o600))
	}
	in.Chart = chart
	got, err := New().Release(t.Context(), in)
	require.NoError(t, err)
	require.Len(t, got.Objects, 6)
	before, recorded, ok := strings.Cut(got.Manifest, "---\n# Source: small/templates")
	require.True(t, ok)
	require.Equal(t, 3, strings.Count(before, "kind: CustomResourceDefinition"))
	recorded = "---\n# Source: small/templates" + recorded
	assert.True(t, got.Matches(recorded))
	assert.False(t, got.Matches(strings.Replace(recorded, "{name: d}", "{name: e}", 1)), "a template's")
	assert.False(t, got.Matches(recorded+definition("a")), "which a template had")
}

// Every environment of this repository renders, and renders the same on every run.
func TestOwnEnvironments(t *testing.T) {
	files, err := filepath.Glob("../../environments/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			env, err := environment.Load(file)
			require.NoError(t, err)
			var first []*Release
			for range 3 {
				got, err := New().Environment(t.Context(), env)
				require.NoError(t, err)
				require.Len(t, got, len(env.Releases))
				if first != nil {
					for i := range got {
						assert.Equal(t, first[i].Manifest, got[i].Manifest)
					}
				}
				first = got
			}
		})
	}
}

func BenchmarkEnvironment(b *testing.B) {
	env, err := environment.Load("../../environments/bookinfo-prod.yaml")
	require.NoError(b, err)
	r := New()
	for b.Loop() {
		if _, err := r.Environment(b.Context(), env); err != nil {
			b.Fatal(err)
		}
	}
}
