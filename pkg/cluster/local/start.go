package local

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"chartbasico/pkg/cluster/internal/await"
	"chartbasico/pkg/cluster/internal/istio"
)

// Start starts a cluster in this process and returns when it is ready: the node takes pods, istiod injects and
// validates, and the ingress gateway serves. The cluster ends with Stop or with this process, however it ends.
//
// The end of ctx ends the start, not a started cluster; then and on any error nothing is left. A process that dies
// is an error with its last words at once. The error is ErrExists if a cluster of that name runs.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := options.findPrograms(ctx); err != nil {
		return nil, err
	}
	s, err := newSupervisor(options)
	if err != nil {
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start cluster %s: %w", options.Name, err), s.stop())
	}
	return newCluster(options.Name, s.state.dir, s), nil
}

// start runs the steps of the start until they are done, something dies, or ctx ends.
func (s *supervisor) start(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(s.withLog(ctx))
	defer cancel(nil)
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-s.failed:
			cancel(s.failure)
		case <-ended:
		}
	}()
	if err := s.steps(ctx); err != nil {
		// Whatever the step says, the cause is what ended ctx, if anything did.
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	return nil
}

func (s *supervisor) steps(ctx context.Context) error {
	begin := time.Now()
	step := func(what string) {
		s.options.Progress(fmt.Sprintf("%5.1f s  %s", time.Since(begin).Seconds(), what))
	}
	config, err := s.restConfig(adminConfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}

	s.options.Progress("starting cluster " + s.options.Name + " on " + s.claim.address.String())
	// The API server waits for etcd by itself.
	if err := s.run(s.etcd()); err != nil {
		return err
	}
	if err := s.run(s.apiServer()); err != nil {
		return err
	}
	// Long before the API server calls itself ready it takes objects from those who may do everything: its own first
	// objects, roles for everybody else, take it another second or two.
	if err := await.Ready(ctx, "kube-apiserver", func(ctx context.Context) error {
		return istio.EnsureNamespace(ctx, client)
	}); err != nil {
		return err
	}
	step("Kubernetes API server takes objects")

	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := await.Ready(groupCtx, "kube-apiserver", func(ctx context.Context) error {
			return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
		}); err != nil {
			return err
		}
		step("Kubernetes API server ready")
		return errors.Join(s.run(s.controllerManager()), s.run(s.scheduler()))
	})
	group.Go(func() error {
		if err := s.startIstio(groupCtx, client); err != nil {
			return err
		}
		step("istiod ready, its webhooks in place")
		return nil
	})
	group.Go(func() error {
		if err := s.startNode(groupCtx, client); err != nil {
			return err
		}
		step("node ready")
		return nil
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if err := s.install(ctx, istioGateway); err != nil {
		return err
	}
	if err := await.Deployment(ctx, client, istioNamespace, gatewayRelease); err != nil {
		return err
	}
	step("ingress gateway ready")
	definitions, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}
	if err := await.Ready(ctx, "the API server's list of its kinds", func(ctx context.Context) error {
		return listsItsKinds(ctx, client, definitions)
	}); err != nil {
		return err
	}
	step("Istio's kinds in the API server's list")
	return s.serveAPI()
}

// startIstio installs Istio's charts, and starts istiod as soon as the objects that it reads at its start are there.
func (s *supervisor) startIstio(ctx context.Context, client kubernetes.Interface) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.install(groupCtx, istioBase) })
	group.Go(func() error { return s.install(groupCtx, istiod) })
	group.Go(func() error {
		if err := await.ConfigMaps(groupCtx, client, istioNamespace, "istio", "istio-sidecar-injector"); err != nil {
			return err
		}
		if err := s.run(s.istiod()); err != nil {
			return err
		}
		return await.Ready(groupCtx, "istiod", func(ctx context.Context) error {
			return get(ctx, "http://"+s.addresses.istiodHTTP.String()+"/ready")
		})
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return await.Webhooks(ctx, client, istioNamespace)
}

// listsItsKinds says whether the API server lists every kind that was defined in it. It serves them before it lists
// them, and Helm and kubectl, which read the list once and keep it, would find no such kind.
func listsItsKinds(ctx context.Context, client kubernetes.Interface, definitions metadata.Interface) error {
	_, lists, err := client.Discovery().ServerGroupsAndResources()
	if err != nil {
		return err
	}
	listed := map[string]bool{} // plural.group, as definitions are named
	for _, list := range lists {
		group, _, _ := strings.Cut(list.GroupVersion, "/")
		for _, r := range list.APIResources {
			listed[r.Name+"."+group] = true
		}
	}
	resource := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	defined, err := definitions.Resource(resource).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var missing []string
	for _, d := range defined.Items {
		if !listed[d.Name] {
			missing = append(missing, d.Name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("not in it are %s", strings.Join(missing, ", "))
	}
	return nil
}

type configOf string

const adminConfig configOf = ""

// restConfig returns the way to the API server for one of the cluster's own parts, without limits on its requests.
func (s *supervisor) restConfig(of configOf) (*rest.Config, error) {
	path := s.kubeconfig()
	if of != adminConfig {
		path = s.credentials.kubeconfig(string(of))
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = -1, -1
	return config, nil
}

func get(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return nil
}
