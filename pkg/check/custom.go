package check

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	apivalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"

	"chartbasico/internal/schemaerr"
	"chartbasico/pkg/problem"
)

// custom is what the API server knows of a kind that a CustomResourceDefinition makes, beyond what a JSON schema says:
// rules in CEL, and which entries of a list have a key of their own.
type custom struct {
	schema *structural.Structural
	rules  *cel.Validator                // nil where there are none
	whole  apivalidation.SchemaValidator // nil where a JSON schema of ours says the same, with more about typos
}

// openAPI are the CustomResourceDefinitions' schemas, by group/version/Kind.
var openAPI = sync.OnceValues(func() (map[string]json.RawMessage, error) {
	var out map[string]json.RawMessage
	return out, readJSON("crds-openapi.json.gz", &out)
})

// customKind compiles a kind when it is first met; nil where it is none of a CustomResourceDefinition.
func (s *schemas) customKind(gvk string) (*custom, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.custom[gvk]; ok {
		return c, nil
	}
	all, err := openAPI()
	if err != nil || all[gvk] == nil {
		return nil, err
	}
	internal, err := readProps(all[gvk])
	if err != nil {
		return nil, err
	}
	c, err := newCustom(internal)
	if err != nil {
		return nil, err
	}
	s.custom[gvk] = c
	return c, nil
}

func readProps(openAPI []byte) (*apiextensions.JSONSchemaProps, error) {
	var v1 apiextensionsv1.JSONSchemaProps
	if err := json.Unmarshal(openAPI, &v1); err != nil {
		return nil, err
	}
	var internal apiextensions.JSONSchemaProps
	return &internal, apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(&v1, &internal, nil)
}

func newCustom(props *apiextensions.JSONSchemaProps) (*custom, error) {
	schema, err := structural.NewStructural(props)
	if err != nil {
		return nil, err
	}
	return &custom{schema: schema, rules: cel.NewValidator(schema, true, celconfig.PerCallLimit)}, nil
}

// brought are what compiles the schemas of the kinds that the environment's own CustomResourceDefinitions make, each once, by
// group/version/Kind.
func (m *model) brought() map[string]func() (*custom, error) {
	out := map[string]func() (*custom, error){}
	for _, o := range m.objects {
		if o.GroupVersionKind().GroupKind() != apiextensionsv1.Kind("CustomResourceDefinition") {
			continue
		}
		for _, v := range list(o.Object, "spec", "versions") {
			if schema, ok, _ := unstructured.NestedMap(v, "schema", "openAPIV3Schema"); ok && v["served"] == true {
				out[text(o.Object, "spec", "group")+"/"+text(v, "name")+"/"+text(o.Object, "spec", "names", "kind")] = sync.OnceValues(func() (*custom, error) { return wholeCustom(schema) })
			}
		}
	}
	return out
}

// wholeCustom compiles a schema that nothing else of ours says.
func wholeCustom(schema map[string]any) (*custom, error) {
	openAPI, err := json.Marshal(schema)
	if err != nil {
		return nil, err
	}
	props, err := readProps(openAPI)
	if err != nil {
		return nil, err
	}
	c, err := newCustom(props)
	if err != nil {
		return nil, err
	}
	c.whole, _, err = apivalidation.NewSchemaValidator(props)
	return c, err
}

// objectMeta is the definition of every object's metadata, of which the schemas of such kinds say nothing.
const objectMeta = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

// checkBrought holds an object against the schema that the environment brings of its kind.
func (s *schemas) checkBrought(ctx context.Context, o object, compile func() (*custom, error)) problem.List {
	out := s.hold(o, objectMeta, withoutNulls(o.Object["metadata"]), "metadata")
	fault := func(path, found, expected, fix string) {
		p := o.problem(path, found, expected, fix)
		p.Rule = "schema"
		out = append(out, p)
	}
	c, err := compile()
	if err != nil {
		fault("", "the schema of its kind cannot be read: "+err.Error(), "a schema that the API server takes", "correct the CustomResourceDefinition")
		return out
	}
	known := o.DeepCopy().Object
	pruning.Prune(known, c.schema, true)
	for _, k := range unknown(nil, o.Object, known, c.schema) {
		found, fix := schemaerr.Unknown(k.key, k.known)
		if k.null {
			found += " without a value, which server-side apply, as Helm 4 does it, refuses"
		}
		fault(k.path.String(), found, "", fix)
		if k.null {
			out[len(out)-1].Severity = problem.Warning // Helm 3 sends it to be left out
		}
	}
	for _, e := range c.refusals(ctx, o) {
		if schemaerr.Confidential(strings.FieldsFunc(e.Field, func(r rune) bool { return strings.ContainsRune(".[]", r) })) {
			e.BadValue = nil
			if e.Type == field.ErrorTypeTypeInvalid {
				e.Detail, _, _ = strings.Cut(e.Detail, ": ") // the value follows
			}
		}
		found, expected := explain(e)
		fault(e.Field, found, expected, "")
	}
	return out
}

// unknownKey is a key that the API server leaves out, and those that are known beside it.
type unknownKey struct {
	path  *field.Path
	key   string
	known []string
	null  bool
}

// unknown are the keys of a value that are not in what the API server left of it. A null where the schema names no key harms
// nobody: server-side apply takes any key there, as creationTimestamp in the metadata of a template.
func unknown(path *field.Path, value, left any, schema *structural.Structural) (out []unknownKey) {
	if schema == nil {
		schema = &structural.Structural{}
	}
	switch value := value.(type) {
	case map[string]any:
		left, _ := left.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(value)) {
			at := path.Child(key)
			if _, ok := left[key]; !ok {
				if null := value[key] == nil; !null || len(schema.Properties) > 0 {
					out = append(out, unknownKey{at, key, slices.Sorted(maps.Keys(schema.Properties)), null})
				}
				continue
			}
			var below *structural.Structural
			if property, ok := schema.Properties[key]; ok {
				below = &property
			} else if schema.AdditionalProperties != nil {
				below = schema.AdditionalProperties.Structural
			}
			out = append(out, unknown(at, value[key], left[key], below)...)
		}
	case []any:
		left, _ := left.([]any)
		for i := range value {
			out = append(out, unknown(path.Index(i), value[i], left[i], schema.Items)...)
		}
	}
	return out
}

// refusals are what the API server would say of an object that its schema takes.
func (c *custom) refusals(ctx context.Context, o object) field.ErrorList {
	object := o.DeepCopy().Object
	defaulting.PruneNonNullableNullsWithoutDefaults(object, c.schema)
	defaulting.Default(object, c.schema)
	errs := validation.ValidateObjectMetaAccessor(o, o.GetNamespace() != "", validation.NameIsDNSSubdomain, field.NewPath("metadata"))
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, c.schema, object)...)
	if c.whole != nil {
		if refused := apivalidation.ValidateCustomResource(nil, object, c.whole); len(refused) > 0 {
			return append(errs, refused...) // its rules are for what its schema takes
		}
	}
	if c.rules != nil {
		more, _ := c.rules.Validate(ctx, nil, c.schema, object, nil, celconfig.RuntimeCELCostBudget)
		errs = append(errs, more...)
	}
	return errs
}
