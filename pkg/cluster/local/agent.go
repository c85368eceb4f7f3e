package local

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"k8s.io/client-go/kubernetes"

	"chartbasico/pkg/cluster"
)

// nodeAgent is the stand-in of the kubelet: what the supervisor needs of it.
type nodeAgent interface {
	// Run runs pods until ctx ends, and returns when nothing of them is left.
	Run(ctx context.Context) error
	// Resolve returns the loopback address that a program at that place reaches when it dials addr.
	Resolve(from cluster.Place, addr string) (string, error)
	// Proxies returns every sidecar and gateway that should be connected, Synced as far as the proxies themselves say.
	Proxies() []cluster.Proxy
	// AdminAddress is where a pod's Envoy serves its admin interface.
	AdminAddress(namespace, pod string) (string, bool)
	// Kubelet is the kubelet's API, without its TLS.
	Kubelet() http.Handler
}

func (s *supervisor) startNode(ctx context.Context, client kubernetes.Interface) error {
	agent, err := newNodeAgent(s)
	if err != nil {
		return err
	}
	s.agent = agent
	s.tasks.Go(func() {
		err := agent.Run(s.ctx)
		if s.ctx.Err() == nil {
			s.fail(fmt.Errorf("the node agent ended: %w", err))
		}
	})
	if err := s.serveKubelet(agent.Kubelet()); err != nil {
		return err
	}
	return awaitNode(ctx, client, s.nodeName())
}

// nodeName is the name of the cluster's only node.
func (s *supervisor) nodeName() string { return s.options.Name }

// serveKubelet serves the kubelet's API to the API server and to nobody else, on the port by which the cluster's
// address is claimed.
func (s *supervisor) serveKubelet(handler http.Handler) error {
	pem, err := os.ReadFile(s.credentials.cert(clusterCA))
	if err != nil {
		return err
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(pem)
	cert, err := tls.LoadX509KeyPair(s.credentials.cert(kubeletServer), s.credentials.key(kubeletServer))
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		TLSConfig: &tls.Config{
			MinVersion:   tls.VersionTLS12,
			Certificates: []tls.Certificate{cert},
			ClientCAs:    clients,
			ClientAuth:   tls.RequireAndVerifyClientCert,
			VerifyConnection: func(state tls.ConnectionState) error {
				if user := state.PeerCertificates[0].Subject.CommonName; user != kubeletClient {
					return fmt.Errorf("the kubelet API serves %s only, and %s has called", kubeletClient, user)
				}
				return nil
			},
			// Kubernetes' upgrades to SPDY and WebSocket need HTTP/1.1.
			NextProtos: []string{"http/1.1"},
		},
	}
	listener, err := s.claim.kubelet()
	if err != nil {
		return err
	}
	s.tasks.Go(func() {
		if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) && s.ctx.Err() == nil {
			s.fail(fmt.Errorf("the kubelet API ended: %w", err))
		}
	})
	s.tasks.Go(func() {
		<-s.ctx.Done()
		_ = server.Close()
	})
	return nil
}

// newNodeAgent makes the node agent of a cluster.
var newNodeAgent = func(*supervisor) (nodeAgent, error) {
	return nil, errors.New("no node agent is linked into this program")
}
