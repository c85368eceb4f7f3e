package verify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	networkingv1 "istio.io/api/networking/v1alpha3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"chartbasico/pkg/assert"
	"chartbasico/pkg/cluster"
	"chartbasico/pkg/render"
	"chartbasico/pkg/rollout"
	"chartbasico/pkg/traffic"
)

// few is how many requests show whether something is reached.
const few = 10

// Outside is one port of a host outside the mesh that the environment declares.
type Outside struct {
	Host, Protocol string
	Port           int
}

// http says whether it answers HTTP.
func (o Outside) http() bool {
	return slices.Contains([]string{"HTTP", "HTTP2", "GRPC", "GRPC-WEB"}, o.Protocol)
}

func (o Outside) address() string { return net.JoinHostPort(o.Host, strconv.Itoa(o.Port)) }

// Egress says what the workloads of a namespace may reach outside the mesh.
type Egress struct {
	Namespace string
	// Labels choose the workloads; none is all of the namespace.
	Labels   map[string]string
	Closed   bool // REGISTRY_ONLY: nothing else may be reached
	Declared []Outside
}

func (e Egress) covers(w Workload) bool {
	labels := map[string]string{"app": w.App, "version": w.Version}
	for k, v := range e.Labels {
		if labels[k] != v {
			return false
		}
	}
	return w.Namespace == e.Namespace && w.Injected
}

// Egresses finds what the environment's Sidecars and ServiceEntries say, in order of the releases.
func Egresses(releases []*render.Release) ([]Egress, error) {
	declared, err := declaredHosts(releases)
	if err != nil {
		return nil, err
	}
	sidecars, err := specs[networkingv1.Sidecar](releases, "Sidecar")
	if err != nil {
		return nil, err
	}
	var all []Egress
	for _, s := range sidecars {
		all = append(all, Egress{
			Namespace: s.GetNamespace(), Labels: s.spec.GetWorkloadSelector().GetLabels(),
			Closed:   s.spec.GetOutboundTrafficPolicy().GetMode() == networkingv1.OutboundTrafficPolicy_REGISTRY_ONLY,
			Declared: declared[s.GetNamespace()],
		})
	}
	return all, nil
}

// declaredHosts are the hosts of the ServiceEntries, by namespace.
func declaredHosts(releases []*render.Release) (map[string][]Outside, error) {
	entries, err := specs[networkingv1.ServiceEntry](releases, "ServiceEntry")
	if err != nil {
		return nil, err
	}
	declared := map[string][]Outside{}
	for _, e := range entries {
		for _, h := range e.spec.GetHosts() {
			for _, p := range e.spec.GetPorts() {
				declared[e.GetNamespace()] = append(declared[e.GetNamespace()], Outside{Host: concrete(h), Protocol: strings.ToUpper(p.GetProtocol()), Port: int(p.GetNumber())})
			}
		}
	}
	return declared, nil
}

// undeclared are addresses that no environment would declare: names under example.com's sister for tests.
var undeclared = []Outside{
	{Host: "undeclared.example", Protocol: "HTTP", Port: 80},
	{Host: "undeclared.example", Protocol: "TCP", Port: 5432},
}

// egress sends from every workload that a Sidecar covers to what is declared and to what is not.
func (r *run) egress(ctx context.Context) error {
	egresses, err := Egresses(r.releases)
	if err != nil {
		return err
	}
	for _, e := range egresses {
		workloads := slices.DeleteFunc(slices.Clone(r.workloads), func(w Workload) bool { return !e.covers(w) })
		if len(workloads) == 0 {
			r.notRun("egress of "+e.Namespace, "its Sidecar covers no running workload with a sidecar", false)
			continue
		}
		for _, o := range e.Declared {
			if !r.mayCall(e, o) {
				r.notRun("egress from "+e.Namespace+" to "+o.address(), "it is the real one that would be called", true)
			}
		}
		r.say("egress of %s: %d workloads, %d declared ports", e.Namespace, len(workloads), len(e.Declared))
		for _, w := range workloads {
			if err := r.egressFrom(ctx, e, w); err != nil {
				return err
			}
		}
	}
	return nil
}

// mayCall says whether a declared host is nobody else's: a stand-in, or a Service of the environment's own.
func (r *run) mayCall(e Egress, o Outside) bool {
	if r.cluster.StandIns() {
		return true
	}
	host := rollout.FullName(o.Host, e.Namespace)
	return slices.ContainsFunc(r.releases, func(rel *render.Release) bool {
		return slices.ContainsFunc(rel.Objects, func(object *unstructured.Unstructured) bool {
			return object.GetKind() == "Service" && rollout.FullName(object.GetName(), object.GetNamespace()) == host
		})
	})
}

func (r *run) egressFrom(ctx context.Context, e Egress, w Workload) error {
	for _, o := range e.Declared {
		if !r.mayCall(e, o) {
			continue
		}
		if o.Protocol == "HTTPS" || o.Protocol == "TLS" {
			r.notRun(fmt.Sprintf("egress from %s to %s", w, o.address()), "requests are sent as plain HTTP or TCP, and "+o.Protocol+" is declared", true)
			continue
		}
		if !r.cluster.StandIns() && !o.http() {
			r.notRun(fmt.Sprintf("egress from %s to %s", w, o.address()), "requests are sent as HTTP, which a real "+o.Protocol+" server does not answer", true)
			continue
		}
		tally, err := r.sendOut(ctx, w, o, !r.cluster.StandIns())
		if err != nil {
			return err
		}
		r.check("a declared host is reached", fmt.Sprintf("%s to %s", w, o.address()), assert.Reached(o.Host, tally.Requests, tally.Errors, tally.Failures), tally.Elapsed)
	}
	if !e.Closed {
		return nil
	}
	hosts, err := r.undeclared(ctx)
	if err != nil {
		return err
	}
	for _, o := range hosts {
		tally, err := r.sendOut(ctx, w, o, false)
		if err != nil {
			return err
		}
		r.check("a host that is not declared is refused", fmt.Sprintf("%s to %s", w, o.address()), assert.Refused(o.Host, tally.Requests, tally.Errors-answered(tally), tally.Failures), tally.Elapsed)
	}
	return nil
}

// answered is how many errors are a host's own: it was reached, as the API server that answers 400 to what is no TLS. A
// proxy refuses by hanging up, or as a gateway.
func answered(tally traffic.Tally) int {
	all := 0
	for status, n := range tally.Statuses {
		switch status {
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		default:
			if status >= 400 {
				all += n
			}
		}
	}
	return all
}

// undeclared are addresses that may not be reached. On a real cluster a name that nobody has would be refused by DNS
// already, so there it is the address of something that does answer: the API server's own.
func (r *run) undeclared(ctx context.Context) ([]Outside, error) {
	if r.cluster.StandIns() {
		return undeclared, nil
	}
	slices, err := r.installer.Client().DiscoveryV1().EndpointSlices(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=kubernetes"})
	if err != nil {
		return nil, fmt.Errorf("the address of the API server: %w", err)
	}
	for _, s := range slices.Items {
		for _, e := range s.Endpoints {
			if len(s.Ports) > 0 && s.Ports[0].Port != nil && len(e.Addresses) > 0 {
				return []Outside{{Host: e.Addresses[0], Protocol: "TCP", Port: int(*s.Ports[0].Port)}}, nil
			}
		}
	}
	return nil, errors.New("the address of the API server: Service/default/kubernetes has no endpoint")
}

// sendOut sends to a host outside; anyStatus says that its own refusal is an answer.
func (r *run) sendOut(ctx context.Context, w Workload, o Outside, anyStatus bool) (traffic.Tally, error) {
	load := traffic.Load{URL: "http://" + hostPort(o.Host, o.Port) + "/", Requests: few, Concurrency: 2, AnyStatus: anyStatus}
	tally, err := r.cluster.Send(ctx, w.place(), load)
	if err != nil {
		return tally, fmt.Errorf("from %s to %s: %w", w, o.address(), err)
	}
	return tally, nil
}

// reaching is a load that shows whether an app is reached. A stand-in says who it is; a real application need not, and
// may refuse what it was not made for, but then it has answered.
func (r *run) reaching(load traffic.Load) traffic.Load {
	load.Requests, load.Concurrency = few, 2
	if !r.cluster.StandIns() {
		load.App, load.AnyStatus = "", true
	}
	return load
}

// reach sends through every way in, but those that it says are left out, and along every call that a workload says it makes.
func (r *run) reach(ctx context.Context) error {
	if err := r.settleEndpoints(ctx); err != nil {
		return err
	}
	for _, e := range r.exposures {
		// On a cluster of stand-ins nothing but the environment runs a gateway of its own; elsewhere it should be there.
		r.notRun("requests through "+e.Object, e.Why, !e.absent || r.cluster.StandIns())
	}
	for _, e := range r.entries {
		tally, err := r.cluster.Send(ctx, e.place(), r.reaching(traffic.Load{URL: e.url(), Header: e.Header, App: e.App}))
		if err != nil {
			return fmt.Errorf("%s from the ingress gateway: %w", e.url(), err)
		}
		r.check("an exposed path is reached", e.url()+" → "+e.App, assert.Reached(e.App, tally.Requests, tally.Errors, tally.Failures), tally.Elapsed)
	}
	for _, w := range r.workloads {
		for _, call := range w.Calls {
			app, _, _ := strings.Cut(call.Host, ".")
			tally, err := r.cluster.Send(ctx, w.place(), r.reaching(traffic.Load{URL: call.url("/"), App: app}))
			if err != nil {
				return fmt.Errorf("%s to %s: %w", w, call, err)
			}
			r.check("a call is answered", w.String()+" → "+call.String(), assert.Reached(call.Host, tally.Requests, tally.Errors, tally.Failures), tally.Elapsed)
		}
	}
	return nil
}

// behind counts the pods that proxies know by the full name of their Service. Of a headless one they know none: the
// addresses of its pods are its own.
func behind(workloads []Workload, releases []*render.Release) map[string]int {
	pods := map[string]int{}
	for _, w := range workloads {
		pods[rollout.FullName(w.App, w.Namespace)] += len(w.Pods)
	}
	for _, r := range releases {
		for _, o := range r.Objects {
			if ip, _, _ := unstructured.NestedString(o.Object, "spec", "clusterIP"); o.GetKind() == "Service" && ip == "None" {
				delete(pods, rollout.FullName(o.GetName(), o.GetNamespace()))
			}
		}
	}
	return pods
}

// settleEndpoints waits until every proxy that is about to send knows the pods behind what it is sent to.
func (r *run) settleEndpoints(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, r.opts.Settle, fmt.Errorf("they had not arrived after %v", r.opts.Settle))
	defer cancel()
	err := rollout.WaitForEndpoints(ctx, r.cluster, func() ([]rollout.Known, error) {
		proxies, err := r.cluster.Proxies(ctx) // a gateway's pod may be replaced meanwhile
		if err != nil {
			return nil, fmt.Errorf("asking for the proxies: %w", err)
		}
		workloads, err := r.running()
		return r.known(proxies, workloads), err
	})
	if err != nil {
		r.fails("endpoints arrive at every proxy", r.env.Name, "each proxy knows the pods of what it sends to", err)
	}
	return nil
}

// known is what each proxy should know of what is sent through it.
func (r *run) known(proxies []cluster.Proxy, workloads []Workload) []rollout.Known {
	pods := behind(workloads, r.releases)
	var wanted []rollout.Known
	know := func(proxy, host string) {
		if pods[host] > 0 {
			wanted = append(wanted, rollout.Known{Proxy: proxy, Host: host, Pods: pods[host]})
		}
	}
	for _, p := range proxies {
		for _, e := range r.entries {
			if p.In(e.place()) {
				know(p.Namespace+"/"+p.Pod, rollout.FullName(e.App, e.Namespace))
			}
		}
	}
	for _, w := range workloads {
		for _, call := range w.Calls {
			if !w.Injected {
				continue
			}
			for _, p := range w.Pods {
				know(w.Namespace+"/"+p, rollout.FullName(call.Host, w.Namespace))
			}
		}
	}
	return wanted
}
