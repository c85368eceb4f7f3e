package traffic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// here serves what Ask asks for in this process.
func here(in io.Reader, out io.Writer) error { return Serve(context.Background(), in, out) }

func TestALoadSentElsewhereIsCountedAsHere(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"podname": "reviews-v%d-a"}`, 1+len(r.URL.Path)%2)
	}))
	defer server.Close()
	load := Load{URL: server.URL + "/a", App: "reviews", Pods: map[string]string{"reviews-v1-a": "v1", "reviews-v2-a": "v2"}, Requests: 40, Sequence: true, Texts: []string{"v2-a", "v1-a"}}
	tally, err := Ask(t.Context(), load, here)
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"v1": 40}, tally.Versions)
	assert.Equal(t, map[string]int{"reviews-v1-a": 40}, tally.Pods)
	assert.Equal(t, map[string]int{"v1-a": 40}, tally.Shown)
	assert.Len(t, tally.Sequence, 40)
	assert.Positive(t, tally.Latency.Max)

	load.Texts = []string{"v3-a"}
	tally, err = Ask(t.Context(), load, here)
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"": 40}, tally.Shown)

	load.Pods = map[string]string{"another": "v1"}
	tally, err = Ask(t.Context(), load, here)
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"200 names no version of reviews": 40}, tally.Failures)
}

// underWay is what was written and has not arrived.
type underWay chan []byte

func (u underWay) Write(data []byte) (int, error) {
	u <- slices.Clone(data)
	return len(data), nil
}

// What a program has written may be lost where it ends: nothing that is to be heard may be on its way by then.
func TestNothingIsOnItsWayWhenTheSenderEnds(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if asked.Add(1) == 1000 {
			stop()
		}
	}))
	defer server.Close()
	late := func(in io.Reader, out io.Writer) error {
		written, ended, passed := make(underWay, 100), make(chan struct{}), make(chan struct{})
		go func() {
			defer close(passed)
			for {
				select {
				case data := <-written:
					select {
					case <-time.After(50 * time.Millisecond):
						_, _ = out.Write(data)
					case <-ended:
					}
				case <-ended:
					return
				}
			}
		}()
		err := Serve(context.Background(), in, written)
		close(ended)
		<-passed
		return err
	}
	tally, err := Ask(t.Context(), Load{URL: server.URL, Requests: 3}, late)
	require.NoError(t, err)
	assert.Equal(t, 3, tally.Requests)

	tally, err = Ask(ctx, Load{URL: server.URL}, late)
	require.NoError(t, err)
	assert.Positive(t, tally.Requests)
}

// Each request is told when it has ended, here and elsewhere, also while others have not.
func TestEachRequestIsTold(t *testing.T) {
	for name, send := range map[string]func(Load) (Tally, error){
		"here":      func(l Load) (Tally, error) { return Run(t.Context(), l, nil) },
		"elsewhere": func(l Load) (Tally, error) { return Ask(t.Context(), l, here) },
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			refused := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if asked.Add(1) > 3 {
					w.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				select {
				case <-refused:
				case <-r.Context().Done():
				}
			}))
			defer server.Close()
			var mu sync.Mutex
			var told []Ended
			tally, err := send(Load{URL: server.URL, Requests: 8, Concurrency: 8, Timeout: 10 * time.Second, Each: func(e Ended) {
				mu.Lock()
				defer mu.Unlock()
				if told = append(told, e); len(told) == 5 {
					close(refused)
				}
			}})
			require.NoError(t, err)
			assert.Equal(t, 8, tally.Requests)
			require.Len(t, told, 8)
			for i, e := range told {
				want := Ended{Status: http.StatusServiceUnavailable, Error: true, Took: e.Took}
				if i >= 5 {
					want = Ended{Status: http.StatusOK, Took: e.Took}
				}
				assert.Equal(t, want, e)
				assert.Positive(t, e.Took)
			}
		})
	}
}

// A load that is stopped counts what was in flight, here and elsewhere: what hangs is lost, after its timeout.
func TestAStoppedLoadFinishesWhatIsInFlight(t *testing.T) {
	for name, send := range map[string]func(context.Context, Load) (Tally, error){
		"here":      func(ctx context.Context, l Load) (Tally, error) { return Run(ctx, l, nil) },
		"elsewhere": func(ctx context.Context, l Load) (Tally, error) { return Ask(ctx, l, here) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stop, inFlight, answer := make(chan struct{}), make(chan struct{}, 4), make(chan struct{})
			var asked atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				n := asked.Add(1)
				inFlight <- struct{}{}
				if n%2 == 0 {
					<-r.Context().Done() // never answered
					return
				}
				<-answer
			}))
			defer server.Close()
			go func() {
				for range 4 {
					<-inFlight
				}
				close(stop)
				time.Sleep(500 * time.Millisecond) // the word of it arrives elsewhere; another would be started by now
				close(answer)
			}()
			tally, err := send(t.Context(), Load{URL: server.URL, Concurrency: 4, Rate: 2000, Timeout: 3 * time.Second, Stop: stop})
			require.NoError(t, err)
			assert.EqualValues(t, 4, asked.Load())
			assert.Equal(t, 4, tally.Requests)
			assert.Equal(t, map[string]int{"timeout": 2}, tally.Failures)
			assert.Zero(t, tally.Cut)

			ctx, cancel := context.WithCancel(t.Context())
			asked.Store(1) // it hangs
			go func() { <-inFlight; cancel() }()
			start := time.Now()
			tally, err = send(ctx, Load{URL: server.URL, Concurrency: 1, Stop: make(chan struct{})})
			require.NoError(t, err)
			assert.Equal(t, 1, tally.Cut, "the context's end waits for nothing")
			assert.Less(t, time.Since(start), 10*time.Second)
		})
	}
}

func TestAnEndlessLoadElsewhereEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if asked.Add(1) == 100 {
			cancel()
		}
	}))
	defer server.Close()
	tally, err := Ask(ctx, Load{URL: server.URL, Rate: 1000}, here)
	require.NoError(t, err)
	assert.Positive(t, tally.Requests)

	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	tally, err = Ask(ctx, Load{URL: server.URL, Rate: 100, Requests: 1000}, here)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, fmt.Sprintf("traffic: stopped after %d of 1000 requests to %s", tally.Requests, server.URL))
}

func TestALoadElsewhereThatCannotBeSent(t *testing.T) {
	_, err := Ask(t.Context(), Load{URL: "ftp://x"}, here)
	require.ErrorContains(t, err, "traffic: url")
	_, err = Ask(t.Context(), Load{URL: "http://x"}, func(io.Reader, io.Writer) error { return errors.New("no such pod") })
	require.EqualError(t, err, "traffic: http://x: no such pod")
	_, err = Ask(t.Context(), Load{URL: "http://x"}, func(io.Reader, io.Writer) error { return nil })
	require.EqualError(t, err, "traffic: http://x: its sender ended without an answer: EOF")
	require.ErrorContains(t, Serve(t.Context(), strings.NewReader("{"), io.Discard), "traffic: read the load")
}

// An application's own refusal is an answer; a proxy's is not, and neither is a broken application's.
func TestAnyStatus(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/proxy" {
			w.Header().Set("X-Envoy-Upstream-Service-Time", "1")
		}
		status := http.StatusNotFound
		if r.URL.Path == "/broken" {
			status = http.StatusServiceUnavailable
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	for path, want := range map[string]int{"/app": 0, "/proxy": 1, "/broken": 1} {
		tally, err := Run(t.Context(), Load{URL: server.URL + path, Requests: 1, AnyStatus: true}, nil)
		require.NoError(t, err)
		assert.Equal(t, want, tally.Errors, path)
	}
}

// Who answers and was not known before is found out after the last answer, here and elsewhere, and counts as if it had
// been known: also where the load has no end but its context's.
func TestPodsThatComeWhileItIsSent(t *testing.T) {
	for name, send := range map[string]func(ctx context.Context, load Load) (Tally, error){
		"here":      func(ctx context.Context, load Load) (Tally, error) { return Run(ctx, load, nil) },
		"elsewhere": func(ctx context.Context, load Load) (Tally, error) { return Ask(ctx, load, here) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var asked atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				switch n := asked.Add(1); {
				case n == 60: // of the load that has no end but its context's
					cancel()
				case n%4 == 0:
					w.WriteHeader(http.StatusServiceUnavailable)
					fmt.Fprint(w, `on "reviews-v2-came-0": broken`)
				case n%4 == 1:
					fmt.Fprint(w, `on nobody-of-ours`)
				case n%2 == 0:
					fmt.Fprintf(w, `from a-front at 2026-11-27: {"podname": "reviews-v2-came-0."} not "reviews-v1-a"`)
				default:
					fmt.Fprint(w, `on reviews-v1-a`)
				}
			}))
			defer server.Close()
			times := 0
			load := Load{URL: server.URL, App: "reviews", Pods: map[string]string{"another": "v0"}, Requests: 40, Sequence: true, Names: func() map[string]string {
				times++
				assert.EqualValues(t, 40, asked.Load(), "after the last answer")
				return map[string]string{"reviews-v1-a": "v1", "reviews-v2-came-0": "v2"}
			}}
			tally, err := send(t.Context(), load)
			require.NoError(t, err)
			assert.Equal(t, 1, times)
			assert.Equal(t, 40, tally.Requests)
			assert.Equal(t, map[string]int{"v1": 10, "v2": 10}, tally.Versions)
			assert.Equal(t, map[string]int{"v2": 10}, tally.VersionErrors)
			assert.Equal(t, map[string]int{"reviews-v1-a": 10, "reviews-v2-came-0": 10}, tally.Pods)
			assert.Equal(t, 20, tally.Errors)
			assert.Equal(t, 10, tally.Failures["200 names no version of reviews"])
			assert.Equal(t, map[int]int{200: 30, 503: 10}, tally.Statuses)
			assert.Equal(t, 10, tally.VersionLatency["v2"].Count())
			named := 0
			for _, pod := range tally.Sequence {
				if pod != "" {
					named++
				}
			}
			assert.Equal(t, 20, named)

			load.Requests, load.Sequence, load.Rate = 0, false, 500
			load.Names = func() map[string]string { return map[string]string{"reviews-v1-a": "v1", "reviews-v2-came-0": "v2"} }
			tally, err = send(ctx, load)
			require.NoError(t, err)
			assert.Positive(t, tally.Versions["v2"])
			assert.Positive(t, tally.Versions["v1"])
		})
	}
}

func TestWhoIsKnownIsNotAskedFor(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "on reviews-v1-a, no-other") }))
	defer server.Close()
	tally, err := Ask(t.Context(), Load{URL: server.URL, App: "reviews", Requests: 5, Pods: map[string]string{"reviews-v1-a": "v1"}, Names: func() map[string]string {
		t.Error("it is asked")
		return nil
	}}, here)
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"v1": 5}, tally.Versions)
}

func TestProgress(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	for name, send := range map[string]func(ctx context.Context, load Load) (Tally, error){
		"here":      func(ctx context.Context, load Load) (Tally, error) { return Run(ctx, load, nil) },
		"elsewhere": func(ctx context.Context, load Load) (Tally, error) { return Ask(ctx, load, here) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var told []int
			tally, err := send(ctx, Load{URL: server.URL, Rate: 2000, Every: 5 * time.Millisecond, Progress: func(sent int) {
				if told = append(told, sent); len(told) == 5 {
					cancel()
				}
			}})
			require.NoError(t, err)
			require.GreaterOrEqual(t, len(told), 5)
			assert.IsNonDecreasing(t, told)
			assert.LessOrEqual(t, told[4], tally.Requests+tally.Cut)
			assert.Positive(t, told[4])
		})
	}
	load, err := newRun(Load{URL: server.URL}, nil)
	require.NoError(t, err)
	assert.Equal(t, 10*time.Second, load.load.Every)
}
