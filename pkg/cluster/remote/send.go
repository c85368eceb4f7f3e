package remote

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/retry"
	"k8s.io/kubectl/pkg/util/podutils"
	"k8s.io/utils/ptr"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/internal/await"
	"chartbasico/pkg/cluster/internal/install"
	"chartbasico/pkg/traffic"
)

// Send implements cluster.Cluster. From a pod, the load is sent by a program of ours in an ephemeral container there,
// so that it takes the way of the pod's own requests, through its sidecar. Who answered is told by what answers say,
// or by the names of pods in them.
func (c *Cluster) Send(ctx context.Context, from cluster.Place, load traffic.Load) (traffic.Tally, error) {
	if load.App != "" && load.Pods == nil {
		pods, stop, err := c.follow(ctx, load.App)
		if err != nil {
			return traffic.Tally{}, err
		}
		defer stop()
		load.Pods, load.Names = pods.seen(), func() map[string]string { return pods.after(ctx) }
	}
	if from.InFront() {
		return c.sendToGateway(ctx, from, load)
	}
	pod, err := c.podOf(ctx, from)
	if err != nil {
		return traffic.Tally{}, err
	}
	s, err := c.senderIn(ctx, pod)
	if err != nil {
		return traffic.Tally{}, fmt.Errorf("send from Pod/%s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return traffic.Ask(ctx, load, func(in io.Reader, out io.Writer) error { return s.run(ctx, in, out) })
}

// podOf chooses the pod that a place means: the first by name of those that are ready, or else that run. Whether others
// may call a pod says nothing of what it calls.
func (c *Cluster) podOf(ctx context.Context, from cluster.Place) (*corev1.Pod, error) {
	if from.Outside {
		return c.jobPod(ctx)
	}
	selector := ""
	if from.Pod == "" {
		selector = "app=" + from.App
		if from.Version != "" {
			selector += ",version=" + from.Version
		}
	}
	pods, err := c.pods(ctx, from.Namespace, selector)
	if err != nil {
		return nil, err
	}
	pods = slices.DeleteFunc(pods, func(p corev1.Pod) bool {
		return from.Pod != "" && p.Name != from.Pod
	})
	if len(pods) == 0 {
		return nil, fmt.Errorf("%w: no pod of %s runs", cluster.ErrNoPlace, from)
	}
	first := slices.MinFunc(pods, func(a, b corev1.Pod) int {
		if aReady := podutils.IsPodReady(&a); aReady != podutils.IsPodReady(&b) {
			if aReady {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return &first, nil
}

// sendToGateway sends as a client outside of the mesh.
func (c *Cluster) sendToGateway(ctx context.Context, from cluster.Place, load traffic.Load) (traffic.Tally, error) {
	service, err := c.gateway(ctx, from)
	if err != nil {
		return traffic.Tally{}, err
	}
	ports, err := c.near(ctx, service)
	if err != nil {
		return traffic.Tally{}, err
	}
	if len(ports) == 0 {
		if load, err = inCluster(load, service); err != nil {
			return traffic.Tally{}, err
		}
		return c.Send(ctx, cluster.Place{Outside: true}, load)
	}
	return traffic.Run(ctx, load, func(ctx context.Context, network, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		at, ok := ports[port]
		if !ok {
			return nil, noPort(service, port)
		}
		return new(net.Dialer).DialContext(ctx, network, at)
	})
}

// near returns where this machine reaches a Service, by the Service's ports; nowhere, if it does not or if the Service has no
// NodePort, as a team's own gateway may have none.
func (c *Cluster) near(ctx context.Context, service *corev1.Service) (map[string]string, error) {
	if !c.nodesNear {
		return nil, nil
	}
	ports, err := c.nodePorts(ctx, service)
	if err != nil || len(ports) == 0 || !c.reaches(ctx, ports) {
		return nil, err
	}
	return ports, nil
}

// reaches says whether this machine gets to where a Service is reached at a node, as it does not where the container
// runtime is in a virtual machine or has a network of its own. It finds out once; a refusal decides nothing, as it may come
// from a node whose gateway is not ready, or from a firewall on the way to none.
func (c *Cluster) reaches(ctx context.Context, ports map[string]string) bool {
	c.tryNodes.Lock()
	defer c.tryNodes.Unlock()
	if c.nodesReached != nil {
		return *c.nodesReached
	}
	refused := false
	for _, at := range ports {
		conn, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", at)
		if err == nil {
			_ = conn.Close() // nothing was sent
			c.nodesReached = ptr.To(true)
			return true
		}
		refused = refused || errors.Is(err, syscall.ECONNREFUSED)
	}
	if !refused && ctx.Err() == nil {
		c.nodesReached = ptr.To(false)
	}
	return false
}

// gateway returns the Service of the ingress gateway that the place is in front of: where there are several, the first by
// name, as what selects its pods by their labels selects those of all.
func (c *Cluster) gateway(ctx context.Context, from cluster.Place) (*corev1.Service, error) {
	pods, err := c.pods(ctx, from.Namespace, from.GatewayLabels())
	if err != nil {
		return nil, fmt.Errorf("find the ingress gateway: %w", err)
	}
	if len(pods) == 0 {
		return nil, fmt.Errorf("find the ingress gateway: %w: no pod labelled %s runs", cluster.ErrNoPlace, from.GatewayLabels())
	}
	services, err := c.client.CoreV1().Services(from.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("find the ingress gateway: %w", err)
	}
	var first *corev1.Service
	for i := range services.Items {
		s := &services.Items[i]
		leads := len(s.Spec.Selector) > 0 && slices.ContainsFunc(pods, func(p corev1.Pod) bool {
			return p.Namespace == s.Namespace && labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(p.Labels))
		})
		if leads && s.Spec.ClusterIP != corev1.ClusterIPNone && (first == nil || s.Namespace+"/"+s.Name < first.Namespace+"/"+first.Name) {
			first = s
		}
	}
	if first == nil {
		return nil, fmt.Errorf("find the ingress gateway: found no Service with an address for the pods labelled %s, expected one", from.GatewayLabels())
	}
	return first, nil
}

func noPort(service *corev1.Service, port string) error {
	return fmt.Errorf("the ingress gateway's Service/%s/%s has no port %s", service.Namespace, service.Name, port)
}

// inCluster returns the load with the gateway's address in the cluster, asked for the same host.
func inCluster(load traffic.Load, gateway *corev1.Service) (traffic.Load, error) {
	u, err := url.Parse(load.URL)
	if err != nil {
		return load, err
	}
	port := cmp.Or(u.Port(), "80")
	if !slices.ContainsFunc(gateway.Spec.Ports, func(p corev1.ServicePort) bool { return strconv.Itoa(int(p.Port)) == port }) {
		return load, noPort(gateway, port)
	}
	if gateway.Spec.ClusterIP == "" {
		return load, fmt.Errorf("the ingress gateway's Service/%s/%s has no address in the cluster", gateway.Namespace, gateway.Name)
	}
	load.Host = cmp.Or(load.Host, u.Host)
	u.Host = net.JoinHostPort(gateway.Spec.ClusterIP, port)
	load.URL = u.String()
	return load, nil
}

// nodePorts returns where a Service is reached at the first node that has an address, by the Service's ports.
func (c *Cluster) nodePorts(ctx context.Context, service *corev1.Service) (map[string]string, error) {
	nodes, err := c.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("find the ingress gateway: %w", err)
	}
	ports := map[string]string{}
	for _, n := range nodes.Items {
		for _, a := range n.Status.Addresses {
			if a.Type != corev1.NodeInternalIP {
				continue
			}
			for _, p := range service.Spec.Ports {
				if p.NodePort != 0 {
					ports[strconv.Itoa(int(p.Port))] = net.JoinHostPort(a.Address, strconv.Itoa(int(p.NodePort)))
				}
			}
			if len(ports) > 0 {
				return ports, nil
			}
		}
	}
	return ports, nil
}

const (
	senderContainer = "basico-sender"
	nobody          = 65532
)

// untilEnd is a container that waits for its pod's end, and does not delay it: the first process of a container is not
// ended by a SIGTERM that it has no handler for.
var untilEnd = []string{"sh", "-c", "trap 'exit 0' TERM; sleep infinity & wait"}

// sender is the program in one pod.
type sender struct {
	cluster *Cluster
	pod     *corev1.Pod
	path    string

	container string

	once sync.Once
	err  error
}

var senderProgram = install.Program{
	Name: "sender", What: "the program that sends from pods", Inputs: []string{"cmd/sender/*.go", "pkg/traffic/*.go", "internal/http1/*.go"},
	Env: []string{"CGO_ENABLED=0", "GOOS=linux"}, Building: "building the program that sends from pods",
}

// senderIn returns the sender of a pod, and puts it there at first.
func (c *Cluster) senderIn(ctx context.Context, pod *corev1.Pod) (*sender, error) {
	c.mu.Lock()
	s := c.senders[string(pod.UID)]
	if s == nil {
		s = &sender{cluster: c, pod: pod}
		c.senders[string(pod.UID)] = s
	}
	c.mu.Unlock()
	s.once.Do(func() { s.err = s.prepare(ctx) })
	if s.err != nil {
		c.mu.Lock()
		delete(c.senders, string(pod.UID)) // the next one may have more luck
		c.mu.Unlock()
	}
	return s, s.err
}

// prepare adds the container, which has the image of Istio's proxy since that is on every node that has a sidecar, unless it
// is a distroless one, whose like with a shell may have to be pulled; and copies the program into it.
func (s *sender) prepare(ctx context.Context) error {
	if err := s.addContainer(ctx); err != nil {
		return err
	}
	if err := s.await(ctx); err != nil {
		return err
	}
	pod, err := s.cluster.client.CoreV1().Pods(s.pod.Namespace).Get(ctx, s.pod.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	node, err := s.cluster.client.CoreV1().Nodes().Get(ctx, pod.Spec.NodeName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	program := senderProgram
	program.Env = append(slices.Clone(program.Env), "GOARCH="+node.Status.NodeInfo.Architecture)
	local, err := program.Find(ctx, "", s.cluster.progress)
	if err != nil {
		return err
	}
	file, err := os.Open(local)
	if err != nil {
		return err
	}
	defer file.Close()
	s.path = "/tmp/" + filepath.Base(filepath.Dir(local))
	const receive = `cat >"$0.new" && chmod 755 "$0.new" && mv "$0.new" "$0"`
	return s.exec(ctx, file, io.Discard, "sh", "-c", receive, s.path)
}

func (s *sender) addContainer(ctx context.Context) error {
	image, err := s.cluster.proxyImage(ctx, s.pod)
	if err != nil {
		return err
	}
	pods := s.cluster.client.CoreV1().Pods(s.pod.Namespace)
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		pod, err := pods.Get(ctx, s.pod.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		var there bool
		if s.container, there = senderOf(pod); there {
			return nil
		}
		pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers, corev1.EphemeralContainer{
			EphemeralContainerCommon: corev1.EphemeralContainerCommon{
				Name: s.container, Image: image, ImagePullPolicy: corev1.PullIfNotPresent,
				Command: untilEnd,
				// What the proxy's own user sends goes past the sidecar.
				SecurityContext: restricted(userOf(pod)),
			},
		})
		_, err = pods.UpdateEphemeralContainers(ctx, pod.Name, pod, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return fmt.Errorf("add a container: %w", err)
	}
	return nil
}

// senderOf returns the container of a pod that sends, or else the name of one to be added: one that ended, say with its
// node, is never started again.
func senderOf(pod *corev1.Pod) (name string, there bool) {
	if slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == senderContainer }) {
		return senderContainer, true
	}
	name = senderContainer
	for n := 2; ; n++ {
		if !slices.ContainsFunc(pod.Spec.EphemeralContainers, func(e corev1.EphemeralContainer) bool { return e.Name == name }) {
			return name, false
		}
		ended := slices.ContainsFunc(pod.Status.EphemeralContainerStatuses, func(s corev1.ContainerStatus) bool {
			return s.Name == name && s.State.Terminated != nil
		})
		if !ended {
			return name, true
		}
		name = fmt.Sprintf("%s-%d", senderContainer, n)
	}
}

// userOf is the user that the pod's application runs as.
func userOf(p *corev1.Pod) int64 {
	for _, c := range p.Spec.Containers {
		if c.Name != "istio-proxy" && c.SecurityContext != nil && ptr.Deref(c.SecurityContext.RunAsUser, 0) != 0 {
			return *c.SecurityContext.RunAsUser
		}
	}
	if p.Spec.SecurityContext != nil && ptr.Deref(p.Spec.SecurityContext.RunAsUser, 0) != 0 {
		return *p.Spec.SecurityContext.RunAsUser
	}
	return nobody
}

// proxyImage is the image of the pod's sidecar, or of any proxy if it has none.
func (c *Cluster) proxyImage(ctx context.Context, p *corev1.Pod) (string, error) {
	if proxy := proxyOf(p); proxy != nil {
		return withShell(proxy.Image), nil
	}
	pods, err := c.pods(ctx, "", "")
	if err != nil {
		return "", err
	}
	for i := range pods {
		if proxy := proxyOf(&pods[i]); proxy != nil {
			return withShell(proxy.Image), nil
		}
	}
	return "", errors.New("no pod of the cluster has a proxy, whose image is needed")
}

// withShell returns the image of the same proxy that has a shell, as Istio's distroless ones have not:
// https://istio.io/latest/docs/ops/configuration/security/harden-docker-images/. A digest is of the distroless one alone.
func withShell(image string) string {
	tagged, _, _ := strings.Cut(image, "@")
	if with, distroless := strings.CutSuffix(tagged, "-distroless"); distroless {
		return with
	}
	return image
}

// containerTimeout bounds the start of a container whose image is there.
const containerTimeout = time.Minute

// await watches the pod until the container runs.
func (s *sender) await(ctx context.Context) error {
	source := await.Named(s.cluster.client.CoreV1().Pods(s.pod.Namespace), s.pod.Name)
	last := "nothing yet"
	return await.Until(ctx, containerTimeout, source, &corev1.Pod{}, func(event watch.Event) (bool, error) {
		pod, ok := event.Object.(*corev1.Pod)
		if !ok || event.Type == watch.Deleted {
			return false, errors.New("the pod is gone")
		}
		for _, status := range slices.Concat(pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses) {
			if status.Name != s.container {
				continue
			}
			switch {
			case status.State.Running != nil:
				return true, nil
			case status.State.Waiting != nil:
				last = strings.TrimSpace(status.State.Waiting.Reason + " " + status.State.Waiting.Message)
			case status.State.Terminated != nil:
				return false, fmt.Errorf("container %s ended: %s", s.container, status.State.Terminated.Message)
			}
		}
		return false, nil
	}, func() error {
		return fmt.Errorf("container %s did not start within %v; the kubelet says: %s", s.container, containerTimeout, last)
	})
}

// grace is how long a sender may take to tell what came of a load that was ended.
const grace = 30 * time.Second

// run runs the program. The end of ctx reaches it as the end of its input, so that it can still answer.
func (s *sender) run(ctx context.Context, in io.Reader, out io.Writer) error {
	answering, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })()
	return s.exec(answering, in, out, s.path)
}

func (s *sender) exec(ctx context.Context, in io.Reader, out io.Writer, command ...string) error {
	req := s.cluster.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(s.pod.Namespace).Name(s.pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Container: s.container, Command: command, Stdin: true, Stdout: true, Stderr: true}, scheme.ParameterCodec)
	executor, err := remotecommand.NewSPDYExecutor(s.cluster.config, "POST", req.URL())
	if err != nil {
		return err
	}
	var errs bytes.Buffer
	if err := executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: in, Stdout: out, Stderr: &errs}); err != nil {
		return fmt.Errorf("%s: %w: %s", command[0], err, strings.TrimSpace(errs.String()))
	}
	return nil
}
