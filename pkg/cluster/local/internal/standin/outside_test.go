package standin

import (
	"net"
	"net/http"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHostsOutside(t *testing.T) {
	t.Parallel()
	o := NewOutside(netip.MustParseAddr("127.31.1.1"))
	t.Cleanup(o.Close)
	seen := map[string]bool{}
	for _, c := range []struct {
		host string
		port uint16
		want string
	}{
		{"httpbin.org", 80, "outside/-/httpbin.org:80"},
		{"HTTPbin.org.", 80, "outside/-/httpbin.org:80"},
		{"httpbin.org", 8080, "outside/-/httpbin.org:8080"},
		{"mysql.example.com", 3306, "outside/-/mysql.example.com:3306"},
		{"", 443, "outside/-/:443"},
	} {
		address, err := o.Address(c.host, c.port)
		require.NoError(t, err)
		seen[address] = true
		at := netip.MustParseAddrPort(address)
		assert.Equal(t, "127.31.1.1", at.Addr().String())
		response, err := client(t, false).Get("http://" + address)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, c.want, response.Header.Get("Basico-Served-By"))
	}
	assert.Len(t, seen, 4, "one address for each host and port, always the same")

	for address := range seen {
		s := &Server{listeners: []net.Listener{listening(address)}}
		response, _ := ask(t, client(t, false), s, "Basico-Call", "http://reviews:9080/")
		assert.Equal(t, http.StatusBadGateway, response.StatusCode)
		assert.Equal(t, "http://reviews:9080/: who stands outside the mesh calls nobody", response.Header.Get("Basico-Error"))
	}
	o.Close()
	_, err := o.Address("httpbin.org", 80)
	require.ErrorIs(t, err, ErrClosed)
	for address := range seen {
		_, err := net.Dial("tcp4", address)
		require.Error(t, err)
	}
}

// addressOnly is a listener of which only the address is known.
type addressOnly struct {
	net.Listener
	addr net.Addr
}

func (a addressOnly) Addr() net.Addr { return a.addr }

func listening(address string) net.Listener {
	return addressOnly{addr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address))}
}
