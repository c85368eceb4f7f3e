// Package test has the suites that run on a cluster, as any user of the packages would write them. They find every
// values file and environment by themselves: a new file is a new test.
//
// They share a local cluster of their own. BASICO_CLUSTER names a running one to use instead, and BASICO_KIND one of kind,
// with real kubelets, sidecars and applications (basico cluster create --kind kind). HELM, HELM4, HELMFILE, KUBECTL, ISTIOCTL, REGISTRY and CT
// (chart-testing) are the paths of those commands.
package test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gruntwork-io/terratest/modules/logger"
	"github.com/stretchr/testify/require"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/kind"
	"chartbasico/pkg/cluster/local"
	"chartbasico/pkg/render"
)

func TestMain(m *testing.M) {
	logger.Default = logger.Discard // terratest says every try of what it waits for
	status := m.Run()
	if err := stop(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// ends are what ends the clusters that the suites started or opened.
var ends []func(context.Context) error

func startOwn(name string) (*local.Cluster, error) {
	c, err := local.Start(context.Background(), local.Options{Name: fmt.Sprintf("%s-%d", name, os.Getpid()), Progress: func(line string) {
		if testing.Verbose() {
			fmt.Fprintln(os.Stderr, line)
		}
	}})
	if err == nil {
		ends = append(ends, c.Stop)
	}
	return c, err
}

var start = sync.OnceValues(func() (cluster.Cluster, error) {
	if os.Getenv("BASICO_KIND") != "" {
		return openKind()
	}
	return startLocal()
})

var openKind = sync.OnceValues(func() (*kind.Cluster, error) {
	c, err := kind.Open(context.Background(), os.Getenv("BASICO_KIND"), nil)
	if err == nil {
		ends = append(ends, func(context.Context) error { return c.Close() })
	}
	return c, err
})

var startLocal = sync.OnceValues(func() (*local.Cluster, error) {
	if name := os.Getenv("BASICO_CLUSTER"); name != "" {
		return local.Open(context.Background(), name)
	}
	return startOwn("test")
})

func stop(ctx context.Context) error {
	if built != "" {
		defer os.RemoveAll(built)
	}
	var errs []error
	for _, end := range ends {
		errs = append(errs, end(ctx))
	}
	return errors.Join(errs...)
}

// shared is the cluster of all suites, but for those that kill something. The first that needs it starts it.
func shared(t *testing.T) cluster.Cluster {
	t.Helper()
	c, err := start()
	require.NoError(t, err, "the suites need a cluster")
	return c
}

// provide gives a cluster the images that releases need, where pods are real.
func provide(t *testing.T, c cluster.Cluster, releases []*render.Release) {
	t.Helper()
	if c, ok := c.(*kind.Cluster); ok {
		require.NoError(t, c.Load(within(t, 10*time.Minute), render.Images(releases)))
	}
}

// tool is the path of a command that the scripts provide. Without it a test fails: it has tested nothing.
func tool(t *testing.T, name string) string {
	t.Helper()
	path := os.Getenv(name)
	require.NotEmptyf(t, path, "%s must be the path of that command; make test sets it", name)
	return path
}

// files lists the files that match the pattern below the repository's root, which must be some.
func files(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join("..", pattern))
	require.NoError(t, err)
	require.NotEmptyf(t, found, "no file matches %s", pattern)
	for i, f := range found {
		found[i], err = filepath.Abs(f)
		require.NoError(t, err)
	}
	return found
}

// base is the name of a file without its extension.
func base(path string) string { return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)) }

// chart is the directory of the chart.
func chart(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../charts/chart_basico")
	require.NoError(t, err)
	return dir
}

// within bounds what a test may take, so that a hang fails with what was last seen.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
