// Package release puts the releases of an environment on a cluster with Helm: in the order of their needs, those that
// need nothing of each other at the same time, and waits until what they made is ready.
package release

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"chartbasico/internal/helm3"
	"chartbasico/pkg/render"
)

// Options of an Installer. Zero values mean the defaults named at each field.
type Options struct {
	// Timeout bounds the installation of one release and the wait until it is ready. Default 3 minutes.
	Timeout time.Duration
	// Log gets Helm's own messages. Default: nothing is logged.
	Log *slog.Logger
	// Done is called for each release that is ready, or gone, maybe from several goroutines. Default: nobody is told.
	Done func(namespace, name string, took time.Duration)
}

// Installer installs, upgrades and uninstalls releases on one cluster. It is safe for concurrent use.
type Installer struct {
	*Watch

	opts Options
	helm func(namespace string) (helm, error)
}

// helm is what is needed of Helm, in one namespace.
type helm interface {
	Upgrade(ctx context.Context, s helm3.Spec) (*helm3.Deployed, error)
	Rollback(ctx context.Context, name string, revision int, historyMax *int) error
	Uninstall(ctx context.Context, name string) error
	Status(ctx context.Context, name string) (*helm3.Deployed, error)
	GiveUp(ctx context.Context, name, description string) error
}

// Revision is what Helm recorded of one revision of a release.
type Revision = helm3.Deployed

// ErrNotInstalled is wrapped by errors that say that there is no such release.
var ErrNotInstalled = helm3.ErrNotFound

// New returns an Installer for the cluster of the kubeconfig's current context. It watches the cluster until ctx ends.
func New(ctx context.Context, kubeconfig string, opts Options) (*Installer, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kubeconfig, err)
	}
	config.QPS, config.Burst = 200, 400 // the default, 5 a second, would be what a small environment waits for
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	// A client remembers what the API server can do, so one is kept for each namespace.
	var mu sync.Mutex
	clients := map[string]*helm3.Client{}
	return newInstaller(ctx, client, func(namespace string) (helm, error) {
		mu.Lock()
		defer mu.Unlock()
		if clients[namespace] == nil {
			c, err := helm3.New(kubeconfig, namespace, opts.Log)
			if err != nil {
				return nil, err
			}
			clients[namespace] = c
		}
		return clients[namespace], nil
	}, opts)
}

func newInstaller(ctx context.Context, client kubernetes.Interface, helm func(string) (helm, error), opts Options) (*Installer, error) {
	watch, err := NewWatch(ctx, client)
	if err != nil {
		return nil, err
	}
	if opts.Timeout == 0 {
		opts.Timeout = 3 * time.Minute
	}
	if opts.Done == nil {
		opts.Done = func(string, string, time.Duration) {}
	}
	return &Installer{Watch: watch, opts: opts, helm: helm}, nil
}

// Client returns the client of the cluster's API.
func (i *Installer) Client() kubernetes.Interface { return i.client }

// KubernetesVersion returns the version that the API server says it has; "" if it does not say.
func (i *Installer) KubernetesVersion() string {
	v, err := i.client.Discovery().ServerVersion()
	if err != nil {
		return ""
	}
	return v.GitVersion
}

// Install installs the releases, or upgrades those that are there, and waits until they are ready. The first error
// stops what has not begun; the errors of all that had begun are joined.
func (i *Installer) Install(ctx context.Context, releases []*render.Release) error {
	needs := map[string][]string{}
	for _, r := range releases {
		needs[r.ID()] = r.Needs
	}
	return inOrder(ctx, releases, needs, i.Upgrade)
}

// Uninstall uninstalls the releases, each one after those that need it, and waits until their workloads are gone.
// Helm keeps what says it should be kept. A release that is not there is success.
func (i *Installer) Uninstall(ctx context.Context, releases []*render.Release) error {
	neededBy := map[string][]string{}
	for _, r := range releases {
		for _, n := range r.Needs {
			neededBy[n] = append(neededBy[n], r.ID())
		}
	}
	reversed := slices.Clone(releases)
	slices.Reverse(reversed)
	return inOrder(ctx, reversed, neededBy, i.uninstall)
}

// Upgrade upgrades one release, or installs it, and waits until it is ready.
func (i *Installer) Upgrade(ctx context.Context, r *render.Release) error {
	return i.UpgradeFor(ctx, r, "")
}

// UpgradeFor does as Upgrade, and says in Helm's history why; empty for Helm's own words.
func (i *Installer) UpgradeFor(ctx context.Context, r *render.Release, why string) error {
	return i.do(ctx, r, "upgrading", func(ctx context.Context, h helm) error {
		if err := i.namespace(ctx, r); err != nil {
			return err
		}
		_, err := h.Upgrade(ctx, helm3.Spec{
			Name: r.Name, Namespace: r.Namespace, ChartDir: r.Chart, Values: r.Values, Timeout: i.opts.Timeout, HistoryMax: r.HistoryMax, Description: why,
			SkipSchemaValidation: true, // what was rendered has passed it
		})
		if err != nil {
			return err
		}
		return i.Ready(ctx, Workloads(r))
	})
}

// namespace creates the release's namespace where the environment says so.
func (i *Installer) namespace(ctx context.Context, r *render.Release) error {
	if !r.CreateNamespace {
		return nil
	}
	_, err := i.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.Namespace}}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// Status returns the newest revision of a release. The error wraps ErrNotInstalled if there is none.
func (i *Installer) Status(ctx context.Context, r *render.Release) (*Revision, error) {
	h, err := i.helm(r.Namespace)
	if err != nil {
		return nil, err
	}
	return h.Status(ctx, r.Name)
}

// GiveUp records that an operation on the release that somebody began and did not end has failed, so that Helm lets
// others change it. The caller must know that nobody works on it any more.
func (i *Installer) GiveUp(ctx context.Context, r *render.Release, why string) error {
	h, err := i.helm(r.Namespace)
	if err != nil {
		return err
	}
	return h.GiveUp(ctx, r.Name, why)
}

// Rollback puts one release back to a revision of its history, and waits until it is ready. r is what that revision
// rendered.
func (i *Installer) Rollback(ctx context.Context, r *render.Release, revision int) error {
	return i.do(ctx, r, "rolling back", func(ctx context.Context, h helm) error {
		if err := h.Rollback(ctx, r.Name, revision, r.HistoryMax); err != nil {
			return err
		}
		return i.Ready(ctx, Workloads(r))
	})
}

func (i *Installer) uninstall(ctx context.Context, r *render.Release) error {
	return i.do(ctx, r, "uninstalling", func(ctx context.Context, h helm) error {
		if err := h.Uninstall(ctx, r.Name); err != nil && !errors.Is(err, helm3.ErrNotFound) {
			return err
		}
		return i.Gone(ctx, Workloads(r))
	})
}

func (i *Installer) do(ctx context.Context, r *render.Release, doing string, step func(context.Context, helm) error) error {
	start := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, i.opts.Timeout, fmt.Errorf("timed out after %v", i.opts.Timeout))
	defer cancel()
	h, err := i.helm(r.Namespace)
	if err == nil {
		err = step(ctx, h)
	}
	if err != nil {
		return fmt.Errorf("%s release %s: %w", doing, r.ID(), err)
	}
	i.opts.Done(r.Namespace, r.Name, time.Since(start))
	return nil
}

// Workloads returns the objects of a release that are not ready as soon as they exist. Those of hooks are Helm's own to make,
// to wait for and to remove.
func Workloads(r *render.Release) []Object {
	var objects []Object
	for _, o := range r.Objects {
		if render.Hook(o) != "" {
			continue
		}
		switch o.GetKind() {
		case "Deployment", "StatefulSet", "DaemonSet", "Job":
			objects = append(objects, Object{o.GetKind(), o.GetNamespace(), o.GetName()})
		}
	}
	return objects
}

// atOnce is how many releases are worked on at once: an API server that is asked for hundreds lets requests time out.
const atOnce = 16

// inOrder runs step for every release once those it comes after are done, and waits for all that began.
func inOrder(ctx context.Context, releases []*render.Release, after map[string][]string, step func(context.Context, *render.Release) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := map[string]chan struct{}{}
	for _, r := range releases {
		done[r.ID()] = make(chan struct{})
	}
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		errs  []error
		slots = make(chan struct{}, atOnce)
	)
	for _, r := range releases {
		wg.Go(func() {
			for _, n := range after[r.ID()] {
				if before, ok := done[n]; ok {
					select {
					case <-before:
					case <-ctx.Done():
						return
					}
				}
			}
			select {
			case slots <- struct{}{}:
				defer func() { <-slots }()
			case <-ctx.Done():
			}
			if ctx.Err() != nil {
				return
			}
			if err := step(ctx, r); err != nil {
				mu.Lock()
				// What only ended because another one failed is not news.
				stopped := errors.Is(err, context.Canceled) && errors.Is(context.Cause(ctx), errStopped)
				if !stopped && !errors.Is(err, errStopped) {
					errs = append(errs, err)
				}
				mu.Unlock()
				cancel(errStopped)
				return
			}
			close(done[r.ID()])
		})
	}
	wg.Wait()
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	return context.Cause(ctx)
}

var errStopped = errors.New("stopped, because another release failed")
