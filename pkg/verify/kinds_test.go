package verify

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"

	"chartbasico/pkg/render"
	"chartbasico/pkg/report"
)

func peerAuthentication(spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
		"metadata": map[string]any{"namespace": "shop", "name": "a"}, "spec": spec,
	}}
}

func TestStricts(t *testing.T) {
	found, err := stricts([]*render.Release{{Objects: []*unstructured.Unstructured{
		peerAuthentication(map[string]any{"mtls": map[string]any{"mode": "PERMISSIVE"}}),
		peerAuthentication(map[string]any{
			"selector": map[string]any{"matchLabels": map[string]any{"app": "cart"}},
			"mtls":     map[string]any{"mode": "STRICT"}, "portLevelMtls": map[string]any{"9000": map[string]any{"mode": "DISABLE"}},
		}),
	}}})
	require.NoError(t, err)
	require.Len(t, found, 1)
	assert.True(t, found[0].except[9000])
	assert.False(t, found[0].except[8080])
	assert.True(t, found[0].covers(pod("a", "cart", "v1", "", true)))
	assert.False(t, found[0].covers(pod("a", "cart", "v1", "", false)), "without a sidecar nobody demands it")
	assert.False(t, found[0].covers(pod("a", "front", "v1", "", true)))
}

func TestAppPorts(t *testing.T) {
	p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{
		{Name: "cart", Ports: []corev1.ContainerPort{{ContainerPort: 8080}, {ContainerPort: 53, Protocol: corev1.ProtocolUDP}, {ContainerPort: 8081, Protocol: corev1.ProtocolTCP}}},
		{Name: "istio-proxy", Ports: []corev1.ContainerPort{{ContainerPort: 15090}}},
	}}}
	assert.Equal(t, []int32{8080, 8081}, appPorts(p))
}

func TestSpeaksHTTP(t *testing.T) {
	assert.True(t, speaksHTTP(corev1.ServicePort{Name: "http"}))
	assert.True(t, speaksHTTP(corev1.ServicePort{Name: "http-web"}))
	assert.True(t, speaksHTTP(corev1.ServicePort{Name: "web", AppProtocol: ptr.To("http")}))
	assert.False(t, speaksHTTP(corev1.ServicePort{Name: "https"}))
	assert.False(t, speaksHTTP(corev1.ServicePort{Name: "http", AppProtocol: ptr.To("tcp")}))
}

func TestAddressOfANode(t *testing.T) {
	n := corev1.Node{Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "10.0.0.1"}, {Type: corev1.NodeExternalIP, Address: "198.51.100.1"}}}}
	address, err := addressOf(n)
	require.NoError(t, err)
	assert.Equal(t, "198.51.100.1", address)
	n.Status.Addresses = n.Status.Addresses[:1]
	address, err = addressOf(n)
	require.NoError(t, err)
	assert.Equal(t, "10.0.0.1", address)
	_, err = addressOf(corev1.Node{})
	require.Error(t, err)
}

// A Job that is not there any more has ended, where its specification or Helm says that it goes.
func TestJobsThatAreGone(t *testing.T) {
	job := func(spec, annotations map[string]any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"kind": "Job", "metadata": map[string]any{"namespace": "shop", "name": "setup", "annotations": annotations}, "spec": spec}}
	}
	kinds := func(o *unstructured.Unstructured) (*routed, error) {
		r := cart(t, nil)
		r.installer = installerOn(t, nil)
		r.releases = []*render.Release{{Objects: []*unstructured.Unstructured{o}}}
		return r, r.workloadKinds(t.Context())
	}
	r, err := kinds(job(map[string]any{"ttlSecondsAfterFinished": int64(0)}, nil))
	require.NoError(t, err)
	assert.True(t, the(t, r, "a Job ends").Pass)
	r, err = kinds(job(nil, map[string]any{"helm.sh/hook": "pre-delete"}))
	require.NoError(t, err)
	assert.Equal(t, []report.NotRun{{Environment: "shop", What: "the end of Job/shop/setup", Reason: "it is a hook of Helm's (pre-delete), and not there", Expected: true}}, r.report.NotRun)
	_, err = kinds(job(nil, nil))
	require.ErrorContains(t, err, "not found")
}
