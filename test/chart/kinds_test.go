package chart_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSoftwareKinds holds the page about the kinds of software to the examples it names: each renders the
// workload of its section, and has the blocks that its row of the table says.
func TestSoftwareKinds(t *testing.T) {
	raw, err := os.ReadFile(root + "/docs/software-kinds.md")
	require.NoError(t, err)
	page := string(raw)
	for _, c := range []struct {
		section, example string
		blocks, objects  []string
	}{
		{"A service", "weblogic-v1", []string{"workload", "service"}, []string{"Deployment/weblogic-v1", "Service/weblogic"}},
		{"A service", "database-v17", []string{"workload", "service"}, []string{"StatefulSet/database-v17", "Service/database"}},
		{"A daemon", "metricbeat-v8", []string{"workload"}, []string{"DaemonSet/metricbeat-v8"}},
		{"An application", "portal-v1", []string{"workload", "service", "exposure"}, []string{"Deployment/portal-v1", "Service/portal", "Gateway/portal", "VirtualService/portal-exposure", "HorizontalPodAutoscaler/portal-v1", "PodDisruptionBudget/portal-v1"}},
		{"A script", "schema-v1", []string{"workload"}, []string{"Job/"}},
		{"A script", "backup-v1", []string{"workload"}, []string{"CronJob/backup-v1", "PersistentVolumeClaim/backup-dumps"}},
	} {
		t.Run(c.example, func(t *testing.T) {
			_, section, found := strings.Cut(page, "\n## "+c.section+"\n")
			require.True(t, found)
			section, _, _ = strings.Cut(section, "\n## ")
			assert.Contains(t, section, "(../values/kinds/"+c.example+".yaml)")

			raw, err := os.ReadFile(root + "/values/kinds/" + c.example + ".yaml")
			require.NoError(t, err)
			values := parse(t, string(raw))
			for _, block := range []string{"workload", "service", "exposure"} {
				_, has := values[block]
				assert.Equal(t, strings.Contains(strings.Join(c.blocks, " "), block), has, block)
			}
			row := regexp.MustCompile(`(?m)^\| ` + strings.ToLower(c.section[strings.Index(c.section, " ")+1:]) + ` \|.*$`).FindString(page)
			for _, block := range c.blocks {
				assert.Contains(t, row, "`"+block+"`")
			}
			got := renderValues(t, values)
			for _, id := range c.objects {
				if strings.HasSuffix(id, "/") {
					id = first(got, id)
				}
				assert.Contains(t, got, id)
			}
		})
	}
	for _, link := range regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(page, -1) {
		_, err := os.Stat(filepath.Join(root, "docs", link[1]))
		assert.NoError(t, err, "a link to nothing")
	}
	all, err := filepath.Glob(root + "/values/kinds/*.yaml")
	require.NoError(t, err)
	for _, file := range all {
		if file := filepath.Base(file); file != "namespace.yaml" {
			assert.Contains(t, page, file, "an example that the page does not explain")
		}
	}
}

// first is the first object of a kind whose name the test need not know, such as that of a Job.
func first(got objects, kind string) string {
	for id := range got {
		if strings.HasPrefix(id, kind) {
			return id
		}
	}
	return kind
}
