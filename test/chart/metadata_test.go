package chart_test

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	chartutil4 "helm.sh/helm/v4/pkg/chart/v2/util"
	"sigs.k8s.io/yaml"

	"chartbasico/internal/corpus"
)

func read(t testing.TB, path string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)
	return string(raw)
}

// Of Artifact Hub, which refuses a chart with others: https://artifacthub.io/docs/topics/annotations/helm
var (
	categories = []string{"ai-machine-learning", "database", "integration-delivery", "monitoring-logging", "networking", "security", "storage", "streaming-messaging"}
	changes    = []string{"added", "changed", "deprecated", "removed", "fixed", "security"}
)

// TestChartMetadata holds Chart.yaml to what it says, and to what Artifact Hub takes.
func TestChartMetadata(t *testing.T) {
	var meta chartv2.Metadata
	require.NoError(t, yaml.UnmarshalStrict([]byte(read(t, "charts/chart_basico/Chart.yaml")), &meta))
	assert.Empty(t, meta.Dependencies)

	icon, found := strings.CutPrefix(meta.Icon, "data:image/svg+xml;base64,")
	require.True(t, found)
	svg, err := base64.StdEncoding.DecodeString(icon)
	require.NoError(t, err)
	assert.Equal(t, read(t, "charts/chart_basico/icon.svg"), string(svg), "the icon is icon.svg: base64 -w0 icon.svg")
	var image struct {
		XMLName xml.Name
		ViewBox string `xml:"viewBox,attr"`
	}
	require.NoError(t, xml.Unmarshal(svg, &image))
	assert.Equal(t, "http://www.w3.org/2000/svg", image.XMLName.Space)
	assert.Equal(t, "0 0 96 96", image.ViewBox, "square")

	assert.True(t, chartutil4.IsCompatibleRange(meta.KubeVersion, "v1.31.0"))
	assert.True(t, chartutil4.IsCompatibleRange(meta.KubeVersion, kubeVersion))
	assert.True(t, chartutil4.IsCompatibleRange(meta.KubeVersion, "v1.34.4+k3s1"))
	assert.False(t, chartutil4.IsCompatibleRange(meta.KubeVersion, "v1.30.9"))
	assert.Contains(t, read(t, "charts/chart_basico/README.md"), "Kubernetes 1.31 or later")

	a := meta.Annotations
	assert.Contains(t, categories, a["artifacthub.io/category"])
	assert.Equal(t, fmt.Sprint(strings.Contains(meta.Version, "-")), a["artifacthub.io/prerelease"])
	assert.Equal(t, "Apache-2.0", a["artifacthub.io/license"])
	assert.Contains(t, read(t, "LICENSE"), "Apache License")
	var changed []struct{ Kind, Description string }
	require.NoError(t, yaml.UnmarshalStrict([]byte(a["artifacthub.io/changes"]), &changed))
	require.NotEmpty(t, changed)
	for _, c := range changed {
		assert.Contains(t, changes, c.Kind)
		assert.NotEmpty(t, c.Description)
	}

	chart, err := chart3()
	require.NoError(t, err)
	var files []string
	for _, f := range chart.Files() {
		files = append(files, f.Name)
		assert.NotRegexp(t, `^(ci|tests)/|icon\.svg$|values\.schema\.yaml$`, f.Name, "what users have no use for is not in the archive")
	}
	assert.Contains(t, files, "README.md", "helm show readme and Artifact Hub show it")
}

// row is one of the README's table of blocks.
type row struct {
	blocks, kinds, examples []string
}

var (
	quoted = regexp.MustCompile("`([^`]+)`")
	linked = regexp.MustCompile(`\]\(([^)#]+)\)`)
)

// tableOfBlocks reads the README's table. Kinds are those of its words that the chart renders.
func tableOfBlocks(readme string, known map[string]bool) (out []row) {
	_, table, _ := strings.Cut(readme, "<!-- blocks -->\n")
	table, _, _ = strings.Cut(table, "<!-- /blocks -->")
	for line := range strings.Lines(table) {
		cells := strings.Split(line, " | ")
		if len(cells) != 3 || !strings.Contains(cells[0], "`") {
			continue
		}
		var r row
		for _, m := range quoted.FindAllStringSubmatch(cells[0], -1) {
			r.blocks = append(r.blocks, m[1])
		}
		for _, word := range regexp.MustCompile(`[A-Za-z]+`).FindAllString(cells[1], -1) {
			if known[word] {
				r.kinds = append(r.kinds, word)
			}
		}
		for _, m := range linked.FindAllStringSubmatch(cells[2], -1) {
			r.examples = append(r.examples, filepath.Join("charts/chart_basico", m[1]))
		}
		out = append(out, r)
	}
	return out
}

// lacks says what a row is without: an example that has its blocks and renders its kinds because of them, and a section
// of docs/values.md for each block.
func (r row) lacks(reference string, values func(file string) (map[string]any, error), render func(map[string]any) (objects, error)) (out []string) {
	missing := map[string]bool{}
	for _, block := range r.blocks {
		missing["an example with "+block] = true
		if !strings.Contains(reference, "\n## `"+block+"`\n") {
			out = append(out, "docs/values.md has no section "+block)
		}
	}
	for _, kind := range r.kinds {
		missing["an example that renders a "+kind+" by its block"] = true
	}
	for _, file := range r.examples {
		v, err := values(file)
		if err != nil {
			out = append(out, err.Error())
			continue
		}
		without := maps.Clone(v)
		for _, block := range r.blocks {
			if v[block] != nil {
				delete(missing, "an example with "+block)
			}
			if block != "app" && block != "version" {
				delete(without, block)
			}
		}
		with, err := render(v)
		if err != nil {
			out = append(out, err.Error())
			continue
		}
		less, err := render(without)
		if err != nil {
			less = nil // what is left needs the block
		}
		for id := range with {
			if kind, _, _ := strings.Cut(id, "/"); less[id] == nil {
				delete(missing, "an example that renders a "+kind+" by its block")
			}
		}
	}
	out = append(out, slices.Collect(maps.Keys(missing))...)
	slices.Sort(out)
	return out
}

// TestBlocks: each block of the chart has a row in the README, and each row an example that renders its kinds and a
// section in docs/values.md. What the chart must have is written here once more, so that no row can go with its block.
func TestBlocks(t *testing.T) {
	cases, err := corpus.Read(root)
	require.NoError(t, err)
	known := map[string]bool{}
	for _, c := range cases {
		got, err := decode(c.Manifest)
		require.NoError(t, err)
		for _, o := range got {
			known[o.GetKind()] = true
		}
	}
	readme, reference := read(t, "charts/chart_basico/README.md"), read(t, "docs/values.md")
	values := func(file string) (map[string]any, error) {
		out := map[string]any{}
		raw, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return nil, err
		}
		return out, yaml.Unmarshal(raw, &out)
	}
	renders := func(v map[string]any) (objects, error) {
		manifest, _, err := render(t.Context(), "demo", v)
		if err != nil {
			return nil, err
		}
		return decode(manifest)
	}
	rows := tableOfBlocks(readme, known)
	kinds := map[string][]string{}
	for _, r := range rows {
		assert.Empty(t, r.lacks(reference, values, renders), "the row of %v", r.blocks)
		kinds[strings.Join(r.blocks, ", ")] = r.kinds
	}
	for blocks, want := range map[string][]string{
		"app, version":    nil,
		"workload":        {"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "HorizontalPodAutoscaler", "PodDisruptionBudget"},
		"service":         {"Service"},
		"exposure":        {"Ingress", "Route", "Gateway", "HTTPRoute", "VirtualService"},
		"config, secrets": {"ConfigMap", "Secret"},
		"claims":          {"PersistentVolumeClaim"},
		"identity":        {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"},
		"namespace":       {"Namespace"},
		"routing":         {"VirtualService", "DestinationRule"},
		"egress":          {"ServiceEntry", "DestinationRule", "Sidecar", "NetworkPolicy", "Gateway", "VirtualService"},
		"access":          {"PeerAuthentication", "AuthorizationPolicy", "NetworkPolicy"},
	} {
		assert.Contains(t, kinds, blocks, "a row of the README")
		assert.Subset(t, kinds[blocks], want, blocks)
	}

	all := fmt.Sprint(kinds)
	for kind := range known {
		assert.Contains(t, all, kind, "a kind that the README does not name")
	}
	shape, err := schema()
	require.NoError(t, err)
	for block := range shape.Properties {
		if block != "global" { // Helm's own
			assert.Contains(t, all, block, "a block that the README does not name")
		}
	}

	// Each of the three is missed.
	r := row{blocks: []string{"service"}, kinds: []string{"Service"}, examples: []string{"values/app1-service.yaml"}}
	require.Empty(t, r.lacks(reference, values, renders))
	assert.Equal(t, []string{"docs/values.md has no section service"}, r.lacks("", values, renders))
	r.kinds = []string{"Deployment"}
	assert.Equal(t, []string{"an example that renders a Deployment by its block"}, r.lacks(reference, values, renders))
	r = row{blocks: []string{"service"}}
	assert.Equal(t, []string{"an example with service"}, r.lacks(reference, values, renders))
}

// TestReadmeOfTheChart: its links lead somewhere, and its table of names is what is rendered.
func TestReadmeOfTheChart(t *testing.T) {
	readme := read(t, "charts/chart_basico/README.md")
	for _, link := range linked.FindAllStringSubmatch(readme, -1) {
		_, err := os.Stat(filepath.Join(chartDir, link[1]))
		assert.NoError(t, err, "a link to nothing")
	}
	names := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| `([^`]+)` \\| `([^`]+)` \\| `([^`]+)` \\| `([^`]+)` \\|$").FindAllStringSubmatch(readme, -1)
	require.NotEmpty(t, names)
	for _, n := range names {
		got := renderMany(t, map[string]any{
			"app": n[1], "version": n[2],
			"workload": map[string]any{"containers": map[string]any{"a": map[string]any{"image": map[string]any{"repository": "a", "tag": "1"}}}},
			"config":   map[string]any{"settings": map[string]any{"data": map[string]any{"a": "b"}}},
			"routing":  parse(t, "stage: a\nstages: [{name: a, weights: {"+n[2]+": 100}}]"),
		})
		assert.Contains(t, got, "Deployment/"+n[3])
		assert.Contains(t, got, "ConfigMap/"+n[5])
		text, err := yaml.Marshal(got.get(t, "DestinationRule/"+n[1]).Object)
		require.NoError(t, err)
		assert.Contains(t, string(text), "name: "+n[4]+"\n")
	}
}
