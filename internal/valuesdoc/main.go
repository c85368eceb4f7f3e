// Command valuesdoc writes what is said about the chart's values, all from one source,
// charts/chart_basico/values.schema.yaml: the schema that Helm checks values against
// (values.schema.json), the chart's values.yaml and the reference docs/values.md.
// Kubernetes' and Istio's own types come from the modules that go.mod names.
//
// With -check it writes nothing and fails if a file is not what it would write.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
)

// command is what a reader runs to bring the generated files up to date.
const command = "go run ./internal/valuesdoc"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "valuesdoc:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("valuesdoc", flag.ContinueOnError)
	check := flags.Bool("check", false, "write nothing; fail if a file is out of date")
	root := flags.String("root", ".", "the directory with go.mod")
	if err := flags.Parse(args); err != nil {
		return err
	}

	files, err := generate(ctx, *root)
	if err != nil {
		return err
	}
	var stale []error
	for _, f := range files {
		path := filepath.Join(*root, f.path)
		current, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if bytes.Equal(current, f.content) {
			continue
		}
		if *check {
			stale = append(stale, fmt.Errorf("%s is not what %s says; run: %s", f.path, sourcePath, command))
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.content, 0o644); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: %d bytes\n", f.path, len(f.content))
	}
	return errors.Join(stale...)
}

// file is a generated file, its path relative to the root.
type file struct {
	path    string
	content []byte
}

const (
	chartDir   = "charts/chart_basico"
	sourcePath = chartDir + "/values.schema.yaml"
)

func generate(ctx context.Context, root string) ([]file, error) {
	src, err := readSource(filepath.Join(root, sourcePath))
	if err != nil {
		return nil, err
	}
	foreign, err := readForeign(ctx, root)
	if err != nil {
		return nil, err
	}
	schema, err := schemaJSON(src, foreign)
	if err != nil {
		return nil, err
	}
	return []file{
		{chartDir + "/values.schema.json", schema},
		{chartDir + "/values.yaml", valuesYAML(src)},
		{"docs/values.md", reference(src)},
	}, nil
}
