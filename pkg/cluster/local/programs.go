package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"chartbasico/pkg/cluster/local/internal/envoy"
	"chartbasico/pkg/cluster/local/internal/install"
)

// findPrograms finds, or makes once, the programs that a cluster consists of.
func (o *Options) findPrograms(ctx context.Context) error {
	var err error
	if o.ControlPlane, err = findControlPlane(ctx, o.ControlPlane, o.Progress); err != nil {
		return err
	}
	o.Envoy, err = envoy.Find(ctx, o.Envoy, o.Progress)
	return err
}

// executable checks a path that somebody gave.
func executable(what, path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	if info.IsDir() || info.Mode()&0o111 == 0 {
		return "", fmt.Errorf("%s: %s is not an executable file", what, path)
	}
	return path, nil
}

const (
	modulePath          = "chartbasico"
	controlPlanePackage = modulePath + "/cmd/controlplane"
)

func findControlPlane(ctx context.Context, given string, progress func(string)) (string, error) {
	const name = "controlplane"
	if given != "" {
		return executable("the control plane's program", given)
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if path, err := executable(name, filepath.Join(filepath.Dir(self), name)); err == nil {
		return path, nil
	}
	module, err := install.Run(ctx, "", "go", "list", "-m", "-f", "{{.Dir}}", modulePath)
	if err != nil {
		return "", fmt.Errorf("find the control plane's program: it is not beside %s, and it can be built only where the module %s can be found: %w", self, modulePath, err)
	}
	dir := strings.TrimSpace(module)
	if dir == "" {
		return "", fmt.Errorf("find the control plane's program: it is not beside %s, and the module %s has no directory here", self, modulePath)
	}
	key, err := contentHash(dir, "go.mod", "go.sum", "cmd/controlplane/*.go", "internal/version/*.go")
	if err != nil {
		return "", err
	}
	return once(ctx, name+"-"+key, name, func(path string) error {
		return reporting(progress, "building etcd, Kubernetes and istiod from their Go modules: once, some minutes if nothing of them is in Go's cache", func() error {
			_, err := install.Run(ctx, dir, "go", "build", "-o", path, controlPlanePackage)
			return err
		})
	})
}

// contentHash is over the names and contents of files. It changes with the Go version too.
func contentHash(dir string, patterns ...string) (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
		if err != nil {
			return "", err
		}
		slices.Sort(files)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			data, err := os.ReadFile(file)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(hash, "%s %d\n", filepath.Base(file), len(data))
			hash.Write(data)
		}
	}
	return hex.EncodeToString(hash.Sum(nil))[:16], nil
}

// once returns a file of that name in a directory of the cache, and lets produce write it if it is not there: beside
// it, so that it appears whole, and by one process at a time.
func once(ctx context.Context, key, name string, produce func(path string) error) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, key)
	path := filepath.Join(dir, name)
	if found, err := executable(name, path); err == nil {
		return found, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	unlock, err := install.Lock(ctx, dir+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if found, err := executable(name, path); err == nil {
		return found, nil // another process made it while we waited
	}
	work, err := os.MkdirTemp(cache, key+"-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	made := filepath.Join(work, name)
	if err := produce(made); err != nil {
		return "", err
	}
	if err := os.Rename(made, path); err != nil {
		return "", err
	}
	return executable(name, path)
}

// reporting says what is being done, and every 15 s that it still is.
func reporting(progress func(string), what string, work func() error) error {
	progress(what + " ...")
	begin := time.Now()
	done := make(chan error, 1)
	go func() { done <- work() }()
	tick := time.NewTicker(15 * time.Second)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			progress(fmt.Sprintf("%s ... %.0f s", what, time.Since(begin).Seconds()))
		}
	}
}
