// Package xds stands between istiod and the Envoys of a local cluster: it forwards what istiod sends, with the
// addresses of pods replaced by the loopback addresses that stand for them, and keeps account of what each proxy has
// accepted and refused. It knows nothing of Kubernetes.
package xds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"chartbasico/pkg/cluster/local/internal/loopback"
)

// maxMessage bounds a message either way. A large mesh's configuration passes gRPC's own 4 MiB.
const maxMessage = 256 << 20

// Forwarder is the aggregated discovery service that the cluster's Envoys know.
type Forwarder struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer

	net     loopback.Net
	outside func(host string, port uint16) (string, error)
	log     *slog.Logger
	istiod  *grpc.ClientConn
	server  *grpc.Server

	mu      sync.Mutex
	proxies map[netip.Addr]*proxy
	changed chan struct{} // closed and made anew whenever a proxy's state changes
}

// New returns a forwarder to istiod's plain text address. Outside gives the address that stands for a host and port
// outside the cluster; with an empty host, for any.
func New(istiod string, n loopback.Net, outside func(host string, port uint16) (string, error), log *slog.Logger) (*Forwarder, error) {
	conn, err := grpc.NewClient(istiod, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)))
	if err != nil {
		return nil, fmt.Errorf("forward to istiod at %s: %w", istiod, err)
	}
	f := &Forwarder{
		net: n, outside: outside, log: log, istiod: conn,
		server:  grpc.NewServer(grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage)),
		proxies: map[netip.Addr]*proxy{}, changed: make(chan struct{}),
	}
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(f.server, f)
	return f, nil
}

// Serve serves Envoys on the listener until Close.
func (f *Forwarder) Serve(l net.Listener) error { return f.server.Serve(l) }

// Close ends all streams.
func (f *Forwarder) Close() {
	f.server.Stop()
	_ = f.istiod.Close()
}

// State is what a proxy has made of its configuration.
type State struct {
	Synced   bool     // all that was sent was accepted
	Rejected []string // Envoy's words on each configuration it refused, if it accepted no later one of that type
	Refused  []string // its words on all that it ever refused, the oldest first
}

// State returns the state of a pod's proxy.
func (f *Forwarder) State(pod netip.Addr) State {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.proxies[pod]
	if p == nil {
		return State{}
	}
	return State{Synced: p.synced(), Rejected: p.rejected(), Refused: slices.Clone(p.refused)}
}

// Forget drops what is known of a pod's proxy: its address may be another pod's next.
func (f *Forwarder) Forget(pod netip.Addr) {
	f.update(func() { delete(f.proxies, pod) })
}

// Listener returns where a connection of the pod to the destination is taken by its sidecar, as Envoy would choose:
// the listener on that address and port, else on that port of every address, else the one for all the rest.
func (f *Forwarder) Listener(pod netip.Addr, destination netip.AddrPort) (netip.AddrPort, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.proxies[pod]
	if p == nil {
		return netip.AddrPort{}, false
	}
	for _, key := range []netip.AddrPort{destination, netip.AddrPortFrom(netip.IPv4Unspecified(), destination.Port()), {}} {
		if to, ok := p.listeners[key]; ok {
			return to, true
		}
	}
	return netip.AddrPort{}, false
}

// Inbound tells whether the pod's proxy takes what comes in on that port. Where it does not, no Service has the port.
func (f *Forwarder) Inbound(pod netip.Addr, port uint16) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.proxies[pod]
	return p != nil && p.inbound[port]
}

// leftOut tells whether what is sent to the pod's port goes past its sidecar.
func (f *Forwarder) leftOut(pod netip.Addr, port uint16) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.proxies[pod]
	return p != nil && p.leavesOut(port)
}

// AwaitUnused returns when no connected proxy has the pod as an endpoint any more. The error says which still has.
func (f *Forwarder) AwaitUnused(ctx context.Context, pod netip.Addr) error {
	for {
		var users []string
		f.mu.Lock()
		for _, p := range f.proxies {
			if p.streams > 0 {
				if how := p.uses(pod); how != "" {
					users = append(users, fmt.Sprintf("%s (%s)", p.rewriter.pod, how))
				}
			}
		}
		changed := f.changed
		f.mu.Unlock()
		if len(users) == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			slices.Sort(users)
			return fmt.Errorf("%s is still in use by %s: %w", pod, strings.Join(users, ", "), ctx.Err())
		}
	}
}

// update changes what is known of proxies and wakes those who wait for it.
func (f *Forwarder) update(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	close(f.changed)
	f.changed = make(chan struct{})
}

// StreamAggregatedResources forwards one Envoy's stream.
func (f *Forwarder) StreamAggregatedResources(down discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	first, err := down.Recv()
	if err != nil {
		return err
	}
	pod, gateway, err := identify(first.GetNode().GetId())
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	// Whichever way the stream ends, both directions do.
	ctx, cancel := context.WithCancel(down.Context())
	defer cancel()
	up, err := discoveryv3.NewAggregatedDiscoveryServiceClient(f.istiod).StreamAggregatedResources(ctx)
	if err != nil {
		return err
	}
	p := f.connect(pod, gateway, down.Send)
	defer f.update(func() { p.streams-- })

	requests := make(chan error, 1)
	go func() { requests <- f.forwardRequests(first, down, up, p) }()
	responses := make(chan error, 1)
	go func() { responses <- f.forwardResponses(up, down, p) }()
	select {
	case err = <-requests:
		cancel()
		err = errors.Join(err, <-responses)
	case err = <-responses:
		// Envoy's side cannot be interrupted but by the end of this call, which ends its Recv.
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// connect returns the proxy whose stream begins.
func (f *Forwarder) connect(pod netip.Addr, gateway bool, send func(*discoveryv3.DiscoveryResponse) error) *proxy {
	var p *proxy
	f.update(func() {
		p = f.proxies[pod]
		if p == nil {
			p = newProxy(newRewriter(f.net, pod, gateway, f.outside, f.leftOut))
			f.proxies[pod] = p
		}
	})
	p.sending.Lock() // an Envoy that comes back may meet the end of its old stream
	defer p.sending.Unlock()
	f.update(func() {
		p.connected(send)
		p.streams++
	})
	return p
}

func (f *Forwarder) forwardRequests(first *discoveryv3.DiscoveryRequest, down discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer,
	up discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesClient, p *proxy,
) error {
	for request := first; ; {
		f.answered(p, request)
		if detail := request.GetErrorDetail(); detail != nil {
			f.log.Warn("configuration rejected", "proxy", p.rewriter.pod, "type", shortType(request.GetTypeUrl()), "message", detail.GetMessage())
		}
		if err := up.Send(request); err != nil {
			return err
		}
		next, err := down.Recv()
		if err != nil {
			_ = up.CloseSend()
			return err
		}
		request = next
	}
}

func (f *Forwarder) forwardResponses(up discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesClient,
	down discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer, p *proxy,
) error {
	for {
		response, err := up.Recv()
		if err != nil {
			return err
		}
		if err := f.sendOn(p, response); err != nil {
			return err
		}
	}
}

// sendOn rewrites a response and sends it to the proxy.
func (f *Forwarder) sendOn(p *proxy, response *discoveryv3.DiscoveryResponse) error {
	p.sending.Lock()
	defer p.sending.Unlock()
	return f.sendLocked(p, response)
}

func (f *Forwarder) sendLocked(p *proxy, response *discoveryv3.DiscoveryResponse) error {
	apply, err := p.rewrite(response)
	if err != nil {
		return fmt.Errorf("configuration of %s: %w", p.rewriter.pod, err)
	}
	f.update(func() { p.sent(response, apply) })
	return p.send(response)
}

// answered takes a proxy's request. If it now leaves other things to its application than before, the others are told
// of the change, and are not in sync until they are.
func (f *Forwarder) answered(p *proxy, request *discoveryv3.DiscoveryRequest) {
	var others []*proxy
	f.update(func() {
		before := p.leftOut()
		p.answered(request)
		p.upstream(request)
		if maps.Equal(before, p.leftOut()) {
			return
		}
		for _, o := range f.proxies {
			o.owed++
			others = append(others, o)
		}
	})
	for _, o := range others {
		go f.sendAgain(o, p.rewriter.pod)
	}
}

// sendAgain sends a proxy the endpoints again that a pod is among.
func (f *Forwarder) sendAgain(p *proxy, pod netip.Addr) {
	p.sending.Lock()
	defer p.sending.Unlock()
	defer f.update(func() { p.owed-- })
	response, err := p.again(pod)
	if err == nil && response != nil {
		err = f.sendLocked(p, response)
	}
	if err != nil { // its stream has ended: it gets everything anew
		f.log.Debug("endpoints not sent again", "proxy", p.rewriter.pod, "error", err)
	}
}

// identify reads Istio's node id, TYPE~IP~POD.NAMESPACE~DOMAIN.
func identify(id string) (pod netip.Addr, gateway bool, err error) {
	parts := strings.Split(id, "~")
	if len(parts) != 4 {
		return netip.Addr{}, false, fmt.Errorf("node id %q: expected TYPE~IP~POD.NAMESPACE~DOMAIN", id)
	}
	pod, err = netip.ParseAddr(parts[1])
	if err != nil {
		return netip.Addr{}, false, fmt.Errorf("node id %q: %w", id, err)
	}
	return pod, parts[0] == "router", nil
}
