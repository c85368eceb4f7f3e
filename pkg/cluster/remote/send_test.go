package remote

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/traffic"
)

func TestInCluster(t *testing.T) {
	t.Parallel()
	gateway := func(address string) *corev1.Service {
		return &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "istio-system", Name: "istio-ingressgateway"},
			Spec:       corev1.ServiceSpec{ClusterIP: address, Ports: []corev1.ServicePort{{Port: 80}, {Port: 8080}}},
		}
	}
	for name, tt := range map[string]struct {
		load            traffic.Load
		address         string
		url, host       string
		wantErrIncludes string
	}{
		"the host of the URL is asked for": {
			load: traffic.Load{URL: "http://shop.example.com/page?x=1"}, address: "10.0.0.7",
			url: "http://10.0.0.7:80/page?x=1", host: "shop.example.com",
		},
		"a host that is given stays": {
			load: traffic.Load{URL: "http://gateway:8080/", Host: "shop.example.com"}, address: "fd00::7",
			url: "http://[fd00::7]:8080/", host: "shop.example.com",
		},
		"a port that the gateway lacks": {
			load: traffic.Load{URL: "http://shop.example.com:81/"}, address: "10.0.0.7",
			wantErrIncludes: "the ingress gateway's Service/istio-system/istio-ingressgateway has no port 81",
		},
		"a gateway without an address": {
			load: traffic.Load{URL: "http://shop.example.com/"}, address: "",
			wantErrIncludes: "Service/istio-system/istio-ingressgateway has no address in the cluster",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := inCluster(tt.load, gateway(tt.address))
			if tt.wantErrIncludes != "" {
				require.ErrorContains(t, err, tt.wantErrIncludes)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.url, got.URL)
			assert.Equal(t, tt.host, got.Host)
		})
	}
}

// A container that ended is never started again, so another one sends.
func TestSenderOf(t *testing.T) {
	t.Parallel()
	pod := func(ephemeral, ended []string, containers ...string) *corev1.Pod {
		p := &corev1.Pod{}
		for _, name := range containers {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: name})
		}
		for _, name := range ephemeral {
			p.Spec.EphemeralContainers = append(p.Spec.EphemeralContainers, corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: name}})
		}
		for _, name := range ended {
			p.Status.EphemeralContainerStatuses = append(p.Status.EphemeralContainerStatuses, corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}})
		}
		return p
	}
	for name, c := range map[string]struct {
		pod   *corev1.Pod
		want  string
		there bool
	}{
		"none":           {pod(nil, nil, "app"), "basico-sender", false},
		"the Job's":      {pod(nil, nil, "basico-sender"), "basico-sender", true},
		"it runs":        {pod([]string{"basico-sender"}, nil, "app"), "basico-sender", true},
		"it ended":       {pod([]string{"basico-sender"}, []string{"basico-sender"}, "app"), "basico-sender-2", false},
		"another runs":   {pod([]string{"basico-sender", "basico-sender-2"}, []string{"basico-sender"}, "app"), "basico-sender-2", true},
		"both ended":     {pod([]string{"basico-sender", "basico-sender-2"}, []string{"basico-sender", "basico-sender-2"}, "app"), "basico-sender-3", false},
		"somebody's own": {pod([]string{"debugger"}, []string{"debugger"}, "app"), "basico-sender", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, there := senderOf(c.pod)
			assert.Equal(t, c.want, got)
			assert.Equal(t, c.there, there)
		})
	}
}

// A pod whose status changes in the same moment is asked for again.
func TestContainerOfAPodThatChanges(t *testing.T) {
	t.Parallel()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "istio-proxy", Image: "istio/proxyv2:1.31.0-distroless"}}},
	}
	client := fake.NewClientset(pod)
	conflicts := 0
	client.PrependReactor("update", "pods", func(action ktesting.Action) (bool, runtime.Object, error) {
		if action.GetSubresource() == "ephemeralcontainers" && conflicts == 0 {
			conflicts++
			return true, nil, apierrors.NewConflict(corev1.Resource("pods"), "web", nil)
		}
		return false, nil, nil
	})
	s := &sender{cluster: &Cluster{client: client}, pod: pod}
	require.NoError(t, s.addContainer(t.Context()))
	assert.Equal(t, 1, conflicts)
	got, err := client.CoreV1().Pods("shop").Get(t.Context(), "web", metav1.GetOptions{})
	require.NoError(t, err)
	require.Len(t, got.Spec.EphemeralContainers, 1)
	assert.Equal(t, "istio/proxyv2:1.31.0", got.Spec.EphemeralContainers[0].Image, "a distroless one has no shell")
}

func TestWithShell(t *testing.T) {
	t.Parallel()
	for image, want := range map[string]string{
		"istio/proxyv2:1.31.0":                                   "istio/proxyv2:1.31.0",
		"istio/proxyv2:1.31.0-distroless":                        "istio/proxyv2:1.31.0",
		"istio/proxyv2:1.31.0@sha256:abcdef":                     "istio/proxyv2:1.31.0@sha256:abcdef",
		"localhost:5000/proxyv2:1.31.0-distroless@sha256:abcdef": "localhost:5000/proxyv2:1.31.0",
		"localhost:5000/istio-distroless/proxyv2@sha256:abcdef":  "localhost:5000/istio-distroless/proxyv2@sha256:abcdef",
	} {
		assert.Equal(t, want, withShell(image))
	}
}

// Where this machine does not reach the nodes, the requests are sent from inside.
func TestNodesAreReached(t *testing.T) {
	t.Parallel()
	open, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	c := &Cluster{}
	assert.True(t, c.reaches(t.Context(), map[string]string{"443": closed.Addr().String(), "80": open.Addr().String()}))
	require.NoError(t, open.Close())
	assert.True(t, c.reaches(t.Context(), map[string]string{"80": open.Addr().String()}), "it is asked once")
	assert.False(t, new(Cluster).reaches(t.Context(), map[string]string{"80": open.Addr().String()}))
}

// What says nothing of the network is not remembered.
func TestNodesThatMayBeReached(t *testing.T) {
	t.Parallel()
	gateway, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer gateway.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	ready := map[string]string{"80": gateway.Addr().String()}

	c := &Cluster{}
	assert.False(t, c.reaches(t.Context(), map[string]string{"80": closed.Addr().String()}), "it refuses")
	assert.True(t, c.reaches(t.Context(), ready))

	c = &Cluster{}
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	assert.False(t, c.reaches(interrupted, ready), "it was not asked")
	assert.True(t, c.reaches(t.Context(), ready))

	c = &Cluster{}
	assert.False(t, c.reaches(t.Context(), map[string]string{"80": "127.0.0.1:port"}), "there is no way")
	assert.False(t, c.reaches(t.Context(), ready), "it is asked once")
}

// A gateway without a NodePort is sent to from inside, which says nothing of those that have one.
func TestAGatewayWithoutANodePort(t *testing.T) {
	t.Parallel()
	node, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer node.Close()
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "edge"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
	c := &Cluster{nodesNear: true, client: fake.NewClientset(&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "a"}, Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}},
	})}
	ports, err := c.near(t.Context(), service)
	require.NoError(t, err)
	assert.Empty(t, ports)
	service.Spec.Ports[0].NodePort = int32(node.Addr().(*net.TCPAddr).Port)
	ports, err = c.near(t.Context(), service)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"80": node.Addr().String()}, ports)
	c.nodesNear = false
	ports, err = c.near(t.Context(), service)
	require.NoError(t, err)
	assert.Empty(t, ports)
}

func TestGateway(t *testing.T) {
	t.Parallel()
	ingress := map[string]string{"istio": "ingressgateway"}
	pod := func(namespace, name string, labels map[string]string) runtime.Object {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
			Status:     corev1.PodStatus{Phase: corev1.PodRunning},
		}
	}
	service := func(namespace, name, address string, selector map[string]string) runtime.Object {
		return &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec:       corev1.ServiceSpec{ClusterIP: address, Selector: selector},
		}
	}
	istios := pod("istio-system", "a-1", map[string]string{"istio": "ingressgateway", "app": "a"})
	for name, c := range map[string]struct {
		objects []runtime.Object
		from    cluster.Place
		want    string // namespace/name, or a part of the error
	}{
		"one": {[]runtime.Object{istios, service("istio-system", "a", "10.0.0.1", ingress)}, cluster.Place{}, "istio-system/a"},
		"several": {[]runtime.Object{
			istios, service("istio-system", "a", "10.0.0.1", ingress),
			pod("edge", "b-1", ingress), service("edge", "b", "10.0.0.2", ingress), service("edge", "a", "10.0.0.3", ingress),
		}, cluster.Place{}, "edge/a"},
		"one without an address": {[]runtime.Object{
			istios, service("istio-system", "a", corev1.ClusterIPNone, ingress), service("istio-system", "b", "10.0.0.1", ingress),
		}, cluster.Place{}, "istio-system/b"},
		"what others select": {[]runtime.Object{
			istios, service("istio-system", "a", "10.0.0.1", nil), service("edge", "b", "10.0.0.2", ingress),
			service("istio-system", "c", "10.0.0.3", map[string]string{"app": "c"}), service("istio-system", "d", "10.0.0.4", map[string]string{"app": "a"}),
		}, cluster.Place{}, "istio-system/d"},
		"a team's own": {[]runtime.Object{
			istios, service("istio-system", "a", "10.0.0.1", ingress),
			pod("edge", "b-1", map[string]string{"istio": "ingress", "app": "b"}), service("edge", "b", "10.0.0.2", map[string]string{"app": "b", "istio": "ingress"}),
		}, cluster.Place{Gateway: "app=b,istio=ingress"}, "edge/b"},
		"no pod":                 {[]runtime.Object{service("istio-system", "a", "10.0.0.1", ingress)}, cluster.Place{}, "no pod labelled istio=ingressgateway runs"},
		"no Service":             {[]runtime.Object{istios}, cluster.Place{}, "expected one"},
		"all without an address": {[]runtime.Object{istios, service("istio-system", "a", corev1.ClusterIPNone, ingress)}, cluster.Place{}, "expected one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := (&Cluster{client: fake.NewClientset(c.objects...)}).gateway(t.Context(), c.from)
			if !strings.Contains(c.want, "/") {
				require.ErrorContains(t, err, c.want)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.want, got.Namespace+"/"+got.Name)
		})
	}
}
