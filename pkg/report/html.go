package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
)

//go:embed report.html
var pageSource string

//go:embed walk.html
var walkSource string

var pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"percent": func(p float64) string { return percent(p, 2) },
	"grouped": grouped,
	"pValue":  pValue,
	"word":    word,
}).Parse(pageSource + strings.TrimSpace(walkSource)))

// HTML writes the report as one page that needs nothing else: no script, no network, no font. It follows the reader's
// light or dark setting, fits a phone, and can be printed; no verdict or version is told by colour alone.
func (r Report) HTML(w io.Writer) error {
	return pageTemplate.Execute(w, r.page())
}

// page is what the template shows.
type page struct {
	Report  Report
	Title   string
	Held    bool
	Summary string
	Facts   []fact
	Several bool // environments
	// Sequential is true if splits were judged while they were measured.
	Sequential bool
	Walks      []pageWalk
	Apps       []pageApp
	Timings    []pageTiming
}

type pageApp struct {
	Environment, App string
	Stages           []pageStage
}

type pageStage struct {
	Name   string
	Want   string
	Splits []pageSplit
}

type pageSplit struct {
	Split
	Bars    []pageBar
	Reasons string
}

// pageBar is one version of a split. Shares are in percent of the width.
type pageBar struct {
	Version, Class        string
	Count                 int
	WantShare, GotShare   float64
	Low, High             float64
	HasInterval           bool
	Want, Measured, Range string
}

type pageTiming struct {
	Timing
	Share float64
}

// colors is how many versions have colours of their own; more share them, and are told apart by their names.
const colors = 6

func (r Report) page() page {
	p := page{
		Report: r, Title: strings.Join(r.environments(), ", "), Several: len(r.environments()) > 1,
		Held: r.Held(), Summary: r.summary(), Facts: r.facts(), Sequential: r.sequential(),
	}
	if p.Title == "" {
		p.Title = "Nothing was verified"
	}
	for _, w := range r.Walks {
		p.Walks = append(p.Walks, w.page())
	}
	for _, ofApp := range groups(r.Splits, app) {
		a := pageApp{Environment: ofApp[0].Environment, App: ofApp[0].App}
		var versions []string
		for _, s := range ofApp {
			versions = append(versions, s.versions()...)
		}
		slices.Sort(versions)
		versions = slices.Compact(versions)
		for _, ofStage := range groups(ofApp, func(s Split) string { return s.Stage }) {
			stage := pageStage{Name: ofStage[0].Stage}
			var want []string
			for _, v := range ofStage[0].versions() {
				want = append(want, fmt.Sprintf("%s %d%%", v, ofStage[0].Want[v]))
			}
			stage.Want = strings.Join(want, ", ")
			for _, s := range ofStage {
				stage.Splits = append(stage.Splits, s.page(versions))
			}
			a.Stages = append(a.Stages, stage)
		}
		p.Apps = append(p.Apps, a)
	}
	var longest Seconds
	for _, t := range r.Timings {
		longest = max(longest, t.Elapsed)
	}
	for _, t := range r.Timings {
		pt := pageTiming{Timing: t}
		if longest > 0 {
			pt.Share = 100 * float64(t.Elapsed) / float64(longest)
		}
		p.Timings = append(p.Timings, pt)
	}
	return p
}

// page prepares a split; all is every version of the application, which decides the colours.
func (s Split) page(all []string) pageSplit {
	p := pageSplit{Split: s, Reasons: strings.TrimSpace(s.reasons())}
	for _, v := range s.versions() {
		share, _ := s.share(v)
		b := pageBar{
			Version: v, Class: fmt.Sprintf("c%d", slices.Index(all, v)%colors), Count: s.Got[v],
			WantShare: float64(s.Want[v]), GotShare: share,
			Want: percent(float64(s.Want[v]), 0), Measured: s.measured(v), Range: s.interval(v),
		}
		var i [2]float64
		i, b.HasInterval = s.Interval[v]
		b.Low, b.High = i[0], i[1]
		p.Bars = append(p.Bars, b)
	}
	return p
}
