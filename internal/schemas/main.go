// Command schemas generates the JSON schemas that pkg/check embeds, from the Go modules of
// Kubernetes, Istio, Gateway API and OpenShift:
//
//	go run ./internal/schemas          writes them
//	go run ./internal/schemas -check   fails, naming the files, where they are not up to date
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// kubernetes are the versions whose schemas are embedded, one patch of each minor: patches do
// not change the API.
var kubernetes = []string{"v1.31.14", "v1.32.11", "v1.33.7", "v1.34.4", "v1.35.2", "v1.36.2", "v1.37.2"}

const dir = "pkg/check/schemas"

func main() {
	check := flag.Bool("check", false, "compare with the files instead of writing them")
	flag.Parse()
	if err := run(*check); err != nil {
		fmt.Fprintln(os.Stderr, "schemas:", err)
		os.Exit(1)
	}
}

func run(check bool) error {
	files, err := generate()
	if err != nil {
		return err
	}
	var stale []string
	for name, document := range files {
		data, err := pack(document)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		path := filepath.Join(dir, name)
		if check {
			if have, err := os.ReadFile(path); err != nil || !bytes.Equal(have, data) {
				stale = append(stale, path)
			}
			continue
		}
		if err := os.WriteFile(path, data, 0o644); err != nil { //nolint:gosec // a file of the repository
			return err
		}
	}
	if len(stale) > 0 {
		return fmt.Errorf("not up to date: %s; run go run ./internal/schemas", strings.Join(stale, ", "))
	}
	return nil
}

func generate() (map[string]any, error) {
	files := map[string]any{}
	for _, version := range kubernetes {
		module, err := download("k8s.io/kubernetes", version)
		if err != nil {
			return nil, err
		}
		swagger, err := os.ReadFile(filepath.Join(module, "api/openapi-spec/swagger.json"))
		if err != nil {
			return nil, err
		}
		document, err := fromSwagger(swagger)
		if err != nil {
			return nil, fmt.Errorf("Kubernetes %s: %w", version, err)
		}
		minor := regexp.MustCompile(`^v(\d+\.\d+)`).FindStringSubmatch(version)[1]
		files["kubernetes-"+minor+".json.gz"] = document
	}
	crds := &Document{Kinds: map[string]string{}, Definitions: map[string]any{}}
	openAPI := map[string]any{}
	istio, err := required("istio.io/istio")
	if err != nil {
		return nil, err
	}
	gateway, err := required("sigs.k8s.io/gateway-api")
	if err != nil {
		return nil, err
	}
	openshift, err := required("github.com/openshift/api")
	if err != nil {
		return nil, err
	}
	sources, err := filepath.Glob(filepath.Join(gateway, "config/crd/standard/*.yaml"))
	if err != nil {
		return nil, err
	}
	sources = append(sources,
		filepath.Join(istio, "manifests/charts/base/files/crd-all.gen.yaml"),
		filepath.Join(openshift, "route/v1/zz_generated.crd-manifests/routes.crd.yaml"))
	for _, source := range sources {
		data, err := os.ReadFile(source)
		if err != nil {
			return nil, err
		}
		if err := addCRDs(crds, openAPI, data); err != nil {
			return nil, fmt.Errorf("%s: %w", source, err)
		}
	}
	files["crds.json.gz"] = crds
	files["crds-openapi.json.gz"] = openAPI
	return files, nil
}

// required is the directory of a module in the version that go.mod requires.
func required(module string) (string, error) {
	out, err := output("go", "list", "-m", "-f", "{{.Version}}", module)
	if err != nil {
		return "", err
	}
	return download(module, strings.TrimSpace(string(out)))
}

func download(module, version string) (string, error) {
	out, err := output("go", "mod", "download", "-json", module+"@"+version)
	if err != nil {
		return "", err
	}
	var info struct{ Dir string }
	if err := json.Unmarshal(out, &info); err != nil {
		return "", err
	}
	return info.Dir, nil
}

func output(name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...) //nolint:noctx // ended with the terminal's interrupt
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s%s", name, strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return out, nil
}

// pack compresses without a time stamp, so that equal content is equal bytes.
func pack(document any) ([]byte, error) {
	data, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
