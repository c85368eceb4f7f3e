package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/local/internal/envoy"
	"chartbasico/pkg/cluster/local/internal/loopback"
	"chartbasico/pkg/cluster/local/internal/standin"
)

const (
	proxyContainer = "istio-proxy"
	// behaviour is the annotation by which a pod's stand-ins are told how to behave; see standin.Behaviour.
	behaviourAnnotation = "chart-basico/standin"
	adminPort           = 15000
	// Restarts of what dies wait as the kubelet's do: at once, then twice as long each time.
	firstBackoff = 10 * time.Second
	lastBackoff  = 5 * time.Minute
	// probeEvery is how often readiness is asked for until it is there: quicker than a kubelet, as stand-ins start
	// in no time.
	probeEvery = 20 * time.Millisecond
	// leastGrace is what is left to containers at least, however long a preStop hook took, as a kubelet's
	// minimumGracePeriodInSeconds.
	leastGrace = 2 * time.Second
	// gatewayDrain is how long a gateway that is to end goes on serving at most, as Istio's terminationDrainDuration.
	gatewayDrain = 5 * time.Second
)

// pod is one pod's life: run starts it, waits for what ends it, and leaves nothing.
type pod struct {
	agent     *Agent
	object    *corev1.Pod // as it was first seen
	ip        netip.Addr
	behaviour standin.Behaviour

	endOnce, killOnce sync.Once
	ending            chan struct{} // closed when it is to be deleted
	killed            chan struct{} // closed when its object is gone
	grace             time.Duration // valid once ending is closed

	mu         sync.Mutex
	up         bool // its addresses are in use
	phase      corev1.PodPhase
	ready      bool
	why        string // it is not ready
	started    metav1.Time
	containers []*container
}

// container is one of the pod's containers. The pod's lock guards it.
type container struct {
	spec   corev1.Container
	init   bool // in the pod's initContainers
	native bool // and runs as long as the pod
	state  corev1.ContainerState
	ready  bool
	count  int32 // of restarts

	server *standin.Server
	proxy  *envoy.Process
}

func newPod(a *Agent, object *corev1.Pod) *pod {
	p := &pod{
		agent: a, object: object, phase: corev1.PodPending, started: metav1.Now(),
		ending: make(chan struct{}), killed: make(chan struct{}),
	}
	if finished(object) {
		p.phase = object.Status.Phase
	}
	waiting := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: p.creating()}}
	for _, c := range object.Spec.InitContainers {
		native := c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
		p.containers = append(p.containers, &container{spec: c, init: true, native: native, state: waiting})
	}
	for _, c := range object.Spec.Containers {
		p.containers = append(p.containers, &container{spec: c, state: waiting})
	}
	return p
}

func sortPods(pods []*pod) {
	slices.SortFunc(pods, func(a, b *pod) int {
		return cmp.Or(cmp.Compare(a.object.Namespace, b.object.Namespace), cmp.Compare(a.object.Name, b.object.Name))
	})
}

// end starts the pod's graceful end.
func (p *pod) end(object *corev1.Pod) {
	p.endOnce.Do(func() {
		if seconds := object.DeletionGracePeriodSeconds; seconds != nil {
			p.grace = time.Duration(*seconds) * time.Second
		}
		close(p.ending)
	})
}

// kill ends the pod at once.
func (p *pod) kill() { p.killOnce.Do(func() { close(p.killed) }) }

// untilKilled returns a context that ends when the pod's object is gone.
func (p *pod) untilKilled(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-p.killed:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// serving: it has been started, and is not ending.
func (p *pod) serving() bool {
	select {
	case <-p.ending:
		return false
	case <-p.killed:
		return false
	default:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.up
}

func (p *pod) hasProxy() bool { return p.proxyContainer() != nil }

func (p *pod) proxyContainer() *container {
	for _, c := range p.containers {
		if c.spec.Name == proxyContainer && (!c.init || c.native) {
			return c
		}
	}
	return nil
}

// gateway: its Envoy is no sidecar; injection says so in the arguments of Istio's agent.
func (p *pod) gateway() bool {
	c := p.proxyContainer()
	return c != nil && slices.Contains(c.spec.Args, "router")
}

// istiod: the pod stands for the istiod that runs as a process.
func (p *pod) istiod() bool {
	return p.object.Labels["app"] == "istiod" && len(p.object.Spec.Containers) > 0 && p.object.Spec.Containers[0].Name == "discovery"
}

// appAddress is where the pod's applications listen.
func (p *pod) appAddress() netip.Addr {
	if p.hasProxy() {
		return p.agent.config.Net.App(p.ip)
	}
	return p.agent.config.Net.Inbound(p.ip)
}

func (p *pod) adminAddress() netip.AddrPort {
	return netip.AddrPortFrom(p.agent.config.Net.Outbound(p.ip), adminPort)
}

func (p *pod) name() string { return "Pod/" + p.object.Namespace + "/" + p.object.Name }

// run is the pod's whole life.
func (p *pod) run(ctx context.Context) {
	ip, err := p.agent.claim(p.object.UID)
	if err != nil {
		p.agent.config.Log.Error("no address", "pod", p.name(), "error", err)
		p.agent.forget(p.object.UID)
		return
	}
	p.ip = ip
	defer p.agent.release(ip)

	life, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-p.killed:
		case <-p.ending:
		case <-life.Done():
		}
		stop()
	}()
	if !finished(p.object) && p.start(life) {
		p.live(life)
	}
	<-life.Done() // what has ended by itself stays until it is deleted

	select {
	case <-p.ending:
		p.finish(ctx)
	default:
		p.stop(ctx, 0)
	}
}

// start starts the containers in their order. It tells whether anything is running.
func (p *pod) start(ctx context.Context) bool {
	if !p.awaitConfig(ctx) {
		return false
	}
	p.mu.Lock()
	p.up = true
	p.mu.Unlock()
	behaviour, err := standin.ParseBehaviour(p.object.Annotations[behaviourAnnotation])
	if err != nil {
		p.refuse(ctx, fmt.Sprintf("annotation %s: %v", behaviourAnnotation, err))
		return true // until it is deleted
	}
	p.behaviour = behaviour
	for _, c := range p.containers {
		p.startContainer(ctx, c)
	}
	p.mu.Lock()
	p.phase = corev1.PodRunning
	p.why = "containers with unready status: starting"
	p.mu.Unlock()
	return p.endOfScripts(ctx)
}

// refuse leaves all containers waiting, for a reason that kubectl shows.
func (p *pod) refuse(ctx context.Context, message string) {
	p.mu.Lock()
	p.why = message
	for _, c := range p.containers {
		c.state = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CreateContainerConfigError", Message: message}}
	}
	p.mu.Unlock()
	p.report(ctx)
}

// startContainer starts one container, or ends it where it is one that ends.
func (p *pod) startContainer(ctx context.Context, c *container) {
	var err error
	var server *standin.Server
	var proxy *envoy.Process
	switch {
	case c.init && !c.native:
		p.mu.Lock()
		c.state, c.ready = terminated(0), true
		p.mu.Unlock()
		return
	case c.spec.Name == proxyContainer:
		proxy, err = p.startProxy(ctx, c)
	case p.istiod():
	default:
		server, err = p.startStandin(c)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		c.state = crashed(err.Error())
		return
	}
	c.server, c.proxy = server, proxy
	c.state = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}
}

func terminated(code int32) corev1.ContainerState {
	now := metav1.Now()
	reason := "Completed"
	if code != 0 {
		reason = "Error"
	}
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, StartedAt: now, FinishedAt: now}}
}

// crashLoop is a kubelet's reason for a container that is to be started again.
const crashLoop = "CrashLoopBackOff"

func crashed(message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: crashLoop, Message: message}}
}

// retries: its scripts fail and are run again.
func (p *pod) retries() bool {
	return p.behaviour.Exit != 0 && p.object.Spec.RestartPolicy == corev1.RestartPolicyOnFailure
}

func (p *pod) startStandin(c *container) (*standin.Server, error) {
	var listeners []net.Listener
	for _, port := range p.listenPorts(c.spec) {
		l, err := net.Listen("tcp4", netip.AddrPortFrom(p.appAddress(), loopback.Port(port)).String())
		if err != nil {
			for _, l := range listeners {
				_ = l.Close()
			}
			if errors.Is(err, syscall.EADDRINUSE) && !p.another(c, port) {
				err = fmt.Errorf("a program listens on port %d of every address of this machine, so that no pod can have it: stop the program (%w)", loopback.Port(port), err)
			}
			return nil, fmt.Errorf("container %s, port %d: %w", c.spec.Name, port, err)
		}
		listeners = append(listeners, l)
	}
	id := standin.Identity{
		App: p.object.Labels["app"], Version: p.object.Labels["version"],
		Namespace: p.object.Namespace, Pod: p.object.Name, Container: c.spec.Name,
	}
	from := cluster.Place{Namespace: p.object.Namespace, Pod: p.object.Name}
	return standin.Serve(id, p.behaviour, p.agent.Dial(from), listeners...), nil
}

// another tells whether another container of the pod listens on the port.
func (p *pod) another(c *container, port uint16) bool {
	return slices.ContainsFunc(p.containers, func(other *container) bool {
		return other != c && slices.Contains(p.listenPorts(other.spec), port)
	})
}

func (p *pod) startProxy(ctx context.Context, c *container) (*envoy.Process, error) {
	kind := "sidecar"
	if p.gateway() {
		kind = "router"
	}
	metadata, err := p.metadata(c.spec)
	if err != nil {
		return nil, err
	}
	return envoy.Start(ctx, p.agent.config.Procs, p.agent.config.Envoy, envoy.Config{
		ID:       fmt.Sprintf("%s~%s~%s.%s~%s.svc.cluster.local", kind, p.ip, p.object.Name, p.object.Namespace, p.object.Namespace),
		Cluster:  p.object.Labels["app"] + "." + p.object.Namespace,
		Metadata: metadata,
		XDS:      p.agent.xds,
		Admin:    p.adminAddress(),
		Dir:      p.agent.config.Dir,
		LogFile:  p.proxyLog(),
	})
}

func (p *pod) proxyLog() string {
	return filepath.Join(p.agent.config.Dir, fmt.Sprintf("%s_%s_%s.log", p.object.Namespace, p.object.Name, p.object.UID))
}

// endOfScripts ends the containers of a pod that is to end. It tells whether anything still runs.
func (p *pod) endOfScripts(ctx context.Context) bool {
	if p.object.Spec.RestartPolicy == corev1.RestartPolicyAlways {
		return true
	}
	code := int32(p.behaviour.Exit)
	running := false
	p.mu.Lock()
	for _, c := range p.containers {
		switch {
		case c.init:
		case c.spec.Name == proxyContainer:
			running = true // a sidecar that is no native one keeps a Job from ending, here as on any cluster
		case p.retries():
			running = true
			c.state = crashed(fmt.Sprintf("exit code %d", code))
		default:
			c.state = terminated(code)
		}
	}
	if running {
		p.mu.Unlock()
		return true
	}
	p.ended()
	p.mu.Unlock()
	p.stop(ctx, 0)
	p.report(ctx)
	return false
}

// ended gives the pod its last phase, and the containers that have not ended their last states: those that ran end as
// a well-behaved program does, and those that did not are what a kubelet says of one that it does not find. The pod's
// lock is held.
func (p *pod) ended() {
	p.phase, p.ready, p.why = corev1.PodSucceeded, false, ""
	for _, c := range p.containers {
		switch {
		case c.state.Running != nil:
			since := c.state.Running.StartedAt
			c.state = terminated(0)
			c.state.Terminated.StartedAt = since
		case c.state.Waiting != nil:
			c.state = terminated(137)
			c.state.Terminated.Reason = "ContainerStatusUnknown"
		}
		c.ready = false
		if !c.init && c.state.Terminated.ExitCode != 0 {
			p.phase = corev1.PodFailed
		}
	}
}

// live reports the pod as running, then as ready when it is, and starts again what could not be started and an Envoy
// that died, until ctx ends.
func (p *pod) live(ctx context.Context) {
	p.report(ctx)
	if p.retries() {
		p.retry(ctx)
		return
	}
	again := firstBackoff // to what could not be started
	for backoff := time.Duration(0); ; {
		p.awaitReady(ctx)
		var next <-chan time.Time
		failed := p.notStarted()
		if len(failed) > 0 {
			next = time.After(again)
		}
		var died <-chan struct{}
		c := p.proxyContainer()
		if c != nil && c.proxy != nil && !slices.Contains(failed, c) {
			died = c.proxy.Done()
		}
		select {
		case <-ctx.Done():
			return
		case <-next:
			again = min(2*again, lastBackoff)
			for _, c := range failed {
				p.mu.Lock()
				c.count++
				p.mu.Unlock()
				p.startContainer(ctx, c)
			}
			p.report(ctx)
			continue
		case <-died:
		}
		death := c.proxy.Err()
		if death == nil || ctx.Err() != nil {
			<-ctx.Done()
			return
		}
		p.agent.config.Failed(fmt.Errorf("%s: %w", p.name(), death))
		p.mu.Lock()
		p.ready, p.why, c.ready = false, "Envoy died", false
		c.state = crashed(death.Error())
		c.count++
		p.mu.Unlock()
		p.report(ctx)
		if !sleep(ctx, backoff) {
			return
		}
		backoff = min(max(2*backoff, firstBackoff), lastBackoff)
		p.startContainer(ctx, c)
		p.report(ctx)
	}
}

// notStarted are the containers that could not be started, and may be.
func (p *pod) notStarted() []*container {
	p.mu.Lock()
	defer p.mu.Unlock()
	var failed []*container
	for _, c := range p.containers {
		if c.state.Waiting != nil && c.state.Waiting.Reason == crashLoop {
			failed = append(failed, c)
		}
	}
	return failed
}

// retry runs scripts that fail again and again, until whoever counts their restarts gives up on the pod.
func (p *pod) retry(ctx context.Context) {
	for backoff := firstBackoff; sleep(ctx, backoff); backoff = min(2*backoff, lastBackoff) {
		p.mu.Lock()
		for _, c := range p.containers {
			if !c.init && c.spec.Name != proxyContainer {
				c.count++
			}
		}
		p.mu.Unlock()
		p.report(ctx)
	}
}

// awaitReady makes the pod ready when its Envoy is and its probes pass. A stand-in's readiness does not change while
// it lives, so nothing is probed afterwards.
func (p *pod) awaitReady(ctx context.Context) {
	if p.behaviour.Ready != nil && !*p.behaviour.Ready {
		p.notReady(ctx, fmt.Sprintf("annotation %s says so", behaviourAnnotation))
		return
	}
	for _, c := range p.containers {
		if c.state.Running == nil {
			if c.state.Waiting != nil {
				p.notReady(ctx, c.state.Waiting.Message)
				return
			}
			continue
		}
		var err error
		if c.proxy != nil {
			err = c.proxy.Ready(ctx)
		} else {
			err = p.awaitProbes(ctx, c)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			p.notReady(ctx, fmt.Sprintf("container %s: %v", c.spec.Name, err))
			return
		}
		p.mu.Lock()
		c.ready = true
		p.mu.Unlock()
	}
	p.mu.Lock()
	p.ready, p.why = true, ""
	p.mu.Unlock()
	p.report(ctx)
}

func (p *pod) notReady(ctx context.Context, why string) {
	p.mu.Lock()
	p.ready, p.why = false, why
	p.mu.Unlock()
	p.report(ctx)
}

// awaitProbes returns when the container's startup and readiness probes pass, or cannot pass ever.
func (p *pod) awaitProbes(ctx context.Context, c *container) error {
	said := false
	for _, probe := range []*corev1.Probe{c.spec.StartupProbe, c.spec.ReadinessProbe} {
		for probe != nil {
			err := p.probe(ctx, c.spec, probe)
			if err == nil {
				break
			}
			if errors.Is(err, errNeverReady) {
				return err
			}
			if !said {
				said = true
				p.notReady(ctx, fmt.Sprintf("container %s: %v", c.spec.Name, err))
			}
			if !sleep(ctx, probeEvery) {
				return ctx.Err()
			}
		}
	}
	return nil
}

// finish ends the pod as its deletion asks for: it serves until no proxy has it as an endpoint, as a well-behaved
// application does in its preStop hook, ends what is under way, says so, and then removes the object.
func (p *pod) finish(ctx context.Context) {
	ctx, cancel := p.untilKilled(ctx)
	defer cancel()
	over := time.Now().Add(p.grace)
	if !p.agent.publishedUntilGone(p.object) {
		graceful, cancelGrace := context.WithDeadline(ctx, over)
		// What is left when the grace is over is lost on any cluster.
		if err := p.agent.forwarder.AwaitUnused(graceful, p.ip); err != nil {
			p.agent.config.Log.Warn("grace used up", "pod", p.name(), "error", err)
		}
		cancelGrace()
	}
	p.stop(ctx, max(time.Until(over), leastGrace))
	if p.phase != corev1.PodSucceeded && p.phase != corev1.PodFailed {
		p.mu.Lock()
		p.ended()
		p.mu.Unlock()
		p.report(ctx)
	}
	p.remove(ctx)
}

// remove removes the pod's object. Nobody else would, so it tries until the object is gone, is another pod's, or ctx
// ends.
func (p *pod) remove(ctx context.Context) {
	none := int64(0)
	for wait := firstLook; ; wait = min(2*wait, lastLook) {
		err := p.agent.client.CoreV1().Pods(p.object.Namespace).Delete(ctx, p.object.Name, metav1.DeleteOptions{
			GracePeriodSeconds: &none, Preconditions: metav1.NewUIDPreconditions(string(p.object.UID)),
		})
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) || ctx.Err() != nil {
			return
		}
		if wait == firstLook {
			p.agent.config.Log.Error("the pod's object was not removed, and is tried again", "pod", p.name(), "error", err)
		}
		if !sleep(ctx, wait) {
			return
		}
	}
}

// stop ends the pod's servers, then its Envoy, which has passed on their last answers by then. What is under way has
// the grace to end; without one, everything ends at once.
func (p *pod) stop(ctx context.Context, grace time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	p.mu.Lock()
	containers := slices.Clone(p.containers)
	p.mu.Unlock()
	var servers sync.WaitGroup
	for _, c := range containers {
		if c.server != nil {
			servers.Go(func() { _ = c.server.Shutdown(ctx) })
		}
	}
	servers.Wait()
	for _, c := range containers {
		if c.proxy != nil {
			if ctx.Err() == nil {
				p.drain(ctx, c.proxy)
			}
			c.proxy.Stop(0)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up = false
}

// drain lets what is under way at an Envoy end. A sidecar's has ended with its application.
func (p *pod) drain(ctx context.Context, proxy *envoy.Process) {
	err := proxy.Drain(ctx)
	if err == nil && p.gateway() {
		ctx, cancel := context.WithTimeout(ctx, gatewayDrain)
		defer cancel()
		err = proxy.AwaitIdle(ctx)
	}
	if err != nil && ctx.Err() == nil {
		p.agent.config.Log.Warn("not drained", "pod", p.name(), "error", err)
	}
}

// sleep waits, and tells whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
