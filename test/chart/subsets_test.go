package chart_test

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	helmchart "helm.sh/helm/v4/pkg/chart"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	loader4 "helm.sh/helm/v4/pkg/chart/loader"
	"helm.sh/helm/v4/pkg/engine"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	apischema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// mesh is what is live in the cluster: what the chart asks it for, and what Helm does to it.
type mesh struct {
	dynamic.NamespaceableResourceInterface
	live objects
	kind string
}

func (m mesh) GetClientFor(_, kind string) (dynamic.NamespaceableResourceInterface, bool, error) {
	m.kind = kind
	return m, true, nil
}

func (m mesh) Namespace(string) dynamic.ResourceInterface { return m }

func (m mesh) Get(_ context.Context, name string, _ metav1.GetOptions, _ ...string) (*unstructured.Unstructured, error) {
	if o := m.live[m.kind+"/"+name]; o != nil {
		return o, nil
	}
	return nil, apierrors.NewNotFound(apischema.GroupResource{Resource: m.kind}, name)
}

// upgrade does what Helm does: it renders, and then makes and changes the objects in the order of their kinds (as
// Helm does with those it has no order for), and takes away those that are no more. It calls after for each.
func (m mesh) upgrade(t *testing.T, values map[string]any, blind bool, after func(id string)) error {
	t.Helper()
	var manifest string
	var err error
	if blind {
		manifest, _, err = render(t.Context(), "demo", values)
	} else {
		manifest, err = renderLive(t, values, m)
	}
	if err != nil {
		return err
	}
	wanted, err := decode(manifest)
	require.NoError(t, err)
	for _, id := range slices.Sorted(maps.Keys(wanted)) {
		m.live[id] = wanted[id]
		after(id)
	}
	for _, id := range slices.Sorted(maps.Keys(m.live)) {
		if wanted[id] == nil {
			delete(m.live, id)
			after(id)
		}
	}
	return nil
}

// chart4 is the chart as Helm 4 loads it, once.
var chart4 = sync.OnceValues(func() (helmchart.Charter, error) { return loader4.Load(chartDir) })

func renderLive(t *testing.T, values map[string]any, m mesh) (string, error) {
	t.Helper()
	chart, err := chart4()
	require.NoError(t, err)
	version, err := common.ParseKubeVersion(kubeVersion)
	require.NoError(t, err)
	options := common.ReleaseOptions{Name: "demo", Namespace: namespace, IsUpgrade: true, Revision: 2}
	top, err := util.ToRenderValuesWithSchemaValidation(chart, values, options, &common.Capabilities{KubeVersion: *version}, true)
	require.NoError(t, err)
	files, err := engine.RenderWithClientProvider(chart, top, m)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(path, ".yaml") {
			out.WriteString(files[path])
		}
	}
	return out.String(), nil
}

// defined are the subsets of the App; named are those that its routes name.
func (m mesh) defined() map[string]bool {
	out := map[string]bool{}
	if rule := m.live["DestinationRule/shop"]; rule != nil {
		subsets, _, _ := unstructured.NestedSlice(rule.Object, "spec", "subsets")
		for _, s := range subsets {
			out[s.(map[string]any)["name"].(string)] = true
		}
	}
	return out
}

func (m mesh) named() map[string]bool {
	out := map[string]bool{}
	for id, o := range m.live {
		if !strings.HasPrefix(id, "VirtualService/") {
			continue
		}
		for _, kind := range []string{"http", "tcp"} {
			routes, _, _ := unstructured.NestedSlice(o.Object, "spec", kind)
			for _, r := range routes {
				destinations, _ := r.(map[string]any)["route"].([]any)
				if mirror := r.(map[string]any)["mirror"]; mirror != nil {
					destinations = append(destinations, map[string]any{"destination": mirror})
				}
				for _, d := range destinations {
					out[d.(map[string]any)["destination"].(map[string]any)["subset"].(string)] = true
				}
			}
		}
	}
	return out
}

// missing are the subsets that a route names and nothing defines: requests to them fail.
func (m mesh) missing() []string {
	var out []string
	for subset := range m.named() {
		if !m.defined()[subset] {
			out = append(out, subset)
		}
	}
	slices.Sort(out)
	return out
}

// TestMakeBeforeBreak: through any sequence of upgrades, at no moment does a route name a subset that is not there;
// an upgrade that would do so is refused, and no other.
func TestMakeBeforeBreak(t *testing.T) {
	const sequences, steps = 25, 8
	accepted, refused := 0, 0
	for seed := range uint64(sequences) {
		random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // the same on every run
		m := mesh{live: objects{}}
		for range steps {
			values, subsets := randomRouting(random)
			var lost []string
			for subset := range m.named() {
				if !subsets[subset] {
					lost = append(lost, subset)
				}
			}
			before := maps.Clone(m.live)
			err := m.upgrade(t, values, false, func(id string) {
				require.Empty(t, m.missing(), "seed %d, after %s", seed, id)
			})
			if len(lost) == 0 {
				require.NoError(t, err, "seed %d", seed)
				accepted++
				continue
			}
			refused++
			for _, subset := range lost {
				require.ErrorContains(t, err, "- routing.versions: found no version of the subset "+subset+", to which the live VirtualService shop")
			}
			require.Equal(t, before, m.live, "a refused upgrade changes nothing")
		}
	}
	t.Logf("%d upgrades accepted, %d refused", accepted, refused)
	assert.Greater(t, accepted, sequences)
	assert.Greater(t, refused, sequences)
}

// randomRouting is a routing block, and the subsets that it defines.
func randomRouting(random *rand.Rand) (values map[string]any, subsets map[string]bool) {
	subsets = map[string]bool{}
	version := func() string {
		v := "v" + string(rune('1'+random.IntN(4))) + ".0"
		subsets[strings.ReplaceAll(v, ".", "-")] = true
		return v
	}
	routing := map[string]any{"stage": "a"}
	var stages []any
	for i := range 1 + random.IntN(2) {
		weights := map[string]any{}
		if a, b := version(), version(); a == b {
			weights[a] = float64(100)
		} else {
			weights[a], weights[b] = float64(90), float64(10)
		}
		stages = append(stages, map[string]any{"name": string(rune('a' + i)), "weights": weights})
	}
	routing["stages"] = stages
	if random.IntN(2) == 0 {
		routing["versions"] = map[string]any{version(): map[string]any{}, version(): map[string]any{}}
	}
	values = map[string]any{"app": "shop", "routing": routing}
	switch random.IntN(4) {
	case 0:
		values["exposure"] = map[string]any{"kind": "istio", "hosts": []any{"*"}}
	case 1:
		routing["protocol"] = "TCP"
	case 2:
		routing["mirror"] = map[string]any{"host": "shop", "subset": strings.ReplaceAll(slices.Sorted(maps.Keys(stages[0].(map[string]any)["weights"].(map[string]any)))[0], ".", "-")}
	}
	return values, subsets
}

// TestRemovalInTwoSteps is the way that docs/values.md gives, and shows that the shortcut breaks where nothing refuses it.
func TestRemovalInTwoSteps(t *testing.T) {
	both := parse(t, `{app: shop, routing: {stage: a, stages: [{name: a, weights: {v1: 50, v2: 50}}]}}`)
	kept := parse(t, `{app: shop, routing: {stage: a, stages: [{name: a, weights: {v2: 100}}], versions: {v1: {}}}}`)
	gone := parse(t, `{app: shop, routing: {stage: a, stages: [{name: a, weights: {v2: 100}}]}}`)

	m := mesh{live: objects{}}
	for _, values := range []map[string]any{both, kept, gone} {
		require.NoError(t, m.upgrade(t, values, false, func(id string) { assert.Empty(t, m.missing(), id) }))
	}
	assert.Equal(t, map[string]bool{"v2": true}, m.defined())

	m = mesh{live: objects{}}
	require.NoError(t, m.upgrade(t, both, true, func(string) {}))
	var broken []string
	require.NoError(t, m.upgrade(t, gone, true, func(string) { broken = append(broken, m.missing()...) }))
	assert.Equal(t, []string{"v1"}, broken, "between the DestinationRule and the VirtualService")
}
