package samples

import (
	"fmt"
	"io/fs"
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

// rendered are the kinds that values say by themselves. A sample all of whose objects are of these kinds must have
// values; any other is about what is the platform's, or belongs to another sample's workload.
var rendered = []string{
	"ConfigMap", "DaemonSet", "Deployment", "Job", "Namespace", "PersistentVolumeClaim", "Pod", "Secret", "Service",
	"ServiceAccount", "StatefulSet",
}

// impossibleOfKubernetes are the samples of those kinds that no values render, and why.
var impossibleOfKubernetes = map[string]string{
	"test/fixtures/doc-yaml/admin/high-availability/kube-scheduler.yaml":  "it mounts a volume that it does not have, and no API server takes it",
	"test/e2e/testing-manifests/serviceloadbalancer/netexecsvc.yaml":      "it has a field, Type, that Kubernetes does not have",
	"test/e2e/testing-manifests/statefulset/cockroachdb/statefulset.yaml": "a volume and a claim of one name: Kubernetes would take the claim in silence, the chart says so",
}

// TestKubernetes holds the chart against the manifests in Kubernetes' own module.
func TestKubernetes(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes").Output()
	require.NoError(t, err)
	dir := strings.TrimSpace(string(out))
	seen := map[string]bool{}
	said := 0
	for _, set := range kubernetesSets {
		require.NoError(t, filepath.WalkDir(filepath.Join(dir, set), func(path string, d fs.DirEntry, err error) error {
			if ext := filepath.Ext(path); err != nil || d.IsDir() || ext != ".yaml" && ext != ".json" {
				return err
			}
			rel, err := filepath.Rel(dir, path)
			require.NoError(t, err)
			manifest, err := os.ReadFile(path)
			require.NoError(t, err)
			objects, err := inOrder(string(manifest))
			if err != nil || !ofKinds(objects, rendered) {
				return nil // no manifest, but a template of one; or of other kinds
			}
			sample := strings.TrimSuffix(rel, filepath.Ext(rel)) + ".yaml"
			seen[sample] = true
			t.Run(sample, func(t *testing.T) {
				if impossibleOfKubernetes[sample] != "" {
					values, err := os.ReadFile(filepath.Join("testdata/kubernetes", sample))
					require.NoError(t, err, "values that say what can be said")
					assert.True(t, refused(t, objects, string(values)), "it is listed as impossible, and can be said now")
					return
				}
				said++
				values, err := os.ReadFile(filepath.Join("testdata/kubernetes", sample))
				require.NoError(t, err, "a sample without values, that is not listed as impossible")
				for _, difference := range besidesNames(t, objects, string(values)) {
					assert.Fail(t, difference)
				}
			})
			return nil
		}))
	}
	for sample := range impossibleOfKubernetes {
		assert.True(t, seen[sample], "%s is listed as impossible, and is no sample", sample)
	}
	require.NoError(t, filepath.WalkDir("testdata/kubernetes", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			sample, err := filepath.Rel("testdata/kubernetes", path)
			require.NoError(t, err)
			assert.True(t, seen[filepath.ToSlash(sample)], "%s has values, and is no sample", sample)
		}
		return err
	}))
	t.Logf("%d of %d samples have values that render to them", said, len(seen))
}

// besidesNames are the differences but for what identifies objects, which follows from app and version here: names,
// selectors, and the labels that the chart sets. Objects pair by kind, in the order of the files.
func besidesNames(t *testing.T, wanted []*unstructured.Unstructured, values string) (out []string) {
	t.Helper()
	var got []*unstructured.Unstructured
	for i, document := range documents(t, values) {
		objects := renderRelease(t.Context(), t, fmt.Sprintf("r%d", i), document)
		for _, o := range objects {
			got = append(got, o)
		}
		require.Len(t, objects, 1, "a document of values for each object of a sample")
	}
	if len(got) != len(wanted) {
		return []string{fmt.Sprintf("the sample has %d objects, ours %d", len(wanted), len(got))}
	}
	for i, want := range wanted {
		id := want.GetKind() + "/" + want.GetName() + " "
		w, h := unidentified(t, asWorkload(want)), unidentified(t, got[i])
		ours(w, h)
		privileged(w, h)
		compare(id, w, h, &out)
	}
	return out
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
// nothing replaces.
func asWorkload(o *unstructured.Unstructured) *unstructured.Unstructured {
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

func ofKinds(objects []*unstructured.Unstructured, kinds []string) bool {
	for _, o := range objects {
		if !slices.Contains(kinds, o.GetKind()) {
			return false
		}
	}
	return len(objects) > 0
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
	assert.False(t, refused(t, objects, values), "both are right")
	assert.True(t, refused(t, objects, strings.Replace(values, ", tag: latest", "", 1)))
}
