package remote

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
)

// What is missing of Istio is said, all of it, and what to do.
func TestFindIstio(t *testing.T) {
	t.Parallel()
	hook := &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "istio-sidecar-injector-canary"},
		Webhooks:   []admissionv1.MutatingWebhook{{Name: "rev.namespace.sidecar-injector.istio.io"}},
	}
	another := &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "another"}, Webhooks: []admissionv1.MutatingWebhook{{Name: "pods.policy.example"}},
	}
	istiod := func(ready corev1.ConditionStatus) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "istio-system", Name: "istiod", Labels: map[string]string{"app": "istiod"}},
			Status:     corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}},
		}
	}
	const noCRDs, noHook, noIstiod = "no CRDs of networking.istio.io/v1", "no MutatingWebhookConfiguration that injects sidecars", "no ready pod labelled app=istiod in namespace istio-system"
	for name, c := range map[string]struct {
		crds    bool
		objects []runtime.Object
		lacks   []string
	}{
		"all of it":           {true, []runtime.Object{hook, istiod(corev1.ConditionTrue)}, nil},
		"nothing":             {false, []runtime.Object{another}, []string{noCRDs, noHook, noIstiod}},
		"CRDs alone":          {true, nil, []string{noHook, noIstiod}},
		"no webhook":          {true, []runtime.Object{another, istiod(corev1.ConditionTrue)}, []string{noHook}},
		"istiod is not ready": {true, []runtime.Object{hook, istiod(corev1.ConditionFalse)}, []string{noIstiod}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := fake.NewClientset(c.objects...)
			if c.crds {
				client.Resources = []*metav1.APIResourceList{{GroupVersion: "networking.istio.io/v1"}}
			}
			err := (&Cluster{client: client}).findIstio(t.Context())
			if c.lacks == nil {
				require.NoError(t, err)
				return
			}
			for _, what := range []string{noCRDs, noHook, noIstiod} {
				says := assert.NotContains
				for _, l := range c.lacks {
					if l == what {
						says = assert.Contains
					}
				}
				says(t, err.Error(), what)
			}
			require.ErrorContains(t, err, "install it with istioctl install")
		})
	}
}
