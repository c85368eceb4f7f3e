package node

import (
	"encoding/json"
	"fmt"
	"strings"

	"istio.io/api/annotation"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/model"
	corev1 "k8s.io/api/core/v1"
)

// metadata is what the pod's Envoy tells istiod about itself: what Istio's agent would read from the environment that
// injection gave it (pkg/bootstrap/config.go), so that what was injected is what decides.
func (p *pod) metadata(c corev1.Container) (map[string]any, error) {
	m := map[string]any{}
	injected := ""
	for _, e := range c.Env {
		value := e.Value
		if e.ValueFrom != nil {
			var ok bool
			if value, ok = p.field(e.ValueFrom.FieldRef); !ok {
				continue
			}
		}
		switch {
		case strings.HasPrefix(e.Name, "ISTIO_METAJSON_"):
			var parsed any
			if json.Unmarshal([]byte(value), &parsed) == nil {
				m[strings.TrimPrefix(e.Name, "ISTIO_METAJSON_")] = parsed
			}
		case strings.HasPrefix(e.Name, "ISTIO_META_"):
			m[strings.TrimPrefix(e.Name, "ISTIO_META_")] = value
		case e.Name == "PROXY_CONFIG":
			injected = value
		}
	}
	config, err := proxyConfig(injected, p.object.Annotations[annotation.ProxyConfig.Name])
	if err != nil {
		return nil, err
	}
	m["PROXY_CONFIG"] = config
	m["NAME"] = p.object.Name
	m["NAMESPACE"] = p.object.Namespace
	m["INSTANCE_IPS"] = p.ip.String()
	m["SERVICE_ACCOUNT"] = p.object.Spec.ServiceAccountName
	m["LABELS"] = p.object.Labels
	m["ANNOTATIONS"] = p.object.Annotations
	m["NODE_NAME"] = p.agent.config.Node
	if tag := c.Image[strings.LastIndex(c.Image, ":")+1:]; tag != c.Image {
		m["ISTIO_VERSION"] = tag
	}
	return m, nil
}

// proxyConfig is Istio's defaults, what injection wrote over them, and over that what the pod's annotation says, as
// Istio's agent joins them (pilot/cmd/pilot-agent/config). istiod takes no client without it for a proxy.
func proxyConfig(injected, annotated string) (*model.NodeMetaProxyConfig, error) {
	config := mesh.DefaultProxyConfig()
	for _, over := range []struct{ from, yaml string }{{"PROXY_CONFIG", injected}, {annotation.ProxyConfig.Name, annotated}} {
		if over.yaml == "" {
			continue
		}
		var err error
		if config, err = mesh.MergeProxyConfig(over.yaml, config); err != nil {
			return nil, fmt.Errorf("%s: %w", over.from, err)
		}
	}
	return (*model.NodeMetaProxyConfig)(config), nil
}

// field resolves the downward API's references that injection uses.
func (p *pod) field(ref *corev1.ObjectFieldSelector) (string, bool) {
	if ref == nil {
		return "", false
	}
	switch ref.FieldPath {
	case "metadata.name":
		return p.object.Name, true
	case "metadata.namespace":
		return p.object.Namespace, true
	case "metadata.uid":
		return string(p.object.UID), true
	case "status.podIP":
		return p.ip.String(), true
	case "status.hostIP":
		return p.agent.config.Address.String(), true
	case "spec.serviceAccountName":
		return p.object.Spec.ServiceAccountName, true
	case "spec.nodeName":
		return p.agent.config.Node, true
	}
	return "", false
}
