package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"

	"chartbasico/internal/git"
	"chartbasico/internal/helm3"
	"chartbasico/internal/wholefile"
	"chartbasico/pkg/diff"
	"chartbasico/pkg/revision"
)

// Release is what is to be published, and where.
type Release struct {
	Dir      string // of the repository
	Chart    string // the chart's directory in it
	Signer   *helm3.Signer
	Registry *helm3.Registry
	To       string // oci://HOST/PATH; the chart's name is appended. Empty: no registry
	Index    string // file of the index. Empty: none
	URL      string // below which the index says that the archive is
}

// Ready is a release that nothing speaks against.
type Ready struct {
	*Package
	Gate      diff.Gate
	Reference string // HOST/PATH/NAME:VERSION, empty without a registry

	release Release
	index   *helm3.Index
}

// Refusal says why a release may not be published, and what to do.
type Refusal struct{ Found, Fix string }

func (r Refusal) String() string { return r.Found + ". Fix: " + r.Fix }

// Prepare makes the archive of HEAD and looks for everything that speaks against publishing it:
// a tree that is not what is committed, a version smaller than the changes since the last
// release, or one that is there already. Nothing is changed anywhere.
func (r Release) Prepare(ctx context.Context) (*Ready, []Refusal, error) {
	repository, err := git.Open(ctx, r.Dir)
	if err != nil {
		return nil, nil, err
	}
	commit, err := repository.Commit(ctx, "HEAD")
	if err != nil {
		return nil, nil, err
	}
	p, err := Pack(ctx, repository, commit, r.Chart, r.Signer)
	if err != nil {
		return nil, nil, err
	}
	ready := &Ready{Package: p, release: r}
	var refusals []Refusal
	refuse := func(found, fix string) { refusals = append(refusals, Refusal{found, fix}) }

	changed, err := repository.Changed(ctx)
	if err != nil {
		return nil, nil, err
	}
	if len(changed) > 0 {
		refuse("the tree is not what is committed: "+some(changed), "commit it, or remove it")
	}

	tag := p.Name + "-" + p.Version
	tagged, err := repository.Commit(ctx, "refs/tags/"+tag)
	if err == nil && tagged.Hash != commit.Hash {
		refuse(fmt.Sprintf("the tag %s stands on another commit, %.12s", tag, tagged.Hash), "raise version in Chart.yaml")
	}

	ready.Gate, err = r.gate(ctx)
	var unfit revision.Unfit
	switch {
	case errors.As(err, &unfit):
		ready.Gate.Reason = unfit.Found
		refuse(unfit.Found, unfit.Fix)
	case err != nil:
		return nil, nil, err
	case !ready.Gate.Pass:
		refuse(ready.Gate.String(), "raise version in Chart.yaml to "+ready.Gate.Minimum)
	}

	// What is published was released: "no release yet" is true only where nothing is.
	first := ready.Gate.Pass && ready.Gate.Base == ""
	untagged := func(where string, versions []string) {
		if last := newest(versions, p.Version); last != "" {
			refuse(fmt.Sprintf("%s has %s %s, and no tag %s-%s is on the way to HEAD: the version would be judged by nothing", where, p.Name, last, p.Name, last),
				fmt.Sprintf("git fetch --tags, or git tag %s-%s on the commit of that release", p.Name, last))
		}
	}
	if r.To != "" {
		ready.Reference = fmt.Sprintf("%s/%s:%s", strings.TrimRight(strings.TrimPrefix(r.To, "oci://"), "/"), p.Name, p.Version)
		there, err := r.Registry.Resolve(ctx, ready.Reference)
		switch {
		case err == nil:
			refuse(fmt.Sprintf("%s is there already, %s", ready.Reference, there), "raise version in Chart.yaml; what is published never changes")
		case !errors.Is(err, helm3.ErrNoTag):
			return nil, nil, err
		}
		if first {
			chart := strings.TrimSuffix(ready.Reference, ":"+p.Version)
			versions, err := r.Registry.Versions(ctx, chart)
			if err != nil {
				return nil, nil, err
			}
			untagged(chart, versions)
		}
	}
	if r.Index != "" {
		if ready.index, err = helm3.LoadIndex(r.Index); err != nil {
			return nil, nil, err
		}
		if first {
			untagged(r.Index, ready.index.Versions(p.Name))
		}
		if ready.index.Has(p.Name, p.Version) {
			refuse(fmt.Sprintf("%s has %s %s already", r.Index, p.Name, p.Version), "raise version in Chart.yaml; what is published never changes")
		} else if err := ready.index.Add(p.chart, p.File, p.Digest, r.URL, p.Commit.Time); err != nil {
			return nil, nil, err
		}
	}
	return ready, refusals, nil
}

// newest is the highest of the versions besides own and prereleases, empty where there is none.
func newest(versions []string, own string) string {
	var last *semver.Version
	for _, version := range versions {
		v, err := semver.StrictNewVersion(version)
		if err == nil && version != own && v.Prerelease() == "" && (last == nil || v.GreaterThan(last)) {
			last = v
		}
	}
	if last == nil {
		return ""
	}
	return last.String()
}

func (r Release) gate(ctx context.Context) (gate diff.Gate, err error) {
	opener := revision.Opener{Dir: r.Dir, Chart: r.Chart, Registry: r.Registry}
	head, err := opener.Open(ctx, "HEAD")
	if err != nil {
		return gate, err
	}
	defer func() {
		if fault := head.Close(); fault != nil {
			err = errors.Join(err, fault)
		}
	}()
	return opener.SinceRelease(ctx, head, "HEAD")
}

// Publish writes the archive into out, pushes it, and then enters it into the index: a reader
// of either finds all of the release or nothing of it. It returns the digest of the manifest.
func (r *Ready) Publish(ctx context.Context, out string) (digest string, err error) {
	if err := r.Write(out); err != nil {
		return "", err
	}
	if r.Reference != "" {
		if digest, err = r.release.Registry.Push(ctx, r.Reference, r.Archive, r.Provenance, r.Commit.Time); err != nil {
			return "", err
		}
	}
	if r.index != nil {
		data, err := r.index.YAML()
		if err != nil {
			return digest, err
		}
		if err := wholefile.Write(r.release.Index, data, 0o644); err != nil {
			return digest, err
		}
	}
	return digest, nil
}

func some(lines []string) string {
	const most = 5
	if len(lines) <= most {
		return strings.Join(lines, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(lines[:most], ", "), len(lines)-most)
}
