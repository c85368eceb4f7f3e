// Package charts brings charts of registries and repositories to this machine. What was brought once is kept by its
// digest, in the directory for caches.
package charts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"chartbasico/internal/cachedir"
	"chartbasico/internal/helm3"
	"chartbasico/internal/wholefile"
	"chartbasico/pkg/environment"
)

// Store gets charts.
type Store struct {
	registry *helm3.Registry
	say      func(string)
}

// New returns a store that reaches registries as the given one is reached, nil for the credentials that helm keeps, and
// says what it downloads.
func New(registry *helm3.Registry, say func(string)) *Store {
	if registry == nil {
		registry = helm3.NewRegistry(helm3.RegistryOptions{})
	}
	if say == nil {
		say = func(string) {}
	}
	return &Store{registry, say}
}

// Fault is why a chart could not be had.
type Fault struct{ Found, Expected, Fix string }

func (f *Fault) Error() string { return f.Found + "; expected " + f.Expected + ". Fix: " + f.Fix }

// Get returns the path of the chart's archive. Wherever a registry or a repository is asked, the error is a *Fault, but
// for the end of ctx.
func (s *Store) Get(ctx context.Context, p environment.Published) (string, error) {
	get := s.indexed
	if p.OCI() {
		get = s.oci
	}
	path, versions, err := get(ctx, p)
	switch {
	case err == nil:
		return path, nil
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	}
	fault := &Fault{Found: err.Error(), Expected: "a chart that is published there", Fix: "make sure that " + host(p) + " is reached from here, as helm pull does, or helm pull the chart and name its archive"}
	switch {
	case errors.Is(err, helm3.ErrNoTag):
		fault.Fix = "correct the name, or publish that version"
		if len(versions) > 0 {
			fault.Fix = "write a version that is there: " + strings.Join(newest(versions), ", ")
		}
	case errors.Is(err, helm3.ErrUnauthorized) && p.OCI():
		fault.Expected, fault.Fix = "credentials that may pull it", "helm registry login "+host(p)+"; HELM_REGISTRY_CONFIG names the file that keeps them, if not Helm's own"
	case errors.Is(err, helm3.ErrUnauthorized):
		fault.Expected, fault.Fix = "credentials that may pull it", "helm repo add NAME "+p.Repository+" --username NAME --password-stdin; HELM_REPOSITORY_CONFIG names the file that keeps them, if not Helm's own"
	}
	return "", fault
}

func (s *Store) oci(ctx context.Context, p environment.Published) (path string, versions []string, err error) {
	registry, ref := s.registry.With(p.CAFile, p.PlainHTTP), p.String()
	digest, err := registry.Resolve(ctx, ref)
	if errors.Is(err, helm3.ErrNoTag) {
		versions, _ = registry.Versions(ctx, p.Repository+"/"+p.Name) // that there is none of that version is known
		return "", versions, err
	}
	if err != nil {
		return "", nil, err
	}
	path, there, err := kept(p, strings.TrimPrefix(digest, "sha256:"))
	if err != nil || there {
		return path, nil, err
	}
	s.say("pulling " + ref)
	archive, digest, err := registry.Pull(ctx, ref)
	if err != nil {
		return "", nil, err
	}
	path, err = keep(p, strings.TrimPrefix(digest, "sha256:"), archive)
	return path, nil, err
}

func (s *Store) indexed(ctx context.Context, p environment.Published) (path string, versions []string, err error) {
	found, versions, err := helm3.Repository{URL: p.Repository, CAFile: p.CAFile}.Find(ctx, p.Name, p.Version)
	if err != nil {
		return "", versions, err
	}
	if found.Digest != "" {
		var there bool
		if path, there, err = kept(p, found.Digest); err != nil || there {
			return path, nil, err
		}
	}
	s.say("pulling " + p.String())
	archive, err := found.Download(ctx)
	if err != nil {
		return "", nil, err
	}
	sum := sha256.Sum256(archive)
	digest := hex.EncodeToString(sum[:])
	if found.Digest != "" && found.Digest != digest {
		return "", nil, fmt.Errorf("%s: the archive has the digest %s, and the index says %s", p, digest, found.Digest)
	}
	path, err = keep(p, digest, archive)
	return path, nil, err
}

// kept is where the archive of that digest is, and whether it is there.
func kept(p environment.Published, digest string) (string, bool, error) {
	cache, err := cachedir.Dir()
	if err != nil {
		return "", false, err
	}
	path := filepath.Join(cache, "charts", filepath.Base(digest), filepath.Base(p.Name)+"-"+p.Version+".tgz")
	_, err = os.Stat(path)
	return path, err == nil, nil
}

func keep(p environment.Published, digest string, archive []byte) (string, error) {
	path, _, err := kept(p, digest)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	return path, wholefile.Write(path, archive, 0o644)
}

// newest are the highest few versions, the highest first.
func newest(versions []string) []string {
	var all []*semver.Version
	for _, v := range versions {
		if parsed, err := semver.NewVersion(v); err == nil {
			all = append(all, parsed)
		}
	}
	slices.SortFunc(all, func(a, b *semver.Version) int { return b.Compare(a) })
	var out []string
	for _, v := range all[:min(5, len(all))] {
		out = append(out, v.Original())
	}
	return out
}

func host(p environment.Published) string {
	if at, err := url.Parse(p.Repository); err == nil {
		return at.Host
	}
	return p.Repository
}
