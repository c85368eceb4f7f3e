package rollout

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"
	"sigs.k8s.io/yaml"
)

func parsed(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	require.NoError(t, yaml.Unmarshal([]byte(text), &o.Object))
	return o
}

const liveRule = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: bookinfo}
spec:
  host: reviews
  subsets:
    - {name: v1, labels: {version: v1}}
    - {name: v1-3-4, labels: {version: v1.3.4}}
`

func TestReadLive(t *testing.T) {
	const head = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: reviews, namespace: bookinfo}\nspec:\n  http:\n"
	for name, c := range map[string]struct {
		http    string
		weights map[string]int
		err     string
	}{
		"divided, after a route by header": {`
    - match: [{headers: {end-user: {exact: jason}}}]
      route: [{destination: {host: reviews, subset: v1-3-4}}]
    - route:
        - {destination: {host: reviews, subset: v1}, weight: 90}
        - {destination: {host: reviews, subset: v1-3-4}, weight: 10}
`, map[string]int{"v1": 90, "v1.3.4": 10}, ""},
		"one alone":        {"\n    - route: [{destination: {host: reviews.bookinfo, subset: v1}}]\n", map[string]int{"v1": 100}, ""},
		"an unknown one":   {"\n    - route: [{destination: {host: reviews, subset: v9}}]\n", nil, `leads to subset "v9", which DestinationRule/bookinfo/reviews does not have`},
		"to another":       {"\n    - route: [{destination: {host: ratings, subset: v1}}]\n", nil, "leads nothing to reviews.bookinfo.svc.cluster.local"},
		"without an http":  {"    []\n", nil, "has no HTTP route"},
		"not on a cluster": {"", nil, "not found"},
	} {
		t.Run(name, func(t *testing.T) {
			client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{}, parsed(t, liveRule))
			if c.http != "" {
				gvr := schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"}
				require.NoError(t, client.Tracker().Create(gvr, parsed(t, head+c.http), "bookinfo"))
			}
			live, err := ReadLive(t.Context(), client, "bookinfo", "reviews", reviews)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.weights, live.Weights)
			assert.Equal(t, map[string]string{"v1": "v1", "v1.3.4": "v1-3-4"}, live.Subsets)
		})
	}
}

func TestDivides(t *testing.T) {
	l := Live{Weights: map[string]int{"v1": 90, "v2": 10}}
	assert.True(t, l.Divides(map[string]int{"v1": 90, "v2": 10, "v3": 0}))
	assert.False(t, l.Divides(map[string]int{"v1": 89, "v2": 11}))
	assert.False(t, l.Divides(map[string]int{"v1": 90}))
}
