package helm3

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
)

func TestTemplate(t *testing.T) {
	chart, err := LoadChart("testdata/chart")
	require.NoError(t, err)
	spec := Spec{Name: "one", Namespace: "here", Values: map[string]any{"greeting": "ciao", "limits": map[string]any{"memory": nil}}}
	caps := Capabilities{KubeVersion: "v1.37.2", APIVersions: []string{"networking.istio.io/v1"}}

	manifest, notes, err := Template(t.Context(), chart, spec, caps)
	require.NoError(t, err)
	assert.Equal(t, "Release one in here.\n", notes)
	assert.Contains(t, manifest, `greeting: "ciao"`)
	assert.Contains(t, manifest, `limits: "{\"cpu\":1}"`, "a null removes the chart's default")
	assert.Contains(t, manifest, `istio: "true"`)
	assert.Contains(t, manifest, "kubernetes: v1.37.2")
	assert.Less(t, strings.Index(manifest, "ServiceAccount"), strings.Index(manifest, "ConfigMap"), "Helm's install order")

	caps.KubeVersion = "v1.30.0"
	_, _, err = Template(t.Context(), chart, spec, caps)
	require.ErrorContains(t, err, "chart requires kubeVersion: >=1.31.0-0 which is incompatible with Kubernetes v1.30.0")
	caps.KubeVersion = "newest"
	_, _, err = Template(t.Context(), chart, spec, caps)
	require.ErrorContains(t, err, `Kubernetes version "newest"`)
}

func TestTemplateSharesOneChart(t *testing.T) {
	chart, err := LoadChart("testdata/chart")
	require.NoError(t, err)
	render := func() string {
		manifest, _, err := Template(t.Context(), chart, Spec{Name: "one", Namespace: "here", Values: map[string]any{}}, Capabilities{KubeVersion: "v1.37.0"})
		assert.NoError(t, err)
		return manifest
	}
	want := render()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { assert.Equal(t, want, render()) })
	}
	all.Wait()
}

func TestMergeValues(t *testing.T) {
	base := map[string]any{"a": map[string]any{"x": 1, "y": 2}, "b": []any{1}, "c": "kept"}
	over := map[string]any{"a": map[string]any{"y": nil, "z": 3}, "b": []any{2}}
	got := MergeValues(base, over)
	assert.Equal(t, map[string]any{"a": map[string]any{"x": 1, "y": nil, "z": 3}, "b": []any{2}, "c": "kept"}, got)
	assert.Equal(t, map[string]any{"x": 1, "y": 2}, base["a"], "the base stays as it was")
}

func TestSetValue(t *testing.T) {
	values := map[string]any{"routing": map[string]any{"stage": "v1", "stages": []any{}}}
	require.NoError(t, SetValue(values, "routing.stage=canary"))
	assert.Equal(t, map[string]any{"stage": "canary", "stages": []any{}}, values["routing"])
	require.ErrorContains(t, SetValue(values, "routing"), "--set routing:")
	for _, secret := range []string{"hun,ter2", "{hun,ter2", "x,hun.ter2", "x,hun[ter2]", "x,hun[0]ter2=1"} {
		require.EqualError(t, SetValue(map[string]any{}, "password="+secret), `--set password: found what is not path=value; write a comma in a value as \,`)
	}
	require.NoError(t, SetValue(values, `password=hun\,ter2`))
	require.Equal(t, "hun,ter2", values["password"])
}

func TestLoadChartThatIsNone(t *testing.T) {
	_, err := LoadChart(t.TempDir())
	require.ErrorContains(t, err, "Chart.yaml file is missing")
}

// apiServer answers what Helm asks before it changes something, remembers what was sent, and
// holds the creation of the chart's objects until the client is gone.
type apiServer struct {
	mu      sync.Mutex
	records []string // the statuses written to Helm's Secrets
	creates int
	held    chan struct{}
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	answer := func(status int, body string) { w.WriteHeader(status); _, _ = w.Write([]byte(body)) }
	switch path := r.URL.Path; {
	case path == "/version":
		answer(200, `{"major":"1","minor":"37","gitVersion":"v1.37.2"}`)
	case path == "/api":
		answer(200, `{"kind":"APIVersions","versions":["v1"]}`)
	case path == "/apis":
		answer(200, `{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`)
	case path == "/api/v1":
		answer(200, `{"kind":"APIResourceList","groupVersion":"v1","resources":[
			{"name":"configmaps","namespaced":true,"kind":"ConfigMap","verbs":["create","get"]},
			{"name":"serviceaccounts","namespaced":true,"kind":"ServiceAccount","verbs":["create","get"]}]}`)
	case strings.HasSuffix(path, "/secrets") && r.Method == http.MethodGet:
		answer(200, `{"kind":"SecretList","apiVersion":"v1","items":[]}`)
	case strings.Contains(path, "/secrets"):
		body, _ := io.ReadAll(r.Body)
		object, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
		if err != nil {
			answer(400, err.Error())
			return
		}
		s.mu.Lock()
		s.records = append(s.records, object.(*corev1.Secret).Labels["status"])
		s.mu.Unlock()
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		answer(201, string(body))
	case r.Method == http.MethodPost:
		s.mu.Lock()
		s.creates++
		first := s.creates == 1
		s.mu.Unlock()
		if first {
			close(s.held)
		}
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client is gone
		<-r.Context().Done()
	default:
		answer(404, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
	}
}

func client(t *testing.T, url string) *Client {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	config := `{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],
		"clusters":[{"name":"c","cluster":{"server":"` + url + `"}}],"users":[{"name":"u","user":{}}]}`
	require.NoError(t, os.WriteFile(kubeconfig, []byte(config), 0o600))
	c, err := New(kubeconfig, "here", nil)
	require.NoError(t, err)
	return c
}

// An install that is cancelled has stopped when Upgrade returns: nothing more is created, and
// Helm's record says that it failed instead of staying pending for ever.
func TestUpgradeCancelled(t *testing.T) {
	home := t.TempDir()
	for _, name := range []string{"HOME", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "XDG_CACHE_HOME"} {
		t.Setenv(name, home)
	}
	api := &apiServer{held: make(chan struct{})}
	server := httptest.NewServer(api)
	defer server.Close()

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	go func() { <-api.held; cancel() }()
	_, err := client(t, server.URL).Upgrade(ctx, Spec{Name: "one", ChartDir: "testdata/chart", Values: map[string]any{}})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "install here/one: stopped")

	api.mu.Lock()
	defer api.mu.Unlock()
	assert.Equal(t, 1, api.creates, "the second object is not created")
	assert.Equal(t, []string{"pending-install", "failed"}, api.records)
	left, err := os.ReadDir(home)
	require.NoError(t, err)
	assert.Empty(t, left, "the user's directories are left alone")
}

func TestUnknownRelease(t *testing.T) {
	server := httptest.NewServer(&apiServer{held: make(chan struct{})})
	defer server.Close()
	c := client(t, server.URL)
	_, err := c.History(t.Context(), "one")
	require.ErrorIs(t, err, ErrNotFound)
	_, err = c.Status(t.Context(), "one")
	require.ErrorIs(t, err, ErrNotFound)
	require.ErrorIs(t, c.Uninstall(t.Context(), "one"), ErrNotFound)
}
