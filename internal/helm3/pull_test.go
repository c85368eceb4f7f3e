package helm3

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/repo"
)

func TestPull(t *testing.T) {
	served := t.TempDir()
	source, err := loader.Load("testdata/chart")
	require.NoError(t, err)
	for _, version := range []string{"1.30.0", "1.30.1", "1.30.1-rc.1"} {
		source.Metadata.Version = version
		_, err := chartutil.Save(source, served)
		require.NoError(t, err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(served)))
	defer server.Close()
	index, err := repo.IndexDirectory(served, server.URL)
	require.NoError(t, err)
	require.NoError(t, index.WriteFile(filepath.Join(served, "index.yaml"), 0o600))

	name := source.Name()
	for _, version := range []string{"1.30.0", "1.30.1-rc.1"} {
		path, err := Pull(t.Context(), server.URL, name, version, t.TempDir())
		require.NoError(t, err)
		pulled, err := LoadChart(path)
		require.NoError(t, err)
		assert.Equal(t, version, pulled.Version)
		assert.Equal(t, name, pulled.Name)
	}

	_, err = Pull(t.Context(), server.URL, name, "1.29.0", t.TempDir())
	require.ErrorContains(t, err, "chart "+name+" 1.29.0 of "+server.URL)
	server.Close()
	_, err = Pull(t.Context(), server.URL, name, "1.30.0", t.TempDir())
	require.ErrorContains(t, err, "chart "+name+" 1.30.0 of "+server.URL)
}
