package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// TextOptions shapes the text. Its zero value is for a pipe.
type TextOptions struct {
	// Width is how many columns there are. Default 100, at least 72.
	Width int
	// Color marks the verdicts with ANSI colours; they are in words either way.
	Color bool
}

// Text writes the report for people: what fell short first to see, every number beside what was wanted.
func (r Report) Text(w io.Writer, o TextOptions) error {
	t := text{width: max(72, o.Width), color: o.Color}
	if o.Width == 0 {
		t.width = 100
	}
	t.heading(r)
	t.problems(r.Problems)
	t.walks(r.Walks)
	t.splits(r.Splits)
	t.checks(r.Checks)
	t.notRun(r.NotRun)
	t.footer(r)
	_, err := io.WriteString(w, t.b.String())
	return err
}

type text struct {
	b     strings.Builder
	width int
	color bool
}

func (t *text) heading(r Report) {
	name := strings.Join(r.environments(), ", ")
	if name == "" {
		name = "nothing"
	}
	t.wrap(name+": "+t.verdict(r.Held()), 0)
	t.wrap(r.summary(), 2)
	var facts []string
	for _, f := range r.facts() {
		switch f.Name {
		case "Started", "Error rate":
		case "Cluster", "Elapsed":
			facts = append(facts, f.Value)
		default:
			facts = append(facts, f.Name+" "+f.Value)
		}
	}
	t.wrap(strings.Join(facts, " · "), 2)
}

func (t *text) problems(problems []Problem) {
	t.title("Problems", len(problems))
	for _, p := range problems {
		t.b.WriteString("  " + t.mark(false) + "  ")
		t.hang(p.String(), 8)
	}
}

func (t *text) splits(splits []Split) {
	t.title("Splits", len(splits))
	for _, group := range groups(splits, app) {
		t.wrap(group[0].App+" in "+group[0].Environment, 2)
		table := grid{width: t.width - 4, head: []string{"", "stage", "from", "requests", "errors", "version", "wanted", "measured", "interval"}}
		table.right = []int{3, 4, 6, 7, 8}
		table.shrink, table.drop = []int{2, 1, 5}, 8
		for _, s := range group {
			for i, v := range s.versions() {
				row := []string{"", "", "", "", "", v, percent(float64(s.Want[v]), 0), s.measured(v), s.span(v)}
				if i == 0 {
					copy(row, []string{word(s.Pass), s.Stage, s.From, grouped(s.Requests), grouped(s.Errors)})
				}
				table.row(row...)
			}
			if !s.Pass {
				table.note(s.Why)
				table.note(s.reasons())
			}
			if s.Note != "" {
				table.note(s.Note)
			}
		}
		t.table(table, 4)
	}
}

// checks shows each failed check in full, and those that passed as a line for each kind of check: the other reports
// have them one by one.
func (t *text) checks(checks []Check) {
	t.title("Checks", len(checks))
	for _, group := range groups(checks, func(c Check) string { return c.Environment }) {
		t.wrap(group[0].Environment, 2)
		table := grid{width: t.width - 4, shrink: []int{2}, drop: -1}
		for _, kind := range groups(group, func(c Check) string { return c.Name }) {
			var passed []Check
			for _, c := range kind {
				if c.Pass {
					passed = append(passed, c)
				}
			}
			switch len(passed) {
			case 0:
			case 1:
				table.row(word(true), passed[0].Name, passed[0].Subject+": "+passed[0].Got)
			default:
				table.row(word(true), passed[0].Name, fmt.Sprintf("%d of %d", len(passed), len(kind)))
			}
			for _, c := range kind {
				if !c.Pass {
					table.row(word(false), c.Name, c.Subject)
					table.note("wanted " + c.Want + "; got " + c.Got)
					table.note(c.Why)
				}
			}
		}
		t.table(table, 4)
	}
}

func (t *text) notRun(items []NotRun) {
	t.title("Not run", len(items))
	for _, n := range items {
		t.b.WriteString("  " + t.notRunMark(n.Expected) + "  ")
		t.hang(join(": ", n.Environment, n.What)+": "+n.Reason, 12)
	}
}

func (t *text) footer(r Report) {
	if len(r.Timings) > 0 {
		t.title("Time", len(r.Timings))
		var steps []string
		for _, s := range r.Timings {
			steps = append(steps, s.Step+" "+s.Elapsed.String())
		}
		t.wrap(strings.Join(steps, ", "), 2)
	}
	if r.Command != "" {
		t.b.WriteString("\nAgain: " + r.Command + "\n") // never wrapped: it is for copying
	}
}

func (t *text) title(name string, n int) {
	if n > 0 {
		t.b.WriteString("\n" + name + "\n")
	}
}

// Verdicts in words; "FAIL" stands out without colour too.
func word(pass bool) string {
	if pass {
		return "pass"
	}
	return "FAIL"
}

func (t *text) mark(pass bool) string { return t.paint(word(pass), pass) }

func (t *text) verdict(held bool) string {
	if held {
		return t.paint("held", true)
	}
	return t.paint("FELL SHORT", false)
}

func (t *text) notRunMark(expected bool) string {
	if expected {
		return "expected"
	}
	return t.paint("MISSING ", false)
}

func (t *text) paint(s string, good bool) string {
	if !t.color {
		return s
	}
	if good {
		return "\x1b[32m" + s + "\x1b[0m"
	}
	return "\x1b[1;31m" + s + "\x1b[0m"
}

// wrap writes a paragraph, each line indented.
func (t *text) wrap(s string, indent int) {
	if s == "" {
		return
	}
	t.b.WriteString(strings.Repeat(" ", indent))
	t.hang(s, indent)
}

// hang writes a paragraph whose first line has begun, and indents the others.
func (t *text) hang(s string, indent int) {
	for i, line := range fold(s, t.width-indent) {
		if i > 0 {
			t.b.WriteString(strings.Repeat(" ", indent))
		}
		t.b.WriteString(line + "\n")
	}
}

func (t *text) table(g grid, indent int) {
	for _, line := range g.lines() {
		for _, pass := range []bool{true, false} {
			if rest, ok := strings.CutPrefix(line, word(pass)); ok {
				line = t.mark(pass) + rest
			}
		}
		t.b.WriteString(strings.TrimRight(strings.Repeat(" ", indent)+line, " ") + "\n")
	}
}

// grid is a table with notes between its rows, which fits itself into a width.
type grid struct {
	width  int
	head   []string // none if nil
	right  []int    // columns that are aligned at the right
	shrink []int    // columns that are cut if all do not fit, in this order
	drop   int      // the column that is left out if cutting to comfortable is not enough, or -1
	rows   []gridRow
}

type gridRow struct {
	cells []string
	note  string
}

func (g *grid) row(cells ...string) { g.rows = append(g.rows, gridRow{cells: cells}) }
func (g *grid) note(s string)       { g.rows = append(g.rows, gridRow{note: s}) }

const (
	gap        = 2
	noteIndent = 6
)

// What a column is not cut below: while there are others to leave out, and at last.
const comfortable, least = 16, 8

func (g grid) lines() []string {
	if g.head != nil {
		g.rows = append([]gridRow{{cells: g.head}}, g.rows...)
	}
	widths := g.widths()
	over := func() int {
		sum := -gap
		for _, w := range widths {
			if w > 0 {
				sum += w + gap
			}
		}
		return sum - g.width
	}
	shrink := func(to int) {
		for _, i := range g.shrink {
			if i < len(widths) {
				widths[i] = min(widths[i], max(to, widths[i]-max(0, over())))
			}
		}
	}
	shrink(comfortable)
	if over() > 0 && g.drop >= 0 {
		widths[g.drop] = 0
	}
	shrink(least)
	var lines []string
	for _, r := range g.rows {
		if r.cells == nil {
			for _, l := range fold(r.note, g.width-noteIndent) {
				lines = append(lines, strings.Repeat(" ", noteIndent)+l)
			}
			continue
		}
		var cells []string
		for i, c := range r.cells {
			if widths[i] > 0 {
				cells = append(cells, pad(cut(c, widths[i]), widths[i], slices.Contains(g.right, i)))
			}
		}
		lines = append(lines, strings.Join(cells, strings.Repeat(" ", gap)))
	}
	return lines
}

func (g grid) widths() []int {
	var widths []int
	for _, r := range g.rows {
		for i, c := range r.cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	return widths
}

func pad(s string, width int, right bool) string {
	space := strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
	if right {
		return space + s
	}
	return s + space
}

func cut(s string, width int) string {
	if r := []rune(s); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return s
}

// fold breaks a text between words into lines of at most width, and words that are longer.
func fold(s string, width int) []string {
	var lines []string
	line := ""
	for _, w := range strings.Fields(s) {
		for {
			room := width - visible(line)
			if line != "" {
				room--
			}
			if visible(w) <= room {
				line = join(" ", line, w)
				break
			}
			if line != "" {
				lines, line = append(lines, line), ""
				continue
			}
			r := []rune(w)
			lines, w = append(lines, string(r[:width])), string(r[width:])
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// visible is the width of a word, without colours.
func visible(s string) int {
	for {
		before, rest, ok := strings.Cut(s, "\x1b[")
		if !ok {
			return utf8.RuneCountInString(s)
		}
		_, after, _ := strings.Cut(rest, "m")
		s = before + after
	}
}

// groups gathers what has the same key, in the order of first appearance.
func groups[T any](list []T, key func(T) string) [][]T {
	var all [][]T
	at := map[string]int{}
	for _, item := range list {
		k := key(item)
		i, known := at[k]
		if !known {
			i = len(all)
			at[k] = i
			all = append(all, nil)
		}
		all[i] = append(all[i], item)
	}
	return all
}

// span is the interval as short as it can be.
func (s Split) span(version string) string {
	i, ok := s.Interval[version]
	if !ok {
		return ""
	}
	return strconv.FormatFloat(i[0], 'f', 2, 64) + "–" + percent(i[1], 2)
}

// app tells the routed applications apart.
func app(s Split) string { return s.Environment + "/" + s.App }

// summary counts verdicts.
func (r Report) summary() string {
	splits, checks, expected := 0, 0, 0
	for _, s := range r.Splits {
		if s.Pass {
			splits++
		}
	}
	for _, c := range r.Checks {
		if c.Pass {
			checks++
		}
	}
	for _, n := range r.NotRun {
		if n.Expected {
			expected++
		}
	}
	var passed []string
	if of := len(r.Splits); of > 0 {
		passed = append(passed, fmt.Sprintf("%d of %d splits", splits, of))
	}
	if of := len(r.Checks); of > 0 {
		passed = append(passed, fmt.Sprintf("%d of %d checks", checks, of))
	}
	s := "nothing was measured"
	if len(passed) > 0 {
		s = strings.Join(passed, " and ") + " passed"
	}
	if n := len(r.Problems); n > 0 {
		s += fmt.Sprintf(", problems: %d", n)
	}
	if n := len(r.NotRun); n > 0 {
		s += fmt.Sprintf(", not run: %d (%d expected)", n, expected)
	}
	return s
}
