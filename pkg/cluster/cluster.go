// Package cluster says what every kind of cluster offers to those who measure on it. It knows nothing of charts.
package cluster

import (
	"cmp"
	"context"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"k8s.io/apimachinery/pkg/labels"

	"chartbasico/pkg/traffic"
)

// Place is where traffic is sent from. With neither App nor Pod it is a client outside of the mesh, in front of an
// ingress gateway.
type Place struct {
	Namespace string `json:"namespace,omitempty"`
	Gateway   string `json:"gateway,omitempty"` // labels of the ingress gateway's pods, as a selector; IngressGateway if empty
	App       string `json:"app,omitempty"`     // a pod of a workload, by its labels app and version
	Version   string `json:"version,omitempty"` // any version if empty
	Pod       string `json:"pod,omitempty"`     // one pod by name, instead of App and Version
	Outside   bool   `json:"outside,omitempty"` // a pod of its own in the cluster, without a sidecar; nothing else is said then
}

// IngressGateway selects the pods of Istio's own ingress gateway.
const IngressGateway = "istio=ingressgateway"

// InFront tells whether the place is that of a client outside of the mesh, in front of an ingress gateway.
func (p Place) InFront() bool { return p.App == "" && p.Pod == "" && !p.Outside }

// GatewayLabels selects the pods of the ingress gateway that the place is in front of.
func (p Place) GatewayLabels() string { return cmp.Or(p.Gateway, IngressGateway) }

// Fronts tells whether a pod of that namespace and with those labels is one of that gateway's.
func (p Place) Fronts(namespace string, of map[string]string) bool {
	selector, err := labels.Parse(p.GatewayLabels())
	return err == nil && selector.Matches(labels.Set(of)) && (p.Namespace == "" || p.Namespace == namespace)
}

// String returns the place as people name it.
func (p Place) String() string {
	switch {
	case p.Outside:
		return "a pod outside of the mesh"
	case p.Pod != "":
		return "Pod/" + p.Namespace + "/" + p.Pod
	case p.App != "" && p.Version != "":
		return p.App + "/" + p.Version + " in " + p.Namespace
	case p.App != "":
		return p.App + " in " + p.Namespace
	default:
		return "gateway"
	}
}

// Cluster is a running cluster with Istio.
type Cluster interface {
	// Kind returns what kind of cluster it is: "local", "kind", or "context" for one that is only known by a kubeconfig.
	Kind() string
	// Name returns the cluster's name.
	Name() string
	// StandIns tells whether the applications in the pods are stand-ins, which say in traffic.ServedBy who they are and
	// do what requests ask of them by headers. Of real ones only what they do by themselves, or say that they do, can be
	// measured.
	StandIns() bool
	// Kubeconfig returns the path of a kubeconfig file whose current context is this cluster.
	Kubeconfig() string
	// Send sends the load as a program in a pod of that place would, through the pod's sidecar if it has one. The
	// error is for what could not be run; failed requests are in the tally. Where applications are stand-ins, nothing
	// is sent from Outside.
	Send(ctx context.Context, from Place, load traffic.Load) (traffic.Tally, error)
	// Proxies returns every proxy that should be connected to istiod, with its state.
	Proxies(ctx context.Context) ([]Proxy, error)
	// ProxyConfig returns the proxy's own account of its configuration (Envoy's config_dump) with the resources whose
	// whole name matches the regular expression (Envoy's name_regex); "" for all, which in a large mesh are very many.
	ProxyConfig(ctx context.Context, p Proxy, names string) (*adminv3.ConfigDump, error)
	// Failed yields the error of a process that the cluster needs and that died, with its last words. It is closed
	// when the cluster is stopped.
	Failed() <-chan error
}

// Proxy is a sidecar or a gateway.
type Proxy struct {
	Namespace string            `json:"namespace"`
	Pod       string            `json:"pod"`
	Labels    map[string]string `json:"labels,omitempty"`   // the pod's
	Gateway   bool              `json:"gateway,omitempty"`  // a gateway: no workload has it for a sidecar
	Synced    bool              `json:"synced"`             // it accepted all that istiod has to send
	Rejected  []string          `json:"rejected,omitempty"` // Envoy's messages on configuration it refused, where it accepted nothing newer since
	// Refused are all such messages of that pod, the oldest first, whatever was accepted since. Of a cluster that is not
	// ours they are those that held when somebody asked for the proxies.
	Refused []string `json:"refused,omitempty"`
}

// In tells whether it is of the ingress gateway that the place is in front of.
func (p Proxy) In(place Place) bool {
	return p.Gateway && place.InFront() && place.Fronts(p.Namespace, p.Labels)
}
