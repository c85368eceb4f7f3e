package chart_test

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/template"
	tree "text/template/parse"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/internal/corpus"
	"chartbasico/internal/figures"
	"chartbasico/internal/helm3"
)

// input is what the chart is rendered with here: a case that has a golden, or a mistake whose very text TestRules holds.
type input struct {
	name    string
	values  map[string]any
	mistake bool
}

func inputs(t testing.TB) (out []input) {
	t.Helper()
	cases, err := corpus.Read(root)
	require.NoError(t, err)
	for _, c := range cases {
		out = append(out, input{name: c.Name, values: c.Values})
	}
	for _, rule := range slices.Concat(rules, networkRules) {
		out = append(out, input{name: "TestRules/" + rule.name, values: with(t, rule.layer), mistake: true})
	}
	return out
}

// outcome is what comes of the input: the objects and notes, or the error.
func (in input) outcome(ctx context.Context, chart *helm3.Chart) string {
	files, err := chart.Outputs(ctx, helm3.Spec{Name: "demo", Namespace: namespace, Values: in.values}, helm3.Capabilities{KubeVersion: kubeVersion})
	if err != nil {
		return "error: " + err.Error()
	}
	var docs []string
	for name, text := range files {
		for i, doc := range strings.Split(text, "\n---") {
			// Helm drops what is blank.
			if doc = strings.TrimSpace(doc); doc != "" {
				docs = append(docs, fmt.Sprintf("%s %d\n%s", name, i, doc))
			}
		}
	}
	slices.Sort(docs)
	return strings.Join(docs, "\n---\n")
}

// instrument is the chart with a call at the beginning of each branch, also of the else that is not written, and, with
// statements, before each action too. at says where each call stands.
func instrument(t testing.TB, chart *helm3.Chart, statements bool, hit func(call int)) (edited *helm3.Chart, at []string) {
	t.Helper()
	called := func(what string) tree.Node {
		at = append(at, what)
		text := fmt.Sprintf("{{covered %d}}", len(at)-1)
		trees, err := tree.Parse("covered", text, "", "", map[string]any{"covered": hit})
		require.NoError(t, err)
		return trees["covered"].Root.Nodes[0]
	}
	begin := func(list *tree.ListNode, what string) *tree.ListNode {
		if list == nil {
			list = &tree.ListNode{NodeType: tree.NodeList}
		}
		list.Nodes = append([]tree.Node{called(what)}, list.Nodes...)
		return list
	}
	edited, err := chart.Edit(template.FuncMap{"covered": func(call int) string { hit(call); return "" }}, func(file string, t *tree.Tree) {
		if tree.IsEmptyTree(t.Root) {
			return // a file of definitions
		}
		place := func(n tree.Node) string {
			where, _ := t.ErrorContext(n)
			return strings.TrimPrefix(where, "chart_basico/")
		}
		var walk func(list *tree.ListNode)
		walk = func(list *tree.ListNode) {
			if list == nil {
				return
			}
			var out []tree.Node
			for _, n := range list.Nodes {
				if statements {
					out = append(out, called(place(n)+": "))
				}
				out = append(out, n)
				b, kind := branchOf(n)
				if b == nil {
					continue
				}
				what := fmt.Sprintf("%s: %s %s: ", place(n), kind, b.Pipe)
				walk(b.List)
				walk(b.ElseList)
				b.List = begin(b.List, what+"taken")
				if kind == "range" && b.ElseList == nil {
					continue // a loop that runs not once is no branch
				}
				b.ElseList = begin(b.ElseList, what+"not taken")
			}
			list.Nodes = out
		}
		walk(t.Root)
		t.Root = begin(t.Root, file+": "+t.Name)
	})
	require.NoError(t, err)
	return edited, at
}

func branchOf(n tree.Node) (b *tree.BranchNode, kind string) {
	switch n := n.(type) {
	case *tree.IfNode:
		return &n.BranchNode, "if"
	case *tree.WithNode:
		return &n.BranchNode, "with"
	case *tree.RangeNode:
		return &n.BranchNode, "range"
	}
	return nil, ""
}

// unreached are the branches that no test need take, each with the reason.
var unreached = map[string]string{
	`templates/checks/_routing.tpl: range get ($live.spec | default dict) $kind | default list: taken`:                                         lookedUp,
	`templates/checks/_routing.tpl: range concat (.route | default list) (.mirrors | default list) (list (dict "destination" .mirror)): taken`: lookedUp,
	`templates/checks/_routing.tpl: if and $d.subset (eq $d.host $v.app) (not (has $d.subset $.known)): taken`:                                 lookedUp,
	`templates/checks/_routing.tpl: if and $d.subset (eq $d.host $v.app) (not (has $d.subset $.known)): not taken`:                             lookedUp,
	`templates/checks/_routing.tpl: range $subset, $name := $lost: taken`:                                                                      lookedUp,
}

const lookedUp = "what is live can only be seen on a cluster, where the suites in test/ upgrade"

var lineAndColumn = regexp.MustCompile(`:\d+:\d+: `)

// TestEveryBranchIsTaken: each way through each template, the else that is not written too, is gone by some case that
// has a golden, or some mistake whose text is held.
func TestEveryBranchIsTaken(t *testing.T) {
	chart, err := chart3()
	require.NoError(t, err)
	var taken sync.Map
	edited, at := instrument(t, chart, false, func(branch int) { taken.Store(branch, true) })
	all := inputs(t)
	for _, in := range all {
		in.outcome(t.Context(), edited)
	}
	missed := 0
	needless := maps.Clone(unreached)
	for i, where := range at {
		if _, ok := taken.Load(i); ok {
			continue
		}
		branch := lineAndColumn.ReplaceAllString(where, ": ")
		delete(needless, branch)
		if unreached[branch] == "" {
			missed++
			t.Errorf("no test takes %s", where)
		}
	}
	for branch := range needless {
		t.Errorf("an exception for a branch that is taken, or not there: %s", branch)
	}
	figures.Record(t, "branches of templates", len(at)-len(unreached), "%d of %d taken by %d inputs; %d cannot be, by name", len(at)-missed-len(unreached), len(at)-len(unreached), len(all), len(unreached))
}

// TestCoverageCanFail: without the cases about egress, the branches about egress are missed.
func TestCoverageCanFail(t *testing.T) {
	chart, err := chart3()
	require.NoError(t, err)
	var taken sync.Map
	edited, at := instrument(t, chart, false, func(branch int) { taken.Store(branch, true) })
	input{values: parse(t, "app: shop")}.outcome(t.Context(), edited)
	files, branches := 0, 0
	for i, where := range at {
		_, ok := taken.Load(i)
		switch {
		case where == "templates/egress/serviceentry.yaml: chart_basico/templates/egress/serviceentry.yaml":
			files++
			assert.True(t, ok, where)
		case strings.HasPrefix(where, "templates/egress/serviceentry.yaml:1:") && strings.HasSuffix(where, ": taken"):
			branches++
			assert.False(t, ok, where)
		}
	}
	assert.Equal(t, 1, files)
	assert.NotZero(t, branches)
}
