package test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"chartbasico/internal/helm3"
	"chartbasico/internal/registrytest"
)

type registry struct{ *registrytest.Registry }

func newRegistry(t *testing.T) registry {
	t.Helper()
	return registry{registrytest.Start(t)}
}

// client is a client of the registry, or of a proxy before it.
func (r registry) client() *helm3.Registry {
	return helm3.NewRegistry(helm3.RegistryOptions{Username: registrytest.User, Password: registrytest.Password, CAFile: r.CA})
}

// cutting is a proxy before the registry that cuts the connection in the middle of one upload:
// the n-th request with a body that it sees, after half of it.
func (r registry) cutting(t *testing.T, n int64) (addr string, cut *atomic.Bool) {
	t.Helper()
	pem, err := os.ReadFile(r.CA)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(pem))
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "https", Host: r.Addr})
	proxy.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	var seen atomic.Int64
	cut = &atomic.Bool{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.ContentLength > 1 && seen.Add(1) == n {
			cut.Store(true)
			req.Body = io.NopCloser(io.MultiReader(io.LimitReader(req.Body, req.ContentLength/2), broken{}))
		}
		proxy.ServeHTTP(w, req)
	}))
	pair, err := tls.LoadX509KeyPair(r.CA, r.Key)
	require.NoError(t, err)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), cut
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}
