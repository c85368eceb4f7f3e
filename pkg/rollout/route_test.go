package rollout

import (
	"context"
	"errors"
	"testing"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/clustertest"
	"chartbasico/pkg/traffic"
)

const reviews = "reviews.bookinfo.svc.cluster.local"

func packed(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	require.NoError(t, err)
	return a
}

// dump is what a proxy says whose virtual host of that name divides so, with that many endpoints of v1.
func dump(t *testing.T, virtualHost string, split map[string]int, endpoints int) *adminv3.ConfigDump {
	t.Helper()
	action := &routev3.RouteAction{Timeout: durationpb.New(10 * time.Second)}
	if len(split) == 1 {
		for subset := range split {
			action.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: "outbound|9080|" + subset + "|" + reviews}
		}
	} else {
		weighted := &routev3.WeightedCluster{}
		for subset, w := range split {
			weighted.Clusters = append(weighted.Clusters, &routev3.WeightedCluster_ClusterWeight{
				Name: "outbound|9080|" + subset + "|" + reviews, Weight: wrapperspb.UInt32(uint32(w)),
			})
		}
		action.ClusterSpecifier = &routev3.RouteAction_WeightedClusters{WeightedClusters: weighted}
	}
	load := &endpointv3.ClusterLoadAssignment{ClusterName: "outbound|9080|v1|" + reviews, Endpoints: []*endpointv3.LocalityLbEndpoints{{}}}
	load.Endpoints[0].LbEndpoints = []*endpointv3.LbEndpoint{{HealthStatus: corev3.HealthStatus_UNHEALTHY}} // a pod that is not ready
	for range endpoints {
		load.Endpoints[0].LbEndpoints = append(load.Endpoints[0].LbEndpoints, &endpointv3.LbEndpoint{HealthStatus: corev3.HealthStatus_HEALTHY})
	}
	all := proto.Clone(load).(*endpointv3.ClusterLoadAssignment)
	all.ClusterName = "outbound|9080||" + reviews
	v1 := &clusterv3.Cluster{Name: "outbound|9080|v1|" + reviews, CircuitBreakers: &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{MaxConnections: wrapperspb.UInt32(100)}}}}
	return &adminv3.ConfigDump{Configs: []*anypb.Any{
		packed(t, &adminv3.ClustersConfigDump{DynamicActiveClusters: []*adminv3.ClustersConfigDump_DynamicCluster{{Cluster: packed(t, v1)}}}),
		packed(t, &adminv3.RoutesConfigDump{DynamicRouteConfigs: []*adminv3.RoutesConfigDump_DynamicRouteConfig{{
			RouteConfig: packed(t, &routev3.RouteConfiguration{Name: "9080", VirtualHosts: []*routev3.VirtualHost{
				{Name: virtualHost, Routes: []*routev3.Route{{Action: &routev3.Route_Route{Route: action}}}},
				{Name: "details.bookinfo.svc.cluster.local:9080", Routes: []*routev3.Route{{Action: &routev3.Route_Route{
					Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: "outbound|9080||details.bookinfo.svc.cluster.local"}},
				}}}},
			}}),
		}}}),
		packed(t, &adminv3.EndpointsConfigDump{DynamicEndpointConfigs: []*adminv3.EndpointsConfigDump_DynamicEndpointConfig{{EndpointConfig: packed(t, load)}, {EndpointConfig: packed(t, all)}}}),
	}}
}

// always wants the same.
func always[W any](wanted W) func() (W, error) {
	return func() (W, error) { return wanted, nil }
}

// everywhere wants these splits of every proxy, wherever it is asked.
func everywhere(splits ...map[string]int) func(cluster.Proxy, string, int) []Split {
	return within(0, splits...)
}

// within wants them with that timeout.
func within(timeout time.Duration, splits ...map[string]int) func(cluster.Proxy, string, int) []Split {
	return func(cluster.Proxy, string, int) (all []Split) {
		for _, s := range splits {
			all = append(all, Split{Weights: s, Timeout: timeout})
		}
		return all
	}
}

// patience is for how long to wait: long for what is to come.
func patience(err string) time.Duration {
	if err == "" {
		return time.Minute
	}
	return 60 * time.Millisecond
}

// holds says whether an error is as it should be; none, if it says nothing.
func holds(t *testing.T, says string, err error) {
	t.Helper()
	if says == "" {
		require.NoError(t, err)
	} else {
		require.ErrorContains(t, err, says)
	}
}

func TestWaitForRoute(t *testing.T) {
	const inMesh = reviews + ":9080"
	canary := map[string]int{"v1": 90, "v2": 10}
	synced := cluster.Proxy{Namespace: "bookinfo", Pod: "productpage", Synced: true}
	for name, c := range map[string]struct {
		proxy cluster.Proxy
		host  string
		split map[string]int
		pods  int
		want  Route
		err   string
	}{
		"exactly as wanted":              {proxy: synced, host: inMesh, split: canary, pods: 2},
		"one version alone":              {proxy: synced, host: inMesh, split: map[string]int{"v1": 100}, pods: 2, want: Route{Splits: everywhere(map[string]int{"v1": 100})}},
		"at a gateway":                   {proxy: synced, host: "bookinfo.example:80", split: canary, pods: 2},
		"one percent off":                {proxy: synced, host: inMesh, split: map[string]int{"v1": 89, "v2": 11}, pods: 2, err: "bookinfo/productpage divides v1 89%, v2 11%, expected v1 90%, v2 10%"},
		"no subset yet":                  {proxy: synced, host: inMesh, split: map[string]int{"": 100}, pods: 2, err: "divides (no subset) 100%, expected v1 90%, v2 10%"},
		"the Service whole at a gateway": {proxy: synced, host: "bookinfo.example:80", split: canary, pods: 2, want: Route{Splits: everywhere(map[string]int{"": 100}, canary)}}, // which may be another's
		"another's route at a gateway":   {proxy: synced, host: "bookinfo.example:80", split: map[string]int{"": 100}, pods: 2, err: "bookinfo/productpage does not carry the route"},
		"not in sync":                    {proxy: cluster.Proxy{Namespace: "bookinfo", Pod: "productpage"}, host: inMesh, split: canary, pods: 2, err: "bookinfo/productpage is not in sync"},
		"a pod short":                    {proxy: synced, host: inMesh, split: canary, pods: 1, err: "knows 1 endpoints of subset v1, expected 2"},
		"its clusters":                   {proxy: synced, host: inMesh, split: canary, pods: 2, want: Route{Connections: map[string]int{"v1": 100}, Splits: within(10*time.Second, canary)}},
		"a subset's cluster alone":       {proxy: synced, host: inMesh, split: canary, pods: 2, want: Route{Connections: map[string]int{"v1": 0}}},
		"another limit":                  {proxy: synced, host: inMesh, split: canary, pods: 2, want: Route{Connections: map[string]int{"v1": 1}}, err: "bookinfo/productpage lets subset v1 have [100] connections, expected 1"},
		"a subset without weight":        {proxy: synced, host: inMesh, split: canary, pods: 2, want: Route{Connections: map[string]int{"v3": 0}}, err: "bookinfo/productpage has no cluster of subset v3"},
		"another timeout":                {proxy: synced, host: inMesh, split: canary, pods: 2, want: Route{Splits: within(time.Minute, canary)}, err: "bookinfo/productpage has no route with a timeout of 1m0s"},
		"configuration that was refused": {proxy: cluster.Proxy{Namespace: "bookinfo", Pod: "productpage", Synced: true, Rejected: []string{"no such filter"}}, host: inMesh, split: canary, err: "configuration rejected by bookinfo/productpage: no such filter"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience(c.err))
			defer cancel()
			want := c.want
			if want.Splits == nil {
				want.Splits = everywhere(canary)
			}
			want.Host, want.Endpoints, want.Carriers = reviews, map[string]int{"v1": 2}, []string{"bookinfo/productpage"}
			err := WaitForRoute(ctx, &clustertest.Fake{
				OnProxies:     func() ([]cluster.Proxy, error) { return []cluster.Proxy{c.proxy}, nil },
				OnProxyConfig: func(cluster.Proxy) (*adminv3.ConfigDump, error) { return dump(t, c.host, c.split, c.pods), nil },
			}, always(want))
			if c.err == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, c.err)
			}
		})
	}
}

func TestWaitForRouteSeesItArrive(t *testing.T) {
	asked := map[string]int{}
	err := WaitForRoute(t.Context(), &clustertest.Fake{
		OnProxies: func() ([]cluster.Proxy, error) {
			return []cluster.Proxy{{Namespace: "bookinfo", Pod: "productpage", Synced: true}, {Namespace: "bookinfo", Pod: "slow", Synced: true}}, nil
		},
		OnProxyConfig: func(p cluster.Proxy) (*adminv3.ConfigDump, error) {
			if asked[p.Pod]++; p.Pod == "slow" && asked[p.Pod] < 3 {
				return dump(t, reviews+":9080", map[string]int{"v1": 100}, 2), nil
			}
			return dump(t, reviews+":9080", map[string]int{"v1": 90, "v2": 10}, 2), nil
		},
	}, always(Route{Host: reviews, Splits: everywhere(map[string]int{"v1": 90, "v2": 10}), Carriers: []string{"bookinfo/productpage"}}))
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"slow": 3, "productpage": 1}, asked, "who has it is not asked again")
}

// A pod more, or another in the place of one that carried the route, is wanted from when it is there.
func TestWaitForRouteFollowsThePods(t *testing.T) {
	looks := 0
	fake := &clustertest.Fake{
		OnProxies: func() ([]cluster.Proxy, error) {
			return []cluster.Proxy{{Namespace: "bookinfo", Pod: "new", Synced: true}}, nil
		},
		OnProxyConfig: func(cluster.Proxy) (*adminv3.ConfigDump, error) {
			return dump(t, reviews+":9080", map[string]int{"v1": 100}, 3), nil
		},
	}
	require.NoError(t, WaitForRoute(t.Context(), fake, func() (Route, error) {
		want := Route{Host: reviews, Splits: everywhere(map[string]int{"v1": 100}), Endpoints: map[string]int{"v1": 2}, Carriers: []string{"bookinfo/old"}}
		if looks++; looks > 3 {
			want.Endpoints, want.Carriers = map[string]int{"v1": 3}, []string{"bookinfo/new"}
		}
		return want, nil
	}))
	boom := errors.New("no such annotation")
	require.ErrorIs(t, WaitForRoute(t.Context(), fake, func() (Route, error) { return Route{}, boom }), boom)
}

// Of a route for some callers the others know nothing, but who has it must agree.
func TestWaitForRouteThatIsForSome(t *testing.T) {
	wait := func(some bool, other map[string]int, says string) {
		ctx, cancel := context.WithTimeout(t.Context(), patience(says))
		defer cancel()
		holds(t, says, WaitForRoute(ctx, &clustertest.Fake{
			OnProxies: func() ([]cluster.Proxy, error) {
				return []cluster.Proxy{{Namespace: "bookinfo", Pod: "productpage", Synced: true}, {Namespace: "bookinfo", Pod: "details", Synced: true}}, nil
			},
			OnProxyConfig: func(p cluster.Proxy) (*adminv3.ConfigDump, error) {
				if p.Pod == "details" {
					return dump(t, reviews+":9080", other, 2), nil
				}
				return dump(t, reviews+":9080", map[string]int{"v1": 100}, 2), nil
			},
		}, always(Route{Host: reviews, Carriers: []string{"bookinfo/productpage"}, Splits: func(p cluster.Proxy, _ string, _ int) []Split {
			if some && p.Pod == "details" {
				return nil
			}
			return []Split{{Weights: map[string]int{"v1": 100}}}
		}})))
	}
	none := map[string]int{"": 100}
	wait(true, none, "")
	wait(false, none, "bookinfo/details divides (no subset) 100%, expected v1 100%")
	wait(true, map[string]int{"v2": 100}, "bookinfo/details divides v2 100%, expected (no subset) 100%")
}

// What a proxy should have is asked for each virtual host: a Service with two ports has one for each, and a route for one
// port leaves the other to Istio's default.
func TestWaitForRouteAsksAtEachPort(t *testing.T) {
	virtualHost := func(name, cluster string) *routev3.VirtualHost {
		return &routev3.VirtualHost{Name: name, Routes: []*routev3.Route{{Action: &routev3.Route_Route{
			Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: cluster}},
		}}}}
	}
	wait := func(says string, carriers []string, hosts ...*routev3.VirtualHost) {
		ctx, cancel := context.WithTimeout(t.Context(), patience(says))
		defer cancel()
		holds(t, says, WaitForRoute(ctx, &clustertest.Fake{
			OnProxies: func() ([]cluster.Proxy, error) {
				return []cluster.Proxy{{Namespace: "bookinfo", Pod: "productpage", Synced: true}}, nil
			},
			OnProxyConfig: func(cluster.Proxy) (*adminv3.ConfigDump, error) {
				return &adminv3.ConfigDump{Configs: []*anypb.Any{packed(t, &adminv3.RoutesConfigDump{DynamicRouteConfigs: []*adminv3.RoutesConfigDump_DynamicRouteConfig{{
					RouteConfig: packed(t, &routev3.RouteConfiguration{VirtualHosts: hosts}),
				}}})}}, nil
			},
		}, always(Route{Host: reviews, Carriers: carriers, Splits: func(_ cluster.Proxy, host string, port int) []Split {
			if host != reviews || port != 9080 {
				return nil
			}
			return []Split{{Weights: map[string]int{"v1": 100}}}
		}})))
	}
	productpage := []string{"bookinfo/productpage"}
	routed, admin := virtualHost(reviews+":9080", "outbound|9080|v1|"+reviews), virtualHost(reviews+":9000", "outbound|9000||"+reviews)
	wait("", productpage, routed, admin)
	wait("", productpage, routed, virtualHost("other.example:80", "outbound|9080|v2|"+reviews), virtualHost("allow_any", "PassthroughCluster"), virtualHost("health:ready", "outbound|9080|v1|"+reviews)) // others' routes
	wait("divides v1 100%, expected (no subset) 100%, of what is requested of "+reviews+" at port 9000", productpage, routed, virtualHost(reviews+":9000", "outbound|9080|v1|"+reviews))
	wait("divides (no subset) 100%, expected v1 100%, of what is requested of "+reviews+" at port 9080", productpage, virtualHost(reviews+":9080", "outbound|9080||"+reviews), admin)
	wait("bookinfo/productpage does not carry the route", productpage, admin)
	wait("no proxy carries the route", nil, admin)
}

// A proxy that knew all pods when there were fewer is asked again.
func TestWaitForRouteAsksAgainWhenPodsCome(t *testing.T) {
	looks := 0
	known := map[string]int{"early": 2, "late": 1}
	require.NoError(t, WaitForRoute(t.Context(), &clustertest.Fake{
		OnProxies: func() ([]cluster.Proxy, error) {
			return []cluster.Proxy{{Namespace: "bookinfo", Pod: "early", Synced: true}, {Namespace: "bookinfo", Pod: "late", Synced: true}}, nil
		},
		OnProxyConfig: func(p cluster.Proxy) (*adminv3.ConfigDump, error) {
			return dump(t, reviews+":9080", map[string]int{"v1": 100}, known[p.Pod]), nil
		},
	}, func() (Route, error) {
		pods := 2
		if looks++; looks > 3 {
			pods = 3
			known["late"] = 3
		}
		if looks > 6 {
			known["early"] = 3
		}
		return Route{Host: reviews, Splits: everywhere(map[string]int{"v1": 100}), Endpoints: map[string]int{"v1": pods}}, nil
	}))
	assert.Equal(t, 7, looks, "both know the third pod")
}

// A gateway that cannot be asked has not shown that it has the route; the pod of somebody else is not waited for.
func TestWaitForRouteAsksTheGateways(t *testing.T) {
	failures := 2
	fake := &clustertest.Fake{
		OnProxies: func() ([]cluster.Proxy, error) {
			return []cluster.Proxy{
				{Namespace: "bookinfo", Pod: "productpage", Synced: true}, {Namespace: "other", Pod: "ending", Synced: true},
				{Namespace: "istio-system", Pod: "gateway", Gateway: true, Synced: true},
			}, nil
		},
		OnProxyConfig: func(p cluster.Proxy) (*adminv3.ConfigDump, error) {
			if p.Pod == "ending" {
				return nil, errors.New("no such pod")
			}
			if p.Gateway && failures > 0 {
				failures--
				return nil, errors.New("timed out")
			}
			return dump(t, reviews+":9080", map[string]int{"v1": 100}, 2), nil
		},
	}
	require.NoError(t, WaitForRoute(t.Context(), fake, always(Route{Host: reviews, Splits: everywhere(map[string]int{"v1": 100}), Carriers: []string{"bookinfo/productpage"}})))
	assert.Zero(t, failures, "it was asked until it answered")
}

// What was seen last is told, although the last answer came too late.
func TestWaitThatEndsInTheMiddleTellsWhatWasSeen(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
	defer cancel()
	asked := 0
	err := WaitForRoute(ctx, &clustertest.Fake{OnProxies: func() ([]cluster.Proxy, error) {
		if asked++; asked > 1 {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return []cluster.Proxy{{Namespace: "bookinfo", Pod: "productpage"}}, nil
	}}, always(Route{Host: reviews, Splits: everywhere(map[string]int{"v1": 100})}))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "last seen: bookinfo/productpage is not in sync")
}

func TestWaitForRouteWantsSomething(t *testing.T) {
	assert.ErrorContains(t, WaitForRoute(t.Context(), &clustertest.Fake{}, always(Route{Host: reviews})), "nothing to wait for")
	assert.ErrorIs(t, WaitForRoute(t.Context(), &clustertest.Fake{}, always(Route{Host: reviews, Splits: everywhere(map[string]int{"v1": 100})})), clustertest.ErrNotSet)
}

func TestWaitForEndpoints(t *testing.T) {
	fake := &clustertest.Fake{
		OnProxies: func() ([]cluster.Proxy, error) {
			return []cluster.Proxy{{Namespace: "bookinfo", Pod: "productpage"}}, nil
		},
		OnProxyConfig: func(p cluster.Proxy) (*adminv3.ConfigDump, error) {
			if p.Pod == "" {
				return nil, errors.New("no such proxy")
			}
			return dump(t, reviews+":9080", map[string]int{"v1": 100}, 2), nil
		},
	}
	wait := func(k Known) error {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		return WaitForEndpoints(ctx, fake, always([]Known{k}))
	}
	require.NoError(t, wait(Known{"bookinfo/productpage", reviews, 2}))
	require.ErrorContains(t, wait(Known{"bookinfo/productpage", reviews, 3}), "bookinfo/productpage knows 2 endpoints of "+reviews+", expected 3")
	require.ErrorContains(t, wait(Known{"bookinfo/other", reviews, 2}), "bookinfo/other: no such proxy")
}

func TestSplits(t *testing.T) {
	vs := &unstructured.Unstructured{}
	require.NoError(t, yaml.Unmarshal([]byte(`
metadata: {name: reviews, namespace: bookinfo}
spec:
  http:
  - match: [{headers: {end-user: {exact: tester}}}]
    route: [{destination: {host: reviews, subset: v2}}]
  - route:
    - {destination: {host: reviews, subset: v1}, weight: 90}
    - {destination: {host: reviews.bookinfo.svc.cluster.local, subset: v2}, weight: 10}
    - {destination: {host: reviews, subset: v3}, weight: 0}
  - route: [{destination: {host: details}}]
`), &vs.Object))
	assert.Equal(t, []map[string]int{{"v2": 100}, {"v1": 90, "v2": 10}, {}}, Splits(vs, reviews))
}

func TestSteadyCountsUntilStopped(t *testing.T) {
	for realApps, rate := range map[bool]float64{false: 200, true: 20} {
		fake := &clustertest.Fake{RealApps: realApps, OnSend: func(_ context.Context, _ cluster.Place, load traffic.Load) (traffic.Tally, error) {
			assert.Zero(t, load.Requests)
			assert.InDelta(t, rate, load.Rate, 0)
			<-load.Stop
			return traffic.Tally{Requests: 7, Errors: 1}, nil
		}}
		flows, err := StartSteady(t.Context(), fake, []Origin{{Name: "a"}, {Name: "b"}}, 0).Stop()
		require.NoError(t, err)
		require.Len(t, flows, 2)
		assert.Equal(t, "b", flows[1].Origin.Name)
		assert.Equal(t, 1, flows[0].Tally.Errors)
	}
}

func TestSteadySaysWhatCouldNotBeSent(t *testing.T) {
	boom := errors.New("no such pod")
	fake := &clustertest.Fake{OnSend: func(context.Context, cluster.Place, traffic.Load) (traffic.Tally, error) {
		return traffic.Tally{}, boom
	}}
	_, err := StartSteady(t.Context(), fake, []Origin{{Name: "productpage/v1"}}, 0).Stop()
	require.ErrorIs(t, err, boom)
	assert.ErrorContains(t, err, "steady flow from productpage/v1")
}
