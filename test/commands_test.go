package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// command runs one of the tools on the shared cluster and returns what it printed, both streams in one.
func command(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool(t, name), args...)
	cmd.Env = append(cmd.Environ(), "KUBECONFIG="+shared(t).Kubeconfig())
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func gatewayPod(t *testing.T) string {
	t.Helper()
	out, err := command(t, "KUBECTL", "-n", "istio-system", "get", "pod", "-l", "istio=ingressgateway", "-o", "name")
	require.NoError(t, err, out)
	name := strings.TrimPrefix(strings.TrimSpace(out), "pod/")
	require.NotEmpty(t, name)
	return name
}

// kubectl works as on any cluster, and says clearly what a local cluster cannot do.
func TestKubectl(t *testing.T) {
	pod := gatewayPod(t)
	out, err := command(t, "KUBECTL", "-n", "istio-system", "wait", "--for=condition=Ready", "--timeout=30s", "pod/"+pod)
	require.NoError(t, err, out)
	out, err = command(t, "KUBECTL", "-n", "istio-system", "logs", pod, "-c", "istio-proxy")
	require.NoError(t, err, out)
	assert.NotEmpty(t, out)

	out, err = command(t, "KUBECTL", "-n", "istio-system", "exec", pod, "-c", "istio-proxy", "--", "true")
	require.Error(t, err)
	assert.Contains(t, out, "a local cluster cannot exec: its pods are stand-ins, without a program in them")
	out, err = command(t, "KUBECTL", "-n", "istio-system", "debug", "-q", "-i", pod, "--image=busybox", "-c", "debugger", "--", "sh")
	require.Error(t, err, out)
	assert.Contains(t, out, "a local cluster cannot run an ephemeral container: its pods are stand-ins, without a program in them")
	out, err = command(t, "KUBECTL", "-n", "istio-system", "get", "pod", pod, "-o", "jsonpath={.status.ephemeralContainerStatuses[0].state.terminated.message}")
	require.NoError(t, err, out)
	assert.Contains(t, out, "a local cluster cannot run an ephemeral container: its pods are stand-ins, without a program in them")
	out, err = command(t, "KUBECTL", "-n", "istio-system", "logs", "deployment/istiod")
	require.Error(t, err)
	assert.Contains(t, out, "a local cluster has no log of container discovery")
}

// istioctl finds istiod and the proxies' configuration, and what its analyzers warn of.
func TestIstioctl(t *testing.T) {
	pod := gatewayPod(t)
	out, err := command(t, "ISTIOCTL", "version")
	require.NoError(t, err, out)
	assert.Contains(t, out, "control plane version: 1.31.0")
	assert.Contains(t, out, "data plane version: 1.31.0")
	out, err = command(t, "ISTIOCTL", "-n", "istio-system", "proxy-config", "clusters", pod)
	require.NoError(t, err, out)
	assert.Contains(t, out, "BlackHoleCluster")
	out, err = command(t, "ISTIOCTL", "proxy-status")
	require.NoError(t, err, out)
	assert.Regexp(t, `(?m)^`+regexp.QuoteMeta(pod)+`\.istio-system +Kubernetes +istiod.* 1\.31\.0 `, out)
	// It ends with an error where the gateway has no routes yet, as on any cluster.
	out, _ = command(t, "ISTIOCTL", "-n", "istio-system", "proxy-status", pod)
	assert.Contains(t, out, "Clusters Match")
	out, err = command(t, "ISTIOCTL", "analyze", "-n", "istio-system", "--output-threshold", "Warning", "--failure-threshold", "Warning")
	require.NoError(t, err, out)
}

// chart-testing installs the chart with each of its ci/*-values.yaml, and sees what the API server refuses.
func TestChartTesting(t *testing.T) {
	usePATH(t, "KUBECTL", "kubectl")
	usePATH(t, "HELM", "helm")
	install := func(chart string) (string, error) {
		t.Setenv("KUBECONFIG", shared(t).Kubeconfig())
		config, err := filepath.Abs("../ct.yaml")
		require.NoError(t, err)
		ct := exec.CommandContext(t.Context(), tool(t, "CT"), "install", "--config", config, "--charts", ".")
		ct.Dir = chart
		out, err := ct.CombinedOutput()
		return string(out), err
	}
	const chart = "../charts/chart_basico"
	out, err := install(chart)
	require.NoError(t, err, out)
	values := files(t, "charts/chart_basico/ci/*-values.yaml")
	require.NotEmpty(t, values)
	for _, file := range values {
		assert.Contains(t, out, `Installing chart with values file "ci/`+filepath.Base(file)+`"`)
	}
	assert.Contains(t, out, "All charts installed successfully")

	broken := filepath.Join(t.TempDir(), "chart")
	require.NoError(t, os.CopyFS(broken, os.DirFS(chart)))
	service := filepath.Join(broken, "templates/service/service.yaml")
	text, err := os.ReadFile(service)
	require.NoError(t, err)
	require.Contains(t, string(text), `"kind" "Service"`)
	require.NoError(t, os.WriteFile(service, []byte(strings.Replace(string(text), `"kind" "Service"`, `"kind" "Servise"`, 1)), 0o600))
	// chart-testing waits for helm's end and not for what it still has to read of its words, which may be lost.
	dir := t.TempDir()
	said := filepath.Join(dir, "said")
	script := fmt.Sprintf("#!/bin/sh\nexec '%s' \"$@\" 2>>'%s'\n", tool(t, "HELM"), said)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "helm"), []byte(script), 0o700))
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err = install(broken)
	require.Error(t, err, out)
	text, err = os.ReadFile(said)
	require.NoError(t, err)
	assert.Contains(t, string(text), `no matches for kind "Servise"`)
}
