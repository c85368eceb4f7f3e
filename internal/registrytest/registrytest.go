// Package registrytest starts a real registry on the loopback interface, with TLS and one user. It is for tests only.
//
// REGISTRY is the path of the registry's command.
package registrytest

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Registry is a registry that runs. Its certificate is of its address, and of Host.
type Registry struct {
	Addr string
	CA   string // file of the certificate
	Key  string // file of its key
}

// Host is the name of the registry in documents.
const Host = "registry.example.com"

const (
	User     = "basico"
	Password = "let me in"
	// The bcrypt hash of the password.
	hash = "$2a$04$w1OceCenajaPPte2zjqnNOxxTDafTaSFCaKRDl91Y.haS/NHBlSzO"
)

var listening = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)

// Start starts a registry that ends with the test.
func Start(t *testing.T) *Registry {
	t.Helper()
	dir := t.TempDir()
	r := &Registry{}
	r.CA, r.Key = certificate(t, dir)
	write(t, filepath.Join(dir, "users"), User+":"+hash+"\n")
	config := filepath.Join(dir, "config.yaml")
	write(t, config, `version: 0.1
storage: {filesystem: {rootdirectory: `+filepath.Join(dir, "storage")+`}}
http: {addr: "127.0.0.1:0", secret: none, relativeurls: true, tls: {certificate: `+r.CA+`, key: `+r.Key+`}}
auth: {htpasswd: {realm: test, path: `+filepath.Join(dir, "users")+`}}
`)
	command := os.Getenv("REGISTRY")
	require.NotEmpty(t, command, "REGISTRY must be the path of that command; make test sets it")
	cmd := exec.CommandContext(t.Context(), command, "serve", config)
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
	for r.Addr == "" && lines.Scan() {
		log = append(log, lines.Text())
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			r.Addr = m[1]
		}
	}
	require.NotEmptyf(t, r.Addr, "the registry ended: %v", log)
	go func() { _, _ = io.Copy(io.Discard, said) }()
	return r
}

func certificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{Host},
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
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}
