//go:build kind

package test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gruntwork-io/terratest/modules/k8s"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"

	measure "chartbasico/pkg/assert"
	"chartbasico/pkg/cluster/kind"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/release"
	"chartbasico/pkg/render"
	"chartbasico/pkg/verify"
)

// These need programs in pods, or parts of the cluster to stop: they are for kind alone (make test-kind).

// setUp puts a copy of the store on the shared cluster, at the stage that its values name.
func setUp(ctx context.Context, t *testing.T, namespace string, changes ...change) (*verify.Running, string) {
	t.Helper()
	file := copied(t, "store", namespace, changes...)
	running, err := verify.Look(ctx, shared(t), load(t, file), renderer, 2*time.Minute)
	require.NoError(t, err)
	provide(t, shared(t), running.Releases)
	install(ctx, t, running.Releases)
	return running, file
}

// What a pod of a StatefulSet writes is there when another takes its place.
func TestStorageOutlivesItsPod(t *testing.T) {
	ctx := within(t, 5*time.Minute)
	usePATH(t, "KUBECTL", "kubectl") // by which terratest runs a command in a pod
	running, _ := setUp(ctx, t, "outlives")
	options := k8s.NewKubectlOptions("", shared(t).Kubeconfig(), "outlives")
	_, err := k8s.ExecPodContextE(t, ctx, options, "vault-v1-0", "server", "sh", "-c", "echo kept > /data/word")
	require.NoError(t, err)
	pods := running.Client().CoreV1().Pods("outlives")
	old, err := pods.Get(ctx, "vault-v1-0", metav1.GetOptions{})
	require.NoError(t, err)
	require.NoError(t, pods.Delete(ctx, old.Name, metav1.DeleteOptions{}))
	require.NoError(t, running.Installer.Replaced(ctx, old))
	word, err := k8s.ExecPodContextE(t, ctx, options, "vault-v1-0", "server", "cat", "/data/word")
	require.NoError(t, err)
	assert.Equal(t, "kept", word)
}

// While istiod is gone traffic goes on as it was; a stage that is changed meanwhile arrives when istiod is back. When all
// pods of a version are killed, the other version's share is served, and nothing is lost once the new pods are ready.
func TestFaultsUnderLoad(t *testing.T) {
	ctx := within(t, 10*time.Minute)
	running, _ := setUp(ctx, t, "faults")
	web, err := running.App("web")
	require.NoError(t, err)
	origins, _, err := running.Origins(ctx, web)
	require.NoError(t, err)
	at := func(stage string) *render.Release {
		t.Helper()
		rendered, err := renderer.Release(ctx, releaseOf(t, running.Env, "web-routing"), render.Set("routing.stage", stage))
		require.NoError(t, err)
		return rendered
	}
	require.NoError(t, running.Arrive(ctx, web, at("v1"), origins))
	split := func(name string, want map[string]int) {
		t.Helper()
		for _, o := range origins {
			load := o.Load
			load.Requests = toStore
			tally, err := shared(t).Send(ctx, o.From, load)
			require.NoError(t, err)
			judged := measure.Split(want, tally.Versions, tally.Errors, 1e-6)
			assert.Truef(t, judged.Pass, "%s, from %s: %+v %v", name, o.Name, judged, tally.Failures)
		}
	}
	client := running.Client()

	t.Run("istiod is gone", func(t *testing.T) {
		steady := steadily(ctx, shared(t), origins)
		scale(ctx, t, client, 0)
		t.Cleanup(func() { scale(context.WithoutCancel(ctx), t, client, 1) })
		// Without istiod its webhook would refuse every change; an operator who must change something lets it pass.
		ignoreValidation(ctx, t, client)
		rendered := at("half")
		require.NoError(t, running.Installer.Upgrade(ctx, rendered))
		split("while istiod is gone", map[string]int{"v1": 100, "v2": 0})
		scale(ctx, t, client, 1)
		require.NoError(t, running.Arrive(ctx, web, rendered, origins))
		split("when istiod is back", map[string]int{"v1": 50, "v2": 50})
		flows, err := steady.Stop()
		require.NoError(t, err)
		for _, f := range flows {
			assert.Zerof(t, f.Tally.Errors, "lost from %s: %v", f.Origin.Name, f.Tally.Failures)
			assert.Positive(t, f.Tally.Requests)
		}
	})

	t.Run("all pods of a version are killed", func(t *testing.T) {
		steady := steadily(ctx, shared(t), origins)
		killed := map[string]bool{}
		pods, err := client.CoreV1().Pods("faults").List(ctx, metav1.ListOptions{LabelSelector: "app=web,version=v2"})
		require.NoError(t, err)
		for _, p := range pods.Items {
			killed[p.Name] = true
			require.NoError(t, client.CoreV1().Pods("faults").Delete(ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To(int64(0))}))
		}
		require.Len(t, killed, 2)
		require.EventuallyWithT(t, func(t *assert.CollectT) {
			workloads, err := running.Workloads()
			require.NoError(t, err)
			var ready []string
			for _, w := range workloads {
				if w.Namespace == "faults" && w.String() == "web/v2" {
					ready = slices.DeleteFunc(w.Pods, func(p string) bool { return killed[p] })
				}
			}
			assert.Len(t, ready, 2)
		}, 2*time.Minute, 200*time.Millisecond, "new pods")
		flows, err := steady.Stop()
		require.NoError(t, err)
		for _, f := range flows {
			t.Logf("from %s: %d of %d lost: %v", f.Origin.Name, f.Tally.Errors, f.Tally.Requests, f.Tally.Failures)
			assert.Less(t, f.Tally.Errors, f.Tally.Requests, "v1 is served all the time")
		}
		require.NoError(t, running.Arrive(ctx, web, at("half"), origins))
		// They are known by the names of their pods, and those of v2 are new.
		origins, _, err = running.Origins(ctx, web)
		require.NoError(t, err)
		split("when the new pods are ready", map[string]int{"v1": 50, "v2": 50})
	})
}

// scale stops or starts istiod, and waits until it is so.
func scale(ctx context.Context, t *testing.T, client kubernetes.Interface, replicas int) {
	t.Helper()
	deployments := client.AppsV1().Deployments("istio-system")
	wanted, err := deployments.GetScale(ctx, "istiod", metav1.GetOptions{})
	require.NoError(t, err)
	wanted.Spec.Replicas = int32(replicas)
	_, err = deployments.UpdateScale(ctx, "istiod", wanted, metav1.UpdateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		d, err := deployments.Get(ctx, "istiod", metav1.GetOptions{})
		pods, listErr := client.CoreV1().Pods("istio-system").List(ctx, metav1.ListOptions{LabelSelector: "app=istiod"})
		return err == nil && listErr == nil && d.Status.ObservedGeneration >= d.Generation && int(d.Status.AvailableReplicas) == replicas && len(pods.Items) == replicas
	}, 2*time.Minute, 200*time.Millisecond)
}

// ignoreValidation lets changes pass that istiod has not seen. It takes that back itself when it starts.
func ignoreValidation(ctx context.Context, t *testing.T, client kubernetes.Interface) {
	t.Helper()
	configurations := client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	list, err := configurations.List(ctx, metav1.ListOptions{})
	require.NoError(t, err)
	for _, c := range list.Items {
		for i, w := range c.Webhooks {
			if w.ClientConfig.Service != nil && w.ClientConfig.Service.Namespace == "istio-system" {
				c.Webhooks[i].FailurePolicy = ptr.To(admissionv1.Ignore)
			}
		}
		_, err := configurations.Update(ctx, &c, metav1.UpdateOptions{})
		require.NoError(t, err)
	}
}

// Real applications are promoted as stand-ins are: a good version arrives and goes back and no request is lost, and a
// bad one never gets past its first stage.
func TestPromoteApplications(t *testing.T) {
	for name, c := range map[string]struct {
		delay string // of v1
		v2    string // its environment
		why   string // it turns back; "" if it arrives
	}{
		"a-good-one":       {"0.02", `FAIL: "0", DELAY: "0.02"`, ""},
		"one-that-fails-5": {"0.02", `FAIL: "0.05", DELAY: "0.02"`, "v2 fails more often than v1"},
		// So long that a busy machine, which may add tens of milliseconds to both, does not make it less than 1.5 times.
		"one-that-takes-twice": {"0.1", `FAIL: "0", DELAY: "0.2"`, "v2 is slower than v1"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := within(t, 10*time.Minute)
			_, file := setUp(ctx, t, name, change{"web-v1.yaml", `DELAY: "0"`, `DELAY: "` + c.delay + `"`},
				change{"web-v2.yaml", "env:\n        FAIL: \"0\"\n        DELAY: \"0\"", "env: {" + c.v2 + "}"})
			r := onShared(t, "promote", file, "web", "--pace", "200")
			walk := walkOf(t, r)
			if c.why != "" {
				assert.Equalf(t, 1, r.status, "%s%s", r.err, r.out)
				assert.True(t, walk.RolledBack)
				assert.Contains(t, walk.Why, c.why)
				assert.Equal(t, "v1", walk.Reached)
				assert.NotContains(t, path(walk), "moved v2")
				return
			}
			require.Equalf(t, 0, r.status, "%s%s", r.err, r.out)
			assert.Equal(t, []string{"measured v1", "moved half", "measured half", "moved v2", "measured v2"}, path(walk))
			lost(t, r)
			r = onShared(t, "traffic", file, "web", "--from", "front/v1", "--stage", "v2")
			assert.Equalf(t, 0, r.status, "%s%s", r.err, r.out)
			r = onShared(t, "promote", file, "web", "--to", "v1", "--pace", "200")
			assert.Equalf(t, 0, r.status, "%s%s", r.err, r.out)
			assert.Equal(t, []string{"moved v1", "measured v1"}, path(walkOf(t, r)))
			lost(t, r)
		})
	}
}

// A cluster that only a kubeconfig's context names is verified, measured and promoted on; nothing of the measuring stays
// in it.
func TestContext(t *testing.T) {
	ctx := within(t, 10*time.Minute)
	running, file := setUp(ctx, t, "by-context")
	config, err := clientcmd.LoadFromFile(shared(t).Kubeconfig())
	require.NoError(t, err)
	t.Setenv("KUBECONFIG", shared(t).Kubeconfig())
	target := []string{"--context", config.CurrentContext, "-o", "json"}
	namespaces := func() []string {
		list, err := running.Client().CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
		require.NoError(t, err)
		var names []string
		for _, n := range list.Items {
			names = append(names, n.Name)
		}
		return names
	}
	before := namespaces()
	// A machine need not reach the nodes of such a cluster: a Job sends to the gateway, and goes in the end.
	sentByJob := func(r ran) {
		assert.Contains(t, r.err, "requests from outside of the mesh are sent by Job/default/basico-load-")
		jobs, err := running.Client().BatchV1().Jobs(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{})
		require.NoError(t, err)
		assert.Empty(t, slices.DeleteFunc(jobs.Items, func(j batchv1.Job) bool { return j.DeletionTimestamp != nil }))
	}

	r := startBasico(t, append([]string{"verify", file, "--requests", "300"}, target...)...).wait()
	require.Equalf(t, 0, r.status, "%s%s", r.err, r.out)
	assert.Equal(t, "context", r.report.Cluster.Kind)
	assert.Equal(t, config.CurrentContext, r.report.Cluster.Name)
	assert.NotEmpty(t, r.report.Splits)
	assert.NotEmpty(t, r.report.Checks)
	sentByJob(r)

	r = startBasico(t, append([]string{"promote", file, "web", "--to", "half", "--pace", "200"}, target...)...).wait()
	require.Equalf(t, 0, r.status, "%s%s", r.err, r.out)
	assert.Equal(t, "half", walkOf(t, r).Reached)
	r = startBasico(t, append([]string{"traffic", file, "web", "--stage", "half"}, target...)...).wait()
	assert.Equalf(t, 0, r.status, "%s%s", r.err, r.out)
	sentByJob(r)
	// The route does not divide so, and that is seen.
	r = startBasico(t, append([]string{"traffic", file, "web", "--stage", "v2"}, target...)...).wait()
	assert.Equalf(t, 1, r.status, "%s%s", r.err, r.out)
	assert.ElementsMatch(t, before, namespaces())
}

// What people see of reviews has the shares of its versions, with red stars, those of v3, too: no stage of the
// environments gives any to it.
func TestRedStars(t *testing.T) {
	raw, err := os.ReadFile("../environments/bookinfo-prod.yaml")
	require.NoError(t, err)
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	dir := t.TempDir()
	write := func(name, content string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	over := func(name, content string) string {
		t.Helper()
		line := "      - ../values/bookinfo/" + name + "\n"
		require.Contains(t, string(raw), line)
		return line + "      - " + write(name, content) + "\n"
	}
	changed := string(raw)
	for name, content := range map[string]string{
		"namespace.yaml": "namespace:\n  name: red-stars\n",
		"reviews-routing-prod.yaml": `routing:
  stage: thirds
  stages:
    - name: thirds
      weights:
        v1: 34
        v2: 33
        v3: 33
    - name: v3
      weights:
        v1: 0
        v2: 0
        v3: 100
`,
	} {
		changed = strings.Replace(changed, "      - ../values/bookinfo/"+name+"\n", over(name, content), 1)
	}
	changed = strings.NewReplacer("namespace: bookinfo\n", "namespace: red-stars\n", "- bookinfo/", "- red-stars/",
		"bookinfo-namespace", "red-stars-namespace", "../", root+"/").Replace(changed)

	rep := verifiedOn(t, shared(t), load(t, write("red-stars.yaml", changed)), verify.Options{Requests: toStore})
	assertHeld(t, rep)
	shown := map[string]string{}
	for _, c := range rep.Checks {
		if c.Name == "the page shows its versions" {
			shown[c.Subject] = c.Got
		}
	}
	require.Len(t, shown, 2, text(t, rep))
	assert.Regexp(t, `^gap-x-1 text-black-500 \d+, gap-x-1 text-red-500 \d+, none of them \d+$`, shown["reviews at stage thirds"])
	assert.Equal(t, "gap-x-1 text-red-500 500", shown["reviews at stage v3"])
}

// What takes plain requests is found out, where the files say that there is nothing but mutual TLS.
func TestPlainRequests(t *testing.T) {
	env := only(load(t, copied(t, "store", "plain")), "plain-namespace", "vault-v1")
	rep := verifiedOn(t, shared(t), env, verify.Options{Installed: func(ctx context.Context) error {
		permissive, err := renderer.Release(ctx, releaseOf(t, env, "vault-v1"), render.Set("access.peerAuthentication.mtls.mode", "PERMISSIVE"))
		if err != nil {
			return err
		}
		installer, err := release.New(ctx, shared(t).Kubeconfig(), release.Options{})
		if err != nil {
			return err
		}
		if err := installer.Upgrade(ctx, permissive); err != nil {
			return err
		}
		return arrives(ctx, shared(t), "plain", "vault", `"transportProtocol":"raw_buffer"`)
	}})
	assert.Equal(t, []string{"a plain request is refused"}, failed(rep), text(t, rep))
}

// only leaves of an environment the releases of these names.
func only(env *environment.Environment, names ...string) *environment.Environment {
	env.Releases = slices.DeleteFunc(env.Releases, func(r environment.Release) bool { return !slices.Contains(names, r.Name) })
	return env
}

// A second cluster stands beside the first, with as many nodes as were asked for, and goes without a trace. One that lost
// parts of Istio gets them back by being created again, and keeps what it has.
func TestClustersSideBySide(t *testing.T) {
	ctx := within(t, 10*time.Minute)
	name := fmt.Sprintf("beside-%d", os.Getpid())
	t.Cleanup(func() {
		_, err := kind.Delete(context.WithoutCancel(ctx), name)
		require.NoError(t, err)
	})
	first, err := openKind()
	require.NoError(t, err)
	second, err := kind.Create(ctx, kind.Options{Name: name, Nodes: 2})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, second.Close()) })
	whole := func(c *kind.Cluster, nodes int) {
		t.Helper()
		status, err := c.Status(ctx)
		require.NoError(t, err)
		assert.Empty(t, status.Failure)
		assert.Len(t, status.Nodes, nodes)
	}
	whole(first, 1)
	whole(second, 2)
	standing := func() []string {
		t.Helper()
		all, err := kind.List(ctx)
		require.NoError(t, err)
		var names []string
		for _, s := range all {
			names = append(names, s.Name)
		}
		return names
	}
	assert.Subset(t, standing(), []string{first.Name(), name})
	// Who forgets that it is one of kind is told.
	for _, slip := range []struct {
		status int
		says   string
		args   []string
	}{
		{2, "cluster " + name + " is one of kind: add --on kind", []string{"verify", "../environments/apps.yaml", "--cluster", name}},
		{0, "there is no local cluster " + name + "; the one of kind runs on: add --kind kind to delete it", []string{"cluster", "delete", "--name", name}},
	} {
		r := startBasico(t, slip.args...).wait()
		assert.Equal(t, slip.status, r.status)
		assert.Contains(t, r.err, slip.says)
	}

	// On each node runs a pod of a DaemonSet that may run on all, and on the other cluster none.
	const namespace = "each-node"
	env := only(load(t, copied(t, "store", namespace, change{"beacon-v1.yaml", "kind: DaemonSet\n", "kind: DaemonSet\n  tolerations:\n    - operator: Exists\n"})),
		namespace+"-namespace", "beacon-v1")
	rendered, err := renderer.Environment(ctx, env)
	require.NoError(t, err)
	provide(t, second, rendered)
	installer, err := release.New(ctx, second.Kubeconfig(), release.Options{})
	require.NoError(t, err)
	require.NoError(t, installer.Install(ctx, rendered))
	client := installer.Client()
	places := func() map[string]string {
		t.Helper()
		pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=beacon"})
		require.NoError(t, err)
		on := map[string]string{}
		for _, p := range pods.Items {
			on[p.Spec.NodeName] = string(p.UID)
		}
		return on
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	require.NoError(t, err)
	var names []string
	for _, n := range nodes.Items {
		names = append(names, n.Name)
	}
	before := places()
	assert.ElementsMatch(t, names, slices.Collect(maps.Keys(before)))
	_, err = clientset(t).CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
	assert.True(t, apierrors.IsNotFound(err), "%v", err)

	for _, lost := range []string{"istiod", "istio-ingressgateway"} {
		require.NoError(t, client.AppsV1().Deployments("istio-system").Delete(ctx, lost, metav1.DeleteOptions{}))
	}
	status, err := second.Status(ctx)
	require.NoError(t, err)
	assert.Equal(t, "not ready: Deployment/istiod, Deployment/istio-ingressgateway; basico cluster create --kind kind --name "+name+" completes it", status.Failure)
	completed, err := kind.Create(ctx, kind.Options{Name: name})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, completed.Close()) })
	whole(completed, 2)
	assert.Equal(t, before, places(), "pods that run are left alone")

	found, err := kind.Delete(ctx, name)
	require.NoError(t, err)
	assert.True(t, found)
	assert.NotContains(t, standing(), name)
	assert.NoFileExists(t, second.Kubeconfig())
	left, err := exec.CommandContext(ctx, tool(t, "KIND_EXPERIMENTAL_PROVIDER"), "ps", "-aq", "--filter", "label=io.x-k8s.kind.cluster="+name).Output()
	require.NoError(t, err)
	assert.Empty(t, string(left), "containers of its nodes")
	whole(first, 1)
	_, err = first.Proxies(ctx)
	assert.NoError(t, err)
}

// An image that nobody has ends an installation soon, with its name.
func TestMissingImage(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	file := filepath.Join(t.TempDir(), "absent.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`app: absent
version: v1
workload:
  containers:
    absent:
      image:
        repository: registry.example/absent
        tag: "1"
`), 0o600))
	rendered, err := renderer.Release(ctx, environment.Release{Name: "absent", Namespace: "absent", CreateNamespace: true, Chart: chart(t), ValuesFiles: []string{file}})
	require.NoError(t, err)
	own, err := openKind()
	require.NoError(t, err)
	began := time.Now()
	require.ErrorContains(t, own.Load(ctx, render.Images([]*render.Release{rendered})), "image registry.example/absent:1 is not on this machine, and cannot be pulled")
	assert.Less(t, time.Since(began), time.Minute)

	// Those who did not ask are told by the pods.
	installer, err := release.New(ctx, own.Kubeconfig(), release.Options{})
	require.NoError(t, err)
	t.Cleanup(func() {
		uninstallQuietly(t, []*render.Release{rendered})
		_ = clientset(t).CoreV1().Namespaces().Delete(context.WithoutCancel(ctx), "absent", metav1.DeleteOptions{}) // nothing waits for it
	})
	began = time.Now()
	err = installer.Install(ctx, []*render.Release{rendered})
	require.ErrorIs(t, err, release.ErrDead)
	assert.ErrorContains(t, err, "registry.example/absent:1")
	assert.Less(t, time.Since(began), time.Minute)
}
