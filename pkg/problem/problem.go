// Package problem is the one form in which the harness says that an input is wrong: where,
// what was found, what was expected and how to mend it. Problems are collected and shown all
// at once.
package problem

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Severity says whether a problem makes a check fall short.
type Severity string

const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Problem is one thing that is wrong. Parts that do not apply are empty.
type Problem struct {
	Severity    Severity `json:"severity"`
	Rule        string   `json:"rule"` // the check that found it, such as route-host or IST0101
	Environment string   `json:"environment,omitempty"`
	Release     string   `json:"release,omitempty"` // namespace/name
	File        string   `json:"file,omitempty"`
	Line        int      `json:"line,omitempty"`
	Object      string   `json:"object,omitempty"` // Kind/namespace/name
	Path        string   `json:"path,omitempty"`   // in the file or, where Object is set, in the object
	Found       string   `json:"found"`
	Expected    string   `json:"expected,omitempty"`
	Fix         string   `json:"fix,omitempty"`
}

// String is the problem in one line: where, what, and how to mend it.
func (p Problem) String() string {
	var where []string
	if p.File != "" {
		file := p.File
		if p.Line > 0 {
			file += ":" + strconv.Itoa(p.Line)
		}
		where = append(where, file)
	}
	for _, s := range []string{p.Object, p.Path} {
		if s != "" {
			where = append(where, s)
		}
	}
	text := p.Found
	if p.Expected != "" {
		text += "; expected " + p.Expected
	}
	if p.Fix != "" {
		text += ". Fix: " + p.Fix
	}
	if p.Rule != "" {
		text += " [" + p.Rule + "]"
	}
	if len(where) == 0 {
		return text
	}
	return strings.Join(where, " ") + ": " + text
}

// List is an error made of problems.
type List []Problem

func (l List) Error() string {
	lines := make([]string, len(l))
	for i, p := range l {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Err is the list as an error, nil where it is empty.
func (l List) Err() error {
	if len(l) == 0 {
		return nil
	}
	return l
}

// Sort puts the list into the order in which people mend things, file by file, and takes out
// what is said twice. The order is the same on every run.
func (l List) Sort() List {
	slices.SortStableFunc(l, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Object, b.Object), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Rule, b.Rule),
			cmp.Compare(a.Found, b.Found), cmp.Compare(a.Release, b.Release),
		)
	})
	return slices.Compact(l)
}

// Quote shows a value as it was found, shortened to one line.
func Quote(v any) string {
	s := fmt.Sprint(v)
	if text, ok := v.(string); ok {
		s = strconv.Quote(text)
	}
	if r := []rune(s); len(r) > 80 {
		s = string(r[:77]) + "..."
	}
	return s
}

// Path is a path in a value as people write it: a.b[0].c. The value tells lists from maps.
func Path(value any, path []string) string {
	var out strings.Builder
	for _, part := range path {
		switch at := value.(type) {
		case []any:
			out.WriteString("[" + part + "]")
			i, err := strconv.Atoi(part)
			value = nil
			if err == nil && i >= 0 && i < len(at) {
				value = at[i]
			}
			continue
		case map[string]any:
			value = at[part]
		}
		if out.Len() > 0 {
			out.WriteByte('.')
		}
		out.WriteString(part)
	}
	return out.String()
}
