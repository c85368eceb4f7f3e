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
	status, _, errOut := with(t, "promote", "x.yaml", "reviews", "--requests", "0", "--pace", "0", "--slower", "0.5", "-o", "xml")
	assert.Equal(t, exitCouldNot, status)
	assert.Equal(t, `basico: --requests: found 0, expected 1 or more
--output: found "xml", expected text or json
--pace: found 0, expected more: latencies are not compared under all the load that the cluster can bear
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
	f := promoteFlags{liveFlags: liveFlags{cluster: "mine", requests: 500, rate: 1e-6, pace: 500}, to: "canary", slower: 2, write: true}
	assert.Equal(t, "basico promote e.yaml reviews --cluster mine --requests 500 --to canary --slower 2 --write", f.command("e.yaml", "reviews"))
}
