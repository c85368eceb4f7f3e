package local

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// role makes the test program a supervisor of its own, with the Options in optionsVariable: "serve" for Create, or
// "start" for a program that starts a cluster and is then killed.
const (
	role            = "LOCAL_TEST_ROLE"
	optionsVariable = "LOCAL_TEST_OPTIONS"
)

func TestMain(m *testing.M) {
	if os.Getenv(role) != "" {
		os.Exit(play(os.Getenv(role)))
	}
	status := m.Run()
	if shared.c != nil {
		if err := shared.c.Stop(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
		_ = os.RemoveAll(shared.dir)
	}
	os.Exit(status)
}

func play(role string) int {
	var options struct{ Name, Dir, ControlPlane, Envoy string }
	if err := json.Unmarshal([]byte(os.Getenv(optionsVariable)), &options); err != nil {
		panic(err)
	}
	o := Options{Name: options.Name, Dir: options.Dir, ControlPlane: options.ControlPlane, Envoy: options.Envoy}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	switch role {
	case "serve":
		if err := Serve(ctx, o, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	case "start":
		if _, err := Start(ctx, o); err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println("ready")
		time.Sleep(time.Hour) // a program that waits for nothing at all is ended by its runtime
	}
	return 0
}

// asRole sets the environment of a child of the test that plays a part.
func asRole(role_ string, o Options) []string {
	data, err := json.Marshal(map[string]string{"Name": o.Name, "Dir": o.Dir, "ControlPlane": o.ControlPlane, "Envoy": o.Envoy})
	if err != nil {
		panic(err)
	}
	return []string{role + "=" + role_, optionsVariable + "=" + string(data)}
}

// shared is a cluster for the tests that change nothing others see.
var shared struct {
	once sync.Once
	dir  string
	c    *Cluster
	err  error
	took time.Duration
}

func sharedCluster(t *testing.T) (*Cluster, *kubernetes.Clientset) {
	t.Helper()
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "basico"); shared.err != nil { //nolint:usetesting // it outlives the test
			return
		}
		options := Options{Name: "shared", Dir: shared.dir, Progress: func(line string) { fmt.Fprintln(os.Stderr, line) }}
		if shared.err = options.findPrograms(context.Background()); shared.err != nil {
			return
		}
		begin := time.Now()
		shared.c, shared.err = Start(context.Background(), options)
		shared.took = time.Since(begin)
	})
	require.NoError(t, shared.err)
	return shared.c, clientOf(t, shared.c)
}

func clientOf(t *testing.T, c *Cluster) *kubernetes.Clientset {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	require.NoError(t, err)
	config.QPS, config.Burst = -1, -1
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	return client
}

// shortDir is a directory with a path that leaves room for a Unix socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "basico") //nolint:usetesting // short: a socket's path must fit
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// processesOf returns the command lines of running processes that name the directory, by pid.
func processesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	found := map[string]string{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(data), dir) {
			continue // it ended meanwhile, or is somebody else's
		}
		found[filepath.Base(filepath.Dir(file))] = strings.ReplaceAll(string(data), "\x00", " ")
	}
	return found
}

func requireNothingLeft(t *testing.T, o Options) {
	t.Helper()
	dir := filepath.Join(o.Dir, o.Name)
	require.Eventually(t, func() bool { return len(processesOf(t, dir)) == 0 }, 5*time.Second, 10*time.Millisecond,
		"processes are left: %v", processesOf(t, dir))
	require.NoDirExists(t, dir)
}

// programs are the options with the programs found, so that a test measures no build.
func programs(t *testing.T, o Options) Options {
	t.Helper()
	o, err := o.withDefaults()
	require.NoError(t, err)
	require.NoError(t, o.findPrograms(t.Context()))
	return o
}
