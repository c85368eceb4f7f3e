package assert

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

const (
	injectionLabel = "istio-injection"         // of a namespace: enabled, disabled
	revisionLabel  = "istio.io/rev"            // of a namespace or pod: the name of a control plane
	injectLabel    = "sidecar.istio.io/inject" // of a pod: "true", "false"; as annotation too, which is older
	proxyContainer = "istio-proxy"
)

// systemNamespaces are never injected, whatever their labels.
var systemNamespaces = []string{"kube-system", "kube-public", "kube-node-lease", "local-path-storage"}

// Injected judges whether a pod has Istio's sidecar exactly if the labels of its namespace and of its own ask for it,
// by the rules of Istio's injection webhook as installed by its chart (enableNamespacesByDefault off), for a control
// plane of every revision that is named and one of the default revision. A native sidecar, among the init containers,
// is one too.
func Injected(pod *corev1.Pod, namespace *corev1.Namespace) Judgement {
	expected, reason := InjectionExpected(pod, namespace)
	container, place := sidecar(pod)
	words := map[bool]string{true: "sidecar", false: "no sidecar"}
	j := certain(words[expected]+": "+reason, words[container != nil]+place)
	if expected != (container != nil) {
		return certain(j.Want, j.Got, fmt.Sprintf("Pod/%s/%s: found %s, expected %s, for %s", pod.Namespace, pod.Name, words[container != nil], words[expected], reason))
	}
	return j
}

// sidecar returns a pod's proxy container, if it has one, and where it is, in words.
func sidecar(pod *corev1.Pod) (*corev1.Container, string) {
	for i, c := range pod.Spec.Containers {
		if c.Name == proxyContainer {
			return &pod.Spec.Containers[i], " in containers"
		}
	}
	for i, c := range pod.Spec.InitContainers {
		if c.Name == proxyContainer && c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			return &pod.Spec.InitContainers[i], " in initContainers (native)"
		}
	}
	return nil, ""
}

// InjectionExpected says whether Istio should inject its sidecar into a pod, and which rule decides. See Injected.
func InjectionExpected(pod *corev1.Pod, namespace *corev1.Namespace) (expected bool, reason string) {
	if slices.Contains(systemNamespaces, namespace.Name) {
		return false, "a system namespace"
	}
	if pod.Spec.HostNetwork {
		return false, "the pod uses the host's network"
	}
	podRevision, hasPodRevision := pod.Labels[revisionLabel]
	inject, hasInject := pod.Labels[injectLabel]
	injection, hasInjection := namespace.Labels[injectionLabel]
	revision, hasRevision := namespace.Labels[revisionLabel]
	switch {
	// The label selectors of the four webhooks: a pod that none selects never gets to the injector.
	case inject == "false":
		return false, fmt.Sprintf("pod label %s=false", injectLabel)
	case hasInjection && injection != "enabled":
		return false, fmt.Sprintf("namespace label %s=%s", injectionLabel, injection)
	case hasInjection:
		reason = fmt.Sprintf("namespace label %s=enabled", injectionLabel)
	case hasRevision:
		reason = fmt.Sprintf("namespace label %s=%s", revisionLabel, revision)
	case hasPodRevision:
		reason = fmt.Sprintf("pod label %s=%s", revisionLabel, podRevision)
	case inject == "true":
		reason = fmt.Sprintf("pod label %s=true", injectLabel)
	default:
		return false, "no label of the namespace or the pod asks for it"
	}
	// The injector itself still heeds the annotation where there is no label.
	if !hasInject && pod.Annotations[injectLabel] == "false" {
		return false, fmt.Sprintf("pod annotation %s=false", injectLabel)
	}
	return true, reason
}

// Proxy is what is known of one proxy's configuration.
type Proxy struct {
	// Name tells it from others: namespace/pod.
	Name string
	// Synced says that it has acknowledged the newest configuration of every type it subscribes to.
	Synced bool
	// Rejected has the proxy's words for each configuration that it refused.
	Rejected []string
}

// Synced judges that every proxy has its newest configuration and has rejected none.
func Synced(proxies []Proxy) Judgement {
	var complaints []string
	if len(proxies) == 0 {
		complaints = append(complaints, "no proxies, so nothing was measured")
	}
	synced, rejected := 0, 0
	for _, p := range proxies {
		if p.Synced {
			synced++
		} else {
			complaints = append(complaints, p.Name+" is not in sync")
		}
		if len(p.Rejected) > 0 {
			rejected++
			complaints = append(complaints, fmt.Sprintf("%s rejected: %s", p.Name, strings.Join(p.Rejected, " | ")))
		}
	}
	return certain("every proxy in sync, nothing rejected",
		fmt.Sprintf("%d of %d in sync, %d rejected configuration", synced, len(proxies), rejected), complaints...)
}
