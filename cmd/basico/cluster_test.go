package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/internal/owncache"
	"chartbasico/pkg/cluster/local"
)

// asProgram makes the test program the command itself, as which create starts it again.
const asProgram = "BASICO_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

type result struct {
	status   int
	out, err string
}

// basico runs the command line in this process.
func basico(t *testing.T, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	status := run(t.Context(), args, streams{in: strings.NewReader(""), out: &out, err: &errs})
	return result{status: status, out: out.String(), err: errs.String()}
}

// ownClusters gives the test a directory of clusters of its own, with the programs found before it is.
func ownClusters(t *testing.T) {
	t.Helper()
	for name, value := range owncache.Env(t) {
		t.Setenv(name, value)
	}
	t.Setenv(asProgram, "1")
	t.Cleanup(func() {
		clusters, err := local.List(context.Background())
		assert.NoError(t, err)
		for _, c := range clusters {
			_, err := local.Delete(context.Background(), c.Name)
			assert.NoError(t, err)
		}
	})
}

func TestClusterFromCreateToDelete(t *testing.T) {
	ownClusters(t)

	r := basico(t, "cluster", "create", "--name", "mine")
	require.Equal(t, exitHeld, r.status, r.err)
	assert.Contains(t, r.err, "ingress gateway ready")
	kubeconfig, ok := strings.CutPrefix(strings.TrimSpace(r.out), "export KUBECONFIG=")
	require.True(t, ok, r.out)
	assert.FileExists(t, kubeconfig)

	r = basico(t, "cluster", "create", "--name", "mine", "-o", "json")
	require.Equal(t, exitHeld, r.status, r.err)
	assert.Contains(t, r.err, "cluster mine runs already, since ")
	var status local.Status
	require.NoError(t, json.Unmarshal([]byte(r.out), &status))
	assert.Equal(t, kubeconfig, status.Kubeconfig)

	r = basico(t, "cluster", "status")
	assert.Equal(t, exitHeld, r.status, r.err)
	assert.Regexp(t, `(?m)^mine +running `, r.out)
	r = basico(t, "cluster", "status", "--name", "mine")
	assert.Equal(t, exitHeld, r.status, r.err)
	assert.Regexp(t, `(?m)^kube-apiserver +\d+ +\d+ MB$`, r.out)

	for _, verb := range [][]string{{"verify", "../../environments/apps.yaml"}, {"traffic", "../../environments/bookinfo-prod.yaml", "reviews"}} {
		r = basico(t, append(verb, "--on", "kind", "--cluster", "mine")...)
		assert.Equal(t, exitCouldNot, r.status)
		assert.Contains(t, r.err, "cluster mine is a local one: leave out --on kind")
	}

	for _, p := range status.Processes {
		if p.Name == "kube-scheduler" {
			require.NoError(t, syscall.Kill(p.Pid, syscall.SIGKILL))
		}
	}
	c, err := local.Open(t.Context(), "mine")
	require.NoError(t, err)
	require.Error(t, <-c.Failed())
	r = basico(t, "cluster", "status")
	assert.Equal(t, exitFellShort, r.status)
	assert.Contains(t, r.out, "mine has failed: kube-scheduler died (signal: killed)")
	r = basico(t, "cluster", "create", "--name", "mine")
	assert.Equal(t, exitCouldNot, r.status)
	assert.Contains(t, r.err, "basico: cluster mine runs, but has failed; delete it and create it again: kube-scheduler died")

	r = basico(t, "cluster", "delete", "--name", "mine")
	assert.Equal(t, exitHeld, r.status, r.err)
	assert.Equal(t, "cluster mine is deleted\n", r.err)
	assert.NoDirExists(t, filepath.Dir(kubeconfig))
}

func TestClustersThatAreNotThere(t *testing.T) {
	ownClusters(t)
	r := basico(t, "cluster", "delete")
	assert.Equal(t, result{status: exitHeld, err: "there is no cluster basico\n"}, r)
	r = basico(t, "cluster", "status")
	assert.Equal(t, result{status: exitHeld, out: "no local cluster runs\n"}, r)
	r = basico(t, "cluster", "status", "-o", "json")
	assert.Equal(t, exitHeld, r.status)
	assert.JSONEq(t, `{"clusters": []}`, r.out)
	r = basico(t, "cluster", "status", "--name", "mine")
	assert.Equal(t, result{status: exitFellShort, out: "no local cluster runs\n", err: "basico: cluster mine: it is not running\n"}, r)
}

func TestClusterMistakesAreToldBeforeAnythingStarts(t *testing.T) {
	ownClusters(t)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"create", "--name", "No"}, `basico: the name of a cluster must be lower-case letters, digits and inner dashes, at most 40, found "No"`},
		{[]string{"create", "-o", "yaml"}, `basico: --output: found "yaml", expected text or json`},
		{[]string{"status", "-o", "yaml"}, `basico: --output: found "yaml", expected text or json`},
		{[]string{"create", "--envoy", "/nowhere/envoy"}, "basico: use Envoy at /nowhere/envoy: "},
		{[]string{"delete", "all"}, `basico: unknown command "all" for "basico cluster delete"`},
	} {
		r := basico(t, append([]string{"cluster"}, test.args...)...)
		assert.Equal(t, exitCouldNot, r.status, test.args)
		assert.Contains(t, r.err, test.want)
		assert.Empty(t, r.out)
	}
}

func TestQuoteKeepsAWordOneWord(t *testing.T) {
	for _, word := range []string{"/plain/path-1.x", "", "with space", "it's", "$HOME", "a\nb"} {
		out, err := exec.CommandContext(t.Context(), "/bin/sh", "-c", "printf %s "+quote(word)).Output()
		require.NoError(t, err)
		assert.Equal(t, word, string(out))
	}
	assert.Equal(t, "/plain/path-1.x", quote("/plain/path-1.x"))
}
