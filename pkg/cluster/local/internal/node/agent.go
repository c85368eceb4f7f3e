// Package node stands in for the kubelet of a local cluster. It runs the pods that the scheduler binds to its node:
// a stand-in server for each application container, a real Envoy for each istio-proxy. It knows pods, Services,
// ServiceEntries and Envoys; it knows nothing of charts, values, or what is measured.
//
// It is built on client-go's informers and not on a virtual kubelet: what matters here, the order in which an ending
// pod leaves the proxies' endpoints, stops serving and disappears, is what such a library decides by itself.
package node

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/retry"

	"chartbasico/internal/proc"
	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/internal/await"
	"chartbasico/pkg/cluster/local/internal/loopback"
	"chartbasico/pkg/cluster/local/internal/standin"
	"chartbasico/pkg/cluster/local/internal/xds"
)

// Config is what a node agent is given.
type Config struct {
	Rest        *rest.Config
	Node        string           // the node's name
	Net         loopback.Net     // where its pods' addresses are
	Address     netip.Addr       // the node's own address
	KubeletPort int32            // where Agent.Kubelet is served
	XDS         string           // istiod's address for plain text discovery
	Istiod      map[int32]string // what serves each container port of a pod of istiod, which is no pod here
	Envoy       string           // path of the executable
	Dir         string           // for bootstraps and logs; must exist
	Procs       *proc.Group      // takes the Envoys
	Failed      func(error)      // told of each Envoy that died by itself, with its last words
	Log         *slog.Logger
}

// Agent runs pods.
type Agent struct {
	config    Config
	client    kubernetes.Interface
	forwarder *xds.Forwarder
	xds       netip.AddrPort // where the forwarder serves
	listener  net.Listener
	outside   *standin.Outside

	informers informers.SharedInformerFactory
	mine      informers.SharedInformerFactory // pods of this node only
	pods      corelisters.PodLister
	services  corelisters.ServiceLister
	slices    discoverylisters.EndpointSliceLister
	declared  func() cache.GenericLister // of ServiceEntries

	mu        sync.Mutex
	running   map[types.UID]*pod // and those that have ended, until their objects are gone
	addresses map[netip.Addr]types.UID
	next      int
	turn      int // of endpoints, for those who dial a Service without a sidecar
	tasks     sync.WaitGroup
}

// New returns an agent that is not running yet.
func New(config Config) (*Agent, error) {
	client, err := kubernetes.NewForConfig(config.Rest)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp4", netip.AddrPortFrom(config.Address, 0).String())
	if err != nil {
		return nil, fmt.Errorf("serve Envoys: %w", err)
	}
	a := &Agent{
		config: config, client: client, listener: listener,
		xds:     listener.Addr().(*net.TCPAddr).AddrPort(),
		outside: standin.NewOutside(config.Net.Outside()),
		running: map[types.UID]*pod{}, addresses: map[netip.Addr]types.UID{},
	}
	if a.forwarder, err = xds.New(config.XDS, config.Net, a.outside.Address, config.Log); err != nil {
		_ = listener.Close()
		return nil, err
	}
	a.informers = informers.NewSharedInformerFactory(client, 0)
	a.mine = informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.FieldSelector = "spec.nodeName=" + config.Node
	}))
	a.pods = a.mine.Core().V1().Pods().Lister()
	a.services = a.informers.Core().V1().Services().Lister()
	a.slices = a.informers.Discovery().V1().EndpointSlices().Lister()
	return a, nil
}

// Run runs pods until ctx ends, and returns when nothing of them is left.
func (a *Agent) Run(ctx context.Context) error {
	served := make(chan struct{})
	var serving error
	go func() {
		defer close(served)
		serving = a.forwarder.Serve(a.listener)
	}()
	defer a.outside.Close()
	defer func() {
		a.forwarder.Close()
		<-served
	}()

	ctx, cancel := context.WithCancel(ctx)
	defer a.tasks.Wait()
	defer cancel()

	entries, err := dynamic.NewForConfig(a.config.Rest)
	if err != nil {
		return err
	}
	a.declared = watchDeclared(ctx, entries)
	if _, err := a.mine.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { a.seen(ctx, object.(*corev1.Pod)) },
		UpdateFunc: func(_, object any) { a.seen(ctx, object.(*corev1.Pod)) },
		DeleteFunc: func(object any) {
			if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = last.Obj
			}
			if p, ok := object.(*corev1.Pod); ok {
				a.gone(p)
			}
		},
	}); err != nil {
		return err
	}
	if err := a.provisionVolumes(ctx); err != nil {
		return err
	}
	for _, factory := range []informers.SharedInformerFactory{a.informers, a.mine} {
		factory.Start(ctx.Done())
		defer factory.Shutdown()
		defer cancel() // Shutdown waits for the informers, and they for the context
		for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
			if !synced && ctx.Err() == nil {
				return fmt.Errorf("the list of %s did not arrive", kind)
			}
		}
	}
	if err := a.register(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("register Node/%s: %w", a.config.Node, err)
	}
	select {
	case <-ctx.Done():
		return nil
	case <-served:
		return fmt.Errorf("serve Envoys: %w", serving)
	}
}

// seen starts a pod that is new, and ends one that is to be deleted.
func (a *Agent) seen(ctx context.Context, object *corev1.Pod) {
	a.mu.Lock()
	p, known := a.running[object.UID]
	if !known {
		if finished(object) && object.DeletionTimestamp == nil {
			a.mu.Unlock()
			return
		}
		p = newPod(a, object)
		a.running[object.UID] = p
	}
	a.mu.Unlock()
	if !known {
		a.tasks.Go(func() { p.run(ctx) })
	}
	if known && (len(object.Spec.EphemeralContainers) > len(object.Status.EphemeralContainerStatuses) || p.differs(&object.Status)) {
		a.tasks.Go(func() { p.report(ctx) })
	}
	if object.DeletionTimestamp != nil {
		p.end(object)
	}
}

// gone ends a pod whose object was removed, if it was without waiting for its end.
func (a *Agent) gone(object *corev1.Pod) {
	if p := a.forget(object.UID); p != nil {
		p.kill()
	}
}

// forget returns the pod for the last time, nil if it was not known.
func (a *Agent) forget(uid types.UID) *pod {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.running[uid]
	delete(a.running, uid)
	return p
}

// claim returns an address for the pod that no other has.
func (a *Agent) claim(uid types.UID) (netip.Addr, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	// The next one after the last given, so that an address is not soon another's.
	for range loopback.Pods {
		ip := loopback.PodIP(a.next)
		a.next = (a.next + 1) % loopback.Pods
		if _, taken := a.addresses[ip]; !taken {
			a.addresses[ip] = uid
			return ip, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("every address of %s is a pod's", loopback.PodCIDR)
}

func (a *Agent) release(ip netip.Addr) {
	a.forwarder.Forget(ip)
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.addresses, ip)
}

// Proxies returns every sidecar and gateway that should be connected, Synced as far as they themselves say.
func (a *Agent) Proxies() []cluster.Proxy {
	var proxies []cluster.Proxy
	for _, p := range a.live() {
		if !p.hasProxy() {
			continue
		}
		state := a.forwarder.State(p.ip)
		proxies = append(proxies, cluster.Proxy{
			Namespace: p.object.Namespace, Pod: p.object.Name, Labels: p.object.Labels, Gateway: p.gateway(),
			Synced: state.Synced, Rejected: state.Rejected, Refused: state.Refused,
		})
	}
	return proxies
}

// AdminAddress is where a pod's Envoy serves its admin interface.
func (a *Agent) AdminAddress(namespace, name string) (string, bool) {
	for _, p := range a.live() {
		if p.object.Namespace == namespace && p.object.Name == name && p.hasProxy() {
			return p.adminAddress().String(), true
		}
	}
	return "", false
}

// live returns the pods that run and are not ending, in order of namespace and name.
func (a *Agent) live() []*pod {
	a.mu.Lock()
	defer a.mu.Unlock()
	var pods []*pod
	for _, p := range a.running {
		if p.serving() {
			pods = append(pods, p)
		}
	}
	sortPods(pods)
	return pods
}

const (
	leaseDuration = 40 * time.Second
	leaseRenewal  = 10 * time.Second
)

// register makes the node, ready and with room for everything, and keeps its lease.
func (a *Agent) register(ctx context.Context) error {
	// By the version of a kubelet istiod tells whether sidecars can be native ones.
	kubernetes, err := a.client.Discovery().ServerVersion()
	if err != nil {
		return err
	}
	room := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("10k"),
		corev1.ResourceMemory:           resource.MustParse("100Ti"),
		corev1.ResourceEphemeralStorage: resource.MustParse("100Ti"),
		corev1.ResourcePods:             resource.MustParse("10k"),
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: a.config.Node, Labels: map[string]string{
			corev1.LabelHostname: a.config.Node, corev1.LabelOSStable: "linux", corev1.LabelArchStable: runtime.GOARCH,
		}},
		Spec: corev1.NodeSpec{PodCIDR: loopback.PodCIDR.String(), PodCIDRs: []string{loopback.PodCIDR.String()}},
		Status: corev1.NodeStatus{
			Capacity: room, Allocatable: room,
			Conditions: healthy(),
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: a.config.Address.String()},
				{Type: corev1.NodeHostName, Address: a.config.Node},
			},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: a.config.KubeletPort}},
			NodeInfo:        corev1.NodeSystemInfo{OperatingSystem: "linux", OSImage: "stand-in", ContainerRuntimeVersion: "standin://1", KubeletVersion: kubernetes.GitVersion},
		},
	}
	if _, err := a.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	a.tasks.Go(func() { a.keepLease(ctx) })
	return nil
}

// healthy is what a kubelet says of a node that takes pods.
func healthy() []corev1.NodeCondition {
	now := metav1.Now()
	condition := func(kind corev1.NodeConditionType, status corev1.ConditionStatus, reason string) corev1.NodeCondition {
		return corev1.NodeCondition{Type: kind, Status: status, Reason: reason, LastHeartbeatTime: now, LastTransitionTime: now}
	}
	return []corev1.NodeCondition{
		condition(corev1.NodeReady, corev1.ConditionTrue, "KubeletReady"),
		condition(corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory"),
		condition(corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure"),
		condition(corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID"),
	}
}

// revive says that the node is ready if the controllers have taken it for dead, as they do when this process was
// stopped for a while: only a kubelet says so. Its pods are then said to be ready in seen.
func (a *Agent) revive(ctx context.Context) error {
	nodes := a.client.CoreV1().Nodes()
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		node, err := nodes.Get(ctx, a.config.Node, metav1.GetOptions{})
		if err != nil || await.NodeReady(node) == nil {
			return err
		}
		a.config.Log.Warn("the node was taken for dead", "conditions", node.Status.Conditions)
		node.Status.Conditions = healthy()
		_, err = nodes.UpdateStatus(ctx, node, metav1.UpdateOptions{})
		return err
	})
}

// keepLease tells the controllers that the node is alive.
func (a *Agent) keepLease(ctx context.Context) {
	leases := a.client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	seconds := int32(leaseDuration / time.Second)
	var held *coordinationv1.Lease
	renew := func() (err error) {
		now := metav1.NewMicroTime(time.Now())
		if held == nil {
			if held, err = leases.Get(ctx, a.config.Node, metav1.GetOptions{}); apierrors.IsNotFound(err) {
				held, err = leases.Create(ctx, &coordinationv1.Lease{
					ObjectMeta: metav1.ObjectMeta{Name: a.config.Node},
					Spec:       coordinationv1.LeaseSpec{HolderIdentity: &a.config.Node, LeaseDurationSeconds: &seconds, RenewTime: &now},
				}, metav1.CreateOptions{})
			}
			if err != nil {
				held = nil
				return err
			}
		}
		renewed := held.DeepCopy()
		renewed.Spec.RenewTime = &now
		if held, err = leases.Update(ctx, renewed, metav1.UpdateOptions{}); err != nil {
			held = nil // somebody else has changed it
		}
		return err
	}
	ticker := time.NewTicker(leaseRenewal)
	defer ticker.Stop()
	for {
		err := renew()
		if err == nil {
			err = a.revive(ctx)
		}
		if err != nil && ctx.Err() == nil {
			a.config.Log.Warn("the node was not said to be alive", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
