package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// foreign holds the types of Kubernetes and Istio as their projects publish them.
type foreign struct {
	kubernetes map[string]object // by OpenAPI definition
	istio      map[string]object // spec of the v1 version, by kind
}

type object = map[string]any

func readForeign(ctx context.Context, root string) (*foreign, error) {
	f := &foreign{istio: map[string]object{}}

	dir, err := moduleDir(ctx, root, "k8s.io/kubernetes")
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(filepath.Join(dir, "api/openapi-spec/swagger.json"))
	if err != nil {
		return nil, err
	}
	var openapi struct{ Definitions map[string]object }
	if err := json.Unmarshal(raw, &openapi); err != nil {
		return nil, fmt.Errorf("OpenAPI of Kubernetes: %w", err)
	}
	f.kubernetes = openapi.Definitions

	dir, err = moduleDir(ctx, root, "istio.io/istio")
	if err != nil {
		return nil, err
	}
	raw, err = os.ReadFile(filepath.Join(dir, "manifests/charts/base/files/crd-all.gen.yaml"))
	if err != nil {
		return nil, err
	}
	for docs := yaml.NewDecoder(bytes.NewReader(raw)); ; {
		var crd struct {
			Spec struct {
				Names    struct{ Kind string }
				Versions []struct {
					Name   string
					Schema struct {
						OpenAPIV3Schema struct{ Properties map[string]object } `yaml:"openAPIV3Schema"`
					}
				}
			}
		}
		if err := docs.Decode(&crd); errors.Is(err, io.EOF) {
			return f, nil
		} else if err != nil {
			return nil, fmt.Errorf("CRDs of Istio: %w", err)
		}
		for _, v := range crd.Spec.Versions {
			if v.Name == "v1" {
				f.istio[crd.Spec.Names.Kind] = v.Schema.OpenAPIV3Schema.Properties["spec"]
			}
		}
	}
}

func moduleDir(ctx context.Context, root, module string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go list -m %s: %w: %s", module, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
}

// definition finds the type that a foreign $ref names, and the name it gets in our schema.
func (f *foreign) definition(ref string) (name string, def object, err error) {
	if t, ok := strings.CutPrefix(ref, "k8s:"); ok {
		for _, prefix := range kubernetesPrefixes {
			if def, ok := f.kubernetes[prefix+t]; ok {
				return t, def, nil
			}
		}
		return "", nil, fmt.Errorf("Kubernetes has no type %s", t)
	}
	path, ok := strings.CutPrefix(ref, "istio:")
	if !ok {
		return "", nil, fmt.Errorf("$ref %q: expected k8s:, istio: or # in front", ref)
	}
	kind, field, _ := strings.Cut(path, ".")
	def, ok = f.istio[kind]
	if !ok {
		return "", nil, fmt.Errorf("Istio has no kind %s", kind)
	}
	for step := range strings.SplitSeq(field, ".") {
		step, list := strings.CutSuffix(step, "[]")
		properties, _ := def["properties"].(object)
		next, ok := properties[step].(object)
		if !ok {
			return "", nil, fmt.Errorf("Istio's %s has no field %s", kind, field)
		}
		if def = next; list {
			def, _ = next["items"].(object)
		}
	}
	return "istio." + strings.TrimSuffix(path, "[]"), def, nil
}

var kubernetesPrefixes = []string{"io.k8s.api.", "io.k8s.apimachinery.pkg."}

// overrides are the types whose OpenAPI definition says less or other than what the API accepts,
// and metadata, of which a template in values needs no more than this.
var overrides = map[string]object{
	"api.resource.Quantity":   {"type": []any{"string", "number", "null"}},
	"util.intstr.IntOrString": {"type": []any{"string", "integer", "null"}},
	"apis.meta.v1.ObjectMeta": closed(object{"labels": texts(), "annotations": texts()}),
}

func texts() object {
	return object{"type": []any{"object", "null"}, "additionalProperties": object{"type": "string"}}
}

func closed(properties object) object {
	return object{"type": []any{"object", "null"}, "properties": properties, "additionalProperties": false}
}

// convert makes JSON Schema of a published definition: without prose, closed where it names its
// fields, and with null allowed where a field may be absent. Alternatives (oneOf and the like) are
// left to the API server, whose messages about them are better than a schema's.
func (f *foreign) convert(def object, refs func(string) (string, error)) (object, error) {
	if ref, ok := def["$ref"].(string); ok {
		name := strings.TrimPrefix(ref, "#/definitions/")
		for _, prefix := range kubernetesPrefixes {
			name = strings.TrimPrefix(name, prefix)
		}
		to, err := refs("k8s:" + name)
		return object{"$ref": to}, err
	}
	out := object{}
	for _, k := range []string{"type", "enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "required"} {
		if v, ok := def[k]; ok {
			out[k] = v
		}
	}
	if def["x-kubernetes-int-or-string"] == true {
		out["type"] = []any{"string", "integer"}
	}
	for _, k := range []string{"items", "additionalProperties"} {
		child, ok := def[k].(object)
		if !ok {
			continue
		}
		c, err := f.convert(child, refs)
		if err != nil {
			return nil, err
		}
		out[k] = c
	}
	properties, ok := def["properties"].(object)
	if !ok {
		return out, nil
	}
	required, _ := def["required"].([]any)
	fields := object{}
	for name, p := range properties {
		child, err := f.convert(p.(object), refs)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if !slices.Contains(required, any(name)) {
			nullable(child)
		}
		fields[name] = child
	}
	out["properties"] = fields
	if def["x-kubernetes-preserve-unknown-fields"] != true {
		out["additionalProperties"] = false
	}
	return out, nil
}

// nullable lets null stand for "absent", which is how a layer of values removes what a lower one set.
func nullable(s object) {
	switch t := s["type"].(type) {
	case string:
		s["type"] = []any{t, "null"}
	case []any:
		if !slices.Contains(t, any("null")) {
			s["type"] = append(slices.Clone(t), "null")
		}
	}
	if e, ok := s["enum"].([]any); ok && !slices.Contains(e, nil) {
		s["enum"] = append(slices.Clone(e), nil)
	}
}
