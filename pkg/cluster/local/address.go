package local

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

const (
	// kubeletPort is the port of the node agent's kubelet API, on the address of each cluster. Below the range of
	// outgoing connections, and not the kubelet's own, which listens on every address where there is one.
	kubeletPort = 20250
	firstNet    = 64
	lastNet     = 240
	netsEach    = 4 // a cluster's pods have addresses in four networks: see the node agent
)

// claim is a cluster's own part of the loopback network: 127.N to 127.N+3. It is held by listening on one port of
// its first address, so clusters cannot collide, whoever started them, and a crash gives it back.
type claim struct {
	net     byte // N
	address netip.Addr
	holder  *net.TCPListener
}

func claimAddress() (*claim, error) {
	var last error
	for n := firstNet; n <= lastNet; n += netsEach {
		address := netip.AddrFrom4([4]byte{127, byte(n), 0, 1})
		l, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(netip.AddrPortFrom(address, kubeletPort)))
		if err == nil {
			return &claim{net: byte(n), address: address, holder: l}, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("claim a loopback address: %w", err)
		}
		last = err
	}
	return nil, fmt.Errorf("claim a loopback address: each of 127.%d.0.1 to 127.%d.0.1 is taken (%w); is something listening on port %d of every address?", firstNet, lastNet, last, kubeletPort)
}

func (c *claim) release() { _ = c.holder.Close() }

// kubelet is a listener on the port by which the address is claimed. Closing it does not give up the claim.
func (c *claim) kubelet() (net.Listener, error) {
	file, err := c.holder.File()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return net.FileListener(file)
}

// ports returns n addresses with ports that are free. They stay free until processes of this cluster take them, since
// nobody else uses the address: outgoing connections on the loopback start at 127.0.0.1.
func (c *claim) ports(n int) ([]netip.AddrPort, error) {
	var listeners []net.Listener
	defer func() {
		for _, l := range listeners {
			_ = l.Close()
		}
	}()
	var ports []netip.AddrPort
	for range n {
		l, err := net.Listen("tcp4", netip.AddrPortFrom(c.address, 0).String())
		if err != nil {
			return nil, fmt.Errorf("find a free port on %s: %w", c.address, err)
		}
		listeners = append(listeners, l)
		ports = append(ports, l.Addr().(*net.TCPAddr).AddrPort())
	}
	return ports, nil
}
