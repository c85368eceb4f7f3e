package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// amount is what a quantity matches that is written as text. Kubernetes also takes one without a digit, and an exponent
// so long that nobody can mean it.
const amount = `^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?$`

// Document is a JSON schema document with the place of each kind in it.
type Document struct {
	Kinds       map[string]string `json:"kinds"` // group/version/Kind, without a slash before v1 of the core group, to a definition
	Definitions map[string]any    `json:"definitions"`
}

const (
	refPrefix  = "#/definitions/"
	objectMeta = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
)

// kept are the keywords that decide whether an object is legal.
var kept = map[string]bool{
	"type": true, "properties": true, "required": true, "items": true, "additionalProperties": true, "$ref": true,
	"enum": true, "pattern": true, "minimum": true, "maximum": true, "exclusiveMinimum": true, "exclusiveMaximum": true,
	"minLength": true, "maxLength": true, "minItems": true, "maxItems": true, "uniqueItems": true,
	"minProperties": true, "maxProperties": true, "oneOf": true, "anyOf": true, "allOf": true, "not": true,
	"x-kubernetes-list-map-keys": true,
}

// fromSwagger keeps the kinds that can be created and what they refer to.
func fromSwagger(data []byte) (*Document, error) {
	var swagger struct {
		Definitions map[string]map[string]any `json:"definitions"`
	}
	if err := json.Unmarshal(data, &swagger); err != nil {
		return nil, err
	}
	doc := &Document{Kinds: map[string]string{}, Definitions: map[string]any{}}
	for name, definition := range swagger.Definitions {
		gvks, _ := definition["x-kubernetes-group-version-kind"].([]any)
		properties, _ := definition["properties"].(map[string]any)
		metadata, _ := properties["metadata"].(map[string]any)
		if len(gvks) != 1 || metadata["$ref"] != refPrefix+objectMeta {
			continue // lists, options and parts of objects
		}
		gvk, _ := gvks[0].(map[string]any)
		doc.Kinds[kind(gvk["group"], gvk["version"], gvk["kind"])] = name
		if _, ok := properties["status"]; ok {
			properties["status"] = map[string]any{"type": "object"} // written by controllers
		}
	}
	if len(doc.Kinds) == 0 {
		return nil, errors.New("no kinds found")
	}
	for _, name := range doc.Kinds {
		reach(swagger.Definitions, name, doc.Definitions)
	}
	return doc, nil
}

func reach(all map[string]map[string]any, name string, into map[string]any) {
	if _, ok := into[name]; ok {
		return
	}
	into[name] = nil // under way
	into[name] = strict(all[name])
	var follow func(v any)
	follow = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				reach(all, strings.TrimPrefix(ref, refPrefix), into)
			}
			for _, below := range v {
				follow(below)
			}
		case []any:
			for _, below := range v {
				follow(below)
			}
		}
	}
	follow(into[name])
}

// addCRDs adds every served version of the CustomResourceDefinitions in data: as JSON schemas, and to openAPI, by kind, as
// they stand there but for what says nothing of an object's legality.
func addCRDs(doc *Document, openAPI map[string]any, data []byte) error {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	for {
		var crd apiextensions.CustomResourceDefinition
		err := decoder.Decode(&crd)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if crd.Kind != "CustomResourceDefinition" {
			continue
		}
		for _, version := range crd.Spec.Versions {
			if !version.Served || version.Schema == nil || version.Schema.OpenAPIV3Schema == nil {
				continue
			}
			raw, err := json.Marshal(version.Schema.OpenAPIV3Schema)
			if err != nil {
				return err
			}
			var schema map[string]any
			if err := json.Unmarshal(raw, &schema); err != nil {
				return err
			}
			properties, ok := schema["properties"].(map[string]any)
			if !ok {
				return fmt.Errorf("%s %s: no properties", crd.Name, version.Name)
			}
			if _, ok := properties["status"]; ok {
				properties["status"] = map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
			}
			openAPI[kind(crd.Spec.Group, version.Name, crd.Spec.Names.Kind)] = undescribed(schema)
			properties["apiVersion"] = map[string]any{"type": "string"}
			properties["kind"] = map[string]any{"type": "string"}
			properties["metadata"] = map[string]any{"$ref": refPrefix + objectMeta}
			name := fmt.Sprintf("%s.%s.%s", crd.Spec.Group, version.Name, crd.Spec.Names.Kind)
			doc.Kinds[kind(crd.Spec.Group, version.Name, crd.Spec.Names.Kind)] = name
			doc.Definitions[name] = strict(schema)
		}
	}
}

// undescribed copies a schema without its descriptions. A property may be called description.
func undescribed(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, below := range v {
			if _, text := below.(string); text && key == "description" {
				continue
			}
			out[key] = undescribed(below)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, below := range v {
			out[i] = undescribed(below)
		}
		return out
	}
	return v
}

func kind(group, version, kind any) string {
	return strings.TrimPrefix(fmt.Sprintf("%v/%v/%v", group, version, kind), "/")
}

// strict copies an OpenAPI schema as a JSON schema that refuses fields it does not know.
func strict(schema map[string]any) map[string]any {
	out := map[string]any{}
	for key, value := range schema {
		if !kept[key] {
			continue
		}
		switch key {
		case "properties":
			properties := map[string]any{}
			for name, below := range value.(map[string]any) {
				properties[name] = strict(below.(map[string]any))
			}
			out[key] = properties
		case "items", "additionalProperties":
			if below, ok := value.(map[string]any); ok {
				value = strict(below)
			}
			out[key] = value
		default:
			out[key] = value // below oneOf, anyOf, allOf and not stand conditions, no fields of their own
		}
	}
	bounds := map[any]map[string]any{
		"int32":         {"minimum": math.MinInt32, "maximum": math.MaxInt32},
		"int-or-string": {"minimum": math.MinInt32, "maximum": math.MaxInt32},        // of the one that is a number
		"int64":         {"minimum": math.MinInt64, "maximum": math.MaxInt64 - 1023}, // the next that floating point has is too much
	}
	for bound, value := range bounds[schema["format"]] {
		if _, given := out[bound]; !given {
			out[bound] = value
		}
	}
	if schema["format"] == "byte" {
		out["contentEncoding"] = "base64"
	}
	preserve := schema["x-kubernetes-preserve-unknown-fields"] == true || schema["x-kubernetes-embedded-resource"] == true
	_, has := out["properties"]
	if _, open := out["additionalProperties"]; has && !open && !preserve {
		out["additionalProperties"] = false
	}
	if schema["format"] == "int-or-string" || schema["x-kubernetes-int-or-string"] == true {
		out["type"] = []any{"integer", "string"}
		delete(out, "anyOf")
	}
	if description, _ := schema["description"].(string); out["type"] == "string" && strings.HasPrefix(description, "Quantity is a fixed-point") {
		out["type"], out["pattern"] = []any{"number", "string"}, amount
	}
	if text, ok := out["type"].(string); ok && schema["nullable"] == true {
		out["type"] = []any{text, "null"}
	}
	return out
}
