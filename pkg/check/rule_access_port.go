package check

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"chartbasico/pkg/problem"
)

// Containers may listen on ports that they do not declare, so these are warnings; that a Service's port was meant is sure.
var ruleAccessPort = rule{"access-port", "A port that a policy names is one on which the pods that it is for are reached, rather than one of their Service.", environmentScope, func(m *model) (out problem.List) {
	for _, o := range m.objects {
		selector, ports := accessPorts(o)
		var selected []pods
		silent := selector == nil
		for _, p := range m.pods {
			if p.GetNamespace() == o.GetNamespace() && !p.ends && contains(p.labels, stringMap(selector)) {
				selected = append(selected, p)
				silent = silent || !slices.ContainsFunc(p.ports(), func(cp map[string]any) bool { n, _ := number(cp, "containerPort"); return !ofSidecar(n) })
			}
		}
		if silent || len(selected) == 0 {
			continue
		}
		for _, port := range ports {
			if n, numbered := port.value.(int64); numbered && ofSidecar(n) || slices.ContainsFunc(selected, func(p pods) bool { return p.listens(port.value, port.transport) }) {
				continue
			}
			if service, target := m.sends(selected, port.value); target != 0 {
				if slices.ContainsFunc(ports, func(other accessPort) bool { return other.value == target }) {
					continue // it is let in as well, and the other is met by nobody
				}
				out = append(out, o.style(port.path, problem.Quote(port.value)+", which is a port of "+service, "a port of the pods: "+selected[0].portNames(), "write "+strconv.FormatInt(target, 10)+", which it sends to"))
				continue
			}
			wrong := o.problem(port.path, problem.Quote(port.value)+", a port that no container of "+selected[0].id+" has", "one of "+selected[0].portNames(), "correct it, or add the port to the container")
			wrong.Severity = problem.Warning
			out = append(out, wrong)
		}
	}
	return out
}}

// ofSidecar says whether a port is one of those that Istio's sidecar listens on.
func ofSidecar(port int64) bool { return port >= 15000 && port < 15100 }

// sends is the Service that sends to another port of these pods what comes to a port of its own, and that port; 0 where none does.
func (m *model) sends(to []pods, port any) (service string, target int64) {
	for _, name := range m.names {
		s := m.services[name]
		for _, p := range s.pods {
			if !slices.ContainsFunc(to, func(selected pods) bool { return selected.key() == p.key() }) {
				continue
			}
			for _, sp := range s.ports {
				if sp.number == port {
					number, _ := sp.target.(int64)
					name, _ := sp.target.(string)
					if target = cmp.Or(number, p.port(name, sp.transport)); target != port {
						return s.id, target
					}
				}
			}
		}
	}
	return "", 0
}

// accessPort is a port that a policy names: a number, or a name.
type accessPort struct {
	path      string
	value     any
	transport string
}

// accessPorts are the labels of the pods that a policy lets somebody into, nil where it is none or selects otherwise, and the
// ports that it names.
func accessPorts(o object) (selector map[string]any, ports []accessPort) {
	add := func(path string, value any, transport string) {
		if text, ok := value.(string); ok {
			if n, err := strconv.ParseInt(text, 10, 64); err == nil {
				value = n
			}
		}
		ports = append(ports, accessPort{path, value, transport})
	}
	field := "selector"
	group, _, _ := strings.Cut(o.GetAPIVersion(), "/")
	switch group + "/" + o.GetKind() {
	case "networking.k8s.io/NetworkPolicy":
		field = "podSelector"
		for i, rule := range list(o.Object, "spec", "ingress") {
			for j, port := range list(rule, "ports") {
				if port["port"] != nil && port["endPort"] == nil {
					add(at(at("spec.ingress", i)+".ports", j)+".port", port["port"], transportOf(port))
				}
			}
		}
	case "security.istio.io/AuthorizationPolicy":
		for i, rule := range list(o.Object, "spec", "rules") {
			for j, to := range list(rule, "to") {
				numbers, _ := stringList(to, "operation", "ports")
				for k, port := range numbers {
					add(at(at(at("spec.rules", i)+".to", j)+".operation.ports", k), port, "TCP")
				}
			}
		}
	case "security.istio.io/PeerAuthentication":
		levels, _, _ := unstructured.NestedMap(o.Object, "spec", "portLevelMtls")
		for _, port := range slices.Sorted(maps.Keys(levels)) {
			add("spec.portLevelMtls."+port, port, "TCP")
		}
	default:
		return nil, nil
	}
	all, _, _ := unstructured.NestedMap(o.Object, "spec", field)
	selector, _ = all["matchLabels"].(map[string]any)
	if selector == nil || all["matchExpressions"] != nil {
		return nil, nil // of all pods of a namespace, some may have any port
	}
	return selector, ports
}
