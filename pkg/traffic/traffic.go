// Package traffic sends a stated load of HTTP requests and counts which version of an application answered each one.
//
// Libraries such as vegeta and fortio do not count answers by version, repeat a request on a new connection when
// the old one breaks (which would hide exactly the lost requests that are looked for here), and know nothing of a
// dialer that starts inside a pod; the hot loop that replaces them is one file, worker.go.
//
// It knows nothing of Kubernetes: where the connections start is up to the Dial function.
package traffic

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Load says what is sent. Its zero values mean the defaults named at each field. It can be encoded as JSON, where
// durations are nanoseconds.
type Load struct {
	// URL is what is requested with GET, for example http://reviews:9080/reviews/0. Only http is known. Required.
	URL string `json:"url"`
	// Host is the Host header. Default: the URL's.
	Host string `json:"host,omitempty"`
	// Header is sent with every request.
	Header http.Header `json:"header,omitempty"`
	// App is the application whose answer counts: the first hop of that name in ServedBy, so an application that
	// is visited twice on the way to an answer counts once, by its first visit. An answer that names no version of
	// it is an error. Empty: every answer below status 400 is good and no versions are counted.
	App string `json:"app,omitempty"`
	// Pods are the pods of App by name, with the version of each. An answer without ServedBy, as real applications
	// give, is that of the one whose name its body has first: many say in it where they run, some in errors as well.
	Pods map[string]string `json:"pods,omitempty"`
	// Names is asked once, after the last answer, if answers named none of Pods: it returns the pods of App that were there
	// while the load was sent, those that came or went meanwhile too. A pod that comes has a dash in its name, as all that
	// controllers make. Default: such answers are errors.
	Names func() map[string]string `json:"-"`
	// Texts are looked for in good answers: what people see of an application. Tally.Shown counts them.
	Texts []string `json:"texts,omitempty"`
	// AnyStatus says that an application's answer of any status below 500 is good, but not a proxy's own.
	AnyStatus bool `json:"anyStatus,omitempty"`
	// Requests is how many are sent, exactly. 0: until Stop is closed or the context ends.
	Requests int `json:"requests,omitempty"`
	// Stop ends the load when it is closed: no request is started any more, and those in flight are finished, each within
	// Timeout. The context's end cuts them. Default: nothing stops it.
	Stop <-chan struct{} `json:"-"`
	// Concurrency is how many requests are in flight at once, each on a connection of its own. Default 16, and never
	// more than Requests.
	Concurrency int `json:"concurrency,omitempty"`
	// Rate is how many requests a second are started, all workers together. 0: as fast as they are answered.
	Rate float64 `json:"rate,omitempty"`
	// Timeout bounds one request, connecting included. Default DefaultTimeout, 30 s.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Sequence asks for Tally.Sequence. It needs Requests, since its memory grows with them.
	Sequence bool `json:"sequence,omitempty"`
	// Progress is told from time to time how many requests were sent so far. Default: nobody is told.
	Progress func(sent int) `json:"-"`
	// Every is how often Progress is told. Default 10 s.
	Every time.Duration `json:"every,omitempty"`
	// Each, if set, is called when a request has ended, maybe from several goroutines, and before Run or Ask returns.
	Each func(Ended) `json:"-"`
}

// Ended is what came of one request.
type Ended struct {
	Status int           `json:"status,omitempty"` // 0 if there was no answer
	Error  bool          `json:"error,omitempty"`  // it is one of Tally.Errors
	Took   time.Duration `json:"took"`
}

// ServedBy is the response header that names the pods an answer passed through, outermost first:
// "productpage/v1/pod-a, reviews/v2/pod-b", each hop app/version/pod.
const ServedBy = "Basico-Served-By"

// ErrorHeader is the response header in which a stand-in says why a call that it made failed.
const ErrorHeader = "Basico-Error"

// DefaultTimeout is that of a Load without one.
const DefaultTimeout = 30 * time.Second

const (
	defaultConcurrency = 16
	defaultEvery       = 10 * time.Second
)

// Dial opens a connection as net.Dialer.DialContext does: addr is the host and port of the URL as written there.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

// Tally is what came of a load. Each request is counted once: in Requests, and there as an answer or an error; or in
// Cut. It can be encoded as JSON, where durations are nanoseconds.
type Tally struct {
	// Requests is how many were answered or failed.
	Requests int `json:"requests"`
	// Errors is how many of them failed: no answer, a status of 400 or more, or an answer that names no version of
	// Load.App.
	Errors int `json:"errors"`
	// Cut is how many were in flight when the context ended. Nobody knows what would have come of them, so they are
	// in no other count.
	Cut int `json:"cut,omitempty"`
	// Versions counts good answers by version of Load.App.
	Versions map[string]int `json:"versions"`
	// VersionErrors counts the errors that do name a version of Load.App, by version.
	VersionErrors map[string]int `json:"versionErrors,omitempty"`
	// Pods counts good answers by pod of Load.App.
	Pods map[string]int `json:"pods"`
	// Shown counts good answers by which of Load.Texts they have, the first in that order; "" is for none of them.
	Shown map[string]int `json:"shown"`
	// Failures counts errors by a short reason: "503 overflow", "connection refused", "timeout".
	Failures map[string]int `json:"failures"`
	// Statuses counts answers by HTTP status, errors included.
	Statuses map[int]int `json:"statuses"`
	// Latency is of good answers, to the last byte; ErrorLatency of errors.
	Latency      Latency `json:"latency"`
	ErrorLatency Latency `json:"errorLatency"`
	// VersionLatency is how long the good answers of each version of Load.App took.
	VersionLatency map[string]Distribution `json:"versionLatency,omitempty"`
	// Elapsed is from the first request to the last answer.
	Elapsed time.Duration `json:"elapsed"`
	// Sequence has the pod of each request in the order sent, if Load.Sequence asked for it; "" for an error.
	Sequence []string `json:"sequence,omitempty"`
}

// Run sends the load over connections made by dial (nil: as this process) and waits until all of it is answered or
// ctx ends. Each request is tried once, never again.
//
// Whatever goes wrong with a request is counted, not returned. The error says that the load could not be sent: it is
// not valid, or ctx ended before a fixed number of requests was complete (then the Tally has what was measured).
// Stop and the end of ctx are the normal ends of a load without a number.
func Run(ctx context.Context, load Load, dial Dial) (Tally, error) {
	r, err := newRun(load, dial)
	if err != nil {
		return Tally{}, err
	}
	workers := make([]*worker, r.load.Concurrency)
	for i := range workers {
		workers[i] = newWorker(r)
	}
	r.start = time.Now()
	r.pace.next = r.start
	var wg sync.WaitGroup
	for _, w := range workers {
		wg.Go(func() { w.loop(ctx) })
	}
	told := r.tell()
	wg.Wait()
	told()
	elapsed := time.Since(r.start)
	settle(workers)

	total := newTally()
	var good, failed histogram
	for _, w := range workers {
		total.add(w.tally)
		for version, h := range w.byVersion {
			total.VersionLatency[version] = total.VersionLatency[version].Add(h.distribution())
		}
		good.add(&w.good)
		failed.add(&w.failed)
	}
	total.Latency, total.ErrorLatency = good.summary(), failed.summary()
	total.Elapsed = elapsed
	if r.sequence != nil {
		total.Sequence = r.sequence[:min(int(r.tickets.Load()), len(r.sequence))]
	}
	if err := ctx.Err(); err != nil && total.Requests < load.Requests {
		return total, stopped(ctx, load, total)
	}
	return total, nil
}

// run is what the workers of one Run share.
type run struct {
	load     Load
	dial     Dial
	addr     string
	request  []byte // the same bytes for every request
	start    time.Time
	tickets  atomic.Int64
	pace     pacer
	sequence []string
}

func newRun(load Load, dial Dial) (*run, error) {
	u, err := load.check()
	if err != nil {
		return nil, err
	}
	if load.Concurrency == 0 {
		load.Concurrency = defaultConcurrency
	}
	if load.Requests > 0 {
		load.Concurrency = min(load.Concurrency, load.Requests)
	}
	if load.Timeout == 0 {
		load.Timeout = DefaultTimeout
	}
	if load.Every == 0 {
		load.Every = defaultEvery
	}
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	r := &run{load: load, dial: dial, addr: u.Host}
	if u.Port() == "" {
		r.addr = net.JoinHostPort(u.Hostname(), "80")
	}
	if r.request, err = encode(load, u); err != nil {
		return nil, err
	}
	if load.Rate > 0 {
		r.pace.interval = time.Duration(float64(time.Second) / load.Rate)
	}
	if load.Sequence {
		r.sequence = make([]string, load.Requests)
	}
	return r, nil
}

// check returns the parsed URL, or everything that is wrong with the load.
func (l Load) check() (*url.URL, error) {
	var errs []error
	bad := func(field string, found any, expected string) {
		errs = append(errs, fmt.Errorf("traffic: %s: found %v, expected %s", field, found, expected))
	}
	u, err := url.Parse(l.URL)
	switch {
	case err != nil:
		bad("url", fmt.Sprintf("%q (%v)", l.URL, err), "http://host[:port]/path")
	case u.Scheme != "http" || u.Hostname() == "":
		bad("url", fmt.Sprintf("%q", l.URL), "http://host[:port]/path")
	}
	if l.Requests < 0 {
		bad("requests", l.Requests, "0 (until the context ends) or more")
	}
	if l.Concurrency < 0 {
		bad("concurrency", l.Concurrency, "0 (the default) or more")
	}
	if !(l.Rate >= 0 && l.Rate <= 1e9) {
		bad("rate", l.Rate, "0 (unlimited) to 1e9 requests a second")
	}
	if l.Timeout < 0 {
		bad("timeout", l.Timeout, "0 (the default) or more")
	}
	if l.Every < 0 {
		bad("every", l.Every, "0 (the default) or more")
	}
	if l.Sequence && l.Requests == 0 {
		bad("sequence", "true without requests", "a fixed number of requests beside it")
	}
	return u, errors.Join(errs...)
}

func encode(load Load, u *url.URL) ([]byte, error) {
	req := &http.Request{Method: http.MethodGet, URL: u, Host: load.Host, Header: load.Header.Clone()}
	if req.Header == nil {
		req.Header = http.Header{}
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "basico")
	}
	var b strings.Builder
	if err := req.Write(&b); err != nil {
		return nil, fmt.Errorf("traffic: request to %s: %w", load.URL, err)
	}
	return []byte(b.String()), nil
}

// tell tells of the progress until it is ended.
func (r *run) tell() (end func()) {
	if r.load.Progress == nil {
		return func() {}
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(r.load.Every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				r.load.Progress(int(r.tickets.Load()))
			case <-stop:
				return
			}
		}
	})
	return func() { close(stop); wg.Wait() }
}

// ticket takes the number of the next request and waits until it is due. It is false when there is none left.
func (r *run) ticket(ctx context.Context) (int64, bool) {
	if ctx.Err() != nil || r.stopped() {
		return 0, false
	}
	if r.pace.interval > 0 {
		if n := int64(r.load.Requests); n > 0 && r.tickets.Load() >= n {
			return 0, false
		}
		if !r.pace.wait(ctx, r.load.Stop) {
			return 0, false
		}
	}
	for {
		n := r.tickets.Load()
		if r.load.Requests > 0 && n >= int64(r.load.Requests) {
			return 0, false
		}
		if r.tickets.CompareAndSwap(n, n+1) {
			return n, true
		}
	}
}

// stopped says whether no request may be started any more.
func (r *run) stopped() bool {
	select {
	case <-r.load.Stop:
		return true
	default:
		return false
	}
}

// pacer hands out start times at a fixed distance from each other, not from now, so that late timers do not add up.
type pacer struct {
	interval time.Duration
	mu       sync.Mutex
	next     time.Time
}

// slack is how far behind its schedule a pacer may catch up. What is lost beyond it, because every worker was waiting
// for an answer, is not sent later in a burst.
const slack = 20 * time.Millisecond

// take returns the next start time.
func (p *pacer) take(now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if oldest := now.Add(-slack); p.next.Before(oldest) {
		p.next = oldest
	}
	due := p.next
	p.next = due.Add(p.interval)
	return due
}

// wait takes a start time and waits for it. It is false when ctx ended first, or stop was closed.
func (p *pacer) wait(ctx context.Context, stop <-chan struct{}) bool {
	d := time.Until(p.take(time.Now()))
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-stop:
		return false
	case <-ctx.Done():
		return false
	}
}

func newTally() Tally {
	return Tally{
		Versions: map[string]int{}, VersionErrors: map[string]int{}, Pods: map[string]int{}, Shown: map[string]int{},
		Failures: map[string]int{}, Statuses: map[int]int{}, VersionLatency: map[string]Distribution{},
	}
}

// Plus returns what came of both loads, sent one after the other. Latency and ErrorLatency are left out, since
// percentiles cannot be added; VersionLatency can.
func (t Tally) Plus(o Tally) Tally {
	sum := newTally()
	sum.add(t)
	sum.add(o)
	sum.Elapsed = t.Elapsed + o.Elapsed
	sum.Sequence = slices.Concat(t.Sequence, o.Sequence)
	return sum
}

func (t *Tally) add(o Tally) {
	t.Requests += o.Requests
	t.Errors += o.Errors
	t.Cut += o.Cut
	sum(t.Versions, o.Versions)
	sum(t.VersionErrors, o.VersionErrors)
	sum(t.Pods, o.Pods)
	sum(t.Shown, o.Shown)
	for reason, n := range o.Failures {
		t.fail(reason, n)
	}
	sum(t.Statuses, o.Statuses)
	for version, d := range o.VersionLatency {
		t.VersionLatency[version] = t.VersionLatency[version].Add(d)
	}
}

func sum[K comparable](to, from map[K]int) {
	for k, n := range from {
		to[k] += n
	}
}

// maxReasons bounds Failures, since some reasons carry a server's own words.
const maxReasons = 32

func (t *Tally) fail(reason string, n int) {
	if _, known := t.Failures[reason]; !known && len(t.Failures) >= maxReasons {
		reason = "other"
	}
	t.Failures[reason] += n
}
