package test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"

	"chartbasico/internal/helm3"
	"chartbasico/pkg/report"
)

// behaves gives the pods of one of the shop's versions a behaviour.
func behaves(file, annotation string) change {
	return change{file, "workload:", "workload:\n  podAnnotations:\n    chart-basico/standin: '" + annotation + "'"}
}

// patient is the shop with limits that a busy machine does not reach: what is lost is the mesh's fault then.
func patient(t *testing.T, namespace string, changes ...change) string {
	t.Helper()
	return shop(t, namespace, append(changes,
		change{"cart-routing.yaml", "timeout: 2s", "timeout: 60s"},
		change{"cart-routing.yaml", "http1MaxPendingRequests: 40", "http1MaxPendingRequests: 1000"})...)
}

// promoted runs the verb as a team would, with fewer requests than by default. The flags lie over these.
func promoted(t *testing.T, file string, args ...string) ran {
	t.Helper()
	return onShared(t, "promote", append([]string{file, "cart", "--requests", "1000", "--pace", "400"}, args...)...)
}

func walkOf(t *testing.T, r ran) report.Walk {
	t.Helper()
	require.Lenf(t, r.report.Walks, 1, "%s%s", r.err, r.out)
	return r.report.Walks[0]
}

// path lists the steps of a walk: "measured v1", "moved canary".
func path(w report.Walk) []string {
	var steps []string
	for _, s := range w.Steps {
		steps = append(steps, s.Kind+" "+s.Stage)
	}
	return steps
}

// history is what Helm says of the routing's revisions.
func history(t *testing.T, namespace string) []string {
	t.Helper()
	client, err := helm3.New(shared(t).Kubeconfig(), namespace, nil)
	require.NoError(t, err)
	revisions, err := client.History(t.Context(), "cart-routing")
	require.NoError(t, err)
	var all []string
	for _, r := range revisions {
		all = append(all, r.Status+": "+r.Description)
	}
	return all
}

func lost(t *testing.T, r ran) {
	t.Helper()
	seen := 0
	for _, c := range r.report.Checks {
		if strings.HasPrefix(c.Name, "no request lost") {
			seen++
			assert.Truef(t, c.Pass, "%s: %s", c.Subject, c.Why)
			assert.Contains(t, c.Got, "0 lost of")
		}
	}
	assert.Positive(t, seen)
}

// A good version arrives, and goes back again, and not one request is lost over it all.
func TestPromote(t *testing.T) {
	file := patient(t, "promote", behaves("cart-v1.yaml", `{"delay": "20ms"}`), behaves("cart-v2.yaml", `{"delay": "20ms"}`))
	installed(t, file)
	values := filepath.Join(filepath.Dir(file), "cart-routing.yaml")
	before, err := os.ReadFile(values)
	require.NoError(t, err)

	r := promoted(t, file, "--write")
	assert.Equalf(t, 0, r.status, "%s%s", r.err, r.out)
	walk := walkOf(t, r)
	assert.Equal(t, []string{"measured v1", "moved canary", "measured canary", "moved v2", "measured v2"}, path(walk))
	assert.True(t, walk.Pass())
	lost(t, r)
	assert.Len(t, r.report.Splits, 6, "three stages, from the gateway and from front/v1")
	for _, s := range r.report.Splits {
		if s.Stage == "canary" {
			assert.Greater(t, s.Requests, 5000, "so many that v2 would be found if it failed")
		}
	}
	now, err := os.ReadFile(values)
	require.NoError(t, err)
	assert.Equal(t, strings.Replace(string(before), "stage: v1", "stage: v2", 1), string(now), "one word of the values file has changed")
	said := history(t, "promote")
	assert.Regexp(t, `^deployed: promoted by .+@.+ \(basico promote\): cart from stage canary to v2$`, said[len(said)-1])

	// There, nothing is to be done, and nothing is.
	r = promoted(t, file)
	assert.Equalf(t, 0, r.status, "%s%s", r.err, r.out)
	assert.Equal(t, []string{"measured v2"}, path(walkOf(t, r)))
	assert.Len(t, history(t, "promote"), len(said))

	// Back is one step.
	r = promoted(t, file, "--to", "v1", "--write")
	assert.Equalf(t, 0, r.status, "%s%s", r.err, r.out)
	assert.Equal(t, []string{"moved v1", "measured v1"}, path(walkOf(t, r)))
	lost(t, r)
	now, err = os.ReadFile(values)
	require.NoError(t, err)
	assert.Equal(t, string(before), string(now))

	r = promoted(t, file, "--to", "canari")
	assert.Equal(t, 2, r.status)
	assert.Contains(t, r.err, "cart has no stage canari, only v1, canary, v2; did you mean canary?")
}

// A version that does worse never gets past its first stage, and what it got is taken from it at once.
func TestPromoteTurnsBack(t *testing.T) {
	for name, c := range map[string]struct {
		v2    string
		fails string
	}{
		"fails":  {`{"delay": "20ms", "fail": 0.05, "status": 500}`, "v2 fails more often than v1"},
		"slower": {`{"delay": "40ms"}`, "v2 is slower than v1"},
	} {
		t.Run(name, func(t *testing.T) {
			namespace := "promote-" + name
			file := patient(t, namespace, behaves("cart-v1.yaml", `{"delay": "20ms"}`), behaves("cart-v2.yaml", c.v2))
			installed(t, file)
			r := promoted(t, file, "--write")
			assert.Equalf(t, 1, r.status, "%s%s", r.err, r.out)
			walk := walkOf(t, r)
			assert.Equal(t, []string{"measured v1", "moved canary", "measured canary", "rolled back v1"}, path(walk))
			assert.True(t, walk.RolledBack)
			assert.Contains(t, walk.Why, c.fails)
			assert.Equal(t, "v1", walk.Reached)
			lost(t, r)
			said := history(t, namespace)
			assert.Contains(t, said[len(said)-1], "deployed: rolled back: "+c.fails)

			after := onShared(t, "traffic", file, "cart", "--stage", "v1", "--requests", "500")
			assert.Equal(t, 0, after.status, "v2 gets nothing any more")
		})
	}
}

// Whatever ends it, the app is at a stage, and the same command goes on from there.
func TestPromoteInterrupted(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"interrupted": syscall.SIGINT, "killed": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			namespace := "promote-" + name
			file := patient(t, namespace)
			installed(t, file)
			args := []string{file, "cart", "--requests", "1000", "--pace", "400", "--write"}
			p := begin(t, "promote", args...)
			p.waitFor("at stage canary")
			require.NoError(t, p.cmd.Process.Signal(signal))
			r := p.wait()
			if signal == syscall.SIGINT {
				assert.Equal(t, 2, r.status)
				assert.Equal(t, "canary", walkOf(t, r).Reached)
				assert.Contains(t, r.out, "the same command goes on from there")
				now, err := os.ReadFile(filepath.Join(filepath.Dir(file), "cart-routing.yaml"))
				require.NoError(t, err)
				assert.Contains(t, string(now), "stage: canary", "the file says where it is")
			}
			measured := onShared(t, "traffic", file, "cart", "--within", "5", "--from", "front/v1")
			assert.Equal(t, 0, measured.status)
			assert.Equal(t, "canary", measured.report.Splits[0].Stage)

			r = onShared(t, "promote", args...)
			assert.Equalf(t, 0, r.status, "%s%s", r.err, r.out)
			assert.Equal(t, []string{"measured canary", "moved v2", "measured v2"}, path(walkOf(t, r)))
		})
	}
}

// A promotion that was killed in the middle of an upgrade leaves Helm's record of it pending, which keeps everybody
// else out. The next one knows, by the lease that was not given back, that nobody works on it any more.
func TestPromoteAfterAKilledUpgrade(t *testing.T) {
	const namespace = "promote-pending"
	file := patient(t, namespace)
	installed(t, file)
	pending(t, namespace, "cart-routing")

	r := promoted(t, file, "--to", "canary")
	assert.Equal(t, 2, r.status)
	assert.Contains(t, r.err, "somebody else is changing it", "as long as it is not known that they are gone")

	leases := clientset(t).CoordinationV1().Leases(namespace)
	lease, err := leases.Get(t.Context(), "basico-promote-cart", metav1.GetOptions{})
	require.NoError(t, err)
	lease.Spec.HolderIdentity = ptr.To("ana@host/1")
	_, err = leases.Update(t.Context(), lease, metav1.UpdateOptions{})
	require.NoError(t, err)
	r = promoted(t, file, "--to", "canary")
	assert.Equalf(t, 0, r.status, "%s%s", r.err, r.out)
	assert.Contains(t, strings.Join(history(t, namespace), "\n"), "failed: interrupted: the promotion was killed")
}

// What the files have no more keeps its subset until no proxy has a route to it, and what is new has one before.
func TestPromoteMakesBeforeItBreaks(t *testing.T) {
	const namespace = "promote-subsets"
	file := patient(t, namespace, change{"cart-routing.yaml", "stage: v1", "stage: v2"})
	env := installed(t, file)
	require.NotEmpty(t, env.Releases)
	values := filepath.Join(filepath.Dir(file), "cart-routing.yaml")
	content, err := os.ReadFile(values)
	require.NoError(t, err)
	// v1 is over; v3 is to come, and runs already (as one of v1's pods with another label would).
	text := string(content)
	start, end := strings.Index(text, "    - name: v1"), strings.Index(text, "  port:")
	text = text[:start] + "    - name: v2\n      weights:\n        v2: 100\n    - name: v3\n      weights:\n        v3: 100\n" + text[end:]
	text = strings.Replace(text, "    v1:\n      trafficPolicy:\n        loadBalancer:\n          simple: ROUND_ROBIN\n", "", 1)
	require.NoError(t, os.WriteFile(values, []byte(text), 0o600))
	dir := filepath.Dir(file)
	v2, err := os.ReadFile(filepath.Join(dir, "cart-v2.yaml"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cart-v3.yaml"), []byte(strings.Replace(string(v2), "version: v2", "version: v3", 1)), 0o600))
	releases, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(releases), "  - name: front-v1",
		"  - name: cart-v3\n    namespace: "+namespace+"\n    chart: "+chart(t)+"\n    values:\n      - cart-v3.yaml\n    needs:\n      - "+namespace+"/cart\n\n  - name: front-v1", 1)), 0o600))

	r := promoted(t, file)
	assert.Equal(t, 2, r.status)
	assert.Contains(t, r.err, "cart v3 gets 100% at stage v3 and has no ready pod; install it first")

	client, err := helm3.New(shared(t).Kubeconfig(), namespace, nil)
	require.NoError(t, err)
	rendered, err := renderer.Environment(t.Context(), load(t, file))
	require.NoError(t, err)
	t.Cleanup(func() { uninstallQuietly(t, rendered) })
	for _, rel := range rendered {
		if rel.Name == "cart-v3" {
			_, err = client.Upgrade(t.Context(), helm3.Spec{Name: rel.Name, ChartDir: rel.Chart, Values: rel.Values, Wait: true, Timeout: time.Minute})
			require.NoError(t, err)
		}
	}
	r = promoted(t, file)
	assert.Equalf(t, 0, r.status, "%s%s", r.err, r.out)
	assert.Equal(t, []string{"moved v2", "measured v2", "moved v3", "measured v3", "moved v3"}, path(walkOf(t, r)))
	lost(t, r)
	revisions, err := client.History(t.Context(), "cart-routing")
	require.NoError(t, err)
	var subsets []string
	for _, rev := range revisions[1:] {
		has := ""
		for _, v := range []string{"v1", "v2", "v3"} {
			if strings.Contains(rev.Manifest, "name: "+v+"\n") {
				has += v
			}
		}
		subsets = append(subsets, has)
	}
	assert.Equal(t, []string{"v1v2v3", "v1v2v3", "v2v3"}, subsets, "made first, broken last")
}

func clientset(t *testing.T) kubernetes.Interface {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", shared(t).Kubeconfig())
	require.NoError(t, err)
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	return client
}

// pending makes Helm's newest record of a release say that an upgrade goes on.
func pending(t *testing.T, namespace, name string) {
	t.Helper()
	secrets := clientset(t).CoreV1().Secrets(namespace)
	list, err := secrets.List(t.Context(), metav1.ListOptions{LabelSelector: "owner=helm,status=deployed,name=" + name})
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
	old := list.Items[0]
	plain, err := base64.StdEncoding.DecodeString(string(old.Data["release"]))
	require.NoError(t, err)
	reader, err := gzip.NewReader(bytes.NewReader(plain))
	require.NoError(t, err)
	record, err := io.ReadAll(reader)
	require.NoError(t, err)
	var revision map[string]any
	require.NoError(t, json.Unmarshal(record, &revision))
	next := int(revision["version"].(float64)) + 1
	revision["version"] = next
	revision["info"].(map[string]any)["status"] = "pending-upgrade"
	record, err = json.Marshal(revision)
	require.NoError(t, err)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err = w.Write(record)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	_, err = secrets.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("sh.helm.release.v1.%s.v%d", name, next), Labels: map[string]string{"owner": "helm", "name": name, "status": "pending-upgrade", "version": strconv.Itoa(next)}},
		Type:       old.Type, Data: map[string][]byte{"release": []byte(base64.StdEncoding.EncodeToString(packed.Bytes()))},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}
