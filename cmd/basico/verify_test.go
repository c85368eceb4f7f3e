package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/pkg/report"
)

// verifyWith runs the verb in process.
func verifyWith(t *testing.T, args ...string) (out, errOut string, err error) {
	t.Helper()
	var o, e bytes.Buffer
	cmd := newVerifyCommand(streams{out: &o, err: &e})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(t.Context())
	return o.String(), e.String(), err
}

func TestVerifySaysAllThatIsWrongWithItsFlags(t *testing.T) {
	_, errOut, err := verifyWith(t, "x.yaml", "--on", "moon", "-o", "xml", "--requests", "-1", "--rate", "2", "--cluster", "a", "--keep", "--context", "b")
	require.Error(t, err)
	assert.Equal(t, `--on: found "moon", expected local or kind
--context names a cluster that runs, so --on and --cluster have nothing to say beside it
--output: found "xml", expected text or json
--requests: found -1, expected 1 or more, or 0 for the default
--rate: found 2, expected more than 0 and less than 1
--keep and --envoy are for a cluster that is started here, not for --cluster and --context`, err.Error())
	assert.Empty(t, errOut, "nothing has started")
}

func TestVerifyKnowsBeforeThatItCannotWriteItsReports(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "old.xml")
	require.NoError(t, os.WriteFile(old, []byte("old"), 0o600))
	fresh := filepath.Join(dir, "new.html")
	nowhere := filepath.Join(dir, "nowhere", "x.html")
	_, errOut, err := verifyWith(t, "x.yaml", "--junit", dir, "--report", nowhere)
	require.Error(t, err)
	assert.Equal(t, "--junit: expected a file that can be written: open "+dir+": is a directory\n"+
		"--report: expected a file that can be written: open "+nowhere+": no such file or directory", err.Error())
	assert.Empty(t, errOut, "nothing has started")

	_, _, err = verifyWith(t, filepath.Join(dir, "none.yaml"), "--junit", old, "--report", fresh)
	require.ErrorContains(t, err, "none.yaml")
	content, err := os.ReadFile(old)
	require.NoError(t, err)
	assert.Equal(t, "old", string(content))
	assert.NoFileExists(t, fresh)
}

// What is to stand beside the result is read before anything starts.
func TestVerifyBesideAnotherResult(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "other.json")
	require.NoError(t, os.WriteFile(other, []byte(`{"environments": ["bookinfo-dev"], "splits": []}`), 0o600))
	text := filepath.Join(dir, "text.json")
	require.NoError(t, os.WriteFile(text, []byte("apps: held\n"), 0o600))
	for file, says := range map[string]string{
		other:                         `found ["bookinfo-dev"], expected "apps" among them`,
		text:                          "expected what basico verify -o json writes",
		filepath.Join(dir, "nothing"): "no such file",
	} {
		_, errOut, err := verifyWith(t, "../../environments/apps.yaml", "--beside", file)
		require.ErrorContains(t, err, says)
		assert.NotContains(t, errOut, "starting")
	}
}

// Mistakes in the files come as a report, all of them, before anything starts.
func TestVerifyChecksFirst(t *testing.T) {
	chart, err := filepath.Abs("../../charts/chart_basico")
	require.NoError(t, err)
	dir := t.TempDir()
	file := filepath.Join(dir, "broken.yaml")
	write := func(name, content string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	write("broken.yaml", "helmDefaults: {createNamespace: false}\nreleases:\n  - name: cart\n    namespace: nowhere\n    chart: "+chart+"\n    values:\n      - cart.yaml\n")
	write("cart.yaml", "app: cart\nservice:\n  ports:\n    http:\n      port: 80\n      targetPort: http\n")

	began := time.Now()
	out, _, err := verifyWith(t, file, "-o", "json", "--junit", filepath.Join(dir, "junit.xml"), "--report", filepath.Join(dir, "report.html"))
	var exit exitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, exitCouldNot, exit.status)
	assert.Less(t, time.Since(began), 30*time.Second)

	var result struct {
		Splits   []any
		Problems []struct{ Rule, Found string }
	}
	require.NoError(t, json.Unmarshal([]byte(out), &result))
	assert.Empty(t, result.Splits)
	var found []string
	for _, p := range result.Problems {
		found = append(found, p.Found)
	}
	assert.GreaterOrEqual(t, len(found), 2, "a namespace that nobody makes, and a Service without endpoints: %v", found)
	for _, name := range []string{"junit.xml", "report.html"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Contains(t, string(content), "nowhere", name)
	}
}

// The container runtime has a node of verify's own cluster, whose API server is ready and then refuses everything.
func TestVerifyDeletesItsOwnClusterThatCannotBeMade(t *testing.T) {
	name := verifyFlags{}.ownName()
	bin, cache := t.TempDir(), t.TempDir()
	node := filepath.Join(bin, "node")
	for variable, value := range map[string]string{"XDG_CACHE_HOME": cache, "PATH": bin + ":" + os.Getenv("PATH"), "KIND_EXPERIMENTAL_PROVIDER": "podman"} {
		t.Setenv(variable, value)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			http.Error(w, "no", http.StatusForbidden)
		}
	}))
	defer server.Close()
	dir := filepath.Join(cache, "basico", "kind", name)
	require.NoError(t, os.MkdirAll(dir, 0o700))
	for file, content := range map[string]string{
		node: "",
		filepath.Join(bin, "podman"): `#!/bin/sh
case "$*" in
  "--version") echo "podman version 5.4.2" ;;
  "ps -a "*".Names"*) [ ! -e ` + node + ` ] || echo ` + name + `-control-plane ;;
  "ps -a "*) [ ! -e ` + node + ` ] || echo ` + name + ` ;;
  "inspect --format "*role*) echo control-plane ;;
  "image inspect "*) echo '[{"Id": "abc", "Config": {}}]' ;;
  "rm -f -v ` + name + `-control-plane") rm ` + node + ` ;;
  "ps -q" | "image ls "* | "volume ls "* | "network rm kind") ;;
  *) exit 1 ;;
esac
`,
		filepath.Join(dir, "made"): "docker.io/kindest/node:v1.34.4\n",
		filepath.Join(dir, "kubeconfig"): `{"clusters": [{"name": "a", "cluster": {"server": "` + server.URL + `"}}],
			"contexts": [{"name": "a", "context": {"cluster": "a"}}], "current-context": "a"}`,
	} {
		require.NoError(t, os.WriteFile(file, []byte(content), 0o755))
	}
	_, _, err := verifyFlags{}.startKind(t.Context(), func(string) {}, nil)
	require.ErrorContains(t, err, "create cluster "+name+": ")
	assert.NotContains(t, err.Error(), "completes it")
	assert.NoFileExists(t, node)
	assert.NoDirExists(t, dir)
}

// So do those for which nothing can be rendered, for whoever reads only the reports.
func TestWhatCannotBeRenderedIsReported(t *testing.T) {
	for name, c := range map[string]struct{ values, env, file, path string }{
		"the environment": {"", "releases:\n- {name: one, namespace: Bad_NS, chart: charts/chart_basico}\n", "env.yaml", "releases[0].namespace"},
		"the schema":      {"app: shop\nfild: x\n", "", "v.yaml", "fild"},
		"no YAML":         {"app: [\n", "", "v.yaml", ""},
	} {
		for _, args := range [][]string{{"verify", "env.yaml"}, {"promote", "env.yaml", "shop"}} {
			t.Run(name+", "+args[0], func(t *testing.T) {
				small(t, c.values)
				if c.env != "" {
					require.NoError(t, os.WriteFile("env.yaml", []byte(c.env), 0o600))
				}
				r := basico(t, append(args, "-o", "json", "--junit", "junit.xml", "--report", "report.html")...)
				assert.Equal(t, exitCouldNot, r.status)
				assert.NotContains(t, r.err, "basico:")
				var rep report.Report
				require.NoError(t, json.Unmarshal([]byte(r.out), &rep))
				assert.Equal(t, []string{"env"}, rep.Environments)
				require.Len(t, rep.Problems, 1)
				p := rep.Problems[0]
				assert.Equal(t, []string{"env", c.file, c.path}, []string{p.Environment, p.File, p.Path})
				for _, file := range []string{"junit.xml", "report.html"} {
					content, err := os.ReadFile(file)
					require.NoError(t, err)
					assert.Contains(t, string(content), c.file, file)
				}

				r = basico(t, args...)
				assert.Equal(t, exitCouldNot, r.status)
				assert.Contains(t, r.out, c.file)
			})
		}
	}
}

func TestVerifyNamesTheCommandThatRepeatsIt(t *testing.T) {
	for want, f := range map[string]verifyFlags{
		"basico verify e.yaml":                               {targetFlags: targetFlags{on: "local"}, rate: 1e-6},
		"basico verify e.yaml --on kind --cluster a":         {targetFlags: targetFlags{on: "kind", cluster: "a"}, rate: 1e-6},
		"basico verify e.yaml --context 'a b' --requests 50": {targetFlags: targetFlags{on: "local", context: "a b"}, requests: 50, rate: 1e-6},
	} {
		assert.Equal(t, want, f.command("e.yaml"))
	}
}
