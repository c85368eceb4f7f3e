package test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/pkg/check"
	"chartbasico/pkg/cluster"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/problem"
	"chartbasico/pkg/release"
	"chartbasico/pkg/render"
	"chartbasico/pkg/report"
	"chartbasico/pkg/verify"
)

var renderer = render.New()

// requests is enough to tell 10% from 12%, and quick: the command sends 10,000 to stand-ins. To real applications it
// sends what the command does.
func requests(c cluster.Cluster) int {
	if c.StandIns() {
		return 4000
	}
	return 0
}

// Every environment holds: its files, on a cluster.
func TestEnvironments(t *testing.T) {
	for _, file := range files(t, "environments/*.yaml") {
		t.Run(base(file), func(t *testing.T) {
			ctx := within(t, 10*time.Minute)
			env, err := environment.Load(file)
			require.NoError(t, err)
			rendered, err := renderer.Environment(ctx, env)
			require.NoError(t, err)
			assert.Empty(t, problems(t, env, rendered))

			rep := run(t, shared(t), env, rendered, verify.Options{Requests: requests(shared(t))})
			assertHeld(t, rep)
			apps, err := verify.Apps(rendered)
			require.NoError(t, err)
			for _, app := range apps {
				for _, stage := range app.Stages {
					assert.NotEmptyf(t, splitsOf(rep, app.Name, stage.Name), "%s was not measured at stage %s", app.Name, stage.Name)
				}
			}
			uninstall(t, rendered)
		})
	}
}

// problems returns the errors that check finds in an environment.
func problems(t *testing.T, env *environment.Environment, rendered []*render.Release) []problem.Problem {
	t.Helper()
	checker, err := check.New()
	require.NoError(t, err)
	var errors []problem.Problem
	for _, p := range checker.Environment(t.Context(), env, rendered) {
		if p.Severity == problem.Error {
			errors = append(errors, p)
		}
	}
	return errors
}

// run verifies an environment on a cluster.
func run(t *testing.T, c cluster.Cluster, env *environment.Environment, rendered []*render.Release, opts verify.Options) *report.Report {
	t.Helper()
	provide(t, c, rendered)
	opts.Renderer = renderer
	rep, err := verify.Run(within(t, 10*time.Minute), c, env, opts)
	require.NoError(t, err, text(t, rep))
	return rep
}

func assertHeld(t *testing.T, rep *report.Report) {
	t.Helper()
	assert.Truef(t, rep.Held(), "it did not hold:\n%s", text(t, rep))
}

func text(t *testing.T, rep *report.Report) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, rep.Text(&b, report.TextOptions{}))
	return b.String()
}

func splitsOf(rep *report.Report, app, stage string) []report.Split {
	var splits []report.Split
	for _, s := range rep.Splits {
		if s.App == app && s.Stage == stage {
			splits = append(splits, s)
		}
	}
	return splits
}

// uninstall removes the releases and sees that nothing is left of them but what should stay.
func uninstall(t *testing.T, rendered []*render.Release) {
	t.Helper()
	ctx := within(t, 3*time.Minute)
	installer, err := release.New(ctx, shared(t).Kubeconfig(), release.Options{})
	require.NoError(t, err)
	require.NoError(t, installer.Uninstall(ctx, rendered))
	left := leftovers(t, shared(t).Kubeconfig(), rendered)
	assert.Emptyf(t, left, "left after uninstall")
}
