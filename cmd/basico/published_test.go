package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/internal/registrytest"
)

// quickly leaves out how long it took.
func quickly(out string) string {
	return regexp.MustCompile(`(?m)^ *[\d.]+ s  `).ReplaceAllString(out, "")
}

// One release by path, and two by different versions of a published chart: each is rendered by its own, which is pulled
// once.
func TestPublishedChart(t *testing.T) {
	small(t, "app: shop\n")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	r := registrytest.Start(t)
	for _, version := range []string{"1.2.0", "1.3.0"} {
		r.Push(t, "charts/small:"+version, registrytest.Archive(t, "small", version, map[string]string{
			"templates/all.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  chart: {{ .Chart.Version }}\n",
		}))
	}
	write := func(host, first, second string) {
		text := "repositories:\n- {name: platform, url: " + host + "/charts, oci: true, caFile: " + r.CA + "}\nreleases:\n" +
			"- {name: here, namespace: default, chart: charts/chart_basico, values: [v.yaml]}\n" +
			"- {name: first, namespace: default, chart: platform/small, version: " + first + "}\n" +
			"- {name: again, namespace: default, chart: platform/small, version: " + first + "}\n" +
			"- {name: second, namespace: default, chart: platform/small, version: " + second + "}\n"
		require.NoError(t, os.WriteFile("env.yaml", []byte(text), 0o600))
	}
	ref := "oci://" + r.Addr + "/charts/small:"
	lookup := "look up " + ref

	t.Setenv("HELM_REGISTRY_CONFIG", "none.json")
	write(r.Addr, "1.2.0", "1.3.0")
	got := verb(t, newCheckCommand, "env.yaml")
	assert.Equal(t, exitCouldNot, got.status)
	for _, want := range []string{
		"error: env.yaml:5 releases[1].chart: " + lookup + "1.2.0: not authorized",
		"error: env.yaml:6 releases[2].chart: " + lookup + "1.2.0: not authorized",
		"error: env.yaml:7 releases[3].chart: " + lookup + "1.3.0: not authorized",
		"expected credentials that may pull it. Fix: helm registry login " + r.Addr,
		"env: 4 releases, 1 object, 3 problems in N ms\n",
	} {
		assert.Contains(t, got.out, want)
	}
	got = verb(t, newVerifyCommand, "env.yaml")
	assert.Equal(t, exitCouldNot, got.status)
	assert.Contains(t, got.out, ref+"1.3.0: not authorized")
	assert.NotContains(t, got.out, "starting", "it is known before there is a cluster")

	registrytest.Login(t, r.Addr)
	got = verb(t, newCheckCommand, "env.yaml")
	assert.Zero(t, got.status, got.out)
	assert.Equal(t, 1, strings.Count(got.out, "pulling "+ref+"1.2.0\n"), got.out)
	assert.Equal(t, 1, strings.Count(got.out, "pulling "+ref+"1.3.0\n"), got.out)
	assert.Contains(t, got.out, "env: 4 releases, 4 objects, 0 problems in N ms\n")
	assert.Equal(t, "env: 4 releases, 4 objects, 0 problems in N ms\n", verb(t, newCheckCommand, "env.yaml").out, "they are kept")
	rendered := verb(t, newRenderCommand, "env.yaml").out
	for _, want := range []string{"name: shop\n", "name: first\ndata:\n  chart: 1.2.0\n", "name: again\ndata:\n  chart: 1.2.0\n", "name: second\ndata:\n  chart: 1.3.0\n"} {
		assert.Contains(t, strings.ReplaceAll(rendered, "  name", "name"), want)
	}

	write(r.Addr, "1.2.0", "1.4.0")
	got = verb(t, newCheckCommand, "env.yaml")
	assert.Equal(t, exitCouldNot, got.status)
	assert.Equal(t, "error: env.yaml:7 releases[3].chart: "+ref+"1.4.0: no such tag; expected a chart that is published there. Fix: write a version that is there: 1.3.0, 1.2.0 [unreadable]\n"+
		"env: 4 releases, 3 objects, 1 problem in N ms\n", quickly(got.out))
	got = verb(t, newRenderCommand, "env.yaml")
	assert.Contains(t, got.err, ref+"1.4.0: no such tag")

	write("127.0.0.1:1", "1.2.0", "1.3.0")
	got = verb(t, newCheckCommand, "env.yaml")
	assert.Equal(t, exitCouldNot, got.status)
	assert.Equal(t, 3, strings.Count(got.out, "connection refused"), got.out)
	assert.Contains(t, got.out, "Fix: make sure that 127.0.0.1:1 is reached from here, as helm pull does, or helm pull the chart and name its archive [unreadable]\n")

	got = verb(t, newCheckCommand, "-f", "v.yaml", "--chart", "oci://127.0.0.1:1/charts/small:1.2.0")
	assert.Contains(t, got.err, "look up oci://127.0.0.1:1/charts/small:1.2.0")
	got = verb(t, newCheckCommand, "-f", "v.yaml", "--chart", "oci://127.0.0.1:1/charts/small")
	assert.Contains(t, got.err, `--chart: found "oci://127.0.0.1:1/charts/small", expected one exact version`)
}
