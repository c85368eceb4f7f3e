package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"

	"chartbasico/pkg/assert"
	"chartbasico/pkg/cluster"
	"chartbasico/pkg/report"
)

// injectLabel is Istio's label of a pod that asks for injection or forbids it.
const injectLabel = "sidecar.istio.io/inject"

// injection looks at every pod of the environment that runs, and at pods that are sent to the API server as dry runs, which pass through
// Istio's webhook and are not kept: where nothing forbids the sidecar and where something does.
func (r *run) injection(ctx context.Context) error {
	client := r.installer.Client()
	list, err := client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing the namespaces: %w", err)
	}
	namespaces := map[string]*corev1.Namespace{}
	for i := range list.Items {
		namespaces[list.Items[i].Name] = &list.Items[i]
	}
	for _, p := range r.own.pods(r.installer.Pods("", labels.Everything())) {
		if ns := namespaces[p.Namespace]; ns != nil {
			r.check("injection", "Pod/"+p.Namespace+"/"+p.Name, assert.Injected(p, ns), 0)
		}
	}
	r.sidecarsReady()
	probed := maps.Clone(r.own.namespaces)
	for _, rel := range r.releases { // one that makes a Namespace is in another, which may have no label
		probed[rel.Namespace] = true
	}
	for _, name := range slices.Sorted(maps.Keys(probed)) {
		ns := namespaces[name]
		if ns == nil {
			return fmt.Errorf("Namespace/%s does not exist", name)
		}
		for _, inject := range []string{"", "false"} {
			if err := r.probe(ctx, ns, inject); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) probe(ctx context.Context, ns *corev1.Namespace, inject string) error {
	little := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("16Mi")}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "basico-probe", Labels: map[string]string{}},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken: ptr.To(false),
			SecurityContext:              &corev1.PodSecurityContext{RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To[int64](65532), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
			Containers: []corev1.Container{{
				Name: "probe", Image: "registry.k8s.io/pause:3.10",
				SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: ptr.To(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
				Resources:       corev1.ResourceRequirements{Requests: little, Limits: little},
			}},
		},
	}
	subject := "a pod in namespace " + ns.Name
	if inject != "" {
		pod.Labels[injectLabel] = inject
		subject += " labelled " + injectLabel + "=" + inject
	}
	admitted, err := r.installer.Client().CoreV1().Pods(ns.Name).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) { // by a quota, or a policy of the cluster
		r.notRun("injection of "+subject, "it was refused: "+err.Error(), true)
		return nil
	}
	if err != nil {
		return fmt.Errorf("dry run of %s: %w", subject, err)
	}
	r.check("injection", subject, assert.Injected(admitted, ns), 0)
	return nil
}

const inSync = "every proxy is in sync and has rejected nothing"

// proxies judges that the environment's proxies are in sync at the end, and that none, of those that went meanwhile too,
// has rejected anything on the way.
func (r *run) proxies(ctx context.Context) error {
	start := time.Now()
	limit, cancel := context.WithTimeout(ctx, r.opts.Settle)
	defer cancel()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		proxies, err := r.cluster.Proxies(ctx)
		if err != nil {
			return fmt.Errorf("asking for the proxies: %w", err)
		}
		var judged []assert.Proxy
		settled := true
		refused := r.refused()
		for _, p := range proxies {
			j := assert.Proxy{Name: p.Namespace + "/" + p.Pod, Synced: p.Synced, Rejected: refused[p.Namespace+"/"+p.Pod]}
			for _, message := range p.Rejected { // it may be from before this run
				if !slices.Contains(j.Rejected, message) {
					j.Rejected = append(j.Rejected, message)
				}
			}
			delete(refused, j.Name)
			judged = append(judged, j)
			settled = settled && (p.Synced || len(p.Rejected) > 0)
		}
		for _, gone := range slices.Sorted(maps.Keys(refused)) {
			judged = append(judged, assert.Proxy{Name: gone, Synced: true, Rejected: refused[gone]})
		}
		if !settled { // a push may be on its way
			select {
			case <-tick.C:
				continue
			case <-limit.Done():
			}
		}
		r.check(inSync, fmt.Sprintf("%d proxies", len(judged)), assert.Synced(judged), time.Since(start))
		for _, p := range judged {
			if len(p.Rejected) > 0 {
				r.mu.Lock()
				r.report.Problems = append(r.report.Problems, report.Problem{
					Environment: r.env.Name, Object: "Pod/" + p.Name, Rule: "configuration rejected",
					Found: strings.Join(p.Rejected, "; "), Expected: "configuration that Envoy accepts",
				})
				r.mu.Unlock()
			}
		}
		return nil
	}
}

// refused is what proxies have refused in this run, by namespace/pod.
func (r *run) refused() map[string][]string {
	c, ok := r.cluster.(*ownCluster)
	if !ok {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.refused)
}

// startedOnly matches no resource, so that only how the proxy was started is left.
const startedOnly = "-"

// describe names a cluster and the versions it runs. Istio's and Envoy's are from a proxy's own account of how it was
// started.
func describe(ctx context.Context, c cluster.Cluster, kubernetes string) (report.Cluster, error) {
	described := report.Cluster{Kind: c.Kind(), Name: c.Name(), Kubernetes: kubernetes}
	proxies, err := c.Proxies(ctx)
	if err != nil {
		return described, fmt.Errorf("asking for the proxies: %w", err)
	}
	if len(proxies) == 0 {
		return described, nil
	}
	node, err := nodeOf(ctx, c, proxies[0])
	if err != nil {
		return described, err
	}
	described.Istio = node.GetMetadata().GetFields()["ISTIO_VERSION"].GetStringValue()
	if v := node.GetUserAgentBuildVersion().GetVersion(); v != nil {
		described.Envoy = fmt.Sprintf("%d.%d.%d", v.GetMajorNumber(), v.GetMinorNumber(), v.GetPatch())
	}
	return described, nil
}

// nodeOf is a proxy's own account of how it was started.
func nodeOf(ctx context.Context, c cluster.Cluster, p cluster.Proxy) (*corev3.Node, error) {
	dump, err := c.ProxyConfig(ctx, p, startedOnly)
	if err != nil {
		return nil, err
	}
	for _, part := range dump.GetConfigs() {
		started := &adminv3.BootstrapConfigDump{}
		if !part.MessageIs(started) {
			continue
		}
		if err := part.UnmarshalTo(started); err != nil {
			return nil, fmt.Errorf("configuration of %s/%s: %w", p.Namespace, p.Pod, err)
		}
		return started.GetBootstrap().GetNode(), nil
	}
	return nil, nil
}

// look is how often proxies that are not in sync are asked again.
const look = 50 * time.Millisecond
