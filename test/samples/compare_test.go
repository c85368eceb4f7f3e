package samples

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	"sigs.k8s.io/yaml"

	"chartbasico/internal/corpus"
	"chartbasico/internal/helm3"
)

// chart is the chart as Helm loads it, once.
var chart = sync.OnceValues(func() (*helm3.Chart, error) { return helm3.LoadChart("../../charts/chart_basico") })

// differences are those between a sample's objects and what the values render, a document a release, after defaulting
// and but for what the chart adds to every object (see ours). names are the names that ours have instead.
func differences(t *testing.T, manifest, values string, names map[string]string) []string {
	t.Helper()
	wanted, err := decode(manifest)
	require.NoError(t, err)
	for _, o := range wanted {
		unstructured.RemoveNestedField(o.Object, "metadata", "namespace") // helm -n decides
		rename(o, names)
	}
	wanted = byID(wanted)
	got := objects{}
	for i, document := range documents(t, values) {
		// Each object is rendered by one release; what none of the sample's is would show.
		for id, o := range renderRelease(t.Context(), t, fmt.Sprintf("r%d", i), document) {
			require.NotContains(t, got, id, "rendered by two releases")
			got[id] = o
		}
	}
	var out []string
	for _, id := range slices.Sorted(maps.Keys(wanted)) {
		if got[id] == nil {
			out = append(out, id+" is not rendered")
			continue
		}
		want, have := defaulted(t, wanted[id]), defaulted(t, got[id])
		ours(want, have)
		compare(id+" ", want, have, &out)
	}
	for _, id := range slices.Sorted(maps.Keys(got)) {
		if wanted[id] == nil && !besides(id, wanted) {
			out = append(out, id+" is not in the sample")
		}
	}
	return out
}

// besides says whether an object belongs to one of the sample: routing always renders the routes and the subsets
// that they name, and a sample may have the one in this file and the other in the next.
func besides(id string, wanted objects) bool {
	kind, name, _ := strings.Cut(id, "/")
	other := map[string]string{"VirtualService": "DestinationRule", "DestinationRule": "VirtualService"}[kind]
	return wanted[other+"/"+name] != nil
}

// rename gives an object the name that ours has, also where a VirtualService names a Gateway.
func rename(o *unstructured.Unstructured, names map[string]string) {
	if name := names[o.GetKind()+"/"+o.GetName()]; name != "" {
		o.SetName(name)
	}
	gateways, found, _ := unstructured.NestedStringSlice(o.Object, "spec", "gateways")
	for i, gateway := range gateways {
		if name := names["Gateway/"+gateway]; name != "" {
			gateways[i] = name
		}
	}
	if found {
		_ = unstructured.SetNestedStringSlice(o.Object, gateways, "spec", "gateways") // spec is a map
	}
}

// added are the labels and fields that the chart sets where a sample says nothing. Nothing else may differ.
var (
	addedLabels = []string{"app", "version", "app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "app.kubernetes.io/version"}
	addedToPods = map[string]any{
		"automountServiceAccountToken": false,
		"enableServiceLinks":           false,
		"securityContext.runAsNonRoot": true, "securityContext.seccompProfile": map[string]any{"type": "RuntimeDefault"},
	}
	addedToContainers = map[string]any{
		"securityContext.allowPrivilegeEscalation": false,
		"securityContext.readOnlyRootFilesystem":   true,
		"securityContext.capabilities":             map[string]any{"drop": []any{"ALL"}},
	}
)

// ours takes from what the chart renders that by which it goes beyond the sample.
func ours(want, have map[string]any) {
	labels(want, have, "metadata")
	without(want, have, "automountServiceAccountToken", false)
	if _, ok, _ := unstructured.NestedMap(want, "spec", "template", "spec"); !ok {
		return
	}
	labels(want, have, "spec", "template", "metadata")
	wantPod, havePod := want["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any), have["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
	for path, value := range addedToPods {
		without(wantPod, havePod, path, value)
	}
	wants := append(list(wantPod, "containers"), list(wantPod, "initContainers")...)
	haves := append(list(havePod, "containers"), list(havePod, "initContainers")...)
	for i := range min(len(wants), len(haves)) {
		for path, value := range addedToContainers {
			without(wants[i], haves[i], path, value)
		}
		if _, ok := wants[i]["securityContext"]; !ok {
			if left, _ := haves[i]["securityContext"].(map[string]any); len(left) == 0 {
				delete(haves[i], "securityContext")
			}
		}
		// Our ports have names.
		wantPorts, havePorts := list(wants[i], "ports"), list(haves[i], "ports")
		for j := range min(len(wantPorts), len(havePorts)) {
			if wantPorts[j]["name"] == nil {
				delete(havePorts[j], "name")
			}
		}
	}
}

func labels(want, have map[string]any, path ...string) {
	wanted, _, _ := unstructured.NestedStringMap(want, append(path, "labels")...)
	got, _, _ := unstructured.NestedStringMap(have, append(path, "labels")...)
	for _, label := range addedLabels {
		if _, ok := wanted[label]; !ok {
			delete(got, label)
		}
	}
	unstructured.RemoveNestedField(have, append(path, "labels")...)
	if len(got) > 0 {
		_ = unstructured.SetNestedStringMap(have, got, append(path, "labels")...) // metadata is a map
	}
}

// without takes a field with that value from have, if want has none.
func without(want, have map[string]any, path string, value any) {
	at := strings.Split(path, ".")
	if _, found, _ := unstructured.NestedFieldNoCopy(want, at...); found {
		return
	}
	if got, _, _ := unstructured.NestedFieldNoCopy(have, at...); reflect.DeepEqual(got, value) {
		unstructured.RemoveNestedField(have, at...)
	}
}

// defaulted is an object as its API completes it: Kubernetes' own defaults by its own code, Istio's as its reference
// states them. Lists whose order says nothing are sorted.
func defaulted(t *testing.T, o *unstructured.Unstructured) map[string]any {
	t.Helper()
	out := runtime.DeepCopyJSON(o.Object)
	if strings.Contains(o.GetAPIVersion(), "istio.io") {
		istioDefaults(out)
		return out
	}
	data, err := o.MarshalJSON()
	require.NoError(t, err)
	strict := serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	typed, _, err := strict.Decode(data, nil, nil)
	require.NoError(t, err)
	legacyscheme.Scheme.Default(typed)
	out, err = runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	require.NoError(t, err)
	delete(out, "status")
	pod, ok, _ := unstructured.NestedFieldNoCopy(out, "spec", "template", "spec")
	if ok {
		sorted(pod.(map[string]any), "volumes", "name")
		for _, c := range list(pod.(map[string]any), "containers") {
			sorted(c, "env", "name") // none refers to another
			sorted(c, "volumeMounts", "mountPath")
		}
	}
	if rules, _, _ := unstructured.NestedFieldNoCopy(out, "spec", "rules"); rules != nil {
		for _, r := range list(out["spec"].(map[string]any), "rules") {
			sorted(r["http"].(map[string]any), "paths", "path") // the longest that matches wins
		}
	}
	return out
}

// istioDefaults completes a VirtualService: it holds in the mesh, and the only destination takes all.
func istioDefaults(o map[string]any) {
	if o["kind"] != "VirtualService" {
		return
	}
	spec := o["spec"].(map[string]any)
	if spec["gateways"] == nil {
		spec["gateways"] = []any{"mesh"}
	}
	for _, r := range list(spec, "http") {
		if route := list(r, "route"); len(route) == 1 && route[0]["weight"] == nil {
			route[0]["weight"] = float64(100)
		}
		if match, ok := r["match"].([]any); ok { // any of them will do
			slices.SortFunc(match, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
	}
}

func sorted(m map[string]any, field, by string) {
	items, _ := m[field].([]any)
	slices.SortFunc(items, func(a, b any) int {
		return strings.Compare(fmt.Sprint(a.(map[string]any)[by]), fmt.Sprint(b.(map[string]any)[by]))
	})
}

// compare adds the paths at which two values differ.
func compare(path string, want, have any, out *[]string) {
	wantMap, isMap := want.(map[string]any)
	haveMap, both := have.(map[string]any)
	if isMap && both {
		keys := maps.Clone(wantMap)
		maps.Copy(keys, haveMap)
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			dot := "."
			if strings.HasSuffix(path, " ") {
				dot = ""
			}
			compare(path+dot+key, wantMap[key], haveMap[key], out)
		}
		return
	}
	wantList, isList := want.([]any)
	haveList, both := have.([]any)
	if isList && both && len(wantList) == len(haveList) {
		for i := range wantList {
			compare(fmt.Sprintf("%s[%d]", path, i), wantList[i], haveList[i], out)
		}
		return
	}
	if !reflect.DeepEqual(want, have) {
		*out = append(*out, fmt.Sprintf("%s: the sample has %v, ours %v", path, want, have))
	}
}

type objects map[string]*unstructured.Unstructured

func decode(manifest string) (objects, error) { return corpus.Objects(manifest) }

func byID(o objects) objects {
	out := objects{}
	for _, object := range o {
		out[object.GetKind()+"/"+object.GetName()] = object
	}
	return out
}

// documents are the values in a file, one set a document.
func documents(t *testing.T, text string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for doc := range strings.SplitSeq(text, "\n---\n") {
		values := map[string]any{}
		require.NoError(t, yaml.UnmarshalStrict([]byte(doc), &values))
		out = append(out, values)
	}
	return out
}

func renderRelease(ctx context.Context, t *testing.T, name string, values map[string]any) objects {
	t.Helper()
	ch, err := chart()
	require.NoError(t, err)
	manifest, _, err := helm3.Template(ctx, ch, helm3.Spec{Name: name, Namespace: "bookinfo", Values: values}, helm3.Capabilities{KubeVersion: "v1.37.2"})
	require.NoError(t, err)
	out, err := decode(manifest)
	require.NoError(t, err)
	return out
}

func list(m map[string]any, field string) []map[string]any {
	items, _ := m[field].([]any)
	out := make([]map[string]any, 0, len(items))
	for _, item := range items {
		out = append(out, item.(map[string]any))
	}
	return out
}
