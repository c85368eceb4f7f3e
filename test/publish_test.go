package test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/internal/git/gittest"
	"chartbasico/internal/helm3"
	"chartbasico/pkg/publish"
)

// repository is a repository of its own with this one's chart, environments and values.
func repository(t *testing.T) gittest.Repository {
	t.Helper()
	r := gittest.New(t)
	for _, dir := range []string{"charts", "environments", "values"} {
		target := filepath.Join(r.Dir, dir)
		require.NoError(t, os.RemoveAll(target))
		require.NoError(t, os.CopyFS(target, os.DirFS(filepath.Join("..", dir))))
	}
	r.Commit("the chart as it is")
	return r
}

// keys makes a key with a passphrase, and the keyring that knows its public half.
func keys(t *testing.T) (signer *helm3.Signer, ring string) {
	t.Helper()
	const passphrase = "sesame"
	entity, err := openpgp.NewEntity("Releases", "", "releases@example.com", nil)
	require.NoError(t, err)
	var public, private bytes.Buffer
	require.NoError(t, entity.Serialize(&public))
	require.NoError(t, entity.EncryptPrivateKeys([]byte(passphrase), nil))
	require.NoError(t, entity.SerializePrivateWithoutSigning(&private, nil))
	dir := t.TempDir()
	ring = filepath.Join(dir, "public.gpg")
	write(t, ring, public.String())
	write(t, filepath.Join(dir, "private.gpg"), private.String())
	signer, err = helm3.NewSigner(filepath.Join(dir, "private.gpg"), "", func() (string, error) { return passphrase, nil })
	require.NoError(t, err)
	return signer, ring
}

// helm runs one of the two Helms with directories of its own.
type helm struct {
	name string // HELM or HELM4
	home string
}

func (h helm) run(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool(t, h.name), args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "HELM_CONFIG_HOME="+h.home, "HELM_CACHE_HOME="+h.home, "HELM_DATA_HOME="+h.home, "HELM_REGISTRY_CONFIG="+filepath.Join(h.home, "registry.json"))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (h helm) must(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, err := h.run(t, stdin, args...)
	require.NoErrorf(t, err, "helm %s: %s", strings.Join(args, " "), out)
	return out
}

// What is published to a registry with TLS and authentication, both Helms pull, verify and
// install; and it cannot be published again.
func TestPublish(t *testing.T) {
	ctx := within(t, 5*time.Minute)
	registry, repo := newRegistry(t), repository(t)
	signer, ring := keys(t)
	_, stranger := keys(t)
	release := publish.Release{Dir: repo.Dir, Chart: "charts/chart_basico", Signer: signer, Registry: registry.client(), To: "oci://" + registry.addr + "/charts"}
	ready, refusals, err := release.Prepare(ctx)
	require.NoError(t, err)
	require.Empty(t, refusals)
	assert.Contains(t, ready.Gate.Reason, "no release yet")
	out := t.TempDir()
	digest, err := ready.Publish(ctx, out)
	require.NoError(t, err)
	there, err := registry.client().Resolve(ctx, ready.Reference)
	require.NoError(t, err)
	assert.Equal(t, digest, there)

	for _, name := range []string{"HELM", "HELM4"} {
		t.Run(name, func(t *testing.T) {
			h := helm{name, t.TempDir()}
			chart := "oci://" + registry.addr + "/charts/" + ready.Name
			from := []string{"--version", ready.Version, "--ca-file", registry.ca}
			_, err := h.run(t, "", append([]string{"pull", chart}, from...)...)
			require.Error(t, err, "nobody is let in without a password")
			h.must(t, registryPassword, "registry", "login", registry.addr, "--username", registryUser, "--password-stdin", "--ca-file", registry.ca)

			dir := t.TempDir()
			h.must(t, "", append([]string{"pull", chart, "--destination", dir, "--verify", "--keyring", ring}, from...)...)
			pulled, err := os.ReadFile(filepath.Join(dir, ready.File))
			require.NoError(t, err)
			assert.Equal(t, ready.Archive, pulled, "the same bytes come back")
			said := h.must(t, "", "verify", filepath.Join(dir, ready.File), "--keyring", ring)
			assert.Contains(t, said, "releases@example.com")
			_, err = h.run(t, "", "verify", filepath.Join(dir, ready.File), "--keyring", stranger)
			require.Error(t, err, "another's key is not the signer's")
			require.NoError(t, os.WriteFile(filepath.Join(dir, ready.File), append(pulled, 0), 0o600))
			_, err = h.run(t, "", "verify", filepath.Join(dir, ready.File), "--keyring", ring)
			require.Error(t, err, "an archive that was changed does not verify")

			namespace := "publish-" + strings.ToLower(name)
			values := filepath.Join(repo.Dir, "values", "app1.yaml")
			install := append([]string{"install", "app1", chart, "--verify", "--keyring", ring, "--values", values, "--namespace", namespace, "--create-namespace",
				"--kubeconfig", shared(t).Kubeconfig(), "--wait", "--timeout", "2m"}, from...)
			h.must(t, "", install...)
			t.Cleanup(func() {
				cmd := exec.CommandContext(context.WithoutCancel(ctx), tool(t, "KUBECTL"), "--kubeconfig", shared(t).Kubeconfig(), "delete", "namespace", namespace, "--wait=false")
				said, err := cmd.CombinedOutput()
				assert.NoError(t, err, string(said))
			})
			status := h.must(t, "", "status", "app1", "--namespace", namespace, "--kubeconfig", shared(t).Kubeconfig())
			assert.Contains(t, status, "STATUS: deployed")
		})
	}

	_, refusals, err = release.Prepare(ctx)
	require.NoError(t, err)
	require.Len(t, refusals, 1)
	assert.Equal(t, ready.Reference+" is there already, "+digest+". Fix: raise version in Chart.yaml; what is published never changes", refusals[0].String())

	release.Registry = helm3.NewRegistry(helm3.RegistryOptions{Username: registryUser, Password: "wrong", CAFile: registry.ca})
	_, _, err = release.Prepare(ctx)
	require.ErrorContains(t, err, "401")
	assert.NotContains(t, err.Error(), "wrong", "no password is shown")
	release.Registry = helm3.NewRegistry(helm3.RegistryOptions{Username: registryUser, Password: registryPassword})
	_, _, err = release.Prepare(ctx)
	require.ErrorContains(t, err, "certificate", "an unknown certificate is refused")
}

// An upload that is cut, wherever, leaves nothing under the tag; the next one succeeds.
func TestPublishThatBreaks(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	registry, repo := newRegistry(t), gittest.New(t)
	repo.Write("charts/chart_basico/files/random", strings.Repeat("0123456789abcdef", 1<<14))
	repo.Commit("some size")
	signer, _ := keys(t)
	const uploads = 5 // the archive, its provenance, the configuration, the manifest by its digest, and last by its tag
	for n := int64(1); ; n++ {
		through, cut := registry.cutting(t, n)
		release := publish.Release{Dir: repo.Dir, Chart: "charts/chart_basico", Signer: signer, Registry: registry.client(), To: fmt.Sprintf("oci://%s/broken-%d", through, n)}
		ready, refusals, err := release.Prepare(ctx)
		require.NoError(t, err)
		require.Empty(t, refusals)
		_, err = ready.Publish(ctx, t.TempDir())
		direct := fmt.Sprintf("%s/broken-%d/chart_basico:1.0.0", registry.addr, n)
		if !cut.Load() {
			require.NoError(t, err, "without a cut")
			assert.Equal(t, int64(uploads+1), n, "every upload was cut once")
			archive, err := registry.client().Pull(ctx, direct)
			require.NoError(t, err)
			assert.Equal(t, ready.Archive, archive)
			return
		}
		require.Errorf(t, err, "upload %d was cut", n)
		_, err = registry.client().Resolve(ctx, direct)
		require.ErrorIsf(t, err, helm3.ErrNoTag, "upload %d was cut", n)
	}
}

// Ended by its context, an upload leaves nothing under the tag either, and says why it ended.
func TestPublishIsCancelled(t *testing.T) {
	registry, repo := newRegistry(t), gittest.New(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	release := publish.Release{Dir: repo.Dir, Chart: "charts/chart_basico", Registry: registry.client(), To: "oci://" + registry.addr + "/cancelled"}
	ready, _, err := release.Prepare(ctx)
	require.NoError(t, err)
	why := errors.New("enough")
	cancel(why)
	_, err = ready.Publish(ctx, t.TempDir())
	require.ErrorIs(t, err, why)
	_, err = registry.client().Resolve(t.Context(), ready.Reference)
	require.ErrorIs(t, err, helm3.ErrNoTag)
}

// Both Helms find and verify what an index of a pages branch lists.
func TestPublishedIndex(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	repo, pages := gittest.New(t), t.TempDir()
	signer, ring := keys(t)
	server := httptest.NewServer(http.FileServer(http.Dir(pages)))
	t.Cleanup(server.Close)
	for _, version := range []string{"1.0.0", "1.0.1"} {
		if version != "1.0.0" {
			repo.Git("tag", "chart_basico-1.0.0")
			repo.Chart(version)
			repo.Commit(version)
		}
		release := publish.Release{Dir: repo.Dir, Chart: "charts/chart_basico", Signer: signer, Index: filepath.Join(pages, "index.yaml"), URL: server.URL + "/releases"}
		ready, refusals, err := release.Prepare(ctx)
		require.NoError(t, err)
		require.Empty(t, refusals)
		_, err = ready.Publish(ctx, filepath.Join(pages, "releases"))
		require.NoError(t, err)
	}
	for _, name := range []string{"HELM", "HELM4"} {
		for _, version := range []string{"1.0.0", "1.0.1"} {
			h, dir := helm{name, t.TempDir()}, t.TempDir()
			h.must(t, "", "pull", "chart_basico", "--repo", server.URL, "--version", version, "--destination", dir, "--verify", "--keyring", ring)
			assert.FileExists(t, filepath.Join(dir, "chart_basico-"+version+".tgz"))
		}
	}
}
