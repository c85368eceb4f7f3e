package proc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// role makes the test program play a part: a child that stands still, or the parent of one.
const role = "PROC_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "still": // until it is killed: it does not read its standard input
		standStill()
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("ready")
		standStill()
	case "reader":
		_, _ = io.Copy(io.Discard, os.Stdin)
		fmt.Println("the standard input ended")
		os.Exit(0)
	case "talker":
		for i := range 30 {
			fmt.Fprintln(os.Stderr, "line", i)
		}
		os.Exit(3)
	case "environment":
		fmt.Println(strings.Join(os.Environ(), " "))
		os.Exit(0)
	case "parent":
		p, err := NewGroup().Start(self("still", os.Getenv("PROC_TEST_LOG")))
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(p.Pid())
		standStill()
	}
}

// standStill waits until the program is killed. One that waits for nothing at all would be ended by its runtime.
func standStill() { time.Sleep(time.Hour) }

func self(as, log string) Spec {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return Spec{Name: as, Path: path, Env: []string{role + "=" + as}, Log: log}
}

func newLog(t *testing.T) string { return filepath.Join(t.TempDir(), "log") }

func await(t *testing.T, p *Process) {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(20 * time.Second):
		t.Fatalf("%s did not end", p.Name())
	}
}

func TestDeathIsReportedWithLastWords(t *testing.T) {
	g := NewGroup()
	t.Cleanup(g.Stop)
	p, err := g.Start(self("talker", newLog(t)))
	require.NoError(t, err)
	await(t, p)
	var death *Death
	require.ErrorAs(t, p.Err(), &death)
	assert.Equal(t, "talker", death.Name)
	assert.Equal(t, "exit status 3", death.How)
	lines := strings.Split(death.LastWords, "\n")
	assert.Len(t, lines, 20)
	assert.Equal(t, "line 10", lines[0])
	assert.Equal(t, "line 29", lines[19])
	assert.Contains(t, p.Err().Error(), "talker died (exit status 3); its last words:\n  line 10\n")
}

func TestDeathBySignalIsReported(t *testing.T) {
	g := NewGroup()
	t.Cleanup(g.Stop)
	p, err := g.Start(self("still", newLog(t)))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(p.Pid(), syscall.SIGKILL))
	await(t, p)
	require.EqualError(t, p.Err(), "still died (signal: killed) and wrote nothing")
}

func TestStopEndsAllAndIsNoDeath(t *testing.T) {
	g := NewGroup()
	dir := t.TempDir()
	var ps []*Process
	for i := range 3 {
		p, err := g.Start(self("still", filepath.Join(dir, strconv.Itoa(i))))
		require.NoError(t, err)
		ps = append(ps, p)
	}
	assert.Len(t, g.Processes(), 3)
	g.Stop()
	for _, p := range ps {
		require.NoError(t, p.Err())
		require.ErrorIs(t, syscall.Kill(p.Pid(), 0), syscall.ESRCH)
	}
	_, err := g.Start(self("still", filepath.Join(dir, "late")))
	require.ErrorIs(t, err, ErrStopped)
}

func TestTerminateAsksThenKills(t *testing.T) {
	g := NewGroup()
	t.Cleanup(g.Stop)
	p, err := g.Start(self("still", newLog(t)))
	require.NoError(t, err)
	p.Terminate(time.Minute)
	require.NoError(t, p.Err())
	assert.Equal(t, "signal: terminated", p.cmd.ProcessState.String())

	log := newLog(t)
	p, err = g.Start(self("stubborn", log))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		out, err := os.ReadFile(log)
		return err == nil && len(out) > 0
	}, 10*time.Second, time.Millisecond)
	p.Terminate(time.Millisecond)
	require.NoError(t, p.Err())
	assert.Equal(t, "signal: killed", p.cmd.ProcessState.String())
}

func TestEnvironmentIsNotInherited(t *testing.T) {
	t.Setenv("KUBECONFIG", "of-the-user")
	g := NewGroup()
	t.Cleanup(g.Stop)
	log := newLog(t)
	p, err := g.Start(self("environment", log))
	require.NoError(t, err)
	await(t, p)
	out, err := os.ReadFile(log)
	require.NoError(t, err)
	assert.Equal(t, role+"=environment\n", string(out))
}

func TestStandardInputLastsAsLongAsTheParent(t *testing.T) {
	g := NewGroup()
	t.Cleanup(g.Stop)
	log := newLog(t)
	p, err := g.Start(self("reader", log))
	require.NoError(t, err)
	require.NoError(t, p.lifeline.Close()) // what the kernel does when the parent dies
	await(t, p)
	out, err := os.ReadFile(log)
	require.NoError(t, err)
	assert.Equal(t, "the standard input ended\n", string(out))
}

func TestChildrenDieWithAKilledParent(t *testing.T) {
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), role+"=parent", "PROC_TEST_LOG="+newLog(t))
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	child, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err, "the parent said %q", line)
	require.NoError(t, syscall.Kill(child, 0), "the child runs")
	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait()
	require.Eventually(t, func() bool { return gone(child) }, 10*time.Second, 5*time.Millisecond)
}

// gone is also true for a process that has ended and that its new parent has not waited for.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return true
	}
	return strings.Contains(string(stat), ") Z ")
}

func TestMistakesAreErrors(t *testing.T) {
	g := NewGroup()
	t.Cleanup(g.Stop)
	_, err := g.Start(Spec{Name: "envoy", Path: "envoy", Log: newLog(t)})
	require.EqualError(t, err, `start envoy: the path of the executable must be absolute, found "envoy"`)
	_, err = g.Start(Spec{Name: "envoy", Path: "/nowhere/envoy", Log: newLog(t)})
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = g.Start(self("still", "/nowhere/log"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
