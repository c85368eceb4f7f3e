package diff

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "renew the table in docs/diff.md")

// parse reads documents of YAML, apart by lines of three dashes.
func parse(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	for _, doc := range strings.Split(text, "\n---\n") {
		if strings.TrimSpace(doc) == "" {
			continue
		}
		data, err := yaml.YAMLToJSONStrict([]byte(doc))
		require.NoError(t, err, doc)
		o := &unstructured.Unstructured{}
		require.NoError(t, o.UnmarshalJSON(data), doc)
		out = append(out, o)
	}
	return out
}

func manifest(kind, rest string) string {
	group := map[string]string{
		"Deployment": "apps/v1", "StatefulSet": "apps/v1", "Job": "batch/v1", "CronJob": "batch/v1", "Ingress": "networking.k8s.io/v1",
		"NetworkPolicy": "networking.k8s.io/v1", "PodDisruptionBudget": "policy/v1", "HorizontalPodAutoscaler": "autoscaling/v2",
		"VirtualService": "networking.istio.io/v1", "DestinationRule": "networking.istio.io/v1", "ServiceEntry": "networking.istio.io/v1",
		"Gateway": "networking.istio.io/v1", "Role": "rbac.authorization.k8s.io/v1", "RoleBinding": "rbac.authorization.k8s.io/v1",
		"AuthorizationPolicy": "security.istio.io/v1", "HTTPRoute": "gateway.networking.k8s.io/v1", "Route": "route.openshift.io/v1",
	}[kind]
	if group == "" {
		group = "v1"
	}
	head := fmt.Sprintf("apiVersion: %s\nkind: %s\n", group, kind)
	if !strings.HasPrefix(rest, "metadata:") {
		head += "metadata: {name: x, namespace: ns}\n"
	}
	return head + rest
}

const template = "spec:\n  selector: {matchLabels: {app: a}}\n  replicas: 2\n  template:\n    metadata: {labels: {app: a}}\n    spec:\n      containers: [{name: c, image: i:1, env: [{name: A, value: x}, {name: B, value: y}]}]\n      volumes: [{name: v, persistentVolumeClaim: {claimName: one}}]\n"

// edits is one change of one object: what is judged, and where.
var edits = []struct {
	kind, object, from, to string
	rule                   string // "" where nothing changes
	path                   string
}{
	{"Deployment", template, "i:1", "i:2", "restart", "spec.template.spec.containers[c].image"},
	{"Deployment", template, "{name: A, value: x}, ", "", "restart", "spec.template.spec.containers[c].env[A]"},
	{"Deployment", template, "replicas: 2", "replicas: 3", "settings", "spec.replicas"},
	{"Deployment", template, "replicas: 2", "replicas: 0", "stopped", "spec.replicas"},
	{"Deployment", template, "matchLabels: {app: a}", "matchLabels: {app: a, b: c}", "immutable-field", "spec.selector.matchLabels.b"},
	{"Deployment", template, "claimName: one", "claimName: two", "storage", "spec.template.spec.volumes[v].persistentVolumeClaim.claimName"},
	{"Deployment", template, "      volumes: [{name: v, persistentVolumeClaim: {claimName: one}}]\n", "", "storage", "spec.template.spec.volumes"},
	{"Deployment", template, "metadata: {labels: {app: a}}", "metadata: {labels: {app: a, sidecar.istio.io/inject: 'false'}}", "mesh", "spec.template.metadata.labels[sidecar.istio.io/inject]"},
	{"Deployment", template, "metadata: {labels: {app: a}}", "metadata: {labels: {app: a}, annotations: {sidecar.istio.io/inject: 'false'}}", "mesh", "spec.template.metadata.annotations"},
	{"Deployment", template, "metadata: {labels: {app: a}}", "metadata: {labels: {app: a}, annotations: {team: a}}", "restart", "spec.template.metadata.annotations"},
	{"Deployment", template, "metadata: {labels: {app: a}}", "metadata: {labels: {app: a}, annotations: {}}", "", ""},
	{"StatefulSet", template, "i:1", "i:2", "restart", "spec.template.spec.containers[c].image"},
	{"StatefulSet", template, "  replicas: 2\n", "  replicas: 2\n  serviceName: s\n", "immutable-field", "spec.serviceName"},
	{"StatefulSet", template, "  replicas: 2\n", "  replicas: 2\n  updateStrategy: {type: OnDelete}\n", "settings", "spec.updateStrategy"},
	{"Job", template, "i:1", "i:2", "immutable-field", "spec.template.spec.containers[c].image"},
	{"Job", "metadata: {name: x, annotations: {helm.sh/hook: pre-install}}\n" + template, "i:1", "i:2", "settings", "spec.template.spec.containers[c].image"},
	{"CronJob", "spec: {suspend: false}\n", "false", "true", "stopped", "spec.suspend"},
	{"PersistentVolumeClaim", "spec: {resources: {requests: {storage: 2Gi}}}\n", "2Gi", "3000Mi", "settings", "spec.resources.requests.storage"},
	{"PersistentVolumeClaim", "spec: {resources: {requests: {storage: 2Gi}}}\n", "2Gi", "2000Mi", "immutable-field", "spec.resources.requests.storage"},
	{"PersistentVolumeClaim", "spec: {storageClassName: a}\n", "a}", "b}", "immutable-field", "spec.storageClassName"},
	{"Service", "spec: {selector: {app: a}}\n", "app: a", "app: a, b: c", "selector", "spec.selector.b"},
	{"Service", "spec: {clusterIP: None}\n", "{clusterIP: None}", "{}", "address-kept", "spec.clusterIP"},
	{"Service", "spec: {}\n", "{}", "{clusterIP: None}", "immutable-field", "spec.clusterIP"},
	{"Service", "spec: {ipFamilies: [IPv4]}\n", "[IPv4]", "[IPv6]", "immutable-field", "spec.ipFamilies[IPv4]"},
	{"Service", "spec: {ipFamilies: [IPv4, IPv6]}\n", "[IPv4, IPv6]", "[IPv6, IPv4]", "immutable-field", "spec.ipFamilies"},
	{"Service", "spec: {ipFamilies: [IPv4]}\n", "[IPv4]", "[IPv4, IPv6]", "settings", "spec.ipFamilies[IPv6]"},
	{"Service", "spec: {ipFamilies: [IPv4]}\n", "{ipFamilies: [IPv4]}", "{}", "settings", "spec.ipFamilies"},
	{"Service", "spec: {clusterIP: None, ipFamilies: [IPv4]}\n", "[IPv4]", "[IPv6]", "settings", "spec.ipFamilies[IPv4]"},
	{"Service", "spec: {type: LoadBalancer}\n", "LoadBalancer", "LoadBalancer, loadBalancerClass: a/b", "immutable-field", "spec.loadBalancerClass"},
	{"Service", "spec: {}\n", "{}", "{type: LoadBalancer, loadBalancerClass: a/b}", "settings", "spec.loadBalancerClass"},
	{"Service", "spec: {type: LoadBalancer, externalTrafficPolicy: Local}\n", "Local", "Local, healthCheckNodePort: 30000", "immutable-field", "spec.healthCheckNodePort"},
	{"Service", "spec: {type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 30000}\n", ", healthCheckNodePort: 30000", "", "settings", "spec.healthCheckNodePort"},
	{"Service", "spec: {type: LoadBalancer}\n", "LoadBalancer", "LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 30000", "settings", "spec.externalTrafficPolicy"},
	{"Service", "spec: {ports: [{name: http, port: 80}]}\n", "port: 80", "port: 81", "port", "spec.ports[http].port"},
	{"Service", "spec: {ports: [{name: http, port: 80}]}\n", "port: 80", "port: 80, targetPort: 8080", "settings", "spec.ports[http].targetPort"},
	{"Service", "spec: {ports: [{name: http, port: 80}]}\n", "[{name: http, port: 80}]", "[{name: http, port: 80}, {name: grpc, port: 90}]", "settings", "spec.ports[grpc]"},
	{"Service", "spec: {ports: [{name: http, port: 80}]}\n", "[{name: http, port: 80}]", "[{name: http, port: 80}, {name: grpc, port: 90, appProtocol: grpc}]", "settings", "spec.ports[grpc]"},
	{"Service", "spec: {ports: [{name: http, port: 80}]}\n", "port: 80", "port: 80, appProtocol: http", "port", "spec.ports[http].appProtocol"},
	{"Service", "spec: {ports: [{name: http, port: 80}, {name: grpc, port: 90}]}\n", ", {name: grpc, port: 90}", "", "port", "spec.ports[grpc]"},
	{"Service", "", "metadata: {name: x, namespace: ns}", "metadata: {name: x, namespace: ns}\nspec: {clusterIP: None}", "immutable-field", "spec"},
	{"Secret", "type: Opaque\ndata: {k: YQ==}\n", "YQ==", "Yg==", "configuration", "data.k"},
	{"Secret", "type: Opaque\n", "Opaque", "kubernetes.io/tls", "immutable-field", "type"},
	{"ConfigMap", "data: {k: a}\n", "k: a", "k: b", "configuration", "data.k"},
	{"ConfigMap", "immutable: true\ndata: {k: a}\n", "k: a", "k: b", "immutable-field", "data.k"},
	{"RoleBinding", "roleRef: {name: a}\n", "a}", "b}", "immutable-field", "roleRef.name"},
	{"Role", "rules: [{verbs: [get]}]\n", "[get]", "[get, list]", "access", "rules[0].verbs[list]"},
	{"AuthorizationPolicy", "spec: {action: ALLOW}\n", "ALLOW", "DENY", "access", "spec.action"},
	{"NetworkPolicy", "spec: {podSelector: {matchLabels: {a: b}}}\n", "a: b", "a: c", "selector", "spec.podSelector.matchLabels.a"},
	{"HorizontalPodAutoscaler", "spec: {scaleTargetRef: {name: a}}\n", "a}", "b}", "selector", "spec.scaleTargetRef.name"},
	{"PodDisruptionBudget", "spec: {minAvailable: 1}\n", "e: 1", "e: 2", "settings", "spec.minAvailable"},
	{"Ingress", "spec: {rules: [{host: a.example}, {host: b.example}]}\n", ", {host: b.example}", "", "host", "spec.rules[b.example]"},
	{"Ingress", "spec: {rules: [{host: a.example}]}\n", "{host: a.example}", "{host: a.example}, {host: b.example}", "settings", "spec.rules[b.example]"},
	{"Ingress", "spec: {rules: [{http: {}}]}\n", "http: {}", "host: a.example, http: {}", "host", "spec.rules[0].host"},
	{"Ingress", "spec: {rules: [{http: {}}]}\n", "{http: {}}", "{http: {}}, {host: a.example}", "settings", "spec.rules[1]"},
	{"Ingress", "spec: {rules: [{host: a, http: {paths: [{path: /}]}}]}\n", "path: /", "path: /x", "route", "spec.rules[a].http.paths[/]"},
	{"HTTPRoute", "spec: {hostnames: [a, b]}\n", ", b", "", "host", "spec.hostnames[b]"},
	{"HTTPRoute", "spec: {rules: []}\n", "rules", "hostnames: [a], rules", "host", "spec.hostnames"},
	{"HTTPRoute", "spec: {hostnames: [a]}\n", "[a]", "[a, b]", "settings", "spec.hostnames[b]"},
	{"HTTPRoute", "spec: {rules: [{timeouts: {request: 1s}}]}\n", "1s", "2s", "settings", "spec.rules[0].timeouts.request"},
	{"Route", "spec: {host: a}\n", "host: a", "host: b", "host", "spec.host"},
	{"Gateway", "spec: {selector: {istio: a}}\n", "istio: a", "istio: b", "selector", "spec.selector.istio"},
	{"VirtualService", "spec: {hosts: [a]}\n", "[a]", "[a, b]", "settings", "spec.hosts[b]"},
	{"VirtualService", "spec: {hosts: [a]}\n", "[a]", "[b]", "host", "spec.hosts[a]"},
	{"VirtualService", "spec: {hosts: [a]}\n", "[a]", "[a], exportTo: [.]", "host", "spec.exportTo"},
	{"VirtualService", "spec: {hosts: [a]}\n", "[a]", "[a], exportTo: ['*']", "settings", "spec.exportTo"},
	{"VirtualService", "spec: {hosts: [a], exportTo: [.]}\n", "[.]", "[., b]", "settings", "spec.exportTo[b]"},
	{"VirtualService", "spec: {hosts: [a]}\n", "[a]", "[a], gateways: [g/g]", "host", "spec.gateways"},
	{"VirtualService", "spec: {hosts: [a]}\n", "[a]", "[a], gateways: [g/g, mesh]", "settings", "spec.gateways"},
	{"VirtualService", "spec: {http: [{timeout: 1s, route: [{weight: 90}, {weight: 10}]}]}\n", "90", "80", "route", "spec.http[0].route[0].weight"},
	{"VirtualService", "spec: {http: [{timeout: 1s, route: [{weight: 100}]}]}\n", "1s", "2s", "settings", "spec.http[0].timeout"},
	{"DestinationRule", "spec: {subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}\n", ", {name: v2, labels: {version: v2}}", "", "route", "spec.subsets[v2]"},
	{"DestinationRule", "spec: {subsets: [{name: v1, labels: {version: v1}}]}\n", "version: v1", "version: v2", "selector", "spec.subsets[v1].labels.version"},
	{"DestinationRule", "spec: {trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}\n", "ISTIO_MUTUAL", "DISABLE", "access", "spec.trafficPolicy.tls.mode"},
	{"DestinationRule", "spec: {host: a}\n", "host: a", "host: a, trafficPolicy: {tls: {mode: DISABLE}}", "access", "spec.trafficPolicy"},
	{"DestinationRule", "spec: {host: a}\n", "host: a", "host: a, trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]}", "access", "spec.trafficPolicy"},
	{"DestinationRule", "spec: {host: a}\n", "host: a", "host: a, exportTo: [.]", "host", "spec.exportTo"},
	{"DestinationRule", "spec: {host: a, exportTo: [., b]}\n", ", b", "", "host", "spec.exportTo[b]"},
	{"DestinationRule", "spec: {host: a}\n", "host: a", "host: a, trafficPolicy: {loadBalancer: {simple: RANDOM}}", "settings", "spec.trafficPolicy"},
	{"DestinationRule", "spec: {subsets: [{name: v1}]}\n", "{name: v1}", "{name: v1, trafficPolicy: {tls: {mode: DISABLE}}}", "access", "spec.subsets[v1].trafficPolicy"},
	{"DestinationRule", "spec: {subsets: [{name: v1}]}\n", "{name: v1}", "{name: v1, trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]}}", "access", "spec.subsets[v1].trafficPolicy"},
	{"DestinationRule", "spec: {subsets: [{name: v1}]}\n", "{name: v1}", "{name: v1}, {name: v2, trafficPolicy: {tls: {mode: DISABLE}}}", "settings", "spec.subsets[v2]"},
	{"DestinationRule", "spec: {subsets: [{name: v1}]}\n", "{name: v1}", "{name: v1}, {name: v2}", "settings", "spec.subsets[v2]"},
	{"DestinationRule", "spec: {trafficPolicy: {outlierDetection: {interval: 5s}}}\n", "{interval: 5s}", "{}", "emptied-object", "spec.trafficPolicy.outlierDetection"},
	{"NetworkPolicy", "spec: {podSelector: {matchLabels: {a: b}}}\n", "{matchLabels: {a: b}}", "{}", "selector", "spec.podSelector.matchLabels"},
	{"ServiceEntry", "spec: {hosts: [a, b]}\n", ", b", "", "host", "spec.hosts[b]"},
	{"ServiceEntry", "spec: {hosts: [a]}\n", "[a]", "[a], exportTo: [.]", "host", "spec.exportTo"},
	{"Namespace", "metadata: {name: n, labels: {istio-injection: enabled}}\n", "enabled", "disabled", "mesh", "metadata.labels.istio-injection"},
	{"Namespace", "metadata: {name: n, labels: {}}\n", "{}", "{pod-security.kubernetes.io/enforce: restricted}", "mesh", "metadata.labels[pod-security.kubernetes.io/enforce]"},
	{"Namespace", "metadata: {name: n}\n", "name: n", "name: n, labels: {istio-injection: enabled}", "mesh", "metadata.labels"},
	{"Namespace", "metadata: {name: n}\n", "name: n", "name: n, annotations: {helm.sh/resource-policy: keep}", "settings", "metadata.annotations"},
	{"Namespace", "metadata: {name: n, annotations: {a: b}}\n", "a: b", "a: b, helm.sh/resource-policy: keep", "settings", "metadata.annotations[helm.sh/resource-policy]"},
	{"Namespace", "metadata: {name: n, annotations: {helm.sh/resource-policy: keep}}\n", ", annotations: {helm.sh/resource-policy: keep}", "", "kept", "metadata.annotations"},
	{"Namespace", "metadata: {name: n, labels: {team: a}}\n", "team: a", "team: b", "settings", "metadata.labels.team"},
	{"ConfigMap", "metadata: {name: n, labels: {team: a}}\n", "team: a", "team: b", "metadata", "metadata.labels.team"},
	{"ConfigMap", "metadata: {name: n, annotations: {team: a}}\n", "team: a", "team: b", "settings", "metadata.annotations.team"},
	{"Ingress", "", "networking.k8s.io/v1", "networking.k8s.io/v1beta1", "api-version", "apiVersion"},
	{"ConfigMap", "", "name: x", "name: y", "object-renamed", ""},
	{"Job", "", "name: x", "name: y", "job-rerun", ""},
}

// The rule of every kind of change of an object.
func TestEdits(t *testing.T) {
	for _, e := range edits {
		t.Run(e.kind+" "+e.path+" "+e.rule, func(t *testing.T) {
			before := manifest(e.kind, e.object)
			require.Contains(t, before, e.from)
			got := objects(parse(t, before), parse(t, strings.Replace(before, e.from, e.to, 1)), nil)
			if e.rule == "" {
				assert.Empty(t, got)
				return
			}
			require.NotEmpty(t, got)
			assert.Equal(t, e.rule, got[0].Rule)
			assert.Equal(t, e.path, got[0].Path)
			assert.Equal(t, Highest(got), got[0].Level, "nothing graver is said: %v", got)
			assert.NotContains(t, fmt.Sprint(got), "YQ==", "no secret is shown")
			assert.NotContains(t, fmt.Sprint(got), "Yg==", "no secret is shown")
			same := objects(parse(t, before), parse(t, before), nil)
			assert.Empty(t, same)
		})
	}
}

// one is a release of these objects.
func one(t *testing.T, text string) []Release {
	return []Release{{Environment: "e", Name: "r", Objects: parse(t, text)}}
}

// The rules that are of no field of an object, with what is compared.
func others(t *testing.T) map[string][]Change {
	t.Helper()
	service, deployment := manifest("Service", "spec: {selector: {app: a}}\n"), manifest("Deployment", template)
	relabelled := strings.Replace(deployment, "metadata: {labels: {app: a}}", "metadata: {labels: {app: b}}", 1)
	refused := []Release{{Environment: "e", Name: "r", Refused: []string{"no"}}}
	charts := func(was, now Chart) []Change {
		was.Version, now.Version = "1.0.0", "1.0.0"
		out, err := Charts(was, now)
		require.NoError(t, err)
		return out
	}
	schema := func(was, now string) []Change { return charts(Chart{Schema: []byte(was)}, Chart{Schema: []byte(now)}) }
	return map[string][]Change{
		"values-refused":        Releases(one(t, service), refused),
		"values-accepted":       Releases(refused, one(t, service)),
		"object-added":          Releases(nil, one(t, service)),
		"object-removed":        Releases(one(t, service), one(t, "")),
		"object-kept":           Releases(one(t, keptNamespace), one(t, "")),
		"object-moved":          Releases(append(one(t, ""), Release{Environment: "e", Name: "s", Objects: parse(t, service)}), one(t, service)),
		"release-dropped":       Releases(one(t, service), nil),
		"release-uninstalled":   Releases(one(t, keptNamespace), []Release{{Environment: "e", Name: "r", Absent: true}}),
		"renamed":               {Renamed("e", "d", "e")},
		"access":                Releases(nil, one(t, manifest("NetworkPolicy", ""))),
		"selection-lost":        Releases(one(t, service+"\n---\n"+deployment), one(t, service+"\n---\n"+relabelled)),
		"chart-renamed":         charts(Chart{Name: "a"}, Chart{Name: "b"}),
		"kube-version-narrowed": charts(Chart{KubeVersion: ">=1.31.0-0"}, Chart{KubeVersion: ">=1.32.0-0"}),
		"kube-version-widened":  charts(Chart{KubeVersion: ">=1.31.0-0"}, Chart{}),
		"archive":               charts(Chart{Archive: "a"}, Chart{Archive: "b"}),
		"key-removed":           schema(`{"properties":{"a":{},"b":{}},"additionalProperties":false}`, `{"properties":{"a":{}},"additionalProperties":false}`),
		"key-added":             schema(`{"properties":{"a":{}},"additionalProperties":false}`, `{"properties":{"a":{},"b":{}},"additionalProperties":false}`),
		"key-required":          schema(`{"properties":{"a":{}}}`, `{"properties":{"a":{}},"required":["a"]}`),
		"value-narrowed":        schema(`{"properties":{"a":{"enum":["x","y"]}}}`, `{"properties":{"a":{"enum":["x"]}}}`),
		"value-widened":         schema(`{"properties":{"a":{"type":"integer"}}}`, `{"properties":{"a":{"type":"number"}}}`),
	}
}

const keptNamespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: x, annotations: {helm.sh/resource-policy: keep}}\n"

// An object that Helm keeps is neither deleted nor renamed.
func TestKept(t *testing.T) {
	got := Releases(one(t, keptNamespace), one(t, strings.Replace(keptNamespace, "name: x", "name: z", 1)))
	require.Len(t, got, 2)
	assert.Equal(t, Change{Rule: "object-added", Level: Minor, Environment: "e", Release: "r", Object: "Namespace/z", New: "added", Meaning: "the object is made by the upgrade"}, got[0])
	assert.Equal(t, Change{Rule: "object-kept", Level: Minor, Environment: "e", Release: "r", Object: "Namespace/x", New: "kept",
		Meaning: "Helm keeps the object, as its annotation asks: it stays as it is, and belongs to no release any more"}, got[1])
	other := strings.Replace(keptNamespace, "policy: keep", "policy: drop", 1)
	assert.Equal(t, "object-removed", Releases(one(t, other), one(t, ""))[0].Rule)
}

// Helm takes no object of another release, unless Helmfile uninstalled that first.
func TestObjectThatMoves(t *testing.T) {
	service := manifest("Service", "")
	s := func(text string) Release { return Release{Environment: "e", Name: "s", Objects: parse(t, text)} }
	absent := Release{Environment: "e", Name: "s", Absent: true}
	for name, c := range map[string]struct {
		before, after []Release
		want          []string
	}{
		"of one that is dropped":     {append(one(t, ""), s(service)), one(t, service), []string{"r object-moved of s", "s release-dropped listed"}},
		"of one that is upgraded":    {append(one(t, ""), s(service)), append(one(t, service), s("")), []string{"r object-moved of s", "s object-removed "}},
		"of one that is uninstalled": {append(one(t, ""), s(service)), append(one(t, service), absent), []string{"s object-removed ", "s release-uninstalled installed", "r object-added "}},
		"that is kept":               {append(one(t, ""), s(keptNamespace)), append(one(t, keptNamespace), absent), []string{"r object-moved of s", "s release-uninstalled installed", "s object-kept "}},
		"to a new release":           {[]Release{s(service)}, one(t, service), []string{"r object-moved of s", "s release-dropped listed"}},
		"in both before":             {append(one(t, service), s(service)), one(t, service), []string{"s release-dropped listed"}},
		"in another environment":     {[]Release{{Environment: "d", Name: "s", Objects: parse(t, service)}}, one(t, service), []string{"r object-added ", "s release-dropped listed"}},
		"in a values file by itself": {[]Release{{Name: "s", Objects: parse(t, service)}}, []Release{{Name: "r", Objects: parse(t, service)}}, []string{"r object-added ", "s release-dropped listed"}},
		"what a chart's crds has":    {append(one(t, ""), s(definition)), one(t, definition), []string{"r object-added ", "s release-dropped listed"}},
		"a hook":                     {append(one(t, ""), s(hook)), one(t, hook), []string{"r object-added ", "s release-dropped listed"}},
	} {
		var got []string
		for _, change := range Releases(c.before, c.after) {
			got = append(got, change.Release+" "+change.Rule+" "+change.Old)
		}
		assert.Equal(t, c.want, got, name)
	}
	kept := Releases(append(one(t, ""), s(keptNamespace)), one(t, keptNamespace))[0]
	assert.Equal(t, "Helm keeps it as the other release's and refuses the upgrade, unless that is run with --take-ownership", kept.Meaning)
}

const hook = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: ns, annotations: {helm.sh/hook: pre-install}}\n"

const definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: x}\n"

// A DestinationRule that goes as a whole is judged by what it says: only subsets are missed by routes.
func TestDestinationRuleThatGoes(t *testing.T) {
	for spec, want := range map[string]string{
		"{host: a, subsets: [{name: v1}]}":                                       "object-removed: its policy is gone, and its subsets are unknown: routes to them answer 503",
		"{host: a, trafficPolicy: {loadBalancer: {simple: RANDOM}}}":             "settings: its policy is gone: requests to its host go by Istio's defaults",
		"{host: a, subsets: []}":                                                 "settings: its policy is gone: requests to its host go by Istio's defaults",
		"{host: a, trafficPolicy: {tls: {mode: SIMPLE}}}":                        "access: what may be called, or done, changes: traffic that passed may be refused",
		"{host: a, trafficPolicy: {portLevelSettings: [{tls: {mode: SIMPLE}}]}}": "access: what may be called, or done, changes: traffic that passed may be refused",
	} {
		got := Releases(one(t, manifest("DestinationRule", "spec: "+spec)), one(t, ""))
		require.Len(t, got, 1, spec)
		assert.Equal(t, want, got[0].Rule+": "+got[0].Meaning, spec)
		assert.Equal(t, "DestinationRule/ns/x removed", got[0].Object+" "+got[0].New, spec)
	}
}

// One that comes may change how requests are encrypted, unless nobody sent to its host yet.
func TestDestinationRuleThatComes(t *testing.T) {
	for spec, want := range map[string]string{
		"{host: a, trafficPolicy: {loadBalancer: {simple: RANDOM}}}":                                   "object-added",
		"{host: a, trafficPolicy: {tls: {mode: DISABLE}}}":                                             "access",
		"{host: a, trafficPolicy: {portLevelSettings: [{port: {number: 80}}, {tls: {mode: SIMPLE}}]}}": "access",
		"{host: a, subsets: [{name: v1}, {name: v2, trafficPolicy: {tls: {mode: SIMPLE}}}]}":           "access",
		"{host: a, subsets: [{trafficPolicy: {portLevelSettings: [{tls: {mode: SIMPLE}}]}}]}":          "access",
		"{host: new, trafficPolicy: {tls: {mode: DISABLE}}}":                                           "object-added",
		"{host: new.example.com, trafficPolicy: {tls: {mode: SIMPLE}}}":                                "object-added",
	} {
		hosts := manifest("Service", "metadata: {name: new, namespace: ns}\n") + "\n---\n" + manifest("ServiceEntry", "spec: {hosts: [b.example.com, new.example.com]}")
		got := Releases(one(t, ""), one(t, hosts+"\n---\n"+manifest("DestinationRule", "spec: "+spec)))
		require.Len(t, got, 3, spec)
		i := slices.IndexFunc(got, func(c Change) bool { return c.Object == "DestinationRule/ns/x" })
		assert.Equal(t, want, got[i].Rule, spec)
	}
}

// No upgrade touches a release that is listed no more; one that is not to be installed goes with its objects.
func TestReleaseThatGoes(t *testing.T) {
	services := manifest("Service", "") + "\n---\n" + keptNamespace
	absent := []Release{{Environment: "e", Name: "r", Absent: true}}
	said := func(before, after []Release) (out []string) {
		for _, c := range Releases(before, after) {
			out = append(out, strings.TrimSpace(c.Environment+" "+c.Release+" "+c.Rule+" "+c.Object))
		}
		return out
	}
	assert.Equal(t, []string{"e r release-dropped"}, said(one(t, services), nil))
	assert.Equal(t, []string{"e r release-dropped"}, said([]Release{{Environment: "e", Name: "r", Refused: []string{"no"}}}, nil))
	assert.Equal(t, []string{"e r object-removed Service/ns/x", "e r release-uninstalled", "e r object-kept Namespace/x"}, said(one(t, services), absent))
	assert.Equal(t, []string{"e r object-added Namespace/x", "e r object-added Service/ns/x"}, said(absent, one(t, services)))
	assert.Empty(t, said(absent, nil))
	assert.Empty(t, said(absent, []Release{{Environment: "e", Name: "r", Refused: []string{"no"}}}), "nothing ran that is refused")
	assert.Empty(t, said(nil, absent))
	assert.Empty(t, said(absent, absent))
}

func TestOthers(t *testing.T) {
	for name, changes := range others(t) {
		require.NotEmpty(t, changes, name)
		assert.Equal(t, name, changes[0].Rule)
	}
	lost := others(t)["selection-lost"][0]
	assert.Equal(t, "Service/ns/x", lost.Object)
	assert.Equal(t, "selects Deployment/ns/x", lost.Old)
}

// Every rule has a case that trips it, and docs/diff.md says what the rules say.
func TestEveryRule(t *testing.T) {
	tried := map[string]bool{}
	for _, e := range edits {
		tried[e.rule] = true
	}
	for name := range others(t) {
		tried[name] = true
	}
	var table strings.Builder
	table.WriteString("| rule | level | what it means for a running system |\n| --- | --- | --- |\n")
	names := map[string]bool{}
	for _, r := range rules {
		assert.True(t, tried[r.Name], "no case trips %s", r.Name)
		assert.False(t, names[r.Name], "%s stands twice", r.Name)
		names[r.Name] = true
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", r.Name, r.Level, r.Meaning)
	}
	for _, j := range judgements {
		assert.True(t, names[j.rule.Name], "%s is not listed", j.rule.Name)
	}
	const page, begin, end = "../../docs/diff.md", "<!-- rules -->\n", "<!-- /rules -->"
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(text), begin)
	require.True(t, ok)
	_, tail, ok := strings.Cut(rest, end)
	require.True(t, ok)
	want := head + begin + table.String() + end + tail
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(want), 0o644))
		return
	}
	assert.Equal(t, want, string(text), "renew it with go test ./pkg/diff -update")
}

func TestSchemas(t *testing.T) {
	for name, c := range map[string]struct {
		was, now string
		want     []string
	}{
		"descriptions":         {`{"description":"a","title":"t"}`, `{"description":"b"}`, nil},
		"through references":   {`{"properties":{"a":{"$ref":"#/definitions/d"}},"definitions":{"d":{"type":"object","properties":{"x":{"maximum":9}}}}}`, `{"properties":{"a":{"$ref":"#/definitions/e"}},"definitions":{"e":{"type":"object","properties":{"x":{"maximum":8}}}}}`, []string{"value-narrowed a.x maximum 9→maximum 8"}},
		"recursion":            {`{"$ref":"#/definitions/d","definitions":{"d":{"items":{"$ref":"#/definitions/d"},"minItems":1}}}`, `{"$ref":"#/definitions/d","definitions":{"d":{"items":{"$ref":"#/definitions/d"},"minItems":2}}}`, []string{"value-narrowed  minItems 1→minItems 2"}},
		"maps by name":         {`{"additionalProperties":{"type":"string"}}`, `{"additionalProperties":{"type":["string","null"]}}`, []string{`value-widened * type string→type ["string","null"]`}},
		"closed":               {`{"properties":{"a":{}}}`, `{"properties":{"a":{}},"additionalProperties":false}`, []string{"value-narrowed  any key→known keys only"}},
		"optional":             {`{"required":["a"]}`, `{}`, []string{"value-widened a required→optional"}},
		"pattern":              {`{"patternProperties":{"^a$":{}},"additionalProperties":false}`, `{"patternProperties":{"^b$":{}},"additionalProperties":false}`, []string{"value-narrowed * names ^a$→names ^b$"}},
		"pattern added":        {`{"additionalProperties":false}`, `{"patternProperties":{"^b$":{"type":"string"}},"additionalProperties":false}`, []string{"value-widened * →names ^b$"}},
		"list of anything":     {`{"items":{"type":"string"}}`, `{}`, []string{`value-widened [] {"type":"string"}→anything`}},
		"named in an open map": {`{"type":"object"}`, `{"type":"object","properties":{"x":{"type":"integer"},"y":{}}}`, []string{`value-narrowed x anything→{"type":"integer"}`}},
		"named no more":        {`{"properties":{"x":{"type":"integer"}}}`, `{}`, []string{`value-widened x {"type":"integer"}→anything`}},
		"named among others":   {`{"additionalProperties":{"type":"string"}}`, `{"additionalProperties":{"type":"string"},"properties":{"x":{"type":"integer"}}}`, []string{"value-narrowed x type string→type integer"}},
		"one of others again":  {`{"additionalProperties":{"type":"string"},"properties":{"x":{"type":"integer"}}}`, `{"additionalProperties":{"type":"string"}}`, []string{"value-narrowed x type integer→type string"}},
		"named beside pattern": {`{"patternProperties":{"^x":{"type":"string"}},"additionalProperties":false}`, `{"patternProperties":{"^x":{"type":"string"}},"additionalProperties":false,"properties":{"x":{"type":"string","minLength":1}}}`, []string{"value-narrowed x →minLength 1"}},
		"recursion in a map":   {`{}`, `{"properties":{"a":{"$ref":"#/definitions/d"}},"definitions":{"d":{"properties":{"below":{"$ref":"#/definitions/d"},"n":{"minimum":1}}}}}`, []string{`value-narrowed a anything→{"$ref":"#/definitions/d"}`}},
		"one schema twice":     {`{"properties":{"a":{},"b":{}}}`, `{"properties":{"a":{"$ref":"#/definitions/d"},"b":{"$ref":"#/definitions/d"}},"definitions":{"d":{"minimum":1}}}`, []string{`value-narrowed a anything→{"$ref":"#/definitions/d"}`, `value-narrowed b anything→{"$ref":"#/definitions/d"}`}},
		"a map besides a text": {`{"type":"string"}`, `{"type":["string","object"],"properties":{"x":{"type":"integer"}},"required":["x"]}`, []string{`value-widened  type string→type ["string","object"]`}},
		"what is not read":     {`{}`, `{"not":{"type":"string"}}`, []string{`value-narrowed  not →not {"type":"string"}`}},
	} {
		t.Run(name, func(t *testing.T) {
			changes, err := Schemas([]byte(c.was), []byte(c.now))
			require.NoError(t, err)
			var got []string
			for _, c := range changes {
				got = append(got, fmt.Sprintf("%s %s %s→%s", c.Rule, c.Path, c.Old, c.New))
			}
			assert.Equal(t, c.want, got)
		})
	}
	_, err := Schemas([]byte("{"), nil)
	require.ErrorContains(t, err, "the old schema")
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		level    Level
		old, new string
		pass     bool
		minimum  string
	}{
		{None, "1.2.3", "1.2.3", true, "1.2.3"},
		{Patch, "1.2.3", "1.2.3", false, "1.2.4"},
		{Patch, "1.2.3", "1.2.4", true, "1.2.4"},
		{Minor, "1.2.3", "1.2.4", false, "1.3.0"},
		{Minor, "1.2.3", "1.3.0", true, "1.3.0"},
		{Major, "1.2.3", "1.9.0", false, "2.0.0"},
		{Major, "1.2.3", "2.0.0", true, "2.0.0"},
		{Major, "1.2.3", "2.0.0-rc.1", true, "2.0.0"},
		{Major, "2.0.0-rc.1", "2.0.0", true, "2.0.0"},
		{Major, "2.0.0-rc.1", "2.0.0-rc.1", false, "2.0.0"},
		{None, "1.2.3", "1.2.2", false, "1.2.3"},
		{Major, "0.1.0", "0.1.1", false, "0.2.0"},
		{Major, "0.1.0", "0.2.0", true, "0.2.0"},
		{Minor, "0.1.0", "0.1.1", true, "0.1.1"},
	} {
		got, err := Judge("base", c.level, c.old, c.new)
		require.NoError(t, err)
		assert.Equal(t, c.pass, got.Pass, "%s of %s after %s: %s", c.level, c.new, c.old, got.Reason)
		assert.Equal(t, c.minimum, got.Minimum)
	}
	_, err := Judge("base", None, "1", "1.0.0")
	require.ErrorContains(t, err, `version "1" of the old chart`)
}

func TestKubeVersionThatIsNone(t *testing.T) {
	_, err := Charts(Chart{KubeVersion: ">="}, Chart{})
	require.ErrorContains(t, err, `kubeVersion ">="`)
}

// sample is a result with one of everything that is shown.
func sample(t *testing.T) Result {
	deployment := manifest("Deployment", template)
	second := strings.Replace(deployment, "name: x", "name: second", 1)
	both := deployment + "\n---\n" + second
	changed := strings.ReplaceAll(both, "i:1", "<b>|@all")
	r := Result{Old: "one", New: "two", Chart: Releases(one(t, both), one(t, changed)), Compared: Compared{1, 1, 2},
		Values:      Releases(one(t, both), one(t, deployment)),
		NotCompared: []Skipped{{"env", "no chart"}}}
	var err error
	r.Gate, err = Judge("one", Highest(r.Chart), "1.0.0", "1.0.1")
	require.NoError(t, err)
	return r
}

func TestText(t *testing.T) {
	var out strings.Builder
	require.NoError(t, sample(t).Text(&out))
	assert.Equal(t, `Chart, with the same values: minor (2 minor)
  minor  restart           spec.template.spec.containers[c].image: i:1 → <b>|@all
         the pods are replaced, by the workload's update strategy
         in Deployment/ns/second, Deployment/ns/x
Values, with the new chart: major (1 major)
  major  object-removed    removed
         its pods are stopped
         in Deployment/ns/second
not compared: env: no chart
one → two: 1 environment, 1 release, 2 objects compared
version: fell short: since one: the change is minor, and 1.0.1 after 1.0.0 is too small: it must be 1.1.0 or higher
`, out.String())
}

// What is shown in a comment is text, whatever is in the objects, and never longer than a comment may be.
func TestMarkdown(t *testing.T) {
	r := sample(t)
	var out strings.Builder
	require.NoError(t, r.Markdown(&out))
	assert.Contains(t, out.String(), "| minor | `restart` | spec.template.spec.containers\\[c\\].image: i:1 → &lt;b&gt;\\|@\u200ball |")
	assert.Contains(t, out.String(), "❌ Version: since one: the change is minor")
	for i := range 3000 {
		c := r.Chart[0]
		c.Object, c.Path = fmt.Sprintf("Deployment/ns/x%d", i), fmt.Sprintf("spec.field%d", i)
		r.Chart, r.Values = append(r.Chart, c), append(r.Values, c)
	}
	out.Reset()
	require.NoError(t, r.Markdown(&out))
	assert.Less(t, out.Len(), 65_536)
	assert.Contains(t, out.String(), "more")
	assert.Equal(t, strings.Count(out.String(), "<details>"), strings.Count(out.String(), "</details>"))
}

// A backslash in the text does not undo the escape of what follows it.
func TestEscape(t *testing.T) {
	assert.Equal(t, `a\\\|b \\\[x\\\](y)`, escape(`a\|b \[x\](y)`))
}

func TestJSON(t *testing.T) {
	var out strings.Builder
	require.NoError(t, sample(t).JSON(&out))
	var back Result
	require.NoError(t, json.Unmarshal([]byte(out.String()), &back))
	assert.Equal(t, sample(t), back)
	out.Reset()
	require.NoError(t, Result{}.JSON(&out))
	assert.NotContains(t, out.String(), "null", "a list of none is an empty list")
}
