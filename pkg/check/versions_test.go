package check

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/internal/corpus"
	"chartbasico/internal/figures"
	"chartbasico/internal/helm3"
	"chartbasico/internal/valuesgen"
	"chartbasico/pkg/render"
)

// since are the fields that the chart passes through and that not every version of Kubernetes has, with the first that
// does. Whoever sets one needs it.
var since = map[string]string{"hostnameOverride": "1.34", "resources": "1.32", "stopSignal": "1.33"}

// TestEveryKubernetesVersion: each object of each case of the chart's tests, and of random values, is legal by the schema
// of each Kubernetes version, but for fields that are newer than it; and by what the newest API server says beyond.
func TestEveryKubernetesVersion(t *testing.T) {
	const root, seeds = "../..", 200
	chart, err := helm3.LoadChart(filepath.Join(root, "charts/chart_basico"))
	require.NoError(t, err)
	raw, err := os.ReadFile(filepath.Join(root, "charts/chart_basico/values.schema.json"))
	require.NoError(t, err)
	gen, err := valuesgen.New(raw)
	require.NoError(t, err)
	manifest := func(values map[string]any) (string, error) {
		text, _, err := helm3.Template(t.Context(), chart, helm3.Spec{Name: "demo", Namespace: "shop", Values: values}, helm3.Capabilities{KubeVersion: version(render.DefaultKubeVersion)})
		return text, err
	}
	cases, err := corpus.Read(root)
	require.NoError(t, err)
	for seed := range uint64(seeds) {
		values := gen.Values(seed)
		_, err := gen.Settle(values, func(v map[string]any) error { _, err := manifest(v); return err })
		require.NoError(t, err)
		text, err := manifest(values)
		require.NoError(t, err)
		cases = append(cases, corpus.Case{Name: "random values, seed " + strconv.FormatUint(seed, 10), Manifest: text})
	}
	checked, seen := 0, map[string]bool{}
	for _, v := range versions() {
		s, err := openSchemas(v)
		require.NoError(t, err)
		for _, c := range cases {
			objects, err := corpus.Objects(c.Manifest)
			require.NoError(t, err)
			for id, u := range objects {
				checked++
				u, err := corpus.Whole(u)
				require.NoError(t, err)
				if strategy, ok := strategies[u.GroupVersionKind().GroupKind()]; !ok || strategy.NamespaceScoped() {
					u.SetNamespace("shop")
				}
				o := object{u, id, &render.Release{}}
				if v == render.DefaultKubeVersion {
					assert.Empty(t, s.admit(t.Context(), o), c.Name)
					assert.True(t, s.admits(t, o), "%s: nothing says what the API server says of a %s", c.Name, u.GetKind())
				}
				for _, p := range s.check(o) {
					key := p.Path[strings.LastIndex(p.Path, ".")+1:]
					if strings.HasPrefix(p.Found, "unknown key ") && older(v, since[key]) {
						seen[key] = true
						continue
					}
					t.Errorf("%s: %s on Kubernetes %s: %s", c.Name, id, v, p)
				}
			}
		}
	}
	for key := range since {
		assert.True(t, seen[key], "no version lacks %s, or nothing sets it", key)
	}
	figures.Record(t, "objects by Kubernetes' schemas", checked, "%d legal, of %d cases and %d random values, on each of %s; %d fields are newer than some",
		checked, len(cases)-seeds, seeds, strings.Join(versions(), ", "), len(since))
}

func version(minor string) string { return "v" + minor + ".0" }

// older says whether a version of Kubernetes comes before another; nothing comes before none.
func older(version, than string) bool {
	minor := func(v string) int { n, _ := strconv.Atoi(strings.TrimPrefix(v, "1.")); return n }
	return minor(version) < minor(than)
}

// admits says whether anything but its schema is known of an object's kind.
func (s *schemas) admits(t *testing.T, o object) bool {
	kind, err := s.customKind(o.GetAPIVersion() + "/" + o.GetKind())
	require.NoError(t, err)
	return kind != nil || strategies[o.GroupVersionKind().GroupKind()] != nil
}
