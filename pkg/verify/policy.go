package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	networkingv1 "istio.io/api/networking/v1alpha3"

	"chartbasico/pkg/assert"
	"chartbasico/pkg/render"
	"chartbasico/pkg/rollout"
	"chartbasico/pkg/traffic"
)

// Stand-ins are told by these headers to be slow, and where; real applications, if their pods say that they listen.
const (
	delayHeader = "Basico-Delay"
	whenHeader  = "Basico-When"
)

// waitsAnnotation is on the pods of an application that is as slow as the headers say.
const waitsAnnotation = "chart-basico/waits"

// realApps is why some things are not measured with real applications.
const realApps = "the applications are real, and do not get slow when told to (" + waitsAnnotation + ")"

// waits says whether the app gets slow when told to.
func (a *routed) waits() bool {
	if a.cluster.StandIns() {
		return true
	}
	of := slices.DeleteFunc(slices.Clone(a.workloads), func(w Workload) bool { return w.Namespace != a.Namespace || w.App != a.Name })
	return len(of) > 0 && !slices.ContainsFunc(of, func(w Workload) bool { return !w.Waits })
}

// seconds is a delay as everybody reads it.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s" }

// turns is how many requests show whether round robin takes turns, and most how many are sent at most to prove that least
// request prefers the idle pod.
const (
	turns = 400
	most  = 5000
)

// balancing measures the load balancer of the version that gets everything at a stage.
func (a *routed) balancing(ctx context.Context, stage Stage) error {
	version, ok := stage.only()
	if !ok || len(a.direct) == 0 {
		return nil
	}
	pods, err := a.podsOf(version)
	if err != nil || len(pods) < 2 {
		return err
	}
	switch a.Subsets[version].balancing() {
	case networkingv1.LoadBalancerSettings_ROUND_ROBIN:
		return a.roundRobin(ctx, version, pods)
	case networkingv1.LoadBalancerSettings_LEAST_REQUEST, networkingv1.LoadBalancerSettings_UNSPECIFIED:
		if a.waits() && a.unproved(len(pods)) == "" {
			return a.leastRequest(ctx, version, pods)
		}
	}
	return nil
}

// balancingNotRun says which balancers could not be measured, and why.
func (a *routed) balancingNotRun() error {
	first, _ := a.Stages[0].only()
	last, _ := a.Stages[len(a.Stages)-1].only()
	for _, v := range a.versions() {
		kind := a.Subsets[v].balancing()
		what := fmt.Sprintf("balancing of %s %s (%s)", a.Title, v, kind)
		pods, err := a.podsOf(v)
		if err != nil {
			return err
		}
		leastRequest := kind == networkingv1.LoadBalancerSettings_LEAST_REQUEST || kind == networkingv1.LoadBalancerSettings_UNSPECIFIED
		switch n := len(pods); {
		case n < 2:
			a.notRun(what, fmt.Sprintf("it runs %d pods, so there is nothing to balance", n), true)
		case v != first && v != last:
			a.notRun(what, "neither the first nor the last stage sends everything to it", true)
		case len(a.direct) == 0:
			a.notRun(what, "no origin calls it directly", false)
		case leastRequest && !a.waits():
			a.notRun(what, realApps, true)
		case leastRequest && a.unproved(n) != "":
			a.notRun(what, a.unproved(n), true)
		case !slices.Contains([]networkingv1.LoadBalancerSettings_SimpleLB{
			networkingv1.LoadBalancerSettings_ROUND_ROBIN, networkingv1.LoadBalancerSettings_LEAST_REQUEST, networkingv1.LoadBalancerSettings_UNSPECIFIED,
		}, kind):
			a.notRun(what, "no measure of it is known", false)
		}
	}
	return nil
}

// podsOf are the pods that a version has now.
func (a *routed) podsOf(version string) ([]string, error) {
	workloads, err := a.running()
	for _, w := range workloads {
		if w.Namespace == a.Namespace && w.App == a.Name && w.Version == version {
			return w.Pods, err
		}
	}
	return nil, err
}

// caller is the origin whose requests go to the app itself; a workload rather than the gateway, since the mesh's own
// policies are meant.
func (a *routed) caller() rollout.Origin { return a.direct[len(a.direct)-1] }

func (a *routed) roundRobin(ctx context.Context, version string, pods []string) error {
	load := a.caller().Load
	load.Requests, load.Concurrency, load.Sequence = turns, 1, true
	tally, err := a.cluster.Send(ctx, a.caller().From, load)
	if err != nil {
		return fmt.Errorf("round robin of %s %s: %w", a.Title, version, err)
	}
	a.check("round robin takes turns", a.Title+" "+version, assert.Alternates(tally.Sequence, pods), tally.Elapsed)
	return nil
}

// unproved says why it cannot be proved of so many pods that the idle one is preferred, if so.
func (a *routed) unproved(pods int) string {
	switch n := assert.EnoughForIdle(pods, a.opts.Rate); {
	case n > most:
		return fmt.Sprintf("it runs %d pods, and to prove it of one of them takes %d requests, more than %d", pods, n, most)
	case a.holders(pods) == 0:
		return fmt.Sprintf("it runs %d pods, and no more than %d requests may be on their way at once, so not all but one can be kept busy", pods, a.AtOnce)
	}
	return ""
}

// holders is how many requests keep each pod but one busy, while one more is measured.
func (a *routed) holders(pods int) int {
	if a.AtOnce == 0 {
		return 8
	}
	return min(8, (a.AtOnce-1)/(pods-1))
}

// leastRequest keeps all pods but one busy and sees whether the idle one is preferred.
func (a *routed) leastRequest(ctx context.Context, version string, pods []string) error {
	idle, busy := pods[0], pods[1:]
	holding, release := context.WithCancel(ctx)
	held := make(chan error, len(busy))
	ended := make(chan struct{}, 1)
	for _, pod := range busy {
		// Each request goes to some pod; it is slow in the busy one alone, so its few workers soon all wait there.
		load := a.caller().Load
		load.Header = with(load.Header, delayHeader, seconds(time.Minute), whenHeader, "pod="+pod)
		load.Concurrency = a.holders(len(pods))
		load.Each = func(traffic.Ended) {
			select {
			case ended <- struct{}{}:
			default:
			}
		}
		go func() {
			_, err := a.cluster.Send(holding, a.caller().From, load)
			held <- err
		}()
	}
	untilQuiet(ctx, ended)
	load := a.caller().Load
	load.Requests, load.Concurrency = assert.EnoughForIdle(len(pods), a.opts.Rate), 1
	tally, err := a.cluster.Send(ctx, a.caller().From, load)
	release()
	for range busy {
		if e := <-held; err == nil {
			err = e
		}
	}
	if err != nil {
		return fmt.Errorf("least request of %s %s: %w", a.Title, version, err)
	}
	got := map[string]int{}
	for _, p := range pods {
		got[p] = tally.Pods[p]
	}
	a.check("least request prefers the idle pod", a.Title+" "+version, assert.PrefersIdle(idle, got, a.opts.Rate), tally.Elapsed)
	return nil
}

// escape writes a key so that its dots do not part a path of values.
func escape(key string) string { return strings.ReplaceAll(key, ".", `\.`) }

// extra is how many requests more than fit into the queue are sent with those that do, and next how many when it is full.
const (
	extra = 50
	next  = 20
)

const (
	// hold bounds how long the slow request keeps the only connection.
	hold = 30 * time.Second
	// patience is the route's time limit meanwhile: for those that wait until the slow request ends, and are then served
	// one by one. The app's own limit has a check of its own.
	patience = 2 * time.Minute
	// atOnce is the longest that a full queue's refusal may take on a busy machine.
	atOnce = 2 * time.Second
)

// queue fills the queue of the version that gets everything at a stage: behind one slow connection as many as fit are
// served in the end, and the others are refused at once. It returns the subset whose limits it
// changed, if it did, which the next move undoes.
func (a *routed) queue(ctx context.Context, stage Stage) (narrowed string, err error) {
	version, ok := stage.only()
	what := "queue of " + a.Title
	switch {
	case !a.waits():
		a.notRun(what, realApps, true)
		return "", nil
	case !ok:
		a.notRun(what, "the last stage divides requests, so no version's queue can be filled alone", true)
		return "", nil
	case len(a.direct) == 0:
		a.notRun(what, "no origin calls it directly", false)
		return "", nil
	case a.Subsets[version].Pending > 20_000:
		a.notRun(what, "no length is set (http1MaxPendingRequests)", true)
		return "", nil
	}
	if why := a.notHeld(version); why != "" {
		a.notRun(what, why, true)
		return "", nil
	}
	if why, err := a.manyWorkers(ctx); why != "" || err != nil {
		a.notRun(what, why, true)
		return "", err
	}
	narrowed = a.Subsets[version].Name
	if arrived, err := a.move(ctx, stage, narrowed, narrow(version)...); err != nil || !arrived {
		return narrowed, err
	}
	a.filling.Lock()
	got, took, err := a.fill(ctx, a.Subsets[version].Pending+extra, extra)
	a.filling.Unlock()
	const refuses = "a full queue refuses at once"
	switch {
	case errors.Is(err, errNotHeld):
		a.fails(refuses, a.Title+" "+version, fmt.Sprintf("one slow request keeps the only connection for up to %v", hold), err)
	case err != nil:
		return narrowed, fmt.Errorf("%s %s: %w", what, version, err)
	default:
		a.check(refuses, a.Title+" "+version, assert.Queue(a.Subsets[version].Pending, atOnce, got), took)
	}
	return narrowed, nil
}

// narrow lets one slow request to a version keep all others waiting, and those wait as long as it takes.
func narrow(version string) []render.Override {
	path := "routing.versions." + escape(version) + ".trafficPolicy."
	return []render.Override{
		render.Set("routing.timeout", seconds(patience)),
		render.Set("routing.retries", map[string]any{"attempts": 0}), // whose perTryTimeout would cut the slow one
		render.Set(path+"connectionPool.tcp.maxConnections", 1),
		// One connection means one pod: every pod may have one, whatever the limit. By a header, all requests go to one.
		render.Set(path+"loadBalancer", map[string]any{"consistentHash": map[string]any{"httpHeaderName": "basico-queue"}}),
	}
}

// notHeld says why one request cannot keep the only connection to a version from others, if so.
func (a App) notHeld(version string) string {
	http := a.Subsets[version].Policy.GetConnectionPool().GetHttp()
	const many = ", and a connection of HTTP/2 carries many requests at once"
	switch {
	case a.http2:
		return fmt.Sprintf("its port %d is one of HTTP/2%s", a.Port, many)
	case http.GetH2UpgradePolicy() == networkingv1.ConnectionPoolSettings_HTTPSettings_UPGRADE && !http.GetUseClientProtocol():
		return "its connections are upgraded (h2UpgradePolicy)" + many
	case slices.Contains(a.Subsets[version].ports, a.Port):
		return fmt.Sprintf("version %s has a policy for port %d alone (portLevelSettings), which comes before the limit of one connection that the measure needs", version, a.Port)
	}
	return ""
}

// manyWorkers says why one slow request holds not all connections of the caller's proxy, if it does not: each worker has
// its own. Those of stand-ins have one.
func (a *routed) manyWorkers(ctx context.Context) (why string, err error) {
	if a.cluster.StandIns() {
		return "", nil
	}
	proxies, err := a.cluster.Proxies(ctx)
	if err != nil {
		return "", fmt.Errorf("asking for the proxies: %w", err)
	}
	workloads, err := a.running()
	if err != nil {
		return "", err
	}
	caller := a.caller()
	for _, p := range proxies {
		sends := p.In(caller.From)
		if caller.Name != GatewayName {
			sends = slices.ContainsFunc(workloads, func(w Workload) bool {
				return w.place() == caller.From && w.Namespace == p.Namespace && slices.Contains(w.Pods, p.Pod)
			})
		}
		if !sends {
			continue
		}
		node, err := nodeOf(ctx, a.cluster, p)
		if err != nil {
			return "", err
		}
		workers := int(node.GetMetadata().GetFields()["PROXY_CONFIG"].GetStructValue().GetFields()["concurrency"].GetNumberValue())
		if workers != 1 {
			return fmt.Sprintf("the proxy of Pod/%s/%s has %d workers, each with a connection of its own; one with a single worker is needed (proxy.istio.io/config: \"concurrency: 1\" on the pods of %s)",
				p.Namespace, p.Pod, workers, caller.Name), nil
		}
	}
	return "", nil
}

// quiet is how long no more refusals may come until the queue counts as full and all as arrived, and no request may end
// until all that are slow count as waiting; loud is how long the latter is waited for at most.
const (
	quiet = 500 * time.Millisecond
	loud  = 10 * time.Second
)

// untilQuiet waits until no request has ended for a while.
func untilQuiet(ctx context.Context, ended <-chan struct{}) {
	enough := time.After(loud)
	still := time.NewTimer(quiet)
	defer still.Stop()
	for {
		select {
		case <-ended:
			still.Reset(quiet)
		case <-still.C:
			return
		case <-enough:
			return
		case <-ctx.Done():
			return
		}
	}
}

// fill holds the connection by a slow request and sends the others at once, each on a connection of its own. When as many are refused as
// should be and no more refusals come, the next ones are sent and their refusals timed, since the first come as late as
// a thousand new connections let them; then the slow one is let go. A queue that is longer than it should be refuses
// too few, and the slow one goes on to its end; so it does when refusals are as late as that, and then they are timed.
func (a *routed) fill(ctx context.Context, requests, refusals int) (assert.Queued, time.Duration, error) {
	one := a.caller().Load
	one.Header = with(one.Header, "Basico-Queue", "one")
	one.Requests, one.Concurrency, one.Timeout = 1, 1, patience
	holding, release := context.WithCancel(ctx)
	defer release()
	held, err := a.holdConnection(holding, one)
	if err != nil {
		return assert.Queued{}, 0, err
	}

	start := time.Now()
	all := one
	all.Requests, all.Concurrency = requests, requests
	outcomes := make(chan traffic.Ended, requests)
	all.Each = func(e traffic.Ended) { outcomes <- e }
	var sendErr, lateErr error
	go func() {
		defer close(outcomes)
		_, sendErr = a.cluster.Send(ctx, a.caller().From, all)
	}()
	var got assert.Queued
	// count says whether it was refused.
	count := func(e traffic.Ended) bool {
		got.Sent++
		switch {
		case !e.Error:
			got.Served++
		case e.Status == http.StatusServiceUnavailable:
			got.Refused++
			return true
		}
		return false
	}
	full := time.NewTimer(quiet)
	full.Stop()
	isFull, over := false, false
	for !isFull && !over && got.Sent < requests {
		select {
		case <-full.C:
			isFull = true
		case e, more := <-outcomes:
			if over = !more; more && count(e) {
				got.SlowestRefusal = max(got.SlowestRefusal, e.Took)
				if got.Refused >= refusals {
					full.Reset(quiet)
				}
			}
		}
	}
	if isFull {
		late := one
		late.Requests = next
		var tally traffic.Tally
		tally, lateErr = a.cluster.Send(ctx, a.caller().From, late)
		got.Sent += tally.Requests
		got.Served += tally.Requests - tally.Errors
		got.Refused += tally.Statuses[http.StatusServiceUnavailable]
		got.SlowestRefusal = tally.ErrorLatency.Max
	}
	release()
	for e := range outcomes {
		count(e)
	}
	<-held
	return got, time.Since(start), errors.Join(sendErr, lateErr)
}

// errNotHeld says that a slow request does not keep others waiting.
var errNotHeld = errors.New("the slow request ended before another one had to wait")

// holdConnection sends a slow request and returns when another one has to wait behind it. The channel is closed when
// the slow one has ended.
func (a *routed) holdConnection(ctx context.Context, one traffic.Load) (<-chan struct{}, error) {
	slow := one
	slow.Header = with(slow.Header, delayHeader, seconds(hold))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		// It is let go in the middle, so what becomes of it says nothing.
		_, _ = a.cluster.Send(ctx, a.caller().From, slow)
	}()
	behind := one
	behind.Timeout = 200 * time.Millisecond
	for {
		tally, err := a.cluster.Send(ctx, a.caller().From, behind)
		if err != nil {
			return nil, err
		}
		select {
		case <-ended:
			return nil, errNotHeld
		default:
		}
		if tally.Failures["timeout"] > 0 {
			return ended, nil
		}
	}
}

// tolerance is how far from the limit a request may end: the proxy's clock is exact, but a busy machine is late. The
// application would answer twice as late as that.
func tolerance(limit time.Duration) (early, late time.Duration) {
	return limit / 100, 500*time.Millisecond + limit/4
}

// timeLimit sends a request that takes longer than the route allows.
func (a *routed) timeLimit(ctx context.Context) error {
	what := "time limit of " + a.Title
	if !a.waits() {
		a.notRun(what, realApps, true)
		return nil
	}
	if a.Timeout == 0 {
		a.notRun(what, "none is set (timeout)", true)
		return nil
	}
	if len(a.direct) == 0 {
		a.notRun(what, "no origin calls it directly", false)
		return nil
	}
	o := a.caller()
	load := o.Load
	load.Requests, load.Concurrency, load.Timeout, load.App = 1, 1, 2*a.Timeout+10*time.Second, ""
	early, late := tolerance(a.Timeout)
	load.Header = with(load.Header, delayHeader, seconds(a.Timeout+2*late))
	a.say("  %s: a request that takes longer than %v is on its way", a.Title, a.Timeout)
	tally, err := a.cluster.Send(ctx, o.From, load)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	status, took := 0, max(tally.Latency.Max, tally.ErrorLatency.Max)
	for s := range tally.Statuses {
		status = s
	}
	a.check("a request ends at the time limit", a.Title+" from "+o.Name, assert.Timeout(a.Timeout, early, late, status, took), took)
	return nil
}

// with returns the header with more entries, as name and value in turn.
func with(h http.Header, pairs ...string) http.Header {
	h = h.Clone()
	if h == nil {
		h = http.Header{}
	}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}
