package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
	status, _, errOut := with(t, "traffic", "x.yaml", "reviews", "--requests", "0", "--rate", "2", "--pace=-1", "--within", "101", "-o", "xml")
	assert.Equal(t, exitCouldNot, status)
	assert.Equal(t, `basico: --requests: found 0, expected 1 or more
--rate: found 2, expected more than 0 and less than 1
--pace: found -1, expected 0 to 1e6
--output: found "xml", expected text or json
--within: found 101, expected 0 to 100
`, errOut)
}

func TestTrafficWithoutSuchACluster(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	status, _, errOut := with(t, "traffic", "../../environments/bookinfo-prod.yaml", "reviews", "--cluster", "nowhere")
	assert.Equal(t, exitCouldNot, status)
	assert.Contains(t, errOut, "basico cluster create --name nowhere")
}

func TestFrom(t *testing.T) {
	origins := []rollout.Origin{{Name: "ingress gateway"}, {Name: "front/v1"}}
	for name, want := range map[string][]rollout.Origin{"all": origins, "gateway": origins[:1], "ingress gateway": origins[:1], "front/v1": origins[1:]} {
		got, err := from(origins, name)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	_, err := from(origins, "front")
	assert.EqualError(t, err, `--from: found "front", expected all, gateway, front/v1`)
}
