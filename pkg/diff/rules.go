package diff

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// rule judges a kind of change. Meaning is what it does to a running system.
type rule struct {
	Name    string
	Level   Level
	Meaning string
}

// The rules. docs/diff.md lists them; a test holds the two together.
var (
	valuesRefused = rule{"values-refused", Major, "values that rendered are refused: the upgrade stops before anything is applied"}
	keyRemoved    = rule{"key-removed", Major, "values that set this key are refused"}
	keyRequired   = rule{"key-required", Major, "values without this key are refused"}
	valueNarrowed = rule{"value-narrowed", Major, "values that were legal here may be refused"}
	chartRenamed  = rule{"chart-renamed", Major, "it is another chart: upgrades need another name, and registries another path"}
	kubeNarrowed  = rule{"kube-version-narrowed", Major, "Helm refuses to install it on Kubernetes versions that were served"}

	releaseUninstalled = rule{"release-uninstalled", Major, "Helmfile uninstalls the release, with all its objects"}

	immutable     = rule{"immutable-field", Major, "the API server refuses the upgrade; the object has to be deleted and made anew"}
	emptied       = rule{"emptied-object", Major, "server-side apply, as Helm 4 does it, makes null of it, which the API server refuses: leave the key away"}
	addressKept   = rule{"address-kept", Major, "an upgrade changes nothing: the Service keeps its address, or has none, until it is deleted and made anew"}
	objectRemoved = rule{"object-removed", Major, "the object is deleted"}
	objectRenamed = rule{"object-renamed", Major, "one object is made and the other deleted; what refers to the old name finds nothing"}
	objectMoved   = rule{"object-moved", Major, "Helm refuses the upgrade while another release owns the object: upgrade that one without it first, by needs, or uninstall it"}
	selector      = rule{"selector", Major, "it applies to other pods than before"}
	selectionLost = rule{"selection-lost", Major, "the pods' labels changed and the selector did not: the pods are left out"}
	port          = rule{"port", Major, "clients of this port do not reach it any more, or in another protocol"}
	host          = rule{"host", Major, "requests for this host are answered no more, or by something else"}
	route         = rule{"route", Major, "requests go elsewhere"}
	access        = rule{"access", Major, "what may be called, or done, changes: traffic that passed may be refused"}
	mesh          = rule{"mesh", Major, "pods made from now on get another sidecar or none, or are refused"}
	storage       = rule{"storage", Major, "pods see other data than before"}
	kept          = rule{"kept", Major, "Helm's rule for deleting the object changes: it may go with the release"}
	stopped       = rule{"stopped", Major, "nothing runs any more"}

	valuesAccepted = rule{"values-accepted", Minor, "values that were refused render now"}
	keyAdded       = rule{"key-added", Minor, "there is a new key"}
	valueWidened   = rule{"value-widened", Minor, "more values are legal here"}
	kubeWidened    = rule{"kube-version-widened", Minor, "Helm installs it on more Kubernetes versions"}
	releaseDropped = rule{"release-dropped", Minor, "the release is listed no more, and stays installed: no upgrade touches it, and helm uninstall is left to you"}
	objectAdded    = rule{"object-added", Minor, "the object is made by the upgrade"}
	objectKept     = rule{"object-kept", Minor, "Helm keeps the object, as its annotation asks: it stays as it is, and belongs to no release any more"}
	jobRerun       = rule{"job-rerun", Minor, "the Job runs again: Helm makes it anew under its new name and deletes the old one"}
	restart        = rule{"restart", Minor, "the pods are replaced, by the workload's update strategy"}
	configuration  = rule{"configuration", Minor, "programs that read it see other data: at once, or when their pods restart"}
	apiVersion     = rule{"api-version", Minor, "the same object is sent in another version of its API"}
	settings       = rule{"settings", Minor, "the object behaves differently from the upgrade on"}

	renamed  = rule{"renamed", Patch, "another name for the same releases; nothing behaves differently"}
	metadata = rule{"metadata", Patch, "descriptive labels only; nothing behaves differently"}
	archive  = rule{"archive", Patch, "the packaged files differ, and one version may name one archive only"}
)

// Rules lists every rule, the gravest first.
var rules = []rule{
	valuesRefused, keyRemoved, keyRequired, valueNarrowed, chartRenamed, kubeNarrowed,
	releaseUninstalled, immutable, emptied, addressKept, objectRemoved, objectRenamed, objectMoved, selector, selectionLost, port, host, route, access, mesh, storage, kept, stopped,
	valuesAccepted, keyAdded, valueWidened, kubeWidened, releaseDropped, objectAdded, objectKept, jobRerun, restart, configuration, apiVersion, settings,
	renamed, metadata, archive,
}

// loss is the meaning of removing objects of some kinds, where it is more than the object.
var loss = map[string]string{
	"PersistentVolumeClaim":    "the claim is deleted, and its data with it where the volume's reclaim policy says so",
	"Namespace":                "the namespace is deleted, with everything in it",
	"Service":                  "the name does not resolve any more",
	"Deployment":               "its pods are stopped",
	"StatefulSet":              "its pods are stopped; the claims of its templates stay",
	"DaemonSet":                "its pods are stopped",
	"Job":                      "the Job and its pods are deleted",
	"CronJob":                  "nothing is started any more",
	"DestinationRule":          "its policy is gone, and its subsets are unknown: routes to them answer 503",
	"VirtualService":           "requests are spread over all pods of the host",
	"ServiceEntry":             "the outside host is refused where the mesh registers only what it knows",
	"HorizontalPodAutoscaler":  "the number of pods stays as it is, or becomes what the workload says",
	"PodDisruptionBudget":      "a drain of nodes may stop all pods at once",
	"CustomResourceDefinition": "all objects of its kind are deleted",
}

// policyTLS and subsetTLS are where a DestinationRule says how requests are encrypted.
var (
	policyTLS = []string{"spec.trafficPolicy.tls", "spec.trafficPolicy.portLevelSettings.*.tls"}
	subsetTLS = []string{"spec.subsets.*.trafficPolicy.tls", "spec.subsets.*.trafficPolicy.portLevelSettings.*.tls"}
)

// restricting are kinds of which a new object may refuse what passed before; so may a DestinationRule that has TLS.
var restricting = []string{"AuthorizationPolicy", "NetworkPolicy", "PeerAuthentication", "RequestAuthentication", "Sidecar", "ResourceQuota", "LimitRange"}

// selectorOf is where kinds that select pods by labels alone have their selector.
var selectorOf = map[string][]string{
	"Service":               {"spec", "selector"},
	"PodDisruptionBudget":   {"spec", "selector", "matchLabels"},
	"NetworkPolicy":         {"spec", "podSelector", "matchLabels"},
	"AuthorizationPolicy":   {"spec", "selector", "matchLabels"},
	"PeerAuthentication":    {"spec", "selector", "matchLabels"},
	"RequestAuthentication": {"spec", "selector", "matchLabels"},
	"Sidecar":               {"spec", "workloadSelector", "labels"},
	"Gateway":               {"spec", "selector"},
}

// judgement names the fields of a rule. A field is meant with all that is below it; * stands
// for one key or list item.
type judgement struct {
	rule   rule
	kinds  []string // all where there are none
	fields []string
	except []string
	when   func(field) bool
}

var pods = []string{"Deployment", "DaemonSet", "StatefulSet", "ReplicaSet"}

// judgements: the first that fits decides.
var judgements = []judgement{
	{rule: immutable, kinds: []string{"Deployment", "DaemonSet", "ReplicaSet"}, fields: []string{"spec.selector"}},
	{rule: immutable, kinds: []string{"StatefulSet"}, fields: []string{"spec"}, except: []string{
		"spec.replicas", "spec.ordinals", "spec.template", "spec.updateStrategy", "spec.revisionHistoryLimit",
		"spec.persistentVolumeClaimRetentionPolicy", "spec.minReadySeconds"}},
	{rule: immutable, kinds: []string{"Job"}, when: notHook, fields: []string{
		"spec.template", "spec.selector", "spec.completions", "spec.completionMode", "spec.podFailurePolicy", "spec.successPolicy",
		"spec.backoffLimitPerIndex", "spec.managedBy", "spec.manualSelector"}},
	{rule: immutable, kinds: []string{"PersistentVolumeClaim"}, fields: []string{"spec"}, except: []string{"spec.resources", "spec.volumeAttributesClassName"}},
	{rule: immutable, kinds: []string{"PersistentVolumeClaim"}, fields: []string{"spec.resources.requests.storage"}, when: shrinks},
	{rule: addressKept, kinds: []string{"Service"}, fields: []string{"spec.clusterIP", "spec.clusterIPs"}, when: func(f field) bool { return f.new == nil }},
	{rule: immutable, kinds: []string{"Service"}, fields: []string{"spec.clusterIP", "spec.clusterIPs"}},
	{rule: immutable, kinds: []string{"Service"}, fields: []string{"spec.ipFamilies"}, when: otherFamily},
	{rule: immutable, kinds: []string{"Service"}, fields: []string{"spec.loadBalancerClass"}, when: balanced},
	{rule: immutable, kinds: []string{"Service"}, fields: []string{"spec.healthCheckNodePort"}, when: otherHealthCheck},
	{rule: immutable, kinds: []string{"Secret"}, fields: []string{"type"}},
	{rule: immutable, kinds: []string{"ConfigMap", "Secret"}, fields: []string{"data", "stringData", "binaryData", "immutable"}, when: func(f field) bool { return f.was.Object["immutable"] == true }},
	{rule: immutable, kinds: []string{"RoleBinding", "ClusterRoleBinding"}, fields: []string{"roleRef"}},
	{rule: immutable, kinds: []string{"StorageClass"}, fields: []string{"provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"}},
	{rule: immutable, kinds: []string{"PriorityClass"}, fields: []string{"value", "preemptionPolicy"}},
	{rule: immutable, kinds: []string{"IngressClass"}, fields: []string{"spec.controller"}},

	{rule: selector, kinds: []string{"Service"}, fields: []string{"spec.selector"}},
	{rule: selector, kinds: []string{"PodDisruptionBudget", "Gateway", "AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication"}, fields: []string{"spec.selector"}},
	{rule: selector, kinds: []string{"NetworkPolicy"}, fields: []string{"spec.podSelector"}},
	{rule: selector, kinds: []string{"Sidecar", "ServiceEntry", "DestinationRule"}, fields: []string{"spec.workloadSelector"}},
	{rule: route, kinds: []string{"DestinationRule"}, fields: []string{"spec.subsets.*"}, when: func(f field) bool { return f.new == nil && len(f.path) <= 3 }},
	{rule: selector, kinds: []string{"DestinationRule"}, fields: []string{"spec.host", "spec.subsets.*.labels"}, when: had},
	{rule: selector, kinds: []string{"HorizontalPodAutoscaler"}, fields: []string{"spec.scaleTargetRef"}},

	{rule: port, kinds: []string{"Service"}, fields: []string{"spec.ports.*.port", "spec.ports.*.protocol", "spec.ports.*.appProtocol", "spec.ports.*.name"}, when: had},
	{rule: port, kinds: []string{"Service"}, fields: []string{"spec.ports.*.appProtocol"}, when: inOld},
	{rule: port, kinds: []string{"Service"}, fields: []string{"spec.ports.*.nodePort", "spec.type", "spec.externalName"}, when: had},
	{rule: port, kinds: []string{"Gateway", "ServiceEntry"}, fields: []string{"spec.servers.*.port", "spec.listeners.*.port", "spec.ports"}, when: had},

	{rule: host, kinds: []string{"Ingress"}, fields: []string{"spec.ingressClassName", "spec.tls"}, when: had},
	{rule: host, kinds: []string{"Ingress"}, fields: []string{"spec.rules.*.host"}, when: inOld},
	{rule: host, kinds: []string{"Route"}, fields: []string{"spec.host", "spec.path", "spec.tls"}},
	{rule: host, kinds: []string{"HTTPRoute", "GRPCRoute", "TLSRoute"}, fields: []string{"spec.hostnames", "spec.parentRefs"}, when: had},
	{rule: host, kinds: []string{"HTTPRoute", "GRPCRoute", "TLSRoute"}, fields: []string{"spec.hostnames"}, when: lessThanAll},
	{rule: host, kinds: []string{"VirtualService"}, fields: []string{"spec.hosts", "spec.gateways", "spec.exportTo"}, when: had},
	{rule: host, kinds: []string{"VirtualService"}, fields: []string{"spec.gateways"}, when: lessThanAll},
	{rule: host, kinds: []string{"VirtualService", "DestinationRule", "ServiceEntry"}, fields: []string{"spec.exportTo"}, when: lessThanAll},
	{rule: host, kinds: []string{"DestinationRule"}, fields: []string{"spec.exportTo"}, when: had},
	{rule: host, kinds: []string{"Gateway"}, fields: []string{"spec.servers", "spec.listeners", "spec.gatewayClassName"}, when: had},
	{rule: host, kinds: []string{"ServiceEntry"}, fields: []string{"spec.hosts", "spec.location", "spec.exportTo"}, when: had},

	{rule: route, kinds: []string{"Ingress"}, fields: []string{"spec.rules.*.http", "spec.defaultBackend"}, when: had},
	{rule: route, kinds: []string{"Route"}, fields: []string{"spec.to", "spec.alternateBackends", "spec.port"}},
	{rule: route, kinds: []string{"HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute"}, fields: []string{"spec.rules"}, except: []string{"spec.rules.*.timeouts", "spec.rules.*.retry"}},
	{rule: route, kinds: []string{"VirtualService"}, fields: []string{"spec.http", "spec.tcp", "spec.tls"},
		except: []string{"spec.http.*.timeout", "spec.http.*.retries", "spec.http.*.headers", "spec.http.*.corsPolicy"}},
	{rule: route, kinds: []string{"ServiceEntry"}, fields: []string{"spec.endpoints", "spec.resolution", "spec.addresses"}},

	{rule: access, kinds: []string{"AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication", "NetworkPolicy", "Sidecar"}, fields: []string{"spec"}},
	{rule: access, kinds: []string{"Role", "ClusterRole"}, fields: []string{"rules", "aggregationRule"}},
	{rule: access, kinds: []string{"RoleBinding", "ClusterRoleBinding"}, fields: []string{"subjects"}},
	{rule: access, kinds: []string{"DestinationRule"}, fields: policyTLS},
	{rule: access, kinds: []string{"DestinationRule"}, fields: subsetTLS, when: inOld},

	{rule: mesh, kinds: []string{"Namespace"}, fields: []string{"metadata.labels.istio-injection", "metadata.labels.istio.io/rev",
		"metadata.labels.istio.io/dataplane-mode", "metadata.labels.pod-security.kubernetes.io/enforce", "metadata.labels.pod-security.kubernetes.io/enforce-version"}},
	{rule: mesh, kinds: pods, fields: []string{"spec.template.metadata.labels.sidecar.istio.io/inject", "spec.template.metadata.annotations.sidecar.istio.io/inject",
		"spec.template.metadata.labels.istio.io/rev"}},
	{rule: kept, fields: []string{"metadata.annotations.helm.sh/resource-policy"}, when: func(f field) bool { return isKept(f.was) }},

	{rule: storage, kinds: slices.Concat(pods, []string{"CronJob"}), fields: []string{
		"spec.template.spec.volumes.*.persistentVolumeClaim", "spec.jobTemplate.spec.template.spec.volumes.*.persistentVolumeClaim"}, when: had},
	{rule: stopped, kinds: pods, fields: []string{"spec.replicas"}, when: func(f field) bool { return show(f.new) == "0" }},
	{rule: stopped, kinds: []string{"CronJob", "Job"}, fields: []string{"spec.suspend"}, when: func(f field) bool { return f.new == true }},
	{rule: restart, kinds: pods, fields: []string{"spec.template"}},

	{rule: configuration, kinds: []string{"ConfigMap", "Secret"}, fields: []string{"data", "stringData", "binaryData"}},
	{rule: settings, kinds: []string{"Namespace"}, fields: []string{"metadata.labels"}}, // policies, webhooks and meshes select by them
	{rule: metadata, fields: []string{"metadata.labels"}},
}

// had: something was there, and is different or gone. What only comes in addition harms nobody.
func had(f field) bool { return f.old != nil }

// lessThanAll: a list comes where there was none. No list of namespaces or hosts means all, and none of gateways the mesh.
func lessThanAll(f field) bool {
	list, ok := f.new.([]any)
	return ok && !had(f) && !slices.Contains(list, any("*")) && !slices.Contains(list, any("mesh"))
}

// inOld: below an item that was there, such as spec.ports[x]. Nobody uses yet what is new as a whole.
func inOld(f field) bool { return had(f) || len(f.path) > 3 }

// notHook: Helm does not make the object anew.
func notHook(f field) bool { return !isHook(f.was) || !isHook(f.now) }

// balanced: the Service has a load balancer and keeps it.
func balanced(f field) bool {
	return text(f.was, "spec", "type") == "LoadBalancer" && text(f.now, "spec", "type") == "LoadBalancer"
}

// otherHealthCheck: the load balancer is to look at another port than it does, or than the API server chose.
func otherHealthCheck(f field) bool {
	local := func(o *unstructured.Unstructured) bool { return text(o, "spec", "externalTrafficPolicy") == "Local" }
	return balanced(f) && local(f.was) && local(f.now) && f.new != nil
}

// otherFamily: the first family of the Service's addresses is another. It may be where it has none of its own.
func otherFamily(f field) bool {
	first := func(o *unstructured.Unstructured) string {
		if text(o, "spec", "clusterIP") == "None" || text(o, "spec", "type") == "ExternalName" {
			return ""
		}
		families, _, _ := unstructured.NestedStringSlice(o.Object, "spec", "ipFamilies")
		return append(families, "")[0]
	}
	was, now := first(f.was), first(f.now)
	return was != "" && now != "" && was != now
}

func text(o *unstructured.Unstructured, path ...string) string {
	s, _, _ := unstructured.NestedString(o.Object, path...)
	return s
}

func shrinks(f field) bool {
	was, err := resource.ParseQuantity(show(f.old))
	if err != nil {
		return false
	}
	now, err := resource.ParseQuantity(show(f.new))
	return err != nil || now.Cmp(was) < 0
}

// judge finds the rule of a field.
func judge(f field) rule {
	for _, j := range judgements {
		if len(j.kinds) > 0 && !slices.Contains(j.kinds, f.kind) {
			continue
		}
		if j.when != nil && !j.when(f) {
			continue
		}
		if slices.ContainsFunc(j.fields, f.in) && !slices.ContainsFunc(j.except, f.below) {
			return j.rule
		}
	}
	return settings
}

// below: the field is at the pattern or under it.
func (f field) below(pattern string) bool {
	parts := split(pattern)
	return len(f.path) >= len(parts) && f.begins(parts)
}

// in: below, or the pattern is part of what came or went as a whole.
func (f field) in(pattern string) bool {
	parts := split(pattern)
	if len(f.path) >= len(parts) {
		return f.begins(parts)
	}
	rest := parts[len(f.path):]
	return f.begins(parts[:len(f.path)]) && (holds(f.old, rest) || holds(f.new, rest))
}

func (f field) begins(parts []string) bool {
	for i, part := range parts {
		if part != "*" && part != f.path[i] {
			return false
		}
	}
	return true
}

// holds: there is something at the path in v.
func holds(v any, path []string) bool {
	if len(path) == 0 {
		return !absent(v)
	}
	switch v := v.(type) {
	case map[string]any:
		if path[0] != "*" {
			return holds(v[path[0]], path[1:])
		}
		for _, item := range v {
			if holds(item, path[1:]) {
				return true
			}
		}
	case []any:
		for _, item := range v {
			if holds(item, path[1:]) {
				return true
			}
		}
	}
	return false
}

// split cuts a pattern at its dots; the keys of labels and annotations have dots of their own.
func split(pattern string) []string {
	for _, meta := range []string{"metadata.labels.", "metadata.annotations."} {
		if head, key, ok := strings.Cut(pattern, meta); ok {
			return append(strings.Split(head+strings.TrimSuffix(meta, "."), "."), key)
		}
	}
	return strings.Split(pattern, ".")
}
