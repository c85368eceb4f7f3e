package registrytest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chartbasico/internal/helm3"
)

// Login lets whoever reads the credentials that helm keeps into the registry at that address, until the test ends.
func Login(t *testing.T, address string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "login.json")
	secret := base64.StdEncoding.EncodeToString([]byte(User + ":" + Password))
	write(t, file, fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, address, secret))
	t.Setenv("HELM_REGISTRY_CONFIG", file)
}

// Push publishes an archive as REPOSITORY/NAME:VERSION.
func (r *Registry) Push(t *testing.T, reference string, archive []byte) {
	t.Helper()
	client := helm3.NewRegistry(helm3.RegistryOptions{Username: User, Password: Password, CAFile: r.CA})
	_, err := client.Push(t.Context(), r.Addr+"/"+reference, archive, nil, time.Unix(0, 0))
	require.NoError(t, err)
}

// Archive packages the files of a chart, and a Chart.yaml of that name and version.
func Archive(t *testing.T, name, version string, files map[string]string) []byte {
	t.Helper()
	all := maps.Clone(files)
	if all == nil {
		all = map[string]string{}
	}
	all["Chart.yaml"] = fmt.Sprintf("apiVersion: v2\nname: %s\nversion: %s\n", name, version)
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	tarball := tar.NewWriter(zip)
	for _, file := range slices.Sorted(maps.Keys(all)) {
		require.NoError(t, tarball.WriteHeader(&tar.Header{Name: name + "/" + file, Mode: 0o644, Size: int64(len(all[file]))}))
		_, err := tarball.Write([]byte(all[file]))
		require.NoError(t, err)
	}
	require.NoError(t, errors.Join(tarball.Close(), zip.Close()))
	return out.Bytes()
}
