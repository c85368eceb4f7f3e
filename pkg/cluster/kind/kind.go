// Package kind runs a cluster of kind with Istio: its kubelets, network, sidecars and applications are real. Images are
// the published ones, or, where no registry can be reached, those of the same names that scripts/airgap builds.
package kind

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"chartbasico/internal/cachedir"
	"chartbasico/internal/version"
	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/internal/await"
	"chartbasico/pkg/cluster/internal/install"
	"chartbasico/pkg/cluster/internal/istio"
	"chartbasico/pkg/cluster/remote"
)

const kindName = "kind"

// DefaultName is the name of a cluster that was given none.
const DefaultName = "basico"

// Options says how a cluster is made. Its zero value is a useful cluster.
type Options struct {
	// Name is the cluster's name: a lower-case DNS label of at most 40 characters. Default DefaultName.
	Name string
	// Kubernetes is the version of the nodes, as in 1.34.4. Default: that of nodes that are there, else of the newest node
	// image that scripts/airgap built on this machine; if there is none, what this version of kind takes.
	Kubernetes string
	// Istio is the version of Istio, as in 1.30.0. Default: that of the cluster that is there, else that of a local cluster,
	// whose charts are built in.
	Istio string
	// IstioCharts is the chart repository with the charts of other versions: base, istiod and gateway. Default: that of
	// the cluster that is there, else Istio's own.
	IstioCharts string
	// Nodes is how many nodes there are, the first of which has the control plane. Default: those that are there, else 1.
	Nodes int
	// Images are loaded into the nodes besides Istio's.
	Images []string
	// Temporary says that nobody wants the cluster if it cannot be made to the end: it is deleted then.
	Temporary bool
	// Progress is called with a line for people at each step. Default: nobody is told.
	Progress func(string)
}

// ErrNotRunning is returned by Open when there is no such cluster, or one that was not made to the end.
var ErrNotRunning = errors.New("it is not running")

var validName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$`)

// istioVersion is an image's tag that is a version, as in 1.30.0 or 1.31.0-rc.1.
var istioVersion = regexp.MustCompile(`^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)

func (o Options) withDefaults() (Options, error) {
	var errs []error
	if o.Name == "" {
		o.Name = DefaultName
	}
	if !validName.MatchString(o.Name) {
		errs = append(errs, fmt.Errorf("the name of a cluster must be lower-case letters, digits and inner dashes, at most 40, found %q", o.Name))
	}
	if o.Nodes < 0 {
		errs = append(errs, fmt.Errorf("the number of nodes: found %d, expected 1 or more, or 0 for the default", o.Nodes))
	}
	o.Kubernetes = strings.TrimPrefix(o.Kubernetes, "v")
	if o.Kubernetes != "" && !versionPattern.MatchString(o.Kubernetes) {
		errs = append(errs, fmt.Errorf("the version of Kubernetes: found %q, expected one like 1.34.4", o.Kubernetes))
	}
	o.Istio = cmp.Or(strings.TrimPrefix(o.Istio, "v"), version.Istio)
	if !istioVersion.MatchString(o.Istio) {
		errs = append(errs, fmt.Errorf("the version of Istio: found %q, expected one like 1.30.0", o.Istio))
	}
	o.IstioCharts = cmp.Or(o.IstioCharts, istio.Repository)
	if !strings.HasPrefix(o.IstioCharts, "https://") && !strings.HasPrefix(o.IstioCharts, "http://") {
		errs = append(errs, fmt.Errorf("the repository of Istio's charts: found %q, expected the URL of a repository with an index, https://…", o.IstioCharts))
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return o, errors.Join(errs...)
}

// Cluster is a running cluster of kind.
type Cluster struct {
	*remote.Cluster

	name   string
	dir    directory
	engine containers
	say    func(string)
}

var _ cluster.Cluster = (*Cluster)(nil)

// Kubeconfig implements cluster.Cluster. The file lasts as long as the cluster.
func (c *Cluster) Kubeconfig() string { return c.dir.kubeconfig() }

// directory is where the state of a cluster is kept that its nodes do not keep.
type directory string

func directoryOf(name string) (directory, error) {
	cache, err := cachedir.Dir()
	if err != nil {
		return "", err
	}
	return directory(filepath.Join(cache, "kind", name)), nil
}

func (d directory) path(parts ...string) string {
	return filepath.Join(append([]string{string(d)}, parts...)...)
}
func (d directory) kubeconfig() string { return d.path("kubeconfig") }

// failures is where what is known of failed creations is written. It is not a cluster's directory, as it outlives one that
// is removed without being asked for; Delete removes it.
func (d directory) failures(parts ...string) string {
	kind, name := filepath.Split(string(d))
	return filepath.Join(append([]string{filepath.Clean(kind) + "-failures", name}, parts...)...)
}

// made is written when the nodes are up, with the name of their image, the version of Istio and the repository of its
// charts: what is found without it is what an interrupted run left.
func (d directory) made() string { return d.path("made") }

// loaded holds the images that the nodes have: IDs by name.
func (d directory) loaded() string { return d.path("loaded.json") }

func (d directory) exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Open returns the running cluster of that name (default DefaultName). Close it in the end.
func Open(ctx context.Context, name string, progress func(string)) (*Cluster, error) {
	o, err := Options{Name: name, Progress: progress}.withDefaults()
	if err != nil {
		return nil, err
	}
	dir, err := directoryOf(o.Name)
	if err != nil {
		return nil, err
	}
	if !dir.exists(dir.made()) {
		return nil, fmt.Errorf("cluster %s: %w", o.Name, ErrNotRunning)
	}
	engine, err := findRuntime(ctx, logger{func(string) {}})
	if err != nil {
		return nil, err
	}
	return open(ctx, o, dir, engine)
}

func open(ctx context.Context, o Options, dir directory, engine containers) (*Cluster, error) {
	r, err := remote.Open(ctx, remote.Options{Kubeconfig: dir.kubeconfig(), Kind: kindName, Name: o.Name, NodesNear: true, Progress: o.Progress})
	if err != nil {
		return nil, err
	}
	return &Cluster{Cluster: r, name: o.Name, dir: dir, engine: engine, say: o.Progress}, nil
}

// Delete removes the cluster of that name (default DefaultName) and all that it left, also one that was not made to the
// end. A cluster that is not there is no mistake: found says whether there was one.
func Delete(ctx context.Context, name string) (found bool, err error) {
	o, err := Options{Name: name}.withDefaults()
	if err != nil {
		return false, err
	}
	dir, err := directoryOf(o.Name)
	if err != nil {
		return false, err
	}
	engine, err := findRuntime(ctx, logger{func(string) {}})
	if err != nil {
		return false, err
	}
	unlock, err := dir.lock(ctx)
	if err != nil {
		return false, err
	}
	defer unlock()
	found, err = removeWithin(ctx, o.Name, dir, engine)
	if err != nil {
		return found, err
	}
	found = found || dir.exists(dir.failures())
	return found, os.RemoveAll(dir.failures())
}

// removeWithin is remove for no longer than ctx, which kind does not know.
func removeWithin(ctx context.Context, name string, dir directory, engine containers) (bool, error) {
	found := false
	done := make(chan error, 1)
	go func() {
		var err error
		found, err = remove(name, dir, engine)
		done <- err
	}()
	select {
	case err := <-done:
		return found, err
	case <-ctx.Done():
		return true, fmt.Errorf("delete cluster %s: not done yet: %w; basico cluster delete --kind kind --name %s removes what is left", name, context.Cause(ctx), name)
	}
}

// networkName is the network that kind makes for all its clusters.
const networkName = "kind"

func remove(name string, dir directory, engine containers) (bool, error) {
	clusters, err := engine.provider.List()
	if err != nil {
		return false, fmt.Errorf("list kind's clusters: %w", err)
	}
	found := slices.Contains(clusters, name)
	if found {
		if err := engine.provider.Delete(name, dir.kubeconfig()); err != nil {
			return true, fmt.Errorf("delete cluster %s: %w", name, err)
		}
	}
	if len(clusters) == 0 || len(clusters) == 1 && found {
		// Nobody else's cluster is on it; if it is not there, it need not go.
		_, _ = install.Run(context.Background(), "", engine.command, "network", "rm", networkName)
	}
	found = found || dir.exists(dir.path())
	return found, os.RemoveAll(dir.path())
}

// lock is held by whoever makes or deletes the cluster, or puts images into its nodes. Its file goes with the cluster.
func (d directory) lock(ctx context.Context) (func(), error) {
	if err := os.MkdirAll(filepath.Dir(d.path()), 0o755); err != nil {
		return nil, err
	}
	file := d.path() + ".lock"
	unlock, err := install.Lock(ctx, file)
	if err != nil {
		return nil, err
	}
	return func() {
		if !d.exists(d.path()) {
			_ = os.Remove(file)
		}
		unlock()
	}, nil
}

// Status is the state of a cluster.
type Status struct {
	Name       string    `json:"name"`
	Kind       string    `json:"kind"`
	Kubeconfig string    `json:"kubeconfig"` // path
	Kubernetes string    `json:"kubernetes"`
	Started    time.Time `json:"started"`
	Nodes      []Node    `json:"nodes"`
	Failure    string    `json:"failure,omitempty"` // why the cluster cannot be used; empty while it can
}

// Node is one node of a cluster.
type Node struct {
	Name  string `json:"name"`
	Ready bool   `json:"ready"`
}

// Status returns the state of the cluster.
func (c *Cluster) Status(ctx context.Context) (Status, error) {
	s := Status{Name: c.name, Kind: kindName, Kubeconfig: c.Kubeconfig(), Nodes: []Node{}}
	client, err := clientOf(c.Kubeconfig())
	if err != nil {
		return s, err
	}
	if info, err := os.Stat(c.dir.made()); err == nil {
		s.Started = info.ModTime()
	}
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		return s, fmt.Errorf("ask cluster %s: %w", c.name, err)
	}
	s.Kubernetes = version.GitVersion
	if s.Nodes, s.Failure, err = parts(ctx, client); err != nil {
		return s, fmt.Errorf("ask cluster %s: %w", c.name, err)
	}
	if s.Failure != "" {
		s.Failure += "; " + completing(c.name)
	}
	return s, nil
}

// completing says how a cluster that lacks something is completed.
func completing(name string) string {
	return "basico cluster create --kind kind --name " + name + " completes it"
}

// parts returns a cluster's nodes, and what of it and of Istio is not ready.
func parts(ctx context.Context, client kubernetes.Interface) (nodes []Node, failure string, err error) {
	var missing []string
	nodes = []Node{} // in JSON none is [], too
	list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nodes, "", err
	}
	for _, n := range list.Items {
		ready := await.NodeReady(&n) == nil
		nodes = append(nodes, Node{Name: n.Name, Ready: ready})
		if !ready {
			missing = append(missing, "Node/"+n.Name)
		}
	}
	for _, name := range []string{istio.Istiod, ingress.Release, egress.Release} {
		d, err := client.AppsV1().Deployments(istio.Namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return nodes, "", err
		}
		if err != nil || await.Available(d) != nil {
			missing = append(missing, "Deployment/"+name)
		}
	}
	if len(missing) > 0 {
		failure = "not ready: " + strings.Join(missing, ", ")
	}
	return nodes, failure, nil
}

// List returns the status of every cluster that Create made, in order of name. One that does not answer has that as its
// Failure.
func List(ctx context.Context) ([]Status, error) {
	root, err := directoryOf("")
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(root.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Status
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		s := Status{Name: e.Name(), Kind: kindName, Nodes: []Node{}}
		c, err := Open(ctx, e.Name(), nil)
		if err == nil {
			s, err = c.Status(ctx)
			err = errors.Join(err, c.Close())
		}
		switch {
		case errors.Is(err, ErrNotRunning):
			s.Failure = "not ready: its nodes; " + completing(e.Name())
		case err != nil:
			s.Failure = err.Error()
		}
		all = append(all, s)
	}
	return all, nil
}

func clientOf(kubeconfig string) (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = -1, -1
	return kubernetes.NewForConfig(config)
}

// Load puts images into every node: those that are not there yet, from this machine or from where they are published.
func (c *Cluster) Load(ctx context.Context, names []string) error {
	images, err := c.engine.ensure(ctx, names, c.say)
	if err != nil {
		return err
	}
	unlock, err := c.dir.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return load(ctx, c.name, c.dir, c.engine, images)
}

func readLoaded(d directory) (map[string]string, error) {
	loaded := map[string]string{}
	data, err := os.ReadFile(d.loaded())
	if errors.Is(err, fs.ErrNotExist) {
		return loaded, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &loaded); err != nil {
		return nil, fmt.Errorf("%s: %w", d.loaded(), err)
	}
	return loaded, nil
}
