package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/internal/git/gittest"
)

func TestDiff(t *testing.T) {
	r := gittest.New(t)
	t.Chdir(r.Dir)
	got := verb(t, newDiffCommand, "HEAD", ".")
	assert.Equal(t, exitHeld, got.status, got.err)
	assert.Contains(t, got.out, "HEAD → .: 1 environment, 3 releases, 3 objects compared\nversion: held: since HEAD: nothing changed\n")

	r.Chart("1.0.1")
	r.Write("charts/chart_basico/templates/all.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Values.app }}-x\n")
	got = verb(t, newDiffCommand, "HEAD", ".")
	assert.Equal(t, exitFellShort, got.status, got.err)
	assert.Contains(t, got.out, "in ConfigMap/default/full, ConfigMap/default/alone, ConfigMap/default/one\n")
	assert.Contains(t, got.out, "1.0.1 after 1.0.0 is too small: it must be 2.0.0 or higher")

	got = verb(t, newDiffCommand, "HEAD", ".", "--since-release")
	assert.Equal(t, exitHeld, got.status, "there is no release to judge by: "+got.out)
	assert.Contains(t, got.out, "no release yet")

	got = verb(t, newDiffCommand, "HEAD", ".", "-o", "json")
	assert.Equal(t, exitFellShort, got.status)
	var parsed struct {
		Chart []struct{ Rule, Level, Object string }
		Gate  struct{ Pass bool }
	}
	require.NoError(t, json.Unmarshal([]byte(got.out), &parsed))
	assert.Equal(t, struct{ Rule, Level, Object string }{"object-renamed", "major", "ConfigMap/default/full"}, parsed.Chart[0])

	got = verb(t, newDiffCommand, "HEAD", ".", "-o", "markdown")
	assert.Contains(t, got.out, "### Rendered difference: chart major, values none\n")
}

func TestDiffThatCannotRun(t *testing.T) {
	r := gittest.New(t)
	t.Chdir(r.Dir)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"one side": {[]string{"HEAD"}, "found 1 argument, expected OLD and NEW"},
		"output":   {[]string{"HEAD", ".", "-o", "xml"}, `--output: found "xml"`},
		"revision": {[]string{"nothing", "."}, `nothing: neither a file nor a directory, and git knows no revision "nothing"`},
		"password": {[]string{"HEAD", ".", "--username", "u"}, "--username and --password-file: found one"},
	} {
		t.Run(name, func(t *testing.T) {
			got := verb(t, newDiffCommand, c.args...)
			assert.Equal(t, exitCouldNot, got.status)
			assert.Contains(t, got.err, c.want)
		})
	}
}
