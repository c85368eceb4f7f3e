package chart_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPeerAuthentication(t *testing.T) {
	spec(t, renderObjects(t, `{app: shop, access: {peerAuthentication: {mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}}}}`),
		"PeerAuthentication/shop", `
selector: {matchLabels: {app: shop}}
mtls: {mode: STRICT}
portLevelMtls: {"8080": {mode: DISABLE}}`)
	spec(t, renderObjects(t, `{app: shop, access: {scope: namespace, peerAuthentication: {mtls: {mode: STRICT}}}}`),
		"PeerAuthentication/shop", `mtls: {mode: STRICT}`)
}

func TestAuthorizationPolicies(t *testing.T) {
	got := renderObjects(t, `
app: shop
access:
  authorizationPolicies:
    nobody: {}
    callers:
      rules: [{from: [{source: {principals: [cluster.local/ns/web/sa/front]}}], to: [{operation: {methods: [GET]}}]}]
      annotations: {note: a}
    asked: {action: CUSTOM, provider: {name: ext}, rules: [{}]}
    gateway: {action: DENY, targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: shop}], rules: [{}]}
    others: {selector: {matchLabels: {istio: ingressgateway}}}
    gone: null
`)
	require.Len(t, got, 5)
	spec(t, got, "AuthorizationPolicy/shop-nobody", `selector: {matchLabels: {app: shop}}`)
	spec(t, got, "AuthorizationPolicy/shop-callers", `
selector: {matchLabels: {app: shop}}
rules: [{from: [{source: {principals: [cluster.local/ns/web/sa/front]}}], to: [{operation: {methods: [GET]}}]}]`)
	assert.Equal(t, map[string]string{"note": "a"}, got.get(t, "AuthorizationPolicy/shop-callers").GetAnnotations())
	spec(t, got, "AuthorizationPolicy/shop-asked", `{selector: {matchLabels: {app: shop}}, action: CUSTOM, provider: {name: ext}, rules: [{}]}`)
	spec(t, got, "AuthorizationPolicy/shop-gateway", `{action: DENY, targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: shop}], rules: [{}]}`)
	spec(t, got, "AuthorizationPolicy/shop-others", `{selector: {matchLabels: {istio: ingressgateway}}}`)

	spec(t, renderObjects(t, `{app: shop, access: {scope: namespace, authorizationPolicies: {nobody: {}}}}`), "AuthorizationPolicy/shop-nobody", `{}`)
}

// sidecarPorts are open in every policy: by them a sidecar's probes and metrics are reached.
const sidecarPorts = `{ports: [{port: 15020, protocol: TCP}, {port: 15021, protocol: TCP}, {port: 15090, protocol: TCP}]}`

func TestNetworkPolicy(t *testing.T) {
	for name, c := range map[string]struct{ values, ingress string }{
		"the ports that the Service sends to": {`
service: {ports: {http: {port: 80, targetPort: web}, tcp: {port: 9000}}}
access: {networkPolicy: {}}`, `{ports: [{port: web, protocol: TCP}, {port: 9000, protocol: TCP}]}, `},
		"rules": {`access: {networkPolicy: {ingress: [{from: [{podSelector: {}}]}]}}`, `{from: [{podSelector: {}}]}, `},
		"none":  {`access: {networkPolicy: {ingress: []}}`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			spec(t, renderObjects(t, "app: shop\n"+c.values), "NetworkPolicy/shop", `
podSelector: {matchLabels: {app: shop}}
policyTypes: [Ingress]
ingress: [`+c.ingress+sidecarPorts+`]`)
		})
	}
	spec(t, renderObjects(t, `{app: shop, access: {scope: namespace, networkPolicy: {ingress: []}}}`), "NetworkPolicy/shop", `
podSelector: {}
policyTypes: [Ingress]
ingress: [`+sidecarPorts+`]`)
	// The ports of one version's containers are open on its own pods, and say nothing of the other versions'.
	got := renderObjects(t, "app: shop\n"+`
version: v1.0
workload:
  containers:
    a: {image: {repository: a, tag: "1"}, ports: {http: {containerPort: 8080}, dns: {containerPort: 53, protocol: UDP}}}
    b: null
  initContainers: {c: {image: {repository: a, tag: "1"}, ports: {http: {containerPort: 1}}}}
  sidecars: {d: {image: {repository: a, tag: "1"}, ports: {admin: {containerPort: 9090}}}}
access: {networkPolicy: {}}`)
	spec(t, got, "NetworkPolicy/shop-v1-0", `
podSelector: {matchLabels: {app: shop, version: v1.0}}
policyTypes: [Ingress]
ingress: [{ports: [{port: 53, protocol: UDP}, {port: 8080, protocol: TCP}, {port: 9090, protocol: TCP}]}, `+sidecarPorts+`]`)
	assert.Equal(t, "v1.0", got.get(t, "NetworkPolicy/shop-v1-0").GetLabels()["version"])
}
