package test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"chartbasico/internal/corpus"
	"chartbasico/internal/figures"
	"chartbasico/internal/helm3"
	"chartbasico/internal/valuesgen"
	"chartbasico/pkg/diff"
	"chartbasico/pkg/render"
)

var (
	random = flag.Int("random", 100, "how many random values are sent to the API server")
	seed   = flag.Uint64("seed", 1, "of the first random values; the next ones follow")
)

// safety asks an API server about what a chart renders.
type safety struct {
	api
	cluster kubernetes.Interface
	chart   *helm3.Chart
	schema  *jsonschema.Schema
}

func newSafety(t *testing.T) *safety {
	t.Helper()
	kubeconfig := complete(t).Kubeconfig()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	require.NoError(t, err)
	config.QPS = -1 // as openAPI
	cluster, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	loaded, err := helm3.LoadChart(chart(t))
	require.NoError(t, err)
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join(chart(t), "values.schema.json"))
	require.NoError(t, err)
	return &safety{openAPI(t, kubeconfig), cluster, loaded, schema}
}

// namespace makes a namespace in which no pod may be made: controllers then have nothing to run.
func (s *safety) namespace(t *testing.T, name string) {
	t.Helper()
	_, err := s.cluster.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.cluster.CoreV1().Namespaces().Delete(context.Background(), name, metav1.DeleteOptions{}) })
	_, err = s.cluster.CoreV1().ResourceQuotas(name).Create(t.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "no-pods"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

// apply applies an object as Helm 4 does, by server-side apply, or has the server say whether it would take it.
func (s *safety) apply(ctx context.Context, namespace string, o *unstructured.Unstructured, dry bool) error {
	objects, err := s.resource(o, namespace)
	if err != nil {
		return err
	}
	options := metav1.ApplyOptions{FieldManager: "helm", Force: true}
	if dry {
		options.DryRun = []string{metav1.DryRunAll}
	}
	_, err = objects.Apply(ctx, o.GetName(), o, options)
	return err
}

// taken says whether the chart and the API server take the values, where nothing is yet and the objects of known are taken.
func (s *safety) taken(ctx context.Context, namespace string, values map[string]any, known map[string]*unstructured.Unstructured) bool {
	if s.schema.Validate(values) != nil {
		return false
	}
	objects, err := s.objects(ctx, s.chart, namespace, values)
	if err != nil || len(objects) == 0 {
		return false
	}
	for id, o := range objects {
		if !reflect.DeepEqual(known[id], o) && s.apply(ctx, namespace, o, true) != nil {
			return false
		}
	}
	return true
}

// objects are what a chart renders, by Kind/name.
func (s *safety) objects(ctx context.Context, chart *helm3.Chart, namespace string, values map[string]any) (map[string]*unstructured.Unstructured, error) {
	manifest, _, err := helm3.Template(ctx, chart, helm3.Spec{Name: "demo", Namespace: namespace, Values: values}, helm3.Capabilities{KubeVersion: "v" + render.DefaultKubeVersion + ".0"})
	if err != nil {
		return nil, err
	}
	return corpus.Objects(manifest)
}

// TestAPIServerTakesEverything: each object of each example, of each case of the chart's tests and of random values is
// taken by the real API server, with Istio's webhook behind it, by server-side apply: which also refuses two entries of
// one key in a list.
func TestAPIServerTakesEverything(t *testing.T) {
	ctx := within(t, 10*time.Minute)
	s := newSafety(t)
	const namespace = "safety"
	s.namespace(t, namespace)
	cases, err := corpus.Read("..")
	require.NoError(t, err)
	raw, err := os.ReadFile(filepath.Join(chart(t), "values.schema.json"))
	require.NoError(t, err)
	gen, err := valuesgen.New(raw)
	require.NoError(t, err)
	for n := *seed; n < *seed+uint64(*random); n++ {
		values := gen.Values(n)
		_, err := gen.Settle(values, func(v map[string]any) error { _, err := s.objects(ctx, s.chart, namespace, v); return err })
		require.NoError(t, err)
		cases = append(cases, corpus.Case{Name: fmt.Sprintf("random values, seed %d", n), Values: values})
	}

	type sent struct {
		of string
		o  *unstructured.Unstructured
	}
	var all []sent
	for _, c := range cases {
		objects, err := s.objects(ctx, s.chart, namespace, c.Values)
		require.NoError(t, err, c.Name)
		for _, o := range objects {
			all = append(all, sent{c.Name, o})
		}
	}
	began := time.Now()
	var taken atomic.Int32
	var group errgroup.Group
	group.SetLimit(16)
	for _, one := range all {
		group.Go(func() error {
			if err := s.apply(ctx, namespace, one.o, true); err != nil {
				t.Errorf("%s: %s/%s: %v", one.of, one.o.GetKind(), one.o.GetName(), err)
				return nil
			}
			taken.Add(1)
			return nil
		})
	}
	require.NoError(t, group.Wait())
	took := time.Since(began)
	figures.Record(t, "objects sent to the API server", int(taken.Load()), "%d taken of %d, %d cases and %d random values from seed %d; %.0f a second",
		taken.Load(), len(all), len(cases)-*random, *random, *seed, float64(taken.Load())/took.Seconds())

	bad := all[slices.IndexFunc(all, func(one sent) bool { return one.o.GetKind() == "Deployment" })].o.DeepCopy()
	bad.SetLabels(map[string]string{"a": "no label"})
	require.True(t, apierrors.IsInvalid(s.apply(ctx, namespace, bad, true)), "the check can fail")
}

// TestUpgradesAreTaken: whatever of an example's values was not there before, or goes, the API server takes the upgrade:
// nothing that is immutable changes. Each key goes by itself, and some together. What no chart can change on a running
// system is refused, and diff says so before.
func TestUpgradesAreTaken(t *testing.T) {
	ctx := within(t, 10*time.Minute)
	s := newSafety(t)
	const empty = "safety-empty"
	s.namespace(t, empty)
	cases, err := corpus.Read("..")
	require.NoError(t, err)
	type upgrade struct {
		name          string
		key           string // that is in one of the two alone; empty for several
		before, after map[string]any
	}
	var mu sync.Mutex
	upgrades := map[string][]upgrade{} // by the namespace in which they are made, one after the other
	var group errgroup.Group
	group.SetLimit(8)
	for i, c := range cases {
		if !c.Example() {
			continue
		}
		whole, err := s.objects(ctx, s.chart, empty, c.Values)
		require.NoError(t, err)
		add := func(key, name string, less map[string]any) {
			mu.Lock()
			defer mu.Unlock()
			name = strings.TrimPrefix(c.Name, corpus.ExamplePrefix) + " " + name
			namespace := fmt.Sprintf("upgrades-%d", i)
			upgrades[namespace] = append(upgrades[namespace], upgrade{name, key, less, c.Values}, upgrade{name + " back", key, c.Values, less})
		}
		keys := valuesgen.Keys(c.Values)
		less := func(values map[string]any, key []string) (map[string]any, bool) {
			without := valuesgen.Without(values, key)
			return without, without["version"] == c.Values["version"] && s.taken(ctx, empty, without, whole)
		}
		group.Go(func() error {
			for _, key := range keys {
				if without, ok := less(c.Values, key); ok {
					add(strings.Join(key, "."), "without "+strings.Join(key, "."), without)
				}
			}
			draw := rand.New(rand.NewPCG(*seed+uint64(i), 3)) //nolint:gosec // which keys are tried need not be secret
			for n := range 3 {
				values := c.Values
				for range 4 {
					if without, ok := less(values, keys[draw.IntN(len(keys))]); ok {
						values = without
					}
				}
				add("", fmt.Sprintf("without some, %d", n), values)
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	// The server fills in how a RollingUpdate goes, and takes that with no other type.
	pods := func(kind, field string, strategy map[string]any) map[string]any {
		return map[string]any{"app": "a", "version": "v1", "workload": map[string]any{
			"kind": kind, field: strategy,
			"containers": map[string]any{"a": map[string]any{"image": map[string]any{"repository": "a", "tag": "1"}}},
		}}
	}
	for kind, other := range map[string]string{"Deployment": "Recreate", "StatefulSet": "OnDelete", "DaemonSet": "OnDelete"} {
		field := map[bool]string{true: "strategy", false: "updateStrategy"}[kind == "Deployment"]
		for name, rolling := range map[string]map[string]any{
			"nothing": nil, "RollingUpdate": {"type": "RollingUpdate"}, "two missing": {"rollingUpdate": map[string]any{"maxUnavailable": int64(2)}},
		} {
			before, after := pods(kind, field, rolling), pods(kind, field, map[string]any{"type": other})
			name = fmt.Sprintf("%s from %s to %s", kind, name, other)
			upgrades["upgrades-strategy"] = append(upgrades["upgrades-strategy"], upgrade{name, "", before, after}, upgrade{name + " back", "", after, before})
		}
	}
	fixed, n := map[string]bool{}, 0
	for namespace, each := range upgrades {
		n += len(each)
		s.namespace(t, namespace)
		group.Go(func() error {
			for _, u := range each {
				t.Run(u.name, func(t *testing.T) {
					if s.upgrade(ctx, t, namespace, s.chart, u.before, u.after) && u.key != "" {
						mu.Lock()
						defer mu.Unlock()
						fixed[u.key] = true
					}
				})
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.Equal(t, []string{"service.clusterIP"}, slices.Sorted(maps.Keys(fixed)), "docs/safety.md says which cannot change")
	figures.Record(t, "upgrades from an earlier state", n, "%d: of examples, from values that lack one of their keys, or some, and to such; and of types of update strategies", n)
}

// clusterWide are the kinds that the tests do not make for real, as all of them share one cluster.
var clusterWide = []string{"Namespace", "ClusterRole", "ClusterRoleBinding"}

// upgrade makes what the values before render to, where it is not what those after do, and asks whether what they render
// to after is taken. It must be if diff says nothing of fields that cannot change, and must not if it does, which it returns.
func (s *safety) upgrade(ctx context.Context, t *testing.T, namespace string, from *helm3.Chart, before, after map[string]any) (fixed bool) {
	t.Helper()
	was, err := s.objects(ctx, from, namespace, before)
	require.NoError(t, err)
	is, err := s.objects(ctx, s.chart, namespace, after)
	require.NoError(t, err)
	for id, o := range is {
		if reflect.DeepEqual(was[id], o) {
			delete(was, id)
			delete(is, id)
		}
	}
	for id, o := range was {
		if is[id] != nil && !slices.Contains(clusterWide, o.GetKind()) {
			require.NoError(t, s.apply(ctx, namespace, o, false), id)
			defer s.remove(ctx, t, namespace, o)
		}
	}
	var refused []string
	for id, o := range is {
		if err := s.apply(ctx, namespace, o, true); err != nil {
			refused = append(refused, id+": "+err.Error())
		}
	}
	changes := diff.Releases([]diff.Release{{Name: "demo", Objects: slices.Collect(maps.Values(was))}}, []diff.Release{{Name: "demo", Objects: slices.Collect(maps.Values(is))}})
	fixed = slices.ContainsFunc(changes, func(c diff.Change) bool { return c.Rule == "immutable-field" })
	if fixed != (len(refused) > 0) {
		a, _ := yaml.Marshal(before)
		b, _ := yaml.Marshal(after)
		t.Errorf("refused: %q\ndiff: %v\nbefore:\n%s\nafter:\n%s", refused, changes, a, b)
	}
	return fixed
}

// remove deletes an object and waits until it is gone.
func (s *safety) remove(ctx context.Context, t *testing.T, namespace string, o *unstructured.Unstructured) {
	t.Helper()
	objects, err := s.resource(o, namespace)
	require.NoError(t, err)
	background := metav1.DeletePropagationBackground
	require.NoError(t, objects.Delete(ctx, o.GetName(), metav1.DeleteOptions{PropagationPolicy: &background}))
	require.NoError(t, wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		_, err := objects.Get(ctx, o.GetName(), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, err
	}))
}

// TestUpgradeCanFail: the API server refuses another selector.
func TestUpgradeCanFail(t *testing.T) {
	ctx := within(t, time.Minute)
	s := newSafety(t)
	const namespace = "upgrade-can-fail"
	s.namespace(t, namespace)
	objects, err := s.objects(ctx, s.chart, namespace, map[string]any{"app": "a", "version": "v1", "workload": map[string]any{
		"containers": map[string]any{"a": map[string]any{"image": map[string]any{"repository": "a", "tag": "1"}}},
	}})
	require.NoError(t, err)
	deployment := objects["Deployment/a-v1"]
	require.NotNil(t, deployment)
	require.NoError(t, s.apply(ctx, namespace, deployment, false))
	for _, path := range [][]string{{"spec", "selector", "matchLabels", "more"}, {"spec", "template", "metadata", "labels", "more"}} {
		require.NoError(t, unstructured.SetNestedField(deployment.Object, "label", path...))
	}
	require.ErrorContains(t, s.apply(ctx, namespace, deployment, true), "field is immutable")
}

// TestUpgradeFromThePreviousChart: the values of the chart's previous version are values of this one, and the upgrade is
// taken. testdata/previous.tar.gz holds that chart and its examples; docs/safety.md says how it is made.
func TestUpgradeFromThePreviousChart(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	s := newSafety(t)
	dir := t.TempDir()
	unpack(t, "testdata/previous.tar.gz", dir)
	previous, err := helm3.LoadChart(filepath.Join(dir, "charts/chart_basico"))
	require.NoError(t, err)
	upgrades := 0
	require.NoError(t, filepath.WalkDir(filepath.Join(dir, "values"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		values := map[string]any{}
		if err := yaml.Unmarshal(raw, &values); err != nil {
			return err
		}
		upgrades++
		t.Run(strings.TrimPrefix(path, filepath.Join(dir, "values")+"/"), func(t *testing.T) {
			namespace := fmt.Sprintf("previous-%d", upgrades)
			s.namespace(t, namespace)
			require.False(t, s.upgrade(ctx, t, namespace, previous, values, values))
		})
		return nil
	}))
	require.Positive(t, upgrades)
	figures.Record(t, "upgrades from the previous chart", upgrades, "%d: each of its examples, with the same values", upgrades)
}

func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	f, err := os.Open(archive)
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	for files := tar.NewReader(z); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
		switch h.Typeflag {
		case tar.TypeDir:
			require.NoError(t, root.MkdirAll(strings.TrimSuffix(h.Name, "/"), 0o700))
		case tar.TypeReg:
			require.NoError(t, root.MkdirAll(filepath.Dir(h.Name), 0o700))
			raw, err := io.ReadAll(files)
			require.NoError(t, err)
			require.NoError(t, root.WriteFile(h.Name, raw, 0o600))
		}
	}
}
