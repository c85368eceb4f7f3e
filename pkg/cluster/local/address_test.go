package local

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestClaimsNeverMeet(t *testing.T) {
	seen := map[byte]bool{}
	for range 5 {
		c, err := claimAddress()
		require.NoError(t, err)
		t.Cleanup(c.release)
		assert.False(t, seen[c.net], "127.%d was given twice", c.net)
		assert.Zero(t, (c.net-firstNet)%netsEach)
		assert.Equal(t, netip.AddrFrom4([4]byte{127, c.net, 0, 1}), c.address)
		seen[c.net] = true
	}
}

func TestAClaimLastsUntilItsRelease(t *testing.T) {
	c, err := claimAddress()
	require.NoError(t, err)
	l, err := c.kubelet()
	require.NoError(t, err)
	require.NoError(t, l.Close())
	address := netip.AddrPortFrom(c.address, kubeletPort).String()
	_, err = net.Listen("tcp4", address)
	require.Error(t, err, "the address is claimed still")
	c.release()
	l, err = net.Listen("tcp4", address)
	require.NoError(t, err)
	require.NoError(t, l.Close())
}

func TestPortsAreFreeAndDifferent(t *testing.T) {
	c, err := claimAddress()
	require.NoError(t, err)
	t.Cleanup(c.release)
	a, err := newAddresses(c)
	require.NoError(t, err)
	seen := map[netip.AddrPort]bool{}
	for _, p := range a.all() {
		assert.Equal(t, c.address, p.Addr())
		assert.False(t, seen[*p])
		seen[*p] = true
		l, err := net.Listen("tcp4", p.String())
		require.NoError(t, err)
		require.NoError(t, l.Close())
	}
}
