package standin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mesh is a few stand-ins that call each other by name.
type mesh struct {
	t       *testing.T
	mu      sync.Mutex
	servers map[string]*Server // by host:port
	dials   atomic.Int64
	atGate  chan struct{} // gets one for each call to the host gate,
	gate    chan struct{} // which fails when this is closed
}

func newMesh(t *testing.T) *mesh {
	t.Helper()
	return &mesh{t: t, servers: map[string]*Server{}, atGate: make(chan struct{}), gate: make(chan struct{})}
}

func (m *mesh) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	m.dials.Add(1)
	if addr == "gate:9080" {
		m.atGate <- struct{}{}
		<-m.gate
		return nil, errors.New("nothing is behind the gate")
	}
	m.mu.Lock()
	s := m.servers[addr]
	m.mu.Unlock()
	if s == nil {
		return nil, errors.New("no such host: " + addr)
	}
	return new(net.Dialer).DialContext(ctx, network, s.listeners[0].Addr().String())
}

// add starts a stand-in as app/v1/app-pod.
func (m *mesh) add(app string, b Behaviour) *Server {
	m.t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(m.t, err)
	s := Serve(Identity{App: app, Version: "v1", Namespace: "shop", Pod: app + "-pod", Container: app}, b, m.dial, l)
	m.mu.Lock()
	m.servers[app+":9080"] = s
	m.mu.Unlock()
	m.t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Shutdown(ctx)
	})
	return s
}

func urlOf(s *Server) string { return "http://" + s.listeners[0].Addr().String() + "/reviews/0?full=1" }

// client is as new, so that no test has another's connections.
func client(t *testing.T, h2c bool) *http.Client {
	t.Helper()
	transport := &http.Transport{DisableCompression: true, Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(!h2c)
	transport.Protocols.SetUnencryptedHTTP2(h2c)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

func ask(t *testing.T, c *http.Client, s *Server, header ...string) (*http.Response, string) {
	t.Helper()
	response, body, err := try(t.Context(), c, s, header...)
	require.NoError(t, err)
	return response, body
}

func try(ctx context.Context, c *http.Client, s *Server, header ...string) (*http.Response, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, urlOf(s), nil)
	if err != nil {
		return nil, "", err
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Add(header[i], header[i+1])
	}
	response, err := c.Do(request)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response, string(body), err
}

func TestAnAnswerSaysWhoGaveIt(t *testing.T) {
	t.Parallel()
	s := newMesh(t).add("reviews", Behaviour{})
	for _, h2c := range []bool{false, true} {
		response, body := ask(t, client(t, h2c), s)
		assert.Equal(t, http.StatusOK, response.StatusCode)
		assert.Equal(t, map[bool]int{false: 1, true: 2}[h2c], response.ProtoMajor)
		assert.Equal(t, "reviews/v1/reviews-pod", response.Header.Get("Basico-Served-By"))
		assert.Equal(t, "application/json", response.Header.Get("Content-Type"))
		assert.JSONEq(t, `{"app":"reviews","version":"v1","namespace":"shop","pod":"reviews-pod","container":"reviews"}`, body)
		assert.EqualValues(t, len(body), response.ContentLength)
	}
}

func TestWhoHasNoNameIsADash(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "-/-/-", Identity{}.String())
}

func TestEachListenerIsServed(t *testing.T) {
	t.Parallel()
	var listeners []net.Listener
	for range 2 {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		require.NoError(t, err)
		listeners = append(listeners, l)
	}
	s := Serve(Identity{App: "a"}, Behaviour{}, nil, listeners...)
	for _, l := range listeners {
		one := &Server{listeners: []net.Listener{l}}
		response, _ := ask(t, client(t, false), one)
		assert.Equal(t, "a/-/-", response.Header.Get("Basico-Served-By"))
	}
	require.NoError(t, s.Shutdown(t.Context()))
}

func TestCallsAreMadeDepthFirst(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	front := m.add("productpage", Behaviour{})
	for _, app := range []string{"reviews", "ratings", "details"} {
		m.add(app, Behaviour{})
	}
	c := client(t, false)
	for _, header := range [][]string{
		{"Basico-Call", "http://reviews:9080/a;http://ratings:9080/b, http://details:9080/c"},
		{"Basico-Call", "http://reviews:9080/a;http://ratings:9080/b", "basico-call", "http://details:9080/c"},
	} {
		response, _ := ask(t, c, front, header...)
		assert.Equal(t, http.StatusOK, response.StatusCode)
		assert.Equal(t, "productpage/v1/productpage-pod, reviews/v1/reviews-pod, ratings/v1/ratings-pod, details/v1/details-pod", response.Header.Get("Basico-Served-By"))
	}
	assert.EqualValues(t, 3, m.dials.Load(), "connections are kept")
}

func TestWhatWasReceivedIsToldIfAskedFor(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	front := m.add("productpage", Behaviour{})
	m.add("reviews", Behaviour{})
	_, body := ask(t, client(t, false), front, "Basico-Echo", "true", "Basico-Call", "http://reviews:9080/a?b=c",
		"X-Request-Id", "r1", "Traceparent", "t1", "x-b3-traceid", "b1", "End-User", "jason", "X-Other", "o1")
	var told struct {
		App, Method, Host, Path string
		Headers                 http.Header
		Calls                   []struct {
			URL, ServedBy string
			Status        int
			Body          struct {
				App, Method, Host, Path string
				Headers                 http.Header
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &told))
	assert.Equal(t, "productpage", told.App)
	assert.Equal(t, "GET", told.Method)
	assert.Equal(t, front.listeners[0].Addr().String(), told.Host)
	assert.Equal(t, "/reviews/0?full=1", told.Path)
	assert.Equal(t, "o1", told.Headers.Get("X-Other"))
	require.Len(t, told.Calls, 1)
	call := told.Calls[0]
	assert.Equal(t, "http://reviews:9080/a?b=c", call.URL)
	assert.Equal(t, "reviews/v1/reviews-pod", call.ServedBy)
	assert.Equal(t, http.StatusOK, call.Status)
	assert.Equal(t, "reviews:9080", call.Body.Host)
	assert.Equal(t, "/a?b=c", call.Body.Path)
	for key, want := range map[string]string{"X-Request-Id": "r1", "Traceparent": "t1", "X-B3-Traceid": "b1", "End-User": "jason", "X-Other": "", "Basico-Call": "", "Basico-Echo": "true"} {
		assert.Equal(t, want, call.Body.Headers.Get(key), key)
	}
}

func TestAFailedCallIsABadGateway(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	front := m.add("productpage", Behaviour{})
	m.add("reviews", Behaviour{})
	m.add("ratings", Behaviour{Fail: 1, Status: 418})
	c := client(t, false)

	response, body := ask(t, c, front, "Basico-Echo", "true", "Basico-Call", "http://nobody:9080/,http://reviews:9080/")
	assert.Equal(t, http.StatusBadGateway, response.StatusCode)
	assert.Equal(t, "http://nobody:9080/: no such host: nobody:9080", response.Header.Get("Basico-Error"))
	assert.Equal(t, "productpage/v1/productpage-pod", response.Header.Get("Basico-Served-By"), "what comes after it is not called")
	assert.Contains(t, body, `"error":"http://nobody:9080/: no such host: nobody:9080"`)

	response, _ = ask(t, c, front, "Basico-Call", "http://reviews:9080/a;http://ratings:9080/b")
	assert.Equal(t, http.StatusBadGateway, response.StatusCode)
	assert.Equal(t, "http://reviews:9080/a: 502: http://ratings:9080/b: 418", response.Header.Get("Basico-Error"))
	assert.Equal(t, "productpage/v1/productpage-pod, reviews/v1/reviews-pod, ratings/v1/ratings-pod", response.Header.Get("Basico-Served-By"))
}

func TestWhatAProxySaysOfAFailureIsTold(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	front := m.add("productpage", Behaviour{})
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	proxy := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "upstream connect error or disconnect/reset before headers.\nreset reason: overflow", http.StatusServiceUnavailable)
	})}
	go func() { _ = proxy.Serve(l) }()
	defer proxy.Close()
	m.servers["reviews:9080"] = &Server{listeners: []net.Listener{l}}
	response, _ := ask(t, client(t, false), front, "Basico-Call", "http://reviews:9080/")
	assert.Equal(t, "http://reviews:9080/: 503: upstream connect error or disconnect/reset before headers. reset reason: overflow", response.Header.Get("Basico-Error"))
}

func TestStatusAndDelayAreForWhomTheyAreMeant(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	front := m.add("productpage", Behaviour{})
	m.add("reviews", Behaviour{})
	c := client(t, false)
	for when, want := range map[string]int{
		"": 503, "app=productpage": 503, "version=v1": 503, "pod=productpage-pod": 503, "app=productpage, version=v1": 503,
		"app=reviews": 502, "pod=reviews-pod": 502, // its caller passes it on as its own failure
		"version=v2": 200, "app=productpage,version=v2": 200, "app=ratings": 200,
	} {
		headers := []string{"Basico-Status", "503", "Basico-Call", "http://reviews:9080/"}
		if when != "" {
			headers = append(headers, "Basico-When", when)
		}
		response, _ := ask(t, c, front, headers...)
		assert.Equal(t, want, response.StatusCode, when)
	}

	begin := time.Now()
	ask(t, c, front, "Basico-Delay", "1h", "Basico-When", "version=v2", "Basico-Call", "http://reviews:9080/")
	assert.Less(t, time.Since(begin), time.Minute, "it is meant for another")
	begin = time.Now()
	ask(t, c, front, "Basico-Delay", "50ms", "Basico-Call", "http://reviews:9080/")
	assert.GreaterOrEqual(t, time.Since(begin), 100*time.Millisecond, "it is meant for both")
}

func TestAHeaderThatCannotBeReadIsABadRequest(t *testing.T) {
	t.Parallel()
	s := newMesh(t).add("reviews", Behaviour{})
	response, _ := ask(t, client(t, false), s, "Basico-Call", "reviews:9080", "Basico-Delay", "soon", "Basico-Status", "100", "Basico-When", "name=a", "Basico-Echo", "yes")
	assert.Equal(t, http.StatusBadRequest, response.StatusCode)
	assert.Equal(t, `Basico-Call: found "reviews:9080", expected URLs such as http://reviews:9080/reviews/0`+
		` Basico-Delay: found "soon", expected a duration such as "100ms" or "2s"`+
		` Basico-Status: found "100", expected an HTTP status from 200 to 599`+
		` Basico-Echo: found "yes", expected true or false`+
		` Basico-When: found "name=a", expected app=NAME, version=NAME or pod=NAME`, response.Header.Get("Basico-Error"))
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "a b c ? d", oneLine("a\r\nb\tc \u00e9 d\n"))
}

func TestADelayEndsWhenTheClientGoes(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	front := m.add("productpage", Behaviour{})
	m.add("reviews", Behaviour{})
	for _, h2c := range []bool{false, true} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, _, err := try(ctx, client(t, h2c), front, "Basico-Delay", "1h", "Basico-When", "app=reviews", "Basico-Call", "http://reviews:9080/")
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	// Requests in flight would keep them.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, s := range m.servers {
		require.NoError(t, s.Shutdown(ctx))
	}
}

func TestLastingBehaviour(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	c := client(t, false)
	slow := m.add("slow", Behaviour{Delay: 50 * time.Millisecond})
	begin := time.Now()
	ask(t, c, slow)
	assert.GreaterOrEqual(t, time.Since(begin), 50*time.Millisecond)

	failing := m.add("failing", Behaviour{Fail: 1})
	response, _ := ask(t, c, failing)
	assert.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
	assert.Equal(t, "failing/v1/failing-pod", response.Header.Get("Basico-Served-By"))
	response, _ = ask(t, c, failing, "User-Agent", "kube-probe/1.37")
	assert.Equal(t, http.StatusOK, response.StatusCode, "the kubelet is spared")
	response, _ = ask(t, c, failing, "Basico-Status", "204")
	assert.Equal(t, http.StatusNoContent, response.StatusCode, "what a request asks for comes first")

	quarter := m.add("quarter", Behaviour{Fail: 0.25, Status: 500})
	failed := 0
	for range 1000 {
		if response, _ := ask(t, c, quarter); response.StatusCode == 500 {
			failed++
		}
	}
	assert.InDelta(t, 250, failed, 82, "a share of them, within six standard deviations")
}

func TestRequestsWithBodies(t *testing.T) {
	t.Parallel()
	s := newMesh(t).add("reviews", Behaviour{})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, urlOf(s), strings.NewReader(strings.Repeat("x", 1<<20)))
	require.NoError(t, err)
	request.Header.Set("Basico-Delay", "1ms")
	response, err := client(t, false).Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	assert.Equal(t, http.StatusOK, response.StatusCode)
}

func TestGRPC(t *testing.T) {
	t.Parallel()
	s := newMesh(t).add("reviews", Behaviour{})
	c := client(t, true)
	for path, want := range map[string][]byte{"/grpc.health.v1.Health/Check": serving, "/shop.Reviews/Get": empty} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.listeners[0].Addr().String()+path, bytes.NewReader(empty))
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/grpc")
		response, err := c.Do(request)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, want, body)
		assert.Equal(t, "application/grpc", response.Header.Get("Content-Type"))
		assert.Equal(t, "0", response.Trailer.Get("Grpc-Status"))
		assert.Equal(t, "reviews/v1/reviews-pod", response.Header.Get("Basico-Served-By"))
	}
}

func TestShutdownLosesNoRequest(t *testing.T) {
	t.Parallel()
	for _, h2c := range []bool{false, true} {
		m := newMesh(t)
		s := m.add("reviews", Behaviour{})
		s.quiet = time.Hour // it must end because its clients go
		// One request in flight on one connection, until the gate opens, and another connection kept.
		type result struct {
			response *http.Response
			err      error
		}
		inFlight := make(chan result, 1)
		go func() {
			response, _, err := try(t.Context(), client(t, h2c), s, "Basico-Call", "http://gate:9080/")
			inFlight <- result{response, err}
		}()
		<-m.atGate
		c := client(t, h2c)
		ask(t, c, s)
		done := make(chan error, 1)
		go func() { done <- s.Shutdown(t.Context()) }()
		require.Eventually(t, func() bool {
			c, err := net.Dial("tcp4", s.listeners[0].Addr().String())
			if err == nil {
				_ = c.Close()
			}
			return err != nil
		}, 10*time.Second, time.Millisecond, "no new connections")
		var reused bool
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
		response, _, err := try(ctx, c, s)
		require.NoError(t, err)
		assert.True(t, reused)
		assert.Equal(t, !h2c, response.Close, "Connection: close (to HTTP/2, GOAWAY says it)")
		close(m.gate)
		r := <-inFlight
		require.NoError(t, r.err)
		assert.Equal(t, "http://gate:9080/: nothing is behind the gate", r.response.Header.Get("Basico-Error"))
		assert.Equal(t, !h2c, r.response.Close, "also those that came before")
		require.NoError(t, <-done)
		assert.Zero(t, s.open.Load(), "every connection is counted down")
		_, _, err = try(t.Context(), c, s)
		require.Error(t, err)
	}
}

func TestShutdownWaitsForNobody(t *testing.T) {
	t.Parallel()
	s := newMesh(t).add("reviews", Behaviour{})
	s.quiet = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, s.Shutdown(ctx))
	require.NoError(t, s.Shutdown(ctx), "again is no mistake")
}

func TestShutdownClosesConnectionsThatNobodyUses(t *testing.T) {
	t.Parallel()
	for _, h2c := range []bool{false, true} {
		s := newMesh(t).add("reviews", Behaviour{})
		ask(t, client(t, h2c), s)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		require.NoError(t, s.Shutdown(ctx))
		cancel()
	}
}

func TestShutdownIsHardWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	s := newMesh(t).add("reviews", Behaviour{})
	sent := make(chan struct{})
	failed := make(chan error, 1)
	go func() {
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { close(sent) }})
		_, _, err := try(ctx, client(t, false), s, "Basico-Delay", "1h")
		failed <- err
	}()
	<-sent
	require.Eventually(t, func() bool { return s.open.Load() == 1 }, 10*time.Second, time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err := s.Shutdown(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.EqualError(t, err, "stand-in reviews/v1/reviews-pod: requests were in flight when its time was over: context deadline exceeded")
	require.Error(t, <-failed)
}

func TestAListenerThatFailsIsTold(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	s := Serve(Identity{}, Behaviour{}, nil, l)
	ask(t, client(t, false), s)
	require.NoError(t, l.Close())
	s.serving.Wait()
	require.ErrorContains(t, s.Shutdown(t.Context()), "serve on "+l.Addr().String())
}

func BenchmarkServe(b *testing.B) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(b, err)
	s := Serve(Identity{App: "reviews", Version: "v1", Namespace: "shop", Pod: "reviews-v1-abc", Container: "reviews"}, Behaviour{}, nil, l)
	b.Cleanup(func() { _ = s.Shutdown(context.Background()) })
	request := []byte("GET /reviews/0 HTTP/1.1\r\nHost: reviews:9080\r\nUser-Agent: bench\r\nX-Request-Id: 3b4a9c\r\n\r\n")
	b.ReportAllocs()
	before := cpuTime(b)
	b.RunParallel(func(pb *testing.PB) {
		conn, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			b.Error(err)
			return
		}
		defer conn.Close()
		// Sixteen requests at a time, so that the client costs little beside the server.
		const pipelined = 16
		many := bytes.Repeat(request, pipelined)
		var size int
		buf := make([]byte, 64<<10)
		for n := 0; pb.Next(); n++ {
			if n%pipelined != 0 {
				continue
			}
			if size == 0 {
				if _, err := conn.Write(request); err != nil {
					b.Error(err)
					return
				}
				size, err = conn.Read(buf)
				if err != nil {
					b.Error(err)
					return
				}
			}
			if _, err := conn.Write(many); err != nil {
				b.Error(err)
				return
			}
			if _, err := io.ReadFull(conn, buf[:pipelined*size]); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/(cpuTime(b)-before).Seconds(), "req/cpu-s")
}

// cpuTime is what this process has used: on a machine with other work, elapsed time says little.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
