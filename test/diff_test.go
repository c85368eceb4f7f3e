package test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/pkg/diff"
)

const (
	podTemplate = "  template: {metadata: {labels: {app: a}}, spec: {restartPolicy: RESTART, containers: [{name: c, image: i}]}}\n"
	workload    = "apiVersion: apps/v1\nkind: KIND\nmetadata: {name: immutable}\nspec:\n  selector: {matchLabels: {app: a}}\n" + podTemplate
)

// What the rules of diff call immutable, a real API server refuses to change, and the rest it does not.
func TestImmutableFields(t *testing.T) {
	const namespace = "immutable-fields"
	out, err := command(t, "KUBECTL", "create", "namespace", namespace)
	require.NoError(t, err, out)
	t.Cleanup(func() {
		out, err := exec.Command(tool(t, "KUBECTL"), "--kubeconfig", shared(t).Kubeconfig(), "delete", "namespace", namespace, "--wait=false").CombinedOutput()
		assert.NoError(t, err, string(out))
	})
	of := func(kind, more string) string {
		return strings.NewReplacer("KIND", kind, "RESTART", "Always").Replace(workload) + more
	}
	job := "apiVersion: batch/v1\nkind: Job\nmetadata: {name: immutable}\nspec:\n  suspend: true\n  parallelism: 1\n" + strings.Replace(podTemplate, "RESTART", "Never", 1)
	balancer := "apiVersion: v1\nkind: Service\nmetadata: {name: immutable}\nspec: {type: LoadBalancer, externalTrafficPolicy: Local, "
	claim := "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: immutable}\nspec: {storageClassName: a, accessModes: [ReadWriteOnce], resources: {requests: {storage: 2Gi}}}\n"
	for name, c := range map[string]struct {
		object, from, to string
		immutable        bool
	}{
		"Deployment selector":        {of("Deployment", ""), "matchLabels: {app: a}}\n  template: {metadata: {labels: {app: a}}", "matchLabels: {app: b}}\n  template: {metadata: {labels: {app: b}}", true},
		"Deployment image":           {of("Deployment", ""), "image: i", "image: j", false},
		"DaemonSet selector":         {of("DaemonSet", ""), "matchLabels: {app: a}}\n  template: {metadata: {labels: {app: a}}", "matchLabels: {app: b}}\n  template: {metadata: {labels: {app: b}}", true},
		"StatefulSet service":        {of("StatefulSet", "  serviceName: a\n"), "serviceName: a", "serviceName: b", true},
		"StatefulSet pod management": {of("StatefulSet", "  podManagementPolicy: OrderedReady\n"), "OrderedReady", "Parallel", true},
		"StatefulSet update":         {of("StatefulSet", "  updateStrategy: {type: RollingUpdate}\n"), "RollingUpdate", "OnDelete", false},
		"StatefulSet history":        {of("StatefulSet", "  revisionHistoryLimit: 2\n"), "2", "3", false},
		"StatefulSet readiness":      {of("StatefulSet", "  minReadySeconds: 2\n"), "2", "3", false},
		"Job template":               {job, "image: i", "image: j", true},
		"Job parallelism":            {job, "parallelism: 1", "parallelism: 2", false},
		"claim class":                {claim, "storageClassName: a", "storageClassName: b", true},
		"claim size":                 {claim, "2Gi", "1Gi", true},
		"Service cluster IP":         {"apiVersion: v1\nkind: Service\nmetadata: {name: immutable}\nspec: {clusterIP: None, ports: [{port: 80}]}\n", "clusterIP: None, ", "clusterIP: 10.0.0.77, ", true},
		"Service port":               {"apiVersion: v1\nkind: Service\nmetadata: {name: immutable}\nspec: {ports: [{port: 80}]}\n", "80", "81", false},
		"Service first family":       {"apiVersion: v1\nkind: Service\nmetadata: {name: immutable}\nspec: {ipFamilies: [IPv4], ports: [{port: 80}]}\n", "IPv4", "IPv6", true},
		"Service family, headless":   {"apiVersion: v1\nkind: Service\nmetadata: {name: immutable}\nspec: {clusterIP: None, ipFamilies: [IPv4], ports: [{port: 80}]}\n", "ipFamilies: [IPv4], ", "", false},
		"Service class":              {balancer + "ports: [{port: 80}]}\n", "Local", "Local, loadBalancerClass: a/b", true},
		"Service class, another":     {balancer + "loadBalancerClass: a/b, ports: [{port: 80}]}\n", "a/b", "a/c", true},
		"Service health check":       {balancer + "ports: [{port: 80}]}\n", "Local", "Local, healthCheckNodePort: 30077", true},
		"Service health check, none": {balancer + "healthCheckNodePort: 30078, ports: [{port: 80}]}\n", "healthCheckNodePort: 30078, ", "", false},
		"Secret type":                {"apiVersion: v1\nkind: Secret\nmetadata: {name: immutable}\ntype: a/b\n", "a/b", "a/c", true},
		"Secret data":                {"apiVersion: v1\nkind: Secret\nmetadata: {name: immutable}\nstringData: {a: b}\n", "a: b", "a: c", false},
		"sealed ConfigMap":           {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: immutable}\nimmutable: true\ndata: {a: b}\n", "a: b", "a: c", true},
		"role of a binding":          {"apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: immutable}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: a}\n", "name: a}", "name: b}", true},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, c.object, c.from)
			named := strings.ReplaceAll(c.object, "name: immutable", "name: "+strings.NewReplacer(" ", "-", ",", "").Replace(strings.ToLower(name)))
			changed := strings.ReplaceAll(named, c.from, c.to)
			out, err := apply(t, namespace, named)
			require.NoError(t, err, out)
			out, err = apply(t, namespace, changed)
			assert.Equal(t, c.immutable, err != nil, out)
			before, after := parse(t, named), parse(t, changed)
			found := diff.Releases([]diff.Release{{Name: "r", Objects: before}}, []diff.Release{{Name: "r", Objects: after}})
			require.NotEmpty(t, found)
			assert.Equal(t, c.immutable, found[0].Rule == "immutable-field", "%s %s", found[0].Rule, found[0].Path)
		})
	}
}

func apply(t *testing.T, namespace, text string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool(t, "KUBECTL"), "--kubeconfig", shared(t).Kubeconfig(), "--namespace", namespace, "apply", "-f", "-")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
