package envoy

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/internal/proc"
	"chartbasico/pkg/cluster/internal/configdump"
)

func TestAnEnvoyServesWhatItWasTold(t *testing.T) {
	t.Parallel()
	ctx := bounded(t)
	control := newControlPlane(t)
	at := netip.MustParseAddrPort("127.31.0.1:15006")
	control.answer(t, at, "told")
	p, err := Start(ctx, group(t), binary, config(t, "127.31.0.1", control.at))
	require.NoError(t, err)
	require.NoError(t, p.Ready(ctx))

	response, body := get(t, "http://"+at.String())
	assert.Equal(t, "told", body)
	assert.False(t, response.Close)

	_, dumped := get(t, "http://"+p.admin.String()+"/config_dump")
	dump, err := configdump.Read([]byte(dumped))
	require.NoError(t, err)
	assert.Equal(t, "told", routeBody(t, dump))

	_, stats := get(t, "http://"+p.admin.String()+"/stats")
	for _, kept := range []string{"cluster_manager.cds.update_success: 1", "listener_manager.lds.update_success: 1", "listener_manager.listener_create_success: "} {
		assert.Contains(t, stats, kept)
	}
	for line := range strings.Lines(stats) {
		assert.NotRegexp(t, `^(http|cluster\.unused|listener\.)`, line, "it costs memory for nothing")
	}

	require.NoError(t, p.Drain(ctx))
	response, body = get(t, "http://"+at.String())
	assert.Equal(t, "told", body, "it goes on serving")
	assert.True(t, response.Close, "but tells clients to go")

	p.Stop(10 * time.Second)
	require.NoError(t, p.Err(), "to be stopped is no death")
	require.ErrorIs(t, p.Ready(ctx), ErrEnded)
}

func TestAGatewayIsIdleWhenItsClientsAreGone(t *testing.T) {
	t.Parallel()
	ctx := bounded(t)
	control := newControlPlane(t)
	at := netip.MustParseAddrPort("127.31.0.6:8080")
	control.answer(t, at, "told")
	c := config(t, "127.31.0.6", control.at)
	c.ID = strings.Replace(c.ID, "sidecar~", gatewayType, 1)
	p, err := Start(ctx, group(t), binary, c)
	require.NoError(t, err)
	require.NoError(t, p.Ready(ctx))
	client, err := net.Dial("tcp4", at.String())
	require.NoError(t, err)
	defer client.Close()
	require.NoError(t, p.Drain(ctx))

	limited, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, p.AwaitIdle(limited), context.DeadlineExceeded, "a client is connected")
	require.NoError(t, client.Close())
	require.NoError(t, p.AwaitIdle(ctx))
	p.Stop(0)
	require.Error(t, p.AwaitIdle(ctx), "nobody answers any more")
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := (&http.Client{Transport: &http.Transport{}}).Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, string(body)
}

func routeBody(t *testing.T, dump *adminv3.ConfigDump) string {
	t.Helper()
	for _, c := range dump.Configs {
		routes := &adminv3.RoutesConfigDump{}
		if !c.MessageIs(routes) {
			continue
		}
		require.NoError(t, c.UnmarshalTo(routes))
		require.Len(t, routes.DynamicRouteConfigs, 1)
		route := &routev3.RouteConfiguration{}
		require.NoError(t, routes.DynamicRouteConfigs[0].RouteConfig.UnmarshalTo(route))
		return route.VirtualHosts[0].Routes[0].GetDirectResponse().Body.GetInlineString()
	}
	return "(no routes in the dump)"
}

func TestAnEnvoyThatIsToldNothingIsNotReady(t *testing.T) {
	t.Parallel()
	control := newControlPlane(t)
	p, err := Start(bounded(t), group(t), binary, config(t, "127.31.0.2", control.at))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		status, body, err := p.do(t.Context(), http.MethodGet, "/ready", nil)
		return err == nil && status == http.StatusServiceUnavailable && string(body) == "PRE_INITIALIZING\n"
	}, 30*time.Second, 10*time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err = p.Ready(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.EqualError(t, err, `envoy of pod-a.shop is not ready; it last said "PRE_INITIALIZING": context deadline exceeded`)
}

func TestAnEnvoyThatDiesSaysWhy(t *testing.T) {
	t.Parallel()
	ctx := bounded(t)
	// Somebody has its admin port, and never answers there.
	l, err := net.Listen("tcp4", "127.31.0.3:15000")
	require.NoError(t, err)
	defer l.Close()
	p, err := Start(ctx, group(t), binary, config(t, "127.31.0.3", netip.MustParseAddrPort("127.0.0.1:1")))
	require.NoError(t, err)
	err = p.Ready(ctx)
	var death *proc.Death
	require.ErrorAs(t, err, &death)
	assert.Equal(t, "envoy of pod-a.shop", death.Name)
	assert.Equal(t, "exit status 1", death.How)
	assert.Contains(t, death.LastWords, "cannot bind '127.31.0.3:15000': Address already in use")
}

func TestAnEnvoyThatIsKilledWhileItIsWaitedForSaysSo(t *testing.T) {
	t.Parallel()
	ctx := bounded(t)
	p, err := Start(ctx, group(t), binary, config(t, "127.31.0.4", netip.MustParseAddrPort("127.0.0.1:1")))
	require.NoError(t, err)
	waited := make(chan error, 1)
	go func() { waited <- p.Ready(ctx) }()
	require.NoError(t, syscall.Kill(p.process.Pid(), syscall.SIGSEGV))
	require.ErrorContains(t, <-waited, "envoy of pod-a.shop died (")
}

func TestBootstrap(t *testing.T) {
	t.Parallel()
	c := config(t, "127.31.0.5", netip.MustParseAddrPort("127.0.0.1:15010"))
	data, err := Bootstrap(c)
	require.NoError(t, err)
	var b struct {
		Node struct {
			ID       string
			Metadata map[string]any
		}
		DynamicResources struct {
			AdsConfig struct {
				SetNodeOnFirstMessageOnly bool `json:"set_node_on_first_message_only"`
			} `json:"ads_config"`
		} `json:"dynamic_resources"`
		Admin struct {
			Address struct {
				SocketAddress struct{ Address string } `json:"socket_address"`
			}
		}
	}
	require.NoError(t, json.Unmarshal(data, &b))
	assert.Equal(t, nodeID, b.Node.ID)
	assert.Equal(t, map[string]any{"LABELS": map[string]any{"app": "reviews"}, "INSTANCE_IPS": "10.244.0.5"}, b.Node.Metadata)
	assert.True(t, b.DynamicResources.AdsConfig.SetNodeOnFirstMessageOnly)
	assert.Equal(t, "127.31.0.5", b.Admin.Address.SocketAddress.Address)

	c = Config{Admin: netip.MustParseAddrPort("10.0.0.1:15000")}
	_, err = Bootstrap(c)
	require.EqualError(t, err, "the bootstrap of : ID and Cluster must be set, found \"\" and \"\"\n"+
		"XDS: expected an address and port, found invalid AddrPort\n"+
		"Admin: expected a loopback address and port, found 10.0.0.1:15000")
	_, err = Start(t.Context(), proc.NewGroup(), os.Args[0], c)
	require.ErrorContains(t, err, "Admin: expected a loopback address", "nothing is started with a mistake")
}

func TestAConfigDumpWithUnknownExtensionsCanBeRead(t *testing.T) {
	t.Parallel()
	dump, err := configdump.Read([]byte(`{"configs": [
	  {"@type": "type.googleapis.com/envoy.admin.v9.Unheard", "value": {"a": [1]}},
	  {"@type": "type.googleapis.com/envoy.admin.v3.RoutesConfigDump", "dynamic_route_configs": [{"route_config": {
	    "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration", "name": "all", "unheard": 1,
	    "virtual_hosts": [{"name": "a", "domains": ["*"], "routes": [{"match": {"prefix": "/"},
	      "typed_per_filter_config": {"x": {"@type": "type.googleapis.com/x.Y", "z": 1}},
	      "direct_response": {"status": 200, "body": {"inline_string": "read"}}}]}]}}]}]}`))
	require.NoError(t, err)
	require.Len(t, dump.Configs, 2)
	assert.Equal(t, "read", routeBody(t, dump))
	_, err = configdump.Read([]byte(`{"configs": 1}`))
	require.Error(t, err)
}
