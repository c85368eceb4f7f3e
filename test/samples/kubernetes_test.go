package samples

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	_ "k8s.io/kubernetes/pkg/apis/rbac/install"

	"chartbasico/internal/helm3"
)

// kubernetesSets are the directories of Kubernetes' module whose manifests are the samples: the examples of its
// documentation that it tests itself, the applications of its tests, and the add-ons that clusters run.
var kubernetesSets = []string{
	"test/fixtures/doc-yaml",
	"test/e2e/testing-manifests/guestbook", "test/e2e/testing-manifests/kubectl",
	"test/e2e/testing-manifests/serviceloadbalancer", "test/e2e/testing-manifests/statefulset",
	"cluster/addons",
}

// noManifests are the files beside them that hold no objects, by the end of their path, and why.
var noManifests = map[string]string{
	".in":                             "a template of a manifest",
	".base":                           "a template of a manifest",
	".sed":                            "a template of a manifest",
	"fluentd-gcp/fluentd-gcp-ds.yaml": "a template of a manifest",
	"stackdriver/metadata-agent.yaml": "a template of a manifest",
	"html/data.json":                  "what a page shows",
}

// platforms are the kinds that the chart does not render, and why.
var platforms = map[string]string{
	"APIService":               "the platform's: the API server's own",
	"CustomResourceDefinition": "the platform's: kinds, not objects of an App",
	"LimitRange":               "the platform's: what a namespace may use",
	"PersistentVolume":         "the platform's: storage that an App claims",
	"PodTemplate":              "nothing runs it: it is part of a workload",
	"ResourceQuota":            "the platform's: what a namespace may use",
	"StorageClass":             "the platform's: storage that an App claims",
}

// impossibleOfKubernetes are the samples of other kinds that no values render, and why.
var impossibleOfKubernetes = map[string]string{
	"test/fixtures/doc-yaml/admin/high-availability/kube-scheduler.yaml":  "it mounts a volume that it does not have, and no API server takes it",
	"test/e2e/testing-manifests/serviceloadbalancer/netexecsvc.yaml":      "it has a field, Type, that Kubernetes does not have",
	"test/e2e/testing-manifests/statefulset/cockroachdb/statefulset.yaml": "a volume and a claim of one name: Kubernetes would take the claim in silence, the chart says so",
}

// noAccounts are the objects that give rights otherwise than the chart, whose roles are those of the account that it
// makes, and why they are not rendered.
var noAccounts = map[string][]string{
	"to a user or a group, which are the cluster's": {
		"cluster/addons/cloud-controller-manager/cloud-node-controller-binding.yaml ClusterRoleBinding/system:cloud-controller-manager",
		"cluster/addons/cloud-controller-manager/cloud-node-controller-role.yaml ClusterRole/system:cloud-controller-manager",
		"cluster/addons/rbac/cluster-autoscaler/cluster-autoscaler-rbac.yaml ClusterRole/cluster-autoscaler",
		"cluster/addons/rbac/cluster-autoscaler/cluster-autoscaler-rbac.yaml ClusterRoleBinding/cluster-autoscaler",
		"cluster/addons/rbac/cluster-loadbalancing/glbc/roles.yaml ClusterRole/system:controller:glbc",
		"cluster/addons/rbac/cluster-loadbalancing/glbc/roles.yaml Role/system:controller:glbc",
		"cluster/addons/rbac/cluster-loadbalancing/glbc/user-rolebindings.yaml ClusterRoleBinding/system:controller:glbc",
		"cluster/addons/rbac/cluster-loadbalancing/glbc/user-rolebindings.yaml RoleBinding/system:controller:glbc",
		"cluster/addons/rbac/kubelet-api-auth/kube-apiserver-kubelet-api-admin-binding.yaml ClusterRoleBinding/kube-apiserver-kubelet-api-admin",
		"cluster/addons/rbac/kubelet-api-auth/kubelet-api-admin-role.yaml ClusterRole/kubelet-api-admin",
		"cluster/addons/rbac/kubelet-cert-rotation/kubelet-certificate-management.yaml ClusterRole/gce:beta:kubelet-certificate-bootstrap",
		"cluster/addons/rbac/kubelet-cert-rotation/kubelet-certificate-management.yaml ClusterRole/gce:beta:kubelet-certificate-rotation",
		"cluster/addons/rbac/kubelet-cert-rotation/kubelet-certificate-management.yaml ClusterRoleBinding/gce:beta:kubelet-certificate-bootstrap",
		"cluster/addons/rbac/kubelet-cert-rotation/kubelet-certificate-management.yaml ClusterRoleBinding/gce:beta:kubelet-certificate-rotation",
		"cluster/addons/rbac/legacy-kubelet-user-disable/kubelet-binding.yaml ClusterRoleBinding/kubelet-cluster-admin",
		"cluster/addons/rbac/legacy-kubelet-user-disable/kubelet-binding.yaml ClusterRoleBinding/kubelet-bootstrap",
		"cluster/addons/rbac/legacy-kubelet-user/kubelet-binding.yaml ClusterRoleBinding/kubelet-cluster-admin",
	},
	"to an account that no sample makes": {
		"cluster/addons/cloud-controller-manager/cloud-node-controller-binding.yaml RoleBinding/system::leader-locking-cloud-controller-manager",
		"cluster/addons/cloud-controller-manager/cloud-node-controller-binding.yaml ClusterRoleBinding/system:controller:cloud-node-controller",
		"cluster/addons/cloud-controller-manager/cloud-node-controller-role.yaml ClusterRole/system:controller:cloud-node-controller",
		"cluster/addons/cloud-controller-manager/cloud-node-controller-role.yaml Role/system::leader-locking-cloud-controller-manager",
		"cluster/addons/metadata-agent/stackdriver/metadata-agent-rbac.yaml ClusterRole/stackdriver:metadata-agent",
		"cluster/addons/metadata-agent/stackdriver/metadata-agent-rbac.yaml ClusterRoleBinding/stackdriver:metadata-agent",
	},
	"to nobody": {
		"cluster/addons/cloud-controller-manager/cloud-node-controller-role.yaml Role/system:cloud-controller-manager",
		"cluster/addons/cloud-controller-manager/pvl-controller-role.yaml ClusterRole/system:controller:pvl-controller",
	},
	"by a role that the cluster has already": {
		"cluster/addons/fluentd-gcp/event-exporter.yaml ClusterRoleBinding/event-exporter-rb",
		"cluster/addons/metrics-server/auth-delegator.yaml ClusterRoleBinding/metrics-server:system:auth-delegator",
		"cluster/addons/metrics-server/auth-reader.yaml RoleBinding/metrics-server-auth-reader",
	},
}

// together are samples that go on in another file, whose values say them too: an account and what it may do, a
// workload and its budget.
var together = map[string]string{
	"cluster/addons/calico-policy-controller/calico-clusterrole.yaml":                             "cluster/addons/calico-policy-controller/calico-serviceaccount.yaml",
	"cluster/addons/calico-policy-controller/calico-clusterrolebinding.yaml":                      "cluster/addons/calico-policy-controller/calico-serviceaccount.yaml",
	"cluster/addons/calico-policy-controller/calico-cpva-clusterrole.yaml":                        "cluster/addons/calico-policy-controller/calico-cpva-serviceaccount.yaml",
	"cluster/addons/calico-policy-controller/calico-cpva-clusterrolebinding.yaml":                 "cluster/addons/calico-policy-controller/calico-cpva-serviceaccount.yaml",
	"cluster/addons/calico-policy-controller/typha-horizontal-autoscaler-clusterrole.yaml":        "cluster/addons/calico-policy-controller/typha-horizontal-autoscaler-serviceaccount.yaml",
	"cluster/addons/calico-policy-controller/typha-horizontal-autoscaler-clusterrolebinding.yaml": "cluster/addons/calico-policy-controller/typha-horizontal-autoscaler-serviceaccount.yaml",
	"cluster/addons/calico-policy-controller/typha-horizontal-autoscaler-role.yaml":               "cluster/addons/calico-policy-controller/typha-horizontal-autoscaler-serviceaccount.yaml",
	"cluster/addons/calico-policy-controller/typha-horizontal-autoscaler-rolebinding.yaml":        "cluster/addons/calico-policy-controller/typha-horizontal-autoscaler-serviceaccount.yaml",
	"cluster/addons/calico-policy-controller/typha-vertical-autoscaler-clusterrole.yaml":          "cluster/addons/calico-policy-controller/typha-vertical-autoscaler-serviceaccount.yaml",
	"cluster/addons/calico-policy-controller/typha-vertical-autoscaler-clusterrolebinding.yaml":   "cluster/addons/calico-policy-controller/typha-vertical-autoscaler-serviceaccount.yaml",
	"cluster/addons/metrics-server/resource-reader.yaml":                                          "cluster/addons/metrics-server/metrics-server-deployment.yaml",
	"test/e2e/testing-manifests/statefulset/cassandra/pdb.yaml":                                   "test/e2e/testing-manifests/statefulset/cassandra/statefulset.yaml",
	"test/e2e/testing-manifests/statefulset/etcd/pdb.yaml":                                        "test/e2e/testing-manifests/statefulset/etcd/statefulset.yaml",
}

// differently are the samples that values render but for these differences: an account has labels there that what it
// may do has not, while a block of values has one set of labels for all that it renders.
var differently = map[string][]string{
	"cluster/addons/kube-network-policies/kube-network-policies-rbac.yaml": {
		"ClusterRole/system:network-policies metadata.labels.k8s-app: the sample has <nil>, ours kube-network-policies",
		"ClusterRole/system:network-policies metadata.labels.kubernetes.io/cluster-service: the sample has <nil>, ours true",
		"ClusterRoleBinding/kube-network-policies metadata.labels.k8s-app: the sample has <nil>, ours kube-network-policies",
		"ClusterRoleBinding/kube-network-policies metadata.labels.kubernetes.io/cluster-service: the sample has <nil>, ours true",
	},
	"cluster/addons/volumesnapshots/volume-snapshot-controller/rbac-volume-snapshot-controller.yaml": {
		"ClusterRoleBinding/volume-snapshot-controller-role metadata.labels.kubernetes.io/cluster-service: the sample has <nil>, ours true",
		"Role/volume-snapshot-controller-leaderelection metadata.labels.kubernetes.io/cluster-service: the sample has <nil>, ours true",
		"RoleBinding/volume-snapshot-controller-leaderelection metadata.labels.kubernetes.io/cluster-service: the sample has <nil>, ours true",
	},
}

// TestKubernetes holds the chart against the manifests in Kubernetes' own module: each object is rendered by values,
// or there is a reason why not.
func TestKubernetes(t *testing.T) {
	samples := kubernetesSamples(t)
	unsaid, parts := map[string]string{}, map[string]int{}
	for why, objects := range noAccounts {
		for _, object := range objects {
			unsaid[object] = "it gives rights " + why
		}
	}
	wanted := map[string][]*unstructured.Unstructured{} // by the sample whose values say them
	reasons := map[string]int{}
	var whole, partly int
	for _, name := range slices.Sorted(maps.Keys(samples)) {
		said := 0
		why := map[string]bool{}
		if differently[name] != nil {
			why["an account has labels that what it may do has not"] = true
		}
		for _, o := range samples[name] {
			id := name + " " + o.GetKind() + "/" + o.GetName()
			switch {
			case platforms[o.GetKind()] != "":
				why[platforms[o.GetKind()]] = true
			case unsaid[id] != "":
				why[unsaid[id]] = true
				delete(unsaid, id)
			case impossibleOfKubernetes[name] != "":
				why[impossibleOfKubernetes[name]] = true
			default:
				said++
				by := cmp.Or(together[name], name)
				wanted[by] = append(wanted[by], o)
			}
		}
		for reason := range why {
			reasons[reason]++
		}
		switch {
		case len(why) == 0:
			whole++
		case said > 0:
			partly++
		}
		parts[name] = said
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, samples, name, "it says others too, and is no sample")
			values, err := os.ReadFile(filepath.Join("testdata/kubernetes", name))
			require.NoError(t, err, "a sample without values, that is not listed as impossible")
			assert.Equal(t, differently[name], besidesNames(t, wanted[name], string(values)))
		})
	}
	for name := range differently {
		assert.Contains(t, wanted, name, "it is listed as different, and is no sample")
	}
	for name := range impossibleOfKubernetes {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, samples, name, "it is listed as impossible, and is no sample")
			values, err := os.ReadFile(filepath.Join("testdata/kubernetes", name))
			require.NoError(t, err, "values that say what can be said")
			assert.True(t, refused(t, samples[name], string(values)), "it is listed as impossible, and can be said now")
		})
	}
	assert.Empty(t, unsaid, "listed as not rendered, and in no sample, or of a kind that is listed too")
	for name := range together {
		assert.Positive(t, parts[name], "%s has values in another file, and is no sample", name)
	}
	require.NoError(t, filepath.WalkDir("testdata/kubernetes", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, err := filepath.Rel("testdata/kubernetes", path)
			require.NoError(t, err)
			name = filepath.ToSlash(name)
			assert.True(t, wanted[name] != nil || impossibleOfKubernetes[name] != "", "%s has values, and there is nothing for them to say", name)
		}
		return err
	}))
	t.Logf("%d samples: values render all of %d, a part of %d, nothing of %d; why not, and of how many:", len(samples), whole, partly, len(samples)-whole-partly)
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		t.Logf("%4d %s", reasons[reason], reason)
	}
}

// kubernetesSamples are the objects of the manifests, by the path in the module.
func kubernetesSamples(t *testing.T) map[string][]*unstructured.Unstructured {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes").Output()
	require.NoError(t, err)
	dir := strings.TrimSpace(string(out))
	samples := map[string][]*unstructured.Unstructured{}
	passed := map[string]int{}
	for _, set := range kubernetesSets {
		require.NoError(t, filepath.WalkDir(filepath.Join(dir, set), func(path string, d fs.DirEntry, err error) error {
			if base := filepath.Base(path); err != nil || d.IsDir() || !strings.Contains(base, ".yaml") && !strings.Contains(base, ".json") {
				return err
			}
			rel, err := filepath.Rel(dir, path)
			require.NoError(t, err)
			for end := range noManifests {
				if strings.HasSuffix(filepath.ToSlash(rel), end) {
					passed[end]++
					return nil
				}
			}
			manifest, err := os.ReadFile(path)
			require.NoError(t, err)
			objects, err := inOrder(string(manifest))
			require.NoError(t, err, "%s is no manifest, and not listed as none", rel)
			require.NotEmpty(t, objects, "%s has no objects, and is not listed as no manifest", rel)
			samples[filepath.ToSlash(strings.TrimSuffix(rel, filepath.Ext(rel)))+".yaml"] = objects
			return nil
		}))
	}
	for end, why := range noManifests {
		assert.Positive(t, passed[end], "%s is listed as no manifest, and there is none", end)
		t.Logf("%d files %s are no samples: %s", passed[end], end, why)
	}
	return samples
}

// besidesNames are the differences but for what identifies objects, which follows from app and version here: names,
// selectors, and the labels that the chart sets. Objects pair by kind, in the order of the files.
func besidesNames(t *testing.T, wanted []*unstructured.Unstructured, values string) (out []string) {
	t.Helper()
	got := map[string][]*unstructured.Unstructured{}
	own := map[string]bool{}
	for i, document := range documents(t, values) {
		objects := renderRelease(t.Context(), t, fmt.Sprintf("r%d", i), document)
		for _, id := range slices.Sorted(maps.Keys(objects)) {
			o := objects[id]
			got[o.GetKind()] = append(got[o.GetKind()], o)
			own[o.GetKind()+"/"+o.GetName()] = true
		}
	}
	wants := map[string]bool{}
	for _, o := range wanted {
		wants[o.GetKind()+"/"+o.GetName()] = true
	}
	for _, o := range wanted {
		want := asWorkload(o)
		kind := want.GetKind()
		if len(got[kind]) == 0 {
			out = append(out, fmt.Sprintf("%s/%s is not rendered", kind, o.GetName()))
			continue
		}
		have := got[kind][0]
		got[kind] = got[kind][1:]
		w, h := unidentified(t, among(want, wants)), unidentified(t, among(have, own))
		ours(w, h)
		privileged(w, h)
		compare(kind+"/"+o.GetName()+" ", w, h, &out)
	}
	for _, more := range got {
		for _, o := range more {
			out = append(out, fmt.Sprintf("%s/%s is not in the sample", o.GetKind(), o.GetName()))
		}
	}
	return out
}

// among is a binding without the names of the role and of the accounts that are among these objects, which identify.
func among(o *unstructured.Unstructured, objects map[string]bool) *unstructured.Unstructured {
	o = o.DeepCopy()
	role, _, _ := unstructured.NestedFieldNoCopy(o.Object, "roleRef")
	for _, to := range append(list(o.Object, "subjects"), asMap(role)) {
		if objects[fmt.Sprintf("%s/%s", to["kind"], to["name"])] {
			delete(to, "name")
			delete(to, "namespace")
		}
	}
	return o
}

func asMap(value any) map[string]any {
	m, _ := value.(map[string]any)
	return m
}

// refused says whether Kubernetes does not take the sample, or the chart its values.
func refused(t *testing.T, wanted []*unstructured.Unstructured, values string) bool {
	t.Helper()
	ch, err := chart()
	require.NoError(t, err)
	strict := serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	for _, o := range wanted {
		data, err := o.MarshalJSON()
		require.NoError(t, err)
		if _, _, err := strict.Decode(data, nil, nil); err != nil {
			return true
		}
	}
	for _, document := range documents(t, values) {
		_, _, err := helm3.Template(t.Context(), ch, helm3.Spec{Name: "r", Namespace: "samples", Values: document}, helm3.Capabilities{KubeVersion: "v1.37.2"})
		if err != nil {
			return true
		}
	}
	return false
}

// asWorkload is a Pod as the template of a Deployment, or of a Job if it ends, since the chart makes no Pod that
// nothing replaces; and what keeps a number of pods, but cannot change them, as a Deployment.
func asWorkload(o *unstructured.Unstructured) *unstructured.Unstructured {
	if kind := o.GetKind(); kind == "ReplicationController" || kind == "ReplicaSet" {
		o = o.DeepCopy()
		o.SetAPIVersion("apps/v1")
		o.SetKind("Deployment")
	}
	if o.GetKind() != "Pod" {
		return o
	}
	meta, _, _ := unstructured.NestedMap(o.Object, "metadata")
	out := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"template": map[string]any{"metadata": meta, "spec": o.Object["spec"]}}}}
	out.SetAPIVersion("apps/v1")
	out.SetKind("Deployment")
	if policy, _, _ := unstructured.NestedString(o.Object, "spec", "restartPolicy"); policy == "Never" || policy == "OnFailure" {
		out.SetAPIVersion("batch/v1")
		out.SetKind("Job")
	}
	return out
}

// unidentified is an object after defaulting, without what identifies it.
func unidentified(t *testing.T, o *unstructured.Unstructured) map[string]any {
	t.Helper()
	o = o.DeepCopy()
	for _, at := range [][]string{{"metadata"}, {"spec", "template", "metadata"}} {
		for _, field := range []string{"name", "namespace"} {
			unstructured.RemoveNestedField(o.Object, append(slices.Clone(at), field)...)
		}
		labels, found, _ := unstructured.NestedStringMap(o.Object, append(slices.Clone(at), "labels")...)
		for _, label := range addedLabels {
			delete(labels, label)
		}
		if found {
			unstructured.RemoveNestedField(o.Object, append(slices.Clone(at), "labels")...)
			if len(labels) > 0 {
				_ = unstructured.SetNestedStringMap(o.Object, labels, append(slices.Clone(at), "labels")...) // it was one
			}
		}
	}
	if o.GetKind() == "Namespace" {
		unstructured.RemoveNestedField(o.Object, "metadata", "annotations", "helm.sh/resource-policy") // ours stays
		if len(o.GetAnnotations()) == 0 {
			unstructured.RemoveNestedField(o.Object, "metadata", "annotations")
		}
	}
	unstructured.RemoveNestedField(o.Object, "spec", "selector")
	claims, _, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "volumeClaimTemplates")
	if claims, ok := claims.([]any); ok { // server-side apply wants their kind, which says nothing
		for _, c := range claims {
			delete(c.(map[string]any), "apiVersion")
			delete(c.(map[string]any), "kind")
		}
	}
	if pod, found, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "template", "spec"); found {
		spec := pod.(map[string]any)
		if account, ok := spec["serviceAccount"]; ok && spec["serviceAccountName"] == nil { // its old name
			spec["serviceAccountName"] = account
		}
		delete(spec, "serviceAccount")
		for _, group := range []string{"containers", "initContainers"} {
			for _, c := range list(spec, group) {
				if image := c["image"].(string); !strings.Contains(image[strings.LastIndex(image, "/")+1:], ":") {
					c["image"] = image + ":latest"
				}
			}
		}
	}
	out := defaulted(t, o)
	if spec, ok := out["spec"].(map[string]any); ok && o.GetKind() == "Service" {
		for _, port := range list(spec, "ports") {
			delete(port, "name") // ours says the protocol
		}
		slices.SortFunc(spec["ports"].([]any), func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	if pod, found, _ := unstructured.NestedFieldNoCopy(out, "spec", "template", "spec"); found {
		for _, group := range []string{"containers", "initContainers"} {
			for _, c := range list(pod.(map[string]any), group) {
				sorted(c, "env", "name")
				sorted(c, "ports", "containerPort")
				sorted(c, "volumeMounts", "mountPath")
			}
		}
	}
	return out
}

// privileged takes from ours what it says of a privileged container, and what Kubernetes takes for granted of one.
func privileged(want, have map[string]any) {
	for _, group := range []string{"containers", "initContainers"} {
		wants, _, _ := unstructured.NestedFieldNoCopy(want, "spec", "template", "spec", group)
		haves, _, _ := unstructured.NestedFieldNoCopy(have, "spec", "template", "spec", group)
		wanted, _ := wants.([]any)
		had, _ := haves.([]any)
		for i := range min(len(wanted), len(had)) {
			w, h := wanted[i].(map[string]any), had[i].(map[string]any)
			if is, _, _ := unstructured.NestedBool(w, "securityContext", "privileged"); is {
				without(w, h, "securityContext.allowPrivilegeEscalation", true)
			}
		}
	}
}

// inOrder are the objects of a manifest in the order of the file.
func inOrder(manifest string) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	for doc := range strings.SplitSeq("\n"+manifest, "\n---") {
		one, err := decode(doc)
		if err != nil {
			return nil, err
		}
		for _, o := range one {
			out = append(out, o)
		}
	}
	return out, nil
}

// TestBesidesNames: the comparison sees what is not a name.
func TestBesidesNames(t *testing.T) {
	const pod = `{apiVersion: v1, kind: Pod, metadata: {name: web, labels: {app: web, tier: a}}, spec: {containers: [{name: web, image: nginx, securityContext: {privileged: true}}]}}`
	const values = `{app: shop, version: v1, workload: {podLabels: {tier: a}, containers: {web: {image: {repository: nginx, tag: latest}, securityContext: {privileged: true, allowPrivilegeEscalation: true}}}}}`
	objects, err := inOrder(pod)
	require.NoError(t, err)
	require.Empty(t, besidesNames(t, objects, values))
	for old, change := range map[string]string{
		"tag: latest": `tag: "1"`, "tier: a": "tier: b", "{web: {image": "{wob: {image", "privileged: true, ": "",
		"podLabels": "hostNetwork: true, podLabels", "allowPrivilegeEscalation: true": "allowPrivilegeEscalation: true, runAsUser: 5",
	} {
		require.Contains(t, values, old)
		assert.NotEmpty(t, besidesNames(t, objects, strings.Replace(values, old, change, 1)), change)
	}
	assert.NotEmpty(t, besidesNames(t, objects, values+"\n---\n{app: shop, identity: {}}"))
	const rights = `{apiVersion: v1, kind: ServiceAccount, metadata: {name: web}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: some}, rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: any}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: some}, subjects: [{kind: ServiceAccount, name: web, namespace: a}]}`
	const identity = `{app: shop, identity: {rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]}}`
	given, err := inOrder(rights)
	require.NoError(t, err)
	require.Empty(t, besidesNames(t, given, identity))
	assert.NotEmpty(t, besidesNames(t, given[:2], identity), "more than the sample has")
	assert.NotEmpty(t, besidesNames(t, given, `{app: shop, identity: {}}`), "less than the sample has")
	for old, change := range map[string]string{
		"kind: Role, name: some}, subjects": "kind: Role, name: view}, subjects", "kind: ServiceAccount, name: web, namespace": "kind: ServiceAccount, name: other, namespace",
		"verbs: [get]": "verbs: [list]",
	} {
		require.Contains(t, rights, old)
		given, err := inOrder(strings.Replace(rights, old, change, 1))
		require.NoError(t, err)
		assert.NotEmpty(t, besidesNames(t, given, identity), change)
	}
	assert.False(t, refused(t, objects, values), "both are right")
	assert.True(t, refused(t, objects, strings.Replace(values, ", tag: latest", "", 1)))
}
