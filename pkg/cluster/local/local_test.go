package local

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"

	"chartbasico/internal/helm3"
	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/internal/await"
	"chartbasico/pkg/cluster/local/internal/loopback"
	"chartbasico/pkg/traffic"
)

func TestStartIsFast(t *testing.T) {
	c, _ := sharedCluster(t)
	status, err := c.Status(t.Context())
	require.NoError(t, err)
	var memory int64
	for _, p := range status.Processes {
		t.Logf("%-26s %4d MB", p.Name, p.Memory/1_000_000)
		memory += p.Memory
	}
	t.Logf("ready after %.1f s; %d MB in all", shared.took.Seconds(), memory/1_000_000)
	assert.Empty(t, status.Failure)
	// Far above what it takes, since other tests may share the machine: a start that waits for a time-out is seen.
	assert.Less(t, shared.took, 30*time.Second)
	assert.Less(t, memory, int64(1_200_000_000))
}

func TestDeploymentRunsAndIsInjected(t *testing.T) {
	_, client := sharedCluster(t)
	namespace := newNamespace(t, client, map[string]string{"istio-injection": "enabled"})
	deployment := newDeployment("web", 3)
	_, err := client.AppsV1().Deployments(namespace).Create(t.Context(), deployment, metav1.CreateOptions{})
	require.NoError(t, err)
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       corev1.ServiceSpec{Selector: deployment.Spec.Selector.MatchLabels, Ports: []corev1.ServicePort{{Name: "http", Port: 80}}},
	}
	_, err = client.CoreV1().Services(namespace).Create(t.Context(), service, metav1.CreateOptions{})
	require.NoError(t, err)
	require.NoError(t, await.Deployment(t.Context(), client, namespace, "web"))

	pods, err := client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, pods.Items, 3)
	for _, pod := range pods.Items {
		containers := append(slices.Clone(pod.Spec.InitContainers), pod.Spec.Containers...)
		assert.True(t, slices.ContainsFunc(containers, func(c corev1.Container) bool { return c.Name == "istio-proxy" }), "Pod/%s/%s has no sidecar", namespace, pod.Name)
	}
	require.Eventually(t, func() bool {
		slices, err := client.DiscoveryV1().EndpointSlices(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=web"})
		return err == nil && len(slices.Items) == 1 && len(slices.Items[0].Endpoints) == 3
	}, 20*time.Second, 20*time.Millisecond)

	// Garbage collection and the namespace controller end what was started.
	require.NoError(t, client.CoreV1().Namespaces().Delete(t.Context(), namespace, metav1.DeleteOptions{}))
	require.Eventually(t, func() bool {
		_, err := client.CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	}, 40*time.Second, 50*time.Millisecond)
}

// A sidecar that is an ordinary container keeps a Job from ending; a native one ends with it.
func TestAJobWithASidecarEnds(t *testing.T) {
	_, client := sharedCluster(t)
	namespace := newNamespace(t, client, map[string]string{"istio-injection": "enabled"})
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "setup"}, Spec: batchv1.JobSpec{Template: newDeployment("setup", 1).Spec.Template}}
	job.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	_, err := client.BatchV1().Jobs(namespace).Create(t.Context(), job, metav1.CreateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		job, err := client.BatchV1().Jobs(namespace).Get(t.Context(), "setup", metav1.GetOptions{})
		return err == nil && job.Status.Succeeded == 1
	}, 40*time.Second, 50*time.Millisecond)
	pods, err := client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, pods.Items, 1)
	assert.True(t, slices.ContainsFunc(pods.Items[0].Spec.InitContainers, func(c corev1.Container) bool { return c.Name == "istio-proxy" }))
}

// A probe may ask a port that nobody declares, and does not wait for what the pod's callers are to wait for.
func TestAnInjectedPodIsReadyWhenItsProbePasses(t *testing.T) {
	_, client := sharedCluster(t)
	namespace := newNamespace(t, client, map[string]string{"istio-injection": "enabled"})
	slow := newDeployment("slow", 1)
	slow.Spec.Template.Annotations = map[string]string{"chart-basico/standin": `{"delay": "1h"}`}
	slow.Spec.Template.Spec.Containers[0].ReadinessProbe = &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "healthz", Port: intstr.FromInt32(8081)}},
	}
	_, err := client.AppsV1().Deployments(namespace).Create(t.Context(), slow, metav1.CreateOptions{})
	require.NoError(t, err)
	require.NoError(t, await.Deployment(t.Context(), client, namespace, "slow"))
}

// Whatever a ServiceEntry says of how a host outside is found, its stand-in answers, and no DNS is asked.
func TestHostsOutsideHaveStandIns(t *testing.T) {
	c, client := sharedCluster(t)
	namespace := newNamespace(t, client, map[string]string{"istio-injection": "enabled"})
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	require.NoError(t, err)
	dynamic, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	entries := dynamic.Resource(schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "serviceentries"}).Namespace(namespace)
	for resolution, host := range map[string]string{"NONE": "none.example.com", "DNS": "dns.example.com", "DYNAMIC_DNS": "*.dynamic.example.com"} {
		_, err = entries.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": map[string]any{"name": strings.ToLower(strings.ReplaceAll(resolution, "_", "-"))},
			"spec": map[string]any{
				"hosts": []any{host}, "resolution": resolution, "location": "MESH_EXTERNAL",
				"ports": []any{map[string]any{"number": int64(80), "name": "http", "protocol": "HTTP"}},
			},
		}}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	_, err = client.AppsV1().Deployments(namespace).Create(t.Context(), newDeployment("caller", 1), metav1.CreateOptions{})
	require.NoError(t, err)
	require.NoError(t, await.Deployment(t.Context(), client, namespace, "caller"))
	require.Eventually(t, func() bool {
		proxies, err := c.Proxies(t.Context())
		require.NoError(t, err)
		for _, p := range proxies {
			if p.Namespace == namespace && p.Synced {
				dump, err := c.ProxyConfig(t.Context(), p, "80")
				require.NoError(t, err)
				return strings.Contains(dump.String(), "none.example.com") && strings.Contains(dump.String(), "dynamic.example.com")
			}
		}
		return false
	}, 20*time.Second, 20*time.Millisecond)
	for _, host := range []string{"none.example.com", "dns.example.com", "a.dynamic.example.com"} {
		tally, err := c.Send(t.Context(), cluster.Place{Namespace: namespace, App: "caller"}, traffic.Load{URL: "http://" + host + "/", Requests: 10})
		require.NoError(t, err)
		assert.Equal(t, map[int]int{200: 10}, tally.Statuses, "%s: %v", host, tally.Failures)
	}
}

func TestTrafficGoesThroughRealProxies(t *testing.T) {
	c, client := sharedCluster(t)
	namespace := newNamespace(t, client, map[string]string{"istio-injection": "enabled"})
	for _, name := range []string{"web", "caller"} {
		_, err := client.AppsV1().Deployments(namespace).Create(t.Context(), newDeployment(name, 1), metav1.CreateOptions{})
		require.NoError(t, err)
	}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": "web"},
			Ports:    []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromInt32(8080)}},
		},
	}
	_, err := client.CoreV1().Services(namespace).Create(t.Context(), service, metav1.CreateOptions{})
	require.NoError(t, err)
	for _, name := range []string{"web", "caller"} {
		require.NoError(t, await.Deployment(t.Context(), client, namespace, name))
	}

	var mine []cluster.Proxy
	require.Eventually(t, func() bool {
		proxies, err := c.Proxies(t.Context())
		require.NoError(t, err)
		mine = slices.DeleteFunc(proxies, func(p cluster.Proxy) bool { return p.Namespace != namespace })
		return len(mine) == 2 && mine[0].Synced && mine[1].Synced && routes(t, c, mine[0])["80"]
	}, 20*time.Second, 20*time.Millisecond)
	for _, p := range mine {
		assert.False(t, p.Gateway)
		assert.Empty(t, p.Rejected)
	}

	from := cluster.Place{Namespace: namespace, App: "caller", Version: "v1"}
	tally, err := c.Send(t.Context(), from, traffic.Load{URL: "http://web/", App: "web", Requests: 200})
	require.NoError(t, err)
	assert.Equal(t, 200, tally.Requests)
	assert.Zero(t, tally.Errors, "%v", tally.Failures)
	assert.Equal(t, map[string]int{"v1": 200}, tally.Versions)

	from.App = "nobody"
	_, err = c.Send(t.Context(), from, traffic.Load{URL: "http://web/", App: "web", Requests: 1})
	require.ErrorIs(t, err, cluster.ErrNoPlace)
	_, err = c.ProxyConfig(t.Context(), cluster.Proxy{Namespace: namespace, Pod: "none"}, "")
	assert.EqualError(t, err, "Pod/"+namespace+"/none has no running proxy")
}

// TestPoliciesHoldThoughSidecarsAreLeftOut: what only passes on is left out of the way, and back in it as soon as it
// does something.
func TestPoliciesHoldThoughSidecarsAreLeftOut(t *testing.T) {
	c, client := sharedCluster(t)
	namespace := newNamespace(t, client, map[string]string{"istio-injection": "enabled"})
	for _, name := range []string{"web", "caller"} {
		_, err := client.AppsV1().Deployments(namespace).Create(t.Context(), newDeployment(name, 1), metav1.CreateOptions{})
		require.NoError(t, err)
	}
	_, err := client.CoreV1().Services(namespace).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": "web"},
			Ports:    []corev1.ServicePort{{Name: "http", Port: 8080}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	for _, name := range []string{"web", "caller"} {
		require.NoError(t, await.Deployment(t.Context(), client, namespace, name))
	}
	pods, err := client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app=web"})
	require.NoError(t, err)
	ip := netip.MustParseAddr(pods.Items[0].Status.PodIP)

	from := cluster.Place{Namespace: namespace, App: "caller"}
	statuses := func(n int) map[int]int {
		tally, err := c.Send(t.Context(), from, traffic.Load{URL: "http://web:8080/", Requests: n})
		require.NoError(t, err)
		return tally.Statuses
	}
	// arrives waits until the caller knows one address of the other pod, and is in sync.
	arrives := func(left bool) {
		t.Helper()
		require.Eventually(t, func() bool {
			proxies, err := c.Proxies(t.Context())
			require.NoError(t, err)
			for _, p := range proxies {
				if p.Namespace == namespace && strings.HasPrefix(p.Pod, "caller-") {
					return p.Synced && slices.Contains(endpoints(t, c, p), leftOutAddress(c, ip, left))
				}
			}
			return false
		}, 20*time.Second, 10*time.Millisecond)
	}
	arrives(true)
	assert.Equal(t, map[int]int{200: 100}, statuses(100))

	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	require.NoError(t, err)
	dynamic, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	policies := dynamic.Resource(schema.GroupVersionResource{Group: "security.istio.io", Version: "v1", Resource: "authorizationpolicies"}).Namespace(namespace)
	_, err = policies.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": map[string]any{"name": "nobody"}, "spec": map[string]any{},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
	arrives(false)
	assert.Equal(t, map[int]int{403: 100}, statuses(100), "nobody is allowed")

	require.NoError(t, policies.Delete(t.Context(), "nobody", metav1.DeleteOptions{}))
	arrives(true)
	assert.Equal(t, map[int]int{200: 100}, statuses(100))
}

// leftOutAddress is where others send what is for port 8080 of a pod.
func leftOutAddress(c *Cluster, pod netip.Addr, left bool) string {
	n := loopback.Net(c.supervisor.claim.net)
	if left {
		return netip.AddrPortFrom(n.App(pod), 8080).String()
	}
	return netip.AddrPortFrom(n.Inbound(pod), 8080).String()
}

// endpoints returns the addresses of all endpoints that a proxy knows.
func endpoints(t *testing.T, c *Cluster, p cluster.Proxy) []string {
	t.Helper()
	dump, err := c.ProxyConfig(t.Context(), p, "")
	require.NoError(t, err)
	var found []string
	for _, part := range dump.GetConfigs() {
		if !part.MessageIs(&adminv3.EndpointsConfigDump{}) {
			continue
		}
		all := &adminv3.EndpointsConfigDump{}
		require.NoError(t, part.UnmarshalTo(all))
		for _, dynamic := range all.GetDynamicEndpointConfigs() {
			load := &endpointv3.ClusterLoadAssignment{}
			require.NoError(t, dynamic.GetEndpointConfig().UnmarshalTo(load))
			for _, group := range load.GetEndpoints() {
				for _, e := range group.GetLbEndpoints() {
					socket := e.GetEndpoint().GetAddress().GetSocketAddress()
					found = append(found, net.JoinHostPort(socket.GetAddress(), strconv.Itoa(int(socket.GetPortValue()))))
				}
			}
		}
	}
	return found
}

// routes returns the names of the routes that a proxy has.
func routes(t *testing.T, c *Cluster, p cluster.Proxy) map[string]bool {
	t.Helper()
	dump, err := c.ProxyConfig(t.Context(), p, "")
	require.NoError(t, err)
	names := map[string]bool{}
	for _, part := range dump.GetConfigs() {
		if !part.MessageIs(&adminv3.RoutesConfigDump{}) {
			continue
		}
		all := &adminv3.RoutesConfigDump{}
		require.NoError(t, part.UnmarshalTo(all))
		for _, dynamic := range all.GetDynamicRouteConfigs() {
			route := &routev3.RouteConfiguration{}
			require.NoError(t, dynamic.GetRouteConfig().UnmarshalTo(route))
			names[route.GetName()] = true
		}
	}
	return names
}

func TestAdmissionIsReal(t *testing.T) {
	c, client := sharedCluster(t)
	namespace := newNamespace(t, client, map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "loose"}, Spec: newDeployment("loose", 1).Spec.Template.Spec}
	_, err := client.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	assert.ErrorContains(t, err, `violates PodSecurity "restricted:latest"`)

	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	require.NoError(t, err)
	dynamicClient, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	route := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
		"metadata": map[string]any{"name": "wrong"},
		"spec": map[string]any{"hosts": []any{"web"}, "http": []any{map[string]any{"route": []any{
			map[string]any{"destination": map[string]any{"host": "web"}, "weight": int64(-1)},
		}}}},
	}}
	resource := schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"}
	_, err = dynamicClient.Resource(resource).Namespace(namespace).Create(t.Context(), route, metav1.CreateOptions{})
	assert.ErrorContains(t, err, "validation.istio.io")
}

func TestOnlyTheClustersOwnCredentialsOpenIt(t *testing.T) {
	c, client := sharedCluster(t)
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	require.NoError(t, err)
	assert.False(t, config.Insecure)
	assert.NotEmpty(t, config.CAData)

	t.Run("nobody", func(t *testing.T) {
		nobody, err := kubernetes.NewForConfig(rest.AnonymousClientConfig(config))
		require.NoError(t, err)
		_, err = nobody.CoreV1().Secrets("istio-system").List(t.Context(), metav1.ListOptions{})
		assert.True(t, apierrors.IsForbidden(err), "%v", err)
	})
	t.Run("a service account without rights", func(t *testing.T) {
		asked := config
		asked.Impersonate.UserName = "system:serviceaccount:default:default"
		limited, err := kubernetes.NewForConfig(asked)
		require.NoError(t, err)
		_, err = limited.CoreV1().Secrets("istio-system").List(t.Context(), metav1.ListOptions{})
		assert.True(t, apierrors.IsForbidden(err), "%v", err)
		config.Impersonate.UserName = ""
	})
	t.Run("the credentials of another cluster", func(t *testing.T) {
		stranger, err := newAuthority("stranger")
		require.NoError(t, err)
		p, err := stranger.client("kubernetes-admin", masters)
		require.NoError(t, err)
		other := rest.CopyConfig(config)
		other.CertData, other.KeyData = p.cert, p.key
		strange, err := kubernetes.NewForConfig(other)
		require.NoError(t, err)
		_, err = strange.CoreV1().Secrets("istio-system").List(t.Context(), metav1.ListOptions{})
		assert.True(t, apierrors.IsUnauthorized(err), "%v", err)
	})
	t.Run("the kubelet's API", func(t *testing.T) {
		status, err := c.Status(t.Context())
		require.NoError(t, err)
		host, _, err := net.SplitHostPort(strings.TrimPrefix(status.Server, "https://"))
		require.NoError(t, err)
		kubelet := rest.CopyConfig(config)
		kubelet.Host = fmt.Sprintf("https://%s:%d", host, kubeletPort)
		admin, err := kubernetes.NewForConfig(kubelet)
		require.NoError(t, err)
		_, err = admin.RESTClient().Get().AbsPath("/").DoRaw(t.Context())
		assert.ErrorContains(t, err, "tls: ")
	})
	t.Run("files", func(t *testing.T) {
		require.NoError(t, filepath.WalkDir(c.dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return nil // etcd's files come and go
			}
			if info, err := entry.Info(); err == nil && entry.Type()&fs.ModeSocket == 0 && path == c.dir {
				assert.Zero(t, info.Mode().Perm()&0o077, "%s is open to others: %s", path, info.Mode())
			}
			return nil
		}))
	})
	_ = client
}

func TestTheServerSaysItsVersion(t *testing.T) {
	_, client := sharedCluster(t)
	version, err := client.Discovery().ServerVersion()
	require.NoError(t, err)
	assert.Regexp(t, `^v1\.\d+\.\d+$`, version.GitVersion)
	assert.Equal(t, "v"+version.Major+"."+version.Minor+".", version.GitVersion[:strings.LastIndex(version.GitVersion, ".")+1])
}

func TestIstiosKindsAreListed(t *testing.T) {
	_, client := sharedCluster(t)
	for version, kinds := range map[string][]string{
		"networking.istio.io/v1": {"virtualservices", "destinationrules", "gateways", "sidecars", "serviceentries"},
		"security.istio.io/v1":   {"peerauthentications", "authorizationpolicies"},
	} {
		list, err := client.Discovery().ServerResourcesForGroupVersion(version)
		require.NoError(t, err)
		for _, kind := range kinds {
			assert.True(t, slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == kind }), "%s %s is not listed", version, kind)
		}
	}
}

func TestHelmKnowsOfIstio(t *testing.T) {
	c, _ := sharedCluster(t)
	helm, err := helm3.New(c.Kubeconfig(), istioNamespace, nil)
	require.NoError(t, err)
	for _, chart := range []istioChart{istioBase, istiod, istioGateway} {
		release, err := helm.Status(t.Context(), chart.release)
		if assert.NoError(t, err, chart.release) {
			assert.Equal(t, "deployed", release.Status)
		}
	}
}

func TestNothingListensBeyondLoopback(t *testing.T) {
	c, _ := sharedCluster(t)
	status, err := c.Status(t.Context())
	require.NoError(t, err)
	pids := []int{status.Pid}
	for _, p := range status.Processes {
		pids = append(pids, p.Pid)
	}
	count := 0
	for _, pid := range pids {
		for _, address := range listening(t, pid) {
			count++
			ip := net.ParseIP(address)
			assert.True(t, ip.IsLoopback(), "process %d listens on %s", pid, address)
		}
	}
	assert.Greater(t, count, 8, "too few listeners were found for this test to mean anything")
}

// listening returns the addresses on which a process listens, from the kernel's tables.
func listening(t *testing.T, pid int) []string {
	t.Helper()
	sockets := map[string]string{} // inode → address
	for _, table := range []string{"tcp", "tcp6"} {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		require.NoError(t, err)
		for _, line := range strings.Split(string(data), "\n")[1:] {
			fields := strings.Fields(line)
			const stateListen = "0A"
			if len(fields) < 10 || fields[3] != stateListen {
				continue
			}
			host, _, _ := strings.Cut(fields[1], ":")
			sockets[fields[9]] = parseAddress(t, host)
		}
	}
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	require.NoError(t, err)
	var found []string
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil {
			continue // closed meanwhile
		}
		inode, isSocket := strings.CutPrefix(target, "socket:[")
		if address, ok := sockets[strings.TrimSuffix(inode, "]")]; isSocket && ok {
			found = append(found, address)
		}
	}
	return found
}

// parseAddress reads the kernel's form: words of four bytes in the machine's order (little-endian here).
func parseAddress(t *testing.T, text string) string {
	t.Helper()
	raw, err := hex.DecodeString(text)
	require.NoError(t, err)
	for i := 0; i < len(raw); i += 4 {
		slices.Reverse(raw[i : i+4])
	}
	return net.IP(raw).String()
}

func TestPortsAreForwarded(t *testing.T) {
	c, client := sharedCluster(t)
	require.NoError(t, await.Deployment(t.Context(), client, istioNamespace, "istiod"))
	for _, test := range []struct {
		selector string
		port     int
		path     string
		want     string
	}{
		{"app=istiod", 8080, "/ready", ""},                  // the process that the pod stands for
		{"istio=ingressgateway", 15000, "/ready", "LIVE\n"}, // Envoy's admin interface, as istioctl asks for it
	} {
		t.Run(fmt.Sprint(test.selector, ":", test.port), func(t *testing.T) {
			base := forward(t, c, client, test.selector, test.port)
			for range 3 { // a session takes one connection after the other
				resp, err := http.Get(base + test.path) //nolint:noctx // ends with the test's session
				require.NoError(t, err)
				body, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				require.NoError(t, resp.Body.Close())
				assert.Equal(t, http.StatusOK, resp.StatusCode, "%s", body)
				if test.want != "" {
					assert.Equal(t, test.want, string(body))
				}
				http.DefaultClient.CloseIdleConnections()
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		_, err := http.Get(forward(t, c, client, "istio=ingressgateway", 9)) //nolint:noctx // ends with the test's session
		assert.Error(t, err)
	})
}

// forward forwards a free port to the first pod of the selector and returns a URL.
func forward(t *testing.T, c *Cluster, client kubernetes.Interface, selector string, port int) string {
	t.Helper()
	pods, err := client.CoreV1().Pods(istioNamespace).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	require.NoError(t, err)
	require.NotEmpty(t, pods.Items)
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	require.NoError(t, err)
	transport, upgrader, err := spdy.RoundTripperFor(config)
	require.NoError(t, err)
	url := client.CoreV1().RESTClient().Post().Resource("pods").Namespace(istioNamespace).Name(pods.Items[0].Name).SubResource("portforward").URL()
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	ready := make(chan struct{})
	forwarder, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{fmt.Sprintf("0:%d", port)}, t.Context().Done(), ready, io.Discard, io.Discard)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- forwarder.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-ended:
		require.NoError(t, err)
	}
	ports, err := forwarder.GetPorts()
	require.NoError(t, err)
	return fmt.Sprintf("http://127.0.0.1:%d", ports[0].Local)
}

func TestTwoClustersSideBySide(t *testing.T) {
	first, firstClient := sharedCluster(t)
	o := programs(t, Options{Name: "second", Dir: shortDir(t)})
	second, err := Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = second.Stop(context.Background()) })
	secondClient := clientOf(t, second)

	one, err := first.Status(t.Context())
	require.NoError(t, err)
	two, err := second.Status(t.Context())
	require.NoError(t, err)
	assert.NotEqual(t, host(t, one.Server), host(t, two.Server))

	namespace := newNamespace(t, secondClient, nil)
	_, err = firstClient.CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{})
	assert.True(t, apierrors.IsNotFound(err), "the first cluster has what was made in the second")
	_, err = secondClient.AppsV1().Deployments(namespace).Create(t.Context(), newDeployment("web", 2), metav1.CreateOptions{})
	require.NoError(t, err)
	require.NoError(t, await.Deployment(t.Context(), secondClient, namespace, "web"))

	_, err = Start(t.Context(), o)
	require.ErrorIs(t, err, ErrExists)

	all, err := list(t.Context(), o.Dir)
	require.NoError(t, err)
	require.Len(t, all, 1)
	assert.Equal(t, "second", all[0].Name)

	require.NoError(t, second.Stop(t.Context()))
	requireNothingLeft(t, o)
	one, err = first.Status(t.Context())
	require.NoError(t, err)
	assert.Empty(t, one.Failure)
	_, open := <-second.Failed()
	assert.False(t, open, "a stopped cluster has not failed")
}

func host(t *testing.T, server string) string {
	t.Helper()
	host, _, err := net.SplitHostPort(strings.TrimPrefix(server, "https://"))
	require.NoError(t, err)
	return host
}

func TestADeadProcessIsReportedWithItsLastWords(t *testing.T) {
	o := programs(t, Options{Name: "death", Dir: shortDir(t)})
	c, err := Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Stop(context.Background()) })
	failed := c.Failed()
	status, err := c.Status(t.Context())
	require.NoError(t, err)
	i := slices.IndexFunc(status.Processes, func(p Process) bool { return strings.HasPrefix(p.Name, "envoy of istio-ingressgateway") })
	require.GreaterOrEqual(t, i, 0)
	require.NoError(t, syscall.Kill(status.Processes[i].Pid, syscall.SIGKILL))
	select {
	case err := <-failed:
		assert.ErrorContains(t, err, "envoy of istio-ingressgateway")
		assert.ErrorContains(t, err, "died (signal: killed); its last words:")
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was reported")
	}
	status, err = c.Status(t.Context())
	require.NoError(t, err)
	assert.Contains(t, status.Failure, "died (signal: killed); its last words:")
	require.NoError(t, c.Stop(t.Context()))
	requireNothingLeft(t, o)
}

func TestADeathDuringTheStartEndsIt(t *testing.T) {
	o := programs(t, Options{Name: "stillborn", Dir: shortDir(t)})
	script := filepath.Join(t.TempDir(), "controlplane")
	text := "#!/bin/sh\n[ \"$1\" = kube-apiserver ] || exec " + o.ControlPlane + " \"$@\"\necho 'no such flag: --wings' >&2\nexit 3\n"
	require.NoError(t, os.WriteFile(script, []byte(text), 0o755))
	o.ControlPlane = script
	begin := time.Now()
	_, err := Start(t.Context(), o)
	assert.EqualError(t, err, "start cluster stillborn: kube-apiserver died (exit status 3); its last words:\n  no such flag: --wings")
	assert.Less(t, time.Since(begin), 5*time.Second)
	requireNothingLeft(t, o)
}

func TestACancelledStartLeavesNothing(t *testing.T) {
	o := programs(t, Options{Name: "cancelled", Dir: shortDir(t)})
	for _, at := range []string{"Kubernetes API server takes objects", "node ready", "istiod ready"} {
		t.Run(at, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			o.Progress = func(line string) {
				if strings.Contains(line, at) {
					cancel()
				}
			}
			_, err := Start(ctx, o)
			require.ErrorIs(t, err, context.Canceled)
			requireNothingLeft(t, o)
		})
	}
}

func TestAKilledSupervisorLeavesNoProcess(t *testing.T) {
	o := programs(t, Options{Name: "killed", Dir: shortDir(t)})
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), asRole("start", o)...)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
	dir := filepath.Join(o.Dir, o.Name)
	require.GreaterOrEqual(t, len(processesOf(t, dir)), 5, "the processes of the cluster are not found by their command lines")

	c, err := open(t.Context(), o)
	require.NoError(t, err)
	failed := c.Failed()
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	require.Eventually(t, func() bool { return len(processesOf(t, dir)) == 0 }, 5*time.Second, 5*time.Millisecond)
	assert.ErrorContains(t, <-failed, "the process that holds cluster killed is gone")

	// What it left in its directory is found stale, and removed by whoever comes next.
	assert.DirExists(t, dir)
	_, err = open(t.Context(), o)
	require.ErrorIs(t, err, ErrNotRunning)
	require.NoError(t, removeStale(o.Dir))
	assert.NoDirExists(t, dir)
}

func TestCreateOutlivesItsProcessUntilDelete(t *testing.T) {
	o := programs(t, Options{Name: "created", Dir: shortDir(t)})
	for _, variable := range asRole("serve", o) {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	var lines []string
	o.Progress = func(line string) { lines = append(lines, line) }
	c, existed, err := Create(t.Context(), o, []string{os.Args[0]})
	require.NoError(t, err)
	assert.False(t, existed)
	assert.Contains(t, strings.Join(lines, "\n"), "ingress gateway ready")
	status, err := c.Status(t.Context())
	require.NoError(t, err)
	session, err := sessionOf(status.Pid)
	require.NoError(t, err)
	assert.Equal(t, status.Pid, session, "the supervisor has a session of its own")

	other, existed, err := Create(t.Context(), o, []string{"/bin/false"})
	require.NoError(t, err)
	assert.True(t, existed)
	failed := other.Failed()

	found, err := remove(t.Context(), o)
	require.NoError(t, err)
	assert.True(t, found)
	requireNothingLeft(t, o)
	failure, open := <-failed
	assert.False(t, open, "a cluster that somebody stopped has not failed: %v", failure)
	found, err = remove(t.Context(), o)
	require.NoError(t, err)
	assert.False(t, found)
}

func TestAnAbandonedCreateLeavesNothing(t *testing.T) {
	o := programs(t, Options{Name: "abandoned", Dir: shortDir(t)})
	for _, variable := range asRole("serve", o) {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Progress = func(string) { cancel() }
	_, _, err := Create(ctx, o, []string{os.Args[0]})
	require.ErrorIs(t, err, context.Canceled)
	requireNothingLeft(t, o)
}

func TestCreateTellsWhatTheSupervisorLastSaid(t *testing.T) {
	o := programs(t, Options{Name: "broken", Dir: shortDir(t)})
	_, _, err := Create(t.Context(), o, []string{"/bin/sh", "-c", "echo 'panic: no' >&2; exit 2"})
	assert.EqualError(t, err, "the supervisor of cluster broken died (exit status 2); its last words:\n  panic: no")
}

func sessionOf(pid int) (int, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// After the command in parentheses: state, parent, group, session.
	_, rest, _ := strings.Cut(string(data), ") ")
	return strconv.Atoi(strings.Fields(rest)[3])
}

func newNamespace(t *testing.T, client kubernetes.Interface, labels map[string]string) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-", Labels: labels}}
	ns, err := client.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{})
	require.NoError(t, err)
	return ns.Name
}

func newDeployment(name string, replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": name, "version": "v1"}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "app", Image: "registry.example/app:1", Ports: []corev1.ContainerPort{{ContainerPort: 8080}},
				}}},
			},
		},
	}
}
