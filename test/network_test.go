package test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"

	"chartbasico/pkg/check"
	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/local"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/release"
	"chartbasico/pkg/render"
)

// Every way to expose, to call and to be called is accepted by `basico check`, the real API server and istiod, with the CRDs of
// Gateway API and of OpenShift's Route from their modules.
func TestNetworkIsAccepted(t *testing.T) {
	ctx := within(t, 5*time.Minute)
	api := openAPI(t, complete(t).Kubeconfig())

	oldest, err := check.New(check.WithKubeVersion("1.31"))
	require.NoError(t, err)
	newest, err := check.New()
	require.NoError(t, err)
	kinds := map[string]*unstructured.Unstructured{}
	for _, file := range files(t, "test/testdata/network/*.yaml") {
		t.Run(base(file), func(t *testing.T) {
			rendered, err := renderer.Release(ctx, environment.Release{Name: "shop", Namespace: "default", Chart: chart(t), ValuesFiles: []string{file}})
			require.NoError(t, err)
			require.NotEmpty(t, rendered.Objects)
			for _, checker := range []*check.Checker{oldest, newest} {
				assert.Empty(t, checker.Release(ctx, rendered))
			}
			for _, o := range rendered.Objects {
				require.NoError(t, api.create(o, true), "%s/%s", o.GetKind(), o.GetName())
				kinds[o.GetAPIVersion()+"/"+o.GetKind()] = o
			}
		})
	}

	// What is accepted means something: each of those who judge refuses what is wrong.
	for kind, c := range map[string]struct {
		path []string
		bad  any
	}{
		"gateway.networking.k8s.io/v1/HTTPRoute":   {[]string{"spec", "hostnames"}, []any{"no host"}},
		"route.openshift.io/v1/Route":              {[]string{"spec", "wildcardPolicy"}, "All"},
		"networking.k8s.io/v1/NetworkPolicy":       {[]string{"spec", "ingress"}, []any{map[string]any{"ports": []any{map[string]any{"port": int64(70000)}}}}},
		"networking.istio.io/v1/VirtualService":    {[]string{"spec", "gateways"}, []any{"a/b/c"}},
		"security.istio.io/v1/AuthorizationPolicy": {[]string{"spec", "rules"}, []any{map[string]any{"to": []any{map[string]any{"operation": map[string]any{}}}}}},
		"networking.istio.io/v1/ServiceEntry":      {[]string{"spec", "hosts"}, []any{"*"}},
	} {
		require.Contains(t, kinds, kind, "no file has one")
		o := kinds[kind].DeepCopy()
		require.NoError(t, unstructured.SetNestedField(o.Object, c.bad, c.path...))
		assert.Error(t, api.create(o, true), "%s with %v in %v", kind, c.bad, c.path)
	}
}

// An upgrade by Helm that takes a subset from under a live route is refused before it changes anything; in two steps
// it goes.
func TestRemovalOfASubsetOnACluster(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	installer, err := release.New(ctx, shared(t).Kubeconfig(), release.Options{})
	require.NoError(t, err)
	at := func(name, routing string) *render.Release {
		file := filepath.Join(t.TempDir(), name+".yaml")
		require.NoError(t, os.WriteFile(file, []byte("app: shop\nrouting: {stage: a, "+routing+"}\n"), 0o600))
		rendered, err := renderer.Release(ctx, environment.Release{Name: "shop-routing", Namespace: "subsets", Chart: chart(t), ValuesFiles: []string{file}})
		require.NoError(t, err)
		return rendered
	}
	both := at("both", "stages: [{name: a, weights: {v1: 50, v2: 50}}]")
	kept := at("kept", "stages: [{name: a, weights: {v2: 100}}], versions: {v1: {}}")
	gone := at("gone", "stages: [{name: a, weights: {v2: 100}}]")
	namespaces := installer.Client().CoreV1().Namespaces()
	_, err = namespaces.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "subsets"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	require.NoError(t, installer.Install(ctx, []*render.Release{both}))
	t.Cleanup(func() {
		uninstallQuietly(t, []*render.Release{both})
		_ = namespaces.Delete(context.WithoutCancel(ctx), "subsets", metav1.DeleteOptions{}) // nothing waits for it
	})

	err = installer.Upgrade(ctx, gone)
	require.ErrorContains(t, err, "routing.versions: found no version of the subset v1, to which the live VirtualService shop routes")
	require.NoError(t, installer.Upgrade(ctx, kept))
	require.NoError(t, installer.Upgrade(ctx, gone))
}

var startComplete = sync.OnceValues(func() (*local.Cluster, error) { return startOwn("complete") })

// elsewhere are the groups of the kinds that the complete cluster serves and the shared one does not.
var elsewhere = []string{"gateway.networking.k8s.io", "route.openshift.io"}

// complete is a cluster with every kind that the chart renders, those of Gateway API and of OpenShift's Route too. It is
// not the shared one, as istiod acts on them.
func complete(t *testing.T) cluster.Cluster {
	t.Helper()
	c, err := startComplete()
	require.NoError(t, err)
	api := openAPI(t, c.Kubeconfig())
	for module, pattern := range map[string]string{
		"sigs.k8s.io/gateway-api":  "config/crd/standard/gateway.networking.k8s.io_[gh]*.yaml",
		"github.com/openshift/api": "route/v1/zz_generated.crd-manifests/routes.crd.yaml",
	} {
		for _, o := range moduleObjects(t, module, pattern) {
			if err := api.create(o, false); !apierrors.IsAlreadyExists(err) {
				require.NoError(t, err, o.GetName())
			}
		}
	}
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		api.mapper.Reset()
		for _, kind := range []string{"gateway.networking.k8s.io/v1/HTTPRoute", "gateway.networking.k8s.io/v1/Gateway", "route.openshift.io/v1/Route"} {
			o := &unstructured.Unstructured{}
			o.SetAPIVersion(kind[:strings.LastIndex(kind, "/")])
			o.SetKind(filepath.Base(kind))
			o.SetName("none")
			_, err := api.resource(o, metav1.NamespaceDefault)
			assert.NoError(t, err, kind)
		}
	}, time.Minute, 50*time.Millisecond)
	return c
}

// api creates objects of any kind.
type api struct {
	t      *testing.T
	client dynamic.Interface
	mapper *restmapper.DeferredDiscoveryRESTMapper
}

func openAPI(t *testing.T, kubeconfig string) api {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	require.NoError(t, err)
	config.QPS = -1 // no limit of the client's own
	client, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	disco, err := discovery.NewDiscoveryClientForConfig(config)
	require.NoError(t, err)
	return api{t, client, restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(disco))}
}

// resource is the client of the object's kind, in a namespace if it lives in one.
func (a api) resource(o *unstructured.Unstructured, namespace string) (dynamic.ResourceInterface, error) {
	kind := o.GroupVersionKind()
	mapping, err := a.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return a.client.Resource(mapping.Resource).Namespace(namespace), nil
	}
	return a.client.Resource(mapping.Resource), nil
}

func (a api) create(o *unstructured.Unstructured, dry bool) error {
	resource, err := a.resource(o, metav1.NamespaceDefault)
	if err != nil {
		return err
	}
	options := metav1.CreateOptions{FieldValidation: "Strict"}
	if dry {
		options.DryRun = []string{metav1.DryRunAll}
	}
	_, err = resource.Create(a.t.Context(), o, options)
	return err
}

// moduleObjects are the objects in files of a Go module.
func moduleObjects(t *testing.T, module, pattern string) []*unstructured.Unstructured {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	require.NoError(t, err)
	found, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), pattern))
	require.NoError(t, err)
	require.NotEmpty(t, found, "%s of %s", pattern, module)
	var out []*unstructured.Unstructured
	for _, file := range found {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
		for {
			o := &unstructured.Unstructured{}
			err := decoder.Decode(&o.Object)
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			if o.Object != nil {
				out = append(out, o)
			}
		}
	}
	return out
}
