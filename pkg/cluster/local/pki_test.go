package local

import (
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCredentialsAreMadeAnewAndKeptPrivate(t *testing.T) {
	write := func() credentials {
		dir := t.TempDir()
		c, err := writeCredentials(filepath.Join(dir, "credentials"), filepath.Join(dir, "kubeconfig"), "one", netip.MustParseAddrPort("127.64.0.1:6443"), kubernetesService)
		require.NoError(t, err)
		files, err := filepath.Glob(filepath.Join(dir, "credentials", "*"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range append(files, filepath.Join(dir, "kubeconfig")) {
			info, err := os.Stat(file)
			require.NoError(t, err)
			assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), file)
		}
		return c
	}
	one, two := write(), write()
	for _, name := range []string{clusterCA, etcdCA, etcdServer, etcdClient, apiServer, kubeletServer, kubeletClient, serviceAccountKey} {
		a, err := os.ReadFile(one.key(name))
		require.NoError(t, err)
		b, err := os.ReadFile(two.key(name))
		require.NoError(t, err)
		assert.NotEqual(t, a, b, "both clusters have the same key %s", name)
	}
}

func TestCertificatesAreForTheirPurposeOnly(t *testing.T) {
	ca, err := newAuthority("ca")
	require.NoError(t, err)
	other, err := newAuthority("other")
	require.NoError(t, err)
	server, err := ca.server("kube-apiserver", "127.64.0.1", "kubernetes")
	require.NoError(t, err)
	client, err := ca.client("system:kube-scheduler", "system:masters")
	require.NoError(t, err)

	verify := func(p pair, by *authority, host string, usage x509.ExtKeyUsage) error {
		block, _ := pem.Decode(p.cert)
		cert, err := x509.ParseCertificate(block.Bytes)
		require.NoError(t, err)
		roots := x509.NewCertPool()
		roots.AddCert(by.cert)
		_, err = cert.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}})
		return err
	}
	assert.NoError(t, verify(server, ca, "127.64.0.1", x509.ExtKeyUsageServerAuth))
	assert.NoError(t, verify(server, ca, "kubernetes", x509.ExtKeyUsageServerAuth))
	require.ErrorAs(t, verify(server, ca, "127.68.0.1", x509.ExtKeyUsageServerAuth), &x509.HostnameError{})
	require.ErrorAs(t, verify(server, other, "kubernetes", x509.ExtKeyUsageServerAuth), &x509.UnknownAuthorityError{})
	assert.NoError(t, verify(client, ca, "", x509.ExtKeyUsageClientAuth))
	require.ErrorAs(t, verify(client, ca, "", x509.ExtKeyUsageServerAuth), &x509.CertificateInvalidError{})
}
