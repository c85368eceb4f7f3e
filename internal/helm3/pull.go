package helm3

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"helm.sh/helm/v3/pkg/cli"
	helmgetter "helm.sh/helm/v3/pkg/getter"
	"helm.sh/helm/v3/pkg/repo"
)

// Repository is a chart repository with an index. Credentials and certificates are those that `helm repo add` kept for
// its URL.
type Repository struct {
	URL    string
	CAFile string // certificates instead of what is kept
}

// Indexed is a chart that the index of a repository names.
type Indexed struct {
	Digest string // SHA-256 of its archive, in hex; empty where the index does not say

	entry repo.Entry
	url   string
	from  helmgetter.Getter
}

// Find looks for exactly that version of a chart. Where the index does not have it the error is ErrNoTag, beside the
// versions that it has.
func (r Repository) Find(ctx context.Context, name, version string) (*Indexed, []string, error) {
	what := fmt.Sprintf("chart %s %s of %s", name, version, r.URL)
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	settings := cli.New()
	entry := repo.Entry{URL: r.URL}
	if kept, err := repo.LoadFile(settings.RepositoryConfig); err == nil {
		for _, e := range kept.Repositories {
			if e != nil && strings.TrimSuffix(e.URL, "/") == strings.TrimSuffix(r.URL, "/") {
				entry = *e
				break
			}
		}
	}
	if r.CAFile != "" {
		entry.CAFile = r.CAFile
	}
	entry.Name = "index" // of a file in the directory below
	getters := helmgetter.All(settings)
	client, err := repo.NewChartRepository(&entry, getters)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", what, err)
	}
	if client.CachePath, err = os.MkdirTemp("", "basico-index-"); err != nil {
		return nil, nil, err
	}
	defer func() { _ = os.RemoveAll(client.CachePath) }()
	file, err := client.DownloadIndexFile()
	if err != nil {
		return nil, nil, fetching(ctx, what, err)
	}
	index, err := repo.LoadIndexFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", what, err)
	}
	var versions []string
	for _, v := range index.Entries[name] {
		versions = append(versions, v.Version)
		if v.Version != version || len(v.URLs) == 0 {
			continue
		}
		found := &Indexed{Digest: strings.TrimPrefix(v.Digest, "sha256:"), entry: entry}
		if found.url, err = repo.ResolveReferenceURL(r.URL, v.URLs[0]); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", what, err)
		}
		at, err := url.Parse(found.url)
		if err == nil {
			found.from, err = getters.ByScheme(at.Scheme)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", what, err)
		}
		return found, versions, nil
	}
	return nil, versions, fmt.Errorf("%s: %w", what, ErrNoTag)
}

// Download returns the chart's archive.
func (i *Indexed) Download(ctx context.Context) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	archive, err := i.from.Get(i.url,
		helmgetter.WithURL(i.entry.URL), helmgetter.WithInsecureSkipVerifyTLS(i.entry.InsecureSkipTLSverify),
		helmgetter.WithTLSClientConfig(i.entry.CertFile, i.entry.KeyFile, i.entry.CAFile),
		helmgetter.WithBasicAuth(i.entry.Username, i.entry.Password), helmgetter.WithPassCredentialsAll(i.entry.PassCredentialsAll))
	if err != nil {
		return nil, fetching(ctx, i.url, err)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return archive.Bytes(), nil
}

// fetching tells apart why nothing came. Helm says the status of an answer in text only.
func fetching(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if strings.Contains(err.Error(), " : 401 ") || strings.Contains(err.Error(), " : 403 ") {
		err = errors.Join(ErrUnauthorized, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Pull downloads a chart of a repository with an index into the directory, and returns the archive's path.
func Pull(ctx context.Context, repository, name, version, dir string) (string, error) {
	found, _, err := Repository{URL: repository}.Find(ctx, name, version)
	if err != nil {
		return "", err
	}
	archive, err := found.Download(ctx)
	if err != nil {
		return "", fmt.Errorf("chart %s %s of %s: %w", name, version, repository, err)
	}
	file := filepath.Join(dir, path.Base(name)+"-"+version+".tgz")
	return file, os.WriteFile(file, archive, 0o600)
}
