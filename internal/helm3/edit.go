package helm3

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"text/template"
	"text/template/parse"

	"helm.sh/helm/v3/pkg/chartutil"
)

// What stands here is for those who measure a chart's templates: which of their branches were taken, and whether
// anything notices a change in them.

// Sources are the chart's template files by their path in the chart.
func (c *Chart) Sources() map[string]string {
	out := make(map[string]string, len(c.loaded.Templates))
	for _, f := range c.loaded.Templates {
		out[f.Name] = string(f.Data)
	}
	return out
}

// Replace is the chart with another text for one template file. A text that does not parse is an error.
func (c *Chart) Replace(file, text string) (*Chart, error) {
	root, err := c.parsed()
	if err != nil {
		return nil, err
	}
	name := path.Join(c.loaded.ChartFullPath(), file)
	trees, err := parseFile(name, text)
	if err != nil {
		return nil, err
	}
	before, err := parseFile(name, c.Sources()[file])
	if err != nil {
		return nil, err
	}
	for gone := range before {
		if trees[gone] == nil { // it would stay as it was
			trees[gone] = &parse.Tree{Name: gone, ParseName: name, Root: &parse.ListNode{NodeType: parse.NodeList}}
		}
	}
	return c.with(root, trees)
}

// Edit is the chart with every template changed by edit, which is given the file that defines it and its parse tree.
// funcs are what the changed templates may call beside Helm's own functions.
func (c *Chart) Edit(funcs template.FuncMap, edit func(file string, tree *parse.Tree)) (*Chart, error) {
	root, err := c.parsed()
	if err != nil {
		return nil, err
	}
	root.Funcs(funcs)
	trees := map[string]*parse.Tree{}
	for _, t := range root.Templates() {
		if t.Tree == nil || t.Root == nil {
			continue
		}
		tree := t.Copy()
		edit(strings.TrimPrefix(tree.ParseName, c.loaded.ChartFullPath()+"/"), tree)
		trees[t.Name()] = tree
	}
	return c.with(root, trees)
}

// Outputs is what each template file with output renders to, before Helm sorts it and looks at it.
func (c *Chart) Outputs(ctx context.Context, spec Spec, caps Capabilities) (map[string]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	version, err := chartutil.ParseKubeVersion(caps.KubeVersion)
	if err != nil {
		return nil, err
	}
	asked := chartutil.DefaultCapabilities.Copy()
	asked.KubeVersion = *version
	asked.APIVersions = append(asked.APIVersions, caps.APIVersions...)
	if _, err := c.parsed(); err != nil {
		return nil, err
	}
	ch := *c.loaded
	ch.Schema = nil
	out := map[string]string{}
	err = c.each(&ch, spec, asked, func(name, text string) { out[strings.TrimPrefix(name, ch.ChartFullPath()+"/")] = text })
	return out, err
}

// parsed is a copy of the chart's parsed templates.
func (c *Chart) parsed() (*template.Template, error) {
	if !c.templates.parse(c.loaded) {
		return nil, errors.New("templates that only Helm's own engine renders")
	}
	return c.templates.root.Clone()
}

// editedNested is how deep a changed template may include itself: errors of a thousand levels take seconds to write.
const editedNested = 50

// with is the chart with some of its templates replaced.
func (c *Chart) with(root *template.Template, trees map[string]*parse.Tree) (*Chart, error) {
	for name, tree := range trees {
		if t := root.Lookup(name); t != nil {
			t.Tree = tree // AddParseTree would keep the old one where the new is empty
			continue
		}
		if _, err := root.AddParseTree(name, tree); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	out := *c
	out.templates = &templates{root: root, names: c.templates.names, usable: true, nested: editedNested}
	out.templates.once.Do(func() {})
	return &out, nil
}

// parseFile is what the text of one file defines.
func parseFile(name, text string) (map[string]*parse.Tree, error) {
	t, err := template.New(name).Funcs(funcMap()).Parse(text)
	if err != nil {
		return nil, err
	}
	trees := map[string]*parse.Tree{}
	for _, defined := range t.Templates() {
		if defined.Tree != nil && defined.Root != nil {
			trees[defined.Name()] = defined.Tree
		}
	}
	return trees, nil
}
