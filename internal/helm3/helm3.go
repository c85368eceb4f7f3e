// Package helm3 is the only importer of Helm v3's SDK: everything the harness asks of Helm
// passes through here, so that another major version is a change in one place.
//
// It differs from the helm command where a library must: every call takes a context and
// returns only when its work has stopped, nothing is read from or written to the user's
// HELM_* and kubectl cache directories, and nothing is printed. But for two: a Registry and a
// Repository read the credentials that helm keeps, and a Repository downloads to the end also
// when its context has ended, which it says then.
package helm3

import (
	"context"
	"errors"
	"fmt"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/releaseutil"
	"helm.sh/helm/v3/pkg/storage/driver"
)

// DefaultTimeout is how long Helm waits for a hook, or for objects where Spec.Wait asks for it.
const DefaultTimeout = 5 * time.Minute

// ErrNotFound says that no release of that name exists in the client's namespace.
var ErrNotFound = errors.New("release not found")

// Spec is one release as it should be.
type Spec struct {
	Name      string
	Namespace string         // for Template; a Client has its own
	ChartDir  string         // for Client; Template is given a loaded chart
	Values    map[string]any // merged values of the user; the chart's own defaults lie below them
	Timeout   time.Duration  // of hooks and of Wait; 0 is DefaultTimeout
	Wait      bool           // also wait until the objects are ready; Helm polls every 2 s
	DryRun    bool           // render against the cluster, and change nothing
	// SkipSchemaValidation is for a Client whose caller has held Values against the chart's schema: Helm would compile it
	// again for each release.
	SkipSchemaValidation bool
	// HistoryMax is how many revisions are kept, 0: all; nil: 10.
	HistoryMax *int
	// Description is what the history says of the revision; Helm's own words if empty.
	Description string
}

func (s Spec) timeout() time.Duration {
	if s.Timeout == 0 {
		return DefaultTimeout
	}
	return s.Timeout
}

// Deployed is one revision of a release as Helm recorded it.
type Deployed struct {
	Name        string
	Namespace   string
	Revision    int
	Status      string // Helm's word: deployed, superseded, failed, …
	Description string
	Chart       string // name-version
	Updated     time.Time
	Values      map[string]any
	Manifest    string
	Notes       string
}

func deployed(r *release.Release) *Deployed {
	if r == nil {
		return nil
	}
	d := &Deployed{Name: r.Name, Namespace: r.Namespace, Revision: r.Version, Values: r.Config, Manifest: r.Manifest}
	if r.Info != nil {
		d.Status = r.Info.Status.String()
		d.Description = r.Info.Description
		d.Updated = r.Info.LastDeployed.Time
		d.Notes = r.Info.Notes
	}
	if r.Chart != nil && r.Chart.Metadata != nil {
		d.Chart = r.Chart.Metadata.Name + "-" + r.Chart.Metadata.Version
	}
	return d
}

// Upgrade makes the release what spec says, and installs it where it does not exist yet
// (helm upgrade --install). Values of earlier revisions are not reused. When ctx ends, no
// further change is made, the revision is recorded as failed, and the error wraps ctx's.
func (c *Client) Upgrade(ctx context.Context, spec Spec) (*Deployed, error) {
	chart, err := LoadChart(spec.ChartDir)
	if err != nil {
		return nil, err
	}
	ch, err := chart.instance()
	if err != nil {
		return nil, err
	}
	cfg, err := c.configuration(ctx)
	if err != nil {
		return nil, err
	}
	last, err := cfg.Releases.Last(spec.Name)
	if err != nil && !errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, c.failed(ctx, "reading the history", spec.Name, err)
	}
	if last == nil || last.Info.Status == release.StatusUninstalled {
		install := action.NewInstall(cfg)
		install.ReleaseName = spec.Name
		install.Namespace = c.namespace
		install.Timeout = spec.timeout()
		install.Wait = spec.Wait
		install.WaitForJobs = spec.Wait
		install.DryRun = spec.DryRun
		install.Description = spec.Description
		install.Replace = last != nil
		install.DisableOpenAPIValidation = true
		install.SkipSchemaValidation = spec.SkipSchemaValidation
		if spec.DryRun {
			install.DryRunOption = "server"
		}
		// Helm is not given ctx: it would return while its work goes on. The requests have it.
		r, err := install.RunWithContext(context.WithoutCancel(ctx), ch, spec.Values)
		return deployed(r), c.failed(ctx, "install", spec.Name, err)
	}
	upgrade := action.NewUpgrade(cfg)
	upgrade.Namespace = c.namespace
	upgrade.Timeout = spec.timeout()
	upgrade.Wait = spec.Wait
	upgrade.WaitForJobs = spec.Wait
	upgrade.DryRun = spec.DryRun
	upgrade.Description = spec.Description
	upgrade.ResetValues = true
	upgrade.MaxHistory = kept(spec.HistoryMax)
	upgrade.DisableOpenAPIValidation = true
	upgrade.SkipSchemaValidation = spec.SkipSchemaValidation
	if spec.DryRun {
		upgrade.DryRunOption = "server"
	}
	r, err := upgrade.RunWithContext(context.WithoutCancel(ctx), spec.Name, ch, spec.Values)
	return deployed(r), c.failed(ctx, "upgrade", spec.Name, err)
}

// kept is how many revisions are kept: 10 if nothing is said, as the helm command does.
func kept(historyMax *int) int {
	if historyMax == nil {
		return 10
	}
	return *historyMax
}

// Rollback makes the release what it was at revision (0 is the one before), as a new revision. historyMax is as in
// Spec.
func (c *Client) Rollback(ctx context.Context, name string, revision int, historyMax *int) error {
	cfg, err := c.configuration(ctx)
	if err != nil {
		return err
	}
	rollback := action.NewRollback(cfg)
	rollback.Version = revision
	rollback.Timeout = DefaultTimeout
	rollback.MaxHistory = kept(historyMax)
	return c.failed(ctx, "rollback", name, rollback.Run(name))
}

// Uninstall deletes the release's objects and its history. Objects with Helm's annotation
// helm.sh/resource-policy: keep stay. A release that does not exist is ErrNotFound.
func (c *Client) Uninstall(ctx context.Context, name string) error {
	cfg, err := c.configuration(ctx)
	if err != nil {
		return err
	}
	uninstall := action.NewUninstall(cfg)
	uninstall.Timeout = DefaultTimeout
	_, err = uninstall.Run(name)
	return c.failed(ctx, "uninstall", name, err)
}

// History returns the recorded revisions, oldest first. A release that does not exist is ErrNotFound.
func (c *Client) History(ctx context.Context, name string) ([]Deployed, error) {
	cfg, err := c.configuration(ctx)
	if err != nil {
		return nil, err
	}
	revisions, err := cfg.Releases.History(name)
	if err != nil {
		return nil, c.failed(ctx, "history", name, err)
	}
	releaseutil.SortByRevision(revisions)
	out := make([]Deployed, 0, len(revisions))
	for _, r := range revisions {
		out = append(out, *deployed(r))
	}
	return out, nil
}

// Status returns the newest revision. A release that does not exist is ErrNotFound.
func (c *Client) Status(ctx context.Context, name string) (*Deployed, error) {
	cfg, err := c.configuration(ctx)
	if err != nil {
		return nil, err
	}
	r, err := cfg.Releases.Last(name)
	if err != nil {
		return nil, c.failed(ctx, "status", name, err)
	}
	return deployed(r), nil
}

// GiveUp records that the newest revision failed, if it says that an operation on it still goes on: as it does for ever
// where the program that did it was killed. Helm changes nothing of the release as long as it says so. It is up to the
// caller to know that nobody works on it any more.
func (c *Client) GiveUp(ctx context.Context, name, description string) error {
	cfg, err := c.configuration(ctx)
	if err != nil {
		return err
	}
	last, err := cfg.Releases.Last(name)
	if err == nil && last.Info.Status.IsPending() {
		last.SetStatus(release.StatusFailed, description)
		err = cfg.Releases.Update(last)
	}
	return c.failed(ctx, "giving up", name, err)
}

// Pending says whether an operation on the revision goes on, or was killed.
func (d Deployed) Pending() bool { return release.Status(d.Status).IsPending() }

// failed names the release and what was done to it, and tells an end of ctx from a fault.
func (c *Client) failed(ctx context.Context, verb, name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, driver.ErrReleaseNotFound):
		return fmt.Errorf("%s %s/%s: %w", verb, c.namespace, name, ErrNotFound)
	case ctx.Err() != nil:
		return fmt.Errorf("%s %s/%s: stopped: %w", verb, c.namespace, name, context.Cause(ctx))
	}
	return fmt.Errorf("%s %s/%s: %w", verb, c.namespace, name, err)
}

// Capabilities is what templates may ask about the cluster.
type Capabilities struct {
	KubeVersion string   // such as v1.37.0
	APIVersions []string // beyond those that Kubernetes itself serves: group/version and group/version/Kind
}

// Template renders the chart as `helm template` does, in process and without a cluster. The
// manifest ends with the hooks. The values are not held against the root chart's schema:
// callers compile that once, and see Chart.Schema. Safe for concurrent use of one chart.
func Template(ctx context.Context, chart *Chart, spec Spec, caps Capabilities) (manifest, notes string, err error) {
	if err := ctx.Err(); err != nil {
		return "", "", context.Cause(ctx)
	}
	ch, err := chart.instance()
	if err != nil {
		return "", "", err
	}
	ch.Schema = nil
	version, err := chartutil.ParseKubeVersion(caps.KubeVersion)
	if err != nil {
		return "", "", fmt.Errorf("Kubernetes version %q: want one such as v1.37.0: %w", caps.KubeVersion, err)
	}
	asked := chartutil.DefaultCapabilities.Copy()
	asked.KubeVersion = *version
	asked.APIVersions = append(asked.APIVersions, caps.APIVersions...)
	if ch, err = chart.rendered(ch, spec, asked); err != nil {
		return "", "", err
	}
	install := action.NewInstall(&action.Configuration{Log: func(string, ...any) {}})
	install.ClientOnly = true
	install.DryRun = true
	install.DryRunOption = "client"
	install.Replace = true // the name is not looked up
	install.ReleaseName = spec.Name
	install.Namespace = spec.Namespace
	install.KubeVersion = version
	install.APIVersions = caps.APIVersions
	install.IncludeCRDs = true
	r, err := install.RunWithContext(ctx, ch, spec.Values)
	if err != nil {
		return "", "", err
	}
	manifest = r.Manifest
	for _, hook := range r.Hooks {
		manifest += fmt.Sprintf("---\n# Source: %s\n%s\n", hook.Path, hook.Manifest)
	}
	return manifest, r.Info.Notes, nil
}
