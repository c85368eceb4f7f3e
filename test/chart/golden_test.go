package chart_test

import (
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/internal/corpus"
)

var update = flag.Bool("update", false, "write the goldens instead of comparing with them")

// goldens are the cases of this run by file, to find those that no test renders any more.
var goldens = struct {
	sync.Mutex
	used map[string]bool
}{used: map[string]bool{}}

func TestMain(m *testing.M) {
	status := m.Run()
	if status == 0 && flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.list").Value.String() == "" {
		if left := orphans(); len(left) > 0 {
			fmt.Fprintf(os.Stderr, "goldens that no test renders any more; run go test ./test/chart -update:\n%s\n", strings.Join(left, "\n"))
			status = 1
		}
	}
	os.Exit(status)
}

// caseName is the name of a case of a test, which may have several.
func caseName(t testing.TB, values map[string]any) string {
	t.Helper()
	text, err := json.Marshal(values)
	require.NoError(t, err)
	return fmt.Sprintf("%s-%x", t.Name(), sha256.Sum256(text))[:len(t.Name())+5]
}

// golden holds what values render to against the case's file. So a change of the chart shows what it changes, for
// everything that any test renders.
func golden(t testing.TB, name string, values map[string]any, manifest, notes string) {
	t.Helper()
	goldens.Lock()
	goldens.used[corpus.File(name)] = true
	goldens.Unlock()

	text, err := corpus.Case{Name: name, Values: values, Manifest: manifest, Notes: notes}.Format()
	require.NoError(t, err)
	path := filepath.Join(root, corpus.Dir, corpus.File(name))
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755)) //nolint:gosec // a directory of the repository
		require.NoError(t, os.WriteFile(path, text, 0o644))        //nolint:gosec // a file of the repository
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "no golden; run go test ./test/chart -update, and look at what it wrote")
	assert.Equal(t, string(want), string(text), "other than %s; if it is meant, run go test ./test/chart -update, and look at the difference", path)
}

// orphans are the goldens that this run has not rendered; -update removes them.
func orphans() (left []string) {
	dir := filepath.Join(root, corpus.Dir)
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err == nil && !goldens.used[rel] {
			if *update {
				return os.Remove(path)
			}
			left = append(left, path)
		}
		return err
	})
	slices.Sort(left)
	return left
}
