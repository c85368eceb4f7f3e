package test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/rollout"
	"chartbasico/pkg/verify"
)

// operator is how somebody who has only the files of an environment and a command changes a cluster.
type operator interface {
	// apply installs or upgrades releases, and waits until they are ready.
	apply(t *testing.T, releases ...environment.Release)
	// back takes a release back to its revision before.
	back(t *testing.T, r environment.Release)
	remove(t *testing.T, releases ...environment.Release)
}

// Under a steady flow of requests every release but the sender's is upgraded, the stages are gone through and back, a
// version goes and comes again, and one is rolled back: with each command that people use for it, and without one lost
// request. In the end nothing is left.
func TestHelmUnderLoad(t *testing.T) {
	c := shared(t)
	for name, by := range map[string]func(file string) operator{
		"helm-3":   func(string) operator { return helmCommand("HELM") },
		"helm-4":   func(string) operator { return helmCommand("HELM4") },
		"helmfile": func(file string) operator { return helmfileCommand{"HELM", file} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they mostly wait
			ctx := within(t, 10*time.Minute)
			file := copied(t, "store", "load-"+name)
			env := load(t, file)
			rendered, err := renderer.Environment(ctx, env)
			require.NoError(t, err)
			provide(t, c, rendered)
			of := func(name string) environment.Release { return releaseOf(t, env, name) }
			operator := by(file)
			t.Cleanup(func() { uninstallQuietly(t, rendered) }) // what a failure left

			operator.apply(t, env.Releases...)
			running, err := verify.Look(ctx, c, env, renderer, 0)
			require.NoError(t, err)
			web, err := running.App("web")
			require.NoError(t, err)
			origins, _, err := running.Origins(ctx, web)
			require.NoError(t, err)
			arrived := func(r environment.Release) {
				rendered, err := renderer.Release(ctx, r)
				require.NoError(t, err)
				require.NoError(t, running.Arrive(ctx, web, rendered, origins))
			}
			arrived(of("web-routing"))
			flow := steadily(ctx, c, origins)
			t.Cleanup(func() { _, _ = flow.Stop() })

			for i, stage := range []string{"half", "v2", "half", "v1"} {
				before := []string{"v1", "half", "v2", "half"}[i]
				edit(t, of("web-routing"), "stage: "+before, "stage: "+stage)
				operator.apply(t, of("web-routing"))
				arrived(of("web-routing"))
			}
			// The version that gets nothing goes, and comes back.
			operator.remove(t, of("web-v2"))
			operator.apply(t, of("web-v2"))
			// The one that gets everything starts again, and again.
			edit(t, of("web-v1"), `DELAY: "0"`, `DELAY: "0.01"`)
			operator.apply(t, of("web-v1"))
			operator.back(t, of("web-v1"))
			// All else.
			edit(t, of("web"), "service:\n", "service:\n  annotations:\n    example.com/changed: \"yes\"\n")
			var others []environment.Release
			for _, name := range []string{"web", "vault-v1", "beacon-v1", "setup-v1", "sweep-v1", "egress"} {
				others = append(others, of(name))
			}
			operator.apply(t, others...)

			flows, err := flow.Stop()
			require.NoError(t, err)
			require.Len(t, flows, 2)
			for _, f := range flows {
				assert.Zerof(t, f.Tally.Errors, "lost from %s: %v", f.Origin.Name, f.Tally.Failures)
				assert.Greaterf(t, f.Tally.Requests, 200, "from %s", f.Origin.Name)
				t.Logf("%s: %d requests in %v, none lost", f.Origin.Name, f.Tally.Requests, f.Tally.Elapsed.Round(time.Second))
			}
			slices.Reverse(env.Releases)
			operator.remove(t, env.Releases...)
			assert.Empty(t, leftovers(t, c.Kubeconfig(), rendered), "left after uninstall")
		})
	}
}

// releaseOf is the release of that name.
func releaseOf(t *testing.T, env *environment.Environment, name string) environment.Release {
	t.Helper()
	i := slices.IndexFunc(env.Releases, func(r environment.Release) bool { return r.Name == name })
	require.GreaterOrEqual(t, i, 0, name)
	return env.Releases[i]
}

// steadily starts a flow of which every good answer counts, also of pods that nobody knows now.
func steadily(ctx context.Context, c cluster.Cluster, origins []rollout.Origin) *rollout.Steady {
	origins = slices.Clone(origins)
	for i := range origins {
		origins[i].Load.App, origins[i].Load.Pods = "", nil
	}
	return rollout.StartSteady(ctx, c, origins, 0)
}

// edit replaces text in a release's own values file, its last.
func edit(t *testing.T, r environment.Release, old, text string) {
	t.Helper()
	file := r.ValuesFiles[len(r.ValuesFiles)-1]
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Containsf(t, string(raw), old, "%s has nothing to change", file)
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(raw), old, text, 1)), 0o600))
}

// helmCommand is one of the versions of helm, by the name of its tool.
type helmCommand string

func (h helmCommand) run(t *testing.T, args ...string) {
	t.Helper()
	out, err := command(t, string(h), args...)
	require.NoErrorf(t, err, "%s %s\n%s", h, strings.Join(args, " "), out)
}

func (h helmCommand) apply(t *testing.T, releases ...environment.Release) {
	t.Helper()
	for _, r := range releases {
		h.run(t, "upgrade", "--install", r.Name, r.Chart, "--namespace", r.Namespace, "--values", strings.Join(r.ValuesFiles, ","), "--wait", "--timeout", "5m")
	}
}

func (h helmCommand) back(t *testing.T, r environment.Release) {
	t.Helper()
	h.run(t, "rollback", r.Name, "--namespace", r.Namespace, "--wait", "--timeout", "5m")
}

func (h helmCommand) remove(t *testing.T, releases ...environment.Release) {
	t.Helper()
	for _, r := range releases {
		h.run(t, "uninstall", r.Name, "--namespace", r.Namespace, "--wait", "--timeout", "5m")
	}
}

// helmfileCommand is helmfile on the environment's file, and helm for what helmfile cannot do.
type helmfileCommand struct {
	helmCommand

	file string
}

func (h helmfileCommand) on(t *testing.T, releases []environment.Release, args ...string) {
	t.Helper()
	all := []string{"--file", h.file, "--helm-binary", tool(t, string(h.helmCommand))}
	for _, r := range releases {
		all = append(all, "--selector", "name="+r.Name)
	}
	helmCommand("HELMFILE").run(t, append(all, args...)...)
}

func (h helmfileCommand) apply(t *testing.T, releases ...environment.Release) {
	t.Helper()
	h.on(t, releases, "sync", "--skip-deps", "--skip-needs", "--wait")
}

func (h helmfileCommand) remove(t *testing.T, releases ...environment.Release) {
	t.Helper()
	h.on(t, releases, "destroy", "--skip-deps", "--deleteWait")
}
