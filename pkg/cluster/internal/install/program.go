package install

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"chartbasico/internal/cachedir"
)

const modulePath = "chartbasico"

// Program is one of this module's own programs.
type Program struct {
	// Name is the file's name, and that of its package in cmd.
	Name string
	// What names it in errors: "the control plane's program".
	What string
	// Inputs are patterns of files in the module that it is built from, with go.mod and go.sum.
	Inputs []string
	// Env are variables of its build, such as GOOS=linux.
	Env []string
	// Building says what takes its time while it is built.
	Building string
}

// Find returns the path of the program: the given one, if there is one; else the one beside the running program; else
// one built from this module, once, in the user's cache. The module is looked for from the working directory, then from
// that of the running program, which may be somebody's checkout used from elsewhere.
func (p Program) Find(ctx context.Context, given string, progress func(string)) (string, error) {
	if given != "" {
		return executable(p.What, given)
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if path, err := executable(p.Name, filepath.Join(filepath.Dir(self), p.Name)); err == nil {
		return path, nil
	}
	dir, err := moduleDir(ctx, "", filepath.Dir(self))
	if err != nil {
		return "", fmt.Errorf("find %s: it is not beside %s, and it can be built only where the module %s is found, from here or from there: %w", p.What, self, modulePath, err)
	}
	key, err := contentHash(dir, p.Env, append([]string{"go.mod", "go.sum"}, p.Inputs...)...)
	if err != nil {
		return "", err
	}
	return once(ctx, p.Name+"-"+key, p.Name, func(path string) error {
		return Reporting(progress, p.Building, func() error {
			args := append(slices.Clone(p.Env), "go", "build", "-o", path, modulePath+"/cmd/"+p.Name)
			_, err := Run(ctx, dir, "env", args...)
			return err
		})
	})
}

// moduleDir returns the directory of this module, as the first of those directories knows it that does.
func moduleDir(ctx context.Context, from ...string) (string, error) {
	var errs []error
	for _, dir := range from {
		module, err := Run(ctx, dir, "go", "list", "-m", "-f", "{{.Dir}}", modulePath)
		if found := strings.TrimSpace(module); found != "" {
			return found, nil
		}
		if err == nil {
			err = errors.New("it is not downloaded")
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
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

// contentHash is over the names and contents of files. It changes with the Go version and the variables too.
func contentHash(dir string, env []string, patterns ...string) (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version(), runtime.GOOS, runtime.GOARCH, env)
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
	cache, err := cachedir.Dir()
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
	unlock, err := Lock(ctx, dir+".lock")
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

// Reporting says what is being done, and every 15 s that it still is.
func Reporting(progress func(string), what string, work func() error) error {
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
