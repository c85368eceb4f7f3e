package traffic

import (
	"context"
	"errors"
	"fmt"
	"io"
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

func TestAnEndlessLoadElsewhereEndsWithItsContext(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
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
