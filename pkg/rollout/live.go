package rollout

import (
	"context"
	"fmt"
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// Live is an app's routing as it is on the cluster, whoever wrote it last.
type Live struct {
	// Weights are percent by version of the last route, the one that divides what no other route takes. Versions
	// without a weight are left out.
	Weights map[string]int
	// Subsets are the subsets by version.
	Subsets map[string]string
}

// ReadLive reads the VirtualService and the DestinationRule of that name; host is the full name of the Service whose
// requests they divide.
func ReadLive(ctx context.Context, client dynamic.Interface, namespace, name, host string) (Live, error) {
	get := func(resource string) (*unstructured.Unstructured, error) {
		return client.Resource(schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: resource}).
			Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	}
	vs, err := get("virtualservices")
	if err != nil {
		return Live{}, fmt.Errorf("VirtualService/%s/%s: %w", namespace, name, err)
	}
	dr, err := get("destinationrules")
	if err != nil {
		return Live{}, fmt.Errorf("DestinationRule/%s/%s: %w", namespace, name, err)
	}
	return live(vs, dr, host)
}

func live(vs, dr *unstructured.Unstructured, host string) (Live, error) {
	l := Live{Weights: map[string]int{}, Subsets: map[string]string{}}
	versions := map[string]string{} // by subset
	subsets, _, _ := unstructured.NestedSlice(dr.Object, "spec", "subsets")
	for _, s := range subsets {
		s, _ := s.(map[string]any)
		name, _, _ := unstructured.NestedString(s, "name")
		version, _, _ := unstructured.NestedString(s, "labels", "version")
		l.Subsets[version], versions[name] = name, version
	}
	splits := Splits(vs, host)
	if len(splits) == 0 {
		return l, fmt.Errorf("VirtualService/%s/%s has no HTTP route", vs.GetNamespace(), vs.GetName())
	}
	for subset, weight := range splits[len(splits)-1] {
		version, known := versions[subset]
		if !known {
			return l, fmt.Errorf("VirtualService/%s/%s leads to subset %q, which DestinationRule/%s/%s does not have", vs.GetNamespace(), vs.GetName(), subset, dr.GetNamespace(), dr.GetName())
		}
		l.Weights[version] = weight
	}
	if len(l.Weights) == 0 {
		return l, fmt.Errorf("VirtualService/%s/%s leads nothing to %s", vs.GetNamespace(), vs.GetName(), host)
	}
	return l, nil
}

// Divides says whether the live route divides as these weights say. Weights of 0 do not matter.
func (l Live) Divides(weights map[string]int) bool {
	some := maps.Clone(weights)
	maps.DeleteFunc(some, func(_ string, w int) bool { return w == 0 })
	return maps.Equal(some, l.Weights)
}
