package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	istiolog "istio.io/istio/pkg/log"
	"k8s.io/klog/v2"
)

// Standard output has results alone.
func TestLibrariesLogElsewhere(t *testing.T) {
	dir := t.TempDir()
	redirect := func(to **os.File, name string) func() string {
		path := filepath.Join(dir, name)
		file, err := os.Create(path)
		require.NoError(t, err)
		before := *to
		*to = file
		t.Cleanup(func() { *to = before; file.Close() })
		return func() string {
			said, err := os.ReadFile(path)
			require.NoError(t, err)
			return string(said)
		}
	}
	out, errs := redirect(&os.Stdout, "out"), redirect(&os.Stderr, "err")
	t.Cleanup(func() { _ = istiolog.Configure(istiolog.DefaultOptions()) })

	log := func() {
		istiolog.Warn("from Istio")
		klog.Error("from Kubernetes")
		klog.Flush()
		_ = istiolog.Sync()
	}
	require.NoError(t, istiolog.Configure(istiolog.DefaultOptions()))
	log()
	require.Contains(t, out(), "from Istio")
	require.Contains(t, out(), "from Kubernetes")
	require.NoError(t, os.Stdout.Truncate(0))

	quietLibraries()
	log()
	assert.Empty(t, out())
	assert.Contains(t, errs(), "from Istio")
	assert.NotContains(t, errs(), "from Kubernetes")
}
