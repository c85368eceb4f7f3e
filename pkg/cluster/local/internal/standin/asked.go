package standin

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The headers by which a request asks for something, and an answer says something. They are in canonical form, so
// that maps are read without canonicalizing.
const (
	servedByHeader = "Basico-Served-By" // answer: who answered, and who was called on the way, depth first
	errorHeader    = "Basico-Error"     // answer: what failed
	callHeader     = "Basico-Call"      // request: what to call before answering; ";" separates hops, "," calls
	delayHeader    = "Basico-Delay"     // request: how long to wait before answering
	statusHeader   = "Basico-Status"    // request: what to answer with
	whenHeader     = "Basico-When"      // request: who delay and status are meant for
	echoHeader     = "Basico-Echo"      // request: whether the body shall tell what was received
)

// asked is what a request asks for.
type asked struct {
	calls  []call
	delay  time.Duration
	status int // 0 if none is asked for
	echo   bool
}

// call is one call to make, and what the called one shall call.
type call struct {
	url  *url.URL
	then string
}

// readAsked reads a request's headers. The error has all mistakes.
func readAsked(id *Identity, h http.Header) (asked, error) {
	var a asked
	var mistakes []error
	mistake := func(header, found, expected string) {
		mistakes = append(mistakes, fmt.Errorf("%s: found %q, expected %s", header, found, expected))
	}
	for _, value := range h[callHeader] {
		for chain := range strings.SplitSeq(value, ",") {
			first, then, _ := strings.Cut(strings.TrimSpace(chain), ";")
			u, err := url.Parse(strings.TrimSpace(first))
			if err != nil || u.Scheme != "http" || u.Host == "" {
				mistake(callHeader, chain, "URLs such as http://reviews:9080/reviews/0")
				continue
			}
			a.calls = append(a.calls, call{url: u, then: strings.TrimSpace(then)})
		}
	}
	if value, ok := single(h, delayHeader); ok {
		var err error
		if a.delay, err = parseDelay(value); err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", delayHeader, err))
		}
	}
	if value, ok := single(h, statusHeader); ok {
		var err error
		if a.status, err = strconv.Atoi(value); err != nil || !validStatus(a.status) {
			mistake(statusHeader, value, "an HTTP status from 200 to 599")
		}
	}
	if value, ok := single(h, echoHeader); ok {
		var err error
		if a.echo, err = strconv.ParseBool(value); err != nil {
			mistake(echoHeader, value, "true or false")
		}
	}
	meant := true
	for _, value := range h[whenHeader] {
		for condition := range strings.SplitSeq(value, ",") {
			key, want, _ := strings.Cut(strings.TrimSpace(condition), "=")
			is, ok := map[string]string{"app": id.App, "version": id.Version, "pod": id.Pod}[key]
			if !ok || want == "" {
				mistake(whenHeader, condition, "app=NAME, version=NAME or pod=NAME")
				continue
			}
			meant = meant && is == want
		}
	}
	if !meant {
		a.delay, a.status = 0, 0
	}
	return a, errors.Join(mistakes...)
}

// single returns a header's value. Of several, the first one counts, as everywhere in net/http.
func single(h http.Header, key string) (string, bool) {
	values := h[key]
	if len(values) == 0 {
		return "", false
	}
	return strings.TrimSpace(values[0]), true
}

// forwarded are the headers that a program in the mesh hands on, beside Basico-*: those by which Istio ties the spans
// of a trace together, as its documentation lists them for applications, and the one by which its bookinfo sample
// tells users apart, which routes match on.
var forwarded = []string{
	"X-Request-Id",
	"Traceparent", "Tracestate", "Baggage",
	"X-B3-Traceid", "X-B3-Spanid", "X-B3-Parentspanid", "X-B3-Sampled", "X-B3-Flags", "B3",
	"X-Cloud-Trace-Context", "Grpc-Trace-Bin", "X-Ot-Span-Context", "Sw8",
	"X-Datadog-Trace-Id", "X-Datadog-Parent-Id", "X-Datadog-Sampling-Priority",
	"End-User",
}

// onward returns the headers of a call that a request with headers h leads to.
func onward(h http.Header, then string) http.Header {
	out := http.Header{}
	for _, key := range forwarded {
		if values, ok := h[key]; ok {
			out[key] = values
		}
	}
	for _, key := range []string{delayHeader, statusHeader, whenHeader, echoHeader} {
		if values, ok := h[key]; ok {
			out[key] = values
		}
	}
	if then != "" {
		out[callHeader] = []string{then}
	}
	return out
}
