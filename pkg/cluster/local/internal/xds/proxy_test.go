package xds

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
)

func TestSyncedAndRejected(t *testing.T) {
	t.Parallel()
	r, _ := testRewriter(false)
	p := newProxy(r)
	p.streams = 1
	p.listeners = map[netip.AddrPort]netip.AddrPort{}
	assert.True(t, p.synced())

	send := func(nonce string, apply func()) {
		p.sent(&discoveryv3.DiscoveryResponse{TypeUrl: resourcev3.ListenerType, Nonce: nonce}, apply)
	}
	send("n1", func() { t.Error("what was refused does not hold") })
	assert.False(t, p.synced(), "an answer is out")
	p.answered(&discoveryv3.DiscoveryRequest{TypeUrl: resourcev3.ListenerType, ResponseNonce: "n0"})
	assert.False(t, p.synced(), "the answer to an older one is none")
	p.answered(&discoveryv3.DiscoveryRequest{TypeUrl: resourcev3.ListenerType, ResponseNonce: "n1", ErrorDetail: &statuspb.Status{Message: "no such filter"}})
	assert.False(t, p.synced(), "it was refused")
	assert.Equal(t, []string{"Listener: no such filter"}, p.rejected())

	var applied []string
	send("n2", func() { applied = append(applied, "n2") })
	send("n3", func() { applied = append(applied, "n3") })
	p.answered(&discoveryv3.DiscoveryRequest{TypeUrl: resourcev3.ListenerType, ResponseNonce: "n2"})
	assert.Equal(t, []string{"n2"}, applied)
	assert.False(t, p.synced(), "an answer is out")
	p.answered(&discoveryv3.DiscoveryRequest{TypeUrl: resourcev3.ListenerType, ResponseNonce: "n3"})
	assert.Equal(t, []string{"n2", "n3"}, applied, "each response counts, though another one was sent before it was accepted")
	assert.True(t, p.synced(), "a later one was accepted")
	assert.Empty(t, p.rejected(), "a later one was accepted")
	assert.Equal(t, []string{"Listener: no such filter"}, p.refused, "the refusal is not forgotten")

	p.streams = 0
	assert.False(t, p.synced(), "it is not connected")
}

func TestAwaitUnused(t *testing.T) {
	t.Parallel()
	r, asked := testRewriter(false)
	f, err := New("127.0.0.1:1", 64, outsideOf(asked), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer f.Close()
	p := newProxy(r)
	p.streams = 1
	f.proxies[pod] = p
	other := netip.MustParseAddr("10.244.0.9")

	respond := func(kind, nonce string, endpoints ...string) {
		response := &discoveryv3.DiscoveryResponse{TypeUrl: kind, Nonce: nonce}
		a := loadAssignment("c")
		for _, e := range endpoints {
			a = loadAssignment("c", socket(e, 9080))
		}
		response.Resources = pack(t, a)
		apply, err := p.rewrite(response)
		require.NoError(t, err)
		f.update(func() { p.sent(response, apply) })
	}
	answer := func(nonce string) {
		f.update(func() {
			p.answered(&discoveryv3.DiscoveryRequest{TypeUrl: resourcev3.EndpointType, ResponseNonce: nonce})
		})
	}
	p.clusters = map[string]bool{"c": true}
	respond(resourcev3.EndpointType, "1", other.String())
	answer("1")

	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go func() { done <- f.AwaitUnused(ctx, other) }()
	respond(resourcev3.EndpointType, "2")
	select {
	case <-done:
		t.Fatal("the proxy has not yet accepted that the pod is gone")
	case <-time.After(20 * time.Millisecond):
	}
	answer("2")
	require.NoError(t, <-done)

	respond(resourcev3.EndpointType, "3", other.String())
	answer("3")
	short, cancelShort := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancelShort()
	require.ErrorIs(t, f.AwaitUnused(short, other), context.DeadlineExceeded)

	p.clusters = map[string]bool{}
	require.NoError(t, f.AwaitUnused(ctx, other), "endpoints came for a cluster that is gone")
}

func TestListenerIsChosenAsEnvoyWould(t *testing.T) {
	t.Parallel()
	r, asked := testRewriter(false)
	f, err := New("127.0.0.1:1", 64, outsideOf(asked), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer f.Close()
	p := newProxy(r)
	ap := netip.MustParseAddrPort
	p.listeners = map[netip.AddrPort]netip.AddrPort{
		ap("10.96.0.5:3306"): ap("127.66.0.7:62100"), ap("0.0.0.0:3306"): ap("127.66.0.7:3306"), {}: ap("127.66.0.7:15999"),
	}
	f.proxies[pod] = p
	for destination, want := range map[string]string{
		"10.96.0.5:3306":  "127.66.0.7:62100",
		"198.18.0.1:3306": "127.66.0.7:3306",
		"198.18.0.1:8443": "127.66.0.7:15999",
	} {
		to, ok := f.Listener(pod, ap(destination))
		assert.True(t, ok)
		assert.Equal(t, want, to.String(), destination)
	}
	_, ok := f.Listener(netip.MustParseAddr("10.244.9.9"), ap("10.96.0.5:3306"))
	assert.False(t, ok, "a pod without a proxy")
}

func TestIdentify(t *testing.T) {
	t.Parallel()
	ip, gateway, err := identify("router~10.244.0.3~gw-1.istio-system~istio-system.svc.cluster.local")
	require.NoError(t, err)
	assert.Equal(t, "10.244.0.3", ip.String())
	assert.True(t, gateway)
	_, gateway, err = identify("sidecar~10.244.0.3~a.b~b.svc.cluster.local")
	require.NoError(t, err)
	assert.False(t, gateway)
	_, _, err = identify("nonsense")
	require.EqualError(t, err, `node id "nonsense": expected TYPE~IP~POD.NAMESPACE~DOMAIN`)
	_, _, err = identify("sidecar~nowhere~a.b~c")
	require.Error(t, err)
}
