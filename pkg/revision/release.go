package revision

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/Masterminds/semver/v3"

	"chartbasico/internal/git"
	"chartbasico/internal/helm3"
	"chartbasico/pkg/diff"
)

// Unfit says why git cannot tell the last release, and what to do.
type Unfit struct{ Found, Fix string }

func (u Unfit) Error() string { return u.Found + ". Fix: " + u.Fix }

// LastRelease is the tag of the newest release on the way to a commit, named as chart-releaser
// names it: CHART-VERSION. A tag of the version that is to be released is not one: it may stand
// already, on this commit. Nor is one of a prerelease, which promises nothing: what came with it
// comes with the release that it announces. Empty where there is none.
func LastRelease(ctx context.Context, repository *git.Repository, commit git.Commit, chart, version string) (string, error) {
	tags, err := repository.Tags(ctx, chart+"-*", commit)
	if err != nil {
		return "", err
	}
	var last *semver.Version
	for _, tag := range tags {
		v, err := semver.StrictNewVersion(strings.TrimPrefix(tag, chart+"-"))
		if err == nil && v.String() != version && v.Prerelease() == "" && (last == nil || v.GreaterThan(last)) {
			last = v
		}
	}
	if last == nil {
		return "", nil
	}
	return chart + "-" + last.String(), nil
}

// SinceRelease judges the version of a revision by what changed since the last release before
// it. The first release has nothing to be judged by, and passes.
func (o Opener) SinceRelease(ctx context.Context, r *Revision, commit string) (gate diff.Gate, err error) {
	repository, err := git.Open(ctx, o.Dir)
	if err != nil {
		return gate, err
	}
	at, err := repository.Commit(ctx, commit)
	if err != nil {
		return gate, err
	}
	if r.chart == "" {
		return gate, fmt.Errorf("%s has %w of its own, whose version would be judged", r.Name, errNoChart)
	}
	chart, err := helm3.LoadChart(r.chart)
	if err != nil {
		return gate, fmt.Errorf("%s: %w", r.Name, err)
	}
	if err := o.fit(ctx, repository, at, chart.Name); err != nil {
		return gate, err
	}
	tag, err := LastRelease(ctx, repository, at, chart.Name, chart.Version)
	if err != nil {
		return gate, err
	}
	if tag == "" {
		return diff.Gate{New: chart.Version, Minimum: chart.Version, Pass: true,
			Reason: fmt.Sprintf("no release yet (no tag %s-X.Y.Z on the way to %s): nothing to judge version %s by", chart.Name, commit, chart.Version)}, nil
	}
	last, err := o.Open(ctx, "refs/tags/"+tag)
	if err != nil {
		return gate, err
	}
	defer func() { err = errors.Join(err, last.Close()) }()
	last.Name = tag
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return gate, err
	}
	result, err := between(ctx, last, r, dir, false)
	if err != nil {
		return gate, err
	}
	return result.Gate, nil
}

// fit refuses a repository whose tags would make a wrong release the last one, or none: the
// version would be judged by nothing, and pass.
func (o Opener) fit(ctx context.Context, repository *git.Repository, commit git.Commit, chart string) error {
	shallow, err := repository.Shallow(ctx)
	if err != nil {
		return err
	}
	if shallow {
		return Unfit{"this clone is shallow: older commits and the tags of releases are missing", "git fetch --unshallow --tags (in a workflow: check out with fetch-depth: 0)"}
	}
	tags, err := repository.TagsAt(ctx, chart+"-*", commit)
	if err != nil || len(tags) == 0 {
		return err
	}
	version, err := o.versionAt(ctx, commit)
	if err != nil {
		return err
	}
	for _, tag := range tags {
		v, err := semver.StrictNewVersion(strings.TrimPrefix(tag, chart+"-"))
		if err == nil && v.String() != version {
			return Unfit{fmt.Sprintf("the tag %s stands on commit %.12s, whose Chart.yaml says version %s", tag, commit.Hash, version),
				fmt.Sprintf("git tag --delete %s and put it onto the commit of that version, or set version in Chart.yaml to %s and tag that commit", tag, v)}
		}
	}
	return nil
}

// versionAt is the chart's version as it is committed.
func (o Opener) versionAt(ctx context.Context, commit git.Commit) (version string, err error) {
	r, err := o.Open(ctx, commit.Hash)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if r.chart == "" {
		return "", fmt.Errorf("commit %.12s has %w of its own", commit.Hash, errNoChart)
	}
	chart, err := helm3.LoadChart(r.chart)
	if err != nil {
		return "", fmt.Errorf("commit %.12s: %w", commit.Hash, err)
	}
	return chart.Version, nil
}
