package test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	measure "chartbasico/pkg/assert"
)

// Sidecars are exactly where the labels of namespace and pod ask for them, by the real webhook.
func TestInjection(t *testing.T) {
	config, err := clientcmd.BuildConfigFromFlags("", shared(t).Kubeconfig())
	require.NoError(t, err)
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		namespace, pod map[string]string
		want           bool
	}{
		"labelled namespace":                {map[string]string{"istio-injection": "enabled"}, nil, true},
		"labelled namespace, pod refuses":   {map[string]string{"istio-injection": "enabled"}, map[string]string{"sidecar.istio.io/inject": "false"}, false},
		"namespace without label":           {nil, nil, false},
		"namespace without label, pod asks": {nil, map[string]string{"sidecar.istio.io/inject": "true"}, true},
		"disabled namespace, pod asks":      {map[string]string{"istio-injection": "disabled"}, map[string]string{"sidecar.istio.io/inject": "true"}, false},
		"namespace of the default revision": {map[string]string{"istio.io/rev": "default"}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := within(t, 30*time.Second)
			ns, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "injection-", Labels: c.namespace}}, metav1.CreateOptions{})
			require.NoError(t, err)
			t.Cleanup(func() {
				require.NoError(t, client.CoreV1().Namespaces().Delete(context.WithoutCancel(ctx), ns.Name, metav1.DeleteOptions{}))
			})
			admit := func() *corev1.Pod {
				pod, err := client.CoreV1().Pods(ns.Name).Create(ctx, &corev1.Pod{
					ObjectMeta: metav1.ObjectMeta{Name: "probe", Labels: c.pod},
					Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "probe", Image: "registry.k8s.io/pause:3.10"}}},
				}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
				require.NoError(t, err)
				return pod
			}
			pod := admit()
			expected, reason := measure.InjectionExpected(pod, ns)
			assert.Equalf(t, c.want, expected, "%s", reason)
			judged := measure.Injected(pod, ns)
			assert.Truef(t, judged.Pass, "%+v", judged)

			// The same pod under a namespace that asks for the opposite must not pass.
			other := ns.DeepCopy()
			other.Labels = map[string]string{"istio-injection": map[bool]string{true: "disabled", false: "enabled"}[c.want]}
			stripped := pod.DeepCopy()
			delete(stripped.Labels, "sidecar.istio.io/inject")
			assert.False(t, measure.Injected(stripped, other).Pass)
		})
	}
}
