package check

import (
	"compress/gzip"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"chartbasico/internal/nearest"
	"chartbasico/internal/schemaerr"
	"chartbasico/pkg/problem"
)

//go:generate go run chartbasico/internal/schemas

//go:embed schemas/*.json.gz
var files embed.FS

// schemas holds the schemas of one Kubernetes version and of the platform's CRDs as one
// document in memory, in which a kind is compiled when it is first met. kubeconform, which
// does the same from a file or address for each kind, would read and compile the types that
// kinds share again for every one of them.
type schemas struct {
	version  string
	document map[string]any
	kinds    map[string]string // group/version/Kind to a definition

	mu       sync.Mutex // compiler is not safe for concurrent use, nor are the maps below
	compiler *jsonschema.Compiler
	compiled map[string]*jsonschema.Schema
	custom   map[string]*custom
}

var minor = regexp.MustCompile(`^v?(\d+\.\d+)(\.|$|[+-])`)

func openSchemas(version string) (*schemas, error) {
	var name string
	if m := minor.FindStringSubmatch(version); m != nil {
		name = m[1]
	}
	kube, err := readDocument("kubernetes-" + name + ".json.gz")
	if err != nil {
		return nil, fmt.Errorf("no schemas of Kubernetes %q: there are %s", version, strings.Join(versions(), ", "))
	}
	crds, err := readDocument("crds.json.gz")
	if err != nil {
		return nil, err
	}
	maps.Copy(kube.Kinds, crds.Kinds)
	maps.Copy(kube.Definitions, crds.Definitions)
	s := &schemas{
		version:  name,
		document: map[string]any{"definitions": kube.Definitions},
		kinds:    kube.Kinds,
		compiler: jsonschema.NewCompiler(),
		compiled: map[string]*jsonschema.Schema{},
		custom:   map[string]*custom{},
	}
	s.compiler.DefaultDraft(jsonschema.Draft7)
	s.compiler.AssertContent()
	s.compiler.UseLoader(jsonschema.SchemeURLLoader{})
	if err := s.compiler.AddResource(documentURL, s.document); err != nil {
		return nil, err
	}
	return s, nil
}

const documentURL = "mem:///schemas.json"

func versions() []string {
	entries, _ := files.ReadDir("schemas") // embedded: it is there
	var out []string
	for _, e := range entries {
		if v, ok := strings.CutPrefix(e.Name(), "kubernetes-"); ok {
			out = append(out, strings.TrimSuffix(v, ".json.gz"))
		}
	}
	return out
}

type document struct {
	Kinds       map[string]string `json:"kinds"`
	Definitions map[string]any    `json:"definitions"`
}

func readDocument(name string) (*document, error) {
	var d document
	return &d, readJSON(name, &d)
}

func readJSON(name string, into any) error {
	f, err := files.Open("schemas/" + name)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	if err := json.NewDecoder(z).Decode(into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (s *schemas) compile(definition string) (*jsonschema.Schema, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if compiled, ok := s.compiled[definition]; ok {
		return compiled, nil
	}
	compiled, err := s.compiler.Compile(documentURL + "#/definitions/" + definition)
	if err != nil {
		return nil, err
	}
	s.compiled[definition] = compiled
	return compiled, nil
}

// definition is a part of the document, by its name.
func (s *schemas) definition(name string) map[string]any {
	all, _ := s.document["definitions"].(map[string]any)
	schema, _ := all[name].(map[string]any)
	return schema
}

// check holds an object against the schema of its kind.
func (s *schemas) check(o object) problem.List {
	gvk := o.GetAPIVersion() + "/" + o.GetKind()
	definition, ok := s.kinds[gvk]
	if !ok {
		return problem.List{s.unknown(o)}
	}
	value := withoutNulls(o.Object)
	if kind, err := s.customKind(gvk); err == nil && kind != nil { // an error is admit's to tell
		defaulting.Default(value, kind.schema)
	}
	return s.hold(o, definition, value)
}

// hold holds an object, or what it has at the path, against a definition.
func (s *schemas) hold(o object, definition string, value any, path ...string) (out problem.List) {
	fault := func(path, found, expected, fix string) {
		p := o.problem(path, found, expected, fix)
		p.Rule = "schema"
		out = append(out, p)
	}
	schema, err := s.compile(definition)
	if err != nil {
		fault("", err.Error(), "a schema that compiles", "")
		return out
	}
	err = schema.Validate(value)
	var invalid *jsonschema.ValidationError
	switch {
	case errors.As(err, &invalid):
		for _, f := range schemaerr.Explain(invalid, s.document, value, nil) {
			fault(strings.Trim(strings.Join(path, ".")+"."+f.Place, "."), f.Found, f.Expected, f.Fix)
		}
	case err != nil:
		fault("", err.Error(), "", "")
	}
	return out
}

// unknown says that an object's kind is none: a mistake, or that of somebody's operator, which is a warning.
func (s *schemas) unknown(o object) Problem {
	gvk, group := o.GetAPIVersion()+"/"+o.GetKind(), o.GroupVersionKind().Group
	var near, groups []string // what may be meant: a kind of that group or of that name
	known := !strings.Contains(group, ".")
	for _, candidate := range slices.Sorted(maps.Keys(s.kinds)) {
		of, _ := schema.ParseGroupVersion(path.Dir(candidate)) // written by us
		named := path.Base(candidate) == o.GetKind()
		known = known || of.Group == group
		if named {
			groups = append(groups, of.Group)
		}
		if named || of.Group == group {
			near = append(near, candidate)
		}
	}
	p := o.problem("apiVersion", gvk+" is not a kind of Kubernetes "+s.version+", Istio, Gateway API or OpenShift", "", "use an API that this version serves")
	p.Rule = "schema"
	if !known && nearest.Word(group, groups) == "" {
		p.Severity = problem.Warning
		p.Found += ", nor does this environment bring it: it is not checked"
		p.Fix = "see that the cluster has its CustomResourceDefinition"
	} else if near := nearest.Word(gvk, near); near != "" {
		p.Fix = "write " + near
	}
	return p
}

// withoutNulls leaves out fields that are null, as the API server does.
func withoutNulls(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, below := range v {
			if below != nil {
				out[k] = withoutNulls(below)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, below := range v {
			out[i] = withoutNulls(below)
		}
		return out
	}
	return v
}
