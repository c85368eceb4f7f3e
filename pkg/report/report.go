// Package report holds the results of a run as data, and shows them: as text for people, JSON for programs, JUnit XML
// for CI, and one self-contained HTML page.
//
// It judges nothing: whether a split or a check passed is in the data. Only Held sums up.
package report

import (
	"encoding/json"
	"slices"
	"time"

	"chartbasico/pkg/assert"
)

// Report is everything one run found out.
type Report struct {
	// Environments are the names of what was verified: "bookinfo-prod".
	Environments []string `json:"environments"`
	// Command repeats the run. Default: the reports do not say how.
	Command string `json:"command,omitempty"`
	// Cluster is where it ran. Zero if nothing ran.
	Cluster Cluster `json:"cluster"`
	// Started is when the run began, Elapsed how long it took.
	Started time.Time `json:"started"`
	Elapsed Seconds   `json:"elapsedSeconds"`
	// ErrorRate is how often one split of a right mesh may fail by chance, for example 1e-6. Intervals have the
	// confidence 1 - ErrorRate.
	ErrorRate float64 `json:"errorRate"`

	Walks    []Walk    `json:"walks,omitempty"`
	Splits   []Split   `json:"splits"`
	Checks   []Check   `json:"checks"`
	NotRun   []NotRun  `json:"notRun"`
	Problems []Problem `json:"problems"`
	Timings  []Timing  `json:"timings"`
}

// Cluster names a cluster and the versions it runs.
type Cluster struct {
	// Kind is "local", "kind" or "context"; Name tells it from others of its kind.
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	Kubernetes string `json:"kubernetes"`
	Istio      string `json:"istio"`
	Envoy      string `json:"envoy"`
}

// Walk is how an app was led along the stages of its routing on a running cluster.
type Walk struct {
	Environment string `json:"environment"`
	App         string `json:"app"`
	// From is the stage where it began, To the one that was wanted, Reached the one at which it was left.
	From    string `json:"from"`
	To      string `json:"to"`
	Reached string `json:"reached"`
	// Traffic says what was measured: requests "of its own".
	Traffic string `json:"traffic"`
	// RolledBack says that it turned back and arrived there, Why for what reason. Why alone says that it was not begun,
	// fell short on the way, or could not be rolled back.
	RolledBack bool    `json:"rolledBack"`
	Why        string  `json:"why,omitempty"`
	Elapsed    Seconds `json:"elapsedSeconds"`
	Steps      []Step  `json:"steps"`
}

// Pass says whether the walk came to where it was wanted, and nothing fell short.
func (w Walk) Pass() bool { return w.Why == "" && !w.RolledBack && w.Reached == w.To }

// Step is one step of a walk, in order of time.
type Step struct {
	// Kind is "moved", "measured" or "rolled back".
	Kind  string `json:"kind"`
	Stage string `json:"stage"`
	// Weights are percent by version at that stage.
	Weights map[string]int `json:"weights"`
	// At is when it began, after the run did.
	At      Seconds `json:"atSeconds"`
	Elapsed Seconds `json:"elapsedSeconds"`
	Pass    bool    `json:"pass"`
	Why     string  `json:"why,omitempty"`
}

// Split is how the requests of one measurement divided over versions.
type Split struct {
	Environment string `json:"environment"`
	// App is whose versions are meant, Stage the stage of its routing, From who sent the requests ("ingress gateway",
	// "productpage/v1").
	App   string `json:"app"`
	Stage string `json:"stage"`
	From  string `json:"from"`
	// Requests is how many were sent, Errors how many of them got no good answer.
	Requests int `json:"requests"`
	Errors   int `json:"errors"`
	// Want is percent by version, Got is answers by version.
	Want map[string]int `json:"want"`
	Got  map[string]int `json:"got"`
	// Interval is the lowest and highest share by version, in percent, that Got does not contradict.
	Interval map[string][2]float64 `json:"interval"`
	// PValue is the probability of an outcome at least as unlikely as Got, if Want holds.
	PValue float64 `json:"pValue"`
	// Sequential is true if the split was judged while it was measured, so that the measurement could end early. Then
	// PValue is of as much evidence against Want at any time, and Interval holds at all times.
	Sequential bool `json:"sequential,omitempty"`
	// Beside is the same split in another report, if SetBeside found one.
	Beside *Beside `json:"beside,omitempty"`
	// Note says what else is to be known of how it was measured.
	Note string `json:"note,omitempty"`
	Pass bool   `json:"pass"`
	// Why says what fell short; empty if nothing did. Failures counts errors by reason.
	Why      string         `json:"why,omitempty"`
	Failures map[string]int `json:"failures,omitempty"`
	Elapsed  Seconds        `json:"elapsedSeconds"`
}

// Beside is how a split was measured in another run: on another cluster, or on another day.
type Beside struct {
	// Cluster is the kind and the name of where that was.
	Cluster  string         `json:"cluster"`
	Requests int            `json:"requests"`
	Errors   int            `json:"errors"`
	Got      map[string]int `json:"got"`
	Pass     bool           `json:"pass"`
}

// Judge sets what a judgement of Want and Got says.
func (s *Split) Judge(j assert.Judgement) {
	s.Interval, s.PValue, s.Pass, s.Why = j.Interval, j.PValue, j.Pass, j.Why
}

// Check is one thing that holds or does not, other than a split.
type Check struct {
	Environment string `json:"environment"`
	// Name is what is checked: "injection", "round robin". Subject is of what: "Pod/bookinfo/reviews-v1-0".
	Name    string  `json:"name"`
	Subject string  `json:"subject"`
	Want    string  `json:"want"`
	Got     string  `json:"got"`
	Pass    bool    `json:"pass"`
	Why     string  `json:"why,omitempty"`
	Elapsed Seconds `json:"elapsedSeconds"`
}

// NewCheck is a check with the outcome that a judgement says.
func NewCheck(environment, name, subject string, j assert.Judgement) Check {
	return Check{Environment: environment, Name: name, Subject: subject, Want: j.Want, Got: j.Got, Pass: j.Pass, Why: j.Why}
}

// NotRun is something that should have been looked at and was not.
type NotRun struct {
	Environment string `json:"environment"`
	What        string `json:"what"`
	Reason      string `json:"reason"`
	// Expected is true for what this kind of cluster cannot show, or what the user asked to leave out. Anything else
	// means that the run did not hold.
	Expected bool `json:"expected"`
}

// Problem is a mistake in what was given to the run, or something that broke while it ran. Fields that do not apply are
// empty.
type Problem struct {
	Environment string `json:"environment,omitempty"`
	Release     string `json:"release,omitempty"`
	File        string `json:"file,omitempty"`
	Line        int    `json:"line,omitempty"`
	// Path is where in File; Object is Kind/namespace/name.
	Path     string `json:"path,omitempty"`
	Object   string `json:"object,omitempty"`
	Rule     string `json:"rule,omitempty"`
	Found    string `json:"found"`
	Expected string `json:"expected,omitempty"`
	Fix      string `json:"fix,omitempty"`
}

// Timing is how long one step took.
type Timing struct {
	Step    string  `json:"step"`
	Elapsed Seconds `json:"elapsedSeconds"`
}

// Seconds is a duration that is a number of seconds in JSON.
type Seconds time.Duration

// MarshalJSON writes seconds, to the nanosecond.
func (s Seconds) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(s).Seconds()) }

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Seconds) UnmarshalJSON(b []byte) error {
	var f float64
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	*s = Seconds(f*float64(time.Second) + 0.5)
	return nil
}

// Held says whether everything held: something was measured or checked, all of it passed, there were no problems, and
// nothing was left out that was not expected to be.
func (r Report) Held() bool {
	return len(r.Splits)+len(r.Checks) > 0 && len(r.Problems) == 0 &&
		!slices.ContainsFunc(r.Walks, func(w Walk) bool { return !w.Pass() }) &&
		!slices.ContainsFunc(r.Splits, func(s Split) bool { return !s.Pass }) &&
		!slices.ContainsFunc(r.Checks, func(c Check) bool { return !c.Pass }) &&
		!slices.ContainsFunc(r.NotRun, func(n NotRun) bool { return !n.Expected })
}

// Add appends the results of another run on the same cluster to r.
func (r *Report) Add(o Report) {
	r.Environments = append(r.Environments, o.Environments...)
	r.Walks = append(r.Walks, o.Walks...)
	r.Splits = append(r.Splits, o.Splits...)
	r.Checks = append(r.Checks, o.Checks...)
	r.NotRun = append(r.NotRun, o.NotRun...)
	r.Problems = append(r.Problems, o.Problems...)
	r.Timings = append(r.Timings, o.Timings...)
}

// SetBeside puts the splits of another report beside those of the same environment, app, stage and sender in r.
func (r *Report) SetBeside(o Report) {
	type key struct{ environment, app, stage, from string }
	of := func(s Split) key { return key{s.Environment, s.App, s.Stage, s.From} }
	others := map[key]Split{}
	for _, s := range o.Splits {
		others[of(s)] = s
	}
	for i, s := range r.Splits {
		if b, ok := others[of(s)]; ok {
			r.Splits[i].Beside = &Beside{Cluster: join(" ", o.Cluster.Kind, o.Cluster.Name), Requests: b.Requests, Errors: b.Errors, Got: b.Got, Pass: b.Pass}
		}
	}
}
