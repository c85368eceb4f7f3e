// Package istio installs Istio's own charts, as any user would, so that Helm's commands know of them.
package istio

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"istio.io/istio/manifests"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"chartbasico/internal/helm3"
)

const (
	// Namespace is where Istio is installed.
	Namespace = "istio-system"
	// Hub is where its images are published.
	Hub = "registry.istio.io/release"
)

// EnsureNamespace creates the namespace unless it exists.
func EnsureNamespace(ctx context.Context, client kubernetes.Interface) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace}}
	_, err := client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// Repository is where its charts are published.
const Repository = "https://istio-release.storage.googleapis.com/charts"

// Names of the charts, and where Istio's module has them.
const (
	Base    = "base"
	Istiod  = "istiod"
	Gateway = "gateway"
)

var inModule = map[string]string{
	Base:    "charts/base",
	Istiod:  "charts/istio-control/istio-discovery",
	Gateway: "charts/gateway",
}

// Unpack makes one of the charts of Istio's module ready below a directory, and returns its path.
func Unpack(dir, name string) (string, error) {
	dir = filepath.Join(dir, name)
	if err := copyTree(dir, manifests.FS, inModule[name]); err != nil {
		return "", fmt.Errorf("unpack Istio's chart %s: %w", name, err)
	}
	return dir, nil
}

// Chart is a release of one of the charts.
type Chart struct {
	Release string
	Name    string // Base, Istiod or Gateway
	Values  map[string]any
}

// Install installs or upgrades a release. The chart is at that path: a directory or an archive.
func Install(ctx context.Context, kubeconfig, path string, c Chart, log *slog.Logger) error {
	client, err := helm3.New(kubeconfig, Namespace, log)
	if err != nil {
		return err
	}
	_, err = client.Upgrade(ctx, helm3.Spec{Name: c.Release, ChartDir: path, Values: c.Values})
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
