// Package remote measures on any cluster with Istio that a kubeconfig names: its kubelets, sidecars and applications are
// real. All it needs is the API server: into pods it gets as kubectl does, by port-forward and exec.
package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/internal/configdump"
)

// Options say which cluster it is. Zero values mean the defaults named at each field.
type Options struct {
	// Kubeconfig is the path of a file. Default: as kubectl finds it.
	Kubeconfig string
	// Context is one of the file's. Default: its current one.
	Context string
	// Kind and Name are what reports say. Default: "context" and the context's name.
	Kind, Name string
	// NodesNear says that this machine may reach the nodes by their addresses, as it does kind's where containers run on it:
	// requests to the ingress gateway are sent from here then, to its NodePort. Default, and where they are not reached: a
	// Job in the cluster sends them.
	NodesNear bool
	// Progress is told what takes its time. Default: nobody is told.
	Progress func(string)
}

// Cluster is a cluster that runs somewhere.
type Cluster struct {
	kind, name string
	dir        string // holds the kubeconfig with one context
	config     *rest.Config
	client     kubernetes.Interface
	http       *http.Client
	forward    *forwarder
	nodesNear  bool
	progress   func(string)

	tryNodes     sync.Mutex
	nodesReached *bool // nil until it is known

	mu      sync.Mutex
	senders map[string]*sender // by a pod's UID
	refused map[types.UID]*refusals
	job     *batchv1.Job // sends from outside of the mesh; nil until it is needed
	pod     *corev1.Pod  // the Job's
}

var _ cluster.Cluster = (*Cluster)(nil)

// Open reads the kubeconfig and asks the API server whether it is there; and where nobody says what Kind it is, whether Istio
// is. Close removes what Open made.
func Open(ctx context.Context, o Options) (*Cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	given := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: o.Context})
	config, err := given.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	raw, err := given.RawConfig()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	if o.Context != "" {
		raw.CurrentContext = o.Context
	}
	anybodys := o.Kind == ""
	if anybodys {
		o.Kind = "context"
	}
	if o.Name == "" {
		o.Name = raw.CurrentContext
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	config.QPS, config.Burst = -1, -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	if err := client.Discovery().RESTClient().Get().AbsPath("/version").Do(limited).Error(); err != nil {
		return nil, fmt.Errorf("cluster %s at %s: %w", o.Name, config.Host, err)
	}
	dir, err := os.MkdirTemp("", "basico-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{kind: o.Kind, name: o.Name, dir: dir, config: config, client: client, nodesNear: o.NodesNear, progress: o.Progress, senders: map[string]*sender{}, refused: map[types.UID]*refusals{}}
	if anybodys {
		if err := c.findIstio(limited); err != nil {
			return nil, errors.Join(fmt.Errorf("cluster %s at %s: %w", o.Name, config.Host, err), c.Close())
		}
	}
	// Whoever is given the path takes the current context of it, and needs no other cluster's credentials.
	if err := clientcmdapi.MinifyConfig(&raw); err != nil {
		return nil, errors.Join(fmt.Errorf("kubeconfig: %w", err), c.Close())
	}
	if err := clientcmd.WriteToFile(raw, c.Kubeconfig()); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	c.forward = newForwarder(config, client)
	c.http = &http.Client{Transport: &http.Transport{DialContext: c.forward.dial, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute}}
	return c, nil
}

// Close ends connections and removes the Job and the kubeconfig that were made here. The cluster runs on.
func (c *Cluster) Close() error {
	err := c.removeJob()
	if c.http != nil {
		c.http.CloseIdleConnections()
		c.forward.close()
	}
	return errors.Join(err, os.RemoveAll(c.dir))
}

// Kind implements cluster.Cluster.
func (c *Cluster) Kind() string { return c.kind }

// Name implements cluster.Cluster.
func (c *Cluster) Name() string { return c.name }

// StandIns implements cluster.Cluster.
func (c *Cluster) StandIns() bool { return false }

// Kubeconfig implements cluster.Cluster.
func (c *Cluster) Kubeconfig() string { return filepath.Join(c.dir, "kubeconfig") }

// Failed implements cluster.Cluster. Nobody watches the processes of a cluster that is not ours.
func (c *Cluster) Failed() <-chan error { return nil }

// ProxyConfig implements cluster.Cluster.
func (c *Cluster) ProxyConfig(ctx context.Context, p cluster.Proxy, names string) (*adminv3.ConfigDump, error) {
	data, err := c.get(ctx, p.Namespace, p.Pod, envoyAdmin, "/config_dump?"+configdump.Query(names).Encode())
	if err != nil {
		return nil, err
	}
	dump, err := configdump.Read(data)
	if err != nil {
		return nil, fmt.Errorf("read the config_dump of Pod/%s/%s: %w", p.Namespace, p.Pod, err)
	}
	return dump, nil
}

// pods lists pods that run and do not end.
func (c *Cluster) pods(ctx context.Context, namespace, selector string) ([]corev1.Pod, error) {
	list, err := c.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool {
		return p.DeletionTimestamp != nil || p.Status.Phase != corev1.PodRunning
	}), nil
}
