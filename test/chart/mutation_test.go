package chart_test

import (
	"cmp"
	"context"
	"fmt"
	"hash/crc32"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	tree "text/template/parse"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/internal/figures"
	"chartbasico/internal/helm3"
)

// mutant is the chart with one thing taken out of its templates.
type mutant struct {
	file string
	line int
	what string // what was taken out
	make func() (*helm3.Chart, error)
}

// id tells mutants apart and does not change when lines move.
func (m mutant) id() string { return m.file + ": " + m.what }

// most is the percentage of mutants that may go unnoticed without a reason in excused.
const most = 1

// excused are those that nothing here can notice, with the reason.
var excused = []struct {
	mutant *regexp.Regexp
	reason string
}{
	{regexp.MustCompile(`^\S+ lacks the step default (dict|list|"DNS"|"ClusterIP") of `), "what is absent acts as the empty or usual value does"},
	{regexp.MustCompile(`^\S+ lacks the step sortAlpha of `), "an order that shows where two mistakes are in one place only"},
	{regexp.MustCompile(`^templates/lib/_data\.tpl:\d+ lacks the condition of if contains ":null" `), "without it nulls are looked for where there are none"},
	{regexp.MustCompile(`^templates/checks/_routing\.tpl:(48|10\d|11\d) `), lookedUp},
}

// excuse is why nothing notices a mutant, empty if there is no reason.
func excuse(found string) string {
	for _, e := range excused {
		if e.mutant.MatchString(found) {
			return e.reason
		}
	}
	return ""
}

// sample is how many mutants a run makes one of: all of them take minutes. BASICO_MUTANTS=all makes all, and
// BASICO_MUTANTS=templates/exposure those of the files that begin so.
const sample = 12

// TestEveryLineMatters: take any line out of a template, or any node, or any step of a pipeline, and something that a
// test holds comes out otherwise. What is held are the goldens of all cases, and the texts of all mistakes.
func TestEveryLineMatters(t *testing.T) {
	began := time.Now()
	chart, err := chart3()
	require.NoError(t, err)
	all := inputs(t)

	reach, want := reaches(t, chart, all)
	mutants := append(lines(t, chart), nodes(t, chart)...)
	made := len(mutants)
	switch of := os.Getenv("BASICO_MUTANTS"); of {
	case "all":
	case "":
		mutants = slices.DeleteFunc(mutants, func(m mutant) bool { return crc32.ChecksumIEEE([]byte(m.id()))%sample != 0 })
	default:
		mutants = slices.DeleteFunc(mutants, func(m mutant) bool { return !strings.HasPrefix(m.file, of) })
		require.NotEmpty(t, mutants, "BASICO_MUTANTS=%s: no template begins so", of)
	}
	judge := &judge{all: all, want: want, reach: reach, last: map[string]int{}}
	work := make(chan mutant)
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for m := range work {
				judge.judge(t.Context(), m)
			}
		})
	}
	for _, m := range mutants {
		work <- m
	}
	close(work)
	group.Wait()

	slices.SortFunc(judge.survived, func(a, b mutant) int {
		return cmp.Or(strings.Compare(a.file, b.file), a.line-b.line, strings.Compare(a.what, b.what))
	})
	unexcused := 0
	for _, m := range judge.survived {
		found := fmt.Sprintf("%s:%d lacks %s", m.file, m.line, m.what)
		reason := excuse(found)
		if reason == "" {
			unexcused++
		}
		t.Logf("nothing notices: %s: %s", found, cmp.Or(reason, "NO REASON"))
	}
	assert.LessOrEqual(t, unexcused*100, most*len(mutants), "percent of mutants that nothing notices: add cases to edges for the lines above without a reason")
	figures.Record(t, "mutants of templates", made, "%d, of which %d were made: %d noticed (%d by the template parser), %d not, all but %d of them for a reason that is listed; %s",
		made, len(mutants), judge.killed, judge.unparsed, len(judge.survived), unexcused, time.Since(began).Round(100*time.Millisecond))
	require.Positive(t, judge.killed)
}

// reaches says which inputs execute what begins on a line of a file, and what each input renders to.
func reaches(t testing.TB, chart *helm3.Chart, all []input) (reach map[string]map[int][]int, want []string) {
	t.Helper()
	now := map[int]bool{}
	marked, at := instrument(t, chart, true, func(call int) { now[call] = true })
	reach = map[string]map[int][]int{}
	for i, in := range all {
		clear(now)
		in.outcome(t.Context(), marked)
		seen := map[string]bool{}
		for call := range now {
			m := place.FindStringSubmatch(at[call])
			if m == nil || seen[m[1]+":"+m[2]] {
				continue
			}
			seen[m[1]+":"+m[2]] = true
			line, err := strconv.Atoi(m[2])
			require.NoError(t, err)
			if reach[m[1]] == nil {
				reach[m[1]] = map[int][]int{}
			}
			reach[m[1]][line] = append(reach[m[1]][line], i)
		}
		want = append(want, in.outcome(t.Context(), chart))
	}
	return reach, want
}

var place = regexp.MustCompile(`^([^:]+):(\d+):\d+: `)

// judge tells whether any input comes out otherwise.
type judge struct {
	all   []input
	want  []string
	reach map[string]map[int][]int

	mu               sync.Mutex
	killed, unparsed int
	survived         []mutant
	last             map[string]int // the input that told of the last mutant of a file, which is likely to tell of the next
}

func (j *judge) judge(ctx context.Context, m mutant) {
	chart, err := m.make()
	noticed := err != nil
	if err == nil {
		noticed = j.notices(ctx, m, chart)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if noticed {
		j.killed++
		if err != nil {
			j.unparsed++
		}
		return
	}
	j.survived = append(j.survived, m)
}

// notices renders those inputs with the mutant that execute what was changed: no other can come out otherwise.
func (j *judge) notices(ctx context.Context, m mutant, chart *helm3.Chart) bool {
	// A line on which nothing begins belongs to what begins above it.
	line := m.line
	for line > 0 && j.reach[m.file][line] == nil {
		line--
	}
	j.mu.Lock()
	order := slices.Clone(j.reach[m.file][line])
	if i := slices.Index(order, j.last[m.file]); i > 0 {
		order[0], order[i] = order[i], order[0]
	}
	j.mu.Unlock()
	for _, i := range order {
		if j.all[i].outcome(ctx, chart) != j.want[i] {
			j.mu.Lock()
			j.last[m.file] = i
			j.mu.Unlock()
			return true
		}
	}
	return false
}

// lines are the mutants without one line, but for those that say nothing: blank ones, and comments.
func lines(t testing.TB, chart *helm3.Chart) (out []mutant) {
	t.Helper()
	for file, text := range chart.Sources() {
		all := strings.SplitAfter(text, "\n")
		comment := false
		for i, line := range all {
			begins, ends := strings.Contains(line, "{{- /*"), strings.Contains(line, "*/")
			skip := comment || begins && ends || strings.TrimSpace(line) == ""
			comment = (comment || begins) && !ends
			if skip || comment {
				continue
			}
			out = append(out, mutant{file: file, line: i + 1, what: "the line " + strings.TrimSpace(line), make: func() (*helm3.Chart, error) {
				return chart.Replace(file, strings.Join(slices.Concat(all[:i], all[i+1:]), ""))
			}})
		}
	}
	require.NotEmpty(t, out)
	return out
}

// nodes are the mutants without an action, the body or the else of a branch, the condition of an if, or a step of a pipeline.
func nodes(t testing.TB, chart *helm3.Chart) (out []mutant) {
	t.Helper()
	// Each edit counts through the trees in the same order, and changes what has its number.
	_, err := chart.Edit(nil, func(file string, parsed *tree.Tree) {
		for _, e := range edits(parsed) {
			nth, name := e.nth, parsed.Name
			out = append(out, mutant{file: file, line: e.line, what: e.what, make: func() (*helm3.Chart, error) {
				return chart.Edit(nil, func(_ string, t *tree.Tree) {
					if t.Name == name {
						edits(t)[nth].change()
					}
				})
			}})
		}
	})
	require.NoError(t, err)
	require.NotEmpty(t, out)
	return out
}

type edit struct {
	nth    int
	line   int
	what   string
	change func()
}

// edits are all changes of a tree.
func edits(parsed *tree.Tree) (out []edit) {
	add := func(n tree.Node, what string, change func()) {
		where, _ := parsed.ErrorContext(n)
		parts := strings.Split(where, ":")
		line, _ := strconv.Atoi(parts[len(parts)-2]) // file:line:column
		out = append(out, edit{nth: len(out), line: line, what: what, change: change})
	}
	steps := func(n tree.Node, p *tree.PipeNode) {
		if p == nil {
			return
		}
		for i := 1; i < len(p.Cmds); i++ {
			add(n, fmt.Sprintf("the step %s of %s", p.Cmds[i], p), func() { p.Cmds = slices.Delete(p.Cmds, i, i+1) })
		}
	}
	var walk func(list *tree.ListNode)
	walk = func(list *tree.ListNode) {
		if list == nil {
			return
		}
		for i, n := range list.Nodes {
			remove := func() { list.Nodes = slices.Delete(list.Nodes, i, i+1) }
			switch n := n.(type) {
			case *tree.ActionNode:
				add(n, n.String(), remove)
				steps(n, n.Pipe)
			case *tree.TextNode:
				if strings.TrimSpace(string(n.Text)) != "" {
					add(n, fmt.Sprintf("the text %q", n.Text), remove)
				}
			}
			b, kind := branchOf(n)
			if b == nil {
				continue
			}
			steps(n, b.Pipe)
			add(n, fmt.Sprintf("the body of %s %s", kind, b.Pipe), func() { b.List = &tree.ListNode{NodeType: tree.NodeList} })
			if b.ElseList != nil {
				add(n, fmt.Sprintf("the else of %s %s", kind, b.Pipe), func() { b.ElseList = nil })
			}
			if kind == "if" {
				add(n, fmt.Sprintf("the condition of if %s", b.Pipe), func() { list.Nodes = slices.Concat(list.Nodes[:i], b.List.Nodes, list.Nodes[i+1:]) })
			}
			walk(b.List)
			walk(b.ElseList)
		}
	}
	walk(parsed.Root)
	return out
}

// TestMutationCanFail: without the cases about egress, nothing notices what is taken out of its templates.
func TestMutationCanFail(t *testing.T) {
	chart, err := chart3()
	require.NoError(t, err)
	in := input{values: parse(t, "app: shop")}
	reach, want := reaches(t, chart, []input{in})
	j := &judge{all: []input{in}, want: want, reach: reach, last: map[string]int{}}
	n := 0
	for _, m := range lines(t, chart) {
		if m.file == "templates/egress/serviceentry.yaml" {
			n++
			j.judge(t.Context(), m)
		}
	}
	assert.NotEmpty(t, j.survived)
	assert.Equal(t, n, j.killed+len(j.survived))
}
