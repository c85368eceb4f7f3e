package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubectl/pkg/util/podutils"
)

// istioAPI is what charts of today write.
const istioAPI = "networking.istio.io/v1"

// findIstio says what of Istio is missing, before anything is installed that needs it. What may not be looked at may be there.
func (c *Cluster) findIstio(ctx context.Context) error {
	var missing []string
	_, err := c.client.Discovery().ServerResourcesForGroupVersion(istioAPI)
	if apierrors.IsNotFound(err) {
		missing = append(missing, "CRDs of "+istioAPI)
	} else if err != nil {
		return fmt.Errorf("find Istio: %w", err)
	}
	hooks, err := c.client.AdmissionregistrationV1().MutatingWebhookConfigurations().List(ctx, metav1.ListOptions{})
	switch {
	case err == nil && !slices.ContainsFunc(hooks.Items, injects):
		missing = append(missing, "MutatingWebhookConfiguration that injects sidecars")
	case err != nil && !apierrors.IsForbidden(err):
		return fmt.Errorf("find Istio: %w", err)
	}
	istiods, err := c.pods(ctx, istioNamespace, "app=istiod")
	switch {
	case apierrors.IsForbidden(err):
	case err != nil:
		return fmt.Errorf("find Istio: %w", err)
	default:
		ready := false
		for i := range istiods {
			ready = ready || podutils.IsPodReady(&istiods[i])
		}
		if !ready {
			missing = append(missing, "ready pod labelled app=istiod in namespace "+istioNamespace)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return errors.New("Istio is not ready: found no " + strings.Join(missing, ", no ") +
		"; expected a cluster with Istio; install it with istioctl install or its charts base and istiod, or name another context")
}

func injects(c admissionv1.MutatingWebhookConfiguration) bool {
	return slices.ContainsFunc(c.Webhooks, func(w admissionv1.MutatingWebhook) bool {
		return strings.HasSuffix(w.Name, "sidecar-injector.istio.io")
	})
}
