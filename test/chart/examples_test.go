package chart_test

import (
	"encoding/base64"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	psa "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// TestExamples holds what must be true of every file under values/: a new one is tested by being there.
func TestExamples(t *testing.T) {
	for _, path := range examples(t) {
		t.Run(strings.TrimPrefix(path, root+"/values/"), func(t *testing.T) {
			raw, err := os.ReadFile(path)
			require.NoError(t, err)
			values := parse(t, string(raw))

			manifest, notes, err := render(t.Context(), "demo", values)
			require.NoError(t, err)
			golden(t, strings.TrimSuffix(strings.TrimPrefix(path, root+"/"), ".yaml"), values, manifest, notes)
			for range 3 {
				again, notesAgain, err := render(t.Context(), "demo", parse(t, string(raw)))
				require.NoError(t, err)
				require.Equal(t, manifest, again, "the same values, other bytes")
				require.Equal(t, notes, notesAgain)
			}

			by4, notes4, err := render4(t.Context(), "demo", parse(t, string(raw)))
			require.NoError(t, err)
			assert.Equal(t, manifest, blank.ReplaceAllString(by4, "\n---"), "Helm 3 and Helm 4")
			assert.Equal(t, notes, notes4, "Helm 3 and Helm 4")

			got, err := decode(manifest)
			require.NoError(t, err)
			require.NotEmpty(t, got)
			for id, o := range got {
				assertObject(t, id, o, values)
			}
			assertNoSecrets(t, got, notes)
		})
	}
}

// relaxed are the examples whose pods cannot do their work under the restricted standard, and what of it
// they break: nothing else.
var relaxed = map[string]string{
	"DaemonSet/metricbeat-v8": `restricted volume types (volumes "cgroup", "proc" use restricted volume type "hostPath")`,
}

// assertObject holds what must be true of every object of every kind.
func assertObject(t *testing.T, id string, o *unstructured.Unstructured, values map[string]any) {
	assert.Empty(t, validation.IsDNS1123Label(o.GetName()), id)
	assert.Empty(t, o.GetNamespace(), "%s: helm -n decides", id)
	labels := o.GetLabels()
	for k, v := range labels {
		assert.Empty(t, validation.IsQualifiedName(k), id)
		assert.Empty(t, validation.IsValidLabelValue(v), id)
	}
	assert.Equal(t, values["app"], labels["app"], id)
	assert.Equal(t, values["app"], labels["app.kubernetes.io/name"], id)
	assert.Equal(t, "demo", labels["app.kubernetes.io/instance"], id)
	assert.Equal(t, "Helm", labels["app.kubernetes.io/managed-by"], id)
	for k := range o.GetAnnotations() {
		assert.Empty(t, validation.IsQualifiedName(k), id)
	}
	if pod := podTemplate(t, o); pod != nil {
		assert.Equal(t, relaxed[id], forbidden(t, pod), "%s: restricted Pod Security", id)
		assert.Equal(t, values["version"], pod.Labels["version"], id)
		assert.NotContains(t, pod.Labels, "helm.sh/chart", "%s: a new chart version would restart it", id)
	}
}

// podTemplate is the template in a workload, nil in other objects.
func podTemplate(t testing.TB, o *unstructured.Unstructured) *corev1.PodTemplateSpec {
	at := []string{"spec", "template"}
	if o.GetKind() == "CronJob" {
		at = []string{"spec", "jobTemplate", "spec", "template"}
	}
	raw, found, err := unstructured.NestedMap(o.Object, at...)
	require.NoError(t, err)
	if !found {
		return nil
	}
	var out corev1.PodTemplateSpec
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(raw, &out, true))
	return &out
}

// forbidden says what Kubernetes' own evaluator finds against the restricted standard.
func forbidden(t testing.TB, pod *corev1.PodTemplateSpec) string {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	require.NoError(t, err)
	level := psa.LevelVersion{Level: psa.LevelRestricted, Version: psa.LatestVersion()}
	result := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec))
	return result.ForbiddenDetail()
}

// assertNoSecrets looks for what Secrets hold in the notes.
func assertNoSecrets(t *testing.T, got objects, notes string) {
	for id, o := range got {
		if o.GetKind() != "Secret" {
			continue
		}
		for key, value := range into[corev1.Secret](t, got, id).Data {
			assert.NotContains(t, notes, string(value), "%s %s", id, key)
			assert.NotContains(t, notes, base64.StdEncoding.EncodeToString(value), "%s %s", id, key)
		}
	}
}

// TestForbiddenCanFail shows that the Pod Security check above sees what it must.
func TestForbiddenCanFail(t *testing.T) {
	got := renderObjects(t, `
app: a
version: v1
workload:
  containers:
    a:
      image: {repository: a, tag: "1"}
      securityContext: {allowPrivilegeEscalation: true}
`)
	assert.Contains(t, forbidden(t, podTemplate(t, got.get(t, "Deployment/a-v1"))), "allowPrivilegeEscalation")
}

func TestNothingButApp(t *testing.T) {
	assert.Empty(t, renderObjects(t, `app: a`), "a block that is absent renders nothing")
}
