package samples

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// renamed are the objects whose names the sample chose in a way that does not follow from an App.
var renamed = map[string]map[string]string{
	"networking/bookinfo-gateway.yaml": {
		"Gateway/bookinfo-gateway": "productpage", "VirtualService/bookinfo": "productpage-exposure",
	},
	"networking/certmanager-gateway.yaml": {
		"Gateway/cert-manager-gateway": "cert-manager-resolver", "VirtualService/cert-manager": "cert-manager-resolver-exposure",
	},
	"platform/kube/bookinfo-ingress.yaml": {"Ingress/gateway": "productpage"},
}

// impossible are the samples that no values render, and why. Where values come near there are some, which must
// differ still; else the chart must have no template for the kinds.
var impossible = map[string]string{
	"platform/kube/bookinfo-certificate.yaml": "a ClusterIssuer and a Certificate of cert-manager, in a version that it serves no more; they are the platform's, not an App's",
	"networking/egress-rule-google-apis.yaml": "it begins TLS by a VirtualService that sends port 80 to 443; egress says the same with targetPort, as Istio's documentation does now",
}

// TestBookinfo holds the chart against every manifest of Istio's bookinfo.
func TestBookinfo(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "istio.io/istio").Output()
	require.NoError(t, err)
	dir := filepath.Join(strings.TrimSpace(string(out)), "samples/bookinfo")

	seen := map[string]bool{}
	for _, part := range []string{"platform/kube", "networking"} {
		files, err := filepath.Glob(filepath.Join(dir, part, "*.yaml"))
		require.NoError(t, err)
		require.NotEmpty(t, files, part)
		for _, file := range files {
			sample := part + "/" + filepath.Base(file)
			seen[sample] = true
			t.Run(sample, func(t *testing.T) {
				manifest, err := os.ReadFile(file)
				require.NoError(t, err)
				values, err := os.ReadFile(filepath.Join("testdata/bookinfo", sample))
				if impossible[sample] != "" {
					assert.True(t, stillImpossible(t, string(manifest), string(values), err), "it is listed as impossible, and can be said now")
					return
				}
				require.NoError(t, err, "a sample without values, that is not listed as impossible")
				for _, difference := range differences(t, string(manifest), string(values), renamed[sample]) {
					assert.Fail(t, difference)
				}
			})
		}
	}
	for sample := range impossible {
		assert.True(t, seen[sample], "%s is listed as impossible, and is no sample", sample)
	}
	for sample := range renamed {
		assert.True(t, seen[sample], "%s has names, and is no sample", sample)
	}
	ours, err := filepath.Glob("testdata/bookinfo/*/*.yaml")
	require.NoError(t, err)
	more, err := filepath.Glob("testdata/bookinfo/*/*/*.yaml")
	require.NoError(t, err)
	for _, file := range append(ours, more...) {
		sample, err := filepath.Rel("testdata/bookinfo", file)
		require.NoError(t, err)
		assert.True(t, seen[filepath.ToSlash(sample)], "%s has values, and is no sample", sample)
	}
	t.Logf("%d of %d samples have values that render to them", len(seen)-len(impossible), len(seen))
}

// stillImpossible says whether the values differ from the sample, or, where there are none, none of its kinds is one
// that the chart renders.
func stillImpossible(t *testing.T, manifest, values string, missing error) bool {
	t.Helper()
	if missing == nil {
		return len(differences(t, manifest, values, nil)) > 0
	}
	objects, err := decode(manifest)
	require.NoError(t, err)
	for _, o := range objects {
		pattern := regexp.MustCompile(`"kind" "` + o.GetKind() + `"`)
		require.NoError(t, filepath.WalkDir("../../charts/chart_basico/templates", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			template, err := os.ReadFile(path)
			if pattern.Match(template) {
				missing = nil
			}
			return err
		}))
	}
	return missing != nil
}

// TestDifferencesAreSeen: the comparison above sees what is not the same.
func TestDifferencesAreSeen(t *testing.T) {
	const manifest = `
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {ports: [{port: 80, name: http}], selector: {app: shop}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec: {hosts: [shop], http: [{route: [{destination: {host: shop, subset: v1}}]}]}
`
	const values = "app: shop\nservice: {ports: {http: {port: 80}}}\n---\napp: shop\nrouting: {stage: a, timeout: 0s, stages: [{name: a, weights: {v1: 100}}]}\n"
	require.Empty(t, differences(t, manifest, values, nil))
	for name, c := range map[string]struct{ old, new, want string }{
		"another port":       {"port: 80}", "port: 81}", "Service/shop spec.ports[0].port"},
		"a field too many":   {"service: {ports", "service: {type: NodePort, ports", "Service/shop spec.type"},
		"another subset":     {"{v1: 100}", "{v2: 100}", "VirtualService/shop spec.http[0].route[0].destination.subset"},
		"a timeout":          {"timeout: 0s", "timeout: 5s", "VirtualService/shop spec.http[0].timeout"},
		"an object too few":  {"app: shop\nservice: {ports: {http: {port: 80}}}\n---\n", "", "Service/shop is not rendered"},
		"an object too many": {"app: shop\nservice", "app: shop\nidentity: {}\nservice", "ServiceAccount/shop is not in the sample"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, values, c.old)
			got := differences(t, manifest, strings.Replace(values, c.old, c.new, 1), nil)
			require.NotEmpty(t, got)
			assert.Contains(t, strings.Join(got, "\n"), c.want)
		})
	}
}
