package chart_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/apps"
	_ "k8s.io/kubernetes/pkg/apis/apps/install" // its conversions and defaults
	appsvalidation "k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/batch"
	_ "k8s.io/kubernetes/pkg/apis/batch/install" // its conversions and defaults
	"k8s.io/kubernetes/pkg/apis/batch/validation"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/utils/ptr"

	"chartbasico/internal/helm3"
)

// minimal is the smallest workload.
const minimal = `
app: shop
version: v1.3.4
workload:
  containers:
    main:
      image: {repository: example.com/shop, tag: "1.0"}
`

// with is minimal with another layer of values on top, as a second -f is.
func with(t testing.TB, layer string) map[string]any {
	return merge(parse(t, minimal), parse(t, layer))
}

func merge(base, over map[string]any) map[string]any {
	out := maps.Clone(base)
	for k, v := range over {
		b, isMap := out[k].(map[string]any)
		if o, ok := v.(map[string]any); ok && isMap {
			out[k] = merge(b, o)
			continue
		}
		out[k] = v
	}
	return out
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ app, version, workload, config string }{
		{"reviews", "v2", "reviews-v2", "reviews-v2-settings"},
		{"app1", "v1.3.4", "app1-v1-3-4", "app1-v1-3-4-settings"},
		{"app1", "1.0", "app1-1-0", "app1-1-0-settings"},
		{"app1", "V2_rc.1", "app1-v2-rc-1", "app1-v2-rc-1-settings"},
		{"a", "0", "a-0", "a-0-settings"},
	} {
		t.Run(c.app+" "+c.version, func(t *testing.T) {
			values := with(t, `config: {settings: {data: {k: v}}}`)
			values["app"], values["version"] = c.app, c.version
			got := renderValues(t, values)
			d := into[appsv1.Deployment](t, got, "Deployment/"+c.workload)
			assert.Equal(t, map[string]string{"app": c.app, "version": c.version}, d.Spec.Selector.MatchLabels)
			assert.Equal(t, c.version, d.Labels["version"], "the label is the version as it is")
			got.get(t, "ConfigMap/"+c.config)
		})
	}
}

// everything is a block of each kind, to add to minimal.
var everything = map[string]string{
	"service":   `service: {ports: {http: {port: 80, targetPort: 8080}}}` + "\n" + `workload: {containers: {main: {ports: {http: {containerPort: 8080}}}}}`,
	"config":    `config: {settings: {data: {k: v}}}`,
	"secrets":   `secrets: {db: {stringData: {password: hidden}}}`,
	"identity":  `identity: {}`,
	"namespace": `namespace: {injection: enabled}`,
	"routing":   `routing: {stage: a, stages: [{name: a, weights: {v1.3.4: 100}}]}`,
	"exposure":  `exposure: {kind: istio, hosts: [shop.example.com]}` + "\n" + `service: {ports: {http: {port: 80, targetPort: 8080}}}` + "\n" + `workload: {containers: {main: {ports: {http: {containerPort: 8080}}}}}`,
	"egress":    `egress: {hosts: {db: {host: db.example.com, port: 3306}}}`,
	"access":    `access: {peerAuthentication: {mtls: {mode: STRICT}}, authorizationPolicies: {a: {}}, networkPolicy: {ingress: []}}`,
	"calls":     `calls: {ratings: {port: 9080}}`,
	"container": `workload: {containers: {other: {image: {repository: x, tag: "1"}}}}`,
	"sidecar":   `workload: {sidecars: {log: {image: {repository: x, tag: "1"}}}}`,
	"volume":    `workload: {volumes: {tmp: {emptyDir: {}}}}`,
	"labels":    `workload: {podLabels: {team: a}}`,
	"claims":    `claims: {data: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}`,
	"budget":    `workload: {disruptionBudget: {minAvailable: 1}}`,
}

// TestNamesStay: whatever is added, what was there keeps its name, and the selector stays as it is.
func TestNamesStay(t *testing.T) {
	for base := range everything {
		before := renderValues(t, with(t, everything[base]))
		for added, layer := range everything {
			t.Run(base+" and "+added, func(t *testing.T) {
				after := renderMany(t, merge(with(t, everything[base]), parse(t, layer)))
				for id, o := range before {
					assert.Contains(t, after, id)
					if o.GetKind() == "Deployment" {
						assert.Equal(t, into[appsv1.Deployment](t, before, id).Spec.Selector, into[appsv1.Deployment](t, after, id).Spec.Selector)
					}
				}
			})
		}
	}
}

func TestKinds(t *testing.T) {
	pod := func(t *testing.T, spec corev1.PodSpec) {
		require.Len(t, spec.Containers, 1)
		assert.Equal(t, "example.com/shop:1.0", spec.Containers[0].Image)
		assert.False(t, *spec.AutomountServiceAccountToken)
	}
	selector := map[string]string{"app": "shop", "version": "v1.3.4"}

	t.Run("StatefulSet", func(t *testing.T) {
		s := into[appsv1.StatefulSet](t, renderValues(t, with(t, `
workload:
  kind: StatefulSet
  replicas: 3
  podManagementPolicy: Parallel
  containers: {main: {volumeMounts: {data: {mountPath: /data}}}}
  volumeClaimTemplates: {data: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}
`)), "StatefulSet/shop-v1-3-4")
		pod(t, s.Spec.Template.Spec)
		assert.Equal(t, selector, s.Spec.Selector.MatchLabels)
		assert.Equal(t, "shop", s.Spec.ServiceName)
		assert.Equal(t, int32(3), *s.Spec.Replicas)
		assert.Equal(t, appsv1.ParallelPodManagement, s.Spec.PodManagementPolicy)
		require.Len(t, s.Spec.VolumeClaimTemplates, 1)
		assert.Equal(t, "data", s.Spec.VolumeClaimTemplates[0].Name)
		assert.Equal(t, "1Gi", s.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage().String())
	})
	t.Run("DaemonSet", func(t *testing.T) {
		d := into[appsv1.DaemonSet](t, renderValues(t, with(t, `
workload: {kind: DaemonSet, updateStrategy: {type: OnDelete}, tolerations: [{operator: Exists}]}
`)), "DaemonSet/shop-v1-3-4")
		pod(t, d.Spec.Template.Spec)
		assert.Equal(t, selector, d.Spec.Selector.MatchLabels)
		assert.Equal(t, appsv1.OnDeleteDaemonSetStrategyType, d.Spec.UpdateStrategy.Type)
		assert.Len(t, d.Spec.Template.Spec.Tolerations, 1)
	})
	t.Run("CronJob", func(t *testing.T) {
		c := into[batchv1.CronJob](t, renderValues(t, with(t, `
workload: {kind: CronJob, schedule: "0 3 * * *", suspend: true, backoffLimit: 0, restartPolicy: OnFailure}
`)), "CronJob/shop-v1-3-4")
		job := c.Spec.JobTemplate.Spec
		pod(t, job.Template.Spec)
		assert.True(t, *c.Spec.Suspend)
		assert.Nil(t, job.Suspend, "it is the CronJob that is suspended")
		assert.Equal(t, int32(0), *job.BackoffLimit)
		assert.Equal(t, corev1.RestartPolicyOnFailure, job.Template.Spec.RestartPolicy)
	})
	t.Run("Job", func(t *testing.T) {
		job := func(layer string) *batchv1.Job {
			return jobOf(t, merge(with(t, "workload: {kind: Job}"), parse(t, layer)))
		}
		first, same := job(""), job("")
		other := job("workload: {completions: 2}")
		pod(t, first.Spec.Template.Spec)
		assert.Nil(t, first.Spec.Selector, "Kubernetes makes it")
		assert.Equal(t, corev1.RestartPolicyNever, first.Spec.Template.Spec.RestartPolicy)
		assert.Equal(t, first.Name, same.Name, "nothing changed: the Job stays")
		assert.NotEqual(t, first.Name, other.Name, "its spec is immutable: a changed one is another Job")
		assert.Regexp(t, `^shop-v1-3-4-[0-9a-f]{8}$`, first.Name)
	})
}

func jobOf(t *testing.T, values map[string]any) *batchv1.Job {
	got := renderValues(t, values)
	require.Len(t, got, 1)
	for id := range got {
		return into[batchv1.Job](t, got, id)
	}
	return nil
}

// TestJobIsRenamedWhereItMust: a Job gets another name for what the API server refuses to change, and keeps it for what
// it takes. A Job that says none of what may change has the name that the chart has always given it.
func TestJobIsRenamedWhereItMust(t *testing.T) {
	internal := func(job *batchv1.Job) *batch.Job {
		job.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "shop"}}
		job.Spec.ManualSelector = ptr.To(true)
		job.Name, job.Namespace, job.ResourceVersion = "same", namespace, "1"
		legacyscheme.Scheme.Default(job)
		out := new(batch.Job)
		require.NoError(t, legacyscheme.Scheme.Convert(job, out, nil))
		return out
	}
	base := parse(t, `workload: {kind: Job, completionMode: Indexed, completions: 4, backoffLimitPerIndex: 1, maxFailedIndexes: 1}`)
	was := jobOf(t, merge(with(t, ""), base))
	for field, value := range map[string]string{
		"activeDeadlineSeconds": "60", "backoffLimit": "3", "maxFailedIndexes": "2", "parallelism": "2", "podReplacementPolicy": "Failed",
		"suspend": "true", "ttlSecondsAfterFinished": "60",
		"completions": "5", "backoffLimitPerIndex": "2", "managedBy": "example.com/other", "restartPolicy": "OnFailure",
		"podFailurePolicy": "{rules: [{action: FailJob, onExitCodes: {operator: In, values: [1]}}]}",
		"successPolicy":    "{rules: [{succeededCount: 1}]}", "nodeName": "a",
	} {
		now := jobOf(t, merge(merge(with(t, ""), base), parse(t, "workload: {"+field+": "+value+"}")))
		renamed := now.Name != was.Name
		refused := validation.ValidateJobUpdate(internal(now), internal(was.DeepCopy()), validation.JobValidationOptions{})
		assert.Equal(t, len(refused) > 0, renamed, "%s: %v", field, refused)
	}
	assert.Equal(t, "shop-v1-3-4-50c16680", jobOf(t, with(t, "workload: {kind: Job}")).Name)
}

func TestReplicas(t *testing.T) {
	for _, c := range []struct {
		layer string
		want  *int32
	}{
		{`workload: {}`, nil},
		{`workload: {replicas: 0}`, new(int32)},
		{`workload: {replicas: null}`, nil},
		{`workload: {autoscaling: {maxReplicas: 3}}`, nil},
	} {
		d := into[appsv1.Deployment](t, renderValues(t, with(t, c.layer)), "Deployment/shop-v1-3-4")
		assert.Equal(t, c.want, d.Spec.Replicas, c.layer)
	}
}

func TestScalingAndBudget(t *testing.T) {
	got := renderValues(t, with(t, `
workload:
  autoscaling: {minReplicas: 2, maxReplicas: 5, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]}
  disruptionBudget: {maxUnavailable: 50%}
`))
	h := into[autoscalingv2.HorizontalPodAutoscaler](t, got, "HorizontalPodAutoscaler/shop-v1-3-4")
	assert.Equal(t, autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "shop-v1-3-4"}, h.Spec.ScaleTargetRef)
	assert.Equal(t, int32(2), *h.Spec.MinReplicas)
	assert.Equal(t, int32(5), h.Spec.MaxReplicas)
	b := into[policyv1.PodDisruptionBudget](t, got, "PodDisruptionBudget/shop-v1-3-4")
	assert.Equal(t, intstr.FromString("50%"), *b.Spec.MaxUnavailable)
	assert.Equal(t, map[string]string{"app": "shop", "version": "v1.3.4"}, b.Spec.Selector.MatchLabels)
}

func TestPod(t *testing.T) {
	d := into[appsv1.Deployment](t, renderValues(t, with(t, `
config: {settings: {data: {LEVEL: info}}}
secrets: {db: {stringData: {password: hidden}}}
identity: {name: clerk}
calls: {reviews: {port: 9080}, details.books: {port: 80}}
workload:
  terminationGracePeriodSeconds: 5
  imagePullSecrets: [{name: pull}]
  containers:
    main:
      image: {digest: "sha256:0000000000000000000000000000000000000000000000000000000000000000"}
      env:
        ALL: $(FIRST)-$(ZONE)
        FIRST: "1"
        NUMBER: 20250811
        FLAG: false
        ZONE: {valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        LEVEL: {fromConfig: settings, key: LEVEL}
        PASSWORD: {fromSecret: db, key: password}
        GONE: null
      envFrom: {all: {fromConfig: settings, prefix: S_}, theirs: {secretRef: {name: theirs, optional: true}}}
      volumeMounts:
        settings: {mountPath: /etc/shop, readOnly: true}
        again: {volume: settings, mountPath: /etc/again, subPath: LEVEL}
      readinessProbe: {httpGet: {path: /, port: 80}, tcpSocket: null}
    first: {order: -1, image: {repository: x, tag: "1"}}
  initContainers:
    b: {image: {repository: x, tag: "1"}, order: 1}
    c: {image: {repository: x, tag: "1"}}
  sidecars:
    log: {image: {repository: x, tag: "1"}}
  volumes:
    settings: {fromConfig: settings, defaultMode: 256, items: [{key: LEVEL, path: LEVEL}]}
    keys: {fromSecret: db}
    memory: {emptyDir: {medium: Memory, sizeLimit: 1Mi}}
`)), "Deployment/shop-v1-3-4")
	spec := d.Spec.Template.Spec

	assert.Equal(t, "clerk", spec.ServiceAccountName)
	assert.Equal(t, int64(5), *spec.TerminationGracePeriodSeconds)
	assert.Equal(t, `["details.books:80","reviews:9080"]`, d.Spec.Template.Annotations["chart-basico/calls"])
	assert.NotContains(t, d.Spec.Template.Labels, "app.kubernetes.io/managed-by")

	names := func(cs []corev1.Container) (out []string) {
		for _, c := range cs {
			out = append(out, c.Name)
		}
		return out
	}
	assert.Equal(t, []string{"first", "main"}, names(spec.Containers), "by order, then name")
	assert.Equal(t, []string{"log", "c", "b"}, names(spec.InitContainers), "sidecars are there for the others")
	always := corev1.ContainerRestartPolicyAlways
	assert.Equal(t, &always, spec.InitContainers[0].RestartPolicy)
	assert.Nil(t, spec.InitContainers[1].RestartPolicy)

	main := spec.Containers[1]
	assert.Equal(t, "example.com/shop:1.0@sha256:0000000000000000000000000000000000000000000000000000000000000000", main.Image)
	assert.Equal(t, []corev1.EnvVar{
		{Name: "FIRST", Value: "1"},
		{Name: "FLAG", Value: "false"},
		{Name: "LEVEL", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "shop-v1-3-4-settings"}, Key: "LEVEL"}}},
		{Name: "NUMBER", Value: "20250811"},
		{Name: "PASSWORD", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "shop-v1-3-4-db"}, Key: "password"}}},
		{Name: "ZONE", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}},
		{Name: "ALL", Value: "$(FIRST)-$(ZONE)"},
	}, main.Env)
	require.Len(t, main.EnvFrom, 2)
	assert.Equal(t, "shop-v1-3-4-settings", main.EnvFrom[0].ConfigMapRef.Name)
	assert.Equal(t, "S_", main.EnvFrom[0].Prefix)
	assert.Equal(t, "theirs", main.EnvFrom[1].SecretRef.Name)
	assert.Equal(t, []corev1.VolumeMount{
		{Name: "settings", MountPath: "/etc/again", SubPath: "LEVEL"},
		{Name: "settings", MountPath: "/etc/shop", ReadOnly: true},
	}, main.VolumeMounts)
	require.Len(t, spec.Volumes, 3)
	assert.Equal(t, "shop-v1-3-4-db", spec.Volumes[0].Secret.SecretName)
	assert.Equal(t, corev1.StorageMediumMemory, spec.Volumes[1].EmptyDir.Medium)
	assert.Equal(t, "shop-v1-3-4-settings", spec.Volumes[2].ConfigMap.Name)
	assert.Equal(t, int32(256), *spec.Volumes[2].ConfigMap.DefaultMode)
	assert.Empty(t, forbidden(t, &d.Spec.Template))
}

// TestVariablesAreExpanded: a variable stands after those that its text names, which is where Kubernetes expands them;
// else by name, so that no pod restarts for nothing.
func TestVariablesAreExpanded(t *testing.T) {
	for env, want := range map[string]string{
		`{DATABASE_URL: "postgres://$(DB_HOST)/x", DB_HOST: "$(RELEASE)-db", RELEASE: prod}`: "RELEASE DB_HOST DATABASE_URL",
		`{A: "$(E)", B: "$(OTHER)", C: b, D: "$(B)", E: "$(F)", F: "$(D)"}`:                  "C B D F E A",
		`{A: "$(A)/x", B: "$$(C)", C: "$(B)", D: "$(C)", Z: z}`:                              "Z A B C D",
		`{A: "$$(B)", B: "$(OTHER)", C: "$$$(D)", D: "$(OTHER)"}`:                            "A B D C",
		`{A: "$(C)", B: "$(A)", C: "$(B)", D: "$(A)", E: "$(OTHER)"}`:                        "E A B C D",
	} {
		d := into[appsv1.Deployment](t, renderValues(t, with(t, "workload: {containers: {main: {env: "+env+"}}}")), "Deployment/shop-v1-3-4")
		var names []string
		for _, v := range d.Spec.Template.Spec.Containers[0].Env {
			names = append(names, v.Name)
		}
		assert.Equal(t, want, strings.Join(names, " "), env)
	}
}

// TestOrder: the least and the most that order may be are sorted as numbers.
func TestOrder(t *testing.T) {
	d := into[appsv1.Deployment](t, renderValues(t, with(t, `
workload:
  containers:
    main: {order: 999999999}
    a: {order: -1, image: {repository: a, tag: "1"}}
    b: {order: -999999999, image: {repository: a, tag: "1"}}
`)), "Deployment/shop-v1-3-4")
	var names []string
	for _, c := range d.Spec.Template.Spec.Containers {
		names = append(names, c.Name)
	}
	assert.Equal(t, []string{"b", "a", "main"}, names)
}

// TestToken: pods get a token for the Kubernetes API if they or their account say so, and they know better.
func TestToken(t *testing.T) {
	for layer, want := range map[string]bool{
		`identity: {automountServiceAccountToken: true}`:                                                  true,
		`identity: {automountServiceAccountToken: null}`:                                                  false,
		"identity: {automountServiceAccountToken: true}\nworkload: {automountServiceAccountToken: false}": false,
		"identity: {automountServiceAccountToken: true}\nworkload: {automountServiceAccountToken: null}":  true,
		"identity: {automountServiceAccountToken: true}\nworkload: {serviceAccountName: other}":           false,
		"identity: {automountServiceAccountToken: false}\nworkload: {automountServiceAccountToken: true}": true,
		"workload: {serviceAccountName: other, automountServiceAccountToken: true}":                       true,
	} {
		d := into[appsv1.Deployment](t, renderValues(t, with(t, layer)), "Deployment/shop-v1-3-4")
		assert.Equal(t, want, *d.Spec.Template.Spec.AutomountServiceAccountToken, layer)
	}
}

// TestSecurityCanBeOverridden, field by field, and false is a value.
func TestSecurityCanBeOverridden(t *testing.T) {
	d := into[appsv1.Deployment](t, renderValues(t, with(t, `
workload:
  securityContext: {runAsNonRoot: false, fsGroup: 5}
  containers:
    main:
      securityContext: {readOnlyRootFilesystem: false, capabilities: {add: [NET_BIND_SERVICE]}}
`)), "Deployment/shop-v1-3-4")
	pod, c := d.Spec.Template.Spec.SecurityContext, d.Spec.Template.Spec.Containers[0].SecurityContext
	assert.False(t, *pod.RunAsNonRoot)
	assert.Equal(t, int64(5), *pod.FSGroup)
	assert.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, pod.SeccompProfile.Type)
	assert.False(t, *c.ReadOnlyRootFilesystem)
	assert.False(t, *c.AllowPrivilegeEscalation)
	assert.Equal(t, &corev1.Capabilities{Add: []corev1.Capability{"NET_BIND_SERVICE"}, Drop: []corev1.Capability{"ALL"}}, c.Capabilities)
}

// TestWindows: pods for Windows have no default that only Linux has, which the API server refuses.
func TestWindows(t *testing.T) {
	for os, secure := range map[string]bool{`{os: {name: windows}}`: false, `{os: {name: linux}}`: true, `{os: null}`: true} {
		d := into[appsv1.Deployment](t, renderValues(t, with(t, "workload: "+os)), "Deployment/shop-v1-3-4")
		pod := d.Spec.Template.Spec
		assert.True(t, *pod.SecurityContext.RunAsNonRoot, os)
		assert.Equal(t, secure, pod.SecurityContext.SeccompProfile != nil, os)
		assert.Equal(t, secure, pod.Containers[0].SecurityContext != nil, os)

		d.Namespace = namespace
		legacyscheme.Scheme.Default(d)
		out := new(apps.Deployment)
		require.NoError(t, legacyscheme.Scheme.Convert(d, out, nil))
		assert.Empty(t, appsvalidation.ValidateDeployment(out, corevalidation.PodValidationOptions{}), os)
	}
}

// TestChecksums: a change of config or secret restarts who uses it, and nobody else.
func TestChecksums(t *testing.T) {
	template := func(used, value string) corev1.PodTemplateSpec {
		return into[appsv1.Deployment](t, renderValues(t, with(t, fmt.Sprintf(`
config: {mine: {data: {k: %q}}, other: {data: {k: %q}}}
secrets: {db: {stringData: {k: %q}}}
workload: {containers: {main: {env: {A: %s}}}}
`, value, value, value, used))), "Deployment/shop-v1-3-4").Spec.Template
	}
	for _, used := range []string{`{fromConfig: mine, key: k}`, `{fromSecret: db, key: k}`} {
		assert.NotEqual(t, template(used, "old"), template(used, "new"), used)
		assert.Len(t, template(used, "old").Annotations, 1, used)
	}
	assert.Equal(t, template(`plain`, "old"), template(`plain`, "new"), "it uses none of them")
}

func TestLayers(t *testing.T) {
	got := renderValues(t, with(t, `
service: null
identity: null
workload:
  containers: {main: {env: null, readinessProbe: null}, gone: null}
  volumes: {gone: null}
`))
	assert.Len(t, got, 1, "null removes a block")
	d := into[appsv1.Deployment](t, got, "Deployment/shop-v1-3-4")
	assert.Len(t, d.Spec.Template.Spec.Containers, 1, "null removes an entry")
	assert.Empty(t, d.Spec.Template.Spec.Volumes)
}

// TestStrategies: all that the API server would fill in is said, or nobody could take it away.
func TestStrategies(t *testing.T) {
	for _, c := range []struct{ kind, field, values, want string }{
		{"Deployment", "strategy", `null`, `{type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}}`},
		{"Deployment", "strategy", `{rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}`, `{type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}`},
		{"Deployment", "strategy", `{type: Recreate}`, `{type: Recreate}`},
		{"StatefulSet", "updateStrategy", `{type: RollingUpdate}`, `{type: RollingUpdate, rollingUpdate: {maxUnavailable: 1, partition: 0}}`},
		{"StatefulSet", "updateStrategy", `{type: OnDelete}`, `{type: OnDelete}`},
		{"DaemonSet", "updateStrategy", `{rollingUpdate: {maxSurge: null, maxUnavailable: 10%}}`, `{type: RollingUpdate, rollingUpdate: {maxSurge: 0, maxUnavailable: 10%}}`},
		{"DaemonSet", "updateStrategy", `{type: OnDelete}`, `{type: OnDelete}`},
	} {
		got := renderObjects(t, `{app: shop, version: v1, workload: {kind: `+c.kind+`, `+c.field+`: `+c.values+`, containers: {main: {image: {repository: m, tag: "1"}}}}}`)
		strategy := got.get(t, c.kind+"/shop-v1").Object["spec"].(map[string]any)[c.field]
		assert.Equal(t, any(parse(t, c.want)), strategy, c.kind+" "+c.values)
	}
}

// TestSomeServersKnowNoMaxUnavailable: of StatefulSets, as Kubernetes had it off, on, off and on again; they drop it, and a tool that compares would see a difference for ever.
func TestSomeServersKnowNoMaxUnavailable(t *testing.T) {
	chart, err := chart3()
	require.NoError(t, err)
	values := parse(t, `{app: shop, version: v1, workload: {kind: StatefulSet, containers: {main: {image: {repository: m, tag: "1"}}}}}`)
	for version, want := range map[string]string{
		"v1.34.9": `{partition: 0}`, "v1.35.0": `{partition: 0, maxUnavailable: 1}`, "v1.35.3+k3s1": `{partition: 0, maxUnavailable: 1}`,
		"v1.35.4-eks-1": `{partition: 0}`, "v1.36.9": `{partition: 0}`, "v1.37.0-gke.1": `{partition: 0, maxUnavailable: 1}`,
	} {
		manifest, _, err := helm3.Template(t.Context(), chart, helm3.Spec{Name: "demo", Namespace: namespace, Values: values}, helm3.Capabilities{KubeVersion: version})
		require.NoError(t, err)
		got := decoded(t, manifest).get(t, "StatefulSet/shop-v1").Object["spec"].(map[string]any)["updateStrategy"]
		assert.Equal(t, any(parse(t, want)), got.(map[string]any)["rollingUpdate"], version)
	}
}
