package node

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/local/internal/loopback"
	"chartbasico/pkg/cluster/local/internal/portforward"
)

// proxyAdminPort is where Envoy's admin interface is in a real pod; istioctl asks there.
const proxyAdminPort = 15000

// forward serves kubectl port-forward.
func (a *Agent) forward(w http.ResponseWriter, r *http.Request) {
	namespace, name := r.PathValue("namespace"), r.PathValue("pod")
	p, err := a.find(cluster.Place{Namespace: namespace, Pod: name})
	if err != nil {
		http.Error(w, notHere(namespace, name), http.StatusNotFound)
		return
	}
	portforward.Serve(w, r, func(ctx context.Context, port uint16) (net.Conn, error) {
		address, err := p.localAddress(port)
		if err != nil {
			return nil, err
		}
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	})
}

// localAddress is what a program in the pod would reach on its localhost.
func (p *pod) localAddress(port uint16) (string, error) {
	switch {
	case p.istiod():
		address, ok := p.agent.config.Istiod[int32(port)]
		if !ok {
			return "", fmt.Errorf("istiod has no port %d", port)
		}
		return address, nil
	case p.hasProxy() && port == proxyAdminPort:
		return p.adminAddress().String(), nil
	case p.gateway():
		return netip.AddrPortFrom(p.agent.config.Net.Inbound(p.ip), loopback.Port(port)).String(), nil
	default:
		return netip.AddrPortFrom(p.appAddress(), loopback.Port(port)).String(), nil
	}
}
