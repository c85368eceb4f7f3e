package traffic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"chartbasico/internal/http1"
)

// worker sends one request at a time over one connection, which it keeps, and counts in its own struct, so that
// workers share nothing but the ticket counter. A proxy that balances per connection or per thread sees as many
// clients as there are workers.
type worker struct {
	*run
	tally        Tally
	good, failed histogram
	byVersion    map[string]*histogram // of good answers
	unsettled    []unsettled
	texts        map[string]string // each text of them once

	conn   *http1.Conn
	unhook func() bool // forgets to close conn when the context ends
}

func newWorker(r *run) *worker {
	return &worker{run: r, tally: newTally(), byVersion: map[string]*histogram{}, texts: map[string]string{}}
}

func (w *worker) loop(ctx context.Context) {
	defer w.hangUp()
	for {
		n, ok := w.ticket(ctx)
		if !ok {
			return
		}
		start := time.Now()
		a, err := w.send(ctx, start.Add(w.load.Timeout))
		took := time.Since(start)
		if err != nil && ctx.Err() != nil {
			w.tally.Cut++
			return
		}
		w.count(n, a, err, took)
	}
}

// answer is what one response says.
type answer struct {
	status       int
	version, pod string // of Load.App; "" if it is not named
	shown        string // of Load.Texts
	reason       string // why it counts as an error; "" if it does not
	words        string // among which is the name of the pod, perhaps, if it is none of Load.Pods
}

// unsettled is an answer of which it is found out after the last one who gave it.
type unsettled struct {
	answer
	n    int64
	took time.Duration
}

// settle counts what is unsettled, once it can be asked which pods there were.
func settle(workers []*worker) {
	i := slices.IndexFunc(workers, func(w *worker) bool { return len(w.unsettled) > 0 })
	if i < 0 {
		return
	}
	pods := workers[i].load.Names()
	for _, w := range workers {
		for _, u := range w.unsettled {
			u.version, u.pod = named(u.words, pods)
			if u.version != "" && u.reason == w.unnamed(u.status) {
				u.reason = ""
			}
			u.words = ""
			w.count(u.n, u.answer, nil, u.took)
		}
	}
}

func (w *worker) count(n int64, a answer, err error, took time.Duration) {
	if err == nil && a.words != "" {
		w.unsettled = append(w.unsettled, unsettled{a, n, took})
		return
	}
	w.tally.Requests++
	if err != nil {
		a.reason = cause(err)
	}
	if a.status != 0 {
		w.tally.Statuses[a.status]++
	}
	if w.load.Each != nil {
		w.load.Each(Ended{Status: a.status, Error: a.reason != "", Took: took})
	}
	if a.reason != "" {
		w.tally.Errors++
		w.tally.fail(a.reason, 1)
		if a.version != "" {
			w.tally.VersionErrors[a.version]++
		}
		w.failed.record(took)
		return
	}
	w.good.record(took)
	if a.version != "" {
		w.tally.Versions[a.version]++
		if w.byVersion[a.version] == nil {
			w.byVersion[a.version] = &histogram{}
		}
		w.byVersion[a.version].record(took)
		w.tally.Pods[a.pod]++
	}
	if len(w.load.Texts) > 0 {
		w.tally.Shown[a.shown]++
	}
	if w.sequence != nil {
		w.sequence[n] = a.pod
	}
}

// send does one request. It never tries twice: a request that broke off is a lost one.
func (w *worker) send(ctx context.Context, deadline time.Time) (a answer, err error) {
	// A connection that the other side closed while it was idle has lost nothing yet.
	if w.conn != nil && (w.conn.SetDeadline(deadline) != nil || !w.conn.Usable()) {
		w.hangUp()
	}
	if w.conn == nil {
		if err := w.connect(ctx, deadline); err != nil {
			return a, err
		}
	}
	resp, err := w.conn.Get(w.request, w.most())
	if err != nil {
		w.hangUp()
		return a, err
	}
	return w.judge(resp), nil
}

// maxReason is how much of an answer is looked at for the reason of an error.
const maxReason = 512

// maxBody is how much of an answer is searched for the name of a pod, and for texts.
const maxBody = 1 << 20

func (w *worker) most() int64 {
	if len(w.load.Pods)+len(w.load.Texts) > 0 || w.load.Names != nil {
		return maxBody
	}
	return maxReason
}

func (w *worker) connect(ctx context.Context, deadline time.Time) error {
	dialCtx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	conn, err := w.dial(dialCtx, "tcp", w.addr)
	if err != nil {
		return err
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return errors.Join(err, conn.Close())
	}
	w.conn = http1.New(conn)
	w.unhook = context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends whatever send waits for
	return nil
}

func (w *worker) hangUp() {
	if w.conn == nil {
		return
	}
	w.unhook()
	_ = w.conn.Close() // nothing of interest is left in it
	w.conn = nil
}

func (w *worker) judge(resp http1.Response) answer {
	a := answer{status: resp.Status}
	body := string(resp.Body)
	if w.load.App != "" {
		a.version, a.pod = served(resp.Header.Values(ServedBy), w.load.App)
		if a.version == "" {
			a.version, a.pod = named(body, w.load.Pods)
		}
		if a.version == "" && w.load.Names != nil {
			a.words = w.once(dashed(body))
		}
	}
	if i := slices.IndexFunc(w.load.Texts, func(text string) bool { return strings.Contains(body, text) }); i >= 0 {
		a.shown = w.load.Texts[i]
	}
	switch {
	case a.status >= 400 && a.status < 500 && w.load.AnyStatus && resp.Header.Get(upstreamHeader) != "":
	case a.status >= 400:
		a.reason = strings.TrimSpace(strconv.Itoa(a.status) + " " + explain(resp.Header, body))
	case w.load.App != "" && a.version == "":
		a.reason = w.unnamed(a.status)
	}
	return a
}

func (w *worker) unnamed(status int) string {
	return fmt.Sprintf("%d names no version of %s", status, w.load.App)
}

// once keeps one copy of equal texts.
func (w *worker) once(text string) string {
	kept, ok := w.texts[text]
	if !ok {
		kept = text
		w.texts[text] = text
	}
	return kept
}

// upstreamHeader is Envoy's on an answer that it passes on, and not on its own.
const upstreamHeader = "X-Envoy-Upstream-Service-Time"

// served finds the first hop of app.
func served(values []string, app string) (version, pod string) {
	for _, v := range values {
		for hop := range strings.SplitSeq(v, ",") {
			name, rest, ok := strings.Cut(strings.TrimSpace(hop), "/")
			if ok && name == app {
				version, pod, _ = strings.Cut(rest, "/")
				return version, pod
			}
		}
	}
	return "", ""
}

// reset is what Envoy says before the reason of a reset, in its own answer and in what a caller passes on of it.
var reset = regexp.MustCompile(`upstream connect error or disconnect/reset before headers\. (?:retried and the latest )?reset reason: `)

// explain gives the reason of an error status in a few words: those of a stand-in or of Envoy if there are any.
func explain(h http.Header, body string) string {
	if e := h.Get(ErrorHeader); e != "" {
		return short(reset.ReplaceAllString(e, ""))
	}
	if reset.MatchString(body) {
		return short(reset.ReplaceAllString(body, ""))
	}
	if h.Get("X-Envoy-Overloaded") == "true" {
		return "overflow"
	}
	if h.Get("X-Envoy-Ratelimited") == "true" {
		return "rate limited"
	}
	// Envoy's other local replies are one plain line: "no healthy upstream", "upstream request timeout".
	if strings.HasPrefix(h.Get("Content-Type"), "text/plain") {
		return short(body)
	}
	return ""
}

// short is the first line, cut to what fits in a table.
func short(s string) string {
	const most = 60
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// cause gives the reason of a request without an answer in a few words.
func cause(err error) string {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return "connection closed"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "no such host"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	}
	return short(err.Error())
}
