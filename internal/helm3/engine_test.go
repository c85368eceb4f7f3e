package helm3

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

const chartDir = "../../charts/chart_basico"

// byHelm is the chart as Helm's own engine renders it.
func byHelm(t *testing.T, dir string) *Chart {
	t.Helper()
	c, err := LoadChart(dir)
	require.NoError(t, err)
	c.templates.once.Do(func() {})
	require.False(t, c.templates.usable)
	return c
}

func byUs(t *testing.T, dir string) *Chart {
	t.Helper()
	c, err := LoadChart(dir)
	require.NoError(t, err)
	return c
}

var capabilities = Capabilities{KubeVersion: "v1.37.0", APIVersions: []string{"networking.istio.io/v1"}}

func TestEngineRendersWhatHelmRenders(t *testing.T) {
	t.Parallel()
	var files []string
	for _, pattern := range []string{"../../values/*.yaml", "../../values/*/*.yaml"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, found)
		files = append(files, found...)
	}
	ours, helms := byUs(t, chartDir), byHelm(t, chartDir)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		values := map[string]any{}
		require.NoError(t, yaml.Unmarshal(data, &values))
		spec := Spec{Name: "r", Namespace: "ns", Values: values}
		wantManifest, wantNotes, err := Template(t.Context(), helms, spec, capabilities)
		require.NoError(t, err, file)
		manifest, notes, err := Template(t.Context(), ours, spec, capabilities)
		require.NoError(t, err, file)
		assert.Equal(t, wantManifest, manifest, file)
		assert.Equal(t, wantNotes, notes, file)
	}
	assert.True(t, ours.templates.usable, "the chart was rendered by the engine under test")
}

func writeChart(t *testing.T, templates map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "templates"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Chart.yaml"), []byte("apiVersion: v2\nname: c\nversion: 1.0.0\n"), 0o600))
	for name, text := range templates {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "templates", name), []byte(text), 0o600))
	}
	return dir
}

func TestEngineOnOddTemplates(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		template string
		usable   bool
	}{
		"output that looks like a template": {`data: {{ printf "{{ .Values.%s }} }}" "a" | quote }}`, true},
		"a value that is not there":         {`data: "{{ .Values.nothing }}"`, true},
		"who and where":                     {`data: {a: "{{ .Template.Name }} {{ .Template.BasePath }}", b: "{{ .Chart.Name }} {{ .Chart.IsRoot }}", c: "{{ .Release.Name }} {{ .Release.Revision }} {{ .Release.IsInstall }} {{ .Release.Service }}", d: "{{ .Capabilities.KubeVersion.Version }} {{ .Capabilities.APIVersions.Has "networking.istio.io/v1" }}"}`, true},
		"the chart's own failure":           {`{{ fail "two lines\nof words" }}`, true},
		"a required value":                  {`{{ required "say x" .Values.x }}`, true},
		"a failing function":                {`data: {{ index .Values "a" "b" "c" }}`, true},
		"an unknown template":               {`data: {{ include "nowhere" . }}`, true},
		"a lookup":                          {`data: "{{ lookup "v1" "Pod" "" "" }}"`, true},
		"files":                             {`data: "{{ .Files.Get "x" }}"`, false},
		"a parse error":                     {`data: {{ .Values`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := writeChart(t, map[string]string{"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n" + c.template + "\n"})
			spec := Spec{Name: "r", Namespace: "ns", Values: map[string]any{"a": map[string]any{"b": 1}}}
			want, _, wantErr := Template(t.Context(), byHelm(t, dir), spec, capabilities)
			ours := byUs(t, dir)
			got, _, err := Template(t.Context(), ours, spec, capabilities)
			assert.Equal(t, c.usable, ours.templates.usable)
			assert.Equal(t, want, got)
			if wantErr == nil {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, wantErr.Error())
		})
	}
}
