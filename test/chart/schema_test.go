package chart_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// shapes has a fragment for each kind of rule that the schema owns, on top of minimal, and the lines
// that Helm prints about it.
var shapes = []struct {
	name, layer string
	want        []string
}{
	{"no app", `app: null`, []string{`at '/app': got null, want string`}},
	{"a version that is a number", `version: 1.0`, []string{`at '/version': got number, want null or string`}},
	{"an illegal version", `version: v1+2`, []string{`at '/version': 'v1+2' does not match pattern '^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'`}},
	{"an unknown block", `workloads: {}`, []string{`at '': additional properties 'workloads' not allowed`}},
	{"a mistyped key of ours", `workload: {replica: 1}`, []string{`at '/workload': additional properties 'replica' not allowed`}},
	{"a mistyped key of Kubernetes'", `workload: {containers: {main: {livenessProbe: {httpGt: {port: 80}}}}}`,
		[]string{`at '/workload/containers/main/livenessProbe': additional properties 'httpGt' not allowed`}},
	{"a mistyped key deep in Kubernetes' types", `workload: {affinity: {nodeAffinity: {required: []}}}`,
		[]string{`at '/workload/affinity/nodeAffinity': additional properties 'required' not allowed`}},
	{"a mistyped key of Istio's", `routing: {stage: a, stages: [{name: a, weights: {v1: 100}}], trafficPolicy: {loadbalancer: {}}}`,
		[]string{`at '/routing/trafficPolicy': additional properties 'loadbalancer' not allowed`}},
	{"a kind that is none", `workload: {kind: ReplicaSet}`,
		[]string{`at '/workload/kind': value must be one of 'Deployment', 'StatefulSet', 'DaemonSet', 'Job', 'CronJob', <nil>`}},
	{"a way of exposure that is none", `exposure: {kind: nginx, hosts: [a]}`, []string{`at '/exposure/kind': value must be one of 'istio', 'gatewayAPI', 'ingress', 'route'`}},
	{"a port name that is too long", `workload: {containers: {main: {ports: {http-administration: {containerPort: 1}}}}}`,
		[]string{`at '/workload/containers/main/ports': additional properties 'http-administration' not allowed`}},
	{"a container name with capitals", `workload: {containers: {Main: {image: {repository: a, tag: a}}}}`,
		[]string{`at '/workload/containers': additional properties 'Main' not allowed`}},
	{"weights that are no integers", `routing: {stage: a, stages: [{name: a, weights: {v1: 99.5, v2: -1}}]}`,
		[]string{`at '/routing/stages/0/weights/v1': got number, want null or integer`, `at '/routing/stages/0/weights/v2': minimum: got -1, want 0`}},
	{"a tag that is a number", `workload: {containers: {main: {image: {tag: 1.10}}}}`,
		[]string{`at '/workload/containers/main/image/tag': got number, want null or string`}},
	{"a duration without a unit", `routing: {stage: a, stages: [{name: a, weights: {v1: 100}}], timeout: "10"}`,
		[]string{`at '/routing/timeout': '10' does not match pattern '^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$'`}},
	{"an egress gateway without its namespace", `egress: {gateway: {host: egress}}`,
		[]string{`at '/egress/gateway/host': 'egress' does not match pattern '^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$'`}},
	{"a Gateway in a namespace that is none", `exposure: {kind: istio, hosts: [a.example.com], gateway: {existing: ./shared}}`,
		[]string{`at '/exposure/gateway/existing': './shared' does not match pattern '^([a-z0-9]([-a-z0-9]*[a-z0-9])?/)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'`}},
	{"an account's name with nothing between two dots", `identity: {name: a..b}`,
		[]string{`at '/identity/name': 'a..b' does not match pattern '^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'`}},
	{"hosts with capitals", `{egress: {hosts: {db: {host: DB.example.com, port: 1}}}, exposure: {kind: ingress, hosts: [Shop.example.com, "*.Example.com"]}}`, []string{
		`at '/egress/hosts/db/host': 'DB.example.com' does not match pattern '^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'`,
		`at '/exposure/hosts/0': 'Shop.example.com' does not match pattern '^(\\*|(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)$'`,
		`at '/exposure/hosts/1': '*.Example.com' does not match pattern '^(\\*|(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)$'`}},
	{"a label that Kubernetes refuses", `workload: {labels: {"a b": c, d: "e f"}}`, []string{
		`at '/workload/labels': additional properties 'a b' not allowed`,
		`at '/workload/labels/d': 'e f' does not match pattern '^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$'`}},
	{"an annotation that Kubernetes refuses", `workload: {podAnnotations: {"a b": any value}}`,
		[]string{`at '/workload/podAnnotations': additional properties 'a b' not allowed`}},
	{"a selector of no labels", `exposure: {kind: istio, hosts: [a], gateway: {selector: {app: "no label"}}}`,
		[]string{`at '/exposure/gateway/selector/app': 'no label' does not match pattern '^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$'`}},
	{"orders that cannot be sorted", `workload: {containers: {main: {order: 99999999999}, other: {image: {repository: a}, order: -1000000000}}}`, []string{
		`at '/workload/containers/main/order': maximum: got 9.9999999999×10¹⁰, want 9.99999999×10⁰⁸`,
		`at '/workload/containers/other/order': minimum: got -1×10⁰⁹, want -9.99999999×10⁰⁸`}},
	{"no stages", `routing: {stage: a, stages: []}`, []string{`at '/routing/stages': minItems: got 0, want 1`}},
	{"what is required is missing", `routing: {}`, []string{`at '/routing': missing properties 'stage', 'stages'`}},
}

func TestSchema(t *testing.T) {
	for _, shape := range shapes {
		t.Run(shape.name, func(t *testing.T) {
			_, _, err := render4(t.Context(), "demo", with(t, shape.layer))
			require.Error(t, err)
			var got []string
			for line := range strings.SplitSeq(err.Error(), "\n") {
				line = strings.TrimPrefix(strings.TrimSpace(line), "- ")
				if strings.HasPrefix(line, "at ") && !strings.HasSuffix(line, "validation failed") {
					got = append(got, line)
				}
			}
			assert.ElementsMatch(t, shape.want, got)
		})
	}
}

// TestSchemaTakesWhatKubernetesTakes, where copies by hand go wrong.
func TestSchemaTakesWhatKubernetesTakes(t *testing.T) {
	for name, layer := range map[string]string{
		"a quantity as number, a port as name": `
workload:
  containers:
    main:
      ports: {http: {containerPort: 80}}
      resources: {limits: {cpu: 1, memory: 64Mi}}
      readinessProbe: {httpGet: {path: /, port: http}}`,
		"null removes in foreign types": `workload: {containers: {main: {livenessProbe: {httpGet: null, exec: {command: [a]}}, resources: null}}, strategy: null}`,
		"a percentage":                  `workload: {strategy: {rollingUpdate: {maxSurge: 25%, maxUnavailable: 0}}}`,
		"a claim that lives with the pod": `
workload: {volumes: {v: {ephemeral: {volumeClaimTemplate: {metadata: {labels: {a: b}}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}}}}`,
		"Istio's consistent hashing": `
routing: {stage: a, stages: [{name: a, weights: {v1: 100}}], trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x}}, outlierDetection: {consecutive5xxErrors: 5, interval: 10s}}}`,
		"Istio's faults and mirrors": `
routing: {stage: a, stages: [{name: a, weights: {v1: 100}}], fault: {delay: {percentage: {value: 0.1}, fixedDelay: 5s}}, mirror: {host: shop, subset: v1}, mirrorPercentage: {value: 10}}`,
	} {
		_, _, err := render4(t.Context(), "demo", with(t, layer))
		assert.NoError(t, err, name)
	}
}

// TestEveryFieldIsPrinted: what the schema takes from Kubernetes' types, the templates print, and the
// other way round. The two lists stand in different files.
func TestEveryFieldIsPrinted(t *testing.T) {
	raw, err := os.ReadFile(chartDir + "/values.schema.yaml")
	require.NoError(t, err)
	var source struct {
		Values struct {
			Properties map[string]level `json:"properties"`
		} `json:"values"`
		Parts map[string]level `json:"parts"`
	}
	require.NoError(t, yaml.Unmarshal(raw, &source))
	claim := source.Values.Properties["claims"].MapOf.Entry
	for _, c := range []struct {
		file, define string
		schema       []string
	}{
		{"_pod.tpl", "chart_basico.pod.fields", fields(t, source.Parts["workload"], "core.v1.PodSpec")},
		{"_container.tpl", "chart_basico.container.fields", fields(t, source.Parts["container"], "core.v1.Container")},
		{"_claim.tpl", "chart_basico.claim.fields", append(fields(t, claim, "core.v1.PersistentVolumeClaimSpec"), "accessModes")},
		{"_service.tpl", "chart_basico.service.fields", fields(t, source.Values.Properties["service"], "core.v1.ServiceSpec")},
		{"_exposure.tpl", "chart_basico.exposure.istio.fields", fields(t, source.Values.Properties["exposure"].part(t, "istio"), "istio:VirtualService.http[]")},
		{"_routing.tpl", "chart_basico.routing.fields", fields(t, source.Values.Properties["routing"], "istio:VirtualService.http[]")},
	} {
		var printed []string
		require.NoError(t, yaml.Unmarshal([]byte(define(t, c.file, c.define)), &printed))
		assert.ElementsMatch(t, c.schema, printed, c.define)
		assert.True(t, slices.IsSorted(printed), c.define)
	}

	var byKind map[string][]string
	require.NoError(t, yaml.Unmarshal([]byte(define(t, "_workload.tpl", "chart_basico.workload.fields")), &byKind))
	var ofJobs []string
	for _, f := range byKind["Job"] {
		if f != "restartPolicy" {
			ofJobs = append(ofJobs, f)
		}
	}
	assert.ElementsMatch(t, fields(t, source.Parts["workload"], "batch.v1.JobSpec"), ofJobs)
	for kind, names := range byKind {
		for _, name := range names {
			_, ours := source.Parts["workload"].Properties[name]
			assert.True(t, ours || slices.Contains(ofJobs, name), "%s.%s is not in the schema", kind, name)
		}
	}
}

// mapOf is a map of the source whose entries are a level of their own.
type mapOf struct {
	Entry level `json:"entry"`
}

// level is what TestEveryFieldIsPrinted reads of a level of the source.
type level struct {
	Properties map[string]any `json:"properties"`
	FieldsOf   any            `json:"fieldsOf"`
	MapOf      *mapOf         `json:"mapOf"`
}

// part is a level below, by its name.
func (l level) part(t *testing.T, name string) (out level) {
	raw, err := yaml.Marshal(l.Properties[name])
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(raw, &out))
	return out
}

func fields(t *testing.T, l level, of string) (out []string) {
	all, ok := l.FieldsOf.([]any)
	if !ok {
		all = []any{l.FieldsOf}
	}
	for _, f := range all {
		if f := f.(map[string]any); f["type"] == of {
			for _, name := range f["fields"].([]any) {
				out = append(out, name.(string))
			}
		}
	}
	require.NotEmpty(t, out, of)
	return out
}

// define is the text of a define in templates/lib.
func define(t *testing.T, file, name string) string {
	raw, err := os.ReadFile(chartDir + "/templates/lib/" + file)
	require.NoError(t, err)
	m := regexp.MustCompile(`(?s)\{\{- define "` + regexp.QuoteMeta(name) + `" -\}\}\n(.*?)\{\{- end -\}\}`).FindSubmatch(raw)
	require.NotNil(t, m, name)
	return string(m[1])
}
