package test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/pkg/environment"
	"chartbasico/pkg/release"
	"chartbasico/pkg/render"
	"chartbasico/pkg/report"
)

// basico is the command itself, built once.
var basico = sync.OnceValues(func() (string, error) {
	var err error
	if built, err = os.MkdirTemp("", "basico"); err != nil {
		return "", err
	}
	path := filepath.Join(built, "basico")
	build := exec.Command("go", "build", "-o", path, "../cmd/basico")
	build.Stderr = os.Stderr
	return path, build.Run()
})

var built string // the directory of the command, if it was built

// ran is what came of a command line.
type ran struct {
	status int
	report report.Report
	out    string
	err    string
}

// onShared runs a verb of basico on the shared cluster, with its result as JSON.
func onShared(t *testing.T, verb string, args ...string) ran {
	t.Helper()
	return begin(t, verb, args...).wait()
}

// process is a command that runs.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	out strings.Builder

	mu   sync.Mutex
	said strings.Builder
	more chan struct{} // told when something more was said
	done chan struct{}
}

// Write is what the command says on standard error.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case p.more <- struct{}{}:
	default:
	}
	return p.said.Write(b)
}

func (p *process) words() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

func begin(t *testing.T, verb string, args ...string) *process {
	t.Helper()
	return startBasico(t, append([]string{verb, "--on", shared(t).Kind(), "--cluster", shared(t).Name(), "-o", "json"}, args...)...)
}

// startBasico starts a command line with JSON as its result.
func startBasico(t *testing.T, args ...string) *process {
	t.Helper()
	path, err := basico()
	require.NoError(t, err)
	p := &process{t: t, more: make(chan struct{}, 1), done: make(chan struct{})}
	p.cmd = exec.CommandContext(within(t, 5*time.Minute), path, args...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, p
	require.NoError(t, p.cmd.Start())
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	return p
}

// waitFor waits until the command has said something.
func (p *process) waitFor(words string) {
	p.t.Helper()
	for !strings.Contains(p.words(), words) {
		select {
		case <-p.more:
		case <-p.done:
			require.Containsf(p.t, p.words(), words, "it ended: %s", p.out.String())
		}
	}
}

func (p *process) wait() ran {
	p.t.Helper()
	<-p.done
	r := ran{status: p.cmd.ProcessState.ExitCode(), out: p.out.String(), err: p.words()}
	if r.out != "" {
		require.NoError(p.t, json.Unmarshal([]byte(r.out), &r.report), r.out)
	}
	return r
}

// installed installs the environment, and uninstalls it after the test.
func installed(t *testing.T, file string) *environment.Environment {
	t.Helper()
	env := load(t, file)
	rendered, err := renderer.Environment(t.Context(), env)
	require.NoError(t, err)
	install(within(t, time.Minute), t, rendered)
	return env
}

// install installs releases on the shared cluster, and uninstalls them after the test.
func install(ctx context.Context, t *testing.T, rendered []*render.Release) {
	t.Helper()
	installer, err := release.New(ctx, shared(t).Kubeconfig(), release.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { uninstallQuietly(t, rendered) })
	require.NoError(t, installer.Install(ctx, rendered))
}

// The split of a live route is measured as the cluster has it, and a wrong one is found after few requests.
func TestTraffic(t *testing.T) {
	file := patient(t, "traffic", change{"cart-routing.yaml", "stage: v1", "stage: canary"})
	installed(t, file)
	require.NoError(t, arrives(within(t, time.Minute), shared(t), "traffic", "front", `"weight":10`))

	r := onShared(t, "traffic", file, "cart", "--within", "5")
	assert.Equal(t, 0, r.status, r.err)
	require.Len(t, r.report.Splits, 2, "from the gateway and from front/v1")
	for _, s := range r.report.Splits {
		assert.Equal(t, "canary", s.Stage)
		assert.True(t, s.Pass, s.Why)
		assert.Less(t, s.Requests, 10_000, "it knows before")
		assert.InDelta(t, 10, 100*float64(s.Got["v2"])/float64(s.Requests), 5)
	}

	// Changed by hand, the route is at no stage, and is measured as it is; against the stage, it is wrong.
	require.NoError(t, patch(t.Context(), shared(t).Kubeconfig(), "virtualservices", "traffic", "cart",
		`[{"op":"replace","path":"/spec/http/0/route/0/weight","value":70},{"op":"replace","path":"/spec/http/0/route/1/weight","value":30}]`))
	require.NoError(t, arrives(within(t, time.Minute), shared(t), "traffic", "front", `"weight":30`))
	r = onShared(t, "traffic", file, "cart", "--within", "5", "--from", "front/v1")
	assert.Equal(t, 0, r.status, r.err)
	assert.Equal(t, map[string]int{"v1": 70, "v2": 30}, r.report.Splits[0].Want)
	r = onShared(t, "traffic", file, "cart", "--stage", "canary", "--from", "front/v1")
	assert.Equal(t, 1, r.status, r.err)
	assert.Less(t, r.report.Splits[0].Requests, 2000, "a wrong split needs no more to be seen")

	r = onShared(t, "traffic", file, "carts")
	assert.Equal(t, 2, r.status)
	assert.Contains(t, r.err, "did you mean cart?")
	r = onShared(t, "traffic", file, "cart", "--stage", "canari")
	assert.Contains(t, r.err, "did you mean canary?")
}

// Interrupted, it shows what it has measured.
func TestTrafficInterrupted(t *testing.T) {
	file := patient(t, "traffic-stop")
	installed(t, file)
	p := begin(t, "traffic", file, "cart", "--within", "0", "--pace", "500", "--requests", "1000000")
	p.waitFor("500 requests")
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	r := p.wait()
	assert.Equal(t, 2, r.status)
	require.Len(t, r.report.Splits, 1)
	assert.Positive(t, r.report.Splits[0].Requests)
	assert.Len(t, r.report.Problems, 1)
}

// A verification that is interrupted at a later stage takes the app back to the one that its values name: a cluster that
// others use goes on with it.
func TestVerifyInterrupted(t *testing.T) {
	file := patient(t, "verify-interrupted")
	installed(t, file)
	p := begin(t, "verify", file, "--requests", "1000")
	p.waitFor("cart canary from front/v1")
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	r := p.wait()
	assert.Equalf(t, 2, r.status, "%s%s", r.err, r.out)
	assert.Contains(t, r.err, "cart is back at stage v1")
	measured := onShared(t, "traffic", file, "cart", "--stage", "v1", "--requests", "500")
	assert.Equalf(t, 0, measured.status, "%s%s", measured.err, measured.out)
}
