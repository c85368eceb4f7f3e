package chart_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

// exposed is one model, in which only the kind is left out.
const exposed = `
app: shop
service: {ports: {http: {port: 80, targetPort: 8080}}}
exposure:
  hosts: [shop.example.com, "*.shops.example.com"]
  paths: {a: {path: /a}, b: {path: /b}}
  tls: {secretName: cert}
`

// expose renders exposed with a layer on top.
func expose(t *testing.T, layer string) objects {
	t.Helper()
	return renderValues(t, merge(parse(t, exposed), parse(t, layer)))
}

// spec holds an object's spec against one written as YAML.
func spec(t *testing.T, o objects, id, want string) {
	t.Helper()
	var expected any
	require.NoError(t, yaml.Unmarshal([]byte(want), &expected))
	assert.Equal(t, expected, o.get(t, id).Object["spec"], id)
}

func TestIngress(t *testing.T) {
	got := expose(t, `exposure: {kind: ingress, className: nginx, paths: {b: {pathType: Exact}, c: {path: /c, pathType: ImplementationSpecific}}, annotations: {note: x}, labels: {team: a}}`)
	ingress := into[networkingv1.Ingress](t, got, "Ingress/shop")
	assert.Equal(t, map[string]string{"note": "x"}, ingress.Annotations)
	assert.Equal(t, "a", ingress.Labels["team"])
	paths := `
        paths:
          - {path: /a, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}
          - {path: /b, pathType: Exact, backend: {service: {name: shop, port: {number: 80}}}}
          - {path: /c, pathType: ImplementationSpecific, backend: {service: {name: shop, port: {number: 80}}}}`
	spec(t, got, "Ingress/shop", `
ingressClassName: nginx
tls: [{hosts: [shop.example.com, "*.shops.example.com"], secretName: cert}]
rules:
  - host: shop.example.com
    http:`+paths+`
  - host: "*.shops.example.com"
    http:`+paths)

	spec(t, renderObjects(t, `{app: shop, exposure: {kind: ingress, hosts: ["*"], port: 80, tls: {}}}`), "Ingress/shop", `
tls: [{}]
rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}]}}]`)
}

func TestGatewayAPI(t *testing.T) {
	got := expose(t, `exposure: {kind: gatewayAPI, paths: {b: {pathType: Exact}}}`)
	spec(t, got, "Gateway/shop", `
gatewayClassName: istio
listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: https, port: 443, protocol: HTTPS, tls: {mode: Terminate, certificateRefs: [{name: cert}]}}`)
	spec(t, got, "HTTPRoute/shop", `
parentRefs: [{name: shop, sectionName: https}]
hostnames: [shop.example.com, "*.shops.example.com"]
rules:
  - matches: [{path: {type: PathPrefix, value: /a}}, {path: {type: Exact, value: /b}}]
    backendRefs: [{name: shop, port: 80, weight: 100}]`)
	spec(t, got, "HTTPRoute/shop-redirect", `
parentRefs: [{name: shop, sectionName: http}]
hostnames: [shop.example.com, "*.shops.example.com"]
rules: [{filters: [{type: RequestRedirect, requestRedirect: {scheme: https, statusCode: 301}}]}]`)
	assert.Equal(t, "gateway.networking.k8s.io/v1", got.get(t, "Gateway/shop").GetAPIVersion())

	plain := expose(t, `
exposure:
  kind: gatewayAPI
  className: cilium
  tls: {redirect: false}
  gateway: {port: 8080}
  gatewayAPI:
    options: {a.example.com/b: c}
    infrastructure: {labels: {a: b}}
    addresses: [{type: IPAddress, value: 192.0.2.1}]
    timeouts: {request: 5s}
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [x]}}]`)
	assert.NotContains(t, plain, "HTTPRoute/shop-redirect")
	spec(t, plain, "Gateway/shop", `
gatewayClassName: cilium
infrastructure: {labels: {a: b}}
addresses: [{type: IPAddress, value: 192.0.2.1}]
listeners:
  - {name: http, port: 8080, protocol: HTTP}
  - {name: https, port: 443, protocol: HTTPS, tls: {mode: Terminate, certificateRefs: [{name: cert}], options: {a.example.com/b: c}}}`)
	spec(t, plain, "HTTPRoute/shop", `
parentRefs: [{name: shop}]
hostnames: [shop.example.com, "*.shops.example.com"]
rules:
  - matches: [{path: {type: PathPrefix, value: /a}}, {path: {type: PathPrefix, value: /b}}]
    backendRefs: [{name: shop, port: 80, weight: 100}]
    timeouts: {request: 5s}
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [x]}}]`)
}

func TestGatewayAPIOfOthers(t *testing.T) {
	for existing, want := range map[string]string{
		"infra/shared": `{name: shared, namespace: infra, sectionName: web}`,
		"shared":       `{name: shared, sectionName: web}`,
	} {
		got := renderObjects(t, `
app: shop
exposure: {kind: gatewayAPI, hosts: ["*"], port: 80, gateway: {existing: `+existing+`}, gatewayAPI: {sectionName: web}}`)
		require.Len(t, got, 1)
		spec(t, got, "HTTPRoute/shop", `
parentRefs: [`+want+`]
rules: [{matches: [{path: {type: PathPrefix, value: /}}], backendRefs: [{name: shop, port: 80, weight: 100}]}]`)
	}
}

func TestRoute(t *testing.T) {
	got := expose(t, `exposure: {kind: route, route: {httpHeaders: {actions: {request: [{name: X, action: {type: Delete}}]}}}}`)
	assert.Len(t, got, 5, "a Service and a Route for each host and path")
	common := `
port: {targetPort: http}
to: {kind: Service, name: shop, weight: 100}
httpHeaders: {actions: {request: [{name: X, action: {type: Delete}}]}}
tls: {termination: edge, insecureEdgeTerminationPolicy: Redirect, externalCertificate: {name: cert}}
`
	spec(t, got, "Route/shop-shop-example-com-a", common+"host: shop.example.com\npath: /a")
	spec(t, got, "Route/shop-shop-example-com-b", common+"host: shop.example.com\npath: /b")
	spec(t, got, "Route/shop-any-shops-example-com-a", common+"host: wildcard.shops.example.com\nwildcardPolicy: Subdomain\npath: /a")

	passed := renderObjects(t, `
app: shop
exposure: {kind: route, hosts: [shop.example.com], port: https, tls: {redirect: false}, route: {tls: {termination: passthrough}}}`)
	spec(t, passed, "Route/shop-shop-example-com", `
host: shop.example.com
port: {targetPort: https}
to: {kind: Service, name: shop, weight: 100}
tls: {termination: passthrough, insecureEdgeTerminationPolicy: None}`)

	spec(t, renderObjects(t, `{app: shop, exposure: {kind: route, hosts: [shop.example.com], tls: {redirect: false}}}`),
		"Route/shop-shop-example-com", `
host: shop.example.com
to: {kind: Service, name: shop, weight: 100}
tls: {termination: edge, insecureEdgeTerminationPolicy: Allow}`)
}

// TestWeightsOutside: those who know no subsets divide over the Services of the versions, by the same weights.
func TestWeightsOutside(t *testing.T) {
	for stage, want := range map[string][2]string{"old": {"100", "0"}, "canary": {"90", "10"}, "new": {"0", "100"}} {
		values := func(exposure string) map[string]any {
			return merge(parse(t, routing), parse(t, `{routing: {stage: `+stage+`}, exposure: `+exposure+`}`))
		}
		spec(t, renderValues(t, values(`{kind: gatewayAPI, hosts: ["*"]}`)), "HTTPRoute/shop", `
parentRefs: [{name: shop}]
rules:
  - matches: [{path: {type: PathPrefix, value: /}}]
    backendRefs: [{name: shop-v1-0, port: 9080, weight: `+want[0]+`}, {name: shop-v2-0, port: 9080, weight: `+want[1]+`}]`)
		spec(t, renderValues(t, values(`{kind: route, hosts: [a.example.com], port: http}`)), "Route/shop-a-example-com", `
host: a.example.com
port: {targetPort: http}
to: {kind: Service, name: shop-v1-0, weight: `+want[0]+`}
alternateBackends: [{kind: Service, name: shop-v2-0, weight: `+want[1]+`}]`)
	}
}

func TestIstioExposureOfItsOwn(t *testing.T) {
	got := expose(t, `exposure: {kind: istio, tls: {redirect: false}, istio: {timeout: 5s, retries: {attempts: 3}, tls: {mode: MUTUAL, minProtocolVersion: TLSV1_3}}}`)
	spec(t, got, "VirtualService/shop-exposure", `
gateways: [shop]
hosts: [shop.example.com, "*.shops.example.com"]
http:
  - match: [{uri: {prefix: /a}}, {uri: {prefix: /b}}]
    route: [{destination: {host: shop, port: {number: 80}}}]
    timeout: 5s
    retries: {attempts: 3}`)
	spec(t, got, "Gateway/shop", `
selector: {istio: ingressgateway}
servers:
  - {hosts: [shop.example.com, "*.shops.example.com"], port: {name: http, number: 80, protocol: HTTP}}
  - hosts: [shop.example.com, "*.shops.example.com"]
    port: {name: https, number: 443, protocol: HTTPS}
    tls: {mode: MUTUAL, credentialName: cert, minProtocolVersion: TLSV1_3}`)
}

// certified is one model of hosts with certificates of their own, and one for the others.
const certified = `
app: shop
exposure:
  hosts: [shop.example.com, "*.eu.example.com", shop.example.org, shop.example.net]
  port: 80
  tls:
    secretName: other
    certificates:
      eu: {hosts: ["*.eu.example.com"], secretName: eu}
      org: {hosts: [shop.example.org, shop.example.com], secretName: org}
      gone: null
`

// TestCertificates: each host is answered with its own certificate, whichever way it is exposed.
func TestCertificates(t *testing.T) {
	certify := func(layer string) objects {
		return renderValues(t, merge(parse(t, certified), parse(t, "exposure: "+layer)))
	}
	ingress := into[networkingv1.Ingress](t, certify(`{kind: ingress}`), "Ingress/shop")
	assert.Equal(t, []networkingv1.IngressTLS{
		{Hosts: []string{"*.eu.example.com"}, SecretName: "eu"},
		{Hosts: []string{"shop.example.org", "shop.example.com"}, SecretName: "org"},
		{Hosts: []string{"shop.example.net"}, SecretName: "other"},
	}, ingress.Spec.TLS)

	spec(t, certify(`{kind: istio, istio: {tls: {minProtocolVersion: TLSV1_3}}}`), "Gateway/shop", `
selector: {istio: ingressgateway}
servers:
  - {hosts: [shop.example.com, "*.eu.example.com", shop.example.org, shop.example.net], port: {name: http, number: 80, protocol: HTTP}, tls: {httpsRedirect: true}}
  - {hosts: ["*.eu.example.com"], port: {name: https-eu, number: 443, protocol: HTTPS}, tls: {mode: SIMPLE, credentialName: eu, minProtocolVersion: TLSV1_3}}
  - {hosts: [shop.example.org, shop.example.com], port: {name: https-org, number: 443, protocol: HTTPS}, tls: {mode: SIMPLE, credentialName: org, minProtocolVersion: TLSV1_3}}
  - {hosts: [shop.example.net], port: {name: https, number: 443, protocol: HTTPS}, tls: {mode: SIMPLE, credentialName: other, minProtocolVersion: TLSV1_3}}`)

	got := certify(`{kind: gatewayAPI, gatewayAPI: {options: {a.example.com/b: c}}}`)
	spec(t, got, "Gateway/shop", `
gatewayClassName: istio
listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: https--eu.example.com, hostname: "*.eu.example.com", port: 443, protocol: HTTPS, tls: {mode: Terminate, certificateRefs: [{name: eu}], options: {a.example.com/b: c}}}
  - {name: https-shop.example.org, hostname: shop.example.org, port: 443, protocol: HTTPS, tls: {mode: Terminate, certificateRefs: [{name: org}], options: {a.example.com/b: c}}}
  - {name: https-shop.example.com, hostname: shop.example.com, port: 443, protocol: HTTPS, tls: {mode: Terminate, certificateRefs: [{name: org}], options: {a.example.com/b: c}}}
  - {name: https-shop.example.net, hostname: shop.example.net, port: 443, protocol: HTTPS, tls: {mode: Terminate, certificateRefs: [{name: other}], options: {a.example.com/b: c}}}`)
	spec(t, got, "HTTPRoute/shop", `
parentRefs:
  - {name: shop, sectionName: https--eu.example.com}
  - {name: shop, sectionName: https-shop.example.org}
  - {name: shop, sectionName: https-shop.example.com}
  - {name: shop, sectionName: https-shop.example.net}
hostnames: [shop.example.com, "*.eu.example.com", shop.example.org, shop.example.net]
rules:
  - matches: [{path: {type: PathPrefix, value: /}}]
    backendRefs: [{name: shop, port: 80, weight: 100}]`)

	spec(t, renderObjects(t, `
app: shop
exposure:
  kind: gatewayAPI
  hosts: ["*", shop.example.org]
  port: 80
  tls: {secretName: other, redirect: false, certificates: {org: {hosts: [shop.example.org], secretName: org}}}`), "Gateway/shop", `
gatewayClassName: istio
listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: https-shop.example.org, hostname: shop.example.org, port: 443, protocol: HTTPS, tls: {mode: Terminate, certificateRefs: [{name: org}]}}
  - {name: https, port: 443, protocol: HTTPS, tls: {mode: Terminate, certificateRefs: [{name: other}]}}`)

	got = certify(`{kind: route, port: http, tls: {certificates: {eu: {secretName: null}}}}`)
	for route, want := range map[string]string{
		"Route/shop-shop-example-com":   `externalCertificate: {name: org}, `,
		"Route/shop-any-eu-example-com": ``, // the router's own
		"Route/shop-shop-example-org":   `externalCertificate: {name: org}, `,
		"Route/shop-shop-example-net":   `externalCertificate: {name: other}, `,
	} {
		var tls any
		require.NoError(t, yaml.Unmarshal([]byte(`{`+want+`termination: edge, insecureEdgeTerminationPolicy: Redirect}`), &tls))
		assert.Equal(t, tls, got.get(t, route).Object["spec"].(map[string]any)["tls"], route)
	}
}
