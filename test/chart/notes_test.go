package chart_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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
		{"istio with TLS", `{kind: istio, hosts: [shop.example.com], port: 80, tls: {secretName: cert}}`, `
Exposed by Istio
  https://shop.example.com/
  Its address:  kubectl get services -A -l istio=ingressgateway
  Its state:    istioctl analyze -n shop
  It needs the Secret cert in the namespace of the ingress gateway.
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
