package traffic

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// serve starts a server and returns its URL.
func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// raw starts a server that treats each connection as it likes; conns counts them.
func raw(t *testing.T, handle func(net.Conn)) (url string, conns *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	conns = &atomic.Int64{}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Add(1)
			wg.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return "http://" + l.Addr().String(), conns
}

func reviews(version, pod string) string { return "productpage/v1/p-0, reviews/" + version + "/" + pod }

// tenth answers every tenth request as v2.
func tenth() (http.HandlerFunc, *atomic.Int64) {
	n := &atomic.Int64{}
	return func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%10 == 0 {
			w.Header().Set(ServedBy, reviews("v2", "b"))
		} else {
			w.Header().Set(ServedBy, reviews("v1", "a"))
		}
		fmt.Fprintln(w, "hello")
	}, n
}

func TestRunSendsExactlyAsManyAsAskedAndCountsVersions(t *testing.T) {
	for _, concurrency := range []int{1, 3, 16, 200} {
		t.Run(fmt.Sprint(concurrency), func(t *testing.T) {
			h, n := tenth()
			tally, err := Run(t.Context(), Load{URL: serve(t, h), App: "reviews", Requests: 1000, Concurrency: concurrency}, nil)
			require.NoError(t, err)
			assert.EqualValues(t, 1000, n.Load())
			assert.Equal(t, 1000, tally.Requests)
			assert.Zero(t, tally.Errors)
			assert.Zero(t, tally.Cut)
			assert.Equal(t, map[string]int{"v1": 900, "v2": 100}, tally.Versions)
			assert.Equal(t, map[string]int{"a": 900, "b": 100}, tally.Pods)
			assert.Equal(t, map[int]int{200: 1000}, tally.Statuses)
			assert.Empty(t, tally.Failures)
			assert.Positive(t, tally.Latency.Min)
			assert.LessOrEqual(t, tally.Latency.P50, tally.Latency.P99)
			assert.LessOrEqual(t, tally.Latency.Max, tally.Elapsed)
		})
	}
}

func TestRunSendsFewerRequestsThanConcurrency(t *testing.T) {
	h, n := tenth()
	tally, err := Run(t.Context(), Load{URL: serve(t, h), App: "reviews", Requests: 3}, nil)
	require.NoError(t, err)
	assert.EqualValues(t, 3, n.Load())
	assert.Equal(t, 3, tally.Requests)
}

func TestRunSendsWhatTheLoadSays(t *testing.T) {
	var got *http.Request
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { got = r })
	var dialled string
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialled = addr
		return (&net.Dialer{}).DialContext(ctx, network, strings.TrimPrefix(url, "http://"))
	}
	load := Load{URL: "http://reviews:9080/reviews/0?x=1", Host: "shop.example", Header: http.Header{"Basico-Delay": {"1ms"}, "X-Two": {"a", "b"}}, Requests: 1}
	tally, err := Run(t.Context(), load, dial)
	require.NoError(t, err)
	assert.Zero(t, tally.Errors)
	assert.Empty(t, tally.Versions)
	assert.Equal(t, "reviews:9080", dialled)
	assert.Equal(t, "GET", got.Method)
	assert.Equal(t, "shop.example", got.Host)
	assert.Equal(t, "/reviews/0?x=1", got.URL.String())
	assert.Equal(t, []string{"a", "b"}, got.Header["X-Two"])
	assert.Equal(t, "1ms", got.Header.Get("Basico-Delay"))
	assert.Equal(t, "basico", got.UserAgent())

	load.URL = "http://details"
	_, err = Run(t.Context(), load, dial)
	require.NoError(t, err)
	assert.Equal(t, "details:80", dialled)
}

func TestRunKeepsOneConnectionPerWorker(t *testing.T) {
	url, conns := raw(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			fmt.Fprintf(c, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
		}
	})
	tally, err := Run(t.Context(), Load{URL: url, Requests: 500, Concurrency: 4}, nil)
	require.NoError(t, err)
	assert.Equal(t, 500, tally.Requests)
	assert.Empty(t, tally.Failures)
	assert.EqualValues(t, 4, conns.Load())
}

func TestRunReallyHasAsManyInFlightAsAsked(t *testing.T) {
	const n = 1200
	var inFlight atomic.Int64
	all := make(chan struct{})
	url := serve(t, func(http.ResponseWriter, *http.Request) {
		if inFlight.Add(1) == n {
			close(all) // nobody is answered before all have arrived
		}
		<-all
	})
	tally, err := Run(t.Context(), Load{URL: url, Requests: n, Concurrency: n}, nil)
	require.NoError(t, err)
	assert.Empty(t, tally.Failures)
	assert.Equal(t, n, tally.Requests)
}

func TestSequenceIsInTheOrderSent(t *testing.T) {
	n := 0
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(ServedBy, fmt.Sprintf("reviews/v1/pod-%d", n%2))
		if n++; n == 4 {
			w.WriteHeader(503)
		}
	})
	tally, err := Run(t.Context(), Load{URL: url, App: "reviews", Requests: 6, Concurrency: 1, Sequence: true}, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"pod-0", "pod-1", "pod-0", "", "pod-0", "pod-1"}, tally.Sequence)
	assert.Equal(t, map[string]int{"v1": 1}, tally.VersionErrors)
}

func TestCancelStopsAtOnceAndSaysHowManyWereSent(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	var n atomic.Int64
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if n.Add(1) > 20 {
			cancel(errors.New("stopped by the test"))
			<-r.Context().Done() // never answered
		}
	})
	tally, err := Run(ctx, Load{URL: url, Requests: 1000, Concurrency: 5}, nil)
	require.EqualError(t, err, fmt.Sprintf("traffic: stopped after %d of 1000 requests to %s: stopped by the test", tally.Requests, url))
	assert.LessOrEqual(t, tally.Requests, 20)
	assert.Greater(t, tally.Requests, 20-5)
	assert.Zero(t, tally.Errors)
	assert.Positive(t, tally.Cut)
	assert.LessOrEqual(t, tally.Cut, 5)
	assert.Less(t, tally.Elapsed, 10*time.Second)
}

func TestCancelEndsAConnectionThatIsBeingMade(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	tally, err := Run(ctx, Load{URL: "http://reviews", Requests: 1}, dial)
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 1, tally.Cut)
	assert.Zero(t, tally.Requests)
}

func TestSteadyFlowRunsUntilTheContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h, n := tenth()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if h(w, r); n.Load() >= 300 {
			cancel()
		}
	})
	tally, err := Run(ctx, Load{URL: url, App: "reviews", Concurrency: 8}, nil)
	require.NoError(t, err)
	assert.Zero(t, tally.Errors, "%v", tally.Failures)
	assert.GreaterOrEqual(t, n.Load(), int64(tally.Requests), "what was counted has arrived")
	assert.LessOrEqual(t, n.Load(), int64(tally.Requests+tally.Cut), "what has arrived was counted")
	assert.LessOrEqual(t, tally.Cut, 8)
}

func TestACancelledContextSendsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h, n := tenth()
	tally, err := Run(ctx, Load{URL: serve(t, h), Requests: 5}, nil)
	require.ErrorIs(t, err, context.Canceled)
	assert.Zero(t, tally.Requests+tally.Cut)
	assert.Zero(t, n.Load())
}

// An error that names a pod is that pod's. One that names none may be anybody's.
func TestErrorsOfRealApplications(t *testing.T) {
	bodies := []string{"reviews-v1-a is well", "reviews-v2-a is not", "no healthy upstream"}
	statuses := []int{200, 500, 503}
	var n atomic.Int64
	h := func(w http.ResponseWriter, _ *http.Request) {
		i := (n.Add(1) - 1) % 3
		w.WriteHeader(statuses[i])
		_, _ = io.WriteString(w, bodies[i])
	}
	load := Load{URL: serve(t, h), App: "reviews", Pods: map[string]string{"reviews-v1-a": "v1", "reviews-v2-a": "v2"}, Requests: 9}
	tally, err := Run(t.Context(), load, nil)
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"v1": 3}, tally.Versions)
	assert.Equal(t, map[string]int{"v2": 3}, tally.VersionErrors)
	assert.Equal(t, 6, tally.Errors)
}

func TestFailuresAreGroupedByReason(t *testing.T) {
	envoy := func(status int, body string, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		reason  string
	}{
		"overflow":    {envoy(503, "upstream connect error or disconnect/reset before headers. reset reason: overflow", "X-Envoy-Overloaded", "true"), "503 overflow"},
		"overloaded":  {envoy(503, "", "X-Envoy-Overloaded", "true"), "503 overflow"},
		"rate limit":  {envoy(429, "", "X-Envoy-Ratelimited", "true"), "429 rate limited"},
		"no upstream": {envoy(503, "no healthy upstream"), "503 no healthy upstream"},
		"timeout":     {envoy(504, "upstream request timeout"), "504 upstream request timeout"},
		"stand-in":    {envoy(502, "{}", ErrorHeader, "reviews: connection refused"), "502 reviews: connection refused"},
		"caller":      {envoy(502, "{}", ErrorHeader, "http://cart:8080/: 503: upstream connect error or disconnect/reset before headers. retried and the latest reset reason: connection termination"), "502 http://cart:8080/: 503: connection termination"},
		"bare":        {envoy(500, "<html>", "Content-Type", "text/html"), "500"},
		"long":        {envoy(500, strings.Repeat("é", 100)+"\nsecond"), "500 " + strings.Repeat("é", 59) + "…"},
		"nameless":    {envoy(200, "ok"), "200 names no version of reviews"},
		"other app":   {envoy(200, "ok", ServedBy, "productpage/v1/p-0, myreviews/v1/x"), "200 names no version of reviews"},
		"malformed":   {envoy(200, "ok", ServedBy, "reviews"), "200 names no version of reviews"},
	} {
		t.Run(name, func(t *testing.T) {
			tally, err := Run(t.Context(), Load{URL: serve(t, c.handler), App: "reviews", Requests: 7, Concurrency: 2}, nil)
			require.NoError(t, err)
			assert.Equal(t, map[string]int{c.reason: 7}, tally.Failures)
			assert.Equal(t, 7, tally.Requests)
			assert.Equal(t, 7, tally.Errors)
			assert.Empty(t, tally.Versions)
			assert.Zero(t, tally.Latency)
			assert.Positive(t, tally.ErrorLatency.Max)
		})
	}
}

func TestRequestsWithoutAnAnswerAreGroupedByReason(t *testing.T) {
	answer := func(s string) func(net.Conn) {
		return func(c net.Conn) {
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				fmt.Fprint(c, s)
			}
		}
	}
	silent, silentConns := raw(t, func(c net.Conn) { c.Read(make([]byte, 1)); c.Read(make([]byte, 1<<16)); c.Read(make([]byte, 1)) })
	gone, _ := raw(t, answer(""))
	cut, _ := raw(t, answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"))
	garbage, _ := raw(t, answer("SSH-2.0-OpenSSH_9.2\r\n\r\n"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	refused := "http://" + l.Addr().String()
	require.NoError(t, l.Close())
	for name, c := range map[string]struct {
		load   Load
		dial   Dial
		reason string
	}{
		"refused":     {Load{URL: refused}, nil, "connection refused"},
		"closed":      {Load{URL: gone}, nil, "connection closed"},
		"cut":         {Load{URL: cut}, nil, "connection closed"},
		"timeout":     {Load{URL: silent, Timeout: 20 * time.Millisecond}, nil, "timeout"},
		"not HTTP":    {Load{URL: garbage}, nil, `malformed HTTP response "SSH-2.0-OpenSSH_9.2"`},
		"no host":     {Load{URL: "http://reviews"}, failing(&net.DNSError{Err: "no such host", Name: "reviews", IsNotFound: true}), "no such host"},
		"slow dial":   {Load{URL: "http://reviews"}, failing(context.DeadlineExceeded), "timeout"},
		"other words": {Load{URL: "http://reviews"}, failing(errors.New("pod has no address yet")), "pod has no address yet"},
	} {
		t.Run(name, func(t *testing.T) {
			c.load.Requests = 3
			tally, err := Run(t.Context(), c.load, c.dial)
			require.NoError(t, err)
			assert.Equal(t, map[string]int{c.reason: 3}, tally.Failures)
			assert.Equal(t, 3, tally.Requests)
			assert.Empty(t, tally.Statuses)
		})
	}
	assert.EqualValues(t, 3, silentConns.Load(), "no request is tried twice")
}

func failing(err error) Dial {
	return func(context.Context, string, string) (net.Conn, error) { return nil, err }
}

// A server may close idle connections: nothing is lost if the next request goes over a new one. The server closes
// before the client hears of its answer's end, so that the close is there when the next request starts.
func TestAnIdleConnectionThatWasClosedLosesNothing(t *testing.T) {
	url, conns := raw(t, func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello") // and no "Connection: close"
		}
	})
	// Three requests, 100 ms apart: long after the close arrived.
	tally, err := Run(t.Context(), Load{URL: url, Requests: 3, Concurrency: 1, Rate: 10}, nil)
	require.NoError(t, err)
	assert.Empty(t, tally.Failures)
	assert.EqualValues(t, 3, conns.Load())
}

func TestAConnectionThatTheServerWantsClosedIsNotUsedAgain(t *testing.T) {
	url, conns := raw(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		if _, err := http.ReadRequest(r); err == nil {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello")
			_, _ = http.ReadRequest(r) // until the client closes it
		}
	})
	tally, err := Run(t.Context(), Load{URL: url, Requests: 5, Concurrency: 1}, nil)
	require.NoError(t, err)
	assert.Empty(t, tally.Failures)
	assert.EqualValues(t, 5, conns.Load())
}

func TestReasonsAreBounded(t *testing.T) {
	tally := newTally()
	for i := range 1000 {
		tally.fail(fmt.Sprint("reason ", i), 1)
	}
	assert.Len(t, tally.Failures, maxReasons+1)
	assert.Equal(t, 1000-maxReasons, tally.Failures["other"])
}

func TestPacerKeepsItsScheduleAndDoesNotCatchUp(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	p := pacer{interval: 10 * time.Millisecond, next: start}
	assert.Equal(t, at(0), p.take(at(0)))
	assert.Equal(t, at(10), p.take(at(1)), "early")
	assert.Equal(t, at(20), p.take(at(23)), "a late worker does not shift the schedule")
	assert.Equal(t, at(30), p.take(at(24)))
	// A second of waiting for answers: 97 starts are gone, two are made up for.
	assert.Equal(t, at(1020), p.take(at(1040)))
	assert.Equal(t, at(1030), p.take(at(1040)))
	assert.Equal(t, at(1040), p.take(at(1040)))
	assert.Equal(t, at(1050), p.take(at(1040)))
}

func TestRateSpreadsRequestsOverTime(t *testing.T) {
	h, n := tenth()
	tally, err := Run(t.Context(), Load{URL: serve(t, h), App: "reviews", Requests: 101, Rate: 500}, nil)
	require.NoError(t, err)
	assert.EqualValues(t, 101, n.Load())
	assert.GreaterOrEqual(t, tally.Elapsed, 200*time.Millisecond, "100 intervals of 2 ms")
}

func TestAllMistakesOfALoadAreNamedAtOnce(t *testing.T) {
	_, err := Run(t.Context(), Load{URL: "https://reviews", Requests: -1, Concurrency: -2, Rate: math.NaN(), Timeout: -1}, nil)
	require.EqualError(t, err, `traffic: url: found "https://reviews", expected http://host[:port]/path
traffic: requests: found -1, expected 0 (until the context ends) or more
traffic: concurrency: found -2, expected 0 (the default) or more
traffic: rate: found NaN, expected 0 (unlimited) to 1e9 requests a second
traffic: timeout: found -1ns, expected 0 (the default) or more`)
	_, err = Run(t.Context(), Load{URL: "http://reviews", Sequence: true}, nil)
	require.EqualError(t, err, "traffic: sequence: found true without requests, expected a fixed number of requests beside it")
	_, err = Run(t.Context(), Load{URL: "http://reviews\x00", Requests: 1}, nil)
	require.ErrorContains(t, err, "traffic: url: found \"http://reviews\\x00\"")
}

func TestLoadAndTallySurviveJSON(t *testing.T) {
	h, _ := tenth()
	load := Load{URL: serve(t, h), Host: "h", Header: http.Header{"A": {"b"}}, App: "reviews", Requests: 20, Concurrency: 2, Rate: 1e6, Timeout: time.Second, Sequence: true}
	tally, err := Run(t.Context(), load, nil)
	require.NoError(t, err)
	for _, v := range []any{&load, &tally} {
		b, err := json.Marshal(v)
		require.NoError(t, err)
		var l Load
		var y Tally
		if _, ok := v.(*Load); ok {
			require.NoError(t, json.Unmarshal(b, &l))
			assert.Equal(t, load, l)
		} else {
			y.VersionErrors = map[string]int{} // left out when empty
			require.NoError(t, json.Unmarshal(b, &y))
			assert.Equal(t, tally, y)
		}
	}
}

func TestHistogram(t *testing.T) {
	var a, b histogram
	assert.Equal(t, Latency{}, a.summary())
	for i := 1; i <= 1000; i++ {
		h := &a
		if i%2 == 0 {
			h = &b
		}
		h.record(time.Duration(i) * time.Millisecond)
	}
	a.add(&b)
	a.add(&histogram{})
	s := a.summary()
	assert.Equal(t, time.Millisecond, s.Min)
	assert.Equal(t, time.Second, s.Max)
	for want, got := range map[time.Duration]time.Duration{500 * time.Millisecond: s.P50, 900 * time.Millisecond: s.P90, 990 * time.Millisecond: s.P99} {
		assert.GreaterOrEqual(t, got, want)
		assert.LessOrEqual(t, float64(got), 1.032*float64(want))
	}

	var one histogram
	one.record(3 * time.Hour) // beyond the last bucket's lower end
	assert.Equal(t, 3*time.Hour, one.summary().Max)
	assert.LessOrEqual(t, one.summary().P99, 3*time.Hour)
}

func TestEveryDurationIsInABucketThatReachesIt(t *testing.T) {
	for d := time.Duration(0); d < 70*time.Minute; d = d*33/32 + 777 {
		i := bucket(d)
		require.Greater(t, upper(i), d)
		if i > 0 {
			require.LessOrEqual(t, upper(i-1), d)
		}
	}
}

func TestLatencyIsToldByVersion(t *testing.T) {
	var served atomic.Int64
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		version, delay := "v1", time.Duration(0)
		if served.Add(1)%4 == 0 {
			version, delay = "v2", 30*time.Millisecond
		}
		time.Sleep(delay)
		w.Header().Set(ServedBy, reviews(version, "p"))
		if version == "v1" && served.Load()%2 == 0 {
			w.WriteHeader(http.StatusInternalServerError) // not of a good answer, and so not in its latency
		}
	})
	tally, err := Run(t.Context(), Load{URL: url, App: "reviews", Requests: 80, Concurrency: 1}, nil)
	require.NoError(t, err)
	require.Equal(t, map[string]int{"v1": 40, "v2": 20}, tally.Versions)
	assert.Equal(t, 40, tally.VersionLatency["v1"].Count())
	assert.Equal(t, 20, tally.VersionLatency["v2"].Count())
	assert.Less(t, tally.VersionLatency["v1"].Percentile(50), 30*time.Millisecond)
	assert.GreaterOrEqual(t, tally.VersionLatency["v2"][0].UpTo, 30*time.Millisecond)
}

func TestTalliesOfSeveralLoadsAdd(t *testing.T) {
	h, _ := tenth()
	load := Load{URL: serve(t, h), App: "reviews", Requests: 100, Concurrency: 2}
	first, err := Run(t.Context(), load, nil)
	require.NoError(t, err)
	second, err := Run(t.Context(), load, nil)
	require.NoError(t, err)
	sum := first.Plus(second)
	assert.Equal(t, 200, sum.Requests)
	assert.Equal(t, map[string]int{"v1": 180, "v2": 20}, sum.Versions)
	assert.Equal(t, 20, sum.VersionLatency["v2"].Count())
	assert.Equal(t, first.Elapsed+second.Elapsed, sum.Elapsed)
	assert.Equal(t, 100, first.Requests, "neither is changed")
	assert.Equal(t, 10, first.VersionLatency["v2"].Count())
}

func TestDistribution(t *testing.T) {
	var one, other histogram
	for i := range 100 {
		one.record(time.Duration(i+1) * time.Millisecond)
		other.record(time.Duration(i+101) * time.Millisecond)
	}
	d := one.distribution()
	assert.Equal(t, 100, d.Count())
	assert.Equal(t, one.percentile(50), d.Percentile(50))
	for _, b := range d {
		assert.Less(t, b.From, b.UpTo)
		assert.LessOrEqual(t, float64(b.UpTo), max(1.032*float64(b.From), float64(b.From+time.Microsecond)))
	}
	sum := d.Add(other.distribution())
	one.add(&other)
	assert.Equal(t, one.distribution(), sum, "adding before or after makes no difference")
	assert.Equal(t, 100, d.Count(), "what was added to is as it was")
	assert.Zero(t, Distribution(nil).Percentile(99))
	assert.Equal(t, d, Distribution(nil).Add(d))
}

func BenchmarkRun(b *testing.B) {
	h, _ := tenth()
	url := serve(b, h)
	for _, concurrency := range []int{1, 16} {
		b.Run(fmt.Sprint("concurrency ", concurrency), func(b *testing.B) {
			b.ReportAllocs()
			tally, err := Run(b.Context(), Load{URL: url, App: "reviews", Requests: b.N, Concurrency: concurrency}, nil)
			if err != nil || tally.Errors > 0 {
				b.Fatal(err, tally.Failures)
			}
			b.ReportMetric(float64(tally.Requests)/tally.Elapsed.Seconds(), "req/s")
		})
	}
}
