package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	securityv1 "istio.io/api/security/v1beta1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"chartbasico/pkg/assert"
	"chartbasico/pkg/cluster"
	"chartbasico/pkg/render"
	"chartbasico/pkg/traffic"
)

// strict is the part of the pods of a namespace that takes nothing but mutual TLS.
type strict struct {
	namespace string
	labels    map[string]string
	// except are the ports that are excepted, by number.
	except map[uint32]bool
}

func (s strict) covers(p *corev1.Pod) bool {
	return p.Namespace == s.namespace && hasSidecar(p) && labels.SelectorFromSet(s.labels).Matches(labels.Set(p.Labels))
}

// stricts finds what the environment's PeerAuthentications demand, in order of the releases.
func stricts(releases []*render.Release) ([]strict, error) {
	policies, err := specs[securityv1.PeerAuthentication](releases, "PeerAuthentication")
	if err != nil {
		return nil, err
	}
	var all []strict
	for _, p := range policies {
		if p.spec.GetMtls().GetMode() != securityv1.PeerAuthentication_MutualTLS_STRICT {
			continue
		}
		s := strict{namespace: p.GetNamespace(), labels: p.spec.GetSelector().GetMatchLabels(), except: map[uint32]bool{}}
		for port, mtls := range p.spec.GetPortLevelMtls() {
			s.except[port] = mtls.GetMode() != securityv1.PeerAuthentication_MutualTLS_STRICT
		}
		all = append(all, s)
	}
	return all, nil
}

// mutualTLS sends plain requests from a pod without a sidecar to pods that demand mutual TLS. That those in the mesh are
// answered is seen by all else that is measured.
func (r *run) mutualTLS(ctx context.Context) error {
	demands, err := stricts(r.releases)
	if err != nil {
		return err
	}
	for _, s := range demands {
		what := "mutual TLS in " + s.namespace
		if r.cluster.StandIns() {
			r.notRun(what, "between stand-ins there is none", true)
			continue
		}
		sent := 0
		for _, w := range r.workloads {
			pod := r.podOf(w)
			if pod == nil || !s.covers(pod) {
				continue
			}
			for _, port := range appPorts(pod) {
				if s.except[uint32(port)] { //nolint:gosec // a port
					continue
				}
				sent++
				if err := r.plain(ctx, w, pod, port); err != nil {
					return err
				}
			}
		}
		if sent == 0 {
			r.notRun(what, "it covers no port of a running pod with a sidecar", false)
		}
	}
	return nil
}

func (r *run) plain(ctx context.Context, w Workload, pod *corev1.Pod, port int32) error {
	address := net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(int(port)))
	tally, err := r.cluster.Send(ctx, cluster.Place{Outside: true}, traffic.Load{URL: "http://" + address + "/", Requests: few, Concurrency: 2, Timeout: 5 * time.Second, AnyStatus: true})
	if err != nil {
		return fmt.Errorf("a plain request to %s: %w", w, err)
	}
	r.check("a plain request is refused", fmt.Sprintf("from a pod outside of the mesh to %s port %d", w, port),
		assert.HungUp(w.String(), tally.Requests, tally.Errors, tally.Failures), tally.Elapsed)
	return nil
}

// podOf is one pod of a workload; nil if it is gone.
func (r *run) podOf(w Workload) *corev1.Pod {
	for _, p := range r.installer.Pods(w.Namespace, labels.Everything()) {
		if len(w.Pods) > 0 && p.Name == w.Pods[0] {
			return p
		}
	}
	return nil
}

// appPorts are the TCP ports that a pod's containers declare, but for the sidecar's.
func appPorts(p *corev1.Pod) []int32 {
	ports := map[int32]bool{}
	for _, c := range p.Spec.Containers {
		for _, port := range c.Ports {
			if c.Name != "istio-proxy" && (port.Protocol == corev1.ProtocolTCP || port.Protocol == "") {
				ports[port.ContainerPort] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(ports))
}

// workloadKinds looks at what each kind of workload promises besides being ready.
func (r *run) workloadKinds(ctx context.Context) error {
	for _, rel := range r.releases {
		for _, o := range rel.Objects {
			if o.GetKind() != "Job" && render.Hook(o) != "" {
				continue // it need not be there
			}
			var err error
			switch o.GetKind() {
			case "Job":
				err = r.jobEnded(ctx, o)
			case "DaemonSet":
				err = r.onEveryNode(ctx, o.GetNamespace(), o.GetName())
			case "StatefulSet":
				err = r.keepsStorage(ctx, o.GetNamespace(), o.GetName())
			case "Service":
				err = r.nodePorts(ctx, o.GetNamespace(), o.GetName())
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name(o), err)
			}
		}
	}
	return nil
}

func (r *run) jobEnded(ctx context.Context, o *unstructured.Unstructured) error {
	namespace, name := o.GetNamespace(), o.GetName()
	job, err := r.installer.Client().BatchV1().Jobs(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, expires, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "ttlSecondsAfterFinished")
		switch hook := render.Hook(o); {
		case hook != "":
			r.notRun("the end of Job/"+namespace+"/"+name, "it is a hook of Helm's ("+hook+"), and not there", true)
			return nil
		case expires: // its release was not ready before
			r.check("a Job ends", "Job/"+namespace+"/"+name, assert.Judgement{Want: "complete", Got: "complete, and removed by its ttlSecondsAfterFinished", Pass: true, PValue: 1}, 0)
			return nil
		}
	}
	if err != nil {
		return err
	}
	if job.Spec.Suspend != nil && *job.Spec.Suspend {
		r.notRun("the end of Job/"+namespace+"/"+name, "it is suspended", true)
		return nil
	}
	r.check("a Job ends", "Job/"+namespace+"/"+name, assert.JobEnded(job), 0)
	return nil
}

func (r *run) onEveryNode(ctx context.Context, namespace, name string) error {
	client := r.installer.Client()
	set, err := client.AppsV1().DaemonSets(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	match, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
	if err != nil {
		return err
	}
	r.check("a DaemonSet runs on every node", "DaemonSet/"+namespace+"/"+name,
		assert.OnEveryNode(&set.Spec.Template.Spec, nodes.Items, r.installer.Pods(namespace, match)), 0)
	return nil
}

// replaced bounds the start of one pod whose image is there.
const replaced = 3 * time.Minute

// keepsStorage deletes one pod of a StatefulSet and sees that the next one has the same volumes.
func (r *run) keepsStorage(ctx context.Context, namespace, name string) error {
	client := r.installer.Client()
	set, err := client.AppsV1().StatefulSets(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if len(set.Spec.VolumeClaimTemplates) == 0 || set.Spec.Replicas != nil && *set.Spec.Replicas == 0 {
		return nil
	}
	pods := client.CoreV1().Pods(namespace)
	podName := fmt.Sprintf("%s-%d", name, firstOrdinal(set))
	start := time.Now()
	before, err := r.volumes(ctx, namespace, podName)
	if err != nil {
		return err
	}
	r.say("%s: its pod %s starts again", name, podName)
	old, err := pods.Get(ctx, podName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if err := pods.Delete(ctx, podName, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(old.UID))}); err != nil {
		return err
	}
	limited, cancel := context.WithTimeoutCause(ctx, replaced, fmt.Errorf("timed out after %v", replaced))
	defer cancel()
	if err := r.installer.Replaced(limited, old); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r.fails("storage stays when its pod starts again", "StatefulSet/"+namespace+"/"+name, "a new pod, ready, with the same volumes", err)
		return nil
	}
	after, err := r.volumes(ctx, namespace, podName)
	if err != nil {
		return err
	}
	r.check("storage stays when its pod starts again", "StatefulSet/"+namespace+"/"+name, assert.SameVolumes(before, after), time.Since(start))
	return nil
}

func firstOrdinal(set *appsv1.StatefulSet) int32 {
	if set.Spec.Ordinals == nil {
		return 0
	}
	return set.Spec.Ordinals.Start
}

// volumes are the volumes that a pod's claims are bound to, by claim.
func (r *run) volumes(ctx context.Context, namespace, pod string) (map[string]string, error) {
	client := r.installer.Client().CoreV1()
	p, err := client.Pods(namespace).Get(ctx, pod, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	bound := map[string]string{}
	for _, v := range p.Spec.Volumes {
		if v.PersistentVolumeClaim == nil {
			continue
		}
		claim, err := client.PersistentVolumeClaims(namespace).Get(ctx, v.PersistentVolumeClaim.ClaimName, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		bound[claim.Name] = claim.Spec.VolumeName
	}
	return bound, nil
}

// nodePorts sends from this machine to the ports that a Service has on every node.
func (r *run) nodePorts(ctx context.Context, namespace, name string) error {
	client := r.installer.Client().CoreV1()
	service, err := client.Services(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if service.Spec.Type != corev1.ServiceTypeNodePort {
		return nil
	}
	what := "the NodePort of Service/" + namespace + "/" + name
	if r.cluster.StandIns() {
		r.notRun(what, "the nodes of stand-ins have no ports", true)
		return nil
	}
	nodes, err := client.Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, port := range service.Spec.Ports {
		if port.Protocol != corev1.ProtocolTCP || !speaksHTTP(port) {
			r.notRun(what+" "+port.Name, "requests are sent as HTTP", true)
			continue
		}
		for _, n := range nodes.Items {
			address, err := addressOf(n)
			if err != nil {
				return err
			}
			at := net.JoinHostPort(address, strconv.Itoa(int(port.NodePort)))
			tally, err := traffic.Run(ctx, traffic.Load{URL: "http://" + at + "/", Requests: few, Concurrency: 2, Timeout: 10 * time.Second, AnyStatus: true}, nil)
			if err != nil {
				return err
			}
			r.check("a NodePort is reached from outside", "Service/"+namespace+"/"+name+" at "+n.Name+" "+at,
				assert.Reached(name, tally.Requests, tally.Errors, tally.Failures), tally.Elapsed)
		}
	}
	return nil
}

func speaksHTTP(p corev1.ServicePort) bool {
	if p.AppProtocol != nil {
		return *p.AppProtocol == "http"
	}
	return p.Name == "http" || strings.HasPrefix(p.Name, "http-")
}

// addressOf is the address of a node for those outside, or else its own.
func addressOf(n corev1.Node) (string, error) {
	for _, kind := range []corev1.NodeAddressType{corev1.NodeExternalIP, corev1.NodeInternalIP} {
		for _, a := range n.Status.Addresses {
			if a.Type == kind {
				return a.Address, nil
			}
		}
	}
	return "", errors.New("Node/" + n.Name + " has no address")
}

// sidecarsReady judges that the sidecar of each of the environment's pods is ready.
func (r *run) sidecarsReady() {
	var pods []*corev1.Pod
	for _, p := range r.own.made(r.installer.Pods("", labels.Everything())) {
		if hasSidecar(p) && slices.ContainsFunc(r.workloads, func(w Workload) bool {
			return w.Namespace == p.Namespace && w.App == p.Labels["app"] && w.Version == p.Labels["version"]
		}) {
			pods = append(pods, p)
		}
	}
	if len(pods) == 0 {
		return
	}
	r.check("every sidecar is ready", fmt.Sprintf("%d pods", len(pods)), assert.SidecarsReady(pods), 0)
}
