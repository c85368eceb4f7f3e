package render

import (
	"cmp"
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"chartbasico/pkg/environment"
	"chartbasico/pkg/problem"
)

// clusterScoped are the kinds of Kubernetes and Gateway API that live in no namespace.
var clusterScoped = []string{
	"APIService", "CSIDriver", "CertificateSigningRequest", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition",
	"DeviceClass", "FlowSchema", "GatewayClass", "IngressClass", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding",
	"MutatingWebhookConfiguration", "Namespace", "Node", "PersistentVolume", "PriorityClass", "PriorityLevelConfiguration",
	"RuntimeClass", "StorageClass", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
	"ValidatingWebhookConfiguration", "VolumeAttachment", "VolumeAttributesClass",
}

// clusterWide says whether an object lives in no namespace. Kinds of others may have the same names: Longhorn's Node has one.
func clusterWide(o *unstructured.Unstructured) bool {
	group := o.GroupVersionKind().Group
	return (group == "" || strings.HasSuffix(group, ".k8s.io")) && slices.Contains(clusterScoped, o.GetKind())
}

// ofCRDs are the files of a chart, or of one that it depends on, that Helm makes once and never again.
var ofCRDs = regexp.MustCompile(`^(charts/[^/]+/)*crds/`)

// split reads the documents of a manifest, and sets the release's namespace where an object names none. The first crds of the
// objects are of the chart's directory crds.
func split(manifest string, release environment.Release, chartDir string) (objects []*unstructured.Unstructured, crds int, wrong problem.List) {
	for _, doc := range documents(manifest) {
		fault := func(object, what, expected string) {
			p := problem.Problem{Severity: problem.Error, Rule: "manifest", Object: object, Found: what, Expected: expected, Fix: "correct the template"}
			if doc.source != "" {
				p.File = relative(filepath.Join(chartDir, doc.source))
			}
			wrong = append(wrong, p)
		}
		data, err := yaml.YAMLToJSONStrict([]byte(doc.text))
		if err != nil {
			fault("", strings.Join(strings.Fields(err.Error()), " "), "YAML in which each key stands once")
			continue
		}
		if string(data) == "null" {
			continue
		}
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(data); err != nil {
			fault("", strings.Join(strings.Fields(err.Error()), " "), "a Kubernetes object")
			continue
		}
		items := []*unstructured.Unstructured{object}
		if object.IsList() {
			list, err := object.ToList()
			if err != nil {
				fault(object.GetKind(), err.Error(), "a list of objects")
				continue
			}
			items = items[:0]
			for i := range list.Items {
				items = append(items, &list.Items[i])
			}
		}
		for _, item := range items {
			if item.GetName() == "" && item.GetGenerateName() == "" {
				fault(item.GetKind(), "an object without metadata.name", "a name")
				continue
			}
			switch {
			case clusterWide(item):
				item.SetNamespace("") // as the API server does, which takes one
			case item.GetNamespace() == "":
				item.SetNamespace(release.Namespace)
			}
			objects = append(objects, item)
		}
		if ofCRDs.MatchString(doc.source) {
			crds = len(objects)
		}
	}
	return objects, crds, wrong
}

// Matches says whether a manifest that Helm recorded for the release has the same objects, whatever their order. Hooks are
// left out, as Helm records them elsewhere, and what is in the chart's directory crds, which it does not record.
func (r *Release) Matches(recorded string) bool {
	objects, _, wrong := split(recorded, r.Release, r.Chart)
	return len(wrong) == 0 && reflect.DeepEqual(byID(objects), byID(r.Objects[r.crds:]))
}

func byID(objects []*unstructured.Unstructured) map[string]map[string]any {
	out := map[string]map[string]any{}
	for _, o := range objects {
		if Hook(o) == "" {
			out[o.GroupVersionKind().Group+" "+ID(o)] = o.Object
		}
	}
	return out
}

type document struct{ source, text string }

// documents splits a manifest as Helm wrote it: every document begins with a line of three
// dashes, and the first comment names its file from the chart's name down. Of a file in the directory crds,
// which Helm leaves in one, only the first document has it.
func documents(manifest string) []document {
	var out []document
	source := ""
	for _, text := range strings.Split("\n"+manifest, "\n---") {
		if strings.TrimSpace(text) == "" {
			continue
		}
		if rest, ok := strings.CutPrefix(strings.TrimLeft(text, " \n"), "# Source: "); ok {
			line, _, _ := strings.Cut(rest, "\n")
			_, source, _ = strings.Cut(strings.TrimSpace(line), "/")
		}
		out = append(out, document{source, text})
	}
	return out
}

// Hook is when Helm makes an object that is a hook, such as pre-install; "" if it is none.
func Hook(object *unstructured.Unstructured) string { return object.GetAnnotations()["helm.sh/hook"] }

// ID names an object the way it is named everywhere: Kind/namespace/name. A name that the API
// server is to complete is its beginning.
func ID(object *unstructured.Unstructured) string {
	name := cmp.Or(object.GetName(), object.GetGenerateName())
	if ns := object.GetNamespace(); ns != "" {
		return fmt.Sprintf("%s/%s/%s", object.GetKind(), ns, name)
	}
	return object.GetKind() + "/" + name
}

// PodTemplate returns the path of the template of the pods that an object of one of Kubernetes' own kinds makes: empty for
// a Pod, which is its own. ok is false where the kind makes none.
func PodTemplate(kind string) (path []string, ok bool) {
	switch kind {
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job":
		return []string{"spec", "template"}, true
	case "CronJob":
		return []string{"spec", "jobTemplate", "spec", "template"}, true
	case "Pod":
		return nil, true
	}
	return nil, false
}
