package assert

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type labels = map[string]string

func namespace(name string, l labels) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: l}}
}

// places of a sidecar in a pod.
const (
	nowhere   = ""
	container = "container"
	native    = "native"
	plainInit = "init" // one that ends is no sidecar
)

func pod(l, annotations labels, sidecar string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app-0", Labels: l, Annotations: annotations}}
	p.Spec.Containers = []corev1.Container{{Name: "app"}}
	proxy := corev1.Container{Name: "istio-proxy"}
	switch sidecar {
	case container:
		p.Spec.Containers = append(p.Spec.Containers, proxy)
	case native:
		always := corev1.ContainerRestartPolicyAlways
		proxy.RestartPolicy = &always
		p.Spec.InitContainers = []corev1.Container{{Name: "istio-init"}, proxy}
	case plainInit:
		p.Spec.InitContainers = []corev1.Container{proxy}
	}
	return p
}

func TestInjected(t *testing.T) {
	enabled, disabled := labels{"istio-injection": "enabled"}, labels{"istio-injection": "disabled"}
	revision := labels{"istio.io/rev": "1-31"}
	yes, no := labels{"sidecar.istio.io/inject": "true"}, labels{"sidecar.istio.io/inject": "false"}
	for name, c := range map[string]struct {
		namespace, pod, annotations labels
		expected                    bool
		reason                      string
	}{
		"enabled namespace":              {enabled, nil, nil, true, "namespace label istio-injection=enabled"},
		"revision of namespace":          {revision, nil, nil, true, "namespace label istio.io/rev=1-31"},
		"no label":                       {nil, nil, nil, false, "no label of the namespace or the pod asks for it"},
		"disabled namespace":             {disabled, nil, nil, false, "namespace label istio-injection=disabled"},
		"pod asks":                       {nil, yes, nil, true, "pod label sidecar.istio.io/inject=true"},
		"pod names a revision":           {nil, revision, nil, true, "pod label istio.io/rev=1-31"},
		"pod refuses":                    {enabled, no, nil, false, "pod label sidecar.istio.io/inject=false"},
		"pod refuses a revision":         {revision, no, nil, false, "pod label sidecar.istio.io/inject=false"},
		"pod asks in disabled namespace": {disabled, yes, nil, false, "namespace label istio-injection=disabled"},
		"disabled wins over revision":    {labels{"istio-injection": "disabled", "istio.io/rev": "1-31"}, nil, nil, false, "namespace label istio-injection=disabled"},
		"annotation refuses":             {enabled, nil, no, false, "pod annotation sidecar.istio.io/inject=false"},
		"label wins over annotation":     {enabled, yes, no, true, "namespace label istio-injection=enabled"},
		"annotation alone cannot ask":    {nil, nil, yes, false, "no label of the namespace or the pod asks for it"},
	} {
		t.Run(name, func(t *testing.T) {
			ns := namespace("shop", c.namespace)
			with, without := "", "Pod/shop/app-0: found no sidecar, expected sidecar, for "+c.reason
			if !c.expected {
				with, without = "Pod/shop/app-0: found sidecar, expected no sidecar, for "+c.reason, ""
			}
			verdict(t, with, Injected(pod(c.pod, c.annotations, container), ns))
			verdict(t, with, Injected(pod(c.pod, c.annotations, native), ns))
			verdict(t, without, Injected(pod(c.pod, c.annotations, nowhere), ns))
			verdict(t, without, Injected(pod(c.pod, c.annotations, plainInit), ns))
		})
	}
	t.Run("system namespace", func(t *testing.T) {
		ns := namespace("kube-system", enabled)
		verdict(t, "", Injected(pod(yes, nil, nowhere), ns))
		verdict(t, "Pod/shop/app-0: found sidecar, expected no sidecar, for a system namespace", Injected(pod(yes, nil, native), ns))
	})
	t.Run("host network", func(t *testing.T) {
		p := pod(nil, nil, nowhere)
		p.Spec.HostNetwork = true
		verdict(t, "", Injected(p, namespace("shop", enabled)))
	})
}

func TestSynced(t *testing.T) {
	good := Proxy{Name: "bookinfo/reviews-v1-0", Synced: true}
	verdict(t, "", Synced([]Proxy{good}))
	verdict(t, "bookinfo/details-v1-0 is not in sync", Synced([]Proxy{good, {Name: "bookinfo/details-v1-0"}}))
	verdict(t, "istio-system/gateway rejected: duplicate listener | bad cluster",
		Synced([]Proxy{good, {Name: "istio-system/gateway", Synced: true, Rejected: []string{"duplicate listener", "bad cluster"}}}))
	verdict(t, "no proxies, so nothing was measured", Synced(nil))
}
