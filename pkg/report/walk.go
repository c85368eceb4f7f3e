package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// outcome is how a walk ended, in words.
func (w Walk) outcome() string {
	switch {
	case w.RolledBack:
		return "rolled back to " + w.Reached + ": " + w.Why
	case w.Why != "":
		return "left at " + w.Reached + ": " + w.Why
	case !w.Pass():
		return "left at " + w.Reached + ", not yet at " + w.To
	case w.From == w.To:
		return "at " + w.To + " already"
	}
	return "arrived at " + w.To
}

// story is a walk in a few lines of plain text.
func (w Walk) story() string {
	lines := []string{w.outcome(), "measured on requests " + w.Traffic}
	for _, s := range w.Steps {
		lines = append(lines, join("  ", s.At.clock(), s.Kind, s.Stage+" ("+weights(s.Weights)+")", s.Elapsed.String(), word(s.Pass), s.Why))
	}
	return strings.Join(lines, "\n")
}

// clock is a moment in seconds, all of the same form: "+12.3 s".
func (s Seconds) clock() string { return fmt.Sprintf("+%.1f s", float64(s)/1e9) }

func weights(of map[string]int) string {
	var parts []string
	for _, v := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%s %d%%", v, of[v]))
	}
	return strings.Join(parts, ", ")
}

func (t *text) walks(walks []Walk) {
	t.title("Walks", len(walks))
	for _, w := range walks {
		t.wrap(fmt.Sprintf("%s in %s from %s to %s: %s", w.App, w.Environment, w.From, w.To, w.outcome()), 2)
		table := grid{width: t.width - 4, head: []string{"", "when", "what", "stage", "weights", "took"}, right: []int{1, 5}, shrink: []int{4, 3}, drop: -1}
		for _, s := range w.Steps {
			table.row(word(s.Pass), s.At.clock(), s.Kind, s.Stage, weights(s.Weights), s.Elapsed.String())
			if !s.Pass {
				table.note(s.Why)
			}
		}
		t.table(table, 4)
		t.wrap("Measured on requests "+w.Traffic+".", 4)
	}
}

// pageWalk is a walk drawn over time. Positions are in percent of the width, and of the height for shares.
type pageWalk struct {
	Walk
	Outcome  string
	Segments []pageSegment
	Spans    []pageSpan
	Versions []pageVersion
	Steps    []pageStep
}

// pageSegment is the time that was spent at one stage.
type pageSegment struct {
	Stage    string
	X, Width float64
	Parts    []pagePart
}

type pagePart struct {
	Class     string
	Y, Height float64
}

// pageSpan is the time of one measurement.
type pageSpan struct {
	X, Width float64
	Pass     bool
}

type pageVersion struct{ Version, Class string }

type pageStep struct {
	Step
	When, Weights string
}

func (w Walk) page() pageWalk {
	p := pageWalk{Walk: w, Outcome: w.outcome()}
	all := map[string]bool{}
	for _, s := range w.Steps {
		for v := range s.Weights {
			all[v] = true
		}
		p.Steps = append(p.Steps, pageStep{s, s.At.clock(), weights(s.Weights)})
	}
	versions := slices.Sorted(maps.Keys(all))
	for i, v := range versions {
		p.Versions = append(p.Versions, pageVersion{v, fmt.Sprintf("c%d", i%colors)})
	}
	if len(w.Steps) == 0 || w.Elapsed <= 0 {
		return p
	}
	at := func(s Seconds) float64 { return 100 * float64(s) / float64(w.Elapsed) }
	// What divides is the stage of the last move that has ended; before the first, that of the first step.
	current, since := w.Steps[0], Seconds(0)
	add := func(until Seconds) {
		if until <= since {
			return
		}
		seg := pageSegment{Stage: current.Stage, X: at(since), Width: at(until - since)}
		y := 0.0
		for _, v := range slices.Backward(p.Versions) { // the newest on top
			if share := float64(current.Weights[v.Version]); share > 0 {
				seg.Parts = append(seg.Parts, pagePart{v.Class, y, share})
				y += share
			}
		}
		p.Segments = append(p.Segments, seg)
		since = until
	}
	for _, s := range w.Steps {
		end := s.At + s.Elapsed
		if s.Kind == "measured" {
			p.Spans = append(p.Spans, pageSpan{at(s.At), max(0.3, at(s.Elapsed)), s.Pass})
			continue
		}
		if s.Stage != current.Stage {
			add(end)
			current = s
		}
	}
	add(w.Elapsed)
	return p
}
