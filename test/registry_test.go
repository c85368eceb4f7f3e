package test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chartbasico/internal/helm3"
)

// registry is a real registry on the loopback interface, with TLS and one user.
type registry struct {
	addr string
	ca   string // certificate of the registry, and of proxies before it
	key  string
}

const (
	registryUser     = "basico"
	registryPassword = "let me in"
	// The bcrypt hash of the password.
	registryHash = "$2a$04$w1OceCenajaPPte2zjqnNOxxTDafTaSFCaKRDl91Y.haS/NHBlSzO"
)

var listening = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)

func newRegistry(t *testing.T) *registry {
	t.Helper()
	dir := t.TempDir()
	r := &registry{}
	r.ca, r.key = certificate(t, dir)
	write(t, filepath.Join(dir, "users"), registryUser+":"+registryHash+"\n")
	config := filepath.Join(dir, "config.yaml")
	write(t, config, `version: 0.1
storage: {filesystem: {rootdirectory: `+filepath.Join(dir, "storage")+`}}
http: {addr: "127.0.0.1:0", secret: none, relativeurls: true, tls: {certificate: `+r.ca+`, key: `+r.key+`}}
auth: {htpasswd: {realm: test, path: `+filepath.Join(dir, "users")+`}}
`)
	cmd := exec.CommandContext(t.Context(), tool(t, "REGISTRY"), "serve", config)
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	said, to, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = to, to
	require.NoError(t, cmd.Start())
	require.NoError(t, to.Close())
	t.Cleanup(func() { _ = cmd.Wait() }) // the test's context has ended by now
	var log []string
	lines := bufio.NewScanner(said)
	for r.addr == "" && lines.Scan() {
		log = append(log, lines.Text())
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			r.addr = m[1]
		}
	}
	require.NotEmptyf(t, r.addr, "the registry ended: %v", log)
	go func() { _, _ = io.Copy(io.Discard, said) }()
	return r
}

// client is a client of the registry, or of a proxy before it.
func (r *registry) client() *helm3.Registry {
	return helm3.NewRegistry(helm3.RegistryOptions{Username: registryUser, Password: registryPassword, CAFile: r.ca})
}

// cutting is a proxy before the registry that cuts the connection in the middle of one upload:
// the n-th request with a body that it sees, after half of it.
func (r *registry) cutting(t *testing.T, n int64) (addr string, cut *atomic.Bool) {
	t.Helper()
	pem, err := os.ReadFile(r.ca)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(pem))
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "https", Host: r.addr})
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
	pair, err := tls.LoadX509KeyPair(r.ca, r.key)
	require.NoError(t, err)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), cut
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func certificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	write(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	return cert, key
}

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}
