package chart_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestClaims: a claim has the name of the App alone, and stays with its data unless it is said to go.
func TestClaims(t *testing.T) {
	layer := `
claims:
  data: {accessModes: [ReadWriteMany], resources: {requests: {storage: 1Gi}}, storageClassName: "", labels: {team: a}}
  cache: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}, keep: false}
workload:
  containers: {main: {volumeMounts: {files: {mountPath: /files}}}}
  volumes: {files: {fromClaim: data}}
`
	got := renderValues(t, with(t, layer))
	data := into[corev1.PersistentVolumeClaim](t, got, "PersistentVolumeClaim/shop-data")
	assert.Equal(t, map[string]string{"helm.sh/resource-policy": "keep"}, data.Annotations)
	assert.Equal(t, "a", data.Labels["team"])
	assert.NotContains(t, data.Labels, "version")
	assert.Equal(t, []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}, data.Spec.AccessModes)
	require.NotNil(t, data.Spec.StorageClassName, "empty is a value: no class")
	assert.Equal(t, "1Gi", data.Spec.Resources.Requests.Storage().String())
	assert.Empty(t, into[corev1.PersistentVolumeClaim](t, got, "PersistentVolumeClaim/shop-cache").Annotations, "it goes with its release")

	d := into[appsv1.Deployment](t, got, "Deployment/shop-v1-3-4")
	assert.Equal(t, "shop-data", d.Spec.Template.Spec.Volumes[0].PersistentVolumeClaim.ClaimName)

	next := renderValues(t, merge(with(t, layer), parse(t, `version: v2`)))
	assert.Equal(t, data.Spec, into[corev1.PersistentVolumeClaim](t, next, "PersistentVolumeClaim/shop-data").Spec)
}

// TestClaimsOfOnePod: a new pod waits for the claim of the old one, so the old one must go first.
func TestClaimsOfOnePod(t *testing.T) {
	for _, workload := range []string{
		`{strategy: {type: Recreate}}`, `{strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 1}}}`, `{strategy: {rollingUpdate: {maxSurge: 0%}}}`, `{kind: StatefulSet}`,
	} {
		require.NotEmpty(t, renderValues(t, merge(with(t, ofOnePod), parse(t, "workload: "+workload))), workload)
	}
}

// ofOnePod is a workload on a claim that one pod at a time may have.
const ofOnePod = `
claims: {data: {accessModes: [ReadWriteOncePod], resources: {requests: {storage: 1Gi}}}}
workload: {volumes: {files: {fromClaim: data}}}
`

// TestProjected: the config and secrets of this file, and Kubernetes' own sources, in one directory; a
// change of them restarts the pods.
func TestProjected(t *testing.T) {
	template := func(value string) corev1.PodTemplateSpec {
		return into[appsv1.Deployment](t, renderValues(t, merge(with(t, `
config: {settings: {data: {k: v}}}
secrets: {keys: {stringData: {k: v}}}
workload:
  volumes:
    all:
      projected:
        defaultMode: 288
        sources:
          - {fromConfig: settings}
          - {fromSecret: keys, items: [{key: k, path: secret/k}]}
          - {serviceAccountToken: {path: token, audience: vault, expirationSeconds: 3600}}
`), parse(t, value))), "Deployment/shop-v1-3-4").Spec.Template
	}
	first := template(`{}`)
	all := first.Spec.Volumes[0].Projected
	assert.Equal(t, int32(288), *all.DefaultMode)
	require.Len(t, all.Sources, 3)
	assert.Equal(t, "shop-v1-3-4-settings", all.Sources[0].ConfigMap.Name)
	assert.Equal(t, "shop-v1-3-4-keys", all.Sources[1].Secret.Name)
	assert.Equal(t, []corev1.KeyToPath{{Key: "k", Path: "secret/k"}}, all.Sources[1].Secret.Items)
	assert.Equal(t, "vault", all.Sources[2].ServiceAccountToken.Audience)

	assert.NotEqual(t, first.Annotations, template(`config: {settings: {data: {k: w}}}`).Annotations)
	assert.NotEqual(t, first.Annotations, template(`secrets: {keys: {stringData: {k: w}}}`).Annotations)
}

// TestOwnPods: where Kubernetes would take a missing selector for "no pods", the chart says the
// workload's own; a selector that is there stays.
func TestOwnPods(t *testing.T) {
	spec := into[appsv1.Deployment](t, renderValues(t, with(t, `
workload:
  topologySpreadConstraints:
    - {maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule}
    - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: other}}}
  affinity:
    nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchFields: [{key: metadata.name, operator: In, values: [a]}]}]}}
    podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: a, labelSelector: {}}, {topologyKey: b, labelSelector: null}]}
    podAntiAffinity:
      requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: c}]
      preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {topologyKey: d}}]
`)), "Deployment/shop-v1-3-4").Spec.Template.Spec
	own := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "shop", "version": "v1.3.4"}}
	assert.Equal(t, own, spec.TopologySpreadConstraints[0].LabelSelector)
	assert.Equal(t, map[string]string{"app": "other"}, spec.TopologySpreadConstraints[1].LabelSelector.MatchLabels)
	near, far := spec.Affinity.PodAffinity, spec.Affinity.PodAntiAffinity
	assert.Equal(t, &metav1.LabelSelector{}, near.RequiredDuringSchedulingIgnoredDuringExecution[0].LabelSelector, "every pod")
	assert.Equal(t, own, near.RequiredDuringSchedulingIgnoredDuringExecution[1].LabelSelector)
	assert.Equal(t, own, far.RequiredDuringSchedulingIgnoredDuringExecution[0].LabelSelector)
	assert.Equal(t, own, far.PreferredDuringSchedulingIgnoredDuringExecution[0].PodAffinityTerm.LabelSelector)
	assert.Equal(t, "d", far.PreferredDuringSchedulingIgnoredDuringExecution[0].PodAffinityTerm.TopologyKey)
	assert.Len(t, spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms, 1)
}

// TestBeforeSidecars: what must be done before a sidecar starts says so by a negative order.
func TestBeforeSidecars(t *testing.T) {
	spec := into[appsv1.Deployment](t, renderValues(t, with(t, `
workload:
  initContainers:
    late: {image: {repository: x, tag: "1"}}
    early: {image: {repository: x, tag: "1"}, order: -1}
    gone: null
  sidecars: {log: {image: {repository: x, tag: "1"}}}
`)), "Deployment/shop-v1-3-4").Spec.Template.Spec
	var names []string
	for _, c := range spec.InitContainers {
		names = append(names, c.Name)
	}
	assert.Equal(t, []string{"early", "log", "late"}, names)
	assert.NotNil(t, spec.InitContainers[1].RestartPolicy)
	assert.Nil(t, spec.InitContainers[0].RestartPolicy)
}

func TestClusterRules(t *testing.T) {
	got := renderObjects(t, `{app: shop, identity: {name: clerk, clusterRules: [{apiGroups: [""], resources: [nodes], verbs: [get]}]}}`)
	assert.Len(t, got, 3, "no Role")
	assert.Equal(t, []string{"nodes"}, into[rbacv1.ClusterRole](t, got, "ClusterRole/shop-clerk").Rules[0].Resources)
	b := into[rbacv1.ClusterRoleBinding](t, got, "ClusterRoleBinding/shop-clerk")
	assert.Equal(t, rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "shop-clerk"}, b.RoleRef)
	assert.Equal(t, []rbacv1.Subject{{Kind: "ServiceAccount", Name: "clerk", Namespace: namespace}}, b.Subjects)
}
