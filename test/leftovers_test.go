package test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/release"
	"chartbasico/pkg/render"
)

// leftovers returns which of the releases' objects exist on a cluster though they should not, and which do not
// though they should: those that their values keep.
func leftovers(t *testing.T, kubeconfig string, rendered []*render.Release) []string {
	t.Helper()
	api := openAPI(t, kubeconfig)
	var left []string
	for _, r := range rendered {
		for _, o := range r.Objects {
			keep := o.GetAnnotations()["helm.sh/resource-policy"] == "keep"
			resource, err := api.resource(o, o.GetNamespace())
			require.NoError(t, err)
			live, err := resource.Get(t.Context(), o.GetName(), metav1.GetOptions{})
			switch {
			case keep && apierrors.IsNotFound(err):
				left = append(left, "not "+o.GetKind()+"/"+o.GetNamespace()+"/"+o.GetName())
			case keep && err == nil, apierrors.IsNotFound(err):
			case err != nil:
				require.NoError(t, err)
			case live.GetDeletionTimestamp() == nil: // what waits for the garbage collector is on its way
				left = append(left, o.GetKind()+"/"+o.GetNamespace()+"/"+o.GetName())
			}
		}
	}
	return left
}

// uninstallQuietly removes the releases of a test that has said all it had to say.
func uninstallQuietly(t *testing.T, rendered []*render.Release) {
	t.Helper()
	uninstallQuietlyFrom(t, shared(t), rendered)
}

func uninstallQuietlyFrom(t *testing.T, c cluster.Cluster, rendered []*render.Release) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 3*time.Minute)
	defer cancel()
	installer, err := release.New(ctx, c.Kubeconfig(), release.Options{})
	require.NoError(t, err)
	require.NoError(t, installer.Uninstall(ctx, rendered))
}
