package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	judge "chartbasico/pkg/assert"
)

var update = flag.Bool("update", false, "write the golden files anew")

const errorRate = 1e-6

func split(stage, from string, want, got map[string]int, errors int, failures map[string]int) Split {
	s := Split{
		Environment: "bookinfo-prod", App: "reviews", Stage: stage, From: from, Requests: errors, Errors: errors,
		Want: want, Got: got, Failures: failures, Elapsed: Seconds(520 * time.Millisecond),
	}
	for _, n := range got {
		s.Requests += n
	}
	s.Judge(judge.Split(want, got, errors, errorRate))
	return s
}

type m = map[string]int

// good is a run in which everything held.
func good() Report {
	prod := "bookinfo-prod"
	r := Report{
		Environments: []string{prod},
		Command:      "basico verify environments/bookinfo-prod.yaml",
		Cluster:      Cluster{Kind: "local", Name: "verify-1", Kubernetes: "v1.37.2", Istio: "1.31.0", Envoy: "1.40.0"},
		Started:      time.Date(2026, 11, 24, 16, 0, 0, 0, time.UTC),
		Elapsed:      Seconds(21400 * time.Millisecond),
		ErrorRate:    errorRate,
		Splits: []Split{
			split("v1", "ingress gateway", m{"v1": 100, "v2": 0}, m{"v1": 10000}, 0, nil),
			split("v1", "productpage/v1", m{"v1": 100, "v2": 0}, m{"v1": 10000}, 0, nil),
			split("canary", "ingress gateway", m{"v1": 90, "v2": 10}, m{"v1": 8951, "v2": 1049}, 0, nil),
			split("canary", "productpage/v1", m{"v1": 90, "v2": 10}, m{"v1": 8992, "v2": 1008}, 0, nil),
			split("half", "ingress gateway", m{"v1": 50, "v2": 50}, m{"v1": 5036, "v2": 4964}, 0, nil),
			split("half", "productpage/v1", m{"v1": 50, "v2": 50}, m{"v1": 5053, "v2": 4947}, 0, nil),
			split("v2", "ingress gateway", m{"v1": 0, "v2": 100}, m{"v2": 10000}, 0, nil),
			split("v2", "productpage/v1", m{"v1": 0, "v2": 100}, m{"v2": 10000}, 0, nil),
		},
		Checks: []Check{
			NewCheck(prod, "no request lost", "reviews, while stages change", judge.NoneLost(4821, 0, nil)),
			NewCheck(prod, "round robin", "reviews v1", judge.Alternates([]string{"reviews-v1-a", "reviews-v1-b", "reviews-v1-a", "reviews-v1-b"}, []string{"reviews-v1-a", "reviews-v1-b"})),
			NewCheck(prod, "least request", "reviews v2", judge.PrefersIdle("reviews-v2-b", m{"reviews-v2-a": 243, "reviews-v2-b": 757}, errorRate)),
			NewCheck(prod, "queue of 1000", "reviews v1", judge.Queue(1001, time.Second, judge.Queued{Sent: 1200, Served: 1001, Refused: 199, SlowestRefusal: 8 * time.Millisecond})),
			NewCheck(prod, "limit of 10 s", "reviews", judge.Timeout(10*time.Second, 100*time.Millisecond, 500*time.Millisecond, 504, 10012*time.Millisecond)),
			NewCheck(prod, "egress refused", "not-declared.example", judge.Refused("not-declared.example", 20, 20, m{"502": 20})),
			NewCheck(prod, "proxies in sync", "bookinfo-prod", judge.Synced([]judge.Proxy{{Name: "bookinfo/a", Synced: true}, {Name: "bookinfo/b", Synced: true}})),
		},
		NotRun:  []NotRun{{prod, "mutual TLS", "a local cluster has no certificates for its proxies; kind shows it", true}},
		Timings: []Timing{{"control plane", Seconds(2900 * time.Millisecond)}, {"istiod", Seconds(800 * time.Millisecond)}, {"releases", Seconds(4100 * time.Millisecond)}, {"splits", Seconds(9200 * time.Millisecond)}},
	}
	return r
}

// bad is a run in which each kind of thing fell short, with words that would break careless output.
func bad() Report {
	r := good()
	r.Environments = append(r.Environments, "bookinfo-dev")
	r.Splits[3] = split("canary", "productpage/v1", m{"v1": 90, "v2": 10}, m{"v1": 8101, "v2": 1889}, 10, m{"503 overflow": 7, "timeout": 3})
	r.Splits = append(r.Splits[:4], split("half", "ingress gateway <north & south>", m{"v1": 50, "v2": 30, "v3": 20}, m{"v1": 5410, "v2": 2690, "v3": 1900}, 0, nil),
		split("v2", "ingress gateway", m{"v2": 100}, nil, 10000, m{"connection refused": 10000}))
	r.Checks[1] = NewCheck("bookinfo-prod", "round robin", "reviews v1", judge.Alternates([]string{"reviews-v1-a", "reviews-v1-a", "reviews-v1-b", "reviews-v1-b"}, []string{"reviews-v1-a", "reviews-v1-b"}))
	r.NotRun = append(r.NotRun, NotRun{"bookinfo-dev", "every split", "the proxy of Pod/bookinfo/reviews-v2-0 died: <script>alert(1)</script>", false})
	r.Problems = []Problem{{
		Environment: "bookinfo-dev", Release: "reviews-v2", File: "values/bookinfo/reviews-v2.yaml", Line: 12, Path: "workload.containers.reviews.image",
		Rule: "schema", Found: `key "tagg"`, Expected: "repository, tag, digest", Fix: `did you mean "tag"?`,
	}, {Environment: "bookinfo-dev", Object: "Pod/bookinfo/reviews-v2-0", Found: `envoy ended: exit status 1: "bind: address already in use" & <gone>`}}
	return r
}

func reports() map[string]Report {
	return map[string]Report{"good": good(), "bad": bad(), "empty": {}, "walk": walked()}
}

// walked is a promotion that was rolled back, and one that arrived.
func walked() Report {
	r := good()
	r.Command = "basico promote environments/bookinfo-prod.yaml reviews"
	r.Splits = r.Splits[:4]
	seconds := func(s float64) Seconds { return Seconds(s * float64(time.Second)) }
	v1, canary, v2 := m{"v1": 100, "v2": 0}, m{"v1": 90, "v2": 10}, m{"v1": 0, "v2": 100}
	why := "v2 fails more often than v1: so many of the errors fall on it by chance with probability 3.3e-51, less than 1e-06 (from ingress gateway)"
	r.Walks = []Walk{{
		Environment: "bookinfo-prod", App: "reviews", From: "v1", To: "v2", Reached: "v1", Traffic: "of its own", RolledBack: true, Why: why,
		Elapsed: seconds(40), Steps: []Step{
			{Kind: "measured", Stage: "v1", Weights: v1, At: seconds(1), Elapsed: seconds(18), Pass: true},
			{Kind: "moved", Stage: "canary", Weights: canary, At: seconds(19), Elapsed: seconds(0.4), Pass: true},
			{Kind: "measured", Stage: "canary", Weights: canary, At: seconds(19.4), Elapsed: seconds(18), Why: why},
			{Kind: "rolled back", Stage: "v1", Weights: v1, At: seconds(37.4), Elapsed: seconds(0.6), Pass: true},
		},
	}, {
		Environment: "bookinfo-prod", App: "<b>ratings</b>", From: "v1", To: "v2", Reached: "v2", Traffic: "of its own",
		Elapsed: seconds(20), Steps: []Step{
			{Kind: "measured", Stage: "v1", Weights: v1, At: 0, Elapsed: seconds(9), Pass: true},
			{Kind: "moved", Stage: "v2", Weights: v2, At: seconds(9), Elapsed: seconds(1), Pass: true},
			{Kind: "measured", Stage: "v2", Weights: v2, At: seconds(10), Elapsed: seconds(10), Pass: true},
		},
	}}
	return r
}

// What the drawing of a walk says is where it was for how long.
func TestWalkIsDrawnToScale(t *testing.T) {
	p := walked().Walks[0].page()
	require.Len(t, p.Segments, 3)
	var stages []string
	at := 0.0
	for _, s := range p.Segments {
		stages = append(stages, s.Stage)
		assert.InDelta(t, at, s.X, 1e-9, "one follows the other")
		at += s.Width
		height := 0.0
		for _, part := range s.Parts {
			assert.InDelta(t, height, part.Y, 1e-9)
			height += part.Height
		}
		assert.InDelta(t, 100, height, 1e-9, "all requests go somewhere")
	}
	assert.Equal(t, []string{"v1", "canary", "v1"}, stages)
	assert.InDelta(t, 100, at, 1e-9)
	assert.InDelta(t, 100*19.4/40, p.Segments[0].Width, 1e-9, "until every proxy had the next")
	require.Len(t, p.Spans, 2)
	assert.False(t, p.Spans[1].Pass)
}

// A walk decides with the rest whether all held.
func TestWalkThatDidNotArriveDoesNotHold(t *testing.T) {
	r := good()
	r.Walks = walked().Walks[1:]
	assert.True(t, r.Held())
	for _, change := range []func(*Walk){
		func(w *Walk) { w.Reached = "canary" }, func(w *Walk) { w.Why = "lost" }, func(w *Walk) { w.RolledBack = true },
	} {
		r.Walks = walked().Walks[1:]
		change(&r.Walks[0])
		assert.False(t, r.Held())
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "renew with: go test ./pkg/report -update")
	assert.Equal(t, string(want), string(got), "%s is not what is written now; renew with: go test ./pkg/report -update", file)
}

func render(t *testing.T, f func(io.Writer) error) []byte {
	t.Helper()
	var a, b bytes.Buffer
	require.NoError(t, f(&a))
	require.NoError(t, f(&b))
	require.Equal(t, a.String(), b.String(), "the same report is written in two ways")
	return a.Bytes()
}

func TestGoldens(t *testing.T) {
	for name, r := range reports() {
		t.Run(name, func(t *testing.T) {
			golden(t, name+".txt", render(t, func(w io.Writer) error { return r.Text(w, TextOptions{}) }))
			golden(t, name+".72.txt", render(t, func(w io.Writer) error { return r.Text(w, TextOptions{Width: 72}) }))
			golden(t, name+".json", render(t, r.JSON))
			golden(t, name+".xml", render(t, r.JUnit))
			golden(t, name+".html", render(t, r.HTML))
		})
	}
}

func TestTextFitsItsWidth(t *testing.T) {
	for name, r := range reports() {
		r.Command = ""
		for _, width := range []int{72, 80, 100, 200} {
			for line := range strings.Lines(string(render(t, func(w io.Writer) error { return r.Text(w, TextOptions{Width: width}) }))) {
				assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), width, "%s: %s", name, line)
			}
		}
	}
}

func TestTextIsTheSameInColour(t *testing.T) {
	for name, r := range reports() {
		plain := string(render(t, func(w io.Writer) error { return r.Text(w, TextOptions{}) }))
		coloured := string(render(t, func(w io.Writer) error { return r.Text(w, TextOptions{Color: true}) }))
		assert.NotContains(t, plain, "\x1b", name)
		assert.Contains(t, coloured, "\x1b[", name)
		assert.Equal(t, plain, strings.NewReplacer("\x1b[32m", "", "\x1b[1;31m", "", "\x1b[0m", "").Replace(coloured), name)
	}
}

func TestHeld(t *testing.T) {
	assert.True(t, good().Held())
	assert.False(t, Report{}.Held(), "nothing was looked at")
	for name, spoil := range map[string]func(*Report){
		"split":          func(r *Report) { r.Splits[2].Pass = false },
		"check":          func(r *Report) { r.Checks[0].Pass = false },
		"problem":        func(r *Report) { r.Problems = []Problem{{Found: "x"}} },
		"not run":        func(r *Report) { r.NotRun[0].Expected = false },
		"nothing at all": func(r *Report) { r.Splits, r.Checks = nil, nil },
	} {
		r := good()
		spoil(&r)
		assert.False(t, r.Held(), name)
	}
}

func TestJSONHasNoNullAndReadsBack(t *testing.T) {
	for name, r := range reports() {
		b := render(t, r.JSON)
		assert.NotContains(t, string(b), "null", name)
		var back Report
		require.NoError(t, json.Unmarshal(b, &back))
		assert.Equal(t, string(b), string(render(t, back.JSON)), name)
	}
	assert.NotContains(t, string(render(t, Report{Splits: []Split{{}}}.JSON)), "null")
}

// The part of the contract that other programs read.
func TestJSONContract(t *testing.T) {
	var got struct {
		Splits []map[string]any `json:"splits"`
		NotRun []map[string]any `json:"notRun"`
	}
	require.NoError(t, json.Unmarshal(render(t, good().JSON), &got))
	s := got.Splits[2]
	assert.Equal(t, "bookinfo-prod", s["environment"])
	assert.Equal(t, "reviews", s["app"])
	assert.Equal(t, "canary", s["stage"])
	assert.Equal(t, "ingress gateway", s["from"])
	assert.EqualValues(t, 10000, s["requests"])
	assert.EqualValues(t, 0, s["errors"])
	assert.Equal(t, map[string]any{"v1": 90.0, "v2": 10.0}, s["want"])
	assert.Equal(t, map[string]any{"v1": 8951.0, "v2": 1049.0}, s["got"])
	assert.InDelta(t, 0.1, s["pValue"], 0.01)
	assert.Equal(t, true, s["pass"])
	assert.Equal(t, "a local cluster has no certificates for its proxies; kind shows it", got.NotRun[0]["reason"])
}

func TestJUnitCountsWhatItLists(t *testing.T) {
	var got junitSuites
	require.NoError(t, xml.Unmarshal(render(t, bad().JUnit), &got))
	names := map[string]bool{}
	var all junitCounts
	for _, s := range got.Suites {
		var n junitCounts
		for _, c := range s.Cases {
			n.count(c)
			key := c.Class + " " + c.Name
			assert.False(t, names[key], "two cases are called %s", key)
			names[key] = true
		}
		n.Time = s.Time
		assert.Equal(t, n, s.junitCounts, s.Name)
		all.Tests += n.Tests
		all.Failures += n.Failures
		all.Errors += n.Errors
		all.Skipped += n.Skipped
	}
	assert.Equal(t, []int{all.Tests, all.Failures, all.Errors}, []int{got.Tests, got.Failures, got.Errors})
	r := bad()
	assert.Equal(t, len(r.Splits)+len(r.Checks)+len(r.NotRun)+len(r.Problems), all.Tests)
	assert.Equal(t, 4, all.Failures)
	assert.Equal(t, 3, all.Errors, "two problems, and one thing that should have run")
	assert.Equal(t, 1, all.Skipped)
}

func BenchmarkHTML(b *testing.B) {
	r := good()
	for b.Loop() {
		if err := r.HTML(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

// What was judged while it was measured is told so, and why it ended.
func TestSequentialSplits(t *testing.T) {
	r := good()
	r.Command = "basico traffic environments/bookinfo-prod.yaml reviews"
	r.Checks, r.Splits = nil, r.Splits[:1]
	r.Splits[0].Sequential, r.Splits[0].Note = true, "it ended early: every share is known to within 2 points"
	var text, html, junit, js bytes.Buffer
	require.NoError(t, r.Text(&text, TextOptions{}))
	require.NoError(t, r.HTML(&html))
	require.NoError(t, r.JUnit(&junit))
	require.NoError(t, r.JSON(&js))
	for _, b := range []*bytes.Buffer{&text, &html, &junit, &js} {
		assert.Contains(t, b.String(), r.Splits[0].Note)
	}
	assert.Contains(t, text.String(), "1 of 1 splits passed, not run")
	assert.Contains(t, html.String(), "by a sequential test")
	assert.NotContains(t, html.String(), "fixed number of requests")
	assert.Contains(t, junit.String(), `<testsuites name="basico traffic"`)
}

// The splits of another run stand beside those that measured the same, and beside no others.
func TestBeside(t *testing.T) {
	split := func(stage string, got map[string]int) Split {
		return Split{Environment: "shop", App: "cart", Stage: stage, From: "ingress gateway", Requests: 1000, Want: map[string]int{"v1": 90, "v2": 10}, Got: got, Pass: true}
	}
	r := Report{Environments: []string{"shop"}, Splits: []Split{split("canary", map[string]int{"v1": 905, "v2": 95}), split("half", nil)}}
	r.SetBeside(Report{Cluster: Cluster{Kind: "local", Name: "one"}, Splits: []Split{
		split("canary", map[string]int{"v1": 898, "v2": 102}),
		{Environment: "shop", App: "till", Stage: "half", From: "ingress gateway"},
	}})
	assert.Nil(t, r.Splits[1].Beside)
	const words = "beside it, on local one: v1 89.80%, v2 10.20% of 1,000 requests, 0 errors, pass"
	assert.Equal(t, 1, strings.Count(string(render(t, r.HTML)), words))
	assert.Equal(t, 1, strings.Count(string(render(t, r.JUnit)), words))

	var read Report
	require.NoError(t, json.Unmarshal(render(t, r.JSON), &read))
	assert.Equal(t, r.Splits[0].Beside, read.Splits[0].Beside)
}
