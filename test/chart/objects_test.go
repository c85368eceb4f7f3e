package chart_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install" // its conversions
	"k8s.io/kubernetes/pkg/apis/core/validation"
)

func TestService(t *testing.T) {
	s := into[corev1.Service](t, renderObjects(t, `
app: shop
version: v1
service:
  type: LoadBalancer
  externalTrafficPolicy: Local
  labels: {team: a}
  annotations: {note: b}
  ports:
    http: {port: 80, targetPort: 8080}
    metrics: {port: 9090, appProtocol: http}
`), "Service/shop")
	assert.Equal(t, map[string]string{"app": "shop"}, s.Spec.Selector, "all versions are behind one name")
	assert.NotContains(t, s.Labels, "version")
	assert.Equal(t, "a", s.Labels["team"])
	assert.Equal(t, map[string]string{"note": "b"}, s.Annotations)
	assert.Equal(t, corev1.ServiceTypeLoadBalancer, s.Spec.Type)
	assert.Equal(t, corev1.ServiceExternalTrafficPolicyLocal, s.Spec.ExternalTrafficPolicy)
	app := "http"
	assert.Equal(t, []corev1.ServicePort{
		{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80, TargetPort: intstr.FromInt32(8080)},
		{Name: "metrics", Protocol: corev1.ProtocolTCP, Port: 9090, AppProtocol: &app},
	}, s.Spec.Ports)
}

func TestServiceOfOneVersion(t *testing.T) {
	got := renderObjects(t, `
app: shop
version: v1.2
service: {perVersion: true, ports: {http: {port: 80}}}
exposure: {kind: ingress, hosts: [a.example.com]}
`)
	s := into[corev1.Service](t, got, "Service/shop-v1-2")
	assert.Equal(t, map[string]string{"app": "shop", "version": "v1.2"}, s.Spec.Selector)
	assert.Equal(t, "v1.2", s.Labels["version"])
	spec(t, got, "Ingress/shop", `
rules: [{host: a.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: shop-v1-2, port: {number: 80}}}}]}}]`)
}

func TestServicePolicy(t *testing.T) {
	policy := `{connectionPool: {http: {idleTimeout: 3s}}, outlierDetection: {consecutive5xxErrors: 3}}`
	got := renderObjects(t, `{app: shop, service: {annotations: {note: b}, ports: {http: {port: 80}}, trafficPolicy: `+policy+`}}`)
	spec(t, got, "DestinationRule/shop", `{host: shop, trafficPolicy: `+policy+`}`)
	assert.Equal(t, map[string]string{"note": "b"}, got["DestinationRule/shop"].GetAnnotations())

	// The routing of the App is about another Service.
	got = renderObjects(t, `
app: shop
version: v1.2
service: {perVersion: true, ports: {http: {port: 80}}, trafficPolicy: `+policy+`}
routing: {stage: a, stages: [{name: a, weights: {v1.2: 100}}]}
`)
	spec(t, got, "DestinationRule/shop-v1-2", `{host: shop-v1-2, trafficPolicy: `+policy+`}`)
	assert.Equal(t, "v1.2", got["DestinationRule/shop-v1-2"].GetLabels()["version"])
	spec(t, got, "DestinationRule/shop", `
host: shop
subsets: [{name: v1-2, labels: {version: v1.2}}]
trafficPolicy: {connectionPool: {http: {http1MaxPendingRequests: 1000}}}`)
}

// A layer may remove the policy field by field.
func TestNoServicePolicy(t *testing.T) {
	got := renderObjects(t, `
app: shop
service: {ports: {http: {port: 80}}, trafficPolicy: {connectionPool: null}}
egress: {hosts: {db: {host: db.example.com, port: 5432, protocol: TCP, trafficPolicy: {connectionPool: null}}}}`)
	assert.NotContains(t, got, "DestinationRule/shop")
	assert.NotContains(t, got, "DestinationRule/shop-db")
	got = renderObjects(t, `
app: shop
service: {ports: {http: {port: 80}}, trafficPolicy: {connectionPool: null}}
routing: {stage: a, stages: [{name: a, weights: {v1: 100}}]}`)
	assert.Contains(t, got, "DestinationRule/shop", "that of routing")

	// An empty pool is none; other policies say something when they are empty.
	for policy, want := range map[string]string{
		`{connectionPool: {http: {idleTimeout: null}, tcp: {}}}`:                      ``,
		`{connectionPool: {http: {}, tcp: {maxConnections: 1}}}`:                      `{connectionPool: {tcp: {maxConnections: 1}}}`,
		`{connectionPool: {tcp: {}, http: {maxRetries: 1}}}`:                          `{connectionPool: {http: {maxRetries: 1}}}`,
		`{connectionPool: {tcp: {}}, outlierDetection: {}}`:                           `{outlierDetection: {}}`,
		`{connectionPool: {http: {idleTimeout: null}}, loadBalancer: {simple: null}}`: `{loadBalancer: {}}`,
	} {
		got := renderObjects(t, `{app: shop, service: {ports: {http: {port: 80}}, trafficPolicy: `+policy+`}, egress: {hosts: {db: {host: db.example.com, port: 5432, protocol: TCP, trafficPolicy: `+policy+`}}}}`)
		if want == "" {
			assert.NotContains(t, got, "DestinationRule/shop", policy)
			assert.NotContains(t, got, "DestinationRule/shop-db", policy)
			continue
		}
		spec(t, got, "DestinationRule/shop", `{host: shop, trafficPolicy: `+want+`}`)
		spec(t, got, "DestinationRule/shop-db", `{exportTo: [.], host: db.example.com, trafficPolicy: `+want+`}`)
	}
}

func TestServiceTypes(t *testing.T) {
	for values, want := range map[string]string{
		`{clusterIP: None, publishNotReadyAddresses: true, ports: {tcp: {port: 5432}}}`:                                   `{clusterIP: None, publishNotReadyAddresses: true, selector: {app: shop}, ports: [{name: tcp, port: 5432, protocol: TCP}]}`,
		`{type: NodePort, ports: {http: {port: 80, nodePort: 30080}}}`:                                                    `{type: NodePort, selector: {app: shop}, ports: [{name: http, port: 80, nodePort: 30080, protocol: TCP}]}`,
		`{type: LoadBalancer, loadBalancerClass: a, ports: {http: {port: 80}}}`:                                           `{type: LoadBalancer, loadBalancerClass: a, selector: {app: shop}, ports: [{name: http, port: 80, protocol: TCP}]}`,
		`{type: ExternalName, externalName: shop.example.com}`:                                                            `{type: ExternalName, externalName: shop.example.com}`,
		`{type: ExternalName, externalName: shop.example.com, ports: {dns: {port: 53, protocol: UDP, appProtocol: udp}}}`: `{type: ExternalName, externalName: shop.example.com, ports: [{name: dns, port: 53, protocol: UDP, appProtocol: udp}]}`,
	} {
		spec(t, renderObjects(t, "{app: shop, service: "+values+"}"), "Service/shop", want)
	}
}

func TestNamespace(t *testing.T) {
	n := into[corev1.Namespace](t, renderObjects(t, `{app: shop, namespace: {name: shops, injection: enabled, labels: {team: a}}}`), "Namespace/shops")
	assert.Equal(t, "enabled", n.Labels["istio-injection"])
	assert.Equal(t, "a", n.Labels["team"])
	assert.Equal(t, map[string]string{"helm.sh/resource-policy": "keep"}, n.Annotations)

	n = into[corev1.Namespace](t, renderObjects(t, `{app: shop, namespace: {revision: canary}}`), "Namespace/shop")
	assert.Equal(t, "canary", n.Labels["istio.io/rev"])
	assert.NotContains(t, n.Labels, "istio-injection")
}

// TestEmptyBlocks: a block that is there renders what it stands for, though it says nothing more.
func TestEmptyBlocks(t *testing.T) {
	got := renderObjects(t, `{app: shop, namespace: {}, identity: {}, egress: {}}`)
	assert.Len(t, got, 3)
	got.get(t, "Namespace/shop")
	got.get(t, "ServiceAccount/shop")
	got.get(t, "Sidecar/shop")

	budget := renderValues(t, with(t, `workload: {disruptionBudget: {}}`))
	spec(t, budget, "PodDisruptionBudget/shop-v1-3-4", `{maxUnavailable: 1, selector: {matchLabels: {app: shop, version: v1.3.4}}}`)
	budget = renderValues(t, with(t, `workload: {disruptionBudget: {maxUnavailable: null, unhealthyPodEvictionPolicy: AlwaysAllow}}`))
	spec(t, budget, "PodDisruptionBudget/shop-v1-3-4", `{maxUnavailable: 1, unhealthyPodEvictionPolicy: AlwaysAllow, selector: {matchLabels: {app: shop, version: v1.3.4}}}`)

	spec(t, renderObjects(t, `{app: shop, access: {peerAuthentication: {}}}`), "PeerAuthentication/shop", `selector: {matchLabels: {app: shop}}`)
	spec(t, renderObjects(t, `{app: shop, access: {scope: namespace, peerAuthentication: {}}}`), "PeerAuthentication/shop", `{}`)

	assert.Empty(t, renderObjects(t, `{app: shop, service: null, access: {peerAuthentication: null}}`), "null is no block")
}

func TestIdentity(t *testing.T) {
	got := renderObjects(t, `
app: shop
identity:
  imagePullSecrets: [{name: pull}]
  rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
`)
	a := into[corev1.ServiceAccount](t, got, "ServiceAccount/shop")
	assert.False(t, *a.AutomountServiceAccountToken)
	assert.Equal(t, []corev1.LocalObjectReference{{Name: "pull"}}, a.ImagePullSecrets)
	assert.Equal(t, []string{"pods"}, into[rbacv1.Role](t, got, "Role/shop").Rules[0].Resources)
	b := into[rbacv1.RoleBinding](t, got, "RoleBinding/shop")
	assert.Equal(t, rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "Role", Name: "shop"}, b.RoleRef)
	assert.Equal(t, []rbacv1.Subject{{Kind: "ServiceAccount", Name: "shop", Namespace: namespace}}, b.Subjects)

	alone := renderObjects(t, `{app: shop, identity: {}}`)
	assert.Len(t, alone, 1)
	alone.get(t, "ServiceAccount/shop")
}

func TestConfigAndSecrets(t *testing.T) {
	got := renderObjects(t, `
app: shop
config: {settings: {data: {a: text, number: 20250811, b: true, braces: "{{ .Values.app }}"}, binaryData: {x: aGk=}, immutable: true}}
secrets: {tls: {type: kubernetes.io/tls, stringData: {tls.crt: c, tls.key: k}}}
`)
	c := into[corev1.ConfigMap](t, got, "ConfigMap/shop-settings")
	assert.Equal(t, map[string]string{"a": "text", "number": "20250811", "b": "true", "braces": "{{ .Values.app }}"}, c.Data, "text stays as it is")
	assert.True(t, *c.Immutable)
	assert.Equal(t, []byte("hi"), c.BinaryData["x"])
	s := into[corev1.Secret](t, got, "Secret/shop-tls")
	assert.Equal(t, corev1.SecretTypeTLS, s.Type)
	assert.Equal(t, map[string][]byte{"tls.crt": []byte("c"), "tls.key": []byte("k")}, s.Data)
}

// TestSecretData: all of a Secret stands under data, so that what goes from the values goes from the cluster too: a key
// that is gone from stringData stays in what Kubernetes made of it.
func TestSecretData(t *testing.T) {
	data := func(secret string) map[string][]byte {
		s := into[corev1.Secret](t, renderObjects(t, "{app: shop, secrets: {keys: "+secret+"}}"), "Secret/shop-keys")
		assert.Nil(t, s.StringData)
		return s.Data
	}
	assert.Equal(t, map[string][]byte{"a": []byte("<text>"), "b": []byte("20250811"), "c": []byte("hi")},
		data(`{stringData: {a: <text>, b: 20250811}, data: {a: aGk=, c: aGk=}}`), "text wins over bytes, as in Kubernetes")
	assert.Equal(t, map[string][]byte{"b": []byte("20250811")}, data(`{stringData: {a: null, b: 20250811}, data: {c: null}}`))
	assert.Empty(t, data(`{stringData: {a: null}}`))
}

// TestSecretTypes: the chart takes what the API server takes.
func TestSecretTypes(t *testing.T) {
	for _, secret := range []string{
		`{type: kubernetes.io/basic-auth, stringData: {password: c}}`,
		`{type: kubernetes.io/basic-auth, data: {username: aGk=}}`,
		`{type: kubernetes.io/ssh-auth, stringData: {ssh-privatekey: c}}`,
		`{type: kubernetes.io/dockerconfigjson, stringData: {.dockerconfigjson: '{"auths": {}}'}}`,
		`{type: kubernetes.io/dockercfg, data: {.dockercfg: e30=}}`,
		`{type: kubernetes.io/service-account-token, annotations: {kubernetes.io/service-account.name: shop}}`,
		`{type: example.com/own}`,
	} {
		s := new(core.Secret)
		require.NoError(t, legacyscheme.Scheme.Convert(into[corev1.Secret](t, renderObjects(t, "{app: shop, secrets: {t: "+secret+"}}"), "Secret/shop-t"), s, nil))
		s.Namespace = namespace
		assert.Empty(t, validation.ValidateSecret(s), secret)
	}
}

func TestNotes(t *testing.T) {
	values := with(t, `
version: v2
service: {ports: {http: {port: 80, targetPort: 8080}}}
workload: {containers: {main: {ports: {http: {containerPort: 8080}}}}}
exposure: {kind: istio, hosts: [shop.example.com], paths: {a: {path: /a}}}
secrets: {db: {stringData: {password: hidden}}}
routing: {stage: canary, stages: [{name: old, weights: {v1: 100}}, {name: canary, weights: {v1: 90, v2: 10}}]}
egress: {hosts: {db: {host: db.example.com, port: 3306}}}
`)
	manifest, notes, err := render(t.Context(), "demo", values)
	require.NoError(t, err)
	golden(t, caseName(t, values), values, manifest, notes)
	assert.Equal(t, `shop v2, release demo in namespace shop

Deployment shop-v2
  Watch it:  kubectl -n shop rollout status deployment/shop-v2

Service shop, for all versions of shop
  In the cluster:  shop.shop:80 (http)
  From here:       kubectl -n shop port-forward service/shop :80

Exposed by Istio
  http://shop.example.com/a
  Its address:  kubectl get services -A -l istio=ingressgateway
  Its state:    istioctl analyze -n shop

Routing of shop, stage canary
  v1: 90%
  v2: 10%
  Stages in order: old, canary. To move on, change routing.stage and upgrade.
  A request may take 10s, waiting included.

Egress of shop
  db.example.com:3306 (TCP)
  Any other host outside is refused.

Config and secrets: db. A change restarts the pods that use it.
`, notes)
}
