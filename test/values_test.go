package test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	terratest "github.com/gruntwork-io/terratest/modules/helm"
	"github.com/gruntwork-io/terratest/modules/k8s"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"chartbasico/pkg/environment"
	"chartbasico/pkg/release"
	"chartbasico/pkg/render"
)

// Every values file installs with the helm command, gets ready, has endpoints behind its Service, and leaves nothing:
// after what its environment says that it needs, or alone if no environment has it; on the shared cluster, or on the one
// that serves all kinds if it has one that the shared one does not serve.
func TestValuesWithHelm(t *testing.T) {
	usePATH(t, "HELM", "helm")
	used := map[string]bool{}
	for _, file := range files(t, "environments/*.yaml") {
		env := load(t, file)
		t.Run(base(file), func(t *testing.T) { installAll(t, env.Releases, used) })
	}
	for _, file := range valuesFiles(t) {
		if !used[file] {
			t.Run(base(file), func(t *testing.T) { installAlone(t, file) })
		}
	}
}

// README's first command, with both versions of the command.
func TestHelmInstall(t *testing.T) {
	for _, name := range []string{"HELM", "HELM4"} {
		t.Run(name, func(t *testing.T) {
			usePATH(t, name, "helm")
			installAlone(t, filepath.Join(filepath.Dir(files(t, "values/app1.yaml")[0]), "app1.yaml"))
		})
	}
}

// usePATH puts a tool first on the PATH, as the command that terratest runs.
func usePATH(t *testing.T, name, as string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Symlink(tool(t, name), filepath.Join(dir, as)))
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func valuesFiles(t *testing.T) []string {
	t.Helper()
	var found []string
	root := filepath.Dir(files(t, "values/app1.yaml")[0])
	require.NoError(t, filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".yaml") {
			found = append(found, path)
		}
		return err
	}))
	return found
}

func installAlone(t *testing.T, file string) {
	t.Helper()
	namespace := "alone-" + base(file)
	installAll(t, []environment.Release{{Name: base(file), Namespace: namespace, Chart: chart(t), ValuesFiles: []string{file}}}, map[string]bool{})
}

func installAll(t *testing.T, releases []environment.Release, used map[string]bool) {
	t.Helper()
	ctx := within(t, 5*time.Minute)
	on := shared
	var all []*render.Release
	for _, r := range releases {
		rendered, err := renderer.Release(ctx, r)
		require.NoError(t, err)
		all = append(all, rendered)
		if slices.ContainsFunc(rendered.Objects, func(o *unstructured.Unstructured) bool {
			return slices.Contains(elsewhere, o.GroupVersionKind().Group)
		}) {
			on = complete
		}
	}
	provide(t, on(t), all)
	kubeconfig := on(t).Kubeconfig()
	watch, err := release.New(ctx, kubeconfig, release.Options{})
	require.NoError(t, err)
	var done []*render.Release
	for _, rendered := range all {
		began := time.Now()
		r := rendered.Release
		require.NoErrorf(t, terratest.InstallContextE(t, ctx, options(kubeconfig, r), r.Chart, r.Name), "install %s", r.Name)
		require.NoErrorf(t, watch.Ready(ctx, release.Workloads(rendered)), "release %s", r.Name)
		t.Logf("%s installed and ready in %v", r.Name, time.Since(began).Round(time.Millisecond))
		done = append(done, rendered)
		for _, f := range r.ValuesFiles {
			used[f] = true
		}
	}
	for _, r := range done {
		for _, o := range r.Objects {
			if o.GetKind() == "Service" {
				assert.NotEmptyf(t, endpoints(t, watch, o.GetNamespace(), o.GetName()), "endpoints of Service/%s/%s", o.GetNamespace(), o.GetName())
			}
		}
	}
	slices.Reverse(done)
	for _, r := range done {
		began := time.Now()
		require.NoErrorf(t, terratest.DeleteContextE(t, ctx, options(kubeconfig, r.Release), r.Name, true), "uninstall %s", r.Name)
		require.NoError(t, watch.Gone(ctx, release.Workloads(r)))
		t.Logf("%s uninstalled and gone in %v", r.Name, time.Since(began).Round(time.Millisecond))
	}
	assert.Empty(t, leftovers(t, kubeconfig, done), "left after uninstall")
}

func options(kubeconfig string, r environment.Release) *terratest.Options {
	return &terratest.Options{
		ValuesFiles:    r.ValuesFiles,
		KubectlOptions: &k8s.KubectlOptions{ConfigPath: kubeconfig, Namespace: r.Namespace},
		ExtraArgs:      map[string][]string{"install": {"--create-namespace"}},
	}
}

// endpoints returns the ready addresses behind a Service. The pods are ready; the slices may be a moment behind.
func endpoints(t *testing.T, i *release.Installer, namespace, service string) []string {
	t.Helper()
	var ready []string
	assert.Eventually(t, func() bool {
		slices, err := i.Client().DiscoveryV1().EndpointSlices(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
		if err != nil {
			return false
		}
		for _, s := range slices.Items {
			for _, e := range s.Endpoints {
				if e.Conditions.Ready != nil && *e.Conditions.Ready {
					ready = append(ready, e.Addresses...)
				}
			}
		}
		return len(ready) > 0
	}, 10*time.Second, 20*time.Millisecond)
	return ready
}
