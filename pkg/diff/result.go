package diff

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Result is a whole comparison. What the chart changes, with the same values, is apart from
// what the values change, with the same chart: only the first asks for a chart version.
type Result struct {
	Old         string    `json:"old"` // as they were named
	New         string    `json:"new"`
	Gate        Gate      `json:"gate"`
	Chart       []Change  `json:"chart"`
	Values      []Change  `json:"values"`
	Compared    Compared  `json:"compared"`
	NotCompared []Skipped `json:"notCompared"`
}

// Compared counts what was looked at.
type Compared struct {
	Environments int `json:"environments"`
	Releases     int `json:"releases"`
	Objects      int `json:"objects"` // of the new side
}

// Skipped is a release that renders on neither side, or an environment that cannot be read.
type Skipped struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// Group is changes that are the same but for the object.
type Group struct {
	Change
	Objects []string // Kind/namespace/name, each once; empty where the change is of no object
	Alike   bool     // old and new are the same in all of them
}

// Groups puts changes of the same rule, kind and path together, the gravest first.
func Groups(changes []Change) []Group {
	type key struct{ rule, kind, path, meaning string }
	place := map[key]int{}
	var out []Group
	for _, c := range changes {
		kind, _, _ := strings.Cut(c.Object, "/")
		k := key{c.Rule, kind, general(c.Path), c.Meaning}
		if c.Object == "" {
			k.kind = c.Old + c.New // of values that are refused, the reason
		}
		i, ok := place[k]
		if !ok {
			i = len(out)
			place[k] = i
			out = append(out, Group{Change: c, Alike: true})
		}
		g := &out[i]
		g.Alike = g.Alike && g.Path == c.Path && g.Old == c.Old && g.New == c.New
		if name := c.where(); name != "" && !slices.Contains(g.Objects, name) {
			g.Objects = append(g.Objects, name)
		}
	}
	return out
}

// general is a path without the names of containers and the like.
func general(path string) string {
	var b strings.Builder
	depth := 0
	for _, r := range path {
		switch {
		case r == '[':
			depth++
		case r == ']':
			depth--
			b.WriteString("[]")
		case depth == 0:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// where is the object, or else the release or values file.
func (c Change) where() string {
	if c.Object != "" {
		return c.Object
	}
	return strings.Trim(c.Environment+" "+c.Release, " ")
}

// what is the difference in one line.
func (g Group) what() string {
	path := g.Path
	if !g.Alike {
		path = general(path)
	}
	old, new := g.Old, g.New
	var change string
	switch {
	case !g.Alike && len(g.Objects) > 1:
		change = "differs, as " + arrow(old, new) + " in the first"
	case old == "" && new == "":
		change = ""
	default:
		change = arrow(old, new)
	}
	return strings.Trim(path+": "+change, ": ")
}

func arrow(old, new string) string {
	switch {
	case old == "":
		return new
	case new == "":
		return old + " → nothing"
	}
	return old + " → " + new
}

// some is the first objects of a list, and how many more there are.
func some(objects []string, n int) string {
	if len(objects) <= n+1 {
		return strings.Join(objects, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(objects[:n], ", "), len(objects)-n)
}

// JSON writes the result for programs, every change by itself.
func (r Result) JSON(w io.Writer) error {
	for _, list := range []*[]Change{&r.Chart, &r.Values} {
		if *list == nil {
			*list = []Change{}
		}
	}
	if r.NotCompared == nil {
		r.NotCompared = []Skipped{}
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}

// Text writes the result for people at a terminal.
func (r Result) Text(w io.Writer) error {
	var b strings.Builder
	section := func(title string, changes []Change) {
		fmt.Fprintf(&b, "%s: %s\n", title, tally(changes))
		for _, g := range Groups(changes) {
			fmt.Fprintf(&b, "  %-5s  %-16s  %s\n", g.Level, g.Rule, g.what())
			fmt.Fprintf(&b, "         %s\n", g.Meaning)
			if len(g.Objects) > 0 {
				fmt.Fprintf(&b, "         in %s\n", some(g.Objects, 3))
			}
		}
	}
	section("Chart, with the same values", r.Chart)
	section("Values, with the new chart", r.Values)
	for _, s := range r.NotCompared {
		fmt.Fprintf(&b, "not compared: %s: %s\n", s.Name, s.Reason)
	}
	fmt.Fprintln(&b, r.summary())
	verdict := "held"
	if !r.Gate.Pass {
		verdict = "fell short"
	}
	fmt.Fprintf(&b, "version: %s: %s\n", verdict, r.Gate)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r Result) summary() string {
	return fmt.Sprintf("%s → %s: %s, %s, %s compared", r.Old, r.New,
		count(r.Compared.Environments, "environment"), count(r.Compared.Releases, "release"), count(r.Compared.Objects, "object"))
}

func tally(changes []Change) string {
	if len(changes) == 0 {
		return "no change"
	}
	n := map[Level]int{}
	for _, c := range changes {
		n[c.Level]++
	}
	var parts []string
	for _, l := range []Level{Major, Minor, Patch} {
		if n[l] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[l], l))
		}
	}
	return Highest(changes).String() + " (" + strings.Join(parts, ", ") + ")"
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// longest keeps each of the two sections well below what a comment may have, 65,536 characters;
// the JSON has all.
const longest = 25_000

// Markdown writes the result as a comment on a pull request: the judgement first, every object
// folded below it.
func (r Result) Markdown(w io.Writer) error {
	var b strings.Builder
	verdict := "✅"
	if !r.Gate.Pass {
		verdict = "❌"
	}
	fmt.Fprintf(&b, "### Rendered difference: chart %s, values %s\n\n", Highest(r.Chart), Highest(r.Values))
	fmt.Fprintf(&b, "%s Version: %s.\n\n%s.\n", verdict, escape(r.Gate.String()), escape(r.summary()))
	section := func(title string, changes []Change) {
		if len(changes) == 0 {
			return
		}
		start := b.Len()
		fmt.Fprintf(&b, "\n#### %s: %s\n\n| level | rule | change | what it means | where |\n| --- | --- | --- | --- | --- |\n", title, tally(changes))
		groups := Groups(changes)
		for i, g := range groups {
			if b.Len()-start > longest/2 {
				fmt.Fprintf(&b, "| | | and %d more | | |\n", len(groups)-i)
				break
			}
			fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s |\n", g.Level, g.Rule, escape(g.what()), escape(g.Meaning), escape(some(g.Objects, 3)))
		}
		fmt.Fprintf(&b, "\n<details><summary>Every object</summary>\n\n")
		shown := 0
		for _, c := range changes {
			if b.Len()-start > longest {
				break
			}
			shown++
			fmt.Fprintf(&b, "- `%s` %s: %s\n", c.Rule, escape(c.where()), escape(Group{Change: c, Alike: true}.what()))
		}
		if shown < len(changes) {
			fmt.Fprintf(&b, "- … and %d more\n", len(changes)-shown)
		}
		fmt.Fprintf(&b, "\n</details>\n")
	}
	section("The chart, with the same values", r.Chart)
	section("The values, with the new chart", r.Values)
	if len(r.NotCompared) > 0 {
		fmt.Fprintf(&b, "\nNot compared:\n")
		for _, s := range r.NotCompared {
			fmt.Fprintf(&b, "- %s: %s\n", escape(s.Name), escape(s.Reason))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// escape keeps text from being read as Markdown, HTML, or a mention of somebody.
func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, "|", `\|`, "<", "&lt;", ">", "&gt;", "*", `\*`, "_", `\_`, "`", "'", "@", "@\u200b", "[", `\[`, "]", `\]`, "\n", " ", "#", `\#`).Replace(s)
}
