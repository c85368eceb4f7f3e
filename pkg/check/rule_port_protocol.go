package check

import (
	"slices"
	"strings"

	"chartbasico/pkg/problem"
)

// protocols are the words by which Istio knows what a port speaks.
var protocols = []string{"http", "http2", "https", "grpc", "grpc-web", "tcp", "tls", "mongo", "mysql", "redis", "udp"}

var rulePortProtocol = rule{"port-protocol", "Each port of a Service says which protocol it speaks: by its name or appProtocol.", releaseScope, func(m *model) (out problem.List) {
	for _, name := range m.names {
		s := m.services[name]
		for _, port := range s.ports {
			if port.appProtocolGiven || port.transport == "UDP" || slices.ContainsFunc(protocols, func(protocol string) bool {
				return port.name == protocol || strings.HasPrefix(port.name, protocol+"-")
			}) {
				continue
			}
			found, fix := problem.Quote(port.name), "rename the port, http-"+port.name+" for instance, or set appProtocol"
			if port.name == "" {
				found, fix = "no name", "name the port, http for instance, or set appProtocol"
			}
			out = append(out, s.style(port.path+".name", found, "a name that begins with the protocol: "+strings.Join(protocols, ", "), fix))
		}
	}
	return out
}}
