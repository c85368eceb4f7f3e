// Package standin is what stands in for the applications of a local cluster: a server that says who it is, calls
// others, is slow, and fails, as requests and its pod ask for by headers and an annotation. It knows nothing of
// Kubernetes.
//
// Each answer says in Basico-Served-By who gave it, as app/version/pod ("-" for what has no name), followed by
// who was called on the way, depth first: "productpage/v1/pod-a, reviews/v2/pod-b".
//
// Requests ask by headers, all of which go along with the calls they lead to:
//
//	Basico-Call: http://reviews:9080/reviews/0   call this before answering. Several calls are made one after the
//	                                             other ("," between them, or the header repeated); after ";" comes
//	                                             what the called one shall call. The first that fails ends it: the
//	                                             answer is 502, and Basico-Error says what failed
//	Basico-Delay: 2s                             wait before answering, but not for a client that is gone
//	Basico-Status: 503                           answer with this
//	Basico-When: app=reviews                     delay and status are meant only for this app, version or pod
//	                                             ("app=reviews,version=v2": both must hold)
//	Basico-Echo: true                            tell in the body what was received
//
// A header that cannot be read is answered with 400 and Basico-Error. gRPC is answered too: health checks with
// SERVING, any other call with an empty message, which is one of every type.
package standin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Identity is who a stand-in says it is.
type Identity struct{ App, Version, Namespace, Pod, Container string }

func (id Identity) String() string {
	name := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	return name(id.App) + "/" + name(id.Version) + "/" + name(id.Pod)
}

// Dial connects to an address as the stand-in's pod would.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

// Server answers for one application container.
type Server struct {
	id        Identity
	behaviour Behaviour
	callers   *callers // nil for one that calls nobody
	listeners []net.Listener
	server    http.Server
	serving   sync.WaitGroup

	// What every answer without calls has, made once. They are read only.
	servedBy, contentType, contentLength []string
	body                                 []byte

	draining atomic.Bool
	open     atomic.Int64 // connections
	active   atomic.Int64 // when a request last came while draining, in ns since 1970
	quiet    time.Duration

	mu  sync.Mutex
	err error // of listeners
}

// maxInFlight is how many requests at once are expected: more than a queue test sends.
const maxInFlight = 1200

// Serve serves HTTP/1.1 and h2c on each listener until Shutdown. Calls go through dial; if it is nil, they fail.
func Serve(id Identity, b Behaviour, dial Dial, listeners ...net.Listener) *Server {
	if b.Status == 0 {
		b.Status = http.StatusServiceUnavailable
	}
	s := &Server{id: id, behaviour: b, listeners: listeners, quiet: defaultQuiet}
	s.body = append(marshal(newAnswer(id)), '\n')
	s.servedBy = []string{id.String()}
	s.contentType = []string{"application/json"}
	s.contentLength = []string{strconv.Itoa(len(s.body))}
	if dial != nil {
		s.callers = newCallers(dial)
	}
	s.server = http.Server{
		Handler: s, Protocols: new(http.Protocols), HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 2 * maxInFlight},
		ErrorLog: log.New(io.Discard, "", 0), // who sends what is no HTTP gets an answer; nobody else needs to know
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				s.open.Add(1)
			case http.StateClosed, http.StateHijacked:
				s.open.Add(-1)
			}
		},
	}
	s.server.Protocols.SetHTTP1(true)
	s.server.Protocols.SetUnencryptedHTTP2(true)
	for _, l := range listeners {
		s.serving.Go(func() {
			if err := s.server.Serve(l); !errors.Is(err, http.ErrServerClosed) && !s.draining.Load() {
				s.mu.Lock()
				s.err = errors.Join(s.err, fmt.Errorf("serve on %s: %w", l.Addr(), err))
				s.mu.Unlock()
			}
		})
	}
	return s
}

// defaultQuiet is for how long no request must have come before a server that is to end closes idle connections. A
// request that crosses the closing is lost, so clients that still use their connections are told by an answer.
const defaultQuiet = 100 * time.Millisecond

// Shutdown ends the server: no new connections from now on, answers tell clients to close theirs, requests in
// flight end, then idle connections are closed. At the end of ctx whatever is left is closed at once, and the error
// says so. The error is also that of a listener that had failed before.
func (s *Server) Shutdown(ctx context.Context) error {
	s.active.Store(time.Now().UnixNano())
	s.draining.Store(true)
	for _, l := range s.listeners {
		_ = l.Close() // it may have failed before, and Serve told
	}
	s.serving.Wait()
	if s.callers != nil {
		defer s.callers.close()
	}
	s.awaitQuiet(ctx)
	err := s.server.Shutdown(ctx)
	if err != nil {
		_ = s.server.Close()
		err = fmt.Errorf("stand-in %s: requests were in flight when its time was over: %w", s.id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.err, err)
}

func (s *Server) awaitQuiet(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for s.open.Load() > 0 && time.Since(time.Unix(0, s.active.Load())) < s.quiet {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	if s.draining.Load() {
		s.active.Store(time.Now().UnixNano())
	}
	header[servedByHeader] = s.servedBy
	a, err := readAsked(&s.id, r.Header)
	if err != nil {
		s.answer(w, r, &a, http.StatusBadRequest, err, nil)
		return
	}
	status := http.StatusOK
	if s.behaves(r) {
		a.delay += s.behaviour.Delay
		if s.behaviour.Fail > 0 && rand.Float64() < s.behaviour.Fail {
			status = s.behaviour.Status
		}
	}
	if a.status != 0 {
		status = a.status
	}
	if a.delay > 0 && !wait(r, a.delay) {
		return
	}
	var called []*called
	if status < http.StatusBadRequest && len(a.calls) > 0 {
		called, err = s.callAll(r, a.calls)
		servedBy := s.servedBy[0]
		for _, c := range called {
			if c.ServedBy != "" {
				servedBy += ", " + c.ServedBy
			}
		}
		header[servedByHeader] = []string{servedBy}
		if err != nil {
			status = http.StatusBadGateway
		}
	}
	s.answer(w, r, &a, status, err, called)
}

// Probe begins the User-Agent of a kubelet's probes.
const Probe = "kube-probe/"

// behaves tells whether the pod's lasting behaviour is meant for the request.
func (s *Server) behaves(r *http.Request) bool {
	if s.behaviour.Fail == 0 && s.behaviour.Delay == 0 {
		return false
	}
	agent, _ := single(r.Header, "User-Agent")
	return !strings.HasPrefix(agent, Probe)
}

// wait waits, and returns false if the client has gone before.
func wait(r *http.Request, delay time.Duration) bool {
	if r.ProtoMajor == 1 {
		// That the client has gone is noticed only once its request has been read.
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return false
		}
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// answer is the body.
type answer struct {
	App       string `json:"app"`
	Version   string `json:"version"`
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	Container string `json:"container"`

	Method  string      `json:"method,omitempty"`
	Host    string      `json:"host,omitempty"`
	Path    string      `json:"path,omitempty"`
	Headers http.Header `json:"headers,omitempty"`
	Calls   []*called   `json:"calls,omitempty"`
	Error   string      `json:"error,omitempty"`
}

func newAnswer(id Identity) answer {
	return answer{App: id.App, Version: id.Version, Namespace: id.Namespace, Pod: id.Pod, Container: id.Container}
}

func marshal(a answer) []byte {
	data, err := json.Marshal(a)
	if err != nil {
		panic(err) // it consists of strings
	}
	return data
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, a *asked, status int, err error, calls []*called) {
	header := w.Header()
	if s.draining.Load() {
		header["Connection"] = []string{"close"} // to HTTP/2, net/http says it by GOAWAY
	}
	if err != nil {
		header[errorHeader] = []string{oneLine(err.Error())}
	}
	if isGRPC(r) && status == http.StatusOK {
		answerGRPC(w, r)
		return
	}
	header["Content-Type"] = s.contentType
	body := s.body
	if a.echo {
		full := newAnswer(s.id)
		full.Method, full.Host, full.Path, full.Headers, full.Calls = r.Method, r.Host, r.RequestURI, r.Header, calls
		if err != nil {
			full.Error = err.Error()
		}
		body = append(marshal(full), '\n')
		header["Content-Length"] = []string{strconv.Itoa(len(body))}
	} else {
		header["Content-Length"] = s.contentLength
	}
	if status == http.StatusNoContent || status == http.StatusNotModified || r.Method == http.MethodHead {
		delete(header, "Content-Length")
		w.WriteHeader(status)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // fails only if the client has gone
}

// oneLine makes a text fit for a header: control characters end words, and what is not ASCII is a question mark.
func oneLine(s string) string {
	words := strings.FieldsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
	return strings.Map(func(r rune) rune {
		if r > 0x7f {
			return '?'
		}
		return r
	}, strings.Join(words, " "))
}
