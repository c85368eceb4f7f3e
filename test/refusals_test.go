package test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"chartbasico/internal/corpus"
	"chartbasico/internal/figures"
	"chartbasico/pkg/check"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/problem"
	"chartbasico/pkg/render"
)

// TestCheckRefusesWhatTheAPIServerRefuses changes one thing in an object that the chart renders, and asks both: what the
// API server does not take, by create or by server-side apply, check does not pass, and what check says of Kubernetes'
// objects, the API server says too. Each list is doubled once, and the rest is chance.
func TestCheckRefusesWhatTheAPIServerRefuses(t *testing.T) {
	ctx := within(t, 10*time.Minute)
	s := newSafety(t)
	const namespace = metav1.NamespaceDefault
	cases, err := corpus.Read("..")
	require.NoError(t, err)
	kinds := map[string][]*unstructured.Unstructured{}
	for _, c := range cases {
		objects, err := s.objects(ctx, s.chart, namespace, c.Values)
		require.NoError(t, err, c.Name)
		for _, id := range slices.Sorted(maps.Keys(objects)) {
			o, err := corpus.Whole(objects[id])
			require.NoError(t, err)
			if !slices.Contains(clusterWide, o.GetKind()) {
				o.SetNamespace(namespace)
			}
			kinds[o.GetKind()] = append(kinds[o.GetKind()], o)
		}
	}
	names := slices.Sorted(maps.Keys(kinds))
	checker, err := check.New()
	require.NoError(t, err)
	// ask returns whether the API server refuses what was changed, and fails where check does not agree.
	ask := func(o *unstructured.Unstructured, what string) bool {
		release := &render.Release{Release: environment.Release{Name: "demo", Namespace: namespace}, Objects: []*unstructured.Unstructured{o}}
		var says []string
		required := false
		for _, p := range checker.Release(ctx, release) {
			if p.Severity == problem.Error && slices.Contains([]string{"schema", "kubernetes", "IST0106"}, p.Rule) {
				says = append(says, p.String())
				// Istio says of an object what is wrong with it, and not where.
				assert.Truef(t, p.Object != "" && (p.Path != "" || p.Rule == "IST0106"), "%s/%s, %s: it is not said where: %s", o.GetKind(), o.GetName(), what, p)
				required = required || p.Rule == "schema" && strings.HasSuffix(p.Found, ", which is required")
			}
		}
		err := s.create(o, true)
		if err == nil {
			err = s.apply(ctx, namespace, o, true) // which refuses more: two entries of one key in a list
		}
		if err == nil && required {
			return false // by its own schema, which the API server does not ask of its own kinds: it takes an empty list
		}
		assert.Equalf(t, err != nil, len(says) > 0, "%s/%s, %s: the API server says: %v; check says: %s", o.GetKind(), o.GetName(), what, err, strings.Join(says, "\n"))
		return err != nil
	}

	doubled := map[string]bool{}
	for _, name := range names {
		for _, of := range kinds[name] {
			for i, p := range places(of.Object) {
				list, is := p.was.([]any)
				where := name + " " + index.ReplaceAllString(p.path, "[]")
				if !is || len(list) == 0 || doubled[where] {
					continue
				}
				o := of.DeepCopy()
				places(o.Object)[i].set(append(slices.Clone(list), list...))
				doubled[where] = true
				ask(o, p.path+", doubled")
			}
		}
	}

	draw := rand.New(rand.NewPCG(*seed, 7)) //nolint:gosec // what is changed need not be secret
	refused := 0
	n := 10 * *random
	for range n {
		of := kinds[names[draw.IntN(len(names))]]
		o := of[draw.IntN(len(of))].DeepCopy()
		if what := mutate(draw, o.Object); what != "" && ask(o, what) {
			refused++
		}
	}
	figures.Record(t, "objects with one thing changed", n, "%d, of which the API server refuses %d, and check too", n, refused)
}

var index = regexp.MustCompile(`\[\d+\]`)

// place is one value in an object.
type place struct {
	path string
	set  func(any)
	drop func()
	was  any
}

// places are all values in an object, but for those that the request names too.
func places(object map[string]any) (out []place) {
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				out = append(out, place{path + "." + key, func(to any) { v[key] = to }, func() { delete(v, key) }, v[key]})
				walk(path+"."+key, v[key])
			}
		case []any:
			for i := range v {
				out = append(out, place{fmt.Sprintf("%s[%d]", path, i), func(to any) { v[i] = to }, nil, v[i]})
				walk(fmt.Sprintf("%s[%d]", path, i), v[i])
			}
		}
	}
	for _, part := range slices.Sorted(maps.Keys(object)) {
		if part != "apiVersion" && part != "kind" {
			if _, is := object[part].(map[string]any); is {
				walk(part, object[part])
			}
		}
	}
	return slices.DeleteFunc(out, func(p place) bool { return p.path == "metadata.namespace" })
}

// mutate changes one value in an object, and says which.
func mutate(draw *rand.Rand, object map[string]any) string {
	places := places(object)
	if len(places) == 0 {
		return ""
	}
	p := places[draw.IntN(len(places))]
	if p.drop != nil && draw.IntN(4) == 0 {
		p.drop()
		return "without " + p.path
	}
	var to any
	switch was := p.was.(type) {
	case string:
		to = []string{"", "Whatever", "-x", "a b", strings.ToUpper(was), was + "-1", "70000"}[draw.IntN(7)]
	case int64, float64:
		to = []int64{-1, 0, 1, 101, 70000, 1 << 40}[draw.IntN(6)]
	case bool:
		to = !was
	case []any:
		to = append(slices.Clone(was), was...)
	case map[string]any:
		to = map[string]any{}
	default:
		return ""
	}
	p.set(to)
	return fmt.Sprintf("%s: %v, was %v", p.path, to, p.was)
}
