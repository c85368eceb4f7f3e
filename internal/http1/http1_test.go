package http1

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// serve answers each request on one connection with the next of the answers, then closes it.
func serve(t *testing.T, answers ...string) *Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() {
		c, err := l.Accept()
		_ = l.Close()
		if err != nil {
			return
		}
		defer c.Close()
		r := bufio.NewReader(c)
		for _, a := range answers {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			_, _ = io.WriteString(c, a)
		}
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return New(conn)
}

var request = []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")

func TestOneRequestAfterTheOther(t *testing.T) {
	t.Parallel()
	c := serve(t,
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst",
		"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nsecond\r\n0\r\n\r\n",
		"HTTP/1.1 204 No Content\r\n\r\n",
	)
	for _, want := range []struct {
		status int
		body   string
	}{{200, "fir"}, {503, "sec"}, {204, ""}} {
		assert.True(t, c.Usable())
		response, err := c.Get(request, 3)
		require.NoError(t, err)
		assert.Equal(t, want.status, response.Status)
		assert.Equal(t, want.body, string(response.Body))
	}
	assert.Eventually(t, func() bool { return !c.Usable() }, 10*time.Second, time.Millisecond, "the server has closed it")
}

func TestSpentAfter(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer string
		fails  bool
	}{
		"a close that was announced": {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", false},
		"more than one answer":       {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + strings.Repeat("HTTP/1.1 200 OK\r\n\r\n", 2), false},
		"half a body":                {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", true},
		"no answer":                  {"", true},
		"no HTTP":                    {"SSH-2.0\r\n\r\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := serve(t, test.answer)
			_, err := c.Get(request, 100)
			assert.Equal(t, test.fails, err != nil, "%v", err)
			assert.False(t, c.Usable())
		})
	}
}
