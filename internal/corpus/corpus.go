// Package corpus reads the values that the tests render and what must come out of them: the examples under values/ and
// the cases of the chart's tests. A case is a file in test/chart/testdata/golden, which the test that renders it
// compares with (-update writes it), so whoever proves something about the chart proves it about all of them.
package corpus

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/txtar"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Dir is where the cases stand, below the repository's root.
const Dir = "test/chart/testdata/golden"

// The parts of a case. An example's values stand in its own file.
const (
	valuesPart   = "values.yaml"
	manifestPart = "manifest.yaml"
	notesPart    = "NOTES.txt"
)

// ExamplePrefix begins the names of cases that are examples; the path under values/ follows.
const ExamplePrefix = "values/"

// Case is values and what they render to, as release demo in namespace shop.
type Case struct {
	Name     string
	Values   map[string]any
	Manifest string
	Notes    string
}

// Example says whether the case is a file under values/.
func (c Case) Example() bool { return strings.HasPrefix(c.Name, ExamplePrefix) }

// File is where a case stands under Dir.
func File(name string) string { return filepath.FromSlash(strings.ReplaceAll(name, " ", "_")) + ".txt" }

// Format is the text of a case.
func (c Case) Format() ([]byte, error) {
	a := &txtar.Archive{}
	if !c.Example() {
		values, err := yaml.Marshal(c.Values)
		if err != nil {
			return nil, err
		}
		a.Files = append(a.Files, txtar.File{Name: valuesPart, Data: values})
	}
	a.Files = append(a.Files, txtar.File{Name: manifestPart, Data: []byte(c.Manifest)}, txtar.File{Name: notesPart, Data: []byte(c.Notes)})
	return txtar.Format(a), nil
}

// Objects are what a manifest holds, by Kind/name.
func Objects(manifest string) (map[string]*unstructured.Unstructured, error) {
	out := map[string]*unstructured.Unstructured{}
	docs := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(manifest)))
	for {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(doc, &o.Object); err != nil {
			return nil, err
		}
		if o.Object == nil {
			continue
		}
		id := o.GetKind() + "/" + o.GetName()
		if out[id] != nil {
			return nil, fmt.Errorf("%s twice", id)
		}
		out[id] = o
	}
}

// Whole is the object as one that was read from JSON: whole numbers, which YAML reads as floating, are such.
func Whole(o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	data, err := o.MarshalJSON()
	if err != nil {
		return nil, err
	}
	out := &unstructured.Unstructured{}
	return out, out.UnmarshalJSON(data)
}

// Read reads all cases, in the order of their names.
func Read(root string) ([]Case, error) {
	var out []Case
	dir := filepath.Join(root, Dir)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		a, err := txtar.ParseFile(path)
		if err != nil {
			return err
		}
		c := Case{Name: strings.TrimSuffix(filepath.ToSlash(rel), ".txt"), Values: map[string]any{}}
		values := []byte(nil)
		if c.Example() {
			if values, err = os.ReadFile(filepath.Join(root, filepath.FromSlash(c.Name)+".yaml")); err != nil {
				return err
			}
		}
		for _, f := range a.Files {
			switch f.Name {
			case valuesPart:
				values = f.Data
			case manifestPart:
				c.Manifest = string(f.Data)
			case notesPart:
				c.Notes = string(f.Data)
			}
		}
		if err := yaml.Unmarshal(values, &c.Values); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		out = append(out, c)
		return nil
	})
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("%s: no case", dir)
	}
	return out, err
}
