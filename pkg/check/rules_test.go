package check

import (
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"istio.io/istio/pkg/config/analysis"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"chartbasico/pkg/environment"
	"chartbasico/pkg/problem"
	"chartbasico/pkg/render"
)

const injectedNamespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shops, labels: {istio-injection: enabled}}\n"

// rendered is a release with the objects of a multi-document text.
func rendered(t *testing.T, name, text string, needs ...string) *render.Release {
	t.Helper()
	namespace, short, _ := strings.Cut(name, "/")
	r := &render.Release{ChartName: ours, Release: environment.Release{Name: short, Namespace: namespace, Needs: needs, ValuesFiles: []string{short + ".yaml"}}}
	for _, doc := range strings.Split(text, "\n---\n") {
		data, err := yaml.YAMLToJSON([]byte(doc))
		require.NoError(t, err)
		u := &unstructured.Unstructured{}
		require.NoError(t, u.UnmarshalJSON(data))
		r.Objects = append(r.Objects, u)
	}
	return r
}

var newest = sync.OnceValues(func() (*Checker, error) { return New() })

func healthy(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("testdata/healthy.yaml")
	require.NoError(t, err)
	return string(data)
}

func run(t *testing.T, releases ...*render.Release) problem.List {
	t.Helper()
	checker, err := newest()
	require.NoError(t, err)
	return checker.Environment(t.Context(), &environment.Environment{Name: "env"}, releases)
}

// Each change to the healthy environment breaks one rule; the healthy one breaks none.
var broken = []struct {
	rule     string
	old, new string // replaced in the objects of release shops/shop
	also     string // an object of release shops/other
	needs    string // of shops/shop; default/ns where empty
	want     string
	warning  bool // not an error
}{
	{rule: "owner", also: "apiVersion: v1\nkind: Service\nmetadata: {name: shop, namespace: shops}\nspec: {selector: {app: shop}, ports: [{name: http, port: 80, targetPort: web}]}",
		want: "other.yaml Service/shops/shop: defined by releases shops/shop and shops/other; expected one owner. Fix: remove it from the values of one of them: shop.yaml or other.yaml [owner]"},
	{rule: "owner", also: generated + "\n---\n" + strings.Replace(generated, "generateName: more-", "name: more", 1) + "\n---\n" + strings.Replace(generated, "generateName: more-", "name: more", 1),
		want: "other.yaml Job/shops/more: defined twice by release shops/other; expected one definition. Fix: remove one of the two [owner]"},
	{rule: "namespace", needs: "-", want: "shop.yaml Service/shops/shop metadata.namespace: release shops/shop does not need default/ns, which creates namespace shops; expected the namespace first. Fix: add default/ns to its needs [namespace]"},
	{rule: "namespace", old: "{name: setup, namespace: shops}", new: "{name: setup, namespace: m}", want: "shop.yaml Job/m/setup metadata.namespace: namespace m, which nothing creates"},
	{rule: "version-label", old: "metadata: {labels: {app: shop, version: v2}}", new: "metadata: {labels: {app: shop}}",
		want: "shop.yaml Deployment/shops/shop-v2 spec.template.metadata.labels: pods of app shop without a version label"},
	{rule: "service-endpoints", old: "selector: {app: shop}", new: "selector: {app: shop, tier: x}", want: "shop.yaml Service/shops/shop spec.selector: no workload's pods have the labels app=shop,tier=x"},
	{rule: "service-endpoints", also: "apiVersion: v1\nkind: Service\nmetadata: {name: more, namespace: shops}\nspec: {selector: {app: more}, ports: [{name: http, port: 80}]}\n---\n" + strings.Replace(testPod, "app: shop", "app: more", 1),
		want: "other.yaml Service/shops/more spec.selector: no workload's pods have the labels app=more"},
	{rule: "one-destinationrule", also: entry("shops", "443") + "\n---\n" + destinationRule("shops", "api.example.com", "") + "\n---\n" + strings.Replace(destinationRule("shops", "api.example.com", ""), "name: more", "name: most", 1),
		want: "DestinationRule/shops/most spec.host: api.example.com has DestinationRule/shops/more already"},
	{rule: "exposed-once", also: exposed("annotations: {kubernetes.io/ingress.class: nginx}", "", "Prefix"), want: "Ingress/shops/more spec.rules[0].http.paths[0].path: a.example.com/, which Ingress/shops/shop has already"},
	{rule: "schema", also: strings.Replace(generated, "batch/v1", "batch/v3", 1), want: "Job/shops/more- apiVersion: batch/v3/Job is not a kind"},
	{rule: "service-job", old: "labels: {app: setup}", new: "labels: {app: shop}", want: "shop.yaml Service/shops/shop spec.selector: it selects the pods of Job/shops/setup, which end"},
	{rule: "service-port", old: "targetPort: web", new: "targetPort: wbe", want: `shop.yaml Service/shops/shop spec.ports[0].targetPort: no container of Deployment/shops/shop-v1 has the port "wbe"; expected one of web 8080`},
	{rule: "service-port", old: "{name: web, containerPort: 8080}", new: "{name: web, containerPort: 8080, protocol: UDP}", want: `shop.yaml Service/shops/shop spec.ports[0].targetPort: no container of Deployment/shops/shop-v1 has the port "web"; expected one of web 8080/UDP`},
	{rule: "service-port", old: "port: 80, targetPort: web", new: "port: 80, targetPort: web, protocol: UDP", want: `no container of Deployment/shops/shop-v1 has the port "web"/UDP; expected one of web 8080`},
	{rule: "service-port", old: "targetPort: web", new: "targetPort: 8081", want: "no container of Deployment/shops/shop-v2 has the port 8081"},
	{rule: "statefulset-service", old: "serviceName: store", new: "serviceName: stor", want: `shop.yaml StatefulSet/shops/store-v1 spec.serviceName: "stor", which is no Service in namespace shops; expected a headless Service that selects its pods, which have no DNS names of their own otherwise. Fix: write store [statefulset-service]`, warning: true},
	{rule: "statefulset-service", old: "serviceName: store", new: "serviceName: elsewhere", want: `spec.serviceName: "elsewhere", which is no Service in namespace shops; expected a headless Service that selects its pods, which have no DNS names of their own otherwise. Fix: add a release with that Service, with clusterIP: None [`, warning: true},
	{rule: "statefulset-service", old: "serviceName: store", new: "serviceName: shop", want: "StatefulSet/shops/store-v1 spec.serviceName: Service/shops/shop, which selects app=shop and so none of its pods; expected a headless Service", warning: true},
	{rule: "statefulset-service", old: "clusterIP: None", new: "type: ClusterIP", want: "StatefulSet/shops/store-v1 spec.serviceName: Service/shops/store, which is not headless; expected a headless Service", warning: true},
	{rule: "port-protocol", old: "{name: http, port", new: "{name: web, port", want: `shop.yaml Service/shops/shop spec.ports[0].name: "web"; expected a name that begins with the protocol`},
	{rule: "route-host", old: "{host: shop, subset: v2", new: "{host: shpo, subset: v2", want: `shop.yaml VirtualService/shops/shop spec.http[0].route[1].destination.host: host "shpo", which is no Service in namespace shops and no declared external host; expected a host that exists. Fix: write shop [route-host]`},
	{rule: "route-host", old: "{host: shop, subset: v2", new: "{host: shop.shops, subset: v2", want: `destination.host: host "shop.shops", which is no Service in namespace shops and no declared external host; expected a host that exists. Fix: write shop.shops.svc.cluster.local [route-host]`},
	{rule: "route-subset", old: "{host: shop, subset: v2", new: "{host: shop, subset: v3", want: `spec.http[0].route[1].destination.subset: subset "v3", which no DestinationRule of host shop defines`},
	{rule: "route-port", old: "subset: v2, port: {number: 80}", new: "subset: v2, port: {number: 81}", want: "spec.http[0].route[1].destination.port.number: 81; expected a port of Service/shops/shop: http 80"},
	{rule: "route-host", old: "{service: {name: shop, port: {name: http}}}", new: "{service: {name: shpo, port: {name: http}}}", want: `Ingress/shops/shop spec.rules[0].http.paths[0].backend.service.name: host "shpo", which is no Service in namespace shops`},
	{rule: "route-host", old: "{service: {name: shop, port: {name: http}}}", new: "{service: {name: legacydb, port: {number: 443}}}",
		also: strings.Replace(entry("shops", "443"), "api.example.com", "legacydb", 1), want: `Ingress/shops/shop spec.rules[0].http.paths[0].backend.service.name: host "legacydb", which is no Service in namespace shops`},
	{rule: "route-host", old: "{host: shop, subset: v2", new: "{host: legacydb",
		also: strings.Replace(entry("shops", "443"), "api.example.com", "legacydb", 1), want: `destination.host: host "legacydb", which is no Service in namespace shops: ServiceEntry/shops/more-443 declares it, but a route's host of one word is always a Service of its namespace; expected a host that exists. Fix: declare the host by a name with a dot and write that, or add a release with that Service [route-host]`},
	{rule: "route-host", old: "{host: shop, subset: v2", new: "{host: api.example.com",
		also: strings.Replace(entry("default", "443"), "spec: {", "spec: {exportTo: [.], ", 1),
		want: `destination.host: host "api.example.com", which ServiceEntry/default/more-443 does not export to namespace shops; expected a host that is declared for it. Fix: declare it in this namespace too, or name the namespace in exportTo [route-host]`},
	{rule: "route-port", old: "{service: {name: shop, port: {name: http}}}", new: "{service: {name: shop, port: {number: 8080}}}", want: `Ingress/shops/shop spec.rules[0].http.paths[0].backend.service.port: 8080; expected a port of Service/shops/shop: http 80`},
	{rule: "route-port", old: "{service: {name: shop, port: {name: http}}}", new: "{service: {name: shop, port: {name: grpc}}}", want: `backend.service.port: "grpc"; expected a port of Service/shops/shop: http 80`},
	{rule: "route-host", old: "to: {kind: Service, name: shop, weight: 100}", new: "to: {kind: Service, name: shpo}", want: `Route/shops/shop spec.to.name: host "shpo", which is no Service`},
	{rule: "route-host", old: "alternateBackends: [{kind: Service, name: shop}]", new: "alternateBackends: [{kind: Service, name: shpo}]", want: `Route/shops/number spec.alternateBackends[0].name: host "shpo", which is no Service`},
	{rule: "route-port", old: "port: {targetPort: http}", new: "port: {targetPort: grpc}", want: `Route/shops/shop spec.port.targetPort: "grpc"; expected a port of Service/shops/shop: http 80`},
	{rule: "route-port", old: "port: {targetPort: 8080}", new: "port: {targetPort: 80}", want: `Route/shops/number spec.port.targetPort: 80; expected a port of Service/shops/shop: http 80`},
	{rule: "route-host", old: "{name: shop, namespace: shops, port: 80}", new: "{name: shop, namespace: shps, port: 80}", want: `HTTPRoute/shops/shop spec.rules[0].backendRefs[0].name: host "shop.shps", which is no Service`},
	{rule: "route-port", old: "{name: shop, namespace: shops, port: 80}", new: "{name: shop, port: 81}", want: `HTTPRoute/shops/shop spec.rules[0].backendRefs[0].port: 81; expected a port of Service/shops/shop: http 80`},
	{rule: "route-port", old: "{backendRef: {name: shop, port: 80}}", new: "{backendRef: {name: shop, port: 82}}", want: `HTTPRoute/shops/shop spec.rules[0].filters[0].requestMirror.backendRef.port: 82`},
	{rule: "route-parent", old: "{name: shop, sectionName: web}", new: "{name: shpo}", want: `HTTPRoute/shops/shop spec.parentRefs[0].name: Gateway "shpo", which is not in namespace shops`},
	{rule: "route-parent", old: "sectionName: web", new: "sectionName: https", want: `HTTPRoute/shops/shop spec.parentRefs[0].sectionName: "https"; expected a listener of Gateway/shops/shop: web`},
	{rule: "exposed-once", also: "apiVersion: route.openshift.io/v1\nkind: Route\nmetadata: {name: more, namespace: shops}\nspec: {host: b.example.com, to: {kind: Service, name: shop}}", want: "Route/shops/more spec.host: b.example.com, which Route/shops/shop has already"},
	{rule: "exposed-once", also: "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: more, namespace: shops}\nspec: {ingressClassName: nginx, rules: [{host: a.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}]}}]}", want: "Ingress/shops/more spec.rules[0].http.paths[0].path: a.example.com/, which Ingress/shops/shop has already"},
	{rule: "schema", old: "weight: 100}\n  port: {targetPort: http}", new: "wieght: 100}\n  port: {targetPort: http}", want: `Route/shops/shop spec.to.wieght: unknown key "wieght". Fix: write weight [schema]`},
	{rule: "schema", old: "gatewayClassName: istio", new: "gatewayclassName: istio", want: `Gateway/shops/shop spec.gatewayclassName: unknown key`},
	{rule: "weights", old: "weight: 90", new: "weight: 89", want: "VirtualService/shops/shop spec.http[0].route: weights that sum to 99; expected 100"},
	{rule: "subset-endpoints", old: "{name: v2, labels: {version: v2}}", new: "{name: v2, labels: {version: v7}}", want: `DestinationRule/shops/shop spec.subsets[1].labels: subset "v2": no pods of Service/shops/shop have version=v7; expected a workload release of that version`},
	{rule: "one-destinationrule", also: "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: more, namespace: shops}\nspec: {host: shop.shops.svc.cluster.local}", want: "DestinationRule/shops/shop already; expected one DestinationRule"},
	{rule: "calls", old: `["shop:80"]`, new: `["shop:81"]`, want: "it calls shop:81; expected a port of Service/shops/shop: 80"},
	{rule: "calls", old: `["shop:80"]`, new: `["api.example.com:443"]`,
		also: "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: api, namespace: default}\nspec: {hosts: [api.example.com], exportTo: ['.'], location: MESH_EXTERNAL, resolution: DNS, ports: [{number: 443, name: tls, protocol: TLS}]}",
		want: "it calls api.example.com, which ServiceEntry/default/api does not export to namespace shops; expected a host that is declared for it. Fix: declare it in this namespace too, or name the namespace in exportTo [calls]"},
	{rule: "calls", old: `["shop:80"]`, new: `["shpo:80"]`, want: "it calls shpo, which is no Service in namespace shops and no declared external host; expected a host that exists. Fix: write shop"},
	{rule: "schema", old: "containerPort: 8080}]}]}\n---\napiVersion: apps/v1", new: "containerport: 8080}]}]}\n---\napiVersion: apps/v1", want: `Deployment/shops/shop-v1 spec.template.spec.containers[0].ports[0].containerport: unknown key "containerport". Fix: write containerPort [schema]`},
	{rule: "schema", old: "{name: web, containerPort: 8080}]}", new: "{name: web, containerPort: 8080}], resources: {limits: {memory: 1GB}}}", want: `Deployment/shops/shop-v1 spec.template.spec.containers[0].resources.limits.memory: "1GB"; expected text that matches ^[+-]?`},
	{rule: "kubernetes", old: "{name: web, containerPort: 8080}]}", new: "{name: web, containerPort: 8080}], resources: {requests: {memory: 128m}}}", warning: true,
		want: `Deployment/shops/shop-v1 spec.template.spec.containers[0].resources.requests[memory]: fractional byte value "128m" is invalid, must be an integer; expected whole bytes. Fix: write Mi or Gi, as m is a thousandth [kubernetes]`},
	{rule: "kubernetes", old: "clusterIP: None", new: "clusterIP: None\n  externalIPs: [10.0.0.1]", warning: true, want: "Service/shops/store: spec.externalIPs is ignored for headless services [kubernetes]"},
	{rule: "schema", old: "restartPolicy: Never", new: "restartPolicy: Never, terminationGracePeriodSeconds: 9223372036854775808.0", want: "Job/shops/setup spec.template.spec.terminationGracePeriodSeconds: 9.223372036854776e+18; expected at most 922337203685477"},
	{rule: "schema", also: "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: more, namespace: shops}\nspec: {podSelector: {}, ingress: [{ports: [{port: 4294967296}]}]}", want: "NetworkPolicy/shops/more spec.ingress[0].ports[0].port: 4294967296; expected at most 2147483647"},
	{rule: "schema", also: "apiVersion: v1\nkind: Secret\nmetadata: {name: more, namespace: shops}\ndata: {password: plain-word}", want: "other.yaml Secret/shops/more data.password: text that is not base64; expected base64. Fix: encode it [schema]"},
	{rule: "schema", also: "apiVersion: v1\nkind: Secret\nmetadata: {name: more, namespace: shops}\nstringData: {pin: 7654321}", want: "other.yaml Secret/shops/more stringData.pin: a number; expected string. Fix: quote it [schema]"},
	{rule: "schema", old: "{name: web, containerPort: 8080}]}", new: "{name: web, containerPort: 8080}], env: [{name: PIN, value: 7654321}]}", want: "Deployment/shops/shop-v1 spec.template.spec.containers[0].env[0].value: a number; expected string. Fix: quote it [schema]"},
	{rule: "schema", old: "apiVersion: batch/v1", new: "apiVersion: batch/v2", want: "batch/v2/Job is not a kind of Kubernetes 1.37, Istio, Gateway API or OpenShift. Fix: write batch/v1/Job"},
	{rule: "kubernetes", old: "restartPolicy: Never", new: "restartPolicy: Always", want: `shop.yaml Job/shops/setup spec.template.spec.restartPolicy: a value is required: valid values: "OnFailure", "Never" [kubernetes]`},
	{rule: "kubernetes", old: "restartPolicy: Never", new: "restartPolicy: Never, dnsPolicy: Whatever", want: `Job/shops/setup spec.template.spec.dnsPolicy: "Whatever"; expected one of "ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"`},
	{rule: "kubernetes", old: "selector: {matchLabels: {app: shop, version: v2}}", new: "selector: {matchLabels: {app: shop, version: v3}}", want: "Deployment/shops/shop-v2 spec.template.metadata.labels: `selector` does not match template `labels` [kubernetes]"},
	{rule: "kubernetes", old: "{name: web, containerPort: 8080}]}", new: "{name: web, containerPort: 8080}], volumeMounts: [{name: none, mountPath: /a}]}", want: `Deployment/shops/shop-v1 spec.template.spec.containers[0].volumeMounts[0].name: "none"`},
	{rule: "kubernetes", old: "selector: {app: shop}\n", new: "selector: {app: shop}\n  clusterIP: None\n  type: NodePort\n", want: "Service/shops/shop spec.clusterIPs[0]: \"None\": may not be set to 'None' for NodePort services [kubernetes]"},
	{rule: "kubernetes", also: "apiVersion: v1\nkind: Namespace\nmetadata: {name: more, labels: {pod-security.kubernetes.io/enforce: strict}}", want: `Namespace/more metadata.labels[pod-security.kubernetes.io/enforce]: "strict": must be one of privileged, baseline, restricted`},
	{rule: "kubernetes", old: "{name: shop, sectionName: web}", new: "{name: shop}, {name: shop}", want: "HTTPRoute/shops/shop spec.parentRefs: sectionName must be unique when parentRefs includes 2 or more references to the same parent"},
	{rule: "kubernetes", old: "kind: VirtualService\nmetadata: {name: shop,", new: "kind: VirtualService\nmetadata: {name: Shop,", want: `VirtualService/shops/Shop metadata.name: "Shop": a lowercase RFC 1123 subdomain`},
	{rule: "kubernetes", old: "alternateBackends: [{kind: Service, name: shop}]", new: "alternateBackends: [{kind: Service, name: shop}, {kind: Service, name: shop}]", want: "Route/shops/number spec.alternateBackends[1]"},
	{rule: "autoscaler-requests", also: "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: shop-v1, namespace: shops}\nspec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: shop-v1}, maxReplicas: 6}",
		want: "other.yaml HorizontalPodAutoscaler/shops/shop-v1 spec.metrics: utilization of cpu, of which shop in Deployment/shops/shop-v1 requests nothing; expected a request of it in every container, without which the autoscaler never scales. Fix: set resources.requests.cpu of shop [autoscaler-requests]", warning: true},
	{rule: "divided-outside", old: "hosts: [shop.example.com]", new: "hosts: [shop]", want: "shop.yaml Ingress/shops/shop spec.rules[0].http.paths[0].backend.service.name: all of Service/shops/shop, whose requests VirtualService/shops/shop divides in the mesh alone; expected the same weights for those who come from outside. Fix: put exposure and routing into one values file, with a kind of exposure that has weights [divided-outside]", warning: true},
	{rule: "divided-outside", old: "hosts: [shop.example.com]", new: "hosts: [shop.shops.svc.cluster.local]", want: "shop.yaml HTTPRoute/shops/shop spec.rules[0].backendRefs[0].name: all of Service/shops/shop, whose", warning: true},
	{rule: "divided-outside", also: alone + "---\n" + strings.NewReplacer("alone-v1", "alone-v2", "version: v1", "version: v2").Replace(strings.Split(alone, "---\n")[1]),
		want: "other.yaml Ingress/shops/alone spec.defaultBackend.service.name: all of Service/shops/alone, whose", warning: true},
	{rule: "divided-outside", old: "hosts: [shop.example.com]", new: "gateways: [mesh]\n  hosts: [shop]", want: "shop.yaml Route/shops/shop spec.to.name: all of Service/shops/shop, whose", warning: true},
	{rule: "divided-outside", old: "hosts: [shop.example.com]", new: "hosts: [shop]",
		also: "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: outside, namespace: shops}\nspec: {hosts: [d.example.com], gateways: [istio-system/shared], http: [{route: [{destination: {host: shop}}]}]}",
		want: "other.yaml VirtualService/shops/outside spec.http[0].route[0].destination.host: all of Service/shops/shop, whose", warning: true},
	{rule: "node-port", old: "ports: [{name: http, port: 80, targetPort: web}]", new: "type: NodePort\n  ports: [{name: http, port: 80, targetPort: web, nodePort: 30080}]", also: nodePort("30080"),
		want: "Service/shops/shop spec.ports[0].nodePort: 30080, which Service/shops/more has already; expected a port of the nodes that is free. Fix: choose another, or leave it out, and the API server chooses one [node-port]"},
	{rule: "node-port", also: nodePort("30080") + "\n---\n" + strings.NewReplacer("name: more", "name: most", "port: 53,", "port: 53, protocol: UDP,").Replace(nodePort("30080")),
		want: "Service/shops/most spec.ports[0].nodePort: 30080, which Service/shops/more has already"},
	{rule: "node-port", also: nodePort("80"), warning: true,
		want: "other.yaml Service/shops/more spec.ports[0].nodePort: 80; expected one of 30000 to 32767, unless the API server has another --service-node-port-range. Fix: choose another, or leave it out, and the API server chooses one [node-port]"},
	{rule: "weighted-pods", old: "selector: {matchLabels: {app: shop, version: v2}}", new: "replicas: 0\n  selector: {matchLabels: {app: shop, version: v2}}", warning: true,
		want: `shop.yaml VirtualService/shops/shop spec.http[0].route[1]: 10% of the requests to subset "v2", of which Deployment/shops/shop-v2 has replicas: 0; expected a version with pods. Fix: raise its replicas, or send it nothing [weighted-pods]`},
	{rule: "weighted-pods", also: strings.NewReplacer("spec:\n  selector", "spec:\n  replicas: 0\n  selector", ", weight: 100", "").Replace(alone), warning: true,
		want: `VirtualService/shops/alone spec.http[0].route[0]: all requests to subset "v1", of which Deployment/shops/alone-v1 has replicas: 0`},
	{rule: "references", also: referring("env: [{name: A, valueFrom: {configMapKeyRef: {name: settings, key: colr}}}]"),
		want: `other.yaml CronJob/shops/more spec.jobTemplate.spec.template.spec.containers[0].env[0].valueFrom.configMapKeyRef.key: "colr", which ConfigMap/shops/settings does not have; expected one of color, logo. Fix: write color [references]`},
	{rule: "references", also: referring("env: [{name: A, valueFrom: {secretKeyRef: {name: login, key: token}}}]"), warning: true,
		want: `valueFrom.secretKeyRef.key: "token", which Secret/shops/login does not have; expected one of pin, user. Fix: add the key to Secret/shops/login, or correct it [references]`},
	{rule: "references", also: referring("}], volumes: [{name: a, secret: {secretName: login, items: [{key: user, path: a}, {key: users, path: b}]}}], x: [{"),
		want: `spec.jobTemplate.spec.template.spec.volumes[0].secret.items[1].key: "users", which Secret/shops/login does not have`},
	{rule: "references", also: referring("}], volumes: [{name: a, projected: {sources: [{configMap: {name: settings, items: [{key: none, path: a}]}}]}}], x: [{"), warning: true,
		want: `volumes[0].projected.sources[0].configMap.items[0].key: "none", which ConfigMap/shops/settings does not have`},
	{rule: "references", also: referring("envFrom: [{secretRef: {name: logn}}]"), warning: true, want: `containers[0].envFrom[0].secretRef.name: "logn", which is no Secret`},
	{rule: "references", also: referring("envFrom: [{configMapRef: {name: setings}}]"), warning: true,
		want: `containers[0].envFrom[0].configMapRef.name: "setings", which is no ConfigMap of this environment; expected the name of one that is there. Fix: write settings [references]`},
	{rule: "references", also: referring("}], volumes: [{name: a, persistentVolumeClaim: {claimName: shop-dta}}], x: [{"), warning: true,
		want: `volumes[0].persistentVolumeClaim.claimName: "shop-dta", which is no PersistentVolumeClaim of this environment; expected the name of one that is there. Fix: write shop-data [references]`},
	{rule: "references", also: referring("}], initContainers: [{name: a, image: 'a:1', envFrom: [{secretRef: {name: logn}}]}], x: [{"), warning: true,
		want: `initContainers[0].envFrom[0].secretRef.name: "logn", which is no Secret`},
	{rule: "references", also: referring("}], imagePullSecrets: [{name: logn}], x: [{"), warning: true, want: `spec.imagePullSecrets[0].name: "logn", which is no Secret`},
	{rule: "references", also: referring("}], serviceAccountName: shpo, x: [{"), warning: true, want: `spec.jobTemplate.spec.template.spec.serviceAccountName: "shpo", which is no ServiceAccount of this environment; expected the name of one that is there. Fix: write shop [references]`},
	{rule: "access-port", also: lets("{ports: [{port: 443}, {port: 80}]}"),
		want: "other.yaml NetworkPolicy/shops/more spec.ingress[0].ports[1].port: 80, which is a port of Service/shops/shop; expected a port of the pods: web 8080. Fix: write 8080, which it sends to [access-port]"},
	{rule: "access-port", old: "targetPort: web", new: "targetPort: 8080", also: lets("{ports: [{port: 80}]}"), want: "ports[0].port: 80, which is a port of Service/shops/shop; expected a port of the pods: web 8080. Fix: write 8080,"},
	{rule: "access-port", also: lets("{}, {ports: [{port: wbe}]}"), warning: true,
		want: `NetworkPolicy/shops/more spec.ingress[1].ports[0].port: "wbe", a port that no container of Deployment/shops/shop-v1 has; expected one of web 8080. Fix: correct it, or add the port to the container [access-port]`},
	{rule: "access-port", also: "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: more, namespace: shops}\nspec: {selector: {matchLabels: {app: shop}}, rules: [{to: [{operation: {ports: ['15020', '80']}}]}]}",
		want: "AuthorizationPolicy/shops/more spec.rules[0].to[0].operation.ports[1]: 80, which is a port of Service/shops/shop"},
	{rule: "access-port", also: "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: more, namespace: shops}\nspec: {selector: {matchLabels: {app: shop}}, portLevelMtls: {'8081': {mode: DISABLE}}}",
		want: "PeerAuthentication/shops/more spec.portLevelMtls.8081: 8081, a port that no container of Deployment/shops/shop-v1 has", warning: true},
	{rule: "IST0106", old: "hosts: [shop.example.com]", new: "hosts: [shop.example.com]\n  gateways: ['']", want: "VirtualService/shops/shop: Schema validation error"},
	{rule: "IST0101", old: "hosts: [shop.example.com]", new: "hosts: [shop.example.com]\n  gateways: [none]", want: `shop.yaml VirtualService/shops/shop spec.gateways[0]: Referenced gateway not found: "none"; expected a Gateway of Istio's that a release of the environment makes. Fix: correct the name; if it is made elsewhere, say so in exposure.annotations, or routing.annotations: galley.istio.io/analyze-suppress: IST0101 [IST0101]`},
	{rule: "IST0101", old: "hosts: [shop.example.com]", new: "hosts: [shop.example.com]\n  gateways: [mesh, istio-system/shared]", warning: true,
		want: `VirtualService/shops/shop spec.gateways[1]: Referenced gateway not found: "istio-system/shared"; expected a Gateway of Istio's that a release of the environment makes. Fix: correct the name; if it is made elsewhere, say so in exposure.annotations, or routing.annotations: galley.istio.io/analyze-suppress: IST0101 [IST0101]`},
	{rule: "IST0101", old: "hosts: [shop.example.com]", new: "hosts: [shop.example.com]\n  gateways: [other/none]",
		also: "apiVersion: v1\nkind: Namespace\nmetadata: {name: other}", want: `spec.gateways[0]: Referenced gateway not found: "other/none"`},
	{rule: "IST0101", also: tlsGateway, warning: true,
		want: `other.yaml Gateway/shops/more spec.servers[1].tls.credentialName: Referenced credentialName not found: "cert"; expected the Secret with key and certificate in the namespace of the gateway's pods. Fix: correct the name; if it is made elsewhere, say so in exposure.annotations: galley.istio.io/analyze-suppress: IST0101 [IST0101]`},
	{rule: "IST0101", also: callers("[istio-system, monitoring], notNamespaces: [kube-system]"), warning: true,
		want: `AuthorizationPolicy/shops/more spec.rules[0].from[1].source.namespaces[1]: Referenced namespace not found: "monitoring"; expected a namespace that a release of the environment makes. Fix: correct the name; if it is made elsewhere, say so in the policy's annotations: galley.istio.io/analyze-suppress: IST0101 [IST0101]`},
	{rule: "IST0101", also: callers("[], notNamespaces: [shops, monitoring]"), warning: true, want: "spec.rules[0].from[1].source.notNamespaces[1]: Referenced"},
	{rule: "IST0101", also: gatewayOf("ingresgateway"), want: `other.yaml Gateway/shops/edge spec.selector: Referenced selector not found: "istio=ingresgateway"; expected the labels of a gateway's pods: istio=egressgateway or istio=ingressgateway here, or those of one that others run. Fix: write istio=ingressgateway [IST0101]`, warning: true},
	{rule: "IST0101", also: gatewayOf("edge"), want: `other.yaml Gateway/shops/edge spec.selector: Referenced selector not found: "istio=edge"; expected the labels of a gateway's pods: istio=egressgateway or istio=ingressgateway here, or those of one that others run [IST0101]`, warning: true},
}

// gatewayOf is a Gateway for the pods of a gateway.
func gatewayOf(named string) string {
	return "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: edge, namespace: shops}\nspec: {selector: {istio: " + named + "}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [a.example]}]}"
}

func TestRules(t *testing.T) {
	ns := rendered(t, "default/ns", injectedNamespace)
	assert.Empty(t, run(t, ns, rendered(t, "shops/shop", healthy(t), "default/ns")), "the healthy environment")

	for _, c := range broken {
		t.Run(c.rule, func(t *testing.T) {
			text := healthy(t)
			if c.old != "" {
				require.Contains(t, text, c.old)
				text = strings.Replace(text, c.old, c.new, 1)
			}
			needs := c.needs
			if needs == "" {
				needs = "default/ns"
			}
			releases := []*render.Release{ns, rendered(t, "shops/shop", text, needs)}
			if c.also != "" {
				releases = append(releases, rendered(t, "shops/other", c.also, "default/ns"))
			}
			got := run(t, releases...)
			severity := problem.Error
			if c.warning {
				severity = problem.Warning
			}
			var hit bool
			for _, p := range got {
				hit = hit || p.Rule == c.rule && p.Severity == severity && strings.Contains(p.String(), c.want)
			}
			assert.NotContains(t, got.Error(), "plain-word", "which may be secret")
			assert.NotContains(t, got.Error(), "7654321", "which may be secret")
			assert.NotContains(t, got.Error(), "can read", "it is said where")
			assert.True(t, hit, "want %s\ngot\n%v", c.want, got)
			assert.Equal(t, got, run(t, releases...), "the same on every run")
		})
	}
}

// What is right beside the healthy environment, and no rule may refuse.
var legal = []struct {
	name, also string // objects of release shops/other
}{
	{"a test of helm, with the labels that a Service selects", testPod},
	{"a policy with the port of a Service beside that of its pods", lets("{ports: [{port: 8080}, {port: 80}]}")},
	{"memory that is no whole number of bytes, of which a kubelet makes one", referring("resources: {limits: {memory: 1.1Gi}}")},
	{"a Secret that an operator makes, beside one that only another object names", referring("envFrom: [{secretRef: {name: logni}}]") +
		"\n---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: more, namespace: shops}\nspec: {tls: [{secretName: login}], defaultBackend: {service: {name: shop, port: {number: 80}}}}"},
	{"a Secret that an Ingress names too", referring("envFrom: [{secretRef: {name: logn}}]") +
		"\n---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: more, namespace: shops}\nspec: {tls: [{secretName: logn}], defaultBackend: {service: {name: shop, port: {number: 80}}}}"},
	{"callers of namespaces by the beginning and the end of their names", callers("['sho*'], notNamespaces: ['*ops', '*']")},
	{"a Pod that gets its proxy from the webhook", "apiVersion: v1\nkind: Pod\nmetadata: {name: more, namespace: shops, labels: {app: more, version: v1}}\nspec: {containers: [{name: more, image: 'more:1'}]}"},
	{"rules for one host in two namespaces, each for its callers", entry("shops", "443") + "\n---\n" + destinationRule("shops", "api.example.com", "") + "\n---\n" +
		entry("default", "443") + "\n---\n" + destinationRule("default", "api.example.com", "")},
	{"rules for some pods each", entry("shops", "443") + "\n---\n" + destinationRule("shops", "api.example.com", "workloadSelector: {matchLabels: {app: a}}, ") + "\n---\n" +
		strings.Replace(destinationRule("shops", "api.example.com", "workloadSelector: {matchLabels: {app: b}}, "), "name: more", "name: most", 1)},
	{"rules for two hosts of one wildcard", strings.NewReplacer("api.example.com", "'*.example.com'", "DNS", "NONE").Replace(entry("shops", "443")) + "\n---\n" + destinationRule("shops", "a.example.com", "") + "\n---\n" +
		strings.Replace(destinationRule("shops", "b.example.com", ""), "name: more", "name: most", 1)},
	{"a Gateway of Istio's beside one of Gateway API of that name", "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: shop, namespace: shops}\nspec: {selector: {istio: ingressgateway}, servers: [{hosts: [d.example.com], port: {name: http, number: 80, protocol: HTTP}}]}"},
	{"two Routes whose hosts the router makes", route("more") + "\n---\n" + route("most")},
	{"a canary of nginx's", exposed("annotations: {nginx.ingress.kubernetes.io/canary: 'true'}", "ingressClassName: nginx, ", "Prefix")},
	{"the path itself beside what is below it", exposed("", "ingressClassName: nginx, ", "Exact")},
	{"Ingresses of other classes, by the annotation", exposed("annotations: {kubernetes.io/ingress.class: haproxy}", "", "Prefix") + "\n---\n" +
		strings.Replace(exposed("annotations: {kubernetes.io/ingress.class: traefik}", "", "Prefix"), "name: more", "name: most", 1)},
	{"a call to a host outside of one word", strings.Replace(entry("shops", "443"), "api.example.com", "legacydb", 1) + "\n---\n" +
		"apiVersion: v1\nkind: Pod\nmetadata: {name: more, namespace: shops, labels: {app: more, version: v1}, annotations: {chart-basico/calls: '[\"legacydb:443\"]'}}\nspec: {containers: [{name: more, image: 'more:1'}]}"},
	{"rules for ports that pods have, by number and name, or that their sidecars have", lets("{ports: [{port: 8080}, {port: web}, {port: 15020}, {port: 1, endPort: 90}, {protocol: TCP}]}")},
	{"rules for ports of pods that declare none, but for their gateway's own", strings.Replace(lets("{ports: [{port: 80}]}"), "app: shop", "app: gate", 1) + "\n---\n" +
		"apiVersion: v1\nkind: Pod\nmetadata: {name: gate, namespace: shops, labels: {app: gate, version: v1}}\nspec: {containers: [{name: istio-proxy, image: 'proxy:1', ports: [{name: http-envoy-prom, containerPort: 15090}]}]}"},
	{"rules for ports of pods that are not of the environment", strings.Replace(lets("{ports: [{port: 80}]}"), "app: shop", "app: none", 1)},
	{"callers of namespaces that every platform has", callers("[kube-system, default]")},
	{"one version that all requests go to, from outside too", alone},
	{"a Deployment that is a hook, and serves", strings.Replace(alone, "alone-v1, namespace: shops", "alone-v1, namespace: shops, annotations: {helm.sh/hook: pre-install}", 1)},
	{"a port of the nodes for two protocols of one Service", strings.NewReplacer("selector: {app: shop}, ", "", "ports: [", "ports: [{name: udp, port: 53, protocol: UDP, nodePort: 30053}, ").Replace(nodePort("30053"))},
	{"a version without pods that gets nothing", strings.NewReplacer("subset: v1}, weight: 100}", "subset: v1}, weight: 100}, {destination: {host: alone, subset: v2}, weight: 0}", "labels: {version: v1}}", "labels: {version: v1}}, {name: v2, labels: {version: v2}}").Replace(strings.Split(alone, "---\napiVersion: networking.k8s.io")[0]) +
		"---\n" + strings.NewReplacer("alone-v1", "alone-v2", "version: v1", "version: v2", "spec:\n  selector", "spec:\n  replicas: 0\n  selector").Replace(strings.Split(alone, "---\n")[1])},
	{"names of what is made elsewhere, or may be absent", referring("envFrom: [{configMapRef: {name: elsewhere}}, {secretRef: {name: shop-tls}}, {configMapRef: {name: setings, optional: true}}], " +
		"env: [{name: A, valueFrom: {configMapKeyRef: {name: settings, key: none, optional: true}}}, {name: B, valueFrom: {configMapKeyRef: {name: filled, key: ca}}}, {name: C, valueFrom: {secretKeyRef: {name: login, key: user}}}]}], serviceAccountName: default, imagePullSecrets: [{name: login}], x: [{")},
	{"a name like that of what others name rightly", referring("envFrom: [{configMapRef: {name: settings}}, {configMapRef: {name: settings2}}]")},
	{"two Jobs whose names the API server completes", generated + "\n---\n" + generated},
}

// nodePort is a Service with that port of the nodes.
func nodePort(number string) string {
	return "apiVersion: v1\nkind: Service\nmetadata: {name: more, namespace: shops}\nspec: {type: NodePort, selector: {app: shop}, ports: [{name: tcp, port: 53, targetPort: 8080, nodePort: " + number + "}]}"
}

// referring is a CronJob with a container of these fields, and what its pods may name.
func referring(fields string) string {
	const namespaced = ", namespace: shops}\n"
	pod := "{restartPolicy: Never, containers: [{name: more, image: 'more:1', " + fields + "}]}"
	pod = strings.NewReplacer(", }]", "}]", ", x: [{}]", "").Replace(pod)
	return "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: more" + namespaced + "spec: {schedule: '@daily', jobTemplate: {spec: {template: {metadata: {labels: {app: more}}, spec: " + pod + "}}}}\n---\n" +
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings" + namespaced + "data: {color: red}\nbinaryData: {logo: AA==}\n---\n" +
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: filled" + namespaced + "---\n" +
		"apiVersion: v1\nkind: Secret\nmetadata: {name: login" + namespaced + "data: {user: AA==}\nstringData: {pin: '7654321'}\n---\n" +
		"apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: shop-data" + namespaced + "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n---\n" +
		"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: shop" + namespaced
}

const (
	testPod   = "apiVersion: v1\nkind: Pod\nmetadata: {name: test-connection, namespace: shops, labels: {app: shop}, annotations: {helm.sh/hook: test}}\nspec: {restartPolicy: Never, containers: [{name: wget, image: 'wget:1'}]}"
	generated = "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: more-, namespace: shops, annotations: {helm.sh/hook: pre-upgrade}}\nspec: {template: {metadata: {labels: {app: more}}, spec: {restartPolicy: Never, containers: [{name: more, image: 'more:1'}]}}}"
)

// alone is an app of one version, with its routing in the mesh and an Ingress.
const alone = `apiVersion: v1
kind: Service
metadata: {name: alone, namespace: shops}
spec: {selector: {app: alone}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: alone-v1, namespace: shops}
spec:
  selector: {matchLabels: {app: alone, version: v1}}
  template:
    metadata: {labels: {app: alone, version: v1}}
    spec: {containers: [{name: alone, image: "alone:1", ports: [{name: http, containerPort: 80}]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: alone, namespace: shops}
spec: {host: alone, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: alone, namespace: shops}
spec: {hosts: [alone], http: [{route: [{destination: {host: alone, subset: v1}, weight: 100}]}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: alone, namespace: shops}
spec: {ingressClassName: nginx, defaultBackend: {service: {name: alone, port: {number: 80}}}}
`

// gateway is what Istio's own chart of that name makes, and a route whose weights are relative.
const gateway = `apiVersion: v1
kind: Service
metadata: {name: gate, namespace: shops}
spec:
  type: LoadBalancer
  selector: {app: gate}
  ports: [{name: status-port, port: 15021, targetPort: 15021}, {name: http2, port: 80, targetPort: 80}, {name: https, port: 443, targetPort: 443}]
---
apiVersion: v1
kind: Service
metadata: {name: single, namespace: shops}
spec: {selector: {app: gate}, ports: [{port: 8000, targetPort: http-envoy-prom}]}
---
apiVersion: v1
kind: Service
metadata: {name: made, namespace: shops}
spec: {selector: {app: of-an-operator}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: gate, namespace: shops}
spec:
  selector: {matchLabels: {app: gate}}
  template:
    metadata: {labels: {app: gate}}
    spec: {containers: [{name: gate, image: "auto", ports: [{name: http-envoy-prom, containerPort: 15090}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: gate, namespace: shops}
spec:
  hosts: [gate.example.com]
  http: [{route: [{destination: {host: shop, port: {number: 80}}, weight: 1}, {destination: {host: gate, port: {number: 80}}, weight: 3}]}]
`

// What Kubernetes and Istio take of other charts is no error; a name that no container has leads nowhere, whoever wrote it.
func TestOtherCharts(t *testing.T) {
	check := func(text, chart string) (errors, warnings []string) {
		other := rendered(t, "shops/other", text, "default/ns")
		other.ChartName = chart
		for _, p := range run(t, rendered(t, "default/ns", injectedNamespace), rendered(t, "shops/shop", healthy(t), "default/ns"), other) {
			if p.Severity == problem.Error {
				errors = append(errors, p.Rule)
			} else {
				warnings = append(warnings, p.Rule)
			}
			assert.NotContains(t, p.Fix, "http- ", "which is no legal name")
		}
		return errors, warnings
	}
	said := []string{"version-label", "service-endpoints", "port-protocol", "service-port", "service-port", "service-port", "port-protocol", "weights"}
	errors, warnings := check(gateway, "gateway")
	assert.Empty(t, errors)
	assert.ElementsMatch(t, said, warnings)
	errors, warnings = check(gateway, ours)
	assert.ElementsMatch(t, said, errors)
	assert.Empty(t, warnings)
	errors, _ = check(strings.Replace(gateway, "targetPort: http-envoy-prom", "targetPort: prom", 1), "gateway")
	assert.Equal(t, []string{"service-port"}, errors)
}

// A policy holds for pods that get a proxy, whichever label asks for it.
func TestPoliciesHoldInTheMesh(t *testing.T) {
	for _, c := range []struct {
		namespace, pods string // labels
		held            bool
	}{
		{"istio-injection: enabled", "", true},
		{"istio.io/rev: stable", "", true},
		{"", ", sidecar.istio.io/inject: 'true'", true},
		{"", ", istio.io/rev: stable", true},
		{"", "", false},
		{"istio-injection: disabled, istio.io/rev: stable", "", false},
		{"istio.io/rev: stable", ", sidecar.istio.io/inject: 'false'", false},
	} {
		text := strings.Replace(alone, "labels: {app: alone, version: v1}", "labels: {app: alone, version: v1"+c.pods+"}", 1) + "---\n" + strings.Replace(callers("[shops]"), "app: shop", "app: alone", 1)
		var said []string
		for _, p := range run(t, rendered(t, "default/ns", "apiVersion: v1\nkind: Namespace\nmetadata: {name: shops, labels: {"+c.namespace+"}}"), rendered(t, "shops/alone", text, "default/ns")) {
			said = append(said, p.Rule)
		}
		assert.Equal(t, !c.held, slices.Contains(said, "IST0127"), "%s; %s: %s", c.namespace, c.pods, said)
	}
}

// Other charts have their own place for annotations.
func TestAnnotationsOfOtherCharts(t *testing.T) {
	other := rendered(t, "shops/other", tlsGateway, "default/ns")
	other.ChartName = "other"
	assert.Contains(t, run(t, rendered(t, "default/ns", injectedNamespace), other).Error(), "say so in metadata.annotations: galley.istio.io/analyze-suppress: IST0101 [IST0101]")
}

// A kind that an operator brings is held to its own schema where that is there, and is a warning where it is not. What is
// mistyped is an error.
func TestForeignKinds(t *testing.T) {
	const crd = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: scaledobjects.keda.sh}
spec:
  group: keda.sh
  scope: Namespaced
  names: {kind: ScaledObject, plural: scaledobjects}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, required: [to], properties: {to: {type: string}, passwords: {type: array, items: {type: string, pattern: "^[a-z]+$"}}, token: {type: string, format: byte}, tokens: {type: array, items: {type: string, format: date}}, hosts: {type: object, additionalProperties: {type: array, items: {type: object, properties: {port: {type: integer}}}}}, free: {type: object, x-kubernetes-preserve-unknown-fields: true}, template: {type: object, properties: {metadata: {type: object}}}, window: {type: object, required: [from], properties: {from: {type: integer, nullable: true}}}, max: {type: integer, nullable: true, maximum: 9}}, x-kubernetes-validations: [{rule: "self.to != 'never'", message: not there}]}}}}
`
	object := func(gvk, spec string) string {
		return "apiVersion: " + path.Dir(gvk) + "\nkind: " + path.Base(gvk) + "\nmetadata: {name: more, namespace: shops}\nspec: " + spec
	}
	const keda = "keda.sh/v1/ScaledObject"
	const none = " is not a kind of Kubernetes 1.37, Istio, Gateway API or OpenShift"
	for _, c := range []struct {
		also, want string
		severity   problem.Severity
	}{
		{crd + "\n---\n" + object(keda, "{to: shop, max: null}"), "", ""},
		{crd + "\n---\n" + object(keda, "{to: shop, window: {from: null}}"), "", ""},
		{crd + "\n---\n" + object(keda, "{to: null}"), "other.yaml ScaledObject/shops/more spec.to: a value is required", problem.Error},
		{crd + "\n---\n" + object(keda, "{to: shop, hosts: {a: [{port: 1}]}, free: {any: [{thing: 1}]}}"), "", ""},
		{crd + "\n---\n" + object(keda, "{to: shop, mxa: 1}"), `other.yaml ScaledObject/shops/more spec.mxa: unknown key "mxa". Fix: write max [schema]`, problem.Error},
		{crd + "\n---\n" + object(keda, "{to: shop, template: {metadata: {creationTimestamp: null}}}"), "", ""},
		{crd + "\n---\n" + object(keda, "{to: shop, template: {metadata: {labels: {a: b}}}}"), `other.yaml ScaledObject/shops/more spec.template.metadata.labels: unknown key "labels". Fix: remove it [schema]`, problem.Error},
		{crd + "\n---\n" + object(keda, "{to: shop, mxa: null}"), `other.yaml ScaledObject/shops/more spec.mxa: unknown key "mxa" without a value, which server-side apply, as Helm 4 does it, refuses. Fix: write max [schema]`, problem.Warning},
		{crd + "\n---\n" + object(keda, "{to: shop, hosts: {a: [{port: 1}, {number: 1}]}}"), `other.yaml ScaledObject/shops/more spec.hosts.a[1].number: unknown key "number". Fix: remove it; known here: port [schema]`, problem.Error},
		{crd + "\n---\n" + object(keda, "{to: shop, window: {from: 1, till: {than: 2}}}"), `other.yaml ScaledObject/shops/more spec.window.till: unknown key "till". Fix: remove it; known here: from [schema]`, problem.Error},
		{crd + "\n---\n" + strings.Replace(object(keda, "{to: shop}"), "name: more,", "name: more, lables: {a: b},", 1), `other.yaml ScaledObject/shops/more metadata.lables: unknown key "lables". Fix: write labels [schema]`, problem.Error},
		{crd + "\n---\n" + strings.Replace(object(keda, "{to: shop}"), "name: more,", "name: more, labels: {a: 1},", 1), `other.yaml ScaledObject/shops/more metadata.labels.a: 1; expected string. Fix: quote it [schema]`, problem.Error},
		{crd + "\n---\n" + object(keda, "{to: never}"), "other.yaml ScaledObject/shops/more spec: not there [schema]", problem.Error},
		{crd + "\n---\n" + object(keda, "{max: 9}"), "other.yaml ScaledObject/shops/more spec.to: a value is required", problem.Error},
		{crd + "\n---\n" + object(keda, "{to: shop, max: 10}"), "other.yaml ScaledObject/shops/more spec.max: 10: ", problem.Error},
		{crd + "\n---\n" + object(keda, "{to: shop, passwords: [Hunter2]}"), "other.yaml ScaledObject/shops/more spec.passwords[0]: spec.passwords[0] in body should match '^[a-z]+$' [schema]", problem.Error},
		{crd + "\n---\n" + object(keda, "{to: shop, token: 'Hunter2: no base64'}"), "other.yaml ScaledObject/shops/more spec.token: spec.token in body must be of type byte [schema]", problem.Error},
		{crd + "\n---\n" + object(keda, "{to: shop, tokens: [Hunter2]}"), "other.yaml ScaledObject/shops/more spec.tokens[0]: spec.tokens[0] in body must be of type date [schema]", problem.Error},
		{crd + "\n---\n" + object("keda.sh/v1/ScaledJob", "{}"), "apiVersion: keda.sh/v1/ScaledJob" + none + ", nor does", problem.Warning},
		{object(keda, "{}"), "apiVersion: " + keda + none + ", nor does this environment bring it: it is not checked. Fix: see that the cluster has its CustomResourceDefinition [schema]", problem.Warning},
		{object("autoscaling.k8s.io/v1/VerticalPodAutoscaler", "{}"), none + ", nor does", problem.Warning},
		{object("authorization.openshift.io/v1/ClusterRole", "{}"), none + ", nor does", problem.Warning},
		{object("networking.istio.oi/v1/VirtualService", "{}"), "write networking.istio.io/v1/VirtualService", problem.Error},
		{object("networking.istio.io/v1/VirtualServce", "{}"), "write networking.istio.io/v1/VirtualService", problem.Error},
		{object("app/v1/Deployment", "{}"), "write apps/v1/Deployment", problem.Error},
		{object("extensions/v1beta1/Ingress", "{}"), none + ". Fix: use an API that this version serves", problem.Error},
		{object("v1/Servce", "{}"), "write v1/Service", problem.Error},
	} {
		got := run(t, rendered(t, "default/ns", injectedNamespace), rendered(t, "shops/shop", healthy(t), "default/ns"), rendered(t, "shops/other", c.also, "default/ns"))
		if c.want == "" {
			assert.Empty(t, got)
			continue
		}
		if assert.NotEmpty(t, got, c.want) {
			assert.Contains(t, got[0].String(), c.want)
			assert.Equal(t, c.severity, got[0].Severity, c.want)
		}
	}
}

const tlsGateway = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: more, namespace: shops}\n" +
	"spec: {selector: {istio: ingressgateway}, servers: [{hosts: [d.example.com], port: {name: http, number: 80, protocol: HTTP}}, {hosts: [d.example.com], port: {name: https, number: 443, protocol: HTTPS}, tls: {mode: SIMPLE, credentialName: cert}}]}"

// lets is a policy that lets something in.
func lets(rules string) string {
	return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: more, namespace: shops}\nspec: {podSelector: {matchLabels: {app: shop}}, ingress: [" + rules + "]}"
}

// callers is a policy that lets in what namespaces send.
func callers(namespaces string) string {
	return "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: more, namespace: shops}\n" +
		"spec: {selector: {matchLabels: {app: shop}}, rules: [{from: [{source: {namespaces: [shops]}}, {source: {namespaces: " + namespaces + "}}]}]}"
}

func route(name string) string {
	return "apiVersion: route.openshift.io/v1\nkind: Route\nmetadata: {name: " + name + ", namespace: shops}\nspec: {to: {kind: Service, name: shop}}"
}

// exposed is an Ingress with the host and path of the healthy environment's.
func exposed(metadata, class, pathType string) string {
	return "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: more, namespace: shops, " + metadata + "}\n" +
		"spec: {" + class + "rules: [{host: a.example.com, http: {paths: [{path: /, pathType: " + pathType + ", backend: {service: {name: shop, port: {number: 80}}}}]}}]}"
}

func entry(namespace, port string) string {
	return "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: more-" + port + ", namespace: " + namespace + "}\n" +
		"spec: {hosts: [api.example.com], resolution: DNS, ports: [{name: https, number: " + port + ", protocol: TLS}]}"
}

func destinationRule(namespace, host, selector string) string {
	return "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: more, namespace: " + namespace + "}\n" +
		"spec: {" + selector + "host: " + host + ", trafficPolicy: {connectionPool: {tcp: {connectTimeout: 1s}}}}"
}

// A host of several ServiceEntries has the ports of each, but where the caller's namespace has one of its own; of wildcards the longest holds.
func TestHostsOutside(t *testing.T) {
	wide := func(host, name string) string {
		return strings.NewReplacer("api.example.com", "'"+host+"'", "more-", name).Replace(entry("shops", "8443"))
	}
	m := newModel([]*render.Release{rendered(t, "shops/a", strings.Join([]string{
		entry("shops", "443"), entry("shops", "5432"), entry("far", "80"), entry("near", "90"),
		wide("*.com", "a"), wide("*.example.com", "b"), wide("*.org", "c"),
	}, "\n---\n"))})
	for range 20 { // in whatever order a map gives them
		assert.Equal(t, "443, 5432", m.resolve("api.example.com", "shops").portNumbers())
		assert.Equal(t, "80", m.resolve("api.example.com", "far").portNumbers())
		assert.Equal(t, "443, 5432, 80, 90", m.resolve("api.example.com", "default").portNumbers())
		assert.Equal(t, "*.example.com", m.resolve("other.example.com", "shops").host)
		assert.Nil(t, m.resolve("example.net", "shops"))
	}
}

// A Service whose pods all end has that one fault.
func TestServiceOfAJob(t *testing.T) {
	const job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: more, namespace: shops}\nspec: {template: {metadata: {labels: {app: more}}, spec: {restartPolicy: Never, containers: [{name: more, image: 'more:1'}]}}}"
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: more, namespace: shops, labels: {app: more}, annotations: {helm.sh/hook: pre-install}}\nspec: {restartPolicy: Never, containers: [{name: more, image: 'more:1'}]}"
	const service = "\n---\napiVersion: v1\nkind: Service\nmetadata: {name: more, namespace: shops}\nspec: {selector: {app: more}, ports: [{name: http, port: 80}]}"
	for of, text := range map[string]string{"Job": job, "Pod": pod} {
		got := run(t, rendered(t, "default/ns", injectedNamespace), rendered(t, "shops/other", text+service, "default/ns"))
		assert.Equal(t, "other.yaml Service/shops/more spec.selector: it selects the pods of "+of+"/shops/more, which end; expected pods that serve without end. Fix: give the job another app [service-job]", got.Error())
	}
}

// A namespace that Helmfile makes for one release is there for those that need it.
func TestNamespaceOfHelmfile(t *testing.T) {
	first := rendered(t, "other/first", configMap("first"))
	first.CreateNamespace = true
	assert.Empty(t, run(t, first, rendered(t, "other/second", configMap("second"), "other/first")))
	policy := strings.Replace(callers("[shops, other]"), "selector: {matchLabels: {app: shop}}, ", "", 1)
	assert.Empty(t, run(t, first, rendered(t, "default/ns", injectedNamespace), rendered(t, "shops/shop", healthy(t), "default/ns"), rendered(t, "shops/more", policy, "default/ns")))
	assert.Equal(t, "third.yaml ConfigMap/other/third metadata.namespace: release other/third does not need other/first, which creates namespace other; expected the namespace first. Fix: add other/first to its needs [namespace]",
		run(t, first, rendered(t, "other/third", configMap("third"))).Error())
}

func configMap(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: other}"
}

func TestLegal(t *testing.T) {
	for _, c := range legal {
		t.Run(c.name, func(t *testing.T) {
			assert.Empty(t, run(t, rendered(t, "default/ns", injectedNamespace), rendered(t, "shops/shop", healthy(t), "default/ns"), rendered(t, "shops/other", c.also, "default/ns")))
		})
	}
}

// What a rule of ours explains is not said again in Istio's words; another reference of the
// same object is.
func TestEchoes(t *testing.T) {
	ns := rendered(t, "default/ns", injectedNamespace)
	text := strings.NewReplacer("{name: v2, labels: {version: v2}}", "{name: v2, labels: {version: v7}}",
		"{host: shop, subset: v2", "{host: shpo, subset: v2", "hosts: [shop.example.com]", "hosts: [shop.example.com]\n  gateways: [none]").Replace(healthy(t))
	var got []string
	for _, p := range run(t, ns, rendered(t, "shops/shop", text, "default/ns")) {
		got = append(got, p.Rule)
	}
	assert.Equal(t, []string{"subset-endpoints", "IST0101", "route-host"}, got)

	text = strings.Replace(healthy(t), "subset: v2, port: {number: 80}", "subset: v2, port: {number: 81}", 1)
	got = nil
	for _, p := range run(t, ns, rendered(t, "shops/shop", text, "default/ns")) {
		got = append(got, p.Rule)
	}
	assert.Equal(t, []string{"route-port"}, got)
}

// What YAML reads otherwise than it is written is told of this chart's values alone, of which it is known what becomes of them.
func TestWarningsOfValues(t *testing.T) {
	release := rendered(t, "default/ns", injectedNamespace)
	release.Warnings = problem.List{{Severity: problem.Warning, Rule: "values", Found: "1.10"}}
	assert.Equal(t, "1.10 [values]", run(t, release).Error())
	release.ChartName = "other"
	assert.Empty(t, run(t, release))
}

// An object may say that it does not want to hear of a message of Istio's; of others it does.
func TestSuppressed(t *testing.T) {
	ns := rendered(t, "default/ns", injectedNamespace)
	rules := func(note string) (out []string) {
		text := strings.NewReplacer("hosts: [shop.example.com]", "hosts: [shop.example.com]\n  gateways: [none]",
			"kind: VirtualService\nmetadata: {", "kind: VirtualService\nmetadata: {annotations: {galley.istio.io/analyze-suppress: '"+note+"'}, ").Replace(healthy(t))
		require.Contains(t, text, note)
		for _, p := range run(t, ns, rendered(t, "shops/shop", text, "default/ns")) {
			out = append(out, p.Rule)
		}
		return out
	}
	heard := rules("IST0102")
	assert.Contains(t, heard, "IST0101")
	assert.NotContains(t, rules("IST0102,IST0101"), "IST0101")
	assert.NotContains(t, rules("*"), "IST0101")
	assert.NotContains(t, rules("IST0101"), "IST0132", "which is of the same Gateway")
}

// A release by itself is not asked for what others bring, but for all that is its own.
func TestRelease(t *testing.T) {
	checker, err := newest()
	require.NoError(t, err)
	text := strings.NewReplacer("host: shop, subset: v1", "host: elsewhere, subset: v1", "weight: 90", "weight: 89", "serviceName: store", "serviceName: elsewhere").Replace(healthy(t))
	got := checker.Release(t.Context(), rendered(t, "shops/shop", text))
	require.Len(t, got, 1, got)
	assert.Equal(t, "weights", got[0].Rule)
}

// What only server-side apply refuses is two entries of one key in a list. What the API server refuses anyway is said once.
func TestDoubledKeys(t *testing.T) {
	ns := rendered(t, "default/ns", injectedNamespace)
	const also = "; expected each key once: server-side apply, which is how Helm 4 installs, refuses it twice. Fix: remove one of the two [kubernetes]"
	const ports = "[{name: web, containerPort: 8080}]"
	for _, c := range []struct{ old, new, want string }{
		{"restartPolicy: Never", "restartPolicy: Never, imagePullSecrets: [{name: a}, {name: b}, {name: a}]", `Job/shops/setup spec.template.spec.imagePullSecrets[2]: "name a", which is there already` + also},
		{ports, ports + ", env: [{name: A, value: a}, {name: B}, {name: A, value: b}]", `Deployment/shops/shop-v1 spec.template.spec.containers[0].env[2]: "name A", which is there already` + also},
		{ports, "[{name: web, containerPort: 8080}, {name: more, containerPort: 8080, protocol: TCP}]", `Deployment/shops/shop-v1 spec.template.spec.containers[0].ports[1]: "containerPort 8080, protocol TCP", which is there already` + also},
		{ports, "[{name: web, containerPort: 8080}, {name: more, containerPort: 8080, protocol: UDP}]", ""},
		{ports, ports + ", command: [a, a]", ""},
		{"restartPolicy: Never", "restartPolicy: Never, volumes: [{name: a, emptyDir: {}}, {name: a, emptyDir: {}}]", `Job/shops/setup spec.template.spec.volumes[1].name: "a", which is there already [kubernetes]`},
	} {
		text := strings.Replace(healthy(t), c.old, c.new, 1)
		require.NotEqual(t, healthy(t), text)
		var got, want []string
		for _, p := range run(t, ns, rendered(t, "shops/shop", text, "default/ns")) {
			got = append(got, p.String())
		}
		if c.want != "" {
			want = []string{"shop.yaml " + c.want}
		}
		assert.Equal(t, want, got)
	}
}

// Pods that have no port need no names, nor does a StatefulSet that names no Service have any.
func TestStatefulSetWithoutNames(t *testing.T) {
	ns := rendered(t, "default/ns", injectedNamespace)
	for _, c := range []struct{ old, new string }{
		{`image: "store:1", ports: [{name: tcp, containerPort: 5432}]`, `image: "store:1"`},
		{"  serviceName: store\n", "  serviceName: ''\n"},
	} {
		text := strings.Replace(healthy(t), c.old, c.new, 1)
		require.NotEqual(t, healthy(t), text)
		text = strings.Replace(text, "serviceName: store", "serviceName: elsewhere", 1)
		for _, p := range run(t, ns, rendered(t, "shops/shop", text, "default/ns")) {
			assert.NotEqual(t, "statefulset-service", p.Rule, p.String())
		}
	}
}

func TestEveryRuleHasACase(t *testing.T) {
	cases := map[string]bool{}
	for _, c := range broken {
		cases[c.rule] = true
	}
	names := map[string]bool{}
	for _, r := range rules {
		assert.True(t, cases[r.name], "no case trips %s", r.name)
		assert.False(t, names[r.name], "two rules are called %s", r.name)
		assert.NotEmpty(t, r.about, r.name)
		names[r.name] = true
	}
}

func TestUnknownKubernetesVersion(t *testing.T) {
	for _, version := range []string{"1.30", "", "1.3", "newest"} {
		_, err := New(WithKubeVersion(version))
		require.ErrorContains(t, err, "no schemas of Kubernetes \""+version+"\": there are 1.31, 1.32, 1.33, 1.34, 1.35, 1.36, 1.37")
	}
	_, err := New(WithKubeVersion("v1.34.4+k3s1"))
	require.NoError(t, err)
}

// Every kind's schema compiles, so that none fails on the day when it is first used.
func TestEverySchemaCompiles(t *testing.T) {
	for _, version := range versions() {
		s, err := openSchemas(version)
		require.NoError(t, err)
		for _, definition := range s.kinds {
			_, err := s.compile(definition)
			require.NoError(t, err, "%s %s", version, definition)
		}
	}
}

// Istio's validation refuses a rule without a source, and another of its analyzers panics on it.
func TestAnAnalyzerThatPanics(t *testing.T) {
	policy := "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: more, namespace: shops}\nspec: {rules: [{from: [{}]}]}"
	got := run(t, rendered(t, "default/ns", injectedNamespace), rendered(t, "shops/shop", healthy(t)+"\n---\n"+policy, "default/ns"))
	require.Len(t, got, 1)
	assert.Contains(t, got[0].String(), "AuthorizationPolicy/shops/more")

	c := &analysisContext{}
	c.run(panics{})
	assert.Equal(t, "Istio's analyzer panics cannot read the environment: no source [istio]", c.found.Error())
}

type panics struct{}

func (panics) Metadata() analysis.Metadata { return analysis.Metadata{Name: "panics"} }
func (panics) Analyze(analysis.Context)    { panic("no source") }
