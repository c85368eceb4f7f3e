package test

import (
	"os/exec"
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
