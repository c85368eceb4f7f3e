package standin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
)

// Outside stands in for hosts outside of the mesh: one server for each host and port, made when its address is first
// asked for. It says it is app "outside", version "-", pod "host:port". What does not speak HTTP finds an open port.
type Outside struct {
	address netip.Addr

	mu      sync.Mutex
	closed  bool
	servers map[string]outsider
}

type outsider struct {
	address string
	server  *Server
}

// NewOutside returns the hosts outside, all on one loopback address.
func NewOutside(address netip.Addr) *Outside {
	return &Outside{address: address, servers: map[string]outsider{}}
}

// ErrClosed is returned by Address after Close.
var ErrClosed = errors.New("the hosts outside were closed")

// Address returns the loopback address, host:port, that stands for a host's port. It stays the same. An empty host
// is that of which only the port is known.
func (o *Outside) Address(host string, port uint16) (string, error) {
	name := net.JoinHostPort(strings.TrimSuffix(strings.ToLower(host), "."), strconv.Itoa(int(port)))
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return "", fmt.Errorf("stand in for %s: %w", name, ErrClosed)
	}
	if known, ok := o.servers[name]; ok {
		return known.address, nil
	}
	l, err := net.Listen("tcp", netip.AddrPortFrom(o.address, 0).String())
	if err != nil {
		return "", fmt.Errorf("stand in for %s: %w", name, err)
	}
	made := outsider{address: l.Addr().String(), server: Serve(Identity{App: "outside", Pod: name}, Behaviour{}, nil, l)}
	o.servers[name] = made
	return made.address, nil
}

// Close closes all at once.
func (o *Outside) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	now, cancel := context.WithCancel(context.Background())
	cancel()
	for name, s := range o.servers {
		_ = s.server.Shutdown(now) // the error is that it was at once
		delete(o.servers, name)
	}
}
