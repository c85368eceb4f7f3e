// Package portforward is the kubelet's side of kubectl port-forward. It knows streams, and nothing of pods.
package portforward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/portforward"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// Dial connects to a port of the pod.
type Dial func(ctx context.Context, port uint16) (net.Conn, error)

// idle is how long a session without any traffic is kept; the kubelet's own default.
const idle = 4 * time.Hour

// Serve answers a request to forward ports, until either end closes the session. A port that cannot be reached is
// told on that connection's error stream, as the protocol has it; the session goes on.
func Serve(w http.ResponseWriter, r *http.Request, dial Dial) {
	if _, err := httpstream.Handshake(r, w, []string{portforward.PortForwardV1Name}); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	streams := make(chan httpstream.Stream, 1)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	session := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, replySent <-chan struct{}) error {
		if _, _, err := read(s); err != nil {
			return err
		}
		select {
		case streams <- s:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if session == nil {
		return // the upgrader has answered
	}
	defer session.Close()
	session.SetIdleTimeout(idle)
	// Streams come in pairs, of one request ID: one for data, one for an error.
	waiting := map[string]httpstream.Stream{}
	var forwards sync.WaitGroup
	defer forwards.Wait()
	defer cancel()
	for {
		select {
		case <-session.CloseChan():
			return
		case s := <-streams:
			id := s.Headers().Get(corev1.PortForwardRequestIDHeader)
			other, ok := waiting[id]
			if !ok {
				waiting[id] = s
				continue
			}
			delete(waiting, id)
			data, errs := s, other
			if data.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
				data, errs = errs, data
			}
			forwards.Go(func() {
				defer session.RemoveStreams(data, errs)
				if err := forward(ctx, data, dial); err != nil {
					_, _ = io.WriteString(errs, err.Error()) // whoever is gone needs no telling
				}
				_ = errs.Close()
				_ = data.Close()
			})
		}
	}
}

// read returns what a stream is for.
func read(s httpstream.Stream) (kind string, port uint16, err error) {
	kind = s.Headers().Get(corev1.StreamType)
	if kind != corev1.StreamTypeData && kind != corev1.StreamTypeError {
		return "", 0, fmt.Errorf("stream type: found %q, expected %s or %s", kind, corev1.StreamTypeData, corev1.StreamTypeError)
	}
	text := s.Headers().Get(corev1.PortHeader)
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("port of the stream: found %q, expected 1 to 65535", text)
	}
	return kind, uint16(n), nil
}

// forward copies both ways until the pod's end has said all, or ctx ends.
func forward(ctx context.Context, data httpstream.Stream, dial Dial) error {
	_, port, err := read(data)
	if err != nil {
		return err
	}
	conn, err := dial(ctx, port)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	go func() {
		_, _ = io.Copy(conn, data)
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
	}()
	_, err = io.Copy(data, conn)
	_ = conn.Close()
	_ = data.Reset() // ends the copy from the other side, which may never end by itself
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
