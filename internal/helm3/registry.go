package helm3

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/registry"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
	"oras.land/oras-go/v2/registry/remote/retry"
)

var (
	// ErrNoTag says that a registry or a repository has nothing of that name and version.
	ErrNoTag = errors.New("no such tag")
	// ErrUnauthorized says that a registry or a repository wants other credentials.
	ErrUnauthorized = errors.New("not authorized")
)

// RegistryOptions says how to reach an OCI registry. The zero value is TLS by the machine's
// roots, and the credentials that `helm registry login` or `docker login` kept.
type RegistryOptions struct {
	Username, Password string // instead of what is kept
	ConfigFile         string // credentials, in Docker's format; default that of HELM_REGISTRY_CONFIG, or else Helm's own file
	CAFile             string // roots to trust besides the machine's
	PlainHTTP          bool
}

// Registry is an OCI registry.
type Registry struct{ opts RegistryOptions }

// NewRegistry returns a registry. Nothing is sent yet.
func NewRegistry(opts RegistryOptions) *Registry { return &Registry{opts} }

// With is the registry that is reached with these as well, where they say anything.
func (r *Registry) With(caFile string, plainHTTP bool) *Registry {
	opts := r.opts
	opts.CAFile = cmp.Or(caFile, opts.CAFile)
	opts.PlainHTTP = opts.PlainHTTP || plainHTTP
	return NewRegistry(opts)
}

// client is Helm's, for one operation: all of its requests end with ctx.
func (r *Registry) client(ctx context.Context) (*registry.Client, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if r.opts.CAFile != "" {
		pem, err := os.ReadFile(r.opts.CAFile)
		if err != nil {
			return nil, fmt.Errorf("certificates of the registry: %w", err)
		}
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("certificates of the registry: %s holds none in PEM", r.opts.CAFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	options := []registry.ClientOption{
		registry.ClientOptHTTPClient(&http.Client{Transport: bound{ctx, retry.NewTransport(transport)}}),
		registry.ClientOptEnableCache(true),
	}
	if r.opts.Username != "" {
		options = append(options, registry.ClientOptBasicAuth(r.opts.Username, r.opts.Password))
	}
	if file := cmp.Or(r.opts.ConfigFile, os.Getenv("HELM_REGISTRY_CONFIG")); file != "" {
		options = append(options, registry.ClientOptCredentialsFile(file))
	}
	if r.opts.PlainHTTP {
		options = append(options, registry.ClientOptPlainHTTP())
	}
	return registry.NewClient(options...)
}

// Resolve returns the digest of what is under a reference such as host/path/chart:1.2.3.
// Where there is nothing the error is ErrNoTag.
func (r *Registry) Resolve(ctx context.Context, ref string) (string, error) {
	client, err := r.client(ctx)
	if err != nil {
		return "", err
	}
	found, err := client.Resolve(strings.ReplaceAll(bare(ref), "+", "_")) // as Helm writes a tag everywhere else
	if errors.Is(err, errdef.ErrNotFound) {
		return "", fmt.Errorf("%s: %w", ref, ErrNoTag)
	}
	if err != nil {
		return "", refused(ctx, "look up", ref, err)
	}
	return found.Digest.String(), nil
}

// Versions lists the versions of a chart such as host/path/chart; none where the registry does
// not know it.
func (r *Registry) Versions(ctx context.Context, ref string) ([]string, error) {
	client, err := r.client(ctx)
	if err != nil {
		return nil, err
	}
	versions, err := client.Tags(bare(ref))
	var answer *errcode.ErrorResponse
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, refused(ctx, "list the versions of", ref, err)
	}
	return versions, nil
}

// Pull returns a chart's archive, and the digest that Resolve returns.
func (r *Registry) Pull(ctx context.Context, ref string) (archive []byte, digest string, err error) {
	client, err := r.client(ctx)
	if err != nil {
		return nil, "", err
	}
	pulled, err := client.Pull(bare(ref))
	if errors.Is(err, errdef.ErrNotFound) {
		return nil, "", fmt.Errorf("%s: %w", ref, ErrNoTag)
	}
	if err != nil {
		return nil, "", refused(ctx, "pull", ref, err)
	}
	return pulled.Chart.Data, pulled.Manifest.Digest, nil
}

// Push uploads an archive, with its provenance unless that is nil, and returns the digest of
// its manifest. The tag is set by the last request, so an upload that breaks leaves nothing
// that anybody can pull by it. The manifest says created, so the same archive has the same digest.
func (r *Registry) Push(ctx context.Context, ref string, archive, provenance []byte, created time.Time) (string, error) {
	client, err := r.client(ctx)
	if err != nil {
		return "", err
	}
	options := []registry.PushOption{registry.PushOptCreationTime(created.UTC().Format(time.RFC3339))}
	if provenance != nil {
		options = append(options, registry.PushOptProvData(provenance))
	}
	pushed, err := client.Push(archive, bare(ref), options...)
	if err != nil {
		return "", refused(ctx, "push", ref, err)
	}
	return pushed.Manifest.Digest, nil
}

func bare(ref string) string { return strings.TrimPrefix(ref, registry.OCIScheme+"://") }

func refused(ctx context.Context, verb, ref string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s %s: stopped: %w", verb, ref, context.Cause(ctx))
	}
	var answer *errcode.ErrorResponse
	if errors.Is(err, auth.ErrBasicCredentialNotFound) ||
		errors.As(err, &answer) && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden) {
		return fmt.Errorf("%s %s: %w: %w", verb, ref, ErrUnauthorized, err)
	}
	return fmt.Errorf("%s %s: %w", verb, ref, err)
}
