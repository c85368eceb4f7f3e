package local

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"istio.io/istio/manifests"

	"chartbasico/internal/helm3"
	"chartbasico/internal/version"
)

const (
	istioNamespace = "istio-system"
	gatewayRelease = "istio-ingressgateway"
)

// istioChart is a release of one of Istio's own charts.
type istioChart struct {
	release string
	path    string // in Istio's manifests
	values  func(*supervisor) map[string]any
}

var (
	istioBase = istioChart{"istio-base", "charts/base", func(s *supervisor) map[string]any {
		return map[string]any{"base": map[string]any{"validationURL": s.validationURL()}}
	}}
	istiod = istioChart{"istiod", "charts/istio-control/istio-discovery", func(s *supervisor) map[string]any {
		return map[string]any{
			"autoscaleEnabled": false,
			"telemetry":        map[string]any{"enabled": false}, // its filters exist in Istio's build of Envoy only
			"global":           map[string]any{"hub": "registry.istio.io/release", "tag": version.Istio},
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
	istioGateway = istioChart{gatewayRelease, "charts/gateway", func(*supervisor) map[string]any {
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

// install installs the chart with Helm, as any user would, so that Helm's own commands know of it.
func (s *supervisor) install(ctx context.Context, c istioChart) error {
	dir := s.state.path("charts", c.release)
	if err := copyTree(dir, manifests.FS, c.path); err != nil {
		return fmt.Errorf("unpack Istio's chart %s: %w", c.path, err)
	}
	client, err := helm3.New(s.kubeconfig(), istioNamespace, s.log)
	if err != nil {
		return err
	}
	_, err = client.Upgrade(ctx, helm3.Spec{Name: c.release, ChartDir: dir, Values: c.values(s)})
	return err
}

// copyTree writes a directory of an embedded file system to the disk.
func copyTree(to string, from fs.FS, root string) error {
	return fs.WalkDir(from, root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(filepath.FromSlash(root), filepath.FromSlash(path))
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		data, err := fs.ReadFile(from, path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o600)
	})
}
