package helm3

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"helm.sh/helm/v3/pkg/repo"
	"sigs.k8s.io/yaml"
)

// Index is the index.yaml of a chart repository.
type Index struct{ file *repo.IndexFile }

// LoadIndex reads an index, or begins one where there is no file. What Helm does not know of is
// an error, as it would be lost.
func LoadIndex(path string) (*Index, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Index{repo.NewIndexFile()}, nil
	}
	if err != nil {
		return nil, err
	}
	index := &repo.IndexFile{}
	if err := yaml.UnmarshalStrict(data, index); err != nil {
		return nil, fmt.Errorf("%s: not an index of charts: %w", path, err)
	}
	if index.APIVersion != repo.APIVersionV1 {
		return nil, fmt.Errorf("%s: apiVersion %q, expected %s", path, index.APIVersion, repo.APIVersionV1)
	}
	for name, versions := range index.Entries {
		for i, v := range versions {
			if v == nil || v.Metadata == nil || v.Validate() != nil {
				return nil, fmt.Errorf("%s: entry %d of %s is no chart", path, i, name)
			}
		}
	}
	if index.Entries == nil {
		index.Entries = map[string]repo.ChartVersions{}
	}
	return &Index{index}, nil
}

// Has says whether the index has that version of the chart, exactly.
func (i *Index) Has(name, version string) bool {
	for _, v := range i.file.Entries[name] {
		if v.Version == version {
			return true
		}
	}
	return false
}

// Versions lists the chart's versions in the index.
func (i *Index) Versions(name string) []string {
	var out []string
	for _, v := range i.file.Entries[name] {
		out = append(out, v.Version)
	}
	return out
}

// Add adds a chart whose archive of that name and SHA-256 digest is found below the URL.
func (i *Index) Add(c *Chart, archive, digest, url string, created time.Time) error {
	meta := *c.loaded.Metadata
	if err := i.file.MustAdd(&meta, archive, url, digest); err != nil {
		return err
	}
	versions := i.file.Entries[c.Name]
	versions[len(versions)-1].Created = created
	i.file.SortEntries()
	i.file.Generated = created // the same releases make the same index
	return nil
}

// YAML is the index as it is written.
func (i *Index) YAML() ([]byte, error) { return yaml.Marshal(i.file) }
