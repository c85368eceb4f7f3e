// Package owncache lets a test have clusters of its own, while the programs that are made once for all stay where they
// are. It is for tests only.
package owncache

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Env returns the variables of a process whose clusters are in a directory that goes with the test.
func Env(t *testing.T) map[string]string {
	t.Helper()
	goCache, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE").Output()
	require.NoError(t, err)
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	own, err := os.MkdirTemp("", "basico") //nolint:usetesting // short: a socket's path must fit
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(own) })
	require.NoError(t, os.MkdirAll(filepath.Join(cache, "basico"), 0o755))
	require.NoError(t, os.Mkdir(filepath.Join(own, "basico"), 0o755))
	entries, err := os.ReadDir(filepath.Join(cache, "basico"))
	require.NoError(t, err)
	for _, e := range entries {
		if e.Name() != "clusters" {
			require.NoError(t, os.Symlink(filepath.Join(cache, "basico", e.Name()), filepath.Join(own, "basico", e.Name())))
		}
	}
	return map[string]string{"XDG_CACHE_HOME": own, "GOCACHE": strings.TrimSpace(string(goCache))}
}
