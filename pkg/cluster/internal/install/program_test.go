package install

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOnceMakesOnceForAll(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	var made atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			path, err := once(t.Context(), "tool-1", "tool", func(path string) error {
				made.Add(1)
				return os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755)
			})
			assert.NoError(t, err)
			assert.FileExists(t, path)
		})
	}
	wg.Wait()
	assert.Equal(t, int32(1), made.Load())
}

func TestOnceLeavesNothingHalfMade(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	broken := errors.New("broken off")
	_, err := once(t.Context(), "tool-1", "tool", func(path string) error {
		assert.NoError(t, os.WriteFile(path, []byte("half"), 0o755))
		return broken
	})
	require.ErrorIs(t, err, broken)
	assert.NoFileExists(t, filepath.Join(cache, "basico", "tool-1", "tool"))
	leftovers, err := filepath.Glob(filepath.Join(cache, "basico", "tool-1-*"))
	require.NoError(t, err)
	assert.Empty(t, leftovers)
}

func TestContentHashFollowsContentsOnly(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	hash := func() string {
		h, err := contentHash(dir, nil, "go.mod", "*.go")
		require.NoError(t, err)
		return h
	}
	write("go.mod", "module m")
	write("main.go", "package main")
	first := hash()
	write("main.go", "package main")
	write("main_test.go", "package main")
	assert.Equal(t, first, hash())
	write("main.go", "package main // changed")
	second := hash()
	assert.NotEqual(t, first, second)
	write("go.mod", "module m2")
	assert.NotEqual(t, second, hash())
}

func TestGivenProgramsAreChecked(t *testing.T) {
	dir := t.TempDir()
	program := Program{Name: "controlplane", What: "the control plane's program"}
	plain := filepath.Join(dir, "plain")
	require.NoError(t, os.WriteFile(plain, nil, 0o600))
	_, err := program.Find(t.Context(), plain, nil)
	assert.EqualError(t, err, "the control plane's program: "+plain+" is not an executable file")
	_, err = program.Find(t.Context(), filepath.Join(dir, "none"), nil)
	assert.ErrorIs(t, err, os.ErrNotExist)
	_, err = program.Find(t.Context(), dir, nil)
	assert.EqualError(t, err, "the control plane's program: "+dir+" is not an executable file")
}

func TestRunSaysWhatTheCommandSaid(t *testing.T) {
	_, err := Run(t.Context(), "", "/bin/sh", "-c", "echo no luck >&2; exit 4")
	assert.EqualError(t, err, "/bin/sh -c echo no luck >&2; exit 4: exit status 4\nno luck")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Run(ctx, "", "/bin/sh", "-c", "sleep 60")
	assert.ErrorIs(t, err, context.Canceled)
}

func TestModuleIsFoundFromTheFirstThatKnowsIt(t *testing.T) {
	elsewhere := t.TempDir()
	wd, err := os.Getwd()
	require.NoError(t, err)
	root := filepath.Join(wd, "../../../..")
	for _, from := range [][]string{{wd, elsewhere}, {elsewhere, wd}} {
		dir, err := moduleDir(t.Context(), from...)
		require.NoError(t, err)
		assert.Equal(t, root, dir)
	}
	_, err = moduleDir(t.Context(), elsewhere)
	assert.ErrorContains(t, err, "go.mod")
}
