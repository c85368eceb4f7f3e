package remote

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/traffic"
)

func podOf(name, version string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{"app": "cart", "version": version}}}
}

// A pod that comes, or goes, while requests are sent answers as what it is.
func TestPodsOfAnAppAreFollowedWhileItIsSent(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset(podOf("cart-v1-a", "v1"))
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 20 {
			_, err := client.CoreV1().Pods("shop").Create(t.Context(), podOf("cart-v2-b", "v2"), metav1.CreateOptions{})
			assert.NoError(t, err)
			assert.NoError(t, client.CoreV1().Pods("shop").Delete(t.Context(), "cart-v1-a", metav1.DeleteOptions{}))
		}
		if asked.Load() < 20 {
			fmt.Fprint(w, "on cart-v1-a")
			return
		}
		fmt.Fprint(w, "on cart-v2-b")
	}))
	defer server.Close()
	host, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	_, err = client.CoreV1().Nodes().Create(t.Context(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "node"},
		Status:     corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: host}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	ingress := map[string]string{"istio": "ingressgateway"}
	_, err = client.CoreV1().Pods("istio-system").Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "gateway-a", Labels: ingress}, Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = client.CoreV1().Services("istio-system").Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "gateway"},
		Spec:       corev1.ServiceSpec{Selector: ingress, Ports: []corev1.ServicePort{{Port: 80, NodePort: int32(number)}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	c := &Cluster{client: client, nodesNear: true}
	tally, err := c.Send(t.Context(), cluster.Place{}, traffic.Load{URL: "http://shop.example/", App: "cart", Requests: 50, Concurrency: 1})
	require.NoError(t, err)
	assert.Zero(t, tally.Errors, tally.Failures)
	assert.Equal(t, map[string]int{"v1": 19, "v2": 31}, tally.Versions)
}

// One that came and went in between is known after it has gone.
func TestAPodThatCameAndWentIsKnown(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset()
	c := &Cluster{client: client}
	f, stop, err := c.follow(t.Context(), "cart")
	require.NoError(t, err)
	defer stop()
	pods := client.CoreV1().Pods("shop")
	made, listed := 0, 0
	require.Eventually(t, func() bool { // until there are more than its list has: the watch has begun
		made++
		_, err := pods.Create(t.Context(), podOf(fmt.Sprintf("cart-v1-%d", made), "v1"), metav1.CreateOptions{})
		assert.NoError(t, err)
		n := len(f.seen())
		if listed == 0 {
			listed = n
		}
		return n > listed
	}, 10*time.Second, 5*time.Millisecond)
	_, err = pods.Create(t.Context(), podOf("cart-v2-x", "v2"), metav1.CreateOptions{})
	require.NoError(t, err)
	require.NoError(t, pods.Delete(t.Context(), "cart-v2-x", metav1.DeleteOptions{}))
	require.Eventually(t, func() bool { return f.after(t.Context())["cart-v2-x"] == "v2" }, 10*time.Second, time.Millisecond)
}
