package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/internal/git/gittest"
)

func TestPackage(t *testing.T) {
	r := gittest.New(t)
	t.Chdir(r.Dir)
	got := verb(t, newPackageCommand)
	require.Zero(t, got.status, got.err)
	assert.Regexp(t, `^dist/chart_basico-1\.0\.0\.tgz  sha256:[0-9a-f]{64}\n$`, got.out)
	assert.FileExists(t, "dist/chart_basico-1.0.0.tgz")

	r.Chart("1.1.0")
	r.Commit("next")
	assert.Contains(t, verb(t, newPackageCommand, "charts/chart_basico/", "--revision", "HEAD~1", "-d", "old").out, "old/chart_basico-1.0.0.tgz")
	assert.Contains(t, verb(t, newPackageCommand).out, "dist/chart_basico-1.1.0.tgz")

	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"two charts":     {[]string{"a", "b"}, "found 2 arguments, expected one chart at most"},
		"no chart":       {[]string{"charts/none"}, "charts/none: nothing of it is in commit"},
		"no revision":    {[]string{"--revision", "none"}, `git knows no revision "none"`},
		"no key":         {[]string{"--key", "none.asc"}, "open none.asc: no such file"},
		"without key":    {[]string{"--key-name", "x"}, "found without --key"},
		"outside a tree": {[]string{"../other"}, "outside"},
	} {
		t.Run(name, func(t *testing.T) {
			got := verb(t, newPackageCommand, c.args...)
			assert.Equal(t, exitCouldNot, got.status)
			assert.Contains(t, got.err, c.want)
		})
	}
}

func TestPublishToIndex(t *testing.T) {
	r, pages := gittest.New(t), t.TempDir()
	t.Chdir(r.Dir)
	index, out := filepath.Join(pages, "index.yaml"), filepath.Join(pages, "out")
	args := []string{"--index", index, "--url", "https://example.com", "-d", out}
	got := verb(t, newPublishCommand, append(args, "--dry-run")...)
	require.Zero(t, got.status, got.err)
	assert.Contains(t, got.out, "nothing speaks against it; nothing published, as --dry-run asks")
	assert.NoFileExists(t, index)

	got = verb(t, newPublishCommand, append(args, "-o", "json")...)
	require.Zero(t, got.status, got.err)
	var parsed published
	require.NoError(t, json.Unmarshal([]byte(got.out), &parsed))
	assert.True(t, parsed.Published)
	assert.FileExists(t, parsed.Archive)
	assert.Contains(t, parsed.Gate, "no release yet")
	before, err := os.ReadFile(index)
	require.NoError(t, err)

	r.Write("new.txt", "x")
	got = verb(t, newPublishCommand, args...)
	assert.Equal(t, exitFellShort, got.status)
	assert.Contains(t, got.out, "refused: the tree is not what is committed: ?? new.txt. Fix: commit it, or remove it\nrefused: "+index+" has chart_basico 1.0.0 already.")
	assert.Contains(t, got.out, "chart_basico 1.0.0: nothing published\n")
	after, err := os.ReadFile(index)
	require.NoError(t, err)
	assert.Equal(t, before, after)
}

func TestPublishThatCannotRun(t *testing.T) {
	r := gittest.New(t)
	t.Chdir(r.Dir)
	r.Write("password", "x")
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"nowhere":     {nil, "nowhere to publish to: give --to, --index, or both"},
		"no scheme":   {[]string{"--to", "example.com/charts"}, `--to: found "example.com/charts", expected oci://HOST/PATH`},
		"no url":      {[]string{"--index", "index.yaml"}, "--index and --url: found one"},
		"two secrets": {[]string{"--to", "oci://h/p", "--key", "k", "--passphrase-file", "-", "--username", "u", "--password-file", "-"}, "standard input holds one secret, not two"},
		"unreachable": {[]string{"--to", "oci://127.0.0.1:1/charts", "--username", "u", "--password-file", "password"}, "look up 127.0.0.1:1/charts/chart_basico:1.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			got := verb(t, newPublishCommand, c.args...)
			assert.Equal(t, exitCouldNot, got.status)
			assert.Contains(t, got.err, c.want)
		})
	}
}
