// Package publish makes a chart's archive from what is committed, the same bytes on any machine,
// and publishes it: signed, once, and only where the version says what the changes are. It
// knows registries and indexes, nothing of clusters.
package publish

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/gzip"

	"chartbasico/internal/git"
	"chartbasico/internal/helm3"
	"chartbasico/internal/wholefile"
)

// Package is a chart's archive.
type Package struct {
	Name       string // of the chart
	Version    string
	File       string // name of the archive
	Archive    []byte
	Digest     string // SHA-256 of the archive, in hex
	Provenance []byte // Helm's, nil where it is not signed
	Commit     git.Commit

	chart *helm3.Chart
}

// Pack makes the archive of the chart in directory dir of the repository, as it is in the
// commit. Every file has the commit's time and the same owner and mode. The compressor is a
// module, so that another release of Go makes the same bytes.
func Pack(ctx context.Context, repository *git.Repository, commit git.Commit, dir string, signer *helm3.Signer) (p *Package, err error) {
	files, err := repository.Files(ctx, commit, filepath.ToSlash(dir))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: nothing of it is in commit %s", dir, commit.Hash)
	}
	for _, f := range files {
		if f.LeadsOut() {
			return nil, fmt.Errorf("%s: a link to %s, which is outside of the repository. Fix: put what is there in its place", f.Path, f.Data)
		}
	}
	temp, err := os.MkdirTemp("", "basico-pack-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if fault := os.RemoveAll(temp); fault != nil {
			err = errors.Join(err, fault)
		}
	}()
	if err := git.Write(temp, files); err != nil {
		return nil, err
	}
	chart, err := helm3.LoadChart(filepath.Join(temp, dir))
	if err != nil {
		return nil, err
	}
	if err := chart.Complete(); err != nil {
		return nil, err
	}
	p = &Package{Name: chart.Name, Version: chart.Version, File: chart.Name + "-" + chart.Version + ".tgz", Commit: commit, chart: chart}
	if p.Archive, err = archive(chart.Name, chart.Files(), commit.Time); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(p.Archive)
	p.Digest = hex.EncodeToString(sum[:])
	if signer != nil {
		if p.Provenance, err = signer.Sign(p.File, p.Archive); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func archive(name string, files []helm3.File, modified time.Time) ([]byte, error) {
	var out bytes.Buffer
	zip, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	tarball := tar.NewWriter(zip)
	for _, f := range files {
		head := &tar.Header{Typeflag: tar.TypeReg, Name: name + "/" + f.Name, Size: int64(len(f.Data)), Mode: 0o644, ModTime: modified.UTC().Truncate(time.Second)}
		if err := tarball.WriteHeader(head); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		if _, err := tarball.Write(f.Data); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	if err := errors.Join(tarball.Close(), zip.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// Write writes the archive, and its provenance beside it, into a directory, which is made where
// it is not there. No file is ever half written.
func (p *Package) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if p.Provenance != nil {
		if err := wholefile.Write(filepath.Join(dir, p.File+".prov"), p.Provenance, 0o644); err != nil {
			return err
		}
	}
	return wholefile.Write(filepath.Join(dir, p.File), p.Archive, 0o644)
}
