package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// charts is a directory with ct.yaml and the chart, where one text of a file of the chart is another.
func charts(t *testing.T, file, old, changed string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(dir, "charts"), os.DirFS("../charts")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ct.yaml"), []byte(read(t, "../ct.yaml")), 0o600))
	path := filepath.Join(dir, "charts/chart_basico", file)
	text := read(t, path)
	require.Contains(t, text, old, file)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(text, old, changed, 1)), 0o600))
	return dir
}

// TestLintChart: chart-testing sees a mistake in each of what it looks at. That it sees none in the chart is what make
// lint is for.
func TestLintChart(t *testing.T) {
	for file, c := range map[string]struct{ old, changed, want string }{
		"Chart.yaml":                  {"type: application", "typ: application", "Unexpected element"},
		"values.yaml":                 {"{}", "{}  ", "trailing-spaces"},
		"ci/script-values.yaml":       {"kind: Job", "knd: Job", "knd"},
		"templates/checks/_check.tpl": {`"chart_basico.check"`, `"chart_basico.other"`, "chart_basico.check"},
	} {
		t.Run(file, func(t *testing.T) {
			status, said := run(t, ".", nil, script(t, "lint-chart.sh"), charts(t, file, c.old, c.changed))
			assert.Equal(t, 1, status, said)
			assert.Contains(t, said, c.want)
		})
	}
}

// TestUnittest: the chart works with helm-unittest, whose suites see what is taken out of a template.
func TestUnittest(t *testing.T) {
	unittest := os.Getenv("UNITTEST")
	require.NotEmpty(t, unittest, "UNITTEST must be the path of helm-unittest; make test sets it")
	out, err := exec.CommandContext(t.Context(), unittest, "../charts/chart_basico").CombinedOutput()
	require.NoError(t, err, string(out))

	broken := charts(t, "templates/service/service.yaml", `"selector"`, `"other"`)
	out, err = exec.CommandContext(t.Context(), unittest, filepath.Join(broken, "charts/chart_basico")).CombinedOutput()
	require.Error(t, err, string(out))
	assert.Contains(t, string(out), "selects all versions of the App")
}
