package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// The published schemas know no attribute of testsuites for skipped cases.
type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name string `xml:"name,attr"`
	junitCounts
	Timestamp  string          `xml:"timestamp,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitCounts struct {
	Tests    int    `xml:"tests,attr"`
	Failures int    `xml:"failures,attr"`
	Errors   int    `xml:"errors,attr"`
	Skipped  int    `xml:"skipped,attr"`
	Time     string `xml:"time,attr"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitOutcome `xml:"failure"`
	Error   *junitOutcome `xml:"error"`
	Skipped *junitOutcome `xml:"skipped"`
	Output  string        `xml:"system-out,omitempty"`
}

type junitOutcome struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// JUnit writes the report in the XML that CI systems read: a suite for each environment; a test case for each split,
// check, problem and thing not run. What fell short is a failure, a problem an error. What was not run is skipped if
// that was expected, and an error if not, since CI counts a run with skipped cases as good.
func (r Report) JUnit(w io.Writer) error {
	suites := junitSuites{Name: r.verb(), Time: xmlSeconds(r.Elapsed)}
	for _, env := range r.environments() {
		s := junitSuite{Name: env, Timestamp: r.Started.UTC().Format("2006-01-02T15:04:05"), Properties: r.properties()}
		var elapsed Seconds
		for _, c := range r.junitCases(env, &elapsed) {
			s.count(c)
			s.Cases = append(s.Cases, c)
		}
		suites.Tests += s.Tests
		suites.Failures += s.Failures
		suites.Errors += s.Errors
		s.Time = xmlSeconds(elapsed)
		suites.Suites = append(suites.Suites, s)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(suites); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (r Report) junitCases(env string, elapsed *Seconds) []junitCase {
	var cases []junitCase
	add := func(class, name string, took Seconds) *junitCase {
		*elapsed += took
		cases = append(cases, junitCase{Name: name, Class: env + "." + class, Time: xmlSeconds(took)})
		return &cases[len(cases)-1]
	}
	for _, p := range r.Problems {
		if p.Environment == env {
			add("problem", join(" ", p.Release, p.where(), p.Rule), 0).Error = &junitOutcome{Message: p.Found, Type: "problem", Text: p.String()}
		}
	}
	for _, w := range r.Walks {
		if w.Environment != env {
			continue
		}
		c := add("walk", fmt.Sprintf("%s from %s to %s", w.App, w.From, w.To), w.Elapsed)
		c.Output = w.story()
		if !w.Pass() {
			c.Failure = &junitOutcome{Message: w.outcome(), Type: "walk", Text: w.story()}
		}
	}
	for _, s := range r.Splits {
		if s.Environment != env {
			continue
		}
		c := add("split", fmt.Sprintf("%s %s from %s", s.App, s.Stage, s.From), s.Elapsed)
		c.Output = s.numbers()
		if !s.Pass {
			c.Failure = &junitOutcome{Message: s.Why, Type: "split", Text: s.numbers()}
		}
	}
	for _, k := range r.Checks {
		if k.Environment != env {
			continue
		}
		c := add("check", join(" ", k.Name, k.Subject), k.Elapsed)
		c.Output = fmt.Sprintf("want %s\ngot %s", k.Want, k.Got)
		if !k.Pass {
			c.Failure = &junitOutcome{Message: k.Why, Type: "check", Text: c.Output}
		}
	}
	for _, n := range r.NotRun {
		if n.Environment != env {
			continue
		}
		c, outcome := add("not run", n.What, 0), &junitOutcome{Message: "not run: " + n.Reason}
		if n.Expected {
			c.Skipped = outcome
		} else {
			outcome.Type = "not run"
			c.Error = outcome
		}
	}
	return cases
}

func (n *junitCounts) count(c junitCase) {
	n.Tests++
	switch {
	case c.Failure != nil:
		n.Failures++
	case c.Error != nil:
		n.Errors++
	case c.Skipped != nil:
		n.Skipped++
	}
}

func (r Report) properties() []junitProperty {
	var ps []junitProperty
	for _, f := range r.facts() {
		ps = append(ps, junitProperty(f))
	}
	return ps
}

func xmlSeconds(s Seconds) string { return fmt.Sprintf("%.3f", time.Duration(s).Seconds()) }

func join(sep string, parts ...string) string {
	var kept []string
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, sep)
}
