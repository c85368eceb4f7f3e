package chart_test

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rule is a mistake that the templates look for: a fragment on top of minimal, and the line that tells of it.
type rule struct{ name, layer, want string }

// rules has a fragment for each mistake that the templates look for, on top of minimal, and the
// very line that tells of it.
var rules = []rule{
	{"version is missing", `version: null`,
		`version: found nothing; allowed: a version such as v1.3.4, since there is a workload; fix: add version`},
	{"name is too long", `
app: a-name-that-goes-on-and-on-until-it-is-longer-than-what-a-label
version: v1.3.4`,
		`app: found the name a-name-that-goes-on-and-on-until-it-is-longer-than-what-a-label-v1-3-4 of 70 characters for a Deployment; allowed: 63; fix: shorten app or version`},
	{"calls without a workload", "workload: null\ncalls: {reviews: {port: 80}}",
		`calls: found calls without a workload; allowed: calls beside a workload, which makes them; fix: move calls to the workload's file`},
	{"injection and revision", `namespace: {injection: enabled, revision: canary}`,
		`namespace.injection: found enabled beside namespace.revision canary; allowed: one of the two; fix: keep revision where Istio is installed with revisions, else injection`},
	{"a key in data and binaryData", `config: {c: {data: {k: v}, binaryData: {k: dg==}}}`,
		`config.c.binaryData: found the key k, which is under data too; allowed: a key in one of the two; fix: remove one`},
	{"config that loses digits", `config: {c: {data: {id: 1234567890123456789, most: 9007199254740991}}}`,
		`config.c.data.id: found a number of so many digits that Helm has lost some; allowed: text, or a number below 9007199254740992; fix: quote it`},
	{"a secret that loses digits", `secrets: {s: {stringData: {id: 9007199254740993, least: -9007199254740991, text: "9007199254740993"}}}`,
		`secrets.s.stringData.id: found a number of so many digits that Helm has lost some; allowed: text, or a number below 9007199254740992; fix: quote it`},
	{"a variable that loses digits", `workload: {containers: {main: {env: {ID: -9007199254740992, FLAG: true, TEXT: "-9007199254740992"}}}}`,
		`workload.containers.main.env.ID: found a number of so many digits that Helm has lost some; allowed: text, or a number below 9007199254740992; fix: quote it`},
	{"a Secret without the key of its type", `secrets: {t: {type: kubernetes.io/tls, stringData: {tls.crt: c}}}`,
		`secrets.t: found type kubernetes.io/tls without the key tls.key; allowed: type kubernetes.io/tls with tls.crt, tls.key; fix: add the key under stringData, or change type`},
	{"a Secret whose key is null", `secrets: {t: {type: kubernetes.io/tls, stringData: {tls.crt: c, tls.key: null}, data: {tls.key: null}}}`,
		`secrets.t: found type kubernetes.io/tls without the key tls.key; allowed: type kubernetes.io/tls with tls.crt, tls.key; fix: add the key under stringData, or change type`},
	{"a Secret without user and password", `secrets: {t: {type: kubernetes.io/basic-auth, stringData: {a: c}}}`,
		`secrets.t: found type kubernetes.io/basic-auth without the key username or password; allowed: type kubernetes.io/basic-auth with username or password; fix: add the key under stringData, or change type`},
	{"a Secret of a registry without its key", `secrets: {t: {type: kubernetes.io/dockerconfigjson, stringData: {a: c}}}`,
		`secrets.t: found type kubernetes.io/dockerconfigjson without the key .dockerconfigjson; allowed: type kubernetes.io/dockerconfigjson with .dockerconfigjson; fix: add the key under stringData, or change type`},
	{"a Secret of a registry without its old key", `secrets: {t: {type: kubernetes.io/dockercfg, stringData: {a: c}}}`,
		`secrets.t: found type kubernetes.io/dockercfg without the key .dockercfg; allowed: type kubernetes.io/dockercfg with .dockercfg; fix: add the key under stringData, or change type`},
	{"a Secret of a registry that is no JSON", `secrets: {t: {type: kubernetes.io/dockerconfigjson, stringData: {.dockerconfigjson: hidden}}}`,
		`secrets.t: found type kubernetes.io/dockerconfigjson with what is no JSON under .dockerconfigjson; allowed: a JSON map, as docker login writes it; fix: correct .dockerconfigjson, or change type`},
	{"a Secret of a registry that is not in base64", `secrets: {t: {type: kubernetes.io/dockercfg, data: {.dockercfg: "{}"}}}`,
		`secrets.t: found type kubernetes.io/dockercfg with what is no JSON under .dockercfg; allowed: a JSON map, as docker login writes it; fix: correct .dockercfg, or change type`},
	{"a token of no account", `secrets: {t: {type: kubernetes.io/service-account-token}}`,
		`secrets.t.annotations: found type kubernetes.io/service-account-token without the annotation kubernetes.io/service-account.name; allowed: the name of the ServiceAccount under that annotation; fix: add the annotation, or change type`},
	{"a field of another kind", `workload: {podManagementPolicy: Parallel}`,
		`workload.podManagementPolicy: found a field of StatefulSet in a Deployment; allowed: the fields of a Deployment; fix: remove it, or set workload.kind to StatefulSet`},
	{"a surge in a StatefulSet", `workload: {kind: StatefulSet, updateStrategy: {rollingUpdate: {maxSurge: 0, partition: 0}}}`,
		`workload.updateStrategy.rollingUpdate.maxSurge: found a field of DaemonSet in a StatefulSet; allowed: the fields of a StatefulSet; fix: remove it, or set workload.kind to DaemonSet`},
	{"a partition in a DaemonSet", `workload: {kind: DaemonSet, updateStrategy: {rollingUpdate: {maxSurge: 0, partition: 0}}}`,
		`workload.updateStrategy.rollingUpdate.partition: found a field of StatefulSet in a DaemonSet; allowed: the fields of a DaemonSet; fix: remove it, or set workload.kind to StatefulSet`},
	{"a zero in a field of another kind", `workload: {backoffLimit: 0}`,
		`workload.backoffLimit: found a field of Job in a Deployment; allowed: the fields of a Deployment; fix: remove it, or set workload.kind to Job`},
	{"a CronJob without a schedule", `workload: {kind: CronJob}`,
		`workload.schedule: found nothing; allowed: a time in cron's format, as a CronJob needs; fix: add workload.schedule, such as "0 3 * * *"`},
	{"no container", `workload: {containers: {main: null}}`,
		`workload.containers: found no container; allowed: one or more; fix: add a container with its image`},
	{"a label of the chart's own", `workload: {podLabels: {version: v9}}`,
		`workload.podLabels: found the label version; allowed: labels that the chart does not set; fix: remove it: it follows from app, version and the release`},
	{"a label of the chart's own on workload.labels", `workload: {labels: {team: a, app: other}}`,
		`workload.labels: found the label app; allowed: labels that the chart does not set; fix: remove it: it follows from app, version and the release`},
	{"a label of the chart's own on a budget", `workload: {disruptionBudget: {minAvailable: 1, labels: {team: a, version: v9}}}`,
		`workload.disruptionBudget.labels: found the label version; allowed: labels that the chart does not set; fix: remove it: it follows from app, version and the release`},
	{"a label of the chart's own on an autoscaler", `workload: {autoscaling: {maxReplicas: 2, labels: {team: a, app: other}}}`,
		`workload.autoscaling.labels: found the label app; allowed: labels that the chart does not set; fix: remove it: it follows from app, version and the release`},
	{"a label of the chart's own on a Service", "workload: null\nservice: {labels: {app: other, version: v9}, ports: {http: {port: 80}}}",
		`service.labels: found the label app; allowed: labels that the chart does not set; fix: remove it: it follows from app, version and the release`},
	{"a label of the chart's own on a Service of one version", "workload: null\nservice: {perVersion: true, labels: {version: v9}, ports: {http: {port: 80}}}",
		`service.labels: found the label version; allowed: labels that the chart does not set; fix: remove it: it follows from app, version and the release`},
	{"a label of the chart's own on identity", `identity: {labels: {app.kubernetes.io/name: other}}`,
		`identity.labels: found the label app.kubernetes.io/name; allowed: labels that the chart does not set; fix: remove it: it follows from app, version and the release`},
	{"a label of the chart's own on config", `config: {c: {labels: {version: v9}}, gone: null}`,
		`config.c.labels: found the label version; allowed: labels that the chart does not set; fix: remove it: it follows from app, version and the release`},
	{"a label of the chart's own on secrets", `secrets: {c: {labels: {app.kubernetes.io/version: v9}}}`,
		`secrets.c.labels: found the label app.kubernetes.io/version; allowed: labels that the chart does not set; fix: remove it: it follows from app, version and the release`},
	{"a label of the chart's own on claims", `claims: {c: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}, labels: {version: v9, app: other}}}`,
		`claims.c.labels: found the label app; allowed: labels that the chart does not set; fix: remove it: it follows from app, version and the release`},
	{"a label of the chart's own on exposure", `exposure: {kind: ingress, hosts: [a.example.com], port: 80, labels: {app: other}}`,
		`exposure.labels: found the label app; allowed: labels that the chart does not set; fix: remove it: it follows from app, version and the release`},
	{"a label of the chart's own on access", `access: {labels: {app: other}}`,
		`access.labels: found the label app; allowed: labels that the chart does not set; fix: remove it: it follows from app, version and the release`},
	{"a label of the chart's own on a policy", `access: {authorizationPolicies: {a: {labels: {app: other}}}}`,
		`access.authorizationPolicies.a.labels: found the label app; allowed: labels that the chart does not set; fix: remove it: it follows from app, version and the release`},
	{"a label of the chart's own on routing", `routing: {labels: {app.kubernetes.io/instance: other}, stage: a, stages: [{name: a, weights: {v1: 100}}]}`,
		`routing.labels: found the label app.kubernetes.io/instance; allowed: labels that the chart does not set; fix: remove it: it follows from app, version and the release`},
	{"a label of the chart's own on egress", `egress: {labels: {app.kubernetes.io/managed-by: other}}`,
		`egress.labels: found the label app.kubernetes.io/managed-by; allowed: labels that the chart does not set; fix: remove it: it follows from app, version and the release`},
	{"a label of the chart's own on a host outside", `egress: {hosts: {a: {host: a.example.com, port: 1, labels: {app: other}}}}`,
		`egress.hosts.a.labels: found the label app; allowed: labels that the chart does not set; fix: remove it: it follows from app, version and the release`},
	{"a label of the chart's own on a namespace", `namespace: {labels: {app: other, istio-injection: enabled}}`,
		`namespace.labels: found the label app; allowed: labels that the chart does not set; fix: remove it: it follows from app, version and the release`},
	{"a label of injection beside injection", `namespace: {injection: enabled, labels: {istio-injection: disabled, team: a}}`,
		`namespace.labels: found the label istio-injection beside namespace.injection; allowed: one of the two; fix: remove the label`},
	{"a label of a revision beside a revision", `namespace: {revision: canary, labels: {istio.io/rev: stable}}`,
		`namespace.labels: found the label istio.io/rev beside namespace.revision; allowed: one of the two; fix: remove the label`},
	{"autoscaling of a kind that has no replicas", `workload: {kind: DaemonSet, autoscaling: {maxReplicas: 2}}`,
		`workload.autoscaling: found autoscaling of a DaemonSet; allowed: Deployment, StatefulSet; fix: remove it, or change workload.kind`},
	{"replicas under autoscaling", `workload: {replicas: 0, autoscaling: {maxReplicas: 2}}`,
		`workload.replicas: found 0 beside workload.autoscaling; allowed: one of the two; fix: remove replicas, or set it to null in this layer`},
	{"minReplicas over maxReplicas", `workload: {autoscaling: {minReplicas: 3, maxReplicas: 2}}`,
		`workload.autoscaling.minReplicas: found 3; allowed: maxReplicas, which is 2, or less; fix: lower it, or raise maxReplicas`},
	{"a budget for a Job", `workload: {kind: Job, disruptionBudget: {minAvailable: 1}}`,
		`workload.disruptionBudget: found a budget for a Job; allowed: Deployment, StatefulSet; fix: remove it, or change workload.kind`},
	{"a budget of two kinds", `workload: {disruptionBudget: {minAvailable: 0, maxUnavailable: 1}}`,
		`workload.disruptionBudget: found maxUnavailable and minAvailable; allowed: one of minAvailable and maxUnavailable; fix: keep one`},
	{"two containers of one name", `workload: {sidecars: {main: {image: {repository: x, tag: "1"}}}}`,
		`workload.sidecars.main: found a name that workload.containers has too; allowed: a name that no other container of the pod has; fix: rename one`},
	{"a probe of an init container", `workload: {initContainers: {wait: {image: {repository: x, tag: "1"}, startupProbe: {exec: {command: [a]}}}}}`,
		`workload.initContainers.wait.startupProbe: found set; allowed: none for a container that runs to its end before the others start; fix: remove it, or move the container to workload.sidecars`},
	{"a hook of an init container", `workload: {initContainers: {wait: {image: {repository: x, tag: "1"}, lifecycle: {preStop: {sleep: {seconds: 1}}}}}}`,
		`workload.initContainers.wait.lifecycle: found set; allowed: none for a container that runs to its end before the others start; fix: remove it, or move the container to workload.sidecars`},
	{"an image without a tag", `workload: {containers: {main: {image: {tag: null}}}}`,
		`workload.containers.main.image: found example.com/shop without tag or digest; allowed: a tag, a digest, or both; fix: add tag or digest, so that the same values always run the same image`},
	{"one port number twice in a pod", `
workload:
  containers: {main: {ports: {http: {containerPort: 80}}}}
  sidecars: {log: {image: {repository: x, tag: "1"}, ports: {more: {containerPort: 80}}}}`,
		`workload.sidecars.log.ports.more: found 80/TCP, which is workload.containers.main.ports.http too; allowed: a number that no other container of the pod has; fix: change one, since they share one network`},
	{"one port name twice in a pod", `
workload:
  containers: {main: {ports: {http: {containerPort: 80}}}}
  initContainers: {first: {image: {repository: x, tag: "1"}, ports: {http: {containerPort: 81}}}}
  sidecars: {log: {image: {repository: x, tag: "1"}, ports: {http: {containerPort: 8080}}}}`,
		`workload.sidecars.log.ports.http: found the name of workload.containers.main.ports.http too; allowed: a name that no other port of the pod with its protocol has, as a Service sends to the first that has it; fix: rename one`},
	{"a rolling update with a claim of one pod", ofOnePod,
		`workload.strategy.type: found RollingUpdate with the volume files, a claim of mode ReadWriteOncePod; allowed: Recreate, since a new pod would wait for the claim of the old one, and that for the new pod; fix: set it to Recreate`},
	{"many pods with a claim of one", "claims: {data: {accessModes: [ReadWriteOncePod], resources: {requests: {storage: 1Gi}}}}\nworkload: {replicas: 2, strategy: {type: Recreate}, volumes: {files: {fromClaim: data}}}",
		`workload.replicas: found 2 with the volume files, a claim of mode ReadWriteOncePod; allowed: 1, since no other pod may have the claim; fix: set it to 1, or change the claim's accessModes`},
	{"an autoscaler of pods with a claim of one", "claims: {data: {accessModes: [ReadWriteOncePod], resources: {requests: {storage: 1Gi}}}}\nworkload: {kind: StatefulSet, autoscaling: {maxReplicas: 3}, volumes: {files: {fromClaim: data}}}",
		`workload.autoscaling.maxReplicas: found 3 with the volume files, a claim of mode ReadWriteOncePod; allowed: 1, since no other pod may have the claim; fix: set it to 1, or change the claim's accessModes`},
	{"a probe of a port that is not there", `workload: {containers: {main: {livenessProbe: {tcpSocket: {port: http}}}}}`,
		`workload.containers.main.livenessProbe.tcpSocket.port: found the port http, which the container does not have; allowed: a number, since the container has no ports; fix: name one of them, or add it under workload.containers.main.ports`},
	{"a hook on a port that is not there", `workload: {containers: {main: {ports: {http: {containerPort: 80}}, lifecycle: {preStop: {httpGet: {port: htp}}}}}}`,
		`workload.containers.main.lifecycle.preStop.httpGet.port: found the port htp, which the container does not have; allowed: http; fix: name one of them, or add it under workload.containers.main.ports`},
	{"a variable with two sources", `
config: {c: {data: {k: v}}}
workload: {containers: {main: {env: {A: {fromConfig: c, key: k, valueFrom: {fieldRef: {fieldPath: metadata.name}}}}}}}`,
		`workload.containers.main.env.A: found fromConfig and valueFrom; allowed: one of fromConfig, fromSecret, valueFrom; fix: keep one`},
	{"variables without a source", `workload: {containers: {main: {envFrom: {a: {prefix: P_}}}}}`,
		`workload.containers.main.envFrom.a: found no source; allowed: one of configMapRef, fromConfig, fromSecret, secretRef; fix: keep one`},
	{"config that is not there", `workload: {containers: {main: {env: {A: {fromConfig: c, key: k}}}}}`,
		`workload.containers.main.env.A.fromConfig: found c, which is not under config; allowed: nothing, since config is empty; fix: add it under config, or refer to one made elsewhere in Kubernetes' own way`},
	{"a secret that is not there", "secrets: {d: {stringData: {k: v}}}\nworkload: {volumes: {v: {fromSecret: c}}}",
		`workload.volumes.v.fromSecret: found c, which is not under secrets; allowed: d; fix: add it under secrets, or refer to one made elsewhere in Kubernetes' own way`},
	{"a key that is not there", `
secrets: {d: {stringData: {k: v}}}
workload: {containers: {main: {env: {A: {fromSecret: d, key: q}}}}}`,
		`workload.containers.main.env.A.key: found q; allowed: k; fix: name a key of secrets.d`},
	{"a key that is null", `
config: {d: {data: {h: v, a: v, g: v, b: v, f: v, q: null}, binaryData: {c: dg==, e: dg==, d: dg==}}}
workload: {containers: {main: {env: {A: {fromConfig: d, key: q}}}}}`,
		`workload.containers.main.env.A.key: found q; allowed: a, b, c, d, e, f, g, h; fix: name a key of config.d`},
	{"a claim of no size", "claims: {d: {accessModes: [ReadWriteOnce], resources: {}}}",
		`claims.d.resources.requests.storage: found nothing; allowed: a size such as 1Gi; fix: set it`},
	{"a claim of each pod of no size", "workload: {kind: StatefulSet, volumeClaimTemplates: {d: {storageClassName: a}}}",
		`workload.volumeClaimTemplates.d.resources.requests.storage: found nothing; allowed: a size such as 1Gi; fix: set it`},
	{"a claim that lives with the pod of no size", "workload: {volumes: {v: {ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce]}}}}}}",
		`workload.volumes.v.ephemeral.volumeClaimTemplate.spec.resources.requests.storage: found nothing; allowed: a size such as 1Gi; fix: set it`},
	{"a claim that lives with the pod for nobody", "workload: {volumes: {v: {ephemeral: {volumeClaimTemplate: {spec: {resources: {requests: {storage: 1Gi}}}}}}}}",
		`workload.volumes.v.ephemeral.volumeClaimTemplate.spec.accessModes: found nothing; allowed: who may use it at once; fix: set it, to [ReadWriteOnce] for one node`},
	{"a claim that is not there", "claims: {d: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}\nworkload: {volumes: {v: {fromClaim: c}}}",
		`workload.volumes.v.fromClaim: found c, which is not under claims; allowed: d; fix: add it under claims, or refer to one made elsewhere in Kubernetes' own way`},
	{"a projected source of two", "config: {d: {data: {k: v}}}\nworkload: {volumes: {v: {projected: {sources: [{fromConfig: d, secret: {name: s}}]}}}}",
		`workload.volumes.v.projected.sources[0]: found fromConfig and secret; allowed: one source, such as fromConfig or serviceAccountToken; fix: keep one, and make another entry of the other`},
	{"a projected config that is not there", "workload: {volumes: {v: {projected: {sources: [{serviceAccountToken: {path: t}}, {fromConfig: c}]}}}}",
		`workload.volumes.v.projected.sources[1].fromConfig: found c, which is not under config; allowed: nothing, since config is empty; fix: add it under config, or refer to one made elsewhere in Kubernetes' own way`},
	{"a mount of a volume that is not there", "workload: {containers: {main: {volumeMounts: {tmp: {mountPath: /tmp}}}}, volumes: {temp: {emptyDir: {}}}}",
		`workload.containers.main.volumeMounts.tmp: found the volume tmp, which is not under workload.volumes; allowed: temp; fix: add the volume, or name one that is there`},
	{"two mounts at one path", "workload: {containers: {main: {volumeMounts: {a: {mountPath: /tmp}, b: {mountPath: /tmp}}}}, volumes: {a: {emptyDir: {}}, b: {emptyDir: {}}}}",
		`workload.containers.main.volumeMounts.b.mountPath: found /tmp, where a is too; allowed: one mount at each path; fix: change one`},
	{"privileged without escalation", `workload: {containers: {main: {securityContext: {privileged: true}}}}`,
		`workload.containers.main.securityContext.privileged: found true while allowPrivilegeEscalation is false, its default; allowed: privileged with allowPrivilegeEscalation true; fix: remove privileged, or set allowPrivilegeEscalation to true`},
	{"pods as root, and a container that is not", `workload: {securityContext: {runAsUser: 0}, sidecars: {a: {image: {repository: x, tag: "1"}}, b: {image: {repository: x, tag: "1"}, securityContext: {runAsUser: 5}}}}`,
		`workload.securityContext.runAsUser: found 0, which is root, while runAsNonRoot is true; allowed: another user, as the kubelet starts no such container; fix: set runAsNonRoot to false beside it, or name another user`},
	{"a container as root", `workload: {securityContext: {runAsUser: 5}, initContainers: {first: {image: {repository: x, tag: "1"}, securityContext: {runAsUser: 0, runAsNonRoot: null}}}}`,
		`workload.initContainers.first.securityContext.runAsUser: found 0, which is root, while runAsNonRoot is true; allowed: another user, as the kubelet starts no such container; fix: set runAsNonRoot to false beside it, or name another user`},
	{"a container as root that must not be", `workload: {securityContext: {runAsUser: 0, runAsNonRoot: false}, sidecars: {log: {image: {repository: x, tag: "1"}, securityContext: {runAsNonRoot: true}}}}`,
		`workload.securityContext.runAsUser: found 0, which is root, while runAsNonRoot is true; allowed: another user, as the kubelet starts no such container; fix: set runAsNonRoot to false beside it, or name another user`},
	{"a volume with two sources", `workload: {volumes: {v: {emptyDir: {}, hostPath: {path: /}}}}`,
		`workload.volumes.v: found emptyDir and hostPath; allowed: one source, such as emptyDir, fromConfig or persistentVolumeClaim; fix: keep one`},
	{"items of a volume that has none", `workload: {volumes: {v: {emptyDir: {}, items: []}}}`,
		`workload.volumes.v.items: found items beside emptyDir; allowed: items beside fromConfig or fromSecret; fix: remove it`},
	{"items beside a source of Kubernetes' own", `workload: {volumes: {v: {projected: {sources: [{configMap: {name: a}, items: [{key: k, path: p}]}]}}}}`,
		`workload.volumes.v.projected.sources[0].items: found items beside configMap; allowed: items beside fromConfig or fromSecret; fix: move it to workload.volumes.v.projected.sources[0].configMap.items, if it has such`},
	{"a volume named as a claim", `workload: {kind: StatefulSet, volumes: {v: {emptyDir: {}}}, volumeClaimTemplates: {v: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}`,
		`workload.volumes.v: found a name that workload.volumeClaimTemplates has too; allowed: a name in one of the two; fix: rename the volume; a claim that is renamed loses its data`},
	{"a Service in front of a Job", `
service: {ports: {http: {port: 80}}}
workload: {kind: Job, containers: {main: {ports: {http: {containerPort: 80}}}}}`,
		`service: found a Service in front of a Job; allowed: a Service in front of a workload that runs without end; fix: remove service; a program that ends is an App of its own`},
	{"a Service without ports", `service: {ports: {}}`,
		`service.ports: found no port; allowed: one or more; fix: add a port by name`},
	{"a Service that says nothing", `service: {}`,
		`service.ports: found no port; allowed: one or more; fix: add a port by name`},
	{"a headless Service of another type", "workload: null\nservice: {type: NodePort, clusterIP: None, ports: {http: {port: 80}}}",
		`service.clusterIP: found None with type NodePort; allowed: None with type ClusterIP; fix: remove one of the two`},
	{"a port name without a protocol", "workload: null\nservice: {ports: {web: {port: 80}}}",
		`service.ports.web: found a name that says no protocol; allowed: grpc, grpc-web, http, http2, https, mongo, mysql, redis, tcp, tls, udp, alone or before a dash; fix: rename it, for example http-web, or set appProtocol`},
	{"two ports of one number", "workload: null\nservice: {ports: {http: {port: 80}, http-b: {port: 80}}}",
		`service.ports.http-b.port: found 80/TCP, which service.ports.http has too; allowed: a number for each port; fix: change or remove one`},
	{"a node port of a ClusterIP", "workload: null\nservice: {ports: {http: {port: 80, nodePort: 30000}}}",
		`service.ports.http.nodePort: found 30000 with type ClusterIP; allowed: nodePort with type NodePort or LoadBalancer; fix: remove it, or set service.type`},
	{"a target port that is not there", `
service: {ports: {http: {port: 80, targetPort: htp}}}
workload: {containers: {main: {ports: {http: {containerPort: 8080}}}}}`,
		`service.ports.http.targetPort: found htp, a port that no container has; allowed: http (8080); fix: set targetPort to one of them, or add the port to a container`},
	{"a target port of another protocol", `
service: {ports: {tcp-dns: {port: 53, targetPort: dns}, udp-dns: {port: 53, protocol: UDP, targetPort: dns}}}
workload: {containers: {main: {ports: {dns: {containerPort: 5353, protocol: UDP}}}}}`,
		`service.ports.tcp-dns.targetPort: found dns, a port that no container has; allowed: dns/UDP (5353); fix: set targetPort to one of them, or add the port to a container`},
	{"a target port in quotes", `
service: {ports: {http: {port: 80, targetPort: "8080"}}}
workload: {containers: {main: {ports: {http: {containerPort: 8080}}}}}`,
		`service.ports.http.targetPort: found the text "8080"; allowed: a number, or the name of a port, which has a letter; fix: write 8080 without quotes`},
	{"a target port in quotes, without a workload", "workload: null\nservice: {ports: {http: {port: 80, targetPort: \"8080\"}}}",
		`service.ports.http.targetPort: found the text "8080"; allowed: a number, or the name of a port, which has a letter; fix: write 8080 without quotes`},
	{"a port that no container has", `service: {ports: {http: {port: 80}}}`,
		`service.ports.http.port: found 80, a port that no container has; allowed: nothing, since the containers have no ports; fix: set targetPort to one of them, or add the port to a container`},
	{"exposure of a port that cannot be known", `exposure: {kind: istio, hosts: ["*"], port: http}`,
		`exposure.port: found http; allowed: a number, since service is not in this file; fix: set it to the port of the Service`},
	{"exposure of a port that is not there", "workload: null\nservice: {ports: {http: {port: 80}}}\nexposure: {kind: istio, hosts: ['*'], port: 81}",
		`exposure.port: found 81, a port that the Service does not have; allowed: http (80); fix: set exposure.port to one of them`},
	{"exposure of one of several ports", "workload: null\nservice: {ports: {http: {port: 80}, grpc: {port: 90}}}\nexposure: {kind: istio, hosts: ['*']}",
		`exposure.port: found nothing; allowed: grpc (90), http (80); fix: set it to the port of the Service`},
	{"a port of exposure beside routing", `
exposure: {kind: istio, hosts: ["*"], port: 80}
routing: {stage: a, stages: [{name: a, weights: {v1: 100}}]}`,
		`exposure.port: found 80 beside routing; allowed: routing.port, since the routes are those of routing; fix: move it to routing.port`},
	{"a selector for a Gateway made elsewhere", `exposure: {kind: istio, hosts: ["*"], port: 80, gateway: {existing: istio-system/shared, selector: {a: b}}}`,
		`exposure.gateway.selector: found it beside exposure.gateway.existing istio-system/shared; allowed: it for a Gateway that this release makes; fix: remove one of the two; what is there already is set where it is made`},
	{"TLS for a Gateway made elsewhere", `exposure: {kind: istio, hosts: ["*"], port: 80, gateway: {existing: istio-system/shared}, tls: {secretName: c}}`,
		`exposure.tls: found it beside exposure.gateway.existing istio-system/shared; allowed: it for a Gateway that this release makes; fix: remove one of the two; what is there already is set where it is made`},
	{"paths and matches", `
exposure: {kind: istio, hosts: ["*"], paths: {a: {path: /a}}}
routing: {stage: a, stages: [{name: a, weights: {v1: 100}}], match: [{uri: {prefix: /b}}]}`,
		`exposure.paths: found paths beside routing.match; allowed: one of the two, since both say which requests match; fix: remove exposure.paths, and match on uri in routing.match`},
	{"a stage twice", `routing: {stage: a, stages: [{name: a, weights: {v1: 100}}, {name: a, weights: {v1: 100}}]}`,
		`routing.stages[1].name: found a for the second time; allowed: a name for each stage; fix: rename or remove one`},
	{"weights of 99", `routing: {stage: a, stages: [{name: a, weights: {v1: 90, v2: 9}}]}`,
		`routing.stages[0].weights: found a sum of 99 (v1 90, v2 9); allowed: a sum of 100; fix: change the weights of stage a by +1`},
	{"a stage without a version", `routing: {stage: a, stages: [{name: a, weights: {}}]}`,
		`routing.stages[0].weights: found a sum of 0 (no version); allowed: a sum of 100; fix: change the weights of stage a by +100`},
	{"a stage that is not there", `routing: {stage: canry, stages: [{name: v1, weights: {v1: 100}}, {name: canary, weights: {v1: 90, v2: 10}}]}`,
		`routing.stage: found canry; allowed: v1, canary; fix: name one of the stages`},
	{"one version in two spellings", `routing: {stage: a, stages: [{name: a, weights: {v1.0: 50, v1-0: 50}}]}`,
		`routing: found the versions v1-0 and v1.0, both named v1-0 where names allow neither dots nor capitals; allowed: versions whose names differ; fix: write the version in one way everywhere, or rename one`},
	{"a route to a subset that is not there", `routing: {stage: a, stages: [{name: a, weights: {v1: 100}}], http: [{route: [{destination: {host: shop, subset: v9}}]}]}`,
		`routing.http[0].route[0].destination.subset: found v9; allowed: v1; fix: name one of them, or give the version a place under routing.versions`},
	{"every host of the mesh", `routing: {stage: a, stages: [{name: a, weights: {v1: 100}}], hosts: ["*"]}`,
		`routing.hosts: found * in the mesh; allowed: * on gateways only; fix: name the hosts, or set routing.gateways without mesh`},
	{"a wildcard that is looked up", `egress: {hosts: {a: {host: "*.example.com", port: 443, protocol: TLS}}}`,
		`egress.hosts.a.resolution: found DNS for *.example.com; allowed: NONE or DYNAMIC_DNS for a host with *, which has no address to look up; fix: set resolution to NONE, or name the host in full`},
	{"STATIC without endpoints", `egress: {hosts: {a: {host: db.example.com, port: 1, resolution: STATIC}}}`,
		`egress.hosts.a.endpoints: found nothing; allowed: one or more, with resolution STATIC; fix: add endpoints, or change resolution`},
	{"NONE with endpoints", `egress: {hosts: {a: {host: db.example.com, port: 1, resolution: NONE, endpoints: [{address: 192.0.2.1}]}}}`,
		`egress.hosts.a.endpoints: found endpoints; allowed: none, with resolution NONE; fix: remove them, or change resolution`},
	{"one host and port twice", `egress: {hosts: {a: {host: db.example.com, port: 1}, b: {host: db.example.com, port: 1}}}`,
		`egress.hosts.b: found db.example.com:1, which egress.hosts.a has too; allowed: one entry for a host and port; fix: remove one`},
}

func TestRules(t *testing.T) {
	for _, rule := range slices.Concat(rules, networkRules) {
		t.Run(rule.name, func(t *testing.T) {
			want := "\n1 mistake in the values of release demo:\n- " + rule.want
			_, _, err := render(t.Context(), "demo", with(t, rule.layer))
			require.Error(t, err)
			assert.True(t, strings.HasSuffix(err.Error(), want), "found:\n%s\nexpected at the end:\n%s", err, want)

			// What a rule of the templates is about, the schema lets through: each rule has one owner.
			shape, err := schema()
			require.NoError(t, err)
			require.NoError(t, shape.Validate(with(t, rule.layer)))
		})
	}
}

// TestNumbersOfSet: --set gives whole numbers as int64, a file as float64; what comes of the values is the same.
func TestNumbersOfSet(t *testing.T) {
	chart, err := chart3()
	require.NoError(t, err)
	for _, in := range inputs(t) {
		set := in
		set.values = asSet(in.values).(map[string]any)
		assert.Equal(t, in.outcome(t.Context(), chart), set.outcome(t.Context(), chart), in.name)
	}
}

// asSet is a value with its whole numbers as --set gives them.
func asSet(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, entry := range v {
			out[key] = asSet(entry)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, entry := range v {
			out[i] = asSet(entry)
		}
		return out
	case float64:
		if v == math.Trunc(v) {
			return int64(v)
		}
	}
	return value
}

// TestEveryRuleHasACase: a rule that nothing trips may not work.
func TestEveryRuleHasACase(t *testing.T) {
	files, err := filepath.Glob(chartDir + "/templates/checks/*.tpl")
	require.NoError(t, err)
	places := 0
	for _, f := range files {
		raw, err := os.ReadFile(f)
		require.NoError(t, err)
		places += strings.Count(string(raw), `include "chart_basico.mistake"`)
	}
	require.Positive(t, places)
	assert.GreaterOrEqual(t, len(rules)+len(networkRules), places, "more places that report a mistake than cases")
}

// TestAllMistakesAtOnce: ten mistakes, one run.
func TestAllMistakesAtOnce(t *testing.T) {
	_, _, err := render4(t.Context(), "demo", with(t, `
version: null
workload:
  replicas: 1
  autoscaling: {maxReplicas: 2}
  containers: {main: {image: {tag: null}, volumeMounts: {tmp: {mountPath: /tmp}}}}
service: {ports: {web: {port: 80, targetPort: 80}}}
namespace: {injection: enabled, revision: canary}
routing: {stage: b, stages: [{name: a, weights: {v1: 99}}]}
egress: {hosts: {a: {host: db.example.com, port: 1, resolution: STATIC}}}
`))
	require.Error(t, err)
	_, got, found := strings.Cut(err.Error(), "\n")
	require.True(t, found, err.Error())
	assert.Equal(t, strings.TrimPrefix(`
10 mistakes in the values of release demo:
- version: found nothing; allowed: a version such as v1.3.4, since there is a workload; fix: add version
- workload.replicas: found 1 beside workload.autoscaling; allowed: one of the two; fix: remove replicas, or set it to null in this layer
- workload.containers.main.image: found example.com/shop without tag or digest; allowed: a tag, a digest, or both; fix: add tag or digest, so that the same values always run the same image
- workload.containers.main.volumeMounts.tmp: found the volume tmp, which is not under workload.volumes; allowed: nothing, since there are no volumes; fix: add the volume, or name one that is there
- service.ports.web: found a name that says no protocol; allowed: grpc, grpc-web, http, http2, https, mongo, mysql, redis, tcp, tls, udp, alone or before a dash; fix: rename it, for example http-web, or set appProtocol
- service.ports.web.targetPort: found 80, a port that no container has; allowed: nothing, since the containers have no ports; fix: set targetPort to one of them, or add the port to a container
- namespace.injection: found enabled beside namespace.revision canary; allowed: one of the two; fix: keep revision where Istio is installed with revisions, else injection
- routing.stages[0].weights: found a sum of 99 (v1 99); allowed: a sum of 100; fix: change the weights of stage a by +1
- routing.stage: found b; allowed: a; fix: name one of the stages
- egress.hosts.a.endpoints: found nothing; allowed: one or more, with resolution STATIC; fix: add endpoints, or change resolution`, "\n"), got)
}
