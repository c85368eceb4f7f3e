package helm3

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"helm.sh/helm/v3/pkg/cli"
	"helm.sh/helm/v3/pkg/downloader"
	helmgetter "helm.sh/helm/v3/pkg/getter"
	"helm.sh/helm/v3/pkg/repo"
)

// Pull downloads a chart of a repository with an index, as `helm pull --repo` does, into the directory, and returns the
// archive's path.
func Pull(ctx context.Context, repository, name, version, dir string) (string, error) {
	settings := cli.New()
	settings.RepositoryCache = filepath.Join(dir, "index")
	getters := helmgetter.All(settings)
	url, err := repo.FindChartInRepoURL(repository, name, version, "", "", "", getters)
	path := ""
	if err == nil && ctx.Err() == nil {
		pull := downloader.ChartDownloader{Out: io.Discard, Getters: getters, RepositoryConfig: settings.RepositoryConfig, RepositoryCache: settings.RepositoryCache}
		path, _, err = pull.DownloadTo(url, version, dir)
	}
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("chart %s %s of %s: %w", name, version, repository, err)
	}
	return path, nil
}
