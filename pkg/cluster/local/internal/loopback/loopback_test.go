package loopback

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPlanes(t *testing.T) {
	t.Parallel()
	pod := PodIP(0x0303)
	assert.Equal(t, "10.244.3.5", pod.String())
	assert.True(t, PodCIDR.Contains(pod))
	n := Net(64)
	assert.Equal(t, "127.64.3.5", n.Inbound(pod).String())
	assert.Equal(t, "127.65.3.5", n.App(pod).String())
	assert.Equal(t, "127.66.3.5", n.Outbound(pod).String())
	assert.Equal(t, "127.67.0.1", n.Outside().String())
	for _, a := range []netip.Addr{n.Inbound(pod), n.App(pod), n.Outbound(pod), n.Outside()} {
		assert.True(t, a.IsLoopback())
	}
}

func TestPodsAreNeitherTheClusterNorTheBroadcast(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "10.244.0.2", PodIP(0).String())
	assert.Equal(t, "10.244.255.254", PodIP(Pods-1).String())
}

func TestPort(t *testing.T) {
	t.Parallel()
	for port, want := range map[uint16]uint16{80: 61080, 443: 61443, 1023: 62023, 1024: 1024, 9080: 9080} {
		assert.Equal(t, want, Port(port))
	}
}
