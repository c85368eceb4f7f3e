package wholefile

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o644))
	old, err := os.Open(path)
	require.NoError(t, err)
	require.NoError(t, Write(path, []byte("new"), 0o640))
	before := make([]byte, 8)
	n, err := old.Read(before)
	require.NoError(t, err)
	assert.Equal(t, "old", string(before[:n]), "who reads the old file reads all of it")
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "new", string(after))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o640), info.Mode())

	require.NoError(t, os.Mkdir(filepath.Join(dir, "taken"), 0o755))
	require.Error(t, Write(filepath.Join(dir, "taken"), []byte("new"), 0o600))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 2, "nothing else is left")
}
