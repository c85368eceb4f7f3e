package kind

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/kind/pkg/apis/config/defaults"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	kindcluster "sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/kind/pkg/cluster/nodeutils"

	"chartbasico/internal/helm3"
	"chartbasico/internal/version"
	"chartbasico/internal/wholefile"
	"chartbasico/pkg/cluster/internal/await"
	"chartbasico/pkg/cluster/internal/istio"
)

// Create makes a cluster with Istio that runs until it is deleted. If there is one of that name, it is completed: what
// it has stays, and other nodes or another Istio than it has are a mistake. If ctx ends while the nodes are made, nothing is left; if a
// later step fails, the cluster is kept to be looked at, unless it is temporary, and the error says where what is known of
// the failure is written.
func Create(ctx context.Context, options Options) (*Cluster, error) {
	o, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	dir, err := directoryOf(o.Name)
	if err != nil {
		return nil, err
	}
	engine, err := findRuntime(ctx, logger{o.Progress})
	if err != nil {
		return nil, err
	}
	unlock, err := dir.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	c := &creation{Options: o, asked: options, dir: dir, engine: engine, begin: time.Now()}
	cluster, err := c.run(ctx)
	if err != nil && o.Temporary {
		err = errors.Join(err, c.abandon(ctx))
	}
	return cluster, err
}

// creation is one Create.
type creation struct {
	Options
	asked  Options // without defaults
	dir    directory
	engine containers
	begin  time.Time
	client kubernetes.Interface

	charts    map[string]string // paths of Istio's, by their names
	nodeThere string            // name of the image of the nodes that are there; empty if there are none
	node      image
	images    []image
	stock     bool // the proxies' Envoy is not Istio's own build
}

func (c *creation) run(ctx context.Context) (*Cluster, error) {
	if err := c.steps(ctx); err != nil {
		return nil, fmt.Errorf("create cluster %s: %w", c.Name, err)
	}
	return open(ctx, c.Options, c.dir, c.engine)
}

// RemoveTimeout bounds the removal of a cluster: of one that could not be made, and of one that its maker has done with.
const RemoveTimeout = 2 * time.Minute

// abandon removes what was made. ctx may have been what ended that.
func (c *creation) abandon(ctx context.Context) error {
	if !c.dir.exists(c.dir.path()) {
		return nil // a cluster of that name is somebody else's
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), RemoveTimeout)
	defer cancel()
	_, err := removeWithin(ctx, c.Name, c.dir, c.engine)
	return err
}

func (c *creation) step(what string) {
	c.Progress(fmt.Sprintf("%5.1f s  %s", time.Since(c.begin).Seconds(), what))
}

func (c *creation) steps(ctx context.Context) error {
	if err := c.compareNodes(); err != nil {
		return err
	}
	if err := c.findImages(ctx); err != nil {
		return err
	}
	c.step("images found")
	charts, err := os.MkdirTemp("", "basico-charts-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(charts)
	if err := c.fetchCharts(ctx, charts); err != nil {
		return err
	}
	if err := c.makeNodes(ctx); err != nil {
		return err
	}
	c.step("Kubernetes API server ready")
	if err := c.install(ctx); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx) // whatever it was that failed first
		}
		return c.diagnosed(err)
	}
	return nil
}

// install is what is done on nodes that are there.
func (c *creation) install(ctx context.Context) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if c.node.built {
			if err := c.connectNodes(groupCtx); err != nil {
				return err
			}
		}
		nodes, err := c.client.CoreV1().Nodes().List(groupCtx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, n := range nodes.Items {
			if err := await.Node(groupCtx, c.client, n.Name); err != nil {
				return err
			}
		}
		c.step("nodes ready")
		return nil
	})
	group.Go(func() error {
		if err := load(groupCtx, c.Name, c.dir, c.engine, c.images); err != nil {
			return err
		}
		c.step(fmt.Sprintf("%d images loaded", len(c.images)))
		return nil
	})
	group.Go(func() error { return c.installIstio(groupCtx, base) })
	if err := group.Wait(); err != nil {
		return err
	}
	if err := c.installIstio(ctx, istiod(c.Istio, c.stock)); err != nil {
		return err
	}
	if err := await.Deployment(ctx, c.client, istio.Namespace, "istiod"); err != nil {
		return err
	}
	if err := await.Webhooks(ctx, c.client, istio.Namespace); err != nil {
		return err
	}
	c.step("istiod ready, its webhooks in place")
	group, groupCtx = errgroup.WithContext(ctx)
	for _, gateway := range []istio.Chart{ingress, egress} {
		group.Go(func() error {
			if err := c.installIstio(groupCtx, gateway); err != nil {
				return err
			}
			return await.Deployment(groupCtx, c.client, istio.Namespace, gateway.Release)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	c.step("ingress and egress gateways ready")
	return nil
}

// fetchCharts makes Istio's charts ready below a directory: those of its module, or another version's.
func (c *creation) fetchCharts(ctx context.Context, dir string) error {
	c.charts = map[string]string{}
	for _, name := range []string{istio.Base, istio.Istiod, istio.Gateway} {
		var err error
		if c.Istio == version.Istio {
			c.charts[name], err = istio.Unpack(dir, name)
		} else {
			c.charts[name], err = helm3.Pull(ctx, c.IstioCharts, name, c.Istio, dir)
		}
		if err != nil {
			return fmt.Errorf("version %s of Istio: %w", c.Istio, err)
		}
	}
	return nil
}

func (c *creation) findImages(ctx context.Context) error {
	name, err := c.nodeImage(ctx)
	if err != nil {
		return err
	}
	proxy := istio.Hub + "/proxyv2:" + c.Istio
	names := append([]string{name, istio.Hub + "/pilot:" + c.Istio, proxy}, c.Images...)
	slices.Sort(names[1:])
	images, err := c.engine.ensure(ctx, slices.Compact(names), c.Progress)
	if err != nil {
		return err
	}
	c.node, c.images = images[0], images[1:]
	c.stock = slices.ContainsFunc(images, func(i image) bool { return i.name == proxy && i.built })
	return nil
}

func (c *creation) nodeImage(ctx context.Context) (string, error) {
	if c.nodeThere != "" {
		return c.nodeThere, nil
	}
	if c.Kubernetes != "" {
		return "docker.io/kindest/node:v" + c.Kubernetes, nil
	}
	name, err := c.engine.newestNode(ctx)
	if name == "" && err == nil {
		name = "docker.io/" + defaults.Image
	}
	return name, err
}

// compareNodes says what was asked for that differs from what is there, as that is not changed, and takes what is there
// where nothing was asked for: the nodes' image, Istio, and where its charts came from.
func (c *creation) compareNodes() error {
	made, err := os.ReadFile(c.dir.made())
	if errors.Is(err, fs.ErrNotExist) {
		return nil // they are to be made
	}
	if err != nil {
		return err
	}
	nodes, err := c.engine.provider.ListInternalNodes(c.Name)
	if err != nil {
		return fmt.Errorf("list the nodes: %w", err)
	}
	if len(nodes) == 0 {
		return nil
	}
	var errs []error
	differs := func(flag, found, asked any) {
		errs = append(errs, fmt.Errorf("--%v: found %v in the cluster that is there, asked for %v; delete it first (basico cluster delete --kind kind --name %s), or leave the flag out",
			flag, found, asked, c.Name))
	}
	if c.Nodes != 0 && c.Nodes != len(nodes) {
		differs("nodes", len(nodes), c.Nodes)
	}
	image, rest, _ := strings.Cut(strings.TrimSpace(string(made)), "\n")
	istio, charts, _ := strings.Cut(rest, "\n")
	c.nodeThere = image
	if v := versionOf(image); c.Kubernetes != "" && v != c.Kubernetes {
		differs("kubernetes", v, c.Kubernetes)
	}
	if istio != "" && c.Istio != istio {
		if c.asked.Istio != "" {
			differs("istio", istio, c.Istio)
		}
		c.Istio = istio
	}
	if charts != "" && c.asked.IstioCharts == "" {
		c.IstioCharts = charts
	}
	return errors.Join(errs...)
}

// versionOf returns the version of Kubernetes in the name of a node's image, which may end with a digest.
func versionOf(image string) string {
	name, _, _ := strings.Cut(image, "@")
	return strings.TrimPrefix(name[strings.LastIndex(name, ":")+1:], "v")
}

var versionPattern = regexp.MustCompile(`^v?(\d+)\.(\d+)\.(\d+)$`)

// newer compares versions such as v1.34.4. What is none is never newer.
func newer(a, than string) bool {
	numbers := func(s string) []int {
		var n []int
		for i, part := range versionPattern.FindStringSubmatch(s) {
			if i > 0 {
				v, _ := strconv.Atoi(part) // digits, as the pattern says
				n = append(n, v)
			}
		}
		return n
	}
	return slices.Compare(numbers(a), numbers(than)) > 0
}

// makeNodes makes the nodes, unless they are there.
func (c *creation) makeNodes(ctx context.Context) error {
	clusters, err := c.engine.provider.List()
	if err != nil {
		return fmt.Errorf("list kind's clusters: %w", err)
	}
	exists := slices.Contains(clusters, c.Name)
	if exists && !c.dir.exists(c.dir.made()) {
		if !c.dir.exists(c.dir.path()) {
			return errors.New("kind has a cluster of that name that was not made here; take another name, or delete that one")
		}
		c.Progress("removing what an interrupted run left")
		if _, err := remove(c.Name, c.dir, c.engine); err != nil {
			return err
		}
		exists = false
	}
	if !exists {
		if err := os.RemoveAll(c.dir.path()); err != nil {
			return err
		}
		if err := os.MkdirAll(c.dir.path(), 0o700); err != nil {
			return err
		}
		if err := c.create(ctx); err != nil {
			return err
		}
		if err := os.WriteFile(c.dir.made(), []byte(c.node.name+"\n"+c.Istio+"\n"+c.IstioCharts+"\n"), 0o600); err != nil {
			return err
		}
	}
	if c.client, err = clientOf(c.dir.kubeconfig()); err != nil {
		return err
	}
	return await.Ready(ctx, "the API server of cluster "+c.Name, func(ctx context.Context) error {
		return c.client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

func (c *creation) create(ctx context.Context) error {
	config := &v1alpha4.Cluster{
		Nodes: []v1alpha4.Node{{Role: v1alpha4.ControlPlaneRole}},
		// A machine may still have cgroup v1, of which kind and the runtimes warn.
		KubeadmConfigPatches: []string{"kind: KubeletConfiguration\nfailCgroupV1: false\n"},
	}
	for len(config.Nodes) < c.Nodes {
		config.Nodes = append(config.Nodes, v1alpha4.Node{Role: v1alpha4.WorkerRole})
	}
	if c.node.built {
		// Such images are for machines whose containers may not do all that a kubelet tries to.
		config.FeatureGates = map[string]bool{"KubeletInUserNamespace": true}
	}
	done := make(chan error, 1)
	go func() {
		done <- c.engine.provider.Create(c.Name,
			kindcluster.CreateWithV1Alpha4Config(config), kindcluster.CreateWithNodeImage(c.node.name),
			kindcluster.CreateWithKubeconfigPath(c.dir.kubeconfig()), kindcluster.CreateWithRetain(true),
			kindcluster.CreateWithDisplayUsage(false), kindcluster.CreateWithDisplaySalutation(false))
	}()
	select {
	case err := <-done:
		if err == nil {
			return nil
		}
		logs := c.dir.failures(failureName() + "-nodes")
		logErr := c.engine.provider.CollectLogs(c.Name, logs)
		_, removeErr := remove(c.Name, c.dir, c.engine)
		return errors.Join(fmt.Errorf("make its nodes: %w\nthe nodes' logs are in %s", err, logs), logErr, removeErr)
	case <-ctx.Done():
		// kind knows no context: without its nodes it ends soon.
		_, _ = remove(c.Name, c.dir, c.engine)
		<-done //nolint:errcheck // whatever it says only followed from that
		_, err := remove(c.Name, c.dir, c.engine)
		return errors.Join(context.Cause(ctx), err)
	}
}

// load puts images into the nodes, in one archive. Its caller has the directory's lock.
func load(ctx context.Context, name string, dir directory, engine containers, images []image) error {
	loaded, err := readLoaded(dir)
	if err != nil {
		return err
	}
	missing := slices.DeleteFunc(slices.Clone(images), func(i image) bool { return loaded[i.name] == i.id })
	if len(missing) == 0 {
		return nil
	}
	nodes, err := engine.provider.ListInternalNodes(name)
	if err != nil {
		return err
	}
	temporary, err := os.MkdirTemp("", "basico-images-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	archive := temporary + "/images.tar"
	if err := engine.save(ctx, archive, missing); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, node := range nodes {
		group.Go(func() error {
			file, err := os.Open(archive)
			if err != nil {
				return err
			}
			defer file.Close()
			if err := nodeutils.LoadImageArchive(node, contextReader{ctx, file}); err != nil {
				return fmt.Errorf("load images into node %s: %w", node, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, i := range missing {
		loaded[i.name] = i.id
	}
	data, err := json.Marshal(loaded)
	if err != nil {
		return err
	}
	return wholefile.Write(dir.loaded(), data, 0o600)
}

// contextReader ends with its context.
type contextReader struct {
	ctx  context.Context //nolint:containedctx // a reader for a library that knows no context
	file *os.File
}

func (r contextReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.file.Read(p)
}

func (c *creation) installIstio(ctx context.Context, chart istio.Chart) error {
	if chart.Name == istio.Base {
		if err := istio.EnsureNamespace(ctx, c.client); err != nil {
			return err
		}
	}
	return istio.Install(ctx, c.dir.kubeconfig(), c.charts[chart.Name], chart, nil)
}

// small is what Istio's parts request, so that applications that request something fit on a machine of two cores.
var small = map[string]any{"requests": map[string]any{"cpu": "10m", "memory": "40Mi"}}

var base = istio.Chart{Release: "istio-base", Name: istio.Base, Values: map[string]any{"defaultRevision": "default"}}

func istiod(tag string, stock bool) istio.Chart {
	values := map[string]any{
		"autoscaleEnabled": false,
		"global": map[string]any{
			"hub": istio.Hub, "tag": tag, "imagePullPolicy": "IfNotPresent",
			// By default a gateway that was not ready at once is looked at again after 15 s. The minute until a proxy
			// that was ready counts as gone is Istio's.
			"proxy": map[string]any{"resources": small, "readinessPeriodSeconds": 2, "readinessFailureThreshold": 30},
		},
		"hub": istio.Hub, "tag": tag,
		"pilot": map[string]any{"resources": small},
	}
	if stock {
		// What these switch on exists in Istio's own build of Envoy only.
		values["telemetry"] = map[string]any{"enabled": false}
		values["pilot"].(map[string]any)["env"] = map[string]any{"PILOT_ENABLE_METADATA_EXCHANGE": "false", "PILOT_ENABLE_ALPN_FILTER": "false"}
	}
	return istio.Chart{Release: "istiod", Name: istio.Istiod, Values: values}
}

// gateway is a release of Istio's gateway chart. The image is filled in by istiod, after Kubernetes has taken its name,
// "auto", for one that is to be pulled always.
func gateway(name, service string) istio.Chart {
	return istio.Chart{Release: name, Name: istio.Gateway, Values: map[string]any{
		"service": map[string]any{"type": service}, "imagePullPolicy": "IfNotPresent", "autoscaling": map[string]any{"enabled": false},
		"resources": small,
	}}
}

var (
	ingress = gateway("istio-ingressgateway", "NodePort")
	egress  = gateway("istio-egressgateway", "ClusterIP")
)

// logger passes what kind tells people to the progress, without the decoration for terminals.
type logger struct{ say func(string) }

func (l logger) Warn(message string)          { l.say("kind: " + strings.TrimSpace(message)) }
func (l logger) Warnf(f string, args ...any)  { l.Warn(fmt.Sprintf(f, args...)) }
func (l logger) Error(message string)         { l.Warn(message) }
func (l logger) Errorf(f string, args ...any) { l.Warnf(f, args...) }
