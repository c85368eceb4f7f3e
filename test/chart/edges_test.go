package chart_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// edges are fragments of values, on top of minimal, for ways through the templates that nothing else goes: what they
// render to is held by their goldens.
var edges = []struct{ name, layer string }{
	{"a block of nulls", `
workload:
  volumes: {v: {emptyDir: {}, hostPath: null}}
  containers:
    main:
      ports: {http: {containerPort: 8080}, old: null}
      lifecycle: {preStop: {exec: {command: [a]}}, postStart: null}
      volumeMounts: {v: {mountPath: /v}}
      env: {GONE: null, KEPT: "0"}
config: {empty: {}, some: {data: {a: null, b: 1.5, c: 10000000000}}}
secrets: {bytes: {data: {k: aGk=}}}
calls: {ratings: null}`},
	{"ports of sidecars and init containers", `
service: {ports: {http: {port: 80, targetPort: admin}}}
workload:
  sidecars: {proxy: {image: {repository: p, tag: "1"}, ports: {admin: {containerPort: 9000}, old: null}}}
  initContainers: {first: {image: {repository: i, tag: "1"}, ports: {http: {containerPort: 9000}}}}`},
	{"a port by name in two protocols, each of another container", `
service: {ports: {udp-dns: {port: 53, protocol: UDP}, udp-more: {port: 54, protocol: UDP, targetPort: dns}, tcp-dns: {port: 53, targetPort: dns}}}
workload:
  containers:
    main: {ports: {dns: {containerPort: 53, protocol: UDP}}}
    more: {image: {repository: m, tag: "1"}, ports: {dns: {containerPort: 5353}}}`},
	{"a StatefulSet without storage, under a Service of another name", `
workload: {kind: StatefulSet, serviceName: other, enableServiceLinks: true}`},
	{"a StatefulSet under a Service of its version", `
workload: {kind: StatefulSet, serviceName: shop-v1-3-4, containers: {main: {ports: {http: {containerPort: 80}}}}}
service: {perVersion: true, clusterIP: None, ports: {http: {port: 80}}}`},
	{"a StatefulSet whose claim has nulls", `
workload: {kind: StatefulSet, volumeClaimTemplates: {store: {accessModes: [ReadWriteOnce], storageClassName: null, selector: {matchExpressions: []}, resources: {requests: {storage: 1Gi}}}}}`},
	{"a StatefulSet whose claims do not say who may use them", `
workload: {kind: StatefulSet, volumeClaimTemplates: {a: {resources: {requests: {storage: 1Gi}}}, b: {accessModes: [], resources: {requests: {storage: 1Gi}}}}}`},
	{"a StatefulSet whose claim many may use", `
workload: {kind: StatefulSet, volumeClaimTemplates: {a: {accessModes: [ReadWriteMany], resources: {requests: {storage: 1Gi}}}}}`},
	{"a signal to stop", `
workload: {os: {name: linux}, containers: {main: {lifecycle: {stopSignal: SIGUSR1}}}}`},
	{"root, where it may be", `
workload:
  securityContext: {runAsNonRoot: null, runAsUser: 0}
  sidecars: {log: {image: {repository: l, tag: "1"}, securityContext: {runAsUser: 0, runAsNonRoot: false}}}`},
	{"rules of access to pods with their Service", `
service: {ports: {http: {port: 80, targetPort: http}}}
workload: {containers: {main: {ports: {http: {containerPort: 8080}}}}}
access: {networkPolicy: {}}`},
	{"a Route to a port by name", `
service: {ports: {http: {port: 80}, http-admin: {port: 81}}}
workload: {containers: {main: {ports: {http: {containerPort: 80}, http-admin: {containerPort: 81}}}}}
exposure: {kind: route, hosts: [a.example.com], port: http-admin}`},
	{"mutual TLS that is left to the namespace, but for a port", `
access: {peerAuthentication: {mtls: {}, portLevelMtls: {8080: {mode: DISABLE}}}}`},
	{"plain text to pods that take it", `
service: {ports: {http: {port: 80, targetPort: 8080}}, trafficPolicy: {tls: {mode: DISABLE}}}
workload: {containers: {main: {ports: {http: {containerPort: 8080}}}}}
access: {peerAuthentication: {mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}}}`},
	{"mutual TLS that is asked for and sent", `
service: {ports: {http: {port: 80, targetPort: 8080}}, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}
workload: {containers: {main: {ports: {http: {containerPort: 8080}}}}}
access: {peerAuthentication: {mtls: {mode: STRICT}}}`},
	{"policies of which a layer took the mode", `
service: {ports: {http: {port: 80, targetPort: 8080}}, trafficPolicy: {tls: null, loadBalancer: {simple: RANDOM}}}
workload: {containers: {main: {ports: {http: {containerPort: 8080}}}}}
access: {peerAuthentication: {mtls: null}}`},
	{"plain text to pods that take both", `
service: {ports: {http: {port: 80, targetPort: 8080}}, trafficPolicy: {tls: {mode: DISABLE}}}
workload: {containers: {main: {ports: {http: {containerPort: 8080}}}}}
access: {peerAuthentication: {mtls: {mode: PERMISSIVE}}}`},
	{"labels that the chart leaves to its user", `
workload: null
service: {labels: {version: a, app: null}, ports: {http: {port: 80}}}
namespace: {labels: {istio-injection: enabled, version: a}}`},
	{"labels and annotations of what stands beside a workload", `
workload:
  labels: {of: workload}
  disruptionBudget: {minAvailable: 1, labels: {of: budget, none: null}, annotations: {example.com/of: budget}}
  autoscaling: {maxReplicas: 2, labels: {of: autoscaler}, annotations: {example.com/of: autoscaler}}
identity:
  labels: {of: identity}
  annotations: {example.com/of: identity}
  rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
  clusterRules: [{apiGroups: [""], resources: [nodes], verbs: [get]}]`},
	{"config of no version", `
version: null
workload: null
config: {c: {labels: {version: a}}}`},
	{"a null in a field of another kind", `
workload: {kind: StatefulSet, updateStrategy: {rollingUpdate: {maxSurge: null, partition: 1}}}`},
	{"a CronJob with a time zone", `
workload: {kind: CronJob, schedule: "0 3 * * *", timeZone: Europe/Rome}`},
	{"whole Secrets as variables", `
secrets: {all: {stringData: {A: hidden}}}
workload: {containers: {main: {envFrom: {own: {fromSecret: all, prefix: P_}, theirs: {secretRef: {name: there}}}}}}`},
	{"nulls deep in lists", `
workload:
  tolerations: [{key: a, operator: Exists, value: null}]
  affinity: {nodeAffinity: null, podAffinity: {}}`},
	{"exposure of a port by name, TLS without a redirect", `
service: {ports: {http: {port: 80}, grpc: {port: 9090}}}
workload: null
exposure: {kind: istio, hosts: [a.example.com], port: grpc, gateway: {port: 8080}, tls: {secretName: a, redirect: false}}`},
	{"mirrors and redirects to and from versions", `
routing:
  stage: a
  stages: [{name: a, weights: {v1: 100}}]
  versions: {v2: {}}
  mirror: {host: shop, subset: v2}
  http:
    - {match: [{uri: {exact: /old}}], redirect: {uri: /new}}
    - {match: [{uri: {exact: /m}}], route: [{destination: {host: shop, subset: v1}}], mirror: {host: shop, subset: v2}}`},
	{"an image by digest alone", `
workload: {containers: {main: {image: {tag: null, digest: "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}}}`},
	{"affinity that is only preferred", `
workload: {affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {topologyKey: kubernetes.io/hostname}}]}}}`},
	{"a host without a policy, named as the version of a Service with one", `
workload: null
service: {perVersion: true, ports: {http: {port: 80}}, trafficPolicy: {loadBalancer: {simple: RANDOM}}}
egress: {hosts: {v1-3-4: {host: a.example.com, port: 443, protocol: TLS}, a: {host: b.example.com, port: 80, protocol: HTTP, tls: {}}}}`},
	{"a host with a policy, named as the version of a Service without one", `
workload: null
service: {perVersion: true, ports: {http: {port: 80}}}
egress: {hosts: {v1-3-4: {host: a.example.com, port: 80, protocol: HTTP, tls: {}}}}`},
	{"all namespaces see a host behind the egress gateway", `
egress: {gateway: {host: out.mesh.svc.cluster.local}, hosts: {a: {host: a.example.com, port: 443, protocol: TLS, exportTo: ["*"]}}}`},
	{"few services visible, without a gateway", `
egress: {visible: [./*], hosts: {a: {host: a.example.com, port: 443, protocol: TLS}}}`},
	{"no services visible, in a NetworkPolicy", `
egress: {visible: [~/*], networkPolicy: {}, hosts: {a: {host: a.example.com, port: 443, protocol: TLS}}}`},
	{"a Gateway of others, whichever listener", `
exposure: {kind: gatewayAPI, hosts: [a.example.com], port: 80, gateway: {existing: infra/shared}}`},
	{"a Route to one of two ports", `
workload: null
service: {ports: {http: {port: 80}, grpc: {port: 9090}}}
exposure: {kind: route, hosts: [a.example.com], port: 9090}`},
	{"TLS whose certificate is named Istio's way", `
exposure: {kind: istio, hosts: [a.example.com], port: 80, tls: {}, istio: {tls: {mode: MUTUAL, credentialName: a}}}`},
	{"the queue left to Istio, no limit of time", `
routing: {stage: a, stages: [{name: a, weights: {v1: 100}}], timeout: 0s, trafficPolicy: {connectionPool: {http: {http1MaxPendingRequests: 0}}}}`},
	{"the queue left to Istio beside other limits", `
routing: {stage: a, stages: [{name: a, weights: {v1: 100}}], trafficPolicy: {connectionPool: {tcp: {maxConnections: 5}, http: {http1MaxPendingRequests: 0, http2MaxRequests: 7}}}}`},
	{"routing of TCP", `
routing: {protocol: TCP, stage: a, stages: [{name: a, weights: {v1: 90, v2: 10}}]}`},
	{"routing of TLS", `
routing: {protocol: TLS, hosts: [db.example.com], stage: a, stages: [{name: a, weights: {v1: 90, v2: 10}}]}`},
	{"fields of pods and containers that are passed through", `
workload:
  dnsConfig: {nameservers: [192.0.2.53]}
  dnsPolicy: None
  hostAliases: [{ip: 192.0.2.1, hostnames: [a.example.com]}]
  hostIPC: true
  hostNetwork: true
  hostPID: true
  hostname: here
  nodeName: node-1
  nodeSelector: {disk: ssd}
  os: {name: linux}
  overhead: {cpu: 1m}
  preemptionPolicy: Never
  priorityClassName: high
  readinessGates: [{conditionType: example.com/ready}]
  resourceClaims: [{name: gpu, resourceClaimName: there}]
  resources: {limits: {memory: 1Gi}}
  runtimeClassName: there
  schedulerName: other
  setHostnameAsFQDN: true
  subdomain: there
  volumes: {disk: {persistentVolumeClaim: {claimName: there}}}
  containers:
    main:
      imagePullPolicy: Always
      livenessProbe: {httpGet: {path: /, port: 8080}}
      resizePolicy: [{resourceName: cpu, restartPolicy: NotRequired}]
      stdin: true
      stdinOnce: true
      terminationMessagePath: /tmp/end
      terminationMessagePolicy: FallbackToLogsOnError
      tty: true
      volumeDevices: [{name: disk, devicePath: /dev/disk}]
      workingDir: /tmp`},
	{"fields of pods that do not go with those", `
workload: {hostUsers: false, hostnameOverride: there, schedulingGates: [{name: example.com/gate}], shareProcessNamespace: true}`},
	{"fields of claims that are passed through", `
claims:
  data:
    accessModes: [ReadWriteOnce]
    dataSource: {kind: PersistentVolumeClaim, name: there}
    dataSourceRef: {kind: PersistentVolumeClaim, name: there}
    resources: {requests: {storage: 1Gi}}
    selector: {matchLabels: {a: b}}
    volumeAttributesClassName: fast
    volumeMode: Block
    volumeName: there`},
	{"fields of Services that are passed through", `
workload: {containers: {main: {ports: {http: {containerPort: 8080}}}}}
service:
  type: LoadBalancer
  ports: {http: {port: 80, targetPort: http}}
  allocateLoadBalancerNodePorts: true
  externalIPs: [192.0.2.9]
  externalTrafficPolicy: Local
  healthCheckNodePort: 31000
  internalTrafficPolicy: Local
  ipFamilies: [IPv4]
  ipFamilyPolicy: SingleStack
  loadBalancerSourceRanges: [192.0.2.0/24]
  sessionAffinity: ClientIP
  sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}
  trafficDistribution: PreferSameZone`},
	{"addresses of a headless Service", `
workload: {containers: {main: {ports: {http: {containerPort: 8080}}}}}
service: {clusterIP: None, clusterIPs: [None], ports: {http: {port: 80, targetPort: http}}}`},
	{"fields of routes that are passed through", `
routing:
  stage: a
  stages: [{name: a, weights: {v1: 100}}]
  corsPolicy: {allowOrigins: [{exact: "https://example.com"}]}
  fault: {abort: {percentage: {value: 1}, httpStatus: 503}}
  headers: {request: {set: {x-a: b}}}
  match: [{uri: {prefix: /a}}]
  mirror: {host: other}
  mirrorPercentage: {value: 10}
  rewrite: {uri: /}`},
	{"several mirrors", `
routing: {stage: a, stages: [{name: a, weights: {v1: 100}}], mirrors: [{destination: {host: other}}]}`},
	{"fields of routes from outside that are passed through", `
exposure:
  kind: istio
  hosts: [a.example.com]
  port: 80
  istio:
    corsPolicy: {allowOrigins: [{exact: "https://example.com"}]}
    fault: {abort: {percentage: {value: 1}, httpStatus: 503}}
    headers: {request: {set: {x-a: b}}}
    mirror: {host: other}
    mirrorPercentage: {value: 10}
    rewrite: {uri: /}`},
	{"several mirrors from outside", `
exposure: {kind: istio, hosts: [a.example.com], port: 80, istio: {mirrors: [{destination: {host: other}}]}}`},
	{"a Secret as a volume", `
secrets: {all: {stringData: {A: hidden}}}
workload: {volumes: {v: {fromSecret: all}}, containers: {main: {volumeMounts: {v: {mountPath: /v}}}}}`},
	{"a StatefulSet whose claim is gone", `
workload: {kind: StatefulSet, volumeClaimTemplates: {store: null}}`},
	{"a Job that waits", `
workload: {kind: Job, suspend: true}`},
	{"a host that is looked up, in a NetworkPolicy", `
egress: {networkPolicy: {}, hosts: {a: {host: a.example.com, port: 443, addresses: [198.51.100.7]}}}`},
	{"a host of another network, in a NetworkPolicy", `
egress: {networkPolicy: {}, hosts: {a: {host: a.example.com, port: 443, resolution: STATIC, endpoints: [{address: 192.0.2.1}, {network: other}]}}}`},
	{"weights from outside for one of several ports", `
workload: null
service: {ports: {http: {port: 8080}, grpc: {port: 9090}}}
exposure: {kind: istio, hosts: [a.example.com]}
routing: {port: 8080, stage: a, stages: [{name: a, weights: {v1: 100}}]}`},
	{"weights for a Service of several ports in the mesh", `
workload: null
service: {ports: {http: {port: 8080}, grpc: {port: 9090}}}
routing: {stage: a, stages: [{name: a, weights: {v1: 100}}]}`},
	{"a host that is looked up by request", `
egress: {networkPolicy: {}, hosts: {a: {host: "*.example.com", ports: {grpc: {port: 8080, protocol: GRPC}, http: {port: 80, protocol: HTTP}, http2: {port: 81, protocol: HTTP2}, tls: {port: 443, protocol: TLS}}, resolution: DYNAMIC_DNS}}}`},
	{"hosts that differ in a dash alone, without Routes", `
exposure: {kind: ingress, port: 80, hosts: [shop-eu.example.com, shop.eu.example.com]}`},
	{"a certificate for each host", `
exposure: {kind: istio, port: 80, hosts: [a.example.com, b.example.com], tls: {redirect: false, certificates: {a: {hosts: [a.example.com], secretName: a}, b: {hosts: [b.example.com], secretName: b}}}}`},
	{"a Route whose headers are emptied", `
exposure: {kind: route, hosts: [a.example.com], route: {httpHeaders: {actions: {}}}}`},
	{"another port of a host outside", `
egress: {hosts: {db: {host: db.example.com, port: 3306, targetPort: 13306, protocol: MYSQL}}}`},
}

func TestEdges(t *testing.T) {
	for _, edge := range edges {
		t.Run(edge.name, func(t *testing.T) {
			shape, err := schema()
			require.NoError(t, err)
			values := with(t, edge.layer)
			require.NoError(t, shape.Validate(values))
			renderValues(t, values)
		})
	}
}
