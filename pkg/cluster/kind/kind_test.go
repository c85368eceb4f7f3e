package kind

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
	"k8s.io/utils/ptr"

	"chartbasico/internal/version"
	"chartbasico/pkg/cluster/internal/istio"
)

func TestOptions(t *testing.T) {
	o, err := Options{Kubernetes: "v1.34.4"}.withDefaults()
	require.NoError(t, err)
	assert.Equal(t, DefaultName, o.Name)
	assert.Equal(t, "1.34.4", o.Kubernetes)
	assert.Equal(t, version.Istio, o.Istio)
	assert.Equal(t, "https://istio-release.storage.googleapis.com/charts", o.IstioCharts)
	_, err = Options{Name: "No", Nodes: -1, Kubernetes: "latest", Istio: "stable", IstioCharts: "charts"}.withDefaults()
	require.EqualError(t, err, `the name of a cluster must be lower-case letters, digits and inner dashes, at most 40, found "No"
the number of nodes: found -1, expected 1 or more, or 0 for the default
the version of Kubernetes: found "latest", expected one like 1.34.4
the version of Istio: found "stable", expected one like 1.30.0
the repository of Istio's charts: found "charts", expected the URL of a repository with an index, https://…`)
}

func TestNewer(t *testing.T) {
	for _, c := range []struct {
		a, than string
		want    bool
	}{
		{"v1.34.4", "", true},
		{"v1.34.4", "v1.34.3", true},
		{"v1.34.10", "v1.34.9", true},
		{"v1.9.0", "v1.34.0", false},
		{"v1.34.4", "v1.34.4", false},
		{"<none>", "", false},
		{"latest", "v1.34.4", false},
	} {
		assert.Equal(t, c.want, newer(c.a, c.than), "%s, %s", c.a, c.than)
	}
}

// engine is a container runtime that has some images, and reaches no registry.
func engine(t *testing.T) containers {
	t.Helper()
	path := filepath.Join(t.TempDir(), "podman")
	script := `#!/bin/sh
case "$*" in
  "image inspect docker.io/kindest/node:v1.34.4") echo '[{"Id": "abc", "Os": "linux", "Architecture": "arm64", "Config": {"Labels": {"basico.key": "1"}}}]' ;;
  "image inspect other:1") echo '[{"Id": "def", "Os": "linux", "Architecture": "amd64", "Config": {}}]' ;;
  "image ls --filter label=basico.key --format {{.Repository}}:{{.Tag}}") printf 'other:1\ndocker.io/kindest/node:v1.33.1\ndocker.io/kindest/node:v1.34.4\nkindest/node:<none>\n' ;;
  "pull -q "*) echo "Error: no such host" >&2; exit 125 ;;
  *) exit 1 ;;
esac
`
	require.NoError(t, os.WriteFile(path, []byte(script), 0o755))
	return containers{command: path}
}

func TestImages(t *testing.T) {
	e := engine(t)
	images, err := e.ensure(t.Context(), []string{"docker.io/kindest/node:v1.34.4", "other:1"}, func(string) {})
	require.NoError(t, err)
	assert.Equal(t, []image{{"docker.io/kindest/node:v1.34.4", "abc", "linux/arm64", true}, {"other:1", "def", "linux/amd64", false}}, images)

	newest, err := e.newestNode(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "docker.io/kindest/node:v1.34.4", newest)

	var said []string
	_, err = e.ensure(t.Context(), []string{"other:1", "gone:1"}, func(line string) { said = append(said, line) })
	require.EqualError(t, err, `image gone:1 is not on this machine, and cannot be pulled: Error: no such host
where no container registry can be reached, scripts/airgap/build.sh builds those of the default versions for podman, which is taken in place of `+e.command+` by KIND_EXPERIMENTAL_PROVIDER=podman`)
	assert.Equal(t, []string{"pulling gone:1"}, said)
}

// Docker's newer store would write the platforms that were not pulled, too.
func TestSave(t *testing.T) {
	images := []image{{name: "one:1", platform: "linux/arm64"}, {name: "two:1", platform: "linux/arm64"}}
	for name, c := range map[string]struct{ command, store, want string }{
		"podman":             {"podman", "", "save -o a.tar -q -m one:1 two:1"},
		"docker":             {"docker", "[[Backing Filesystem extfs] [Supports d_type true]]", "save -o a.tar one:1 two:1"},
		"docker, containerd": {"docker", "[[driver-type io.containerd.snapshotter.v1]]", "save -o a.tar --platform linux/arm64 one:1 two:1"},
	} {
		t.Run(name, func(t *testing.T) {
			bin := t.TempDir()
			script := `#!/bin/sh
case "$1" in
  info) echo '` + c.store + `' ;;
  *) echo "$*" >>` + bin + `/said ;;
esac
`
			require.NoError(t, os.WriteFile(filepath.Join(bin, c.command), []byte(script), 0o755))
			t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
			require.NoError(t, containers{command: c.command}.save(t.Context(), "a.tar", images))
			said, err := os.ReadFile(filepath.Join(bin, "said"))
			require.NoError(t, err)
			assert.Equal(t, c.want+"\n", string(said))
		})
	}
}

func TestARuntimeThatIsNotThere(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := findRuntime(t.Context(), logger{func(string) {}})
	require.ErrorContains(t, err, "a kind cluster needs a container runtime that answers")
	t.Setenv(providerVariable, "lxc")
	_, err = findRuntime(t.Context(), logger{func(string) {}})
	require.EqualError(t, err, `KIND_EXPERIMENTAL_PROVIDER: found "lxc", expected docker, podman or nerdctl`)
}

// runningNodes makes podman one whose only container is the node of a cluster, and an API server that answers nothing but
// whether it is ready; asked is called before the others are refused. It returns a file that is there until the node is
// deleted.
func runningNodes(t *testing.T, name string, asked func()) string {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	bin := t.TempDir()
	node := filepath.Join(bin, "node")
	script := `#!/bin/sh
case "$*" in
  "--version") echo "podman version 5.4.2" ;;
  "ps -q") ;;
  "ps -a "*".Names"*) [ ! -e ` + node + ` ] || echo ` + name + `-control-plane ;;
  "ps -a "*) [ ! -e ` + node + ` ] || echo ` + name + ` ;;
  "inspect --format "*role*) echo control-plane ;;
  "image inspect "*) echo '[{"Id": "abc", "Config": {}}]' ;;
  "image ls "*) echo docker.io/kindest/node:v1.34.4 ;;
  "rm -f -v ` + name + `-control-plane") rm ` + node + ` ;;
  "volume ls "* | "network rm kind") ;;
  *) exit 1 ;;
esac
`
	require.NoError(t, os.WriteFile(filepath.Join(bin, "podman"), []byte(script), 0o755))
	require.NoError(t, os.WriteFile(node, nil, 0o600))
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv(providerVariable, "podman")

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			asked()
			http.Error(w, "no", http.StatusForbidden)
		}
	}))
	t.Cleanup(server.Close)
	dir, err := directoryOf(name)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(dir.path(), 0o700))
	require.NoError(t, os.WriteFile(dir.made(), []byte("docker.io/kindest/node:v1.34.4\n"+version.Istio+"\n"), 0o600))
	writeKubeconfig(t, dir, server.URL)
	return node
}

func writeKubeconfig(t *testing.T, d directory, server string) {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["a"] = &clientcmdapi.Cluster{Server: server}
	config.Contexts["a"] = &clientcmdapi.Context{Cluster: "a"}
	config.CurrentContext = "a"
	require.NoError(t, clientcmd.WriteToFile(*config, d.kubeconfig()))
}

func TestWhatAFailedCreationLeaves(t *testing.T) {
	for name, c := range map[string]struct {
		temporary, interrupted bool
		kept                   bool
		says, saysNot          string
	}{
		"a cluster to be completed":               {kept: true, says: "the cluster is kept: create completes it"},
		"an interrupted one":                      {interrupted: true, kept: true, says: "context canceled", saysNot: " are in "},
		"nothing of a temporary one but its logs": {temporary: true, says: "events, pods, logs and what istiod says are in ", saysNot: "create completes it"},
		"nothing of an interrupted temporary one": {temporary: true, interrupted: true, says: "context canceled", saysNot: "create completes it"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			node := runningNodes(t, "a", func() {
				if c.interrupted {
					cancel()
				}
			})
			_, err := Create(ctx, Options{Name: "a", Temporary: c.temporary})
			require.ErrorContains(t, err, "create cluster a: ")
			require.ErrorContains(t, err, c.says)
			if c.saysNot != "" {
				assert.NotContains(t, err.Error(), c.saysNot)
			}
			dir, err := directoryOf("a")
			require.NoError(t, err)
			assert.Equal(t, c.kept, dir.exists(node), "node")
			assert.Equal(t, c.kept, dir.exists(dir.path()), "directory")
			assert.Equal(t, !c.interrupted, dir.exists(dir.failures()), "logs")
		})
	}
}

// What is loaded is known of two that load at the same time, and who reads that meanwhile reads all of it.
func TestLoad(t *testing.T) {
	runningNodes(t, "a", func() {})
	engine, err := findRuntime(t.Context(), logger{func(string) {}})
	require.NoError(t, err)
	dir, err := directoryOf("a")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(dir.loaded(), []byte(`{"before:1":"abc"}`), 0o600))
	before := filepath.Join(t.TempDir(), "loaded.json")
	require.NoError(t, os.Link(dir.loaded(), before))

	// The first to save an image waits for another that does, as long as one would take that does not wait for it.
	bin := t.TempDir()
	rest, err := exec.LookPath("podman")
	require.NoError(t, err)
	script := `#!/bin/sh
case "$*" in
  "save "*)
    echo >>` + bin + `/saves
    for i in 1 2 3 4 5 6 7 8 9 10; do
      [ $(wc -l <` + bin + `/saves) -lt 2 ] || break
      sleep 0.1
    done
    echo >"$3" ;;
  "exec "*" containerd config dump") printf 'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd]\nsnapshotter = "overlayfs"\n' ;;
  "exec "*" images import "*) cat >>` + bin + `/imports ;;
  *) exec ` + rest + ` "$@" ;;
esac
`
	require.NoError(t, os.WriteFile(filepath.Join(bin, "podman"), []byte(script), 0o755))
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	var group errgroup.Group
	for _, name := range []string{"one:1", "two:1"} {
		c := &Cluster{name: "a", dir: dir, engine: engine, say: func(string) {}}
		group.Go(func() error { return c.Load(t.Context(), []string{name, "before:1"}) })
	}
	require.NoError(t, group.Wait())
	loaded, err := readLoaded(dir)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"before:1": "abc", "one:1": "abc", "two:1": "abc"}, loaded)
	imports, err := os.ReadFile(filepath.Join(bin, "imports"))
	require.NoError(t, err)
	assert.Equal(t, "\n\n", string(imports), "two archives")
	whole, err := os.ReadFile(before)
	require.NoError(t, err)
	assert.JSONEq(t, `{"before:1":"abc"}`, string(whole))
}

func TestNodesThatDiffer(t *testing.T) {
	const fix = "; delete it first (basico cluster delete --kind kind --name a), or leave the flag out"
	for name, c := range map[string]struct {
		options Options
		want    string // "" where the cluster is completed
	}{
		"nothing asked for":  {},
		"what is there":      {options: Options{Nodes: 1, Kubernetes: "1.34.4", Istio: version.Istio}},
		"more nodes":         {Options{Nodes: 2}, "create cluster a: --nodes: found 1 in the cluster that is there, asked for 2" + fix},
		"another Kubernetes": {Options{Kubernetes: "v1.33.1"}, "create cluster a: --kubernetes: found 1.34.4 in the cluster that is there, asked for 1.33.1" + fix},
		"another Istio":      {Options{Istio: "1.29.0"}, "create cluster a: --istio: found " + version.Istio + " in the cluster that is there, asked for 1.29.0" + fix},
		"both": {
			Options{Nodes: 3, Kubernetes: "1.33.1"},
			"create cluster a: --nodes: found 1 in the cluster that is there, asked for 3" + fix +
				"\n--kubernetes: found 1.34.4 in the cluster that is there, asked for 1.33.1" + fix,
		},
	} {
		t.Run(name, func(t *testing.T) {
			asked := false
			node := runningNodes(t, "a", func() { asked = true })
			c.options.Name = "a"
			_, err := Create(t.Context(), c.options)
			assert.Equal(t, c.want == "", asked, "the API server is asked to complete it")
			if c.want != "" {
				require.EqualError(t, err, c.want)
			}
			assert.FileExists(t, node)
		})
	}
}

// A cluster that was made with another Kubernetes or Istio than is made now keeps them; what nobody wrote is as it is made
// now. The image on this machine that a new cluster would take is v1.34.4.
func TestWhatWasMadeStays(t *testing.T) {
	runningNodes(t, "a", func() {})
	dir, err := directoryOf("a")
	require.NoError(t, err)
	engine, err := findRuntime(t.Context(), logger{func(string) {}})
	require.NoError(t, err)
	const node, mirror = "docker.io/kindest/node:v1.33.1@sha256:abcdef", "https://charts.example.com"
	for name, c := range map[string]struct {
		made, asked   string
		istio, charts string
	}{
		"all of it":         {made: node + "\n1.29.0\n" + mirror + "\n", istio: "1.29.0", charts: mirror},
		"the version alone": {made: node + "\n1.29.0\n", istio: "1.29.0", charts: istio.Repository},
		"the node alone":    {made: node + "\n", istio: version.Istio, charts: istio.Repository},
		"another mirror":    {made: node + "\n1.29.0\n" + mirror + "\n", asked: "https://other.example.com", istio: "1.29.0", charts: "https://other.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(dir.made(), []byte(c.made), 0o600))
			asked := Options{Name: "a", IstioCharts: c.asked}
			o, err := asked.withDefaults()
			require.NoError(t, err)
			made := &creation{Options: o, asked: asked, dir: dir, engine: engine}
			require.NoError(t, made.compareNodes())
			assert.Equal(t, c.istio, made.Istio)
			assert.Equal(t, c.charts, made.IstioCharts)
			image, err := made.nodeImage(t.Context())
			require.NoError(t, err)
			assert.Equal(t, node, image)
		})
	}
}

func TestVersionOf(t *testing.T) {
	for image, want := range map[string]string{
		"docker.io/kindest/node:v1.34.4":               "1.34.4",
		"docker.io/kindest/node:v1.36.1@sha256:abcdef": "1.36.1",
		"localhost:5000/kindest/node:v1.34.4":          "1.34.4",
	} {
		assert.Equal(t, want, versionOf(image), image)
	}
}

// What is known of a creation without nodes is no cluster, and goes with the one whose name it has.
func TestFailuresOfNodes(t *testing.T) {
	node := runningNodes(t, "a", func() {})
	require.NoError(t, os.Remove(node))
	dir, err := directoryOf("a")
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(dir.path()))

	_, err = Create(t.Context(), Options{Name: "a"})
	require.ErrorContains(t, err, "create cluster a: make its nodes: ")
	require.ErrorContains(t, err, "the nodes' logs are in "+dir.failures())
	assert.DirExists(t, dir.failures())
	clusters, err := List(t.Context())
	require.NoError(t, err)
	assert.Empty(t, clusters)

	for _, want := range []bool{true, false} {
		found, err := Delete(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, want, found)
		assert.NoDirExists(t, dir.failures())
	}
}

// A cluster that does not answer, or was not made to the end, has no nodes that one knows.
func TestNoNodesInJSON(t *testing.T) {
	runningNodes(t, "a", func() {})
	unmade, err := directoryOf("b")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(unmade.path(), 0o700))
	clusters, err := List(t.Context())
	require.NoError(t, err)
	require.Len(t, clusters, 2)
	for _, c := range clusters {
		data, err := json.Marshal(c)
		require.NoError(t, err)
		assert.Contains(t, string(data), `"nodes":[]`, c.Name)
		assert.NotEmpty(t, c.Failure, c.Name)
	}
}

func TestOpenOfWhatIsNotThere(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	_, err := Open(t.Context(), "none", nil)
	require.ErrorIs(t, err, ErrNotRunning)
	clusters, err := List(t.Context())
	require.NoError(t, err)
	assert.Empty(t, clusters)
}

func TestTheNetworkOfANode(t *testing.T) {
	var config struct {
		Plugins []struct {
			Type string
			Ipam struct {
				Ranges [][]struct{ Subnet string }
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(cniConfig("10.244.3.0/24")), &config))
	assert.Equal(t, "10.244.3.0/24", config.Plugins[0].Ipam.Ranges[0][0].Subnet)
}

func TestAFailureIsDiagnosed(t *testing.T) {
	waiting := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "istio-system", Name: "istiod-1", Labels: map[string]string{"app": "istiod"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "discovery"}}},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
			Name: "discovery", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "no such host"}},
		}}},
	}
	ended := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "job"}, Status: corev1.PodStatus{Phase: corev1.PodSucceeded}}
	c := &creation{dir: directory(filepath.Join(t.TempDir(), "kind", "a")), client: fake.NewClientset(waiting, ended)}
	err := c.diagnosed(context.DeadlineExceeded)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "Pod/istio-system/istiod-1: discovery: ErrImagePull no such host\nevents, pods, logs and what istiod says are in ")
	require.ErrorContains(t, err, "; the cluster is kept: create completes it, delete removes it")
	names := slices.Sorted(maps.Keys(written(t, c.dir)))
	assert.Equal(t, []string{"events.yaml", "istio-system_istiod-1_discovery.log", "istiod.txt", "pods.yaml"}, names)
}

// written returns the files of a failure, by their names.
func written(t *testing.T, d directory) map[string]string {
	t.Helper()
	found, err := filepath.Glob(d.failures("*", "*"))
	require.NoError(t, err)
	files := map[string]string{}
	for _, f := range found {
		content, err := os.ReadFile(f)
		require.NoError(t, err)
		files[filepath.Base(f)] = string(content)
	}
	return files
}

// forwardPort is an API server's port-forward to a pod that answers each request with its path.
func forwardPort(w http.ResponseWriter, r *http.Request) {
	if _, err := httpstream.Handshake(r, w, []string{portforward.PortForwardProtocolV1Name}); err != nil {
		return
	}
	session := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, replySent <-chan struct{}) error {
		go func() {
			<-replySent
			if s.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
				_ = s.Close() // there is none
				return
			}
			requests := bufio.NewReader(s)
			for {
				request, err := http.ReadRequest(requests)
				if err != nil {
					return
				}
				fmt.Fprintf(s, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(request.URL.Path), request.URL.Path)
			}
		}()
		return nil
	})
	<-session.CloseChan()
}

func TestIstiodIsAsked(t *testing.T) {
	for name, c := range map[string]struct {
		ready corev1.ConditionStatus
		want  map[string]string
	}{
		"ready": {corev1.ConditionTrue, map[string]string{
			"istiod-1_syncz.json": "/debug/syncz", "istiod-1_registryz.json": "/debug/registryz", "istiod-1_configz.json": "/debug/configz",
		}},
		"not ready": {corev1.ConditionFalse, map[string]string{"istiod.txt": "istiod was not asked: no istiod is ready in namespace istio-system\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			istiod := corev1.Pod{
				TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
				ObjectMeta: metav1.ObjectMeta{Namespace: "istio-system", Name: "istiod-1", Labels: map[string]string{"app": "istiod"}},
				Status:     corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: c.ready}}},
			}
			mux := http.NewServeMux()
			mux.HandleFunc("/version", func(http.ResponseWriter, *http.Request) {})
			mux.HandleFunc("/api/v1/namespaces/istio-system/pods", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				list := corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, Items: []corev1.Pod{istiod}}
				assert.NoError(t, json.NewEncoder(w).Encode(list))
			})
			mux.HandleFunc("/api/v1/namespaces/istio-system/pods/istiod-1/portforward", forwardPort)
			server := httptest.NewServer(mux)
			defer server.Close()
			creation := &creation{dir: directory(filepath.Join(t.TempDir(), "kind", "a")), client: fake.NewClientset(&istiod)}
			writeKubeconfig(t, creation.dir, server.URL)

			require.ErrorIs(t, creation.diagnosed(context.DeadlineExceeded), context.DeadlineExceeded)
			files := written(t, creation.dir)
			maps.DeleteFunc(files, func(name, _ string) bool { return !strings.HasPrefix(name, "istiod") })
			assert.Equal(t, c.want, files)
		})
	}
}

// A cluster is not running before Istio and its gateways are there.
func TestParts(t *testing.T) {
	node := func(ready corev1.ConditionStatus) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}}}
	}
	deployment := func(name string, available int32) *appsv1.Deployment {
		return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "istio-system", Name: name}, Spec: appsv1.DeploymentSpec{Replicas: ptr.To(int32(1))},
			Status: appsv1.DeploymentStatus{Replicas: 1, UpdatedReplicas: 1, AvailableReplicas: available}}
	}
	for name, c := range map[string]struct {
		objects []runtime.Object
		failure string
	}{
		"all of it": {[]runtime.Object{node("True"), deployment("istiod", 1), deployment("istio-ingressgateway", 1), deployment("istio-egressgateway", 1)}, ""},
		"nodes alone": {
			[]runtime.Object{node("True")},
			"not ready: Deployment/istiod, Deployment/istio-ingressgateway, Deployment/istio-egressgateway",
		},
		"a gateway without a pod": {
			[]runtime.Object{node("False"), deployment("istiod", 1), deployment("istio-ingressgateway", 0), deployment("istio-egressgateway", 1)},
			"not ready: Node/a, Deployment/istio-ingressgateway",
		},
	} {
		t.Run(name, func(t *testing.T) {
			nodes, failure, err := parts(t.Context(), fake.NewClientset(c.objects...))
			require.NoError(t, err)
			assert.Equal(t, c.failure, failure)
			assert.Len(t, nodes, 1)
		})
	}
}

// The file of a lock goes with the cluster, also while somebody waits for it.
func TestLock(t *testing.T) {
	d := directory(filepath.Join(t.TempDir(), "kind", "a"))
	unlock, err := d.lock(t.Context())
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(string(d), 0o700))
	waited := make(chan func())
	go func() {
		unlock, err := d.lock(t.Context())
		assert.NoError(t, err)
		waited <- unlock
	}()
	select {
	case <-waited:
		t.Fatal("two hold the lock")
	case <-time.After(200 * time.Millisecond):
	}
	unlock()
	unlock = <-waited
	assert.FileExists(t, string(d)+".lock", "there is a cluster")

	go func() {
		unlock, err := d.lock(t.Context())
		assert.NoError(t, err)
		waited <- unlock
	}()
	require.NoError(t, os.Remove(string(d)))
	unlock()
	unlock = <-waited
	assert.FileExists(t, string(d)+".lock", "it is locked")
	unlock()
	assert.NoFileExists(t, string(d)+".lock")
}
