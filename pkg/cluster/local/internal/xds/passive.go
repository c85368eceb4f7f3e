package xds

import (
	"math"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A sidecar that only passes on what comes in changes nothing that can be measured but the time it takes, and half of
// all hops are such. Other proxies are therefore given the application's own address for as long as nobody asks for
// more. What asks for more is not listed here; what istiod sends when nobody does, is: anything else counts as more.

// neutralFilters are the HTTP filters that every sidecar has, and what they are when they do nothing: true if they
// must be without configuration.
var neutralFilters = map[string]bool{
	"envoy.filters.http.grpc_stats": false,
	"envoy.filters.http.fault":      true,
	"envoy.filters.http.cors":       true,
	"envoy.filters.http.router":     true,
}

// passive returns the cluster that a filter chain of a sidecar's inbound listener passes HTTP on to, if it does
// nothing else.
func passive(chain *listenerv3.FilterChain) (cluster string, ok bool) {
	if chain.GetTransportSocket() != nil || len(chain.GetFilters()) != 1 {
		return "", false
	}
	manager := &hcmv3.HttpConnectionManager{}
	if err := chain.GetFilters()[0].GetTypedConfig().UnmarshalTo(manager); err != nil {
		return "", false // it speaks something else
	}
	for _, f := range manager.GetHttpFilters() {
		empty, known := neutralFilters[f.GetName()]
		if !known || f.GetDisabled() || empty && len(f.GetTypedConfig().GetValue()) > 0 {
			return "", false
		}
	}
	routes := manager.GetRouteConfig()
	if len(routes.GetVirtualHosts()) != 1 || len(routes.GetVirtualHosts()[0].GetRoutes()) != 1 {
		return "", false
	}
	host := routes.GetVirtualHosts()[0]
	route := host.GetRoutes()[0]
	only := manager.GetStreamIdleTimeout().AsDuration() == 0 && route.GetRoute().GetTimeout().AsDuration() == 0 &&
		route.GetMatch().GetPrefix() == "/" &&
		bare(manager, "stat_prefix", "route_config", "http_filters", "tracing", "server_name", "stream_idle_timeout",
			"use_remote_address", "forward_client_cert_details", "set_current_client_cert_details", "proxy_100_continue",
			"upgrade_configs", "normalize_path", "path_with_escaped_slashes_action", "request_id_extension") &&
		bare(routes, "name", "virtual_hosts", "validate_clusters") &&
		bare(host, "name", "domains", "routes") &&
		bare(route, "name", "match", "route", "decorator") &&
		bare(route.GetMatch(), "prefix") &&
		bare(route.GetRoute(), "cluster", "timeout", "retry_policy", "max_stream_duration") &&
		noLimit(route.GetRoute().GetMaxStreamDuration())
	return route.GetRoute().GetCluster(), only
}

func noLimit(d *routev3.RouteAction_MaxStreamDuration) bool {
	return d.GetMaxStreamDuration().AsDuration() == 0 && d.GetGrpcTimeoutHeaderMax().AsDuration() == 0
}

// unlimited tells whether an inbound cluster opens as many connections to the application as there are requests.
func unlimited(c *clusterv3.Cluster) bool {
	for _, t := range c.GetCircuitBreakers().GetThresholds() {
		if t.GetPriority() != corev3.RoutingPriority_DEFAULT || t.GetMaxConnections().GetValue() < math.MaxUint32 || t.GetMaxRequests().GetValue() < math.MaxUint32 {
			return false // how many may wait is of no matter then
		}
	}
	return c.GetLbPolicy() == clusterv3.Cluster_CLUSTER_PROVIDED && proto.Size(c.GetCommonLbConfig()) == 0 &&
		bare(c, "name", "alt_stat_name", "type", "lb_policy", "cleanup_interval", "common_lb_config", "connect_timeout",
			"circuit_breakers", "load_assignment", "metadata", "upstream_bind_config")
}

// bare tells whether a message has no other fields than these.
func bare(m proto.Message, fields ...protoreflect.Name) bool {
	known := true
	m.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		known = slices.Contains(fields, f.Name())
		return known
	})
	return known && len(m.ProtoReflect().GetUnknown()) == 0
}
