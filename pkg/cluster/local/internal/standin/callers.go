package standin

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/url"
	"sync"

	"chartbasico/internal/http1"
)

// maxBody bounds what is kept of an answer.
const maxBody = 1 << 20

// callers are the connections by which a stand-in calls others. Each request is tried once.
type callers struct {
	dial Dial

	mu     sync.Mutex
	idle   map[string][]*http1.Conn // by host and port
	closed bool
}

func newCallers(dial Dial) *callers { return &callers{dial: dial, idle: map[string][]*http1.Conn{}} }

// get requests the URL and returns the final response, redirects included.
func (c *callers) get(ctx context.Context, u *url.URL, header http.Header) (http1.Response, error) {
	var request bytes.Buffer
	if err := (&http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: header}).Write(&request); err != nil {
		return http1.Response{}, err
	}
	address := u.Host
	if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), "80")
	}
	conn, err := c.take(ctx, address)
	if err != nil {
		return http1.Response{}, err
	}
	unhook := context.AfterFunc(ctx, func() { _ = conn.Close() })
	response, err := conn.Get(request.Bytes(), maxBody)
	if !unhook() {
		return http1.Response{}, context.Cause(ctx)
	}
	if err != nil {
		_ = conn.Close()
		return response, err
	}
	c.put(address, conn)
	return response, nil
}

func (c *callers) take(ctx context.Context, address string) (*http1.Conn, error) {
	for {
		c.mu.Lock()
		idle := c.idle[address]
		if len(idle) == 0 {
			c.mu.Unlock()
			conn, err := c.dial(ctx, "tcp", address)
			if err != nil {
				return nil, err
			}
			return http1.New(conn), nil
		}
		conn := idle[len(idle)-1]
		c.idle[address] = idle[:len(idle)-1]
		c.mu.Unlock()
		if conn.Usable() {
			return conn, nil
		}
		_ = conn.Close()
	}
}

func (c *callers) put(address string, conn *http1.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		_ = conn.Close()
		return
	}
	c.idle[address] = append(c.idle[address], conn)
}

// close closes the connections that are idle, now and later.
func (c *callers) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, idle := range c.idle {
		for _, conn := range idle {
			_ = conn.Close()
		}
	}
	c.idle = nil
}
