package chart_test

import "cmp"

// stages are the least that a routing block needs.
const stages = `stage: a, stages: [{name: a, weights: {v1: 100}}]`

// networkRules are the mistakes in how an App is reached and what it reaches.
var networkRules = []rule{
	{"a refusal of nothing", `access: {authorizationPolicies: {a: {action: DENY}}}`,
		`access.authorizationPolicies.a.rules: found none with action DENY; allowed: one or more, since this action does nothing without; fix: add rules; [{}] is for every request`},
	{"a field of another kind of exposure", `exposure: {kind: ingress, hosts: [a.example.com], port: 80, gateway: {port: 8080}}`,
		`exposure.gateway: found it with kind ingress; allowed: it with kind istio, gatewayAPI; fix: remove it, or change exposure.kind`},
	{"a block of another kind of exposure", `exposure: {kind: ingress, hosts: [a.example.com], port: 80, istio: {timeout: 5s}}`,
		`exposure.istio: found it with kind ingress; allowed: it with kind istio; fix: remove it, or change exposure.kind`},
	{"the block of Gateway API with an Ingress", `exposure: {kind: ingress, hosts: [a.example.com], port: 80, gatewayAPI: {timeouts: {request: 5s}}}`,
		`exposure.gatewayAPI: found it with kind ingress; allowed: it with kind gatewayAPI; fix: remove it, or change exposure.kind`},
	{"the block of a Route with an Ingress", `exposure: {kind: ingress, hosts: [a.example.com], port: 80, route: {httpHeaders: {}}}`,
		`exposure.route: found it with kind ingress; allowed: it with kind route; fix: remove it, or change exposure.kind`},
	{"a class of a Route", `exposure: {kind: route, hosts: [a.example.com], className: x}`,
		`exposure.className: found it with kind route; allowed: it with kind ingress, gatewayAPI; fix: remove it, or change exposure.kind`},
	{"a selector of Gateway API", `exposure: {kind: gatewayAPI, hosts: [a.example.com], port: 80, gateway: {selector: {a: b}}}`,
		`exposure.gateway.selector: found it with kind gatewayAPI; allowed: it with kind istio; fix: remove it, or change exposure.kind`},
	{"a redirect of an Ingress", `exposure: {kind: ingress, hosts: [a.example.com], port: 80, tls: {redirect: false}}`,
		`exposure.tls.redirect: found it with kind ingress; allowed: it with kind istio, gatewayAPI, route; fix: remove it, or change exposure.kind`},
	{"TLS of a Route without TLS", `exposure: {kind: route, hosts: [a.example.com], route: {tls: {termination: reencrypt}}}`,
		`exposure.route.tls: found it without exposure.tls; allowed: it beside exposure.tls; fix: add exposure.tls, or remove it`},
	{"a listener of no Gateway", `exposure: {kind: gatewayAPI, hosts: [a.example.com], port: 80, gatewayAPI: {sectionName: web}}`,
		`exposure.gatewayAPI.sectionName: found it without exposure.gateway.existing; allowed: it beside exposure.gateway.existing; fix: add exposure.gateway.existing, or remove it`},
	{"a class for a Gateway made elsewhere", `exposure: {kind: gatewayAPI, hosts: [a.example.com], port: 80, className: x, gateway: {existing: infra/shared}}`,
		`exposure.className: found it beside exposure.gateway.existing infra/shared; allowed: it for a Gateway that this release makes; fix: remove one of the two; what is there already is set where it is made`},
	{"a host twice", `exposure: {kind: istio, hosts: [a.example.com, a.example.com], port: 80}`,
		`exposure.hosts[1]: found a.example.com for the second time; allowed: each host once; fix: remove it`},
	{"a host that another stands for", `exposure: {kind: istio, hosts: [a.example.com, "*.example.com"], port: 80}`,
		`exposure.hosts[0]: found a.example.com, for which *.example.com stands too; allowed: hosts of which none stands for another, with kind istio; fix: remove one of the two`},
	{"a Route of any host", `exposure: {kind: route, hosts: ["*"]}`,
		`exposure.hosts[0]: found *; allowed: a host name, or a domain with *. in front, since a Route has one; fix: name the host`},
	{"two Routes of one name", `exposure: {kind: route, hosts: [shop-eu.example.com, a.example.com, shop.eu.example.com]}`,
		`exposure.hosts[2]: found shop.eu.example.com, whose Route would be named shop-shop-eu-example-com as that of shop-eu.example.com; allowed: hosts whose Routes differ in name, with kind route; fix: remove one of the two; an App of another name may have it`},
	{"two Routes of one name by a wildcard", `exposure: {kind: route, hosts: ["*.apps.example.com", any.apps.example.com]}`,
		`exposure.hosts[1]: found any.apps.example.com, whose Route would be named shop-any-apps-example-com as that of *.apps.example.com; allowed: hosts whose Routes differ in name, with kind route; fix: remove one of the two; an App of another name may have it`},
	{"two Routes of one name by a path", `exposure: {kind: route, hosts: [a.example.com, a.example.com.br], paths: {x: {path: /x}, br-x: {path: /br}}}`,
		`exposure.hosts[1]: found a.example.com.br, whose Route would be named shop-a-example-com-br-x as that of a.example.com; allowed: hosts whose Routes differ in name, with kind route; fix: remove one of the two; an App of another name may have it`},
	{"a host of Routes twice", `exposure: {kind: route, hosts: [a.example.com, a.example.com]}`,
		`exposure.hosts[1]: found a.example.com for the second time; allowed: each host once; fix: remove it`},
	{"an exact path of a Route", `exposure: {kind: route, hosts: [a.example.com], paths: {a: {path: /a, pathType: Exact}}}`,
		`exposure.paths.a.pathType: found Exact with kind route; allowed: Prefix; fix: change it, or change exposure.kind`},
	{"a path of an Ingress alone", `exposure: {kind: istio, port: 80, hosts: [a.example.com], paths: {a: {path: /a, pathType: ImplementationSpecific}}}`,
		`exposure.paths.a.pathType: found ImplementationSpecific with kind istio; allowed: Prefix, Exact; fix: change it, or change exposure.kind`},
	{"a path with a wildcard", `exposure: {kind: istio, port: 80, hosts: [a.example.com], paths: {a: {path: /a/*}}}`,
		`exposure.paths.a.path: found /a/* with pathType Prefix, of which * is a letter; allowed: a path without *; fix: remove *; Prefix is a path and all that is below it`},
	{"paths in TLS that is passed through", `exposure: {kind: route, hosts: [a.example.com], paths: {a: {path: /a}}, tls: {}, route: {tls: {termination: passthrough}}}`,
		`exposure.paths: found paths with TLS that is passed through; allowed: paths where the router ends TLS, since it reads none otherwise; fix: remove exposure.paths, or change exposure.route.tls.termination`},
	{"a certificate for TLS that is passed through", `exposure: {kind: route, hosts: [a.example.com], tls: {secretName: c}, route: {tls: {termination: passthrough}}}`,
		`exposure.tls.secretName: found a certificate for TLS that is passed through; allowed: one where the router ends TLS; fix: remove it, or change exposure.route.tls.termination`},
	{"TLS without a certificate", `exposure: {kind: gatewayAPI, hosts: [a.example.com], port: 80, tls: {}}`,
		`exposure.tls.secretName: found nothing; allowed: the Secret with key and certificate; fix: add exposure.tls.secretName`},
	{"a host without a certificate", certificates("ingress", `certificates: {a: {hosts: [a.example.com], secretName: a}}`),
		`exposure.tls.certificates: found none for b.example.com; allowed: one for each host; fix: add them to the hosts of a certificate, or set exposure.tls.secretName for all that have none`},
	{"a host with two certificates", certificates("istio", `secretName: c, certificates: {a: {hosts: [a.example.com], secretName: a}, b: {hosts: [a.example.com], secretName: b}}`),
		`exposure.tls.certificates.b.hosts[0]: found a.example.com, which exposure.tls.certificates.a has too; allowed: one certificate for a host; fix: remove one of the two`},
	{"a certificate of a host that is not exposed", certificates("gatewayAPI", `secretName: c, certificates: {a: {hosts: [a.example.com, c.example.com], secretName: a}}`),
		`exposure.tls.certificates.a.hosts[1]: found c.example.com, which is not exposed; allowed: a.example.com, b.example.com; fix: name one of them, or add it to exposure.hosts`},
	{"a certificate of no host", certificates("ingress", `secretName: c, certificates: {a: {hosts: [a.example.com, b.example.com], secretName: a}}`),
		`exposure.tls.secretName: found c, while each host has another certificate; allowed: it for hosts that have none in exposure.tls.certificates; fix: remove it`},
	{"a certificate of some hosts without its Secret", certificates("gatewayAPI", `secretName: c, certificates: {a: {hosts: [a.example.com]}}`),
		`exposure.tls.certificates.a.secretName: found nothing; allowed: the Secret with key and certificate; fix: add it`},
	{"certificates for TLS that is passed through", certificates("route", `certificates: {a: {hosts: [a.example.com, b.example.com]}}}, route: {tls: {termination: passthrough}`),
		`exposure.tls.certificates: found a certificate for TLS that is passed through; allowed: one where the router ends TLS; fix: remove it, or change exposure.route.tls.termination`},
	{"one certificate on top of several", certificates("istio", `secretName: c, certificates: {a: {hosts: [a.example.com], secretName: a}}}, istio: {tls: {credentialName: d}`),
		`exposure.istio.tls.credentialName: found it beside exposure.tls.certificates; allowed: one of the two, since it would hold for all hosts; fix: remove it`},
	{"one certificate of a Route on top of several", certificates("route", `secretName: c, certificates: {a: {hosts: [a.example.com], secretName: a}}}, route: {tls: {termination: edge, externalCertificate: {name: d}}`),
		`exposure.route.tls.externalCertificate: found it beside exposure.tls.certificates; allowed: one of the two, since it would hold for all hosts; fix: remove it`},
	{"a gateway that does not end TLS", `exposure: {kind: istio, hosts: [a.example.com], port: 80, tls: {}, istio: {tls: {mode: PASSTHROUGH}}}`,
		`exposure.istio.tls.mode: found PASSTHROUGH; allowed: a mode in which the gateway ends TLS, since its routes are HTTP's; fix: change the mode`},
	{"a Route to a number", `exposure: {kind: route, hosts: [a.example.com], port: 80}`,
		`exposure.port: found 80; allowed: the name of a port of the Service, since a Route knows no number of it; fix: set exposure.port to the name of the Service's port`},
	{"a Route to a port that is not there", "workload: null\nservice: {ports: {http: {port: 80}}}\nexposure: {kind: route, hosts: [a.example.com], port: grpc}",
		`exposure.port: found grpc; allowed: http (80); fix: set exposure.port to the name of the Service's port`},
	{"weights of an Ingress", `
exposure: {kind: ingress, hosts: [a.example.com]}
routing: {port: 80, ` + stages + `}`,
		`exposure.kind: found ingress beside routing; allowed: gatewayAPI, istio, route, since an Ingress has no weights; fix: change exposure.kind; in a file of its own routing divides the mesh alone`},
	{"routes of Istio beside others", `
exposure: {kind: gatewayAPI, hosts: [a.example.com]}
routing: {port: 80, retries: {attempts: 2}, ` + stages + `}`,
		`routing.retries: found it beside exposure.kind gatewayAPI, which takes the weights alone; allowed: it beside exposure.kind istio; fix: change exposure.kind, or remove it`},
	{"weights for Gateway API without a port", `
exposure: {kind: gatewayAPI, hosts: [a.example.com]}
routing: {` + stages + `}`,
		`routing.port: found nothing; allowed: a number, since service is not in this file; fix: set it to the port of the Service`},
	{"weights from outside for one of several ports", `
workload: null
service: {ports: {http: {port: 8080}, grpc: {port: 9090}}}
exposure: {kind: istio, hosts: [a.example.com]}
routing: {` + stages + `}`,
		`routing.port: found nothing; allowed: grpc (9090), http (8080); fix: set it to the port of the Service`},
	{"fields of a route beside routing", `
exposure: {kind: istio, hosts: [a.example.com], istio: {timeout: 5s}}
routing: {` + stages + `}`,
		`exposure.istio.timeout: found it beside routing; allowed: routing.timeout, since the routes are those of routing; fix: move it to routing.timeout`},
	{"a block of another kind of exposure beside routing", `
exposure: {kind: gatewayAPI, hosts: [a.example.com], istio: {timeout: 5s}}
routing: {port: 80, ` + stages + `}`,
		`exposure.istio: found it with kind gatewayAPI; allowed: it with kind istio; fix: remove it, or change exposure.kind`},
	{"more versions than a Route divides over", `
exposure: {kind: route, hosts: [a.example.com]}
routing: {stage: a, stages: [{name: a, weights: {v1: 20, v2: 20, v3: 20, v4: 20, v5: 20}}]}`,
		`routing.stages: found 5 versions; allowed: 4 at most beside exposure.kind route, as a Route divides over no more; fix: drop versions from the stages, or change exposure.kind`},
	{"ports of all pods", `access: {scope: namespace, peerAuthentication: {mtls: {mode: STRICT}, portLevelMtls: {"8080": {mode: DISABLE}}}}`,
		`access.peerAuthentication.portLevelMtls: found it with access.scope namespace; allowed: it with scope app, since ports are those of some pods; fix: move it to the App's own file`},
	{"a policy of two targets", `access: {authorizationPolicies: {a: {selector: {matchLabels: {a: b}}, targetRefs: [{kind: Gateway, name: a}]}}}`,
		`access.authorizationPolicies.a.selector: found it beside targetRefs; allowed: one of the two; fix: keep one`},
	{"a CUSTOM action of nobody", `access: {authorizationPolicies: {a: {action: CUSTOM, rules: [{}]}}}`,
		`access.authorizationPolicies.a.provider: found nothing with action CUSTOM; allowed: it with action CUSTOM, which needs it; fix: add provider, or change action`},
	{"a provider without its action", `access: {authorizationPolicies: {a: {provider: {name: x}}}}`,
		`access.authorizationPolicies.a.provider: found it with action ALLOW; allowed: it with action CUSTOM, which needs it; fix: add provider, or change action`},
	{"ports that nobody says", "workload: null\naccess: {networkPolicy: {}}",
		`access.networkPolicy.ingress: found nothing; allowed: rules, since neither workload nor service in this file says the ports; fix: add rules; an empty list lets nothing in`},
	{"no rules for a namespace", `
workload: {containers: {main: {ports: {http: {containerPort: 80}}}}}
access: {scope: namespace, networkPolicy: {}}`,
		`access.networkPolicy.ingress: found nothing; allowed: rules for all pods of the namespace; fix: add rules; an empty list lets nothing in`},
	{"a Service of another name without the name", "workload: null\nservice: {type: ExternalName}",
		`service.externalName: found nothing with type ExternalName; allowed: the name that type ExternalName stands for; fix: set type ExternalName and externalName both, or neither`},
	{"a name that no Service stands for", "workload: null\nservice: {externalName: a.example.com, ports: {http: {port: 80}}}",
		`service.externalName: found a.example.com with type ClusterIP; allowed: the name that type ExternalName stands for; fix: set type ExternalName and externalName both, or neither`},
	{"a Service that leads away from the pods", "service: {type: ExternalName, externalName: a.example.com}",
		`service.type: found ExternalName beside a workload; allowed: a type that leads to the pods; fix: remove one of the two`},
	{"a policy of a Service that leads away", "workload: null\nservice: {type: ExternalName, externalName: a.example.com, trafficPolicy: {loadBalancer: {simple: RANDOM}}}",
		`service.trafficPolicy: found it with type ExternalName; allowed: it with a type that leads to the pods; fix: declare the host in egress.hosts, which have a trafficPolicy`},
	{"a policy of a Service that has another from routing", "workload: null\nservice: {ports: {http: {port: 80}}, trafficPolicy: {loadBalancer: {simple: RANDOM}}}\nrouting: {" + stages + "}",
		`service.trafficPolicy: found it beside routing; allowed: one DestinationRule for the Service; fix: move it to routing.trafficPolicy`},
	{"a Service of no version", "workload: null\nversion: null\nservice: {perVersion: true, ports: {http: {port: 80}}}",
		`service.perVersion: found it without version; allowed: it beside the version that it is for; fix: add version`},
	{"a Service of a version with a long name", `
app: a-name-that-goes-on-and-on-until-it-is-longer-than-what-a-label
workload: null
service: {perVersion: true, ports: {http: {port: 80}}}`,
		`service.perVersion: found the name a-name-that-goes-on-and-on-until-it-is-longer-than-what-a-label-v1-3-4, longer than 63 characters; allowed: 63 characters; fix: shorten app or version`},
	{"a StatefulSet whose pods another Service names", `
workload: {kind: StatefulSet, containers: {main: {ports: {http: {containerPort: 80}}}}}
service: {perVersion: true, ports: {http: {port: 80}}}`,
		`workload.serviceName: found nothing, which stands for shop, while the Service of service.perVersion is shop-v1-3-4; allowed: the Service that gives the pods their names; fix: set it to shop-v1-3-4, or to shop where another file makes that Service or the StatefulSet is there already`},
	{"a node port of a name elsewhere", "workload: null\nservice: {type: ExternalName, externalName: a.example.com, ports: {http: {port: 80, nodePort: 30000}}}",
		`service.ports.http.nodePort: found 30000 with type ExternalName; allowed: nodePort with type NodePort or LoadBalancer; fix: remove it, or set service.type`},
	{"fields of HTTP in TCP", `routing: {protocol: TCP, timeout: 5s, ` + stages + `}`,
		`routing.timeout: found it with protocol TCP; allowed: it with protocol HTTP; fix: remove it, or say it in routing.tcp as Istio's routes do`},
	{"TLS without the names that are asked for", `routing: {protocol: TLS, ` + stages + `}`,
		`routing.hosts: found nothing; allowed: the names that clients ask for, with protocol TLS; fix: add routing.hosts`},
	{"a mirror of Istio's older field to a subset that is not there", `routing: {mirror: {host: shop, subset: v7}, ` + stages + `}`,
		`routing.mirror.subset: found v7; allowed: v1; fix: name one of them, or give the version a place under routing.versions`},
	{"a mirror to a subset that is not there", `routing: {mirrors: [{destination: {host: shop, subset: v7}}], ` + stages + `}`,
		`routing.mirrors[0].destination.subset: found v7; allowed: v1; fix: name one of them, or give the version a place under routing.versions`},
	{"a route of TCP to a subset that is not there", `routing: {tcp: [{route: [{destination: {host: shop, subset: v8}}]}], ` + stages + `}`,
		`routing.tcp[0].route[0].destination.subset: found v8; allowed: v1; fix: name one of them, or give the version a place under routing.versions`},
	{"routes of TCP from outside", `
exposure: {kind: istio, hosts: [a.example.com]}
routing: {protocol: TCP, ` + stages + `}`,
		`exposure: found it beside routing.protocol TCP; allowed: it beside routes of HTTP; fix: give routing a file of its own`},
	{"endpoints of a host that is looked up by request", `egress: {hosts: {a: {host: "*.example.com", port: 80, protocol: HTTP, resolution: DYNAMIC_DNS, endpoints: [{address: 192.0.2.1}]}}}`,
		`egress.hosts.a.endpoints: found endpoints; allowed: none, with resolution DYNAMIC_DNS; fix: remove them, or change resolution`},
	{"addresses of a host that is looked up by request", `egress: {hosts: {a: {host: "*.example.com", port: 80, protocol: HTTP, resolution: DYNAMIC_DNS, addresses: [192.0.2.1]}}}`,
		`egress.hosts.a.addresses: found addresses; allowed: none, with resolution DYNAMIC_DNS; fix: remove them, or change resolution`},
	{"a full name that is looked up by request", `egress: {hosts: {a: {host: a.example.com, port: 80, protocol: HTTP, resolution: DYNAMIC_DNS}}}`,
		`egress.hosts.a.resolution: found DYNAMIC_DNS for a.example.com; allowed: it for a host with *; fix: set resolution to DNS`},
	{"a protocol that does not say the host", `egress: {hosts: {a: {host: "*.example.com", port: 443, protocol: HTTPS, resolution: DYNAMIC_DNS}}}`,
		`egress.hosts.a.protocol: found HTTPS with resolution DYNAMIC_DNS; allowed: GRPC, HTTP, HTTP2, TLS, which say the host; fix: change it, or change resolution`},
	{"one of several protocols that does not say the host", `egress: {hosts: {a: {host: "*.example.com", ports: {http: {port: 80, protocol: HTTP}, tcp: {port: 9000}}, resolution: DYNAMIC_DNS}}}`,
		`egress.hosts.a.ports.tcp.protocol: found TCP with resolution DYNAMIC_DNS; allowed: GRPC, HTTP, HTTP2, TLS, which say the host; fix: change it, or change resolution`},
	{"an endpoint at no address", `egress: {hosts: {a: {host: a.example.com, port: 80, resolution: STATIC, endpoints: [{address: 192.0.2.1}, {weight: 1}]}}}`,
		`egress.hosts.a.endpoints[1].address: found nothing; allowed: an address, or a network alone with resolution STATIC; fix: add address`},
	{"an endpoint that is looked up at no address", `egress: {hosts: {a: {host: a.example.com, port: 80, endpoints: [{network: other}]}}}`,
		`egress.hosts.a.endpoints[0].address: found nothing; allowed: an address, or a network alone with resolution STATIC; fix: add address`},
	{"a host outside without a port", `egress: {hosts: {a: {host: db.example.com}}}`,
		`egress.hosts.a.port: found neither port nor ports; allowed: port, or several under ports; fix: give one of the two`},
	{"a host outside with both", `egress: {hosts: {a: {host: db.example.com, port: 80, ports: {http: {port: 81}}}}}`,
		`egress.hosts.a.port: found port and ports; allowed: port, or several under ports; fix: give one of the two`},
	{"a protocol of several ports", `egress: {hosts: {a: {host: db.example.com, protocol: HTTP, ports: {http: {port: 81}}}}}`,
		`egress.hosts.a.protocol: found it beside ports; allowed: it beside port; fix: move it to the port that it is of`},
	{"TLS within TLS", `egress: {hosts: {a: {host: db.example.com, ports: {https: {port: 443, protocol: HTTPS, tls: {}}}}}}`,
		`egress.hosts.a.ports.https.tls: found TLS around HTTPS, which the pods encrypt already; allowed: a protocol that pods speak plainly; fix: remove it, or set protocol to what the pods speak, such as HTTP`},
	{"TLS said twice", `egress: {hosts: {a: {host: db.example.com, port: 80, tls: {}, trafficPolicy: {tls: {mode: SIMPLE}}}}}`,
		`egress.hosts.a.tls: found it beside trafficPolicy.tls; allowed: one of the two; fix: move what trafficPolicy.tls says here`},
	{"any host through the gateway", `egress: {gateway: {}, hosts: {a: {host: "*.example.com", port: 443, protocol: TLS, resolution: NONE}}}`,
		`egress.hosts.a.host: found *.example.com through the egress gateway; allowed: a host named in full, since the gateway must know where to; fix: name the host, or set direct`},
	{"a host that the gateway does not see", `egress: {gateway: {}, hosts: {a: {host: a.example.com, port: 443, protocol: TLS, exportTo: [.]}}}`,
		`egress.hosts.a.exportTo: found .; allowed: istio-system among them, since the egress gateway there needs to know the host; fix: add it, remove exportTo, or set direct`},
	{"a namespace twice", `egress: {hosts: {a: {host: a.example.com, port: 443, protocol: TLS, exportTo: [., shop]}}}`,
		`egress.hosts.a.exportTo: found ., shop; allowed: each namespace once, and a dot is that of the release; fix: remove shop`},
	{"a host of TCP whose way others do not know", `egress: {gateway: {}, hosts: {a: {host: a.example.com, port: 9000, exportTo: ["*"]}, b: {host: b.example.com, port: 9000, exportTo: [., istio-system]}, c: {host: c.example.com, port: 9000, exportTo: [shop, istio-system]}}}`,
		`egress.hosts.a.exportTo: found *; allowed: ., istio-system, since the pods of this namespace alone know the way of TCP to the egress gateway; fix: remove exportTo, or set direct`},
	{"ports that the gateway cannot tell apart", `egress: {gateway: {}, hosts: {a: {host: a.example.com, ports: {tls: {port: 443, protocol: TLS}, tcp: {port: 9000}}}}}`,
		`egress.hosts.a.ports: found two ports of a protocol other than HTTP through the egress gateway; allowed: one, since the gateway cannot tell which was meant; fix: remove one, or set direct`},
	{"ports of two entries that the gateway cannot tell apart", `egress: {gateway: {}, hosts: {a: {host: a.example.com, port: 80, protocol: HTTP}, b: {host: a.example.com, port: 8080, protocol: HTTP}, c: {host: b.example.com, port: 80, protocol: HTTP}}}`,
		`egress.hosts.b: found a port of a.example.com of a protocol HTTP through the egress gateway, which egress.hosts.a has too; allowed: one, since the gateway cannot tell which was meant; fix: remove one, or set direct`},
	{"streams of two entries that the gateway cannot tell apart", `egress: {gateway: {}, hosts: {a: {host: a.example.com, port: 3306, protocol: MYSQL}, b: {host: a.example.com, port: 443, protocol: HTTPS}}}`,
		`egress.hosts.b: found a port of a.example.com of a protocol other than HTTP through the egress gateway, which egress.hosts.a has too; allowed: one, since the gateway cannot tell which was meant; fix: remove one, or set direct`},
	{"policies of two entries for one host", `egress: {hosts: {a: {host: a.example.com, port: 80}, b: {host: a.example.com, port: 81, trafficPolicy: {loadBalancer: {simple: RANDOM}}}, c: {host: a.example.com, port: 82, trafficPolicy: {loadBalancer: {simple: RANDOM}}}}}`,
		`egress.hosts.c: found a.example.com, which egress.hosts.b has too, with tls or trafficPolicy; allowed: one entry for a host with either, since they hold for the whole host; fix: put the ports of both into one entry, under ports`},
	{"TLS of a host that an earlier entry has", `egress: {hosts: {a: {host: a.example.com, port: 81, protocol: HTTP}, b: {host: a.example.com, port: 80, protocol: HTTP, tls: {}}}}`,
		`egress.hosts.b: found a.example.com, which egress.hosts.a has too, with tls or trafficPolicy; allowed: one entry for a host with either, since they hold for the whole host; fix: put the ports of both into one entry, under ports`},
	{"TLS of a host that a later entry has", `egress: {hosts: {a: {host: a.example.com, port: 80, protocol: HTTP, tls: {}}, b: {host: a.example.com, port: 81, protocol: HTTP}}}`,
		`egress.hosts.b: found a.example.com, which egress.hosts.a has too, with tls or trafficPolicy; allowed: one entry for a host with either, since they hold for the whole host; fix: put the ports of both into one entry, under ports`},
	{"a host named as the gateway's rule", `egress: {gateway: {}, hosts: {egress-gateway: {host: a.example.com, port: 443, protocol: TLS}}}`,
		`egress.hosts.egress-gateway: found a name that the DestinationRule of the gateway has too; allowed: another name; fix: rename it`},
	{"a host named as the version of a Service", `
workload: null
service: {perVersion: true, ports: {http: {port: 80}}, trafficPolicy: {loadBalancer: {simple: RANDOM}}}
egress: {hosts: {v1-3-4: {host: a.example.com, port: 80, protocol: HTTP, tls: {}}}}`,
		`egress.hosts.v1-3-4: found a name that the DestinationRule of service has too; allowed: another name; fix: rename it`},
	{"a host named as the exposure", `
exposure: {kind: istio, hosts: [a.example.com], port: 80}
egress: {gateway: {}, hosts: {exposure: {host: a.example.com, port: 443, protocol: TLS}}}`,
		`egress.hosts.exposure: found a name that the VirtualService of exposure has too; allowed: another name; fix: rename it`},
}

// certificates are values that expose two hosts with TLS.
func certificates(kind, tls string) string {
	return `exposure: {kind: ` + kind + `, hosts: [a.example.com, b.example.com], port: ` + cmp.Or(map[string]string{"route": "http"}[kind], "80") + `, tls: {` + tls + `}}`
}
