package charts

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/internal/helm3"
	"chartbasico/internal/registrytest"
	"chartbasico/pkg/environment"
)

// get gets a chart by a store of its own, as a new process would, and returns what that said.
func get(t *testing.T, p environment.Published) (chart *helm3.Chart, said []string, err error) {
	t.Helper()
	path, err := New(nil, func(line string) { said = append(said, line) }).Get(t.Context(), p)
	if err != nil {
		return nil, said, err
	}
	chart, err = helm3.LoadChart(path)
	require.NoError(t, err)
	return chart, said, nil
}

func fault(t *testing.T, p environment.Published) *Fault {
	t.Helper()
	_, _, err := get(t, p)
	var f *Fault
	require.ErrorAs(t, err, &f)
	return f
}

func TestRegistry(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	r := registrytest.Start(t)
	for _, version := range []string{"1.2.0", "1.10.0", "1.10.0+b.1"} {
		r.Push(t, "charts/x:"+version, registrytest.Archive(t, "x", version, nil))
	}
	p := environment.Published{Repository: "oci://" + r.Addr + "/charts", Name: "x", Version: "1.2.0", CAFile: r.CA}
	t.Setenv("HELM_REGISTRY_CONFIG", filepath.Join(t.TempDir(), "none.json"))
	f := fault(t, p)
	assert.Contains(t, f.Found, strings.TrimPrefix(p.String(), "oci://"))
	assert.Equal(t, "helm registry login "+r.Addr+"; HELM_REGISTRY_CONFIG names the file that keeps them, if not Helm's own", f.Fix)

	registrytest.Login(t, r.Addr)
	chart, said, err := get(t, p)
	require.NoError(t, err)
	assert.Equal(t, "1.2.0", chart.Version)
	assert.Equal(t, "x-1.2.0.tgz", filepath.Base(chart.Dir))
	assert.Equal(t, []string{"pulling " + p.String()}, said)
	_, said, err = get(t, p)
	require.NoError(t, err)
	assert.Empty(t, said, "it is kept")

	r.Push(t, "charts/x:1.2.0", registrytest.Archive(t, "x", "1.2.0", map[string]string{"templates/new.yaml": "a: b\n"}))
	again, said, err := get(t, p)
	require.NoError(t, err)
	assert.Len(t, said, 1, "a tag that was moved is another chart")
	assert.Len(t, again.Files(), len(chart.Files())+1)

	p.Version = "1.10.0+b.1"
	chart, _, err = get(t, p)
	require.NoError(t, err)
	assert.Equal(t, p.Version, chart.Version)

	p.Version = "1.3.0"
	f = fault(t, p)
	assert.Contains(t, f.Found, "1.3.0: no such tag")
	assert.Contains(t, f.Fix, "write a version that is there: 1.10.0")
	p.Name = "y"
	assert.Equal(t, "correct the name, or publish that version", fault(t, p).Fix)
	p.CAFile = ""
	assert.Contains(t, fault(t, p).Found, "certificate")
	p.Repository = "oci://127.0.0.1:1/charts"
	assert.Contains(t, fault(t, p).Fix, "make sure that 127.0.0.1:1 is reached from here")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = New(nil, nil).Get(ctx, p)
	require.ErrorIs(t, err, context.Canceled, "that is no fault of the chart")
}

func TestRepository(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	archive := registrytest.Archive(t, "x", "1.2.0", nil)
	digest := fmt.Sprintf("%x", sha256.Sum256(archive))
	asked := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if user, password, _ := req.BasicAuth(); user != "u" || password != "p" {
			http.Error(w, "who are you", http.StatusUnauthorized)
			return
		}
		asked[req.URL.Path]++
		switch req.URL.Path {
		case "/charts/index.yaml":
			entry := "  - {apiVersion: v2, name: x, version: %s, digest: \"%s\", urls: [x.tgz]}\n"
			fmt.Fprintf(w, "apiVersion: v1\nentries:\n  x:\n"+entry+entry+entry, "1.2.0", digest, "1.2.1", "", "1.2.2", strings.Repeat("ab", 32))
		case "/charts/x.tgz":
			_, _ = w.Write(archive)
		default:
			http.NotFound(w, req)
		}
	}))
	t.Cleanup(server.Close)
	p := environment.Published{Repository: server.URL + "/charts", Name: "x", Version: "1.2.0"}
	kept := filepath.Join(t.TempDir(), "repositories.yaml")
	t.Setenv("HELM_REPOSITORY_CONFIG", kept)
	assert.Equal(t, "helm repo add NAME "+p.Repository+" --username NAME --password-stdin; HELM_REPOSITORY_CONFIG names the file that keeps them, if not Helm's own", fault(t, p).Fix)

	require.NoError(t, os.WriteFile(kept, fmt.Appendf(nil, "apiVersion: \"\"\nrepositories:\n- {name: z, url: %s/charts/, username: u, password: p}\n", server.URL), 0o600))
	chart, said, err := get(t, p)
	require.NoError(t, err)
	assert.Equal(t, "x", chart.Name)
	assert.Equal(t, []string{"pulling " + server.URL + "/charts x 1.2.0"}, said)
	_, said, err = get(t, p)
	require.NoError(t, err)
	assert.Empty(t, said, "it is kept")
	assert.Equal(t, 1, asked["/charts/x.tgz"])

	p.Version = "1.2.1"
	_, _, err = get(t, p)
	require.NoError(t, err, "an index need not say the digest")
	p.Version = "1.2.2"
	assert.Contains(t, fault(t, p).Found, "the archive has the digest "+digest+", and the index says abab")
	for _, version := range []string{"1.3.0", "1.2.0+b"} {
		p.Version = version
		assert.Equal(t, "write a version that is there: 1.2.2, 1.2.1, 1.2.0", fault(t, p).Fix)
	}
	p.Name = "y"
	assert.Equal(t, "correct the name, or publish that version", fault(t, p).Fix)
	server.Close()
	assert.Contains(t, fault(t, p).Fix, "is reached from here")
}
