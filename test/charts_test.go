package test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/internal/registrytest"
)

// published packages the chart as that version and pushes it to a registry, which the processes that a test starts trust
// and are let into. It returns the registry and the directory with the archive.
func published(t *testing.T, h helm, version string) (registry, string) {
	t.Helper()
	r, dir := newRegistry(t), t.TempDir()
	h.must(t, "", "package", chart(t), "--version", version, "--destination", dir)
	archive, err := os.ReadFile(filepath.Join(dir, "chart_basico-"+version+".tgz"))
	require.NoError(t, err)
	r.Push(t, "charts/chart_basico:"+version, archive)
	registrytest.Login(t, r.Addr)
	t.Setenv("SSL_CERT_FILE", r.CA)
	return r, dir
}

// An environment whose releases take the chart from wherever Helmfile can is rendered as helmfile does: from a registry,
// by its reference or an entry of repositories, from an index, and from a directory.
func TestHelmfilePullsTheSame(t *testing.T) {
	path, err := basico()
	require.NoError(t, err)
	ctx := within(t, 3*time.Minute)
	h := helm{"HELM", t.TempDir()}
	r, pages := published(t, h, "7.8.9")
	server := httptest.NewServer(http.FileServer(http.Dir(pages)))
	t.Cleanup(server.Close)
	h.must(t, "", "repo", "index", pages, "--url", server.URL)

	source := files(t, "environments/bookinfo-prod.yaml")[0]
	raw, err := os.ReadFile(source)
	require.NoError(t, err)
	text := strings.ReplaceAll(string(raw), "../values/", filepath.Join(filepath.Dir(source), "../values")+"/")
	kinds := []string{"oci://" + r.Addr + "/charts/chart_basico", "registry/chart_basico", "pages/chart_basico", ""}
	for i := 0; strings.Contains(text, "chart: ../charts/chart_basico\n"); i++ {
		from := "chart: " + chart(t) + "\n"
		if kind := kinds[i%len(kinds)]; kind != "" {
			from = "chart: " + kind + "\n    version: 7.8.9\n"
		}
		text = strings.Replace(text, "chart: ../charts/chart_basico\n", from, 1)
	}
	text = "repositories:\n  - {name: registry, url: " + r.Addr + "/charts, oci: true, caFile: " + r.CA + "}\n  - {name: pages, url: " + server.URL + "}\n" + text
	file := filepath.Join(t.TempDir(), "env.yaml")
	write(t, file, text)
	for _, kind := range kinds {
		require.Contains(t, text, kind)
	}

	t.Setenv("HELMFILE_CACHE_HOME", t.TempDir())
	cmd := exec.CommandContext(ctx, tool(t, "HELMFILE"), "--file", file, "--helm-binary", tool(t, "HELM"), "template", "--kube-version", renderer.KubeVersion())
	login := os.Getenv("HELM_REGISTRY_CONFIG")
	cmd.Env = append(h.env(), "HELM_REGISTRY_CONFIG="+login)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoErrorf(t, err, "%s", stderr.String())

	cmd = exec.CommandContext(ctx, path, "render", file)
	cmd.Env = append(cmd.Environ(), "XDG_CACHE_HOME="+t.TempDir())
	var said strings.Builder
	cmd.Stderr = &said
	ours, err := cmd.Output()
	require.NoErrorf(t, err, "%s", said.String())
	assert.Equal(t, 3, strings.Count(said.String(), "pulling "), said.String())
	assert.Equal(t, objects(t, string(out)), objects(t, string(ours)))
}

// What is verified and promoted by the published chart is installed by it.
func TestPublishedChartOnACluster(t *testing.T) {
	const version = "7.8.9"
	r, _ := published(t, helm{"HELM", t.TempDir()}, version)
	file := shop(t, "published", calm...)
	rendered, err := renderer.Environment(t.Context(), load(t, file))
	require.NoError(t, err)
	t.Cleanup(func() { uninstallQuietly(t, rendered) })
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	write(t, file, strings.ReplaceAll(string(raw), "chart: "+chart(t)+"\n", "chart: oci://"+r.Addr+"/charts/chart_basico\n    version: "+version+"\n"))
	raw, err = os.ReadFile(file)
	require.NoError(t, err)
	require.NotContains(t, string(raw), chart(t))

	got := onShared(t, "verify", file, "--requests", "1000")
	assert.Equalf(t, 0, got.status, "%s%s", got.err, got.out)
	routing := filepath.Join(filepath.Dir(file), "cart-routing.yaml")
	values, err := os.ReadFile(routing)
	require.NoError(t, err)
	require.Contains(t, string(values), "timeout: 8s")
	write(t, routing, strings.Replace(string(values), "timeout: 8s", "timeout: 60s", 1)) // as a busy machine needs, and verify waits for
	got = promoted(t, file, "--to", "canary", "--write")
	assert.Equalf(t, 0, got.status, "%s%s", got.err, got.out)
	assert.Equal(t, []string{"moved v1", "measured v1", "moved canary", "measured canary"}, path(walkOf(t, got)), "the time limit comes first")
	written, err := os.ReadFile(routing)
	require.NoError(t, err)
	assert.Contains(t, string(written), "stage: canary")
	got = onShared(t, "traffic", file, "cart", "--requests", "1000", "--stage", "canary")
	assert.Equalf(t, 0, got.status, "%s%s", got.err, got.out)

	out, err := command(t, "HELM", "list", "--namespace", "published", "--output", "json")
	require.NoError(t, err, out)
	assert.Equal(t, len(rendered)-1, strings.Count(out, `"chart":"chart_basico-`+version+`"`), out) // but for the namespace's
}
