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

// LastRelease is the tag of the newest release on the way to a commit, named as chart-releaser
// names it: CHART-VERSION. A tag of the version that is to be released is not one: it may stand
// already, on this commit. Empty where there is none.
func LastRelease(ctx context.Context, repository *git.Repository, commit git.Commit, chart, version string) (string, error) {
	tags, err := repository.Tags(ctx, chart+"-*", commit)
	if err != nil {
		return "", err
	}
	var last *semver.Version
	for _, tag := range tags {
		v, err := semver.StrictNewVersion(strings.TrimPrefix(tag, chart+"-"))
		if err == nil && v.String() != version && (last == nil || v.GreaterThan(last)) {
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
	chart, err := helm3.LoadChart(r.chart)
	if err != nil {
		return gate, fmt.Errorf("%s: %w", r.Name, err)
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
	result, err := Compare(ctx, last, r, dir)
	if err != nil {
		return gate, err
	}
	return result.Gate, nil
}
