package helm3

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"text/template"
	_ "unsafe" // for linkname

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	_ "helm.sh/helm/v3/pkg/engine" // the functions below are its own
)

// Helm parses all templates of a chart anew for each release, which is half of the time that rendering takes. Here a
// chart's templates are parsed once, and Helm, which still sorts, splits and checks what comes out, is given their
// output as the templates. The functions that templates call are Helm's own.

//go:linkname funcMap helm.sh/helm/v3/pkg/engine.funcMap
func funcMap() template.FuncMap

//go:linkname cleanupExecError helm.sh/helm/v3/pkg/engine.cleanupExecError
func cleanupExecError(filename string, err error) error

// templates are a chart's, parsed.
type templates struct {
	once   sync.Once
	root   *template.Template
	names  []string // those with output, in Helm's order
	usable bool
	nested int // how deep a template may include itself
}

// maxNested is how deep a template may include itself, as in Helm's engine.
const maxNested = 1000

// parse parses the templates. Where the chart has what this engine does not do, or does not parse, it is not usable,
// and Helm renders the chart, or says what is wrong with it.
func (t *templates) parse(ch *chart.Chart) bool {
	t.once.Do(func() {
		if len(ch.Dependencies()) > 0 || ch.Metadata.Type == "library" {
			return
		}
		t.root = template.New("gotpl").Option("missingkey=zero").Funcs(funcMap())
		sources := map[string]string{}
		for _, file := range ch.Templates {
			if bytes.Contains(file.Data, []byte(".Files")) || bytes.Contains(file.Data, []byte(".Subcharts")) || bytes.Contains(file.Data, []byte("tpl")) {
				return
			}
			name := path.Join(ch.ChartFullPath(), file.Name)
			sources[name] = string(file.Data)
			t.names = append(t.names, name)
		}
		slices.SortFunc(t.names, deepestFirst)
		for _, name := range t.names {
			if _, err := t.root.New(name).Parse(sources[name]); err != nil {
				return
			}
		}
		t.names = slices.DeleteFunc(t.names, func(name string) bool { return strings.HasPrefix(path.Base(name), "_") })
		t.nested = maxNested
		t.usable = true
	})
	return t.usable
}

// deepestFirst is the order in which Helm parses and renders: so the templates of a chart win over those of its parts.
func deepestFirst(a, b string) int {
	if n, m := strings.Count(a, "/"), strings.Count(b, "/"); n != m {
		return m - n
	}
	return strings.Compare(b, a)
}

// rendered returns the chart with its templates replaced by their output, or as it is where Helm must render it.
func (c *Chart) rendered(ch *chart.Chart, spec Spec, caps *chartutil.Capabilities) (*chart.Chart, error) {
	if !c.templates.parse(ch) {
		return ch, nil
	}
	out := *ch
	out.Templates = nil
	err := c.each(ch, spec, caps, func(name, text string) {
		// What looks like a template in the output is none.
		literal := strings.ReplaceAll(text, "{{", `{{"{{"}}`)
		out.Templates = append(out.Templates, &chart.File{Name: strings.TrimPrefix(name, ch.ChartFullPath()+"/"), Data: []byte(literal)})
	})
	if err != nil {
		return nil, err
	}
	return &out, nil
}

// each renders the parsed templates in Helm's order.
func (c *Chart) each(ch *chart.Chart, spec Spec, caps *chartutil.Capabilities, took func(name, text string)) error {
	values, err := chartutil.ToRenderValues(ch, spec.Values, chartutil.ReleaseOptions{
		Name: spec.Name, Namespace: spec.Namespace, Revision: 1, IsInstall: true,
	}, caps)
	if err != nil {
		return err
	}
	root, err := c.templates.root.Clone()
	if err != nil {
		return err
	}
	bind(root, c.templates.nested)
	top := map[string]any{
		"Chart": struct {
			chart.Metadata
			IsRoot bool
		}{*ch.Metadata, ch.IsRoot()},
		"Release": values["Release"], "Capabilities": values["Capabilities"], "Values": values["Values"],
		"Subcharts": map[string]any{},
	}
	for _, name := range c.templates.names {
		top["Template"] = chartutil.Values{"Name": name, "BasePath": path.Join(ch.ChartFullPath(), "templates")}
		var text strings.Builder
		if err := root.ExecuteTemplate(&text, name, top); err != nil {
			return cleanupExecError(name, err)
		}
		took(name, strings.ReplaceAll(text.String(), "<no value>", ""))
	}
	return nil
}

// bind gives templates the functions that depend on the templates themselves, as Helm's engine does.
func bind(t *template.Template, deepest int) {
	nested := map[string]int{}
	t.Funcs(template.FuncMap{
		"include": func(name string, data any) (string, error) {
			if nested[name] > deepest {
				return "", fmt.Errorf("rendering template has a nested reference name: %s: unable to execute template", name)
			}
			nested[name]++
			defer func() { nested[name]-- }()
			var text strings.Builder
			err := t.ExecuteTemplate(&text, name, data)
			return text.String(), err
		},
		"required": func(message string, value any) (any, error) {
			if value == nil || value == "" {
				return value, errors.New(warning(message))
			}
			return value, nil
		},
		"fail":          func(message string) (string, error) { return "", errors.New(warning(message)) },
		"getHostByName": func(string) string { return "" },
	})
}

// warning marks a chart's own message, so that Helm can find it in an error of the template package.
func warning(message string) string { return "HELM_ERR_START" + message + "HELM_ERR_END" }
