package remote

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubectl/pkg/util/podutils"

	"chartbasico/pkg/cluster"
)

const (
	istioNamespace = "istio-system"
	envoyAdmin     = 15000
	istiodDebug    = 8080 // answers on the pod's own loopback only
)

// status is what istiod says of a proxy at /debug/syncz.
type status struct {
	Proxy     string              `json:"proxy"` // pod.namespace
	Resources map[string]resource `json:"resources"`

	// Before there were resources.
	ClusterSent   string `json:"cluster_sent"`
	ClusterAcked  string `json:"cluster_acked"`
	ListenerSent  string `json:"listener_sent"`
	ListenerAcked string `json:"listener_acked"`
	RouteSent     string `json:"route_sent"`
	RouteAcked    string `json:"route_acked"`
	EndpointSent  string `json:"endpoint_sent"`
	EndpointAcked string `json:"endpoint_acked"`
}

// resource is what was sent of one kind, and what of it was accepted.
type resource struct {
	Sent      string `json:"sent"`
	Acked     string `json:"acked"`
	LastError string `json:"lastError"`
}

// Proxies implements cluster.Cluster: each pod that has a proxy, and what istiod says of that.
func (c *Cluster) Proxies(ctx context.Context) ([]cluster.Proxy, error) {
	pods, err := c.pods(ctx, "", "")
	if err != nil {
		return nil, err
	}
	said, err := c.syncz(ctx)
	if err != nil {
		return nil, err
	}
	var all []cluster.Proxy
	for i := range pods {
		p := &pods[i]
		proxy := proxyOf(p)
		if proxy == nil {
			continue
		}
		known := said[p.Name+"."+p.Namespace]
		all = append(all, cluster.Proxy{
			Namespace: p.Namespace, Pod: p.Name, Labels: p.Labels, Gateway: slices.Contains(proxy.Args, "router"),
			Synced: known.synced(), Rejected: known.rejected(), Refused: c.noted(p.UID, known),
		})
	}
	slices.SortFunc(all, func(a, b cluster.Proxy) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Pod, b.Pod))
	})
	return all, nil
}

// refusals are what a proxy was seen to refuse. istiod forgets a refusal as soon as something newer of its type is accepted.
type refusals struct {
	last map[string]string // by type
	all  []string
}

// noted notes what istiod says that a pod's proxy refuses, and returns all that was noted of it.
func (c *Cluster) noted(pod types.UID, now status) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.refused[pod]
	if r == nil {
		r = &refusals{last: map[string]string{}}
		c.refused[pod] = r
	}
	for _, kind := range slices.Sorted(maps.Keys(now.Resources)) {
		said := now.Resources[kind].LastError
		if said != "" && said != r.last[kind] {
			r.all = append(r.all, said)
		}
		r.last[kind] = said
	}
	return slices.Clone(r.all)
}

// proxyOf finds Istio's proxy among a pod's containers; nil if there is none.
func proxyOf(p *corev1.Pod) *corev1.Container {
	for _, containers := range [][]corev1.Container{p.Spec.Containers, p.Spec.InitContainers} {
		for i := range containers {
			if containers[i].Name == "istio-proxy" {
				return &containers[i]
			}
		}
	}
	return nil
}

// syncz asks every istiod, as each knows the proxies that are connected to it.
func (c *Cluster) syncz(ctx context.Context) (map[string]status, error) {
	answers, err := c.Istiods(ctx, "/debug/syncz")
	if err != nil {
		return nil, err
	}
	said := map[string]status{}
	for pod, data := range answers {
		var all []status
		if err := json.Unmarshal(data, &all); err != nil {
			return nil, fmt.Errorf("read what Pod/%s/%s says at /debug/syncz: %w", istioNamespace, pod, err)
		}
		for _, s := range all {
			said[s.Proxy] = s
		}
	}
	return said, nil
}

// Istiods returns what each istiod that is ready says at a path of its debug interface, by the name of its pod.
func (c *Cluster) Istiods(ctx context.Context, path string) (map[string][]byte, error) {
	istiods, err := c.pods(ctx, istioNamespace, "app=istiod")
	if err != nil {
		return nil, err
	}
	said := map[string][]byte{}
	for i := range istiods {
		if !podutils.IsPodReady(&istiods[i]) {
			continue
		}
		if said[istiods[i].Name], err = c.get(ctx, istioNamespace, istiods[i].Name, istiodDebug, path); err != nil {
			return nil, err
		}
	}
	if len(said) == 0 {
		return nil, fmt.Errorf("no istiod is ready in namespace %s", istioNamespace)
	}
	return said, nil
}

const (
	clusterType  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	listenerType = "type.googleapis.com/envoy.config.listener.v3.Listener"
)

// synced says whether the proxy has acknowledged the last that was sent of each kind, and has the kinds it cannot be
// without.
func (s status) synced() bool {
	resources := s.Resources
	if len(resources) == 0 {
		resources = map[string]resource{
			clusterType:  {Sent: s.ClusterSent, Acked: s.ClusterAcked},
			listenerType: {Sent: s.ListenerSent, Acked: s.ListenerAcked},
			"routes":     {Sent: s.RouteSent, Acked: s.RouteAcked},
			"endpoints":  {Sent: s.EndpointSent, Acked: s.EndpointAcked},
		}
	}
	if resources[clusterType].Sent == "" || resources[listenerType].Sent == "" {
		return false
	}
	for _, r := range resources {
		if r.Sent != r.Acked {
			return false
		}
	}
	return true
}

func (s status) rejected() []string {
	var errs []string
	for _, kind := range slices.Sorted(maps.Keys(s.Resources)) {
		if e := s.Resources[kind].LastError; e != "" {
			errs = append(errs, e)
		}
	}
	return errs
}

// patience is how long a server in a pod may take to answer. What takes longer is a connection that hangs, as one to a
// pod that is just ending may.
const patience = 10 * time.Second

// get asks a server in a pod.
func (c *Cluster) get(ctx context.Context, namespace, pod string, port int, path string) ([]byte, error) {
	limited, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer after %v", patience))
	defer cancel()
	data, err := c.ask(limited, namespace, pod, port, path)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		c.forward.forget(pod + "." + namespace) // the next one gets a session of its own
		err = context.Cause(limited)
	}
	if err != nil {
		return nil, fmt.Errorf("ask Pod/%s/%s: GET %s: %w", namespace, pod, path, err)
	}
	return data, nil
}

func (c *Cluster) ask(ctx context.Context, namespace, pod string, port int, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s.%s:%d%s", pod, namespace, port, path), nil)
	if err != nil {
		return nil, err
	}
	req.Host = "localhost"
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return data, err
}
