package verify

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	networkingv1 "istio.io/api/networking/v1alpha3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	judge "chartbasico/pkg/assert"
	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/clustertest"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/render"
	"chartbasico/pkg/report"
	"chartbasico/pkg/rollout"
	"chartbasico/pkg/traffic"
)

// send answers for a fake cluster.
type send func(ctx context.Context, load traffic.Load) (traffic.Tally, error)

// cart is an app of two versions with two pods each, called by front, on a cluster that answers so.
func cart(t *testing.T, answer send) *routed {
	t.Helper()
	policy := func(lb networkingv1.LoadBalancerSettings_SimpleLB) *networkingv1.TrafficPolicy {
		return &networkingv1.TrafficPolicy{LoadBalancer: &networkingv1.LoadBalancerSettings{LbPolicy: &networkingv1.LoadBalancerSettings_Simple{Simple: lb}}}
	}
	front := rollout.Origin{Name: "front/v1", From: cluster.Place{Namespace: "shop", App: "front"}, Load: traffic.Load{URL: "http://cart:8080/", App: "cart"}}
	r := &routed{
		run: &run{
			cluster: &clustertest.Fake{OnSend: func(ctx context.Context, _ cluster.Place, load traffic.Load) (traffic.Tally, error) {
				return answer(ctx, load)
			}},
			env:     &environment.Environment{Name: "shop"},
			opts:    Options{Requests: 1000}.withDefaults(true),
			filling: &sync.Mutex{},
			report:  &report.Report{},
			workloads: []Workload{
				{Namespace: "shop", App: "cart", Version: "v1", Pods: []string{"a", "b"}},
				{Namespace: "shop", App: "cart", Version: "v2", Pods: []string{"c", "d"}},
			},
		},
		App: App{
			Name: "cart", Title: "cart", Namespace: "shop", Host: "cart.shop.svc.cluster.local", Timeout: time.Second, requests: anything,
			Stages: []Stage{{"v1", map[string]int{"v1": 100, "v2": 0}}, {"half", map[string]int{"v1": 50, "v2": 50}}, {"v2", map[string]int{"v1": 0, "v2": 100}}},
			Subsets: map[string]Subset{
				"v1": {Name: "v1", Policy: policy(networkingv1.LoadBalancerSettings_ROUND_ROBIN), Pending: 40},
				"v2": {Name: "v2", Policy: policy(networkingv1.LoadBalancerSettings_LEAST_REQUEST), Pending: 40},
			},
		},
		origins: []rollout.Origin{front}, direct: []rollout.Origin{front},
	}
	r.running = func() ([]Workload, error) { return r.workloads, nil }
	return r
}

// the returns the one check of that name.
func the(t *testing.T, r *routed, name string) report.Check {
	t.Helper()
	var found []report.Check
	for _, c := range r.report.Checks {
		if c.Name == name {
			found = append(found, c)
		}
	}
	require.Len(t, found, 1, name)
	return found[0]
}

func TestSplit(t *testing.T) {
	for name, c := range map[string]struct {
		got    map[string]int
		errors int
		pass   bool
	}{
		"as wanted":       {map[string]int{"v1": 510, "v2": 490}, 0, true},
		"far off":         {map[string]int{"v1": 700, "v2": 300}, 0, false},
		"with errors":     {map[string]int{"v1": 500, "v2": 499}, 1, false},
		"another version": {map[string]int{"v1": 500, "v2": 499, "v3": 1}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := cart(t, func(_ context.Context, load traffic.Load) (traffic.Tally, error) {
				assert.Equal(t, 1000, load.Requests)
				return traffic.Tally{Requests: 1000, Errors: c.errors, Versions: c.got}, nil
			})
			require.NoError(t, r.splits(t.Context(), r.Stages[1]))
			require.Len(t, r.report.Splits, 1)
			s := r.report.Splits[0]
			assert.Equal(t, c.pass, s.Pass, s.Why)
			assert.Equal(t, "half", s.Stage)
			assert.Equal(t, "front/v1", s.From)
		})
	}
}

// Stand-ins are sent to from two origins at a time, real applications from one; the report has them in order.
func TestSplitsSideBySide(t *testing.T) {
	for name, c := range map[string]struct {
		realApps bool
		most     int32
	}{"stand-ins": {false, 2}, "real applications": {true, 1}} {
		t.Run(name, func(t *testing.T) {
			var now, most atomic.Int32
			r := cart(t, func(_ context.Context, load traffic.Load) (traffic.Tally, error) {
				most.Store(max(most.Load(), now.Add(1)))
				time.Sleep(20 * time.Millisecond)
				now.Add(-1)
				return traffic.Tally{Requests: 1000, Versions: map[string]int{"v1": 510, "v2": 490}}, nil
			})
			r.cluster.(*clustertest.Fake).RealApps = c.realApps
			r.origins = nil
			names := []string{"a", "b", "c", "d"}
			for _, n := range names {
				r.origins = append(r.origins, rollout.Origin{Name: n})
			}
			require.NoError(t, r.splits(t.Context(), r.Stages[1]))
			assert.Equal(t, c.most, most.Load())
			var found []string
			for _, s := range r.report.Splits {
				found = append(found, s.From)
			}
			assert.Equal(t, names, found)
		})
	}
}

func TestASplitThatCouldNotBeSentIsNone(t *testing.T) {
	boom := errors.New("envoy died")
	r := cart(t, func(context.Context, traffic.Load) (traffic.Tally, error) {
		return traffic.Tally{Requests: 400, Versions: map[string]int{"v1": 400}}, boom
	})
	require.ErrorIs(t, r.splits(t.Context(), r.Stages[0]), boom)
	assert.Empty(t, r.report.Splits)
}

func TestRoundRobin(t *testing.T) {
	for want, sequence := range map[bool][]string{true: {"a", "e", "a", "e"}, false: {"a", "b", "a", "b"}} {
		r := cart(t, func(_ context.Context, load traffic.Load) (traffic.Tally, error) {
			assert.Equal(t, 1, load.Concurrency, "turns can be seen one request at a time only")
			assert.True(t, load.Sequence)
			return traffic.Tally{Requests: 4, Sequence: sequence}, nil
		})
		r.running = func() ([]Workload, error) { // one was replaced since everything was installed
			return []Workload{{Namespace: "shop", App: "cart", Version: "v1", Pods: []string{"a", "e"}}}, nil
		}
		require.NoError(t, r.balancing(t.Context(), r.Stages[0]))
		assert.Equal(t, want, the(t, r, "round robin takes turns").Pass)
	}
}

func TestLeastRequest(t *testing.T) {
	for want, pods := range map[bool]map[string]int{true: {"c": 310, "d": 90}, false: {"c": 205, "d": 195}} {
		r := cart(t, func(ctx context.Context, load traffic.Load) (traffic.Tally, error) {
			if load.Requests == 0 { // the one that keeps a pod busy
				assert.Equal(t, "pod=d", load.Header.Get(whenHeader))
				<-ctx.Done()
				return traffic.Tally{}, nil
			}
			return traffic.Tally{Requests: 400, Pods: pods}, nil
		})
		require.NoError(t, r.balancing(t.Context(), r.Stages[2]))
		assert.Equal(t, want, the(t, r, "least request prefers the idle pod").Pass)
	}
}

// Of many pods more requests prove it, and they are sent when the others are busy.
func TestLeastRequestOfManyPods(t *testing.T) {
	var busy atomic.Int32
	r := cart(t, func(ctx context.Context, load traffic.Load) (traffic.Tally, error) {
		if load.Requests == 0 {
			assert.Equal(t, 8, load.Concurrency)
			for range 20 {
				time.Sleep(quiet / 10)
				load.Each(traffic.Ended{})
			}
			busy.Add(1)
			<-ctx.Done()
			return traffic.Tally{}, nil
		}
		assert.EqualValues(t, 9, busy.Load(), "the busy ones are busy")
		assert.Equal(t, judge.EnoughForIdle(10, 1e-6), load.Requests)
		tally := traffic.Tally{Requests: load.Requests, Pods: map[string]int{"0": load.Requests * 19 / 100}}
		tally.Pods["1"] = load.Requests - tally.Pods["0"]
		return tally, nil
	})
	r.workloads[1].Pods = strings.Split("0123456789", "")
	require.NoError(t, r.balancing(t.Context(), r.Stages[2]))
	assert.True(t, the(t, r, "least request prefers the idle pod").Pass)
}

// What takes too many requests, or more at once than the routing lets through, is not measured, and that is said.
func TestLeastRequestThatCannotBeProved(t *testing.T) {
	for name, c := range map[string]struct {
		pods, atOnce int
		why          string
	}{
		"many pods":      {40, 0, "it runs 40 pods, and to prove it of one of them takes 6404 requests, more than 5000"},
		"little at once": {5, 4, "it runs 5 pods, and no more than 4 requests may be on their way at once, so not all but one can be kept busy"},
	} {
		t.Run(name, func(t *testing.T) {
			r := cart(t, nil)
			r.workloads[1].Pods = make([]string, c.pods)
			r.AtOnce = c.atOnce
			require.NoError(t, r.balancing(t.Context(), r.Stages[2]))
			require.NoError(t, r.balancingNotRun())
			assert.Equal(t, []report.NotRun{{Environment: "shop", What: "balancing of cart v2 (LEAST_REQUEST)", Reason: c.why, Expected: true}}, r.report.NotRun)
		})
	}
}

func TestBalancingThatIsNotMeasuredIsSaid(t *testing.T) {
	r := cart(t, nil)
	r.workloads[1].Pods = []string{"c"}
	r.Stages = append(r.Stages, Stage{"end", map[string]int{"v2": 100}})
	require.NoError(t, r.balancing(t.Context(), r.Stages[1]), "at half nothing can be seen")
	require.NoError(t, r.balancing(t.Context(), r.Stages[2]), "one pod takes every turn")
	require.NoError(t, r.balancingNotRun())
	require.Len(t, r.report.NotRun, 1)
	assert.Equal(t, report.NotRun{
		Environment: "shop", What: "balancing of cart v2 (LEAST_REQUEST)",
		Reason: "it runs 1 pods, so there is nothing to balance", Expected: true,
	}, r.report.NotRun[0])
}

// queueOf answers like a proxy with one connection and a queue of that length. before is called before each answer to
// those that are sent at once is told.
func queueOf(t *testing.T, length int, before func(status int)) send {
	t.Helper()
	var mu sync.Mutex
	waiting, behind := 0, 0
	free := make(chan struct{})
	one := func() traffic.Ended {
		mu.Lock()
		waiting++
		full := waiting > length
		mu.Unlock()
		if full {
			return traffic.Ended{Status: http.StatusServiceUnavailable, Error: true, Took: 5 * time.Second}
		}
		select {
		case <-free:
		case <-time.After(time.Second): // the delay of the slow one
		}
		return traffic.Ended{Status: http.StatusOK}
	}
	return func(ctx context.Context, load traffic.Load) (traffic.Tally, error) {
		if load.Each != nil {
			assert.Equal(t, patience, load.Timeout)
			assert.Equal(t, 3, behind, "nothing is sent before the connection is held")
			assert.Equal(t, load.Requests, load.Concurrency, "all are sent at once")
			var all sync.WaitGroup
			for range load.Requests {
				all.Go(func() {
					e := one()
					before(e.Status)
					load.Each(e)
				})
			}
			all.Wait()
			return traffic.Tally{Requests: load.Requests}, nil
		}
		if load.Requests == next {
			mu.Lock()
			defer mu.Unlock()
			assert.Greater(t, waiting, length, "the queue is full")
			return traffic.Tally{Requests: next, Errors: next, Statuses: map[int]int{http.StatusServiceUnavailable: next}, ErrorLatency: traffic.Latency{Max: time.Millisecond}}, nil
		}
		assert.Equal(t, 1, load.Requests)
		if delay := load.Header.Get(delayHeader); delay != "" {
			assert.Equal(t, "30s", delay, "whatever the app's own limit is")
			<-ctx.Done()
			close(free)
			return traffic.Tally{}, ctx.Err()
		}
		assert.Positive(t, load.Timeout)
		if behind++; behind < 3 { // the slow one is still on its way
			return traffic.Tally{Requests: 1}, nil
		}
		return traffic.Tally{Requests: 1, Errors: 1, Failures: map[string]int{"timeout": 1}}, nil
	}
}

func TestFillTheQueue(t *testing.T) {
	for length, want := range map[int]judge.Queued{
		40: {Sent: 110, Served: 40, Refused: 70, SlowestRefusal: time.Millisecond},
		30: {Sent: 110, Served: 30, Refused: 80, SlowestRefusal: time.Millisecond},
		95: {Sent: 90, Served: 90},
	} {
		got, _, err := cart(t, queueOf(t, length, func(int) {})).fill(t.Context(), 90, 50)
		require.NoError(t, err)
		assert.Equal(t, want, got)
		assert.Equal(t, length == 40, judge.Queue(40, time.Second, got).Pass)
	}
}

// Refusals that come only when the slow request has ended are timed, as no others can be.
func TestFillTimesLateRefusals(t *testing.T) {
	ended := make(chan struct{})
	var once sync.Once
	got, _, err := cart(t, queueOf(t, 40, func(status int) {
		if status == http.StatusServiceUnavailable {
			<-ended
		} else {
			once.Do(func() { close(ended) })
		}
	})).fill(t.Context(), 90, 50)
	require.NoError(t, err)
	assert.Equal(t, judge.Queued{Sent: 90, Served: 40, Refused: 50, SlowestRefusal: 5 * time.Second}, got)
	assert.False(t, judge.Queue(40, 2*time.Second, got).Pass)
}

// What is refused after the slow request was let go is counted, and the queue is not taken for full again.
func TestFillTimesOnce(t *testing.T) {
	released := make(chan struct{})
	var refused, served atomic.Int32
	answer := queueOf(t, 30, func(status int) {
		switch {
		case status == http.StatusServiceUnavailable && refused.Add(1) == 1:
			<-released
		case status == http.StatusOK && served.Add(1) == 1:
			time.Sleep(2 * quiet)
		}
	})
	got, _, err := cart(t, func(ctx context.Context, load traffic.Load) (traffic.Tally, error) {
		tally, err := answer(ctx, load)
		if load.Header.Get(delayHeader) != "" {
			close(released)
		}
		return tally, err
	}).fill(t.Context(), 90, 50)
	require.NoError(t, err)
	assert.Equal(t, judge.Queued{Sent: 110, Served: 30, Refused: 80, SlowestRefusal: time.Millisecond}, got)
}

func TestFillSaysThatNothingHadToWait(t *testing.T) {
	r := cart(t, func(context.Context, traffic.Load) (traffic.Tally, error) { return traffic.Tally{Requests: 1}, nil })
	_, _, err := r.fill(t.Context(), 90, 50)
	assert.ErrorContains(t, err, "ended before another one had to wait")
}

// While the queue is filled, the route allows for as long as that takes, whatever the app's retries are, and only one
// connection goes to the version.
func TestTheQueueIsFilledOnANarrowRoute(t *testing.T) {
	apps, err := Apps(rendered(t, "../../environments/bookinfo-prod.yaml"))
	require.NoError(t, err)
	a := apps[0]
	own := render.Set("routing.retries", map[string]any{"attempts": 3, "perTryTimeout": "1s", "retryOn": "5xx"})
	narrowed, err := render.New().Release(t.Context(), a.Release.Release, append([]render.Override{own, render.Set("routing.stage", "v2")}, narrow("v2")...)...)
	require.NoError(t, err)
	route, err := a.route(narrowed, "v2")
	require.NoError(t, err)
	assert.Equal(t, []rollout.Split{{Weights: map[string]int{"v2": 100}, Timeout: 2 * time.Minute}}, route.Splits(cluster.Proxy{}, a.Host, 9080))
	assert.Equal(t, map[string]int{"v1": 0, "v2": 1}, route.Connections)
	vs := &networkingv1.VirtualService{}
	require.NoError(t, decode(object(narrowed, "VirtualService", "reviews"), vs))
	retries := vs.GetHttp()[len(vs.GetHttp())-1].GetRetries()
	require.NotNil(t, retries, "without any said, Istio has its own")
	assert.True(t, proto.Equal(&networkingv1.HTTPRetry{}, retries), "%v: Istio wants nothing beside no attempts", retries)
}

// Where one request cannot hold the only connection, that is said before anything is narrowed.
func TestAQueueThatCannotBeFilledIsSaid(t *testing.T) {
	const many = ", and a connection of HTTP/2 carries many requests at once"
	chart, err := filepath.Abs("../../charts/chart_basico")
	require.NoError(t, err)
	for name, c := range map[string]struct{ ports, policy, why string }{
		"HTTP/1.1":                {"http: {port: 8080}", "{}", ""},
		"another port":            {"http: {port: 8080}, grpc: {port: 9090}", "{}", ""},
		"HTTP/2":                  {"http2: {port: 8080}", "{}", "its port 8080 is one of HTTP/2" + many},
		"gRPC":                    {"http: {port: 80}, grpc: {port: 8080}", "{}", "its port 8080 is one of HTTP/2" + many},
		"HTTP/2 by appProtocol":   {"http: {port: 8080, appProtocol: kubernetes.io/h2c}", "{}", "its port 8080 is one of HTTP/2" + many},
		"upgraded":                {"http: {port: 8080}", "{connectionPool: {http: {h2UpgradePolicy: UPGRADE}}}", "its connections are upgraded (h2UpgradePolicy)" + many},
		"not upgraded":            {"http: {port: 8080}", "{connectionPool: {http: {h2UpgradePolicy: UPGRADE, useClientProtocol: true}}}", ""},
		"a policy of the port":    {"http: {port: 8080}", "{portLevelSettings: [{port: {number: 8080}}]}", "version v1 has a policy for port 8080 alone (portLevelSettings), which comes before the limit of one connection that the measure needs"},
		"a policy of another one": {"http: {port: 8080}, admin: {port: 9000, appProtocol: http}", "{portLevelSettings: [{port: {number: 9000}}]}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "cart.yaml"), []byte("app: cart\nservice: {ports: {"+c.ports+`}}
routing: {port: 8080, stage: v1, stages: [{name: v1, weights: {v1: 100}}], versions: {v1: {trafficPolicy: `+c.policy+`}}}
`), 0o600))
			env := filepath.Join(dir, "env.yaml")
			require.NoError(t, os.WriteFile(env, []byte("releases: [{name: cart, namespace: shop, chart: "+chart+", values: [cart.yaml]}]\n"), 0o600))
			apps, err := Apps(rendered(t, env))
			require.NoError(t, err)
			assert.Equal(t, c.why, apps[0].notHeld("v1"))
			if c.why == "" {
				return
			}
			r := cart(t, nil)
			r.App = apps[0]
			narrowed, err := r.queue(t.Context(), r.Stages[0])
			require.NoError(t, err)
			assert.Empty(t, narrowed)
			assert.Equal(t, []report.NotRun{{Environment: "shop", What: "queue of cart", Reason: c.why, Expected: true}}, r.report.NotRun)
		})
	}
}

// Real applications are told to be slow only if their pods say that they listen.
func TestSlowRealApplications(t *testing.T) {
	for name, c := range map[string]struct {
		waits    []bool // of v1 and v2
		measured bool
	}{"all listen": {[]bool{true, true}, true}, "one does not": {[]bool{true, false}, false}, "none": {[]bool{false, false}, false}} {
		t.Run(name, func(t *testing.T) {
			r := onRealApps(t, func(_ context.Context, load traffic.Load) (traffic.Tally, error) {
				assert.True(t, c.measured, "nothing is sent to who does not listen")
				assert.Equal(t, "2.5s", load.Header.Get(delayHeader))
				return traffic.Tally{Requests: 1, Statuses: map[int]int{504: 1}, ErrorLatency: traffic.Latency{Max: time.Second}}, nil
			})
			for i, w := range c.waits {
				r.workloads[i].Waits = w
			}
			require.NoError(t, r.timeLimit(t.Context()))
			if c.measured {
				assert.True(t, the(t, r, "a request ends at the time limit").Pass)
				return
			}
			assert.Empty(t, r.report.Checks)
			narrowed, err := r.queue(t.Context(), r.Stages[2])
			require.NoError(t, err)
			assert.Empty(t, narrowed)
			require.NoError(t, r.balancing(t.Context(), r.Stages[2]))
			require.NoError(t, r.balancingNotRun())
			const reason = "the applications are real, and do not get slow when told to (chart-basico/waits)"
			assert.ElementsMatch(t, []report.NotRun{
				{Environment: "shop", What: "time limit of cart", Reason: reason, Expected: true},
				{Environment: "shop", What: "queue of cart", Reason: reason, Expected: true},
				{Environment: "shop", What: "balancing of cart v2 (LEAST_REQUEST)", Reason: reason, Expected: true},
			}, r.report.NotRun)
		})
	}
}

func TestTimeLimit(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		took   time.Duration
		pass   bool
	}{
		"at the limit":       {504, 1020 * time.Millisecond, true},
		"too late":           {504, 1760 * time.Millisecond, false},
		"too early":          {504, 980 * time.Millisecond, false},
		"the app's own word": {200, 6 * time.Second, false},
		"another error":      {503, time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := cart(t, func(_ context.Context, load traffic.Load) (traffic.Tally, error) {
				assert.Equal(t, "2.5s", load.Header.Get(delayHeader))
				tally := traffic.Tally{Requests: 1, Statuses: map[int]int{c.status: 1}}
				if c.status == 200 {
					tally.Latency.Max = c.took
				} else {
					tally.ErrorLatency.Max = c.took
				}
				return tally, nil
			})
			require.NoError(t, r.timeLimit(t.Context()))
			check := the(t, r, "a request ends at the time limit")
			assert.Equal(t, c.pass, check.Pass, check.Why)
		})
	}
}

func TestEgressFrom(t *testing.T) {
	e := Egress{Namespace: "shop", Closed: true, Declared: []Outside{{"bank.example", "HTTP", 80}, {"vault.example", "TLS", 443}}}
	open := map[string]bool{"http://bank.example/": true}
	from := func(open map[string]bool) map[string]bool {
		r := cart(t, func(_ context.Context, load traffic.Load) (traffic.Tally, error) {
			if open[load.URL] {
				return traffic.Tally{Requests: load.Requests}, nil
			}
			return traffic.Tally{Requests: load.Requests, Errors: load.Requests, Failures: map[string]int{"502": load.Requests}}, nil
		})
		require.NoError(t, r.egressFrom(t.Context(), e, Workload{Namespace: "shop", App: "front", Version: "v1"}))
		passed := map[string]bool{}
		for _, c := range r.report.Checks {
			passed[c.Subject] = c.Pass
		}
		require.Len(t, r.report.NotRun, 1, "TLS cannot be sent")
		return passed
	}
	all := map[string]bool{
		"front/v1 to bank.example:80": true, "front/v1 to undeclared.example:80": true, "front/v1 to undeclared.example:5432": true,
	}
	assert.Equal(t, all, from(open))

	closed := maps.Clone(all)
	closed["front/v1 to bank.example:80"] = false
	assert.Equal(t, closed, from(nil))

	leaky := maps.Clone(all)
	leaky["front/v1 to undeclared.example:80"] = false
	assert.Equal(t, leaky, from(map[string]bool{"http://bank.example/": true, "http://undeclared.example/": true}))

	// A host that answers with an error was reached, as one that wants TLS; a proxy that refuses answers as a gateway.
	for status, refused := range map[int]bool{400: false, 404: false, 500: false, 502: true, 503: true, 504: true} {
		r := cart(t, func(_ context.Context, load traffic.Load) (traffic.Tally, error) {
			return traffic.Tally{Requests: load.Requests, Errors: load.Requests, Statuses: map[int]int{status: load.Requests}}, nil
		})
		require.NoError(t, r.egressFrom(t.Context(), Egress{Namespace: "shop", Closed: true}, Workload{Namespace: "shop", App: "front", Version: "v1"}))
		require.Len(t, r.report.Checks, 2)
		for _, c := range r.report.Checks {
			assert.Equal(t, refused, c.Pass, "%d: %s", status, c.Subject)
		}
	}
}

// Of the declared hosts that are real, only those that the environment runs itself are called.
func TestEgressOnRealClusters(t *testing.T) {
	var asked []string
	r := onRealApps(t, func(_ context.Context, load traffic.Load) (traffic.Tally, error) {
		asked = append(asked, load.URL)
		assert.True(t, load.AnyStatus, "what a real application says of / is its own affair")
		return traffic.Tally{Requests: load.Requests}, nil
	})
	service := func(name, namespace string) *unstructured.Unstructured {
		o := &unstructured.Unstructured{Object: map[string]any{"kind": "Service"}}
		o.SetName(name)
		o.SetNamespace(namespace)
		return o
	}
	sidecar := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "networking.istio.io/v1", "kind": "Sidecar", "spec": map[string]any{"outboundTrafficPolicy": map[string]any{"mode": "ALLOW_ANY"}}}}
	sidecar.SetNamespace("shop")
	entry := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "spec": map[string]any{
		"hosts": []any{"bank.example.com", "ledger.outside.svc.cluster.local", "ledger.elsewhere.svc.cluster.local"},
		"ports": []any{map[string]any{"number": int64(80), "protocol": "HTTP", "name": "http"}},
	}}}
	entry.SetNamespace("shop")
	database := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "spec": map[string]any{
		"hosts": []any{"ledger.outside.svc.cluster.local"}, "ports": []any{map[string]any{"number": int64(5432), "protocol": "TCP", "name": "tcp"}},
	}}}
	database.SetNamespace("shop")
	r.releases = []*render.Release{{Objects: []*unstructured.Unstructured{sidecar, entry, database, service("ledger", "outside")}}}
	r.workloads = []Workload{{Namespace: "shop", App: "front", Version: "v1", Pods: []string{"f"}, Injected: true}}
	require.NoError(t, r.egress(t.Context()))
	assert.Equal(t, []string{"http://ledger.outside.svc.cluster.local/"}, asked)
	assert.Equal(t, "front/v1 to ledger.outside.svc.cluster.local:80", the(t, r, "a declared host is reached").Subject)
	const reason = "it is the real one that would be called"
	assert.Equal(t, []report.NotRun{
		{Environment: "shop", What: "egress from shop to bank.example.com:80", Reason: reason, Expected: true},
		{Environment: "shop", What: "egress from shop to ledger.elsewhere.svc.cluster.local:80", Reason: reason, Expected: true},
		{Environment: "shop", What: "egress from front/v1 to ledger.outside.svc.cluster.local:5432", Reason: "requests are sent as HTTP, which a real TCP server does not answer", Expected: true},
	}, r.report.NotRun)
}

func TestProxies(t *testing.T) {
	for name, c := range map[string]struct {
		proxies  []cluster.Proxy
		pass     bool
		problems int
	}{
		"in sync":     {[]cluster.Proxy{{Namespace: "shop", Pod: "a", Synced: true}}, true, 0},
		"not in sync": {[]cluster.Proxy{{Namespace: "shop", Pod: "a"}}, false, 0},
		"rejected":    {[]cluster.Proxy{{Namespace: "shop", Pod: "a", Synced: true, Rejected: []string{"no such filter"}}}, false, 1},
		"none":        {nil, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := cart(t, nil)
			r.opts.Settle = 20 * time.Millisecond
			r.cluster.(*clustertest.Fake).OnProxies = func() ([]cluster.Proxy, error) { return c.proxies, nil }
			require.NoError(t, r.proxies(t.Context()))
			assert.Equal(t, c.pass, the(t, r, "every proxy is in sync and has rejected nothing").Pass)
			assert.Len(t, r.report.Problems, c.problems)
		})
	}
}

// The pod of a gateway that is replaced meanwhile is not waited for, but the one in its place.
func TestEndpointsArriveAtTheGatewaysOfTheMoment(t *testing.T) {
	pods, err := anypb.New(&endpointv3.ClusterLoadAssignment{
		ClusterName: "outbound|8080||" + cartHost, Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{{}, {}, {}, {}}}},
	})
	require.NoError(t, err)
	known, err := anypb.New(&adminv3.EndpointsConfigDump{DynamicEndpointConfigs: []*adminv3.EndpointsConfigDump_DynamicEndpointConfig{{EndpointConfig: pods}}})
	require.NoError(t, err)
	r := cart(t, nil)
	r.opts.Settle = time.Second
	r.entries = []Entry{{Host: "shop.example", Port: 80, Path: "/", App: "cart", Namespace: "shop"}}
	looks := 0
	gateway := func(pod string) cluster.Proxy {
		return cluster.Proxy{Namespace: "istio-system", Pod: pod, Gateway: true, Synced: true, Labels: map[string]string{"istio": "ingressgateway"}}
	}
	fake := r.cluster.(*clustertest.Fake)
	fake.OnProxies = func() ([]cluster.Proxy, error) {
		if looks++; looks > 4 {
			return []cluster.Proxy{gateway("new")}, nil
		}
		return []cluster.Proxy{gateway("old")}, nil
	}
	fake.OnProxyConfig = func(p cluster.Proxy) (*adminv3.ConfigDump, error) {
		if p.Pod != "new" {
			return nil, errors.New("no such pod")
		}
		return &adminv3.ConfigDump{Configs: []*anypb.Any{known}}, nil
	}
	require.NoError(t, r.settleEndpoints(t.Context()))
	assert.Empty(t, r.report.Checks)
	assert.Greater(t, looks, 4)
}

// entries are the ways in to what shows cart.
var entries = []Entry{{Host: "shop.example", Port: 80, Path: "/login"}, {Host: "shop.example", Port: 80, Path: "/cart"}, {Host: "shop.example", Port: 80, Path: "/cart"}}

func onRealApps(t *testing.T, answer send) *routed {
	t.Helper()
	r := cart(t, answer)
	r.cluster.(*clustertest.Fake).RealApps = true
	gateway := rollout.Origin{Name: GatewayName, Load: traffic.Load{URL: "http://shop.example/login", App: "cart", Header: http.Header{callHeader: {"x"}}}}
	r.origins = append([]rollout.Origin{gateway}, r.origins...)
	r.entries = entries
	return r
}

func TestPageOfARealApplication(t *testing.T) {
	var asked []string
	r := onRealApps(t, func(_ context.Context, load traffic.Load) (traffic.Tally, error) {
		asked = append(asked, load.URL)
		assert.Equal(t, 1, load.Requests)
		if load.URL == "http://shop.example/login" {
			return traffic.Tally{Requests: 1, Errors: 1, Failures: map[string]int{"405": 1}}, nil
		}
		return traffic.Tally{Requests: 1, Versions: map[string]int{"v1": 1}}, nil
	})
	require.NoError(t, r.findPage(t.Context()))
	assert.Equal(t, []string{"http://shop.example/login", "http://shop.example/cart"}, asked)
	require.Len(t, r.origins, 2)
	assert.Equal(t, "http://shop.example/cart", r.origins[0].Load.URL)
	assert.Empty(t, r.origins[0].Load.Header, "a real application is told nothing")
	assert.Empty(t, r.report.NotRun)
}

func TestARealApplicationWithoutAPage(t *testing.T) {
	for name, onlyGateway := range map[string]bool{"others call it": false, "nobody else calls it": true} {
		t.Run(name, func(t *testing.T) {
			r := onRealApps(t, func(context.Context, traffic.Load) (traffic.Tally, error) {
				return traffic.Tally{Requests: 1, Errors: 1}, nil
			})
			if onlyGateway {
				r.origins = r.origins[:1]
			}
			require.NoError(t, r.findPage(t.Context()))
			require.Len(t, r.report.NotRun, 1)
			assert.Equal(t, report.NotRun{
				Environment: "shop", What: "splits of cart from the ingress gateway",
				Reason: "no answer at http://shop.example/login, http://shop.example/cart names a pod of it", Expected: !onlyGateway,
			}, r.report.NotRun[0])
			for _, o := range r.origins {
				assert.NotEqual(t, GatewayName, o.Name)
			}
		})
	}
}

// Who measures what runs already finds the page too, and is told why the gateway is left out where there is none.
func TestOriginsAreTried(t *testing.T) {
	front := Workload{Namespace: "shop", App: "front", Version: "v1", Pods: []string{"f"}, Calls: []Call{{"cart", "8080", "/"}}}
	exposed := []Entry{{Host: "shop.example", Port: 80, Path: "/login", App: "front", Namespace: "shop"}, {Host: "shop.example", Port: 80, Path: "/cart", App: "front", Namespace: "shop"}}
	for name, c := range map[string]struct {
		realApps  bool
		page      string
		entries   []Entry
		workloads []Workload
		origins   []string // name and URL
		left      string
		fails     string
	}{
		"a stand-in calls at any path": {false, "", exposed, []Workload{front},
			[]string{"ingress gateway http://shop.example/login", "front/v1 http://cart:8080/"}, "", ""},
		"the page of a real application": {true, "http://shop.example/cart", exposed, []Workload{front},
			[]string{"ingress gateway http://shop.example/cart", "front/v1 http://cart:8080/"}, "", ""},
		"no page": {true, "", exposed, []Workload{front}, []string{"front/v1 http://cart:8080/"},
			"no answer at http://shop.example/login, http://shop.example/cart names a pod of it", ""},
		"no page, and nobody calls it": {true, "", []Entry{{Host: "shop.example", Port: 80, Path: "/", App: "cart", Namespace: "shop"}}, nil, nil, "",
			"cart: no answer at http://shop.example/ names a pod of it, and no workload that runs says in its values that it calls it (calls), so there is nowhere to send requests from"},
		"not exposed, and nobody calls it": {true, "", nil, nil, nil, "",
			"cart: nothing exposes it, and no workload that runs says in its values that it calls it (calls), so there is nowhere to send requests from"},
	} {
		t.Run(name, func(t *testing.T) {
			asked := map[string]bool{}
			r := &Running{Env: &environment.Environment{Name: "shop"}, entries: c.entries, Cluster: &clustertest.Fake{
				RealApps: c.realApps, OnSend: func(_ context.Context, from cluster.Place, load traffic.Load) (traffic.Tally, error) {
					assert.Equal(t, 1, load.Requests)
					asked[from.String()] = true
					if load.URL == c.page {
						return traffic.Tally{Requests: 1, Versions: map[string]int{"v1": 1}}, nil
					}
					return traffic.Tally{Requests: 1, Errors: 1}, nil
				}}}
			origins, left, err := r.originsOf(t.Context(), App{Name: "cart", Title: "cart", Namespace: "shop", Host: "cart.shop.svc.cluster.local", requests: anything}, c.workloads)
			if c.fails != "" {
				assert.EqualError(t, err, c.fails)
				return
			}
			require.NoError(t, err)
			var found []string
			for _, o := range origins {
				found = append(found, o.Name+" "+o.Load.URL)
				assert.True(t, asked[o.From.String()], "what a first request from there opens is open: %s", o.Name)
			}
			assert.Equal(t, c.origins, found)
			if c.left == "" {
				assert.Empty(t, left)
			} else {
				assert.Equal(t, []report.NotRun{{Environment: "shop", What: "requests to cart from the ingress gateway", Reason: c.left, Expected: true}}, left)
			}
		})
	}
}

func TestThePageShowsItsVersions(t *testing.T) {
	for name, c := range map[string]struct {
		shown map[string]int
		pass  bool
	}{
		"as the versions are": {map[string]int{"": 510, "black": 490}, true},
		"none where some are": {map[string]int{"": 1000}, false},
		"another one's":       {map[string]int{"": 510, "black": 489, "red": 1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := onRealApps(t, func(_ context.Context, load traffic.Load) (traffic.Tally, error) {
				assert.Equal(t, []string{"black", "red"}, load.Texts)
				return traffic.Tally{Requests: 1000, Versions: map[string]int{"v1": 510, "v2": 490}, Shown: c.shown}, nil
			})
			r.origins = r.origins[:1]
			r.workloads[1].Shows = "black"
			r.workloads = append(r.workloads, Workload{Namespace: "shop", App: "cart", Version: "v3", Shows: "red"})
			require.NoError(t, r.splits(t.Context(), r.Stages[1]))
			assert.Equal(t, c.pass, the(t, r, "the page shows its versions").Pass)
			assert.True(t, r.report.Splits[0].Pass)
		})
	}
}
