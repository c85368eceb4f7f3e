package test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"chartbasico/internal/corpus"
	"chartbasico/internal/figures"
	"chartbasico/internal/helm3"
	"chartbasico/internal/valuesgen"
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

// taken says whether the chart and the API server take the values, where nothing is yet.
func (s *safety) taken(ctx context.Context, namespace string, values map[string]any) bool {
	if s.schema.Validate(values) != nil {
		return false
	}
	objects, err := s.objects(ctx, s.chart, namespace, values)
	if err != nil || len(objects) == 0 {
		return false
	}
	for _, o := range objects {
		if s.apply(ctx, namespace, o, true) != nil {
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
// nothing that is immutable changes.
func TestUpgradesAreTaken(t *testing.T) {
	ctx := within(t, 10*time.Minute)
	s := newSafety(t)
	const empty = "safety-empty"
	s.namespace(t, empty)
	cases, err := corpus.Read("..")
	require.NoError(t, err)
	upgrades := 0
	for i, c := range cases {
		if !c.Example() {
			continue
		}
		draw := rand.New(rand.NewPCG(*seed+uint64(i), 3)) //nolint:gosec // which keys are tried need not be secret
		keys := valuesgen.Keys(c.Values)
		for n := range 3 {
			less := c.Values
			for range 1 + draw.IntN(3) {
				without := valuesgen.Without(less, keys[draw.IntN(len(keys))])
				if without["version"] == c.Values["version"] && s.taken(ctx, empty, without) {
					less = without
				}
			}
			name := fmt.Sprintf("%s %d", strings.TrimPrefix(c.Name, corpus.ExamplePrefix), n)
			t.Run(name, func(t *testing.T) { s.upgrade(ctx, t, fmt.Sprintf("more-%d-%d", i, n), s.chart, less, c.Values) })
			t.Run(name+" back", func(t *testing.T) { s.upgrade(ctx, t, fmt.Sprintf("less-%d-%d", i, n), s.chart, c.Values, less) })
			upgrades += 2
		}
	}
	figures.Record(t, "upgrades from an earlier state", upgrades, "%d of examples: from values that lack some of them, and to such", upgrades)
}

// clusterWide are the kinds that the tests do not make for real, as all of them share one cluster.
var clusterWide = []string{"Namespace", "ClusterRole", "ClusterRoleBinding"}

// upgrade makes what the values before render to, and asks whether what they render to after is taken.
func (s *safety) upgrade(ctx context.Context, t *testing.T, namespace string, from *helm3.Chart, before, after map[string]any) {
	t.Helper()
	s.namespace(t, namespace)
	old, err := s.objects(ctx, from, namespace, before)
	require.NoError(t, err)
	updated, err := s.objects(ctx, s.chart, namespace, after)
	require.NoError(t, err)
	for id, o := range old {
		if !slices.Contains(clusterWide, o.GetKind()) {
			require.NoError(t, s.apply(ctx, namespace, o, false), id)
		}
	}
	for id, o := range updated {
		if err := s.apply(ctx, namespace, o, true); err != nil {
			was, _ := yaml.Marshal(before)
			is, _ := yaml.Marshal(after)
			t.Errorf("%s: %v\nbefore:\n%s\nafter:\n%s", id, err, was, is)
		}
	}
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
			s.upgrade(ctx, t, fmt.Sprintf("previous-%d", upgrades), previous, values, values)
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
