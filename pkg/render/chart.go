package render

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"chartbasico/internal/helm3"
	"chartbasico/internal/schemaerr"
	"chartbasico/pkg/problem"
)

// chart is a loaded chart with its schema compiled as Helm compiles it.
type chart struct {
	*helm3.Chart
	document any // of values.schema.json
	schema   *jsonschema.Schema
}

func loadChart(dir string) (*chart, error) {
	loaded, err := helm3.LoadChart(dir)
	if err != nil {
		return nil, err
	}
	c := &chart{Chart: loaded}
	if loaded.Schema == nil {
		return c, nil
	}
	if c.document, err = jsonschema.UnmarshalJSON(bytes.NewReader(loaded.Schema)); err != nil {
		return nil, fmt.Errorf("chart %s: values.schema.json: %w", dir, err)
	}
	const url = "file:///values.schema.json"
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(jsonschema.SchemeURLLoader{}) // a reference out of the file is an error, not a download
	if err := compiler.AddResource(url, c.document); err != nil {
		return nil, fmt.Errorf("chart %s: values.schema.json: %w", dir, err)
	}
	if c.schema, err = compiler.Compile(url); err != nil {
		return nil, fmt.Errorf("chart %s: values.schema.json: %w", dir, err)
	}
	return c, nil
}

// validate holds the values, laid over the chart's defaults, against the chart's schema.
func (c *chart) validate(values map[string]any, layers layers) (problem.List, error) {
	if c.schema == nil {
		return nil, nil
	}
	coalesced, err := c.Coalesce(values)
	if err != nil {
		return nil, err
	}
	err = c.schema.Validate(coalesced)
	if err == nil {
		return nil, nil
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return nil, err
	}
	var out problem.List
	for _, f := range schemaerr.Explain(invalid, c.document, coalesced, layers.written) {
		out = append(out, c.problem(f.Path, layers, problem.Problem{Rule: "values-schema", Path: f.Place, Found: f.Found, Expected: f.Expected, Fix: f.Fix}))
	}
	return out, nil
}

// problem completes p with the place of the value at path.
func (c *chart) problem(path []string, layers layers, p problem.Problem) problem.Problem {
	p.Severity = problem.Error
	p.File, p.Line = layers.locate(path)
	return p
}

var (
	// A chart of ours reports a mistake in one line of this form, and as many as there are.
	mistake = regexp.MustCompile(`^\s*-\s+(\S.*?): found (.*?); allowed: (.*?); fix: (.*)$`)
	// Helm puts the place and the function's name around what `fail` was given.
	executed = regexp.MustCompile(`(?s)execution error at \(([^():]+):(\d+)(?::\d+)?\): (.*)`)
	placed   = regexp.MustCompile(`template: ([^:\s]+):(\d+)(?::\d+)?: (?:executing "[^"]*" )?(?:at <[^\n]*?>: )?`)
	inYAML   = regexp.MustCompile(`YAML parse error on ([^:\s]+): (.*)`)
)

// explain translates an error of Helm's template engine: the mistakes that the chart itself
// reports, or else the innermost place and its message instead of the stack around them.
func (c *chart) explain(err error, layers layers) problem.List {
	text := strings.TrimSpace(err.Error())
	var out problem.List
	for line := range strings.Lines(text) {
		if m := mistake.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			out = append(out, c.problem(valuePath(m[1]), layers, problem.Problem{Rule: "values", Path: m[1], Found: m[2], Expected: m[3], Fix: m[4]}))
		}
	}
	if len(out) > 0 {
		return out
	}
	p := problem.Problem{Severity: problem.Error, Rule: "template", Found: text}
	switch {
	case executed.MatchString(text):
		m := executed.FindStringSubmatch(text)
		p.File, p.Line, p.Found = c.template(m[1]), atoi(m[2]), m[3]
	case inYAML.MatchString(text):
		m := inYAML.FindStringSubmatch(text)
		p.File, p.Found, p.Expected = c.template(m[1]), m[2], "a template that renders YAML"
	case placed.MatchString(text):
		all := placed.FindAllStringSubmatchIndex(text, -1)
		last := all[len(all)-1]
		p.File, p.Line, p.Found = c.template(text[last[2]:last[3]]), atoi(text[last[4]:last[5]]), text[last[1]:]
	}
	p.Found = strings.Join(strings.Fields(p.Found), " ")
	return problem.List{p}
}

// template is the path of a template that Helm names from the chart's name down.
func (c *chart) template(name string) string {
	_, rest, ok := strings.Cut(name, "/")
	if !ok {
		return name
	}
	return relative(filepath.Join(c.Dir, filepath.FromSlash(path.Clean(rest))))
}

// valuePath splits a.b[0].c; versions such as v1.3.4 make it ambiguous, and only the line is lost then.
func valuePath(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
}

func atoi(s string) int {
	n, _ := strconv.Atoi(s) // digits, by the pattern
	return n
}
