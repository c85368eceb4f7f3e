package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// forwarder dials into pods by the API server's port-forward, as kubectl does, but without a port on this machine: one
// session for each pod, one stream in it for each connection.
type forwarder struct {
	config *rest.Config
	client kubernetes.Interface

	mu       sync.Mutex
	sessions map[string]*session // by pod.namespace
}

type session struct {
	opening sync.Mutex
	conn    httpstream.Connection
	next    int
}

func newForwarder(config *rest.Config, client kubernetes.Interface) *forwarder {
	return &forwarder{config: config, client: client, sessions: map[string]*session{}}
}

func (f *forwarder) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.sessions {
		s.close()
	}
}

// close ends the session, with every connection in it, once nobody is opening one.
func (s *session) close() {
	s.opening.Lock()
	defer s.opening.Unlock()
	if s.conn != nil {
		_ = s.conn.Close()
	}
}

// dial connects to an address of the form pod.namespace:port.
func (f *forwarder) dial(ctx context.Context, _, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	s := f.sessions[host]
	if s == nil {
		s = &session{}
		f.sessions[host] = s
	}
	f.mu.Unlock()

	s.opening.Lock()
	defer s.opening.Unlock()
	if s.conn != nil {
		select {
		case <-s.conn.CloseChan():
			s.conn = nil
		default:
		}
	}
	if s.conn == nil {
		if s.conn, err = f.open(ctx, host); err != nil {
			return nil, err
		}
	}
	s.next++
	return connect(s.conn, port, s.next)
}

// forget ends the session of a pod. Nobody waits for that, as it may be what hangs.
func (f *forwarder) forget(host string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.sessions[host]; s != nil {
		delete(f.sessions, host)
		go s.close()
	}
}

func (f *forwarder) open(ctx context.Context, host string) (httpstream.Connection, error) {
	dot := strings.LastIndex(host, ".") // a namespace has none
	if dot < 0 {
		return nil, fmt.Errorf("dial %s: expected pod.namespace", host)
	}
	transport, upgrader, err := spdy.RoundTripperFor(f.config)
	if err != nil {
		return nil, err
	}
	url := f.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(host[dot+1:]).Name(host[:dot]).SubResource("portforward").URL()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url.String(), nil)
	if err != nil {
		return nil, err
	}
	conn, _, err := spdy.NegotiateStreaming(upgrader, &http.Client{Transport: transport}, req, portforward.PortForwardProtocolV1Name)
	if err != nil {
		return nil, fmt.Errorf("forward to Pod/%s/%s: %w", host[dot+1:], host[:dot], err)
	}
	return conn, nil
}

// connect opens the two streams of a connection.
func connect(conn httpstream.Connection, port string, id int) (net.Conn, error) {
	headers := http.Header{}
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	headers.Set(corev1.PortHeader, port)
	headers.Set(corev1.PortForwardRequestIDHeader, strconv.Itoa(id))
	errs, err := conn.CreateStream(headers)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	_ = errs.Close() // only the other side writes to it
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := conn.CreateStream(headers)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	s := &stream{Stream: data, port: port, remove: func() { conn.RemoveStreams(errs, data) }}
	s.told.Add(1)
	go func() {
		defer s.told.Done()
		message, err := io.ReadAll(errs)
		if err == nil && len(message) > 0 {
			s.err = errors.New(strings.TrimSpace(string(message)))
			_ = data.Reset() // whoever reads is waiting for what does not come
		}
	}()
	return s, nil
}

// stream is a connection without deadlines and addresses: those who use it have contexts.
type stream struct {
	httpstream.Stream
	port   string
	told   sync.WaitGroup
	err    error
	remove func()
	once   sync.Once
}

// Read says why the connection ended, if the other side told.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	if err != nil && n == 0 {
		s.told.Wait()
		if s.err != nil {
			err = s.err
		}
	}
	return n, err
}

func (s *stream) Close() error {
	s.once.Do(func() {
		_ = s.Reset() // closing would wait for what is not read any more
		s.remove()
	})
	return nil
}

func (s *stream) LocalAddr() net.Addr              { return forwarded("local") }
func (s *stream) RemoteAddr() net.Addr             { return forwarded(s.port) }
func (s *stream) SetDeadline(time.Time) error      { return nil }
func (s *stream) SetReadDeadline(time.Time) error  { return nil }
func (s *stream) SetWriteDeadline(time.Time) error { return nil }

type forwarded string

func (forwarded) Network() string  { return "portforward" }
func (a forwarded) String() string { return string(a) }
