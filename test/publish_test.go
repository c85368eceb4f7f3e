package test

import (
	"bytes"
	"context"
	"encoding/json"
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

	"github.com/Masterminds/semver/v3"
	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/internal/git/gittest"
	"chartbasico/internal/helm3"
	"chartbasico/internal/registrytest"
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

// keypair is a private key with a passphrase, and the keyring that knows its public half.
type keypair struct{ private, ring string }

const passphrase = "sesame"

func keys(t *testing.T) keypair {
	t.Helper()
	entity, err := openpgp.NewEntity("Releases", "", "releases@example.com", nil)
	require.NoError(t, err)
	var public, private bytes.Buffer
	require.NoError(t, entity.Serialize(&public))
	require.NoError(t, entity.EncryptPrivateKeys([]byte(passphrase), nil))
	require.NoError(t, entity.SerializePrivateWithoutSigning(&private, nil))
	dir := t.TempDir()
	k := keypair{filepath.Join(dir, "private.gpg"), filepath.Join(dir, "public.gpg")}
	write(t, k.ring, public.String())
	write(t, k.private, private.String())
	return k
}

func (k keypair) signer(t *testing.T) *helm3.Signer {
	t.Helper()
	signer, err := helm3.NewSigner(k.private, "", func() (string, error) { return passphrase, nil })
	require.NoError(t, err)
	return signer
}

// basicoIn runs the command in a directory, as those who have helm's settings in their environment, and returns its exit
// status and both its streams.
func basicoIn(t *testing.T, dir string, h helm, args ...string) (status int, out, said string) {
	t.Helper()
	path, err := basico()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = dir
	cmd.Env = append(h.env(), "BASICO_PASSPHRASE="+passphrase)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err = cmd.Run(); err != nil {
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
	}
	return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
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
	cmd.Env = h.env()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (h helm) env() []string {
	return append(os.Environ(), "HELM_CONFIG_HOME="+h.home, "HELM_CACHE_HOME="+h.home, "HELM_DATA_HOME="+h.home, "HELM_REGISTRY_CONFIG="+filepath.Join(h.home, "registry.json"))
}

func (h helm) login(t *testing.T, r registry) {
	t.Helper()
	h.must(t, registrytest.Password, "registry", "login", r.Addr, "--username", registrytest.User, "--password-stdin", "--ca-file", r.CA)
}

func (h helm) must(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, err := h.run(t, stdin, args...)
	require.NoErrorf(t, err, "helm %s: %s", strings.Join(args, " "), out)
	return out
}

// What the command publishes to a registry with TLS and authentication, both Helms pull, verify and
// install; and it cannot be published again.
func TestPublish(t *testing.T) {
	ctx := within(t, 5*time.Minute)
	registry, repo := newRegistry(t), repository(t)
	key, stranger := keys(t), keys(t)
	to, out := "oci://"+registry.Addr+"/charts", t.TempDir()
	h := helm{"HELM", t.TempDir()}
	args := []string{"publish", "--to", to, "--ca-file", registry.CA, "--key", key.private, "--destination", out}
	status, said, wrong := basicoIn(t, repo.Dir, h, args...)
	assert.Equal(t, 2, status, said)
	assert.Contains(t, wrong, "credential not found", "nobody publishes without a password")
	h.login(t, registry)

	status, said, wrong = basicoIn(t, repo.Dir, h, append(args, "-o", "json")...)
	require.Zero(t, status, said+wrong)
	var ready struct{ Chart, Version, Archive, SHA256, Reference, Digest, Gate string }
	require.NoError(t, json.Unmarshal([]byte(said), &ready))
	assert.Contains(t, ready.Gate, "no release yet")
	assert.Equal(t, to+"/"+ready.Chart+":"+ready.Version, "oci://"+ready.Reference)
	file := filepath.Base(ready.Archive)
	archive, err := os.ReadFile(ready.Archive)
	require.NoError(t, err)
	there, err := registry.client().Resolve(ctx, ready.Reference)
	require.NoError(t, err)
	assert.Equal(t, ready.Digest, there)

	for _, name := range []string{"HELM", "HELM4"} {
		t.Run(name, func(t *testing.T) {
			h := helm{name, t.TempDir()}
			chart := "oci://" + registry.Addr + "/charts/" + ready.Chart
			from := []string{"--version", ready.Version, "--ca-file", registry.CA}
			_, err := h.run(t, "", append([]string{"pull", chart}, from...)...)
			require.Error(t, err, "nobody is let in without a password")
			h.login(t, registry)

			dir := t.TempDir()
			h.must(t, "", append([]string{"pull", chart, "--destination", dir, "--verify", "--keyring", key.ring}, from...)...)
			pulled, err := os.ReadFile(filepath.Join(dir, file))
			require.NoError(t, err)
			assert.Equal(t, archive, pulled, "the same bytes come back")
			said := h.must(t, "", "verify", filepath.Join(dir, file), "--keyring", key.ring)
			assert.Contains(t, said, "releases@example.com")
			_, err = h.run(t, "", "verify", filepath.Join(dir, file), "--keyring", stranger.ring)
			require.Error(t, err, "another's key is not the signer's")
			require.NoError(t, os.WriteFile(filepath.Join(dir, file), append(pulled, 0), 0o600))
			_, err = h.run(t, "", "verify", filepath.Join(dir, file), "--keyring", key.ring)
			require.Error(t, err, "an archive that was changed does not verify")

			namespace := "publish-" + strings.ToLower(name)
			values := filepath.Join(repo.Dir, "values", "app1.yaml")
			install := append([]string{"install", "app1", chart, "--verify", "--keyring", key.ring, "--values", values, "--namespace", namespace, "--create-namespace",
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

	refused := func(want string) {
		t.Helper()
		status, said, wrong := basicoIn(t, repo.Dir, h, args...)
		assert.Equal(t, 1, status, wrong)
		assert.Equal(t, want+"\n"+ready.Chart+" "+ready.Version+": nothing published\n", said)
	}
	again := "refused: " + ready.Reference + " is there already, " + ready.Digest + ". Fix: raise version in Chart.yaml; what is published never changes"
	refused(again)
	repo.Write("new.txt", "x")
	refused("refused: the tree is not what is committed: ?? new.txt. Fix: commit it, or remove it\n" + again)

	repo.Git("tag", ready.Chart+"-"+ready.Version)
	last := ready.Version
	v, err := semver.StrictNewVersion(last)
	require.NoError(t, err)
	ready.Version = v.IncPatch().String()
	chartFile := filepath.Join(repo.Dir, "charts/chart_basico/Chart.yaml")
	text, err := os.ReadFile(chartFile)
	require.NoError(t, err)
	write(t, chartFile, strings.Replace(string(text), "version: "+last, "version: "+ready.Version, 1))
	require.NoError(t, os.Remove(filepath.Join(repo.Dir, "charts/chart_basico/templates/service/service.yaml")))
	repo.Commit("a chart without Services")
	minimum := v.IncMajor().String()
	if v.Major() == 0 {
		minimum = v.IncMinor().String()
	}
	refused(fmt.Sprintf("refused: since %s-%s: the change is major, and %s after %s is too small: it must be %s or higher. Fix: raise version in Chart.yaml to %s",
		ready.Chart, last, ready.Version, last, minimum, minimum))
	_, err = registry.client().Resolve(ctx, registry.Addr+"/charts/"+ready.Chart+":"+ready.Version)
	require.ErrorIs(t, err, helm3.ErrNoTag)

	password := filepath.Join(t.TempDir(), "password")
	write(t, password, "wrong\n")
	status, said, wrong = basicoIn(t, repo.Dir, h, append(args, "--username", registrytest.User, "--password-file", password)...)
	assert.Equal(t, 2, status, said)
	assert.Contains(t, wrong, "401")
	assert.NotContains(t, wrong, "wrong", "no password is shown")
	write(t, password, registrytest.Password+"\n")
	status, said, wrong = basicoIn(t, repo.Dir, helm{"HELM", t.TempDir()}, append(args, "--username", registrytest.User, "--password-file", password)...)
	assert.Equal(t, 1, status, wrong)
	assert.Contains(t, said, "nothing published", "let in, and refused by the gate")
	status, said, wrong = basicoIn(t, repo.Dir, h, "publish", "--to", to, "--destination", out)
	assert.Equal(t, 2, status, said)
	assert.Contains(t, wrong, "certificate", "an unknown certificate is refused")
}

// An upload that is cut, wherever, leaves nothing under the tag; the next one succeeds.
func TestPublishThatBreaks(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	registry, repo := newRegistry(t), gittest.New(t)
	repo.Write("charts/chart_basico/files/random", strings.Repeat("0123456789abcdef", 1<<14))
	repo.Commit("some size")
	signer := keys(t).signer(t)
	const uploads = 5 // the archive, its provenance, the configuration, the manifest by its digest, and last by its tag
	for n := int64(1); ; n++ {
		through, cut := registry.cutting(t, n)
		release := publish.Release{Dir: repo.Dir, Chart: "charts/chart_basico", Signer: signer, Registry: registry.client(), To: fmt.Sprintf("oci://%s/broken-%d", through, n)}
		ready, refusals, err := release.Prepare(ctx)
		require.NoError(t, err)
		require.Empty(t, refusals)
		_, err = ready.Publish(ctx, t.TempDir())
		direct := fmt.Sprintf("%s/broken-%d/chart_basico:1.0.0", registry.Addr, n)
		if !cut.Load() {
			require.NoError(t, err, "without a cut")
			assert.Equal(t, int64(uploads+1), n, "every upload was cut once")
			archive, _, err := registry.client().Pull(ctx, direct)
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
	release := publish.Release{Dir: repo.Dir, Chart: "charts/chart_basico", Registry: registry.client(), To: "oci://" + registry.Addr + "/cancelled"}
	ready, _, err := release.Prepare(ctx)
	require.NoError(t, err)
	why := errors.New("enough")
	cancel(why)
	_, err = ready.Publish(ctx, t.TempDir())
	require.ErrorIs(t, err, why)
	_, err = registry.client().Resolve(t.Context(), ready.Reference)
	require.ErrorIs(t, err, helm3.ErrNoTag)
}

// Both Helms find and verify what the command entered into the index of a pages branch.
func TestPublishedIndex(t *testing.T) {
	repo, pages := gittest.New(t), t.TempDir()
	key := keys(t)
	server := httptest.NewServer(http.FileServer(http.Dir(pages)))
	t.Cleanup(server.Close)
	for _, version := range []string{"1.0.0", "1.0.1"} {
		if version != "1.0.0" {
			repo.Git("tag", "chart_basico-1.0.0")
			repo.Chart(version)
			repo.Commit(version)
		}
		status, said, wrong := basicoIn(t, repo.Dir, helm{"HELM", t.TempDir()}, "publish", "--key", key.private, "--index", filepath.Join(pages, "index.yaml"),
			"--url", server.URL+"/releases", "--destination", filepath.Join(pages, "releases"))
		require.Zero(t, status, said+wrong)
		assert.Contains(t, said, "entered into "+filepath.Join(pages, "index.yaml")+"\n")
	}
	for _, name := range []string{"HELM", "HELM4"} {
		for _, version := range []string{"1.0.0", "1.0.1"} {
			h, dir := helm{name, t.TempDir()}, t.TempDir()
			h.must(t, "", "pull", "chart_basico", "--repo", server.URL, "--version", version, "--destination", dir, "--verify", "--keyring", key.ring)
			assert.FileExists(t, filepath.Join(dir, "chart_basico-"+version+".tgz"))
		}
	}
}
