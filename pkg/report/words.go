package report

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// environments lists the names under which there are results, those of Environments first.
func (r Report) environments() []string {
	var all []string
	add := func(name string) {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	for _, name := range r.Environments {
		add(name)
	}
	for _, w := range r.Walks {
		add(w.Environment)
	}
	for _, s := range r.Splits {
		add(s.Environment)
	}
	for _, c := range r.Checks {
		add(c.Environment)
	}
	for _, n := range r.NotRun {
		add(n.Environment)
	}
	for _, p := range r.Problems {
		add(p.Environment)
	}
	return all
}

// fact is one line about the run.
type fact struct{ Name, Value string }

func (r Report) facts() []fact {
	var fs []fact
	add := func(name, value string) {
		if value != "" {
			fs = append(fs, fact{name, value})
		}
	}
	add("Cluster", join(" ", r.Cluster.Kind, r.Cluster.Name))
	add("Kubernetes", r.Cluster.Kubernetes)
	add("Istio", r.Cluster.Istio)
	add("Envoy", r.Cluster.Envoy)
	if !r.Started.IsZero() {
		add("Started", r.Started.UTC().Format("2006-01-02 15:04 MST"))
	}
	if r.Elapsed > 0 {
		add("Elapsed", r.Elapsed.String())
	}
	if r.ErrorRate > 0 {
		add("Error rate", "1 in "+grouped(int(1/r.ErrorRate+0.5)))
	}
	return fs
}

// String is a duration for people: three digits or so.
func (s Seconds) String() string {
	d := time.Duration(s)
	switch {
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	}
	return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
}

// versions lists the versions of a split in order.
func (s Split) versions() []string {
	all := maps.Clone(object(s.Got))
	maps.Copy(all, s.Want)
	return slices.Sorted(maps.Keys(all))
}

// answered is how many requests some version answered.
func (s Split) answered() int {
	n := 0
	for _, c := range s.Got {
		n += c
	}
	return n
}

// share is a version's measured share in percent; ok is false if nothing was measured.
func (s Split) share(version string) (percent float64, ok bool) {
	n := s.answered()
	if n == 0 {
		return 0, false
	}
	return 100 * float64(s.Got[version]) / float64(n), true
}

// measured is share in words.
func (s Split) measured(version string) string {
	p, ok := s.share(version)
	if !ok {
		return "none"
	}
	return percent(p, 2)
}

// interval is a version's interval in words.
func (s Split) interval(version string) string {
	i, ok := s.Interval[version]
	if !ok {
		return ""
	}
	return percent(i[0], 2) + " to " + percent(i[1], 2)
}

// numbers is the split in a few lines of plain text.
func (s Split) numbers() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d requests, %d errors%s\n", s.Requests, s.Errors, s.reasons())
	for _, v := range s.versions() {
		fmt.Fprintf(&b, "%s: wanted %d%%, measured %s (%d)", v, s.Want[v], s.measured(v), s.Got[v])
		if i := s.interval(v); i != "" {
			fmt.Fprintf(&b, ", interval %s", i)
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "p-value %s", pValue(s.PValue))
	if s.Note != "" {
		b.WriteString("\n" + s.Note)
	}
	if s.Beside != nil {
		b.WriteString("\nbeside it, on " + s.Beside.String())
	}
	return b.String()
}

// String is the other split in one line.
func (b Beside) String() string {
	other := Split{Got: b.Got}
	var shares []string
	for _, v := range other.versions() {
		shares = append(shares, v+" "+other.measured(v))
	}
	if len(shares) == 0 {
		shares = []string{"no answer"}
	}
	return fmt.Sprintf("%s: %s of %s requests, %s errors, %s", b.Cluster, strings.Join(shares, ", "), grouped(b.Requests), grouped(b.Errors), word(b.Pass))
}

// reasons lists the failures, the most frequent first, in parentheses.
func (s Split) reasons() string {
	if len(s.Failures) == 0 {
		return ""
	}
	keys := slices.SortedFunc(maps.Keys(s.Failures), func(a, b string) int {
		if d := s.Failures[b] - s.Failures[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	var items []string
	for _, k := range keys {
		items = append(items, fmt.Sprintf("%d × %s", s.Failures[k], k))
	}
	return " (" + strings.Join(items, ", ") + ")"
}

// where is the place of a problem: file, line, path and object, as far as known.
func (p Problem) where() string {
	file := p.File
	if p.Line > 0 {
		file += ":" + strconv.Itoa(p.Line)
	}
	return join(" ", join(": ", file, p.Path), p.Object)
}

// String is the problem in one line.
func (p Problem) String() string {
	s := "found " + p.Found
	if p.Expected != "" {
		s += ", expected " + p.Expected
	}
	if p.Fix != "" {
		s += "; fix: " + p.Fix
	}
	return join(": ", join(" ", p.Release, p.where()), s)
}

func percent(p float64, digits int) string { return strconv.FormatFloat(p, 'f', digits, 64) + "%" }

// pValue has two digits that mean something.
func pValue(p float64) string {
	if p < 0.001 {
		return strconv.FormatFloat(p, 'g', 2, 64)
	}
	return strconv.FormatFloat(p, 'f', 3, 64)
}

// grouped writes thousands apart: 10,000.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// sequential says whether splits were judged while they were measured.
func (r Report) sequential() bool {
	return slices.ContainsFunc(r.Splits, func(s Split) bool { return s.Sequential })
}

// verb is the command that made the report: "basico verify" of "basico verify environments/apps.yaml".
func (r Report) verb() string {
	words := strings.Fields(r.Command)
	if len(words) < 2 {
		return "basico verify"
	}
	return words[0] + " " + words[1]
}
