package check

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"chartbasico/pkg/environment"
	"chartbasico/pkg/render"
)

// What people do without basico, for comparison: run the helm command for each release, and
// istioctl over all that it printed. HELM and ISTIOCTL name the binaries.
func BenchmarkPeers(b *testing.B) {
	env, err := environment.Load("../../environments/bookinfo-prod.yaml")
	require.NoError(b, err)

	b.Run("helm template", func(b *testing.B) {
		helm := binary(b, "HELM")
		for b.Loop() {
			for _, r := range env.Releases {
				args := []string{"template", r.Name, r.Chart, "--namespace", r.Namespace, "--kube-version", render.DefaultKubeVersion}
				for _, file := range r.ValuesFiles {
					args = append(args, "--values", file)
				}
				command(b, helm, args...)
			}
		}
	})
	b.Run("istioctl analyze", func(b *testing.B) {
		istioctl := binary(b, "ISTIOCTL")
		releases, err := render.New().Environment(b.Context(), env)
		require.NoError(b, err)
		var all bytes.Buffer
		for _, r := range releases {
			all.WriteString(r.Manifest)
		}
		file := filepath.Join(b.TempDir(), "all.yaml")
		require.NoError(b, os.WriteFile(file, all.Bytes(), 0o600))
		for b.Loop() {
			command(b, istioctl, "analyze", "--use-kube=false", "--failure-threshold=Error", file)
		}
	})
}

func binary(b *testing.B, variable string) string {
	b.Helper()
	path := os.Getenv(variable)
	if path == "" {
		b.Skip(variable + " does not name the binary to compare with")
	}
	return path
}

func command(b *testing.B, name string, args ...string) {
	b.Helper()
	if out, err := exec.CommandContext(b.Context(), name, args...).CombinedOutput(); err != nil {
		b.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}
