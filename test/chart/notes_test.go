package chart_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestNotesTellWhatWorks: the notes suggest no command that fails, and promise nothing that is not so.
func TestNotesTellWhatWorks(t *testing.T) {
	const pods = "{containers: {main: {image: {repository: a, tag: '1'}}}, "
	for _, c := range []struct{ name, values, want string }{
		{"a name of elsewhere", `service: {type: ExternalName, externalName: db.example.com, ports: {tcp: {port: 5432}}}`, `
Service shop, for all versions of shop, stands for db.example.com
  In the cluster:  shop.shop:5432 (tcp)
`},
		{"node ports", `service: {type: NodePort, ports: {http: {port: 80}, udp-dns: {port: 53, protocol: UDP}}}`, `
Service shop, for all versions of shop
  In the cluster:  shop.shop:80 (http)
  From here:       kubectl -n shop port-forward service/shop :80
  In the cluster:  shop.shop:53 (udp-dns)
  Its node ports:  kubectl -n shop get service shop -o jsonpath='{.spec.ports[*].nodePort}'
  Its addresses:   kubectl get nodes -o wide
`},
		{"connections", `routing: {protocol: TCP, stage: a, stages: [{name: a, weights: {v1: 100}}]}`, `
Routing of shop, stage a
  v1: 100%
  Stages in order: a. To move on, change routing.stage and upgrade.
`},
		{"no limit", `routing: {timeout: 0s, stage: a, stages: [{name: a, weights: {v1: 100}}]}`, `
Routing of shop, stage a
  v1: 100%
  Stages in order: a. To move on, change routing.stage and upgrade.
  A request may take any time, waiting included.
`},
		{"a limit", `routing: {timeout: 1m0s, stage: a, stages: [{name: a, weights: {v1: 100}}]}`, `
Routing of shop, stage a
  v1: 100%
  Stages in order: a. To move on, change routing.stage and upgrade.
  A request may take 1m0s, waiting included.
`},
		{"pods that wait for their end", "version: v1\nworkload: " + pods + "kind: DaemonSet, updateStrategy: {type: OnDelete}}", `
DaemonSet shop-v1
  Watch it:  kubectl -n shop get pods -l app=shop,version=v1 --watch
  A pod that is there changes when somebody deletes it.
`},
		{"pods that are replaced", "version: v1\nworkload: " + pods + "kind: StatefulSet, updateStrategy: {type: RollingUpdate}}", `
StatefulSet shop-v1
  Watch it:  kubectl -n shop rollout status statefulset/shop-v1
`},
		{"a suspended CronJob", "version: v1\nworkload: " + pods + "kind: CronJob, schedule: '0 3 * * *', suspend: true}", `
CronJob shop-v1
  It is suspended; else it would run at "0 3 * * *".
  Its runs:  kubectl -n shop get jobs -l app=shop,version=v1
`},
		{"a suspended Job", "version: v1\nworkload: " + pods + "kind: Job, suspend: true}", `
Job shop-v1
  Watch it:  kubectl -n shop get jobs -l app=shop,version=v1 --watch
  It is suspended: nothing runs until workload.suspend is false.
`},
		{"a Job", "version: v1\nworkload: " + pods + "kind: Job, suspend: false}", `
Job shop-v1
  Watch it:  kubectl -n shop get jobs -l app=shop,version=v1 --watch
`},
		{"pods of an autoscaler", "version: v1\nworkload: " + pods + "autoscaling: {minReplicas: 2, maxReplicas: 5}, disruptionBudget: {}}", `
Deployment shop-v1
  Watch it:  kubectl -n shop rollout status deployment/shop-v1
  Pods:      2 to 5, as its autoscaler says: kubectl -n shop get horizontalpodautoscalers shop-v1
  To drain:  kubectl -n shop get poddisruptionbudgets shop-v1 says how many pods may go at once
`},
		{"one pod at least", "version: v1\nworkload: " + pods + "kind: StatefulSet, autoscaling: {maxReplicas: 3}}", `
StatefulSet shop-v1
  Watch it:  kubectl -n shop rollout status statefulset/shop-v1
  Pods:      1 to 3, as its autoscaler says: kubectl -n shop get horizontalpodautoscalers shop-v1
`},
		{"injection by a label", `namespace: {labels: {istio-injection: enabled}}`, `
Namespace shop: pods get a sidecar.
  It stays when this release is uninstalled, with all that is in it.
`},
		{"a revision by a label", `namespace: {labels: {istio.io/rev: canary}}`, `
Namespace shop: sidecars of Istio's revision canary.
  It stays when this release is uninstalled, with all that is in it.
`},
		{"no injection by a label", `namespace: {labels: {istio.io/rev: canary, istio-injection: disabled}}`, `
Namespace shop: pods get no sidecar.
  It stays when this release is uninstalled, with all that is in it.
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			values := parse(t, "app: shop\n"+c.values)
			renderValues(t, values)
			_, notes, err := render(t.Context(), "demo", values)
			require.NoError(t, err)
			_, told, _ := strings.Cut(notes, "\n\n")
			assert.Equal(t, strings.TrimPrefix(c.want, "\n"), told)
		})
	}
}

// TestNotesOfExposure: the notes say under which URL each kind of exposure answers, what address that is, what to watch,
// and nothing out of a Secret.
func TestNotesOfExposure(t *testing.T) {
	for _, c := range []struct{ name, exposure, want string }{
		{"istio", `{kind: istio, hosts: ["*"], paths: {a: {path: /a}, b: {path: /b}}, port: 80, gateway: {port: 8080, selector: {istio: edge, tier: outer}}}`, `
Exposed by Istio
  http://<address>:8080/a
  http://<address>:8080/b
  Its address:  kubectl get services -A -l istio=edge,tier=outer
  Its state:    istioctl analyze -n shop
`},
		{"istio existing", `{kind: istio, hosts: [shop.example.com], port: 80, gateway: {existing: edge/shared}}`, `
Exposed by Istio, through the Gateway edge/shared
  http://shop.example.com/
  Its address:  kubectl -n edge get gateways.networking.istio.io shared -o jsonpath='{.spec.selector}' says whose Service has it
  Its state:    istioctl analyze -n shop
`},
		{"istio existing here", `{kind: istio, hosts: [shop.example.com], port: 80, gateway: {existing: shared}}`, `
Exposed by Istio, through the Gateway shared
  http://shop.example.com/
  Its address:  kubectl -n shop get gateways.networking.istio.io shared -o jsonpath='{.spec.selector}' says whose Service has it
  Its state:    istioctl analyze -n shop
`},
		{"gatewayAPI existing here", `{kind: gatewayAPI, hosts: [shop.example.com], port: 80, gateway: {existing: shared}}`, `
Exposed by Gateway API, through the Gateway shared
  http://shop.example.com/
  Its address:  kubectl -n shop get gateways.gateway.networking.k8s.io shared
  Its state:    kubectl -n shop get httproutes.gateway.networking.k8s.io shop -o jsonpath='{.status.parents}'
`},
		{"istio with TLS", `{kind: istio, hosts: [shop.example.com], port: 80, tls: {secretName: cert}}`, `
Exposed by Istio
  https://shop.example.com/
  Its address:  kubectl get services -A -l istio=ingressgateway
  Its state:    istioctl analyze -n shop
  It needs the Secret cert in the namespace of the ingress gateway.
`},
		{"istio with certificates", `{kind: istio, hosts: [a.example.com, b.example.com, c.example.com], port: 80, tls: {secretName: c, certificates: {b: {hosts: [b.example.com], secretName: b}, a: {hosts: [a.example.com], secretName: b}}}}`, `
Exposed by Istio
  https://a.example.com/
  https://b.example.com/
  https://c.example.com/
  Its address:  kubectl get services -A -l istio=ingressgateway
  Its state:    istioctl analyze -n shop
  It needs the Secret b in the namespace of the ingress gateway.
  It needs the Secret c in the namespace of the ingress gateway.
`},
		{"gatewayAPI", `{kind: gatewayAPI, hosts: ["*.example.com"], port: 80, tls: {secretName: cert}}`, `
Exposed by Gateway API
  https://<name>.example.com/
  Its address:  kubectl -n shop get gateways.gateway.networking.k8s.io shop
  Its state:    kubectl -n shop get httproutes.gateway.networking.k8s.io shop -o jsonpath='{.status.parents}'
  It needs the Secret cert in namespace shop.
`},
		{"gatewayAPI existing", `{kind: gatewayAPI, hosts: [shop.example.com], port: 80, gateway: {existing: edge/shared}}`, `
Exposed by Gateway API, through the Gateway edge/shared
  http://shop.example.com/
  Its address:  kubectl -n edge get gateways.gateway.networking.k8s.io shared
  Its state:    kubectl -n shop get httproutes.gateway.networking.k8s.io shop -o jsonpath='{.status.parents}'
`},
		{"ingress", `{kind: ingress, hosts: [shop.example.com], port: 80}`, `
Exposed by an Ingress
  http://shop.example.com/
  Its address:  kubectl -n shop get ingresses.networking.k8s.io shop
  Its state:    kubectl -n shop describe ingresses.networking.k8s.io shop
`},
		{"route", `{kind: route, hosts: [shop.example.com], tls: {}}`, `
Exposed by Routes of OpenShift
  https://shop.example.com/
  Its address:  kubectl -n shop get routes.route.openshift.io -l app=shop
  Its state:    kubectl -n shop get routes.route.openshift.io -l app=shop -o jsonpath='{.items[*].status.ingress}'
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			values := parse(t, "app: shop\nexposure: "+c.exposure+"\nsecrets: {db: {stringData: {password: hidden}}}")
			got := renderValues(t, values)
			_, notes, err := render(t.Context(), "demo", values)
			require.NoError(t, err)
			_, exposed, _ := strings.Cut(notes, "\n\n")
			exposed, _, _ = strings.Cut(exposed, "\n\n")
			assert.Equal(t, strings.TrimPrefix(c.want, "\n"), exposed+"\n")
			assertNoSecrets(t, got, notes)
		})
	}
}
