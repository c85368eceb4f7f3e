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

	"chartbasico/pkg/cluster/internal/await"
	"chartbasico/pkg/cluster/local/internal/loopback"
	"chartbasico/pkg/cluster/local/internal/node"
)

func (s *supervisor) startNode(ctx context.Context, client kubernetes.Interface) error {
	agent, err := newNodeAgent(s)
	if err != nil {
		return err
	}
	s.agent = agent
	s.tasks.Go(func() {
		err := agent.Run(s.withLog(s.ctx))
		if s.ctx.Err() == nil {
			s.fail(fmt.Errorf("the node agent ended: %w", err))
		}
	})
	if err := s.serveKubelet(agent.Kubelet()); err != nil {
		return err
	}
	return await.Node(ctx, client, s.nodeName())
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

func newNodeAgent(s *supervisor) (*node.Agent, error) {
	config, err := s.restConfig(nodeUser)
	if err != nil {
		return nil, err
	}
	return node.New(node.Config{
		Rest:        config,
		Node:        s.nodeName(),
		Net:         loopback.Net(s.claim.net),
		Address:     s.claim.address,
		KubeletPort: kubeletPort,
		XDS:         s.addresses.istiodXDS.String(),
		Istiod:      s.addresses.istiodPorts(),
		Envoy:       s.options.Envoy,
		Dir:         s.state.path("node"),
		Procs:       s.processes,
		Failed:      s.fail,
		Log:         s.log,
	})
}
