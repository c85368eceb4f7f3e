package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPromoteSaysAllThatIsWrongWithItsFlags(t *testing.T) {
	status, _, errOut := with(t, "promote", "x.yaml", "reviews", "--on", "moon", "--context", "c", "--requests", "-1", "--pace=-1", "--slower", "0.5", "-o", "xml")
	assert.Equal(t, exitCouldNot, status)
	assert.Equal(t, `basico: --on: found "moon", expected local or kind
--context names a cluster that runs, so --on and --cluster have nothing to say beside it
--requests: found -1, expected 1 or more, or 0 for the default
--pace: found -1, expected 0 to 1e6
--output: found "xml", expected text or json
--slower: found 0.5, expected 1 to 1000
`, errOut)
}

// What cannot be written is said before anything is looked for on a cluster.
func TestPromoteKnowsBeforeWhetherItCanWrite(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	prod, err := filepath.Abs("../../environments")
	require.NoError(t, err)
	content, err := os.ReadFile(filepath.Join(prod, "bookinfo-prod.yaml"))
	require.NoError(t, err)
	text := strings.ReplaceAll(string(content), "../", filepath.Dir(prod)+"/")
	text = strings.Replace(text, "reviews-routing-prod.yaml\n", "reviews-routing-prod.yaml\n      - routing:\n          stage: canary\n", 1)
	file := filepath.Join(t.TempDir(), "env.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	status, _, errOut := with(t, "promote", file, "reviews", "--write", "--cluster", "nowhere")
	assert.Equal(t, exitCouldNot, status)
	assert.Contains(t, errOut, "routing.stage is set in the environment file itself")
	status, _, errOut = with(t, "promote", file, "reviews", "--cluster", "nowhere")
	assert.Equal(t, exitCouldNot, status)
	assert.Contains(t, errOut, "basico cluster create --name nowhere")
}

func TestPromoteCommandRepeatsItself(t *testing.T) {
	for want, f := range map[string]promoteFlags{
		"basico promote e.yaml reviews": {liveFlags: liveFlags{targetFlags: targetFlags{on: "local"}, rate: 1e-6}, slower: 1.5},
		"basico promote e.yaml reviews --cluster mine --requests 500 --pace 100 --to canary --slower 2 --write": {
			liveFlags: liveFlags{targetFlags: targetFlags{on: "local", cluster: "mine"}, requests: 500, rate: 1e-6, pace: 100}, to: "canary", slower: 2, write: true},
		"basico promote e.yaml reviews --on kind --cluster mine": {
			liveFlags: liveFlags{targetFlags: targetFlags{on: "kind", cluster: "mine"}, rate: 1e-6}, slower: 1.5},
		"basico promote e.yaml reviews --context 'a b' --rate 0.001": {
			liveFlags: liveFlags{targetFlags: targetFlags{on: "local", context: "a b"}, rate: 1e-3}, slower: 1.5},
	} {
		assert.Equal(t, want, f.command("e.yaml", "reviews"))
	}
}
