package check

import (
	"context"
	"encoding/json"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

// custom is what the API server knows of a kind that a CustomResourceDefinition makes, beyond what a JSON schema says:
// rules in CEL, and which entries of a list have a key of their own.
type custom struct {
	schema *structural.Structural
	rules  *cel.Validator // nil where there are none
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
	var v1 apiextensionsv1.JSONSchemaProps
	if err := json.Unmarshal(all[gvk], &v1); err != nil {
		return nil, err
	}
	var internal apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(&v1, &internal, nil); err != nil {
		return nil, err
	}
	schema, err := structural.NewStructural(&internal)
	if err != nil {
		return nil, err
	}
	c := &custom{schema: schema, rules: cel.NewValidator(schema, true, celconfig.PerCallLimit)}
	s.custom[gvk] = c
	return c, nil
}

// refusals are what the API server would say of an object that its schema takes.
func (c *custom) refusals(ctx context.Context, o object) field.ErrorList {
	object := o.DeepCopy().Object
	defaulting.Default(object, c.schema)
	errs := validation.ValidateObjectMetaAccessor(o, o.GetNamespace() != "", validation.NameIsDNSSubdomain, field.NewPath("metadata"))
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, c.schema, object)...)
	if c.rules != nil {
		more, _ := c.rules.Validate(ctx, nil, c.schema, object, nil, celconfig.RuntimeCELCostBudget)
		errs = append(errs, more...)
	}
	return errs
}
