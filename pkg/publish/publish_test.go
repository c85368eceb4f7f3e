package publish

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/internal/git"
	"chartbasico/internal/git/gittest"
	"chartbasico/internal/helm3"
)

const chartDir = "charts/chart_basico"

func pack(t *testing.T, dir string, signer *helm3.Signer) *Package {
	t.Helper()
	repository, err := git.Open(t.Context(), dir)
	require.NoError(t, err)
	commit, err := repository.Commit(t.Context(), "HEAD")
	require.NoError(t, err)
	p, err := Pack(t.Context(), repository, commit, chartDir, signer)
	require.NoError(t, err)
	return p
}

// The bytes depend on the files and the time alone: not on the machine, nor on Go's release.
func TestArchiveIsFixed(t *testing.T) {
	files := []helm3.File{{Name: "Chart.yaml", Data: []byte("name: a\n")}, {Name: "templates/" + strings.Repeat("long", 40) + ".yaml", Data: bytes.Repeat([]byte("data: "), 1000)}}
	data, err := archive("a", files, time.Unix(1_700_000_000, 0))
	require.NoError(t, err)
	sum := sha256.Sum256(data)
	assert.Equal(t, "f896ccc497dd7a58566f7d7e4ba33c5d6a2cf543bd1a464b769b0dc058920e36", hex.EncodeToString(sum[:]), "a change here gives every release other bytes than before")
}

// A clone with other settings of git, modes, times and unsaved work packs the same bytes.
func TestPackIsReproducible(t *testing.T) {
	r := gittest.New(t)
	r.Write(chartDir+"/.helmignore", "notes.txt\n")
	r.Write(chartDir+"/notes.txt", "not of the chart\n")
	r.Write(".gitattributes", "*.yaml text\n")
	r.Commit("two")
	first := pack(t, r.Dir, nil)
	clone := filepath.Join(t.TempDir(), "clone")
	r.Git("-c", "core.autocrlf=true", "-c", "core.umask=0077", "clone", "--quiet", "--config", "core.autocrlf=true", r.Dir, clone)
	crlf, err := os.ReadFile(filepath.Join(clone, chartDir, "Chart.yaml"))
	require.NoError(t, err)
	require.Contains(t, string(crlf), "\r\n", "the clone is a different one")
	require.NoError(t, os.Chmod(filepath.Join(clone, chartDir, "Chart.yaml"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(clone, chartDir, "values.yaml"), []byte("not: committed\n"), 0o600))
	second := pack(t, clone, nil)
	assert.Equal(t, first.Archive, second.Archive)
	assert.Equal(t, "chart_basico-1.0.0.tgz", first.File)
	file := filepath.Join(t.TempDir(), "a.tgz")
	require.NoError(t, os.WriteFile(file, first.Archive, 0o600))
	loaded, err := helm3.LoadChart(file)
	require.NoError(t, err)
	var names []string
	for _, f := range loaded.Files() {
		names = append(names, f.Name)
	}
	assert.Equal(t, []string{".helmignore", "Chart.yaml", "ci/full-values.yaml", "templates/all.yaml", "values.schema.json"}, names)

	r.Write(chartDir+"/Chart.yaml", "apiVersion: v2\nname: chart_basico\nversion: 1.0.0\ndependencies: [{name: other, version: 1.x.x, repository: https://example.com}]\n")
	r.Commit("a dependency that is not there")
	repository, err := git.Open(t.Context(), r.Dir)
	require.NoError(t, err)
	commit, err := repository.Commit(t.Context(), "HEAD")
	require.NoError(t, err)
	_, err = Pack(t.Context(), repository, commit, chartDir, nil)
	require.ErrorContains(t, err, "missing in charts/ directory: other")
	require.NoError(t, os.Symlink("/etc/hostname", filepath.Join(r.Dir, chartDir, "outside")))
	r.Commit("a link")
	commit, err = repository.Commit(t.Context(), "HEAD")
	require.NoError(t, err)
	_, err = Pack(t.Context(), repository, commit, chartDir, nil)
	require.EqualError(t, err, chartDir+"/outside: a link to /etc/hostname, which is outside of the repository. Fix: put what is there in its place")
	_, err = Pack(t.Context(), repository, commit, "charts/none", nil)
	require.ErrorContains(t, err, "charts/none: nothing of it is in commit")
}

// Everything that speaks against a release is said at once, and nothing is written.
func TestRefusals(t *testing.T) {
	r := gittest.New(t)
	r.Git("tag", "chart_basico-1.0.0")
	r.Chart("1.0.1")
	r.Write(chartDir+"/templates/all.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Values.app }}-x\n")
	r.Commit("a change that breaks")
	pages := t.TempDir()
	release := Release{Dir: r.Dir, Chart: chartDir, Index: filepath.Join(pages, "index.yaml"), URL: "https://example.com/charts"}

	r.Git("tag", "chart_basico-1.0.1")
	r.Write("values/one.yaml", "app: other\n")
	r.Commit("after the tag")
	r.Write("new.txt", "not committed")
	_, refusals, err := release.Prepare(t.Context())
	require.NoError(t, err)
	var got []string
	for _, refusal := range refusals {
		got = append(got, refusal.String())
	}
	require.Len(t, got, 3, got)
	assert.Equal(t, "the tree is not what is committed: ?? new.txt. Fix: commit it, or remove it", got[0])
	assert.Contains(t, got[1], "the tag chart_basico-1.0.1 stands on another commit")
	assert.Equal(t, "since chart_basico-1.0.0: the change is major, and 1.0.1 after 1.0.0 is too small: it must be 2.0.0 or higher. Fix: raise version in Chart.yaml to 2.0.0", got[2])

	require.NoError(t, os.Remove(filepath.Join(r.Dir, "new.txt")))
	r.Chart("2.0.0")
	r.Commit("2.0.0")
	r.Git("tag", "chart_basico-2.0.0") // on this commit: the release that runs because of it
	ready, refusals, err := release.Prepare(t.Context())
	require.NoError(t, err)
	require.Empty(t, refusals)
	assert.NoFileExists(t, release.Index, "preparing changes nothing")
	_, err = ready.Publish(t.Context(), filepath.Join(pages, "out"))
	require.NoError(t, err)
	_, refusals, err = release.Prepare(t.Context())
	require.NoError(t, err)
	require.Len(t, refusals, 1)
	assert.Equal(t, release.Index+" has chart_basico 2.0.0 already. Fix: raise version in Chart.yaml; what is published never changes", refusals[0].String())
}

// What git cannot tell is refused beside the other reasons: no version passes for want of a last release.
func TestRefusesUnknownRelease(t *testing.T) {
	r := gittest.New(t)
	r.Git("tag", "chart_basico-1.1.0")
	release := Release{Dir: r.Dir, Chart: chartDir}
	refusals := func() []Refusal {
		r.Write("new.txt", "not committed")
		ready, refusals, err := release.Prepare(t.Context())
		require.NoError(t, err)
		assert.False(t, ready.Gate.Pass)
		assert.NotEmpty(t, ready.Gate.String())
		return refusals
	}
	got := refusals()
	require.Len(t, got, 2)
	assert.Contains(t, got[1].Found, "the tag chart_basico-1.1.0 stands on commit")

	release.Dir = filepath.Join(t.TempDir(), "clone")
	r.Git("clone", "--quiet", "--depth=1", "file://"+r.Dir, release.Dir)
	got = refusals()
	require.Len(t, got, 1)
	assert.Contains(t, got[0].Fix, "git fetch --unshallow --tags")
}

// Where versions are published and none is tagged, there was a release: only its tag is missing.
func TestRefusesUntaggedRelease(t *testing.T) {
	r := gittest.New(t)
	index := filepath.Join(t.TempDir(), "index.yaml")
	entry := "  - {apiVersion: v2, name: chart_basico, version: %s, urls: [https://example.com/a.tgz]}\n"
	require.NoError(t, os.WriteFile(index, fmt.Appendf(nil, "apiVersion: v1\nentries:\n  chart_basico:\n"+entry+entry, "0.9.0", "0.10.0"), 0o600))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if request.URL.Path != "/v2/charts/chart_basico/tags/list" {
			http.NotFound(w, request)
			return
		}
		fmt.Fprint(w, `{"name":"charts/chart_basico","tags":["0.8.0","0.9.0-rc.1","latest"]}`)
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	release := Release{Dir: r.Dir, Chart: chartDir, Index: index, URL: "https://example.com/charts", To: "oci://" + host + "/charts", Registry: helm3.NewRegistry(helm3.RegistryOptions{PlainHTTP: true})}
	_, refusals, err := release.Prepare(t.Context())
	require.NoError(t, err)
	require.Len(t, refusals, 2)
	why := " is on the way to HEAD: the version would be judged by nothing"
	assert.Equal(t, host+"/charts/chart_basico has chart_basico 0.8.0, and no tag chart_basico-0.8.0"+why, refusals[0].Found)
	assert.Equal(t, Refusal{index + " has chart_basico 0.10.0, and no tag chart_basico-0.10.0" + why, "git fetch --tags, or git tag chart_basico-0.10.0 on the commit of that release"}, refusals[1])

	release.To = "oci://" + host + "/new"
	_, refusals, err = release.Prepare(t.Context())
	require.NoError(t, err)
	require.Len(t, refusals, 1, "a registry that does not know the chart has no versions")

	r.Git("tag", "chart_basico-1.0.0")
	r.Chart("1.0.1")
	r.Commit("next")
	release.To = "oci://" + host + "/charts"
	_, refusals, err = release.Prepare(t.Context())
	require.NoError(t, err)
	assert.Empty(t, refusals, "judged by a tag")
}

// An index keeps what others entered, and is the same from the same releases.
func TestIndex(t *testing.T) {
	r := gittest.New(t)
	dir := t.TempDir()
	index := filepath.Join(dir, "index.yaml")
	require.NoError(t, os.WriteFile(index, []byte(`apiVersion: v1
entries:
  other:
  - apiVersion: v2
    created: "2024-01-02T03:04:05Z"
    digest: abc
    name: other
    urls: [https://example.com/other-1.0.0.tgz]
    version: 1.0.0
generated: "2024-01-02T03:04:05Z"
`), 0o600))
	release := Release{Dir: r.Dir, Chart: chartDir, Index: index, URL: "https://example.com/releases"}
	ready, refusals, err := release.Prepare(t.Context())
	require.NoError(t, err)
	require.Empty(t, refusals)
	_, err = ready.Publish(t.Context(), dir)
	require.NoError(t, err)
	got, err := os.ReadFile(index)
	require.NoError(t, err)
	stamp := ready.Commit.Time.Format(time.RFC3339)
	assert.Equal(t, `apiVersion: v1
entries:
  chart_basico:
  - apiVersion: v2
    created: "`+stamp+`"
    digest: `+ready.Digest+`
    name: chart_basico
    urls:
    - https://example.com/releases/chart_basico-1.0.0.tgz
    version: 1.0.0
  other:
  - apiVersion: v2
    created: "2024-01-02T03:04:05Z"
    digest: abc
    name: other
    urls:
    - https://example.com/other-1.0.0.tgz
    version: 1.0.0
generated: "`+stamp+`"
`, string(got))

	for text, want := range map[string]string{
		"":                                     "apiVersion",
		"apiVersion: v1\nentrys: {}\n":         `unknown field "entrys"`,
		"apiVersion: v1\nentries: {a: [{}]}\n": "entry 0 of a is no chart",
	} {
		require.NoError(t, os.WriteFile(index, []byte(text), 0o600))
		_, _, err := release.Prepare(t.Context())
		require.ErrorContains(t, err, want)
		kept, err := os.ReadFile(index)
		require.NoError(t, err)
		assert.Equal(t, text, string(kept))
	}
}

// key writes a private key, armored, and returns its file.
func key(t *testing.T, passphrase string, names ...string) string {
	t.Helper()
	var text bytes.Buffer
	w, err := armor.Encode(&text, openpgp.PrivateKeyType, nil)
	require.NoError(t, err)
	for _, name := range names {
		entity, err := openpgp.NewEntity(name, "", name+"@example.com", nil)
		require.NoError(t, err)
		if passphrase != "" {
			require.NoError(t, entity.EncryptPrivateKeys([]byte(passphrase), nil))
			require.NoError(t, entity.SerializePrivateWithoutSigning(w, nil))
			continue
		}
		require.NoError(t, entity.SerializePrivate(w, nil))
	}
	require.NoError(t, w.Close())
	file := filepath.Join(t.TempDir(), "key.asc")
	require.NoError(t, os.WriteFile(file, text.Bytes(), 0o600))
	return file
}

func TestSigner(t *testing.T) {
	never := func() (string, error) { return "", errors.New("asked for a passphrase") }
	says := func(text string) func() (string, error) { return func() (string, error) { return text, nil } }
	r := gittest.New(t)
	signer, err := helm3.NewSigner(key(t, "", "ann"), "", never)
	require.NoError(t, err)
	p := pack(t, r.Dir, signer)
	assert.Contains(t, string(p.Provenance), "chart_basico-1.0.0.tgz: sha256:"+p.Digest)
	assert.Contains(t, string(p.Provenance), "-----BEGIN PGP SIGNATURE-----")
	_, err = helm3.NewSigner(key(t, "sesame", "ann"), "", says("sesame"))
	require.NoError(t, err)
	_, err = helm3.NewSigner(key(t, "", "ann", "bob"), "bob", never)
	require.NoError(t, err)

	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, []byte("no key"), 0o600))
	for want, c := range map[string]struct {
		file, name string
		passphrase func() (string, error)
	}{
		"the passphrase does not open it":               {key(t, "sesame", "ann"), "", says("open")},
		"asked for a passphrase":                        {key(t, "sesame", "ann"), "", never},
		`no private key of "carl" in it; there are ann`: {key(t, "", "ann"), "carl", never},
		"2 private keys in it fit; name one of ann":     {key(t, "", "ann", "bob"), "", never},
		"no such file": {empty + "s", "", never},
		"PGP key":      {empty, "", never},
	} {
		_, err := helm3.NewSigner(c.file, c.name, c.passphrase)
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "open:", "no passphrase is shown")
	}
}
