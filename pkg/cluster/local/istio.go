package local

import (
	"context"

	"chartbasico/internal/version"
	"chartbasico/pkg/cluster/internal/istio"
)

const (
	istioNamespace = istio.Namespace
	gatewayRelease = "istio-ingressgateway"
)

// istioChart is a release of one of Istio's own charts.
type istioChart struct {
	release string
	chart   string
	values  func(*supervisor) map[string]any
}

var (
	istioBase = istioChart{"istio-base", istio.Base, func(s *supervisor) map[string]any {
		return map[string]any{"base": map[string]any{"validationURL": s.validationURL()}}
	}}
	istiod = istioChart{"istiod", istio.Istiod, func(s *supervisor) map[string]any {
		return map[string]any{
			"autoscaleEnabled": false,
			"telemetry":        map[string]any{"enabled": false}, // its filters exist in Istio's build of Envoy only
			"global":           map[string]any{"hub": istio.Hub, "tag": version.Istio},
			// The API server has no route to cluster addresses, so webhooks have URLs.
			"istiodRemote": map[string]any{"injectionURL": s.injectionURL()},
			"base":         map[string]any{"validationURL": s.validationURL()},
			"meshConfig": map[string]any{
				// Certificates for mutual TLS come from an agent beside each Envoy that this kind of cluster does not have.
				"enableAutoMtls": false,
				"enableTracing":  false, // nobody collects spans
			},
		}
	}}
	istioGateway = istioChart{gatewayRelease, istio.Gateway, func(*supervisor) map[string]any {
		return map[string]any{
			"service":     map[string]any{"type": "ClusterIP"}, // there is no load balancer outside, and nothing pretends to be one
			"autoscaling": map[string]any{"enabled": false},
		}
	}}
)

func (s *supervisor) injectionURL() string {
	return "https://" + s.addresses.istiodWebhooks.String() + "/inject"
}

func (s *supervisor) validationURL() string {
	return "https://" + s.addresses.istiodWebhooks.String() + "/validate"
}

// install installs the chart.
func (s *supervisor) install(ctx context.Context, c istioChart) error {
	path, err := istio.Unpack(s.state.path("charts"), c.chart)
	if err != nil {
		return err
	}
	return istio.Install(ctx, s.kubeconfig(), path, istio.Chart{Release: c.release, Name: c.chart, Values: c.values(s)}, s.log)
}
