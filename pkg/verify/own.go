package verify

import (
	"context"
	"fmt"
	"slices"
	"sync"

	networkingv1 "istio.io/api/networking/v1alpha3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/render"
)

// own is what of a cluster is an environment's. Others may have theirs beside it, which is not judged, not sent from,
// and not waited for.
type own struct {
	namespaces map[string]bool    // those that its releases make, or have objects in
	workloads  map[[3]string]bool // by namespace, app and version: those whose pods its releases make
	gateways   []gateways         // those that its routes go through
}

// gateways are the proxies that have these labels, in that namespace or in any.
type gateways struct {
	namespace string
	labels    labels.Set
}

// ingress are Istio's own ingress gateways.
var ingress = gateways{labels: labels.Set{"istio": "ingressgateway"}} // as cluster.IngressGateway

// gatewayName is the label of the pods of a Gateway of Gateway API.
const gatewayName = "gateway.networking.k8s.io/gateway-name"

func ownOf(releases []*render.Release) (own, error) {
	o := own{namespaces: map[string]bool{}, workloads: map[[3]string]bool{}}
	for _, r := range releases {
		for _, object := range r.Objects {
			switch {
			case object.GetKind() == "Namespace":
				o.namespaces[object.GetName()] = true
			case object.GetNamespace() != "":
				o.namespaces[object.GetNamespace()] = true
			}
			if l := podLabels(object); l["app"] != "" {
				o.workloads[[3]string{object.GetNamespace(), l["app"], l["version"]}] = true
			}
			o.through(object)
		}
	}
	return o, o.throughIstio(releases)
}

// podLabels are the labels of the pods that an object makes, also one of an operator's kind that keeps them where most do.
func podLabels(object *unstructured.Unstructured) map[string]string {
	template, ok := render.PodTemplate(object.GetKind())
	if !ok {
		template = []string{"spec", "template"}
	}
	found, _, _ := unstructured.NestedStringMap(object.Object, append(template, "metadata", "labels")...)
	return found
}

// through adds the gateways that an Ingress or a route of Gateway API goes through.
func (o *own) through(object *unstructured.Unstructured) {
	class, _, _ := unstructured.NestedString(object.Object, "spec", "ingressClassName")
	if object.GetKind() == "Ingress" && class == "istio" {
		o.gateways = append(o.gateways, ingress)
	}
	parents, _, _ := unstructured.NestedSlice(object.Object, "spec", "parentRefs")
	for _, p := range parents {
		p, _ := p.(map[string]any)
		name, _ := p["name"].(string)
		namespace, _ := p["namespace"].(string)
		if namespace == "" {
			namespace = object.GetNamespace()
		}
		o.gateways = append(o.gateways, gateways{namespace, labels.Set{gatewayName: name}})
	}
}

// throughIstio adds those of Istio's Gateways and VirtualServices.
func (o *own) throughIstio(releases []*render.Release) error {
	made, err := specs[networkingv1.Gateway](releases, "Gateway")
	if err != nil {
		return err
	}
	named := map[string]bool{mesh: true}
	for _, g := range made {
		named[g.GetNamespace()+"/"+g.GetName()] = true
		if l := g.spec.GetSelector(); len(l) > 0 {
			o.gateways = append(o.gateways, gateways{labels: l})
		} else { // every gateway that there is
			o.gateways = append(o.gateways, ingress)
		}
	}
	services, err := specs[networkingv1.VirtualService](releases, "VirtualService")
	if err != nil {
		return err
	}
	for _, s := range services {
		for _, g := range s.spec.GetGateways() {
			if !named[gatewayOf(g, s.GetNamespace())] { // somebody else's Gateway, so any may be meant
				o.gateways = append(o.gateways, ingress)
			}
		}
	}
	return nil
}

// has says whether a pod is in a namespace of the environment, or is one of its gateways.
func (o own) has(namespace string, l map[string]string) bool {
	return o.namespaces[namespace] || slices.ContainsFunc(o.gateways, func(g gateways) bool {
		return (g.namespace == "" || g.namespace == namespace) && g.labels.AsSelector().Matches(labels.Set(l))
	})
}

// pods keeps those of the environment.
func (o own) pods(all []*corev1.Pod) []*corev1.Pod {
	return slices.DeleteFunc(all, func(p *corev1.Pod) bool { return !o.has(p.Namespace, p.Labels) })
}

// made keeps the pods that the environment's releases make.
func (o own) made(all []*corev1.Pod) []*corev1.Pod {
	return slices.DeleteFunc(all, func(p *corev1.Pod) bool {
		return !o.workloads[[3]string{p.Namespace, p.Labels["app"], p.Labels["version"]}]
	})
}

// ownCluster is a cluster of which only the environment's own proxies are seen. It notes what they refuse.
type ownCluster struct {
	cluster.Cluster

	own own

	mu      sync.Mutex
	before  map[string]int      // by proxy: how many refusals there were before
	refused map[string][]string // by proxy: those since
}

func ownIn(c cluster.Cluster, o own) *ownCluster {
	return &ownCluster{Cluster: c, own: o, before: map[string]int{}, refused: map[string][]string{}}
}

// begin sets aside what was refused before now.
func (c *ownCluster) begin(ctx context.Context) error {
	proxies, err := c.Cluster.Proxies(ctx)
	if err != nil {
		return fmt.Errorf("asking for the proxies: %w", err)
	}
	for _, p := range proxies {
		c.before[p.Namespace+"/"+p.Pod] = len(p.Refused)
	}
	return nil
}

// Proxies implements cluster.Cluster.
func (c *ownCluster) Proxies(ctx context.Context) ([]cluster.Proxy, error) {
	proxies, err := c.Cluster.Proxies(ctx)
	if err != nil {
		return nil, err
	}
	proxies = slices.DeleteFunc(proxies, func(p cluster.Proxy) bool { return !c.own.has(p.Namespace, p.Labels) })
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range proxies {
		name := p.Namespace + "/" + p.Pod
		if since := p.Refused[min(c.before[name], len(p.Refused)):]; len(since) > 0 {
			c.refused[name] = since
		}
	}
	return proxies, nil
}
