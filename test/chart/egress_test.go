package chart_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestEgress(t *testing.T) {
	got := renderObjects(t, `
app: shop
egress:
  hosts:
    db: {host: db.example.com, port: 3306, trafficPolicy: {tls: {mode: SIMPLE}}}
    web: {host: "*.example.org", port: 443, protocol: TLS, resolution: NONE}
`)
	assert.Equal(t, map[string]any{
		"exportTo": []any{"."}, "hosts": []any{"db.example.com"}, "location": "MESH_EXTERNAL", "resolution": "DNS",
		"ports": []any{map[string]any{"name": "tcp", "number": float64(3306), "protocol": "TCP"}},
	}, got.get(t, "ServiceEntry/shop-db").Object["spec"])
	assert.Equal(t, map[string]any{"exportTo": []any{"."}, "host": "db.example.com", "trafficPolicy": map[string]any{"tls": map[string]any{"mode": "SIMPLE"}}},
		got.get(t, "DestinationRule/shop-db").Object["spec"])
	assert.NotContains(t, got, "DestinationRule/shop-web")
	assert.Equal(t, map[string]any{
		"egress":                []any{map[string]any{"hosts": []any{"*/*"}}},
		"outboundTrafficPolicy": map[string]any{"mode": "REGISTRY_ONLY"},
		"workloadSelector":      map[string]any{"labels": map[string]any{"app": "shop"}},
	}, got.get(t, "Sidecar/shop").Object["spec"])

	all := renderObjects(t, "app: shop\negress: {scope: namespace, outboundTrafficPolicy: ALLOW_ANY}")
	assert.NotContains(t, all.get(t, "Sidecar/shop").Object["spec"], "workloadSelector")
}

func TestEgressPorts(t *testing.T) {
	got := renderObjects(t, `
app: shop
egress:
  hosts:
    api:
      host: api.example.com
      ports:
        http: {port: 80, protocol: HTTP, targetPort: 443, tls: {}}
        https: {port: 443, protocol: HTTPS}
        tcp-db: {port: 9000, tls: {mode: MUTUAL, credentialName: client, subjectAltNames: [db.example.com]}}
      trafficPolicy: {connectionPool: {tcp: {maxConnections: 10}}, retryBudget: {percent: 20}}
`)
	spec(t, got, "ServiceEntry/shop-api", `
exportTo: [.]
hosts: [api.example.com]
location: MESH_EXTERNAL
resolution: DNS
ports:
  - {name: http, number: 80, protocol: HTTP, targetPort: 443}
  - {name: https, number: 443, protocol: HTTPS}
  - {name: tcp-db, number: 9000, protocol: TCP}`)
	spec(t, got, "DestinationRule/shop-api", `
exportTo: [.]
host: api.example.com
trafficPolicy:
  connectionPool: {tcp: {maxConnections: 10}}
  retryBudget: {percent: 20}
  portLevelSettings:
    - port: {number: 80}
      connectionPool: {tcp: {maxConnections: 10}}
      tls: {mode: SIMPLE, sni: api.example.com, subjectAltNames: [api.example.com]}
    - port: {number: 9000}
      connectionPool: {tcp: {maxConnections: 10}}
      tls: {mode: MUTUAL, sni: api.example.com, credentialName: client, subjectAltNames: [db.example.com]}`)
}

func TestEgressTLS(t *testing.T) {
	for tls, want := range map[string]string{
		`{}`:                         `{mode: SIMPLE, sni: a.example.com, subjectAltNames: [a.example.com]}`,
		`{insecureSkipVerify: true}`: `{mode: SIMPLE, sni: a.example.com, insecureSkipVerify: true}`,
		`{mode: MUTUAL, sni: b, clientCertificate: /c, privateKey: /k, caCertificates: /ca}`: `{mode: MUTUAL, sni: b, subjectAltNames: [a.example.com], clientCertificate: /c, privateKey: /k, caCertificates: /ca}`,
		`{mode: DISABLE}`: `{mode: DISABLE}`,
	} {
		spec(t, renderObjects(t, `{app: shop, egress: {hosts: {a: {host: a.example.com, port: 6379, protocol: REDIS, tls: `+tls+`, trafficPolicy: {loadBalancer: {simple: RANDOM}}}}}}`),
			"DestinationRule/shop-a", `{exportTo: [.], host: a.example.com, trafficPolicy: {loadBalancer: {simple: RANDOM}, tls: `+want+`}}`)
	}
	spec(t, renderObjects(t, `{app: shop, egress: {hosts: {a: {host: "*.example.com", port: 80, protocol: HTTP, resolution: NONE, tls: {}}}}}`),
		"DestinationRule/shop-a", `{exportTo: [.], host: "*.example.com", trafficPolicy: {tls: {mode: SIMPLE}}}`)
}

const throughGateway = `
app: shop
egress:
  visible: [./*, shared/*, "~/*"]
  gateway: {}
  networkPolicy: {egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}
  hosts:
    web: {host: web.example.com, ports: {http: {port: 8080, protocol: HTTP}, https: {port: 443, protocol: HTTPS}}}
    api: {host: api.example.com, port: 80, protocol: HTTP, targetPort: 443, tls: {}}
    mongo: {host: mongo.example.com, port: 27017, protocol: MONGO}
    redis: {host: redis.example.com, port: 6379, protocol: REDIS, annotations: {note: a}}
    near: {host: near.example.com, port: 9000, direct: true}
`

func TestEgressGateway(t *testing.T) {
	got := renderObjects(t, throughGateway)
	spec(t, got, "Gateway/shop-egress", `
selector: {istio: egressgateway}
servers:
  - {hosts: [api.example.com, web.example.com], port: {name: http, number: 80, protocol: HTTP}}
  - {hosts: [web.example.com], port: {name: tls, number: 443, protocol: TLS}, tls: {mode: PASSTHROUGH}}
  - {hosts: [mongo.example.com], port: {name: tcp-mongo, number: 443, protocol: TLS}, tls: {mode: ISTIO_MUTUAL}}
  - {hosts: [redis.example.com], port: {name: tcp-redis, number: 443, protocol: TLS}, tls: {mode: ISTIO_MUTUAL}}`)
	gateway := "istio-egressgateway.istio-system.svc.cluster.local"
	spec(t, got, "VirtualService/shop-web", `
exportTo: [., istio-system]
hosts: [web.example.com]
gateways: [mesh, shop-egress]
http:
  - match: [{gateways: [mesh], port: 8080}]
    route: [{destination: {host: `+gateway+`, port: {number: 80}}}]
  - match: [{gateways: [shop-egress], port: 80}]
    route: [{destination: {host: web.example.com, port: {number: 8080}}}]
tls:
  - match: [{gateways: [mesh], port: 443, sniHosts: [web.example.com]}]
    route: [{destination: {host: `+gateway+`, port: {number: 443}}}]
  - match: [{gateways: [shop-egress], port: 443, sniHosts: [web.example.com]}]
    route: [{destination: {host: web.example.com, port: {number: 443}}}]`)
	spec(t, got, "VirtualService/shop-redis", `
exportTo: [., istio-system]
hosts: [redis.example.com]
gateways: [mesh, shop-egress]
tcp:
  - match: [{gateways: [mesh], port: 6379}]
    route: [{destination: {host: `+gateway+`, port: {number: 443}, subset: redis}}]
  - match: [{gateways: [shop-egress], port: 443}]
    route: [{destination: {host: redis.example.com, port: {number: 6379}}}]`)
	assert.Equal(t, map[string]string{"note": "a"}, got.get(t, "VirtualService/shop-redis").GetAnnotations())
	spec(t, got, "DestinationRule/shop-egress-gateway", `
host: `+gateway+`
exportTo: [.]
subsets:
  - {name: mongo, trafficPolicy: {portLevelSettings: [{port: {number: 443}, tls: {mode: ISTIO_MUTUAL, sni: mongo.example.com}}]}}
  - {name: redis, trafficPolicy: {portLevelSettings: [{port: {number: 443}, tls: {mode: ISTIO_MUTUAL, sni: redis.example.com}}]}}`)
	assert.NotContains(t, got, "VirtualService/shop-near")
	for id, want := range map[string][]string{
		"ServiceEntry/shop-redis": {".", "istio-system"}, "ServiceEntry/shop-near": {"."}, "DestinationRule/shop-api": {".", "istio-system"},
	} {
		exportTo, _, err := unstructured.NestedStringSlice(got.get(t, id).Object, "spec", "exportTo")
		require.NoError(t, err)
		assert.Equal(t, want, exportTo, id)
	}
	spec(t, got, "Sidecar/shop", `
workloadSelector: {labels: {app: shop}}
outboundTrafficPolicy: {mode: REGISTRY_ONLY}
egress:
  - hosts: [./*, shared/*, "~/*", istio-system/`+gateway+`]`)
	spec(t, got, "NetworkPolicy/shop-egress", `
podSelector: {matchLabels: {app: shop}}
policyTypes: [Egress]
egress:`+unblocked+`
  - to: [{podSelector: {}}, {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shared}}}]
  - ports: [{port: 9000, protocol: TCP}]
  - to: [{namespaceSelector: {}, podSelector: {matchLabels: {istio: egressgateway}}}]
  - to: [{ipBlock: {cidr: 192.0.2.0/24}}]`)

	other := renderObjects(t, `{app: shop, egress: {gateway: {host: out.mesh.svc.cluster.local, selector: {a: b}}, hosts: {a: {host: a.example.com, port: 443, protocol: TLS}}}}`)
	assert.NotContains(t, other, "DestinationRule/shop-egress-gateway")
	spec(t, other, "Gateway/shop-egress", `
selector: {a: b}
servers: [{hosts: [a.example.com], port: {name: tls, number: 443, protocol: TLS}, tls: {mode: PASSTHROUGH}}]`)
	spec(t, other, "VirtualService/shop-a", `
exportTo: [., mesh]
hosts: [a.example.com]
gateways: [mesh, shop-egress]
tls:
  - match: [{gateways: [mesh], port: 443, sniHosts: [a.example.com]}]
    route: [{destination: {host: out.mesh.svc.cluster.local, port: {number: 443}}}]
  - match: [{gateways: [shop-egress], port: 443, sniHosts: [a.example.com]}]
    route: [{destination: {host: a.example.com, port: {number: 443}}}]`)
}

// TestGatewayOfTheNamespace: Istio refuses a namespace that is said twice, by its name and as a dot.
func TestGatewayOfTheNamespace(t *testing.T) {
	got := renderObjects(t, `{app: shop, egress: {gateway: {host: out.shop.svc.cluster.local}, hosts: {a: {host: a.example.com, port: 9000}, b: {host: b.example.com, port: 80, protocol: HTTP, exportTo: [shop, other]}}}}`)
	for id, want := range map[string][]string{
		"ServiceEntry/shop-a": {"."}, "VirtualService/shop-a": {"."}, "ServiceEntry/shop-b": {"shop", "other"}, "VirtualService/shop-b": {"shop", "other"},
	} {
		exportTo, _, err := unstructured.NestedStringSlice(got.get(t, id).Object, "spec", "exportTo")
		require.NoError(t, err)
		assert.Equal(t, want, exportTo, id)
	}
}

// unblocked is what every policy for what goes out must let through: DNS and istiod.
const unblocked = `
  - ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}, {port: 5353, protocol: UDP}, {port: 5353, protocol: TCP}]
  - to: [{namespaceSelector: {}, podSelector: {matchLabels: {app: istiod}}}]
    ports: [{port: 15012, protocol: TCP}]`

func TestEgressNetworkPolicy(t *testing.T) {
	got := renderObjects(t, `
app: shop
egress:
  scope: namespace
  networkPolicy: {}
  hosts:
    looked-up: {host: a.example.com, port: 80, targetPort: 8080, protocol: HTTP, endpoints: [{address: b.example.com, ports: {http: 8081}}]}
    fixed: {host: b.example.com, port: 3306, resolution: STATIC, endpoints: [{address: 192.0.2.1}, {address: "2001:db8::1"}]}
    range: {host: c.example.com, port: 5432, resolution: NONE, addresses: [198.51.100.0/24]}
`)
	spec(t, got, "NetworkPolicy/shop-egress", `
podSelector: {}
policyTypes: [Egress]
egress:`+unblocked+`
  - to: [{namespaceSelector: {}}]
  - to: [{ipBlock: {cidr: 192.0.2.1/32}}, {ipBlock: {cidr: "2001:db8::1/128"}}]
    ports: [{port: 3306, protocol: TCP}]
  - ports: [{port: 8080, protocol: TCP}, {port: 8081, protocol: TCP}]
  - to: [{ipBlock: {cidr: 198.51.100.0/24}}]
    ports: [{port: 5432, protocol: TCP}]`)
	require.NotContains(t, renderObjects(t, `{app: shop, egress: {}}`), "NetworkPolicy/shop-egress")
}

// TestDeclaredIsVisible: pods that see little see what this file declares, and each host once.
func TestDeclaredIsVisible(t *testing.T) {
	got := renderObjects(t, `
app: shop
egress:
  visible: [istio-system/*]
  hosts:
    a: {host: a.example.com, port: 80, protocol: HTTP}
    b: {host: a.example.com, port: 443, protocol: TLS}
`)
	spec(t, got, "Sidecar/shop", `
workloadSelector: {labels: {app: shop}}
outboundTrafficPolicy: {mode: REGISTRY_ONLY}
egress: [{hosts: [istio-system/*, ./a.example.com]}]`)
}
