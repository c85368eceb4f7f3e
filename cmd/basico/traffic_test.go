package main

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/pkg/report"
	"chartbasico/pkg/rollout"
)

// with runs a command line in process and returns its exit status and what it printed.
func with(t *testing.T, args ...string) (status int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	status = run(t.Context(), args, streams{in: &bytes.Buffer{}, out: &o, err: &e})
	return status, o.String(), e.String()
}

func TestTrafficSaysAllThatIsWrongWithItsFlags(t *testing.T) {
	status, _, errOut := with(t, "traffic", "x.yaml", "reviews", "--requests", "-1", "--rate", "2", "--pace=-1", "--within", "101", "-o", "xml")
	assert.Equal(t, exitCouldNot, status)
	assert.Equal(t, `basico: --requests: found -1, expected 1 or more, or 0 for the default
--rate: found 2, expected more than 0 and less than 1
--pace: found -1, expected 0 to 1e6
--output: found "xml", expected text or json
--within: found 101, expected 0 to 100
`, errOut)
}

// A cluster that does not run is said to be so by every verb that needs one, with the way to start it.
func TestWithoutSuchACluster(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	const env = "../../environments/bookinfo-prod.yaml"
	for _, verb := range [][]string{{"verify", env}, {"traffic", env, "reviews"}, {"promote", env, "reviews"}} {
		for flags, says := range map[string]string{
			"--cluster nowhere":           "cluster nowhere: it is not running; start it with: basico cluster create --name nowhere",
			"--on kind --cluster nowhere": "cluster nowhere: it is not running; start it with: basico cluster create --kind kind --name nowhere",
			"--context nowhere":           `kubeconfig: context "nowhere" does not exist`,
		} {
			status, _, errOut := with(t, append(verb, strings.Fields(flags)...)...)
			assert.Equal(t, exitCouldNot, status)
			assert.Contains(t, errOut, says, "%s %s", verb[0], flags)
		}
	}
	for _, verb := range []string{"traffic", "promote"} {
		for flag, says := range map[string]string{"--on=local": "basico cluster create --name basico", "--on=kind": "basico cluster create --kind kind --name basico"} {
			_, _, errOut := with(t, verb, env, "reviews", flag)
			assert.Contains(t, errOut, says, verb)
		}
	}
}

func TestTrafficCommandRepeatsItself(t *testing.T) {
	f := trafficFlags{liveFlags: liveFlags{targetFlags: targetFlags{on: "kind"}, requests: 50, rate: 1e-6, pace: 10}, from: "gateway", stage: "half", points: 5}
	assert.Equal(t, "basico traffic e.yaml reviews --on kind --requests 50 --pace 10 --from gateway --stage half --within 5", f.command("e.yaml", "reviews"))
	f = trafficFlags{liveFlags: liveFlags{targetFlags: targetFlags{on: "local", context: "staging"}, rate: 1e-6}, from: "all", points: 2}
	assert.Equal(t, "basico traffic e.yaml reviews --context staging", f.command("e.yaml", "reviews"))
}

// What a verb has to say of its run goes before what closing its cluster did.
func TestClosed(t *testing.T) {
	run, closing := errors.New("the run"), errors.New("the pod stays")
	assert.NoError(t, closed(nil, nil))
	assert.ErrorIs(t, closed(fellShort(), nil), fellShort())
	assert.EqualError(t, closed(run, closing), "the run\nthe pod stays")
	assert.EqualError(t, closed(fellShort(), closing), "the pod stays")
	assert.EqualError(t, closed(nil, closing), "the pod stays")
}

func TestFrom(t *testing.T) {
	origins := []rollout.Origin{{Name: "ingress gateway"}, {Name: "front/v1"}}
	for name, want := range map[string][]rollout.Origin{"all": origins, "gateway": origins[:1], "ingress gateway": origins[:1], "front/v1": origins[1:]} {
		got, err := from(origins, nil, name)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	_, err := from(origins, nil, "front")
	assert.EqualError(t, err, `--from: found "front", expected all, gateway, front/v1`)
	left := []report.NotRun{{What: "requests to cart from the ingress gateway", Reason: "no answer names a pod of it"}}
	_, err = from(origins[1:], left, "gateway")
	assert.EqualError(t, err, `--from: found "gateway", expected all, front/v1; not run: requests to cart from the ingress gateway: no answer names a pod of it`)
}
