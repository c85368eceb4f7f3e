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

// foreign holds the types of Kubernetes and of those who extend it, as their projects publish them.
type foreign struct {
	kubernetes map[string]object            // by OpenAPI definition
	crds       map[string]map[string]object // spec of the v1 version, by prefix of a $ref and kind
}

// publishers are where the CRDs come from that a $ref may name.
var publishers = []struct{ prefix, name, module, files string }{
	{"istio", "Istio", "istio.io/istio", "manifests/charts/base/files/crd-all.gen.yaml"},
	{"gateway", "Gateway API", "sigs.k8s.io/gateway-api", "config/crd/standard/*.yaml"},
	{"openshift", "OpenShift", "github.com/openshift/api", "route/v1/zz_generated.crd-manifests/routes.crd.yaml"},
}

type object = map[string]any

func readForeign(ctx context.Context, root string) (*foreign, error) {
	f := &foreign{crds: map[string]map[string]object{}}

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

	for _, p := range publishers {
		dir, err := moduleDir(ctx, root, p.module)
		if err != nil {
			return nil, err
		}
		paths, err := filepath.Glob(filepath.Join(dir, p.files))
		if err != nil {
			return nil, err
		}
		f.crds[p.prefix] = map[string]object{}
		for _, path := range paths {
			if err := readCRDs(path, f.crds[p.prefix]); err != nil {
				return nil, fmt.Errorf("CRDs of %s: %w", p.name, err)
			}
		}
	}
	return f, nil
}

// readCRDs adds the spec of each CRD in the file that has a version v1.
func readCRDs(path string, to map[string]object) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
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
			return nil
		} else if err != nil {
			return err
		}
		for _, v := range crd.Spec.Versions {
			if v.Name == "v1" {
				to[crd.Spec.Names.Kind] = v.Schema.OpenAPIV3Schema.Properties["spec"]
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
	prefix, path, _ := strings.Cut(ref, ":")
	kinds, ok := f.crds[prefix]
	if !ok {
		return "", nil, fmt.Errorf("$ref %q: expected k8s:, istio:, gateway:, openshift: or # in front", ref)
	}
	kind, field, _ := strings.Cut(path, ".")
	def, ok = kinds[kind]
	if !ok {
		return "", nil, fmt.Errorf("%s has no kind %s", publisher(prefix), kind)
	}
	name = prefix + "." + strings.TrimSuffix(path, "[]")
	if field == "" {
		return name, def, nil
	}
	for step := range strings.SplitSeq(field, ".") {
		step, list := strings.CutSuffix(step, "[]")
		properties, _ := def["properties"].(object)
		next, ok := properties[step].(object)
		if !ok {
			return "", nil, fmt.Errorf("%s's %s has no field %s", publisher(prefix), kind, field)
		}
		if def = next; list {
			def, _ = next["items"].(object)
		}
	}
	return name, def, nil
}

// publisher is the name of who publishes the types with a prefix.
func publisher(prefix string) string {
	for _, p := range publishers {
		if p.prefix == prefix {
			return p.name
		}
	}
	return prefix
}

var kubernetesPrefixes = []string{"io.k8s.api.", "io.k8s.apimachinery.pkg."}

// overrides are the types whose OpenAPI definition says less or other than what the API accepts,
// and metadata, of which a template in values needs no more than this.
var overrides = map[string]object{
	"api.resource.Quantity":   {"type": []any{"string", "number", "null"}},
	"util.intstr.IntOrString": {"type": []any{"string", "integer", "null"}},
	"apis.meta.v1.ObjectMeta": closed(object{"labels": part("labels"), "annotations": part("annotations")}),
}

// part is a shared part of ours, which the source must have.
func part(name string) object { return object{"$ref": "#/definitions/" + name} }

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
