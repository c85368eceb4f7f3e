package git_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/internal/git"
	"chartbasico/internal/git/gittest"
)

func TestFilesAreAsCommitted(t *testing.T) {
	r := gittest.New(t)
	r.Write(".gitattributes", "*.txt text eol=crlf\nid ident\n")
	r.Write("a b ü.txt", "one\ntwo\n")
	r.Write("id", "$Id$\n")
	require.NoError(t, os.Symlink("id", filepath.Join(r.Dir, "link")))
	r.Commit("odd names")
	repo, err := git.Open(t.Context(), r.Dir)
	require.NoError(t, err)
	commit, err := repo.Commit(t.Context(), "HEAD")
	require.NoError(t, err)
	files, err := repo.Files(t.Context(), commit)
	require.NoError(t, err)
	got := map[string]git.File{}
	for _, f := range files {
		got[f.Path] = f
	}
	assert.Equal(t, "one\ntwo\n", string(got["a b ü.txt"].Data))
	assert.Equal(t, "$Id$\n", string(got["id"].Data))
	assert.True(t, got["link"].Link)
	dir := t.TempDir()
	require.NoError(t, git.Write(dir, files))
	text, err := os.ReadFile(filepath.Join(dir, "link"))
	require.NoError(t, err)
	assert.Equal(t, "$Id$\n", string(text))

	out := []git.File{{Path: "a/l", Link: true, Data: []byte("../../etc")}, {Path: "a/m", Link: true, Data: []byte("/etc")}, {Path: "a/n", Link: true, Data: []byte("../b")}, {Path: "b", Data: []byte("x")}}
	assert.Equal(t, []bool{true, true, false, false}, []bool{out[0].LeadsOut(), out[1].LeadsOut(), out[2].LeadsOut(), out[3].LeadsOut()})
	dir = t.TempDir()
	require.NoError(t, git.Write(dir, out))
	for _, name := range []string{"a/l", "a/m"} {
		_, err = os.ReadFile(filepath.Join(dir, name))
		require.ErrorIs(t, err, os.ErrNotExist, "it leads nowhere")
	}
	text, err = os.ReadFile(filepath.Join(dir, "a/n"))
	require.NoError(t, err)
	assert.Equal(t, "x", string(text))

	changed, err := repo.Changed(t.Context())
	require.NoError(t, err)
	assert.Empty(t, changed)
	r.Write("new", "x")
	changed, err = repo.Changed(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"?? new"}, changed)
}
