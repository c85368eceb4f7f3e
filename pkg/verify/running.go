package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"chartbasico/internal/nearest"
	"chartbasico/pkg/cluster"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/release"
	"chartbasico/pkg/render"
	"chartbasico/pkg/report"
	"chartbasico/pkg/rollout"
)

// Running is an environment that somebody has installed on a cluster. Looking at it changes nothing.
type Running struct {
	// Cluster shows of the proxies those of the environment alone.
	Cluster   cluster.Cluster
	Env       *environment.Environment
	Installer *release.Installer
	// Releases are what the environment's files render to now, which is not what runs if they have changed since.
	Releases []*render.Release
	Apps     []App

	renderer  *render.Renderer
	own       own
	entries   []Entry
	exposures []Exposure
	dynamic   dynamic.Interface
	settle    time.Duration
}

// Look looks at an environment on a cluster, until ctx ends. settle bounds the wait until a change has arrived at every
// proxy; 0 is that of Options.
func Look(ctx context.Context, c cluster.Cluster, env *environment.Environment, renderer *render.Renderer, settle time.Duration) (*Running, error) {
	r := &Running{Cluster: c, Env: env, renderer: renderer, settle: Options{Settle: settle}.withDefaults(c.StandIns()).Settle}
	var err error
	if r.Releases, err = renderer.Environment(ctx, env); err != nil {
		return nil, err
	}
	if r.Apps, err = Apps(r.Releases); err != nil {
		return nil, err
	}
	if r.own, err = ownOf(r.Releases); err != nil {
		return nil, err
	}
	r.Cluster = ownIn(c, r.own)
	if r.entries, err = Entries(r.Releases); err != nil {
		return nil, err
	}
	if r.exposures, err = Unrequested(r.Releases); err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Kubeconfig(), err)
	}
	if r.dynamic, err = dynamic.NewForConfig(config); err != nil {
		return nil, err
	}
	if r.Installer, err = release.New(ctx, c.Kubeconfig(), release.Options{}); err != nil {
		return nil, err
	}
	return r, nil
}

// Describe names the cluster and the versions it runs.
func (r *Running) Describe(ctx context.Context) (report.Cluster, error) {
	return describe(ctx, r.Cluster, r.Installer.KubernetesVersion())
}

// Client returns the client of the cluster's API.
func (r *Running) Client() kubernetes.Interface { return r.Installer.Client() }

// ErrNoApp is wrapped by errors that say that there is no such app with routing.
var ErrNoApp = errors.New("no such app with routing")

// App finds an app with routing by its name, or by namespace/name where several namespaces have one.
func (r *Running) App(name string) (App, error) {
	var found []App
	var names []string
	for _, a := range r.Apps {
		if a.Name == name || a.Namespace+"/"+a.Name == name {
			found = append(found, a)
		}
		names = append(names, a.Name)
	}
	switch {
	case len(found) == 1 && found[0].Protocol != "HTTP":
		return App{}, fmt.Errorf("%s: %w: %s routes %s, and requests are sent as HTTP", r.Env.File, ErrNoApp, name, found[0].Protocol)
	case len(found) == 1 && found[0].Unmatched != "":
		return App{}, fmt.Errorf("%s: %s: %s", r.Env.File, name, found[0].Unmatched)
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		var full []string
		for _, a := range found {
			full = append(full, a.Namespace+"/"+a.Name)
		}
		return App{}, fmt.Errorf("%s: %w: %s are all named so; name one with its namespace", r.Env.File, ErrNoApp, strings.Join(full, " and "))
	case len(names) == 0:
		return App{}, fmt.Errorf("%s: %w: none of its releases has routing; add one whose values have a routing block with stages", r.Env.File, ErrNoApp)
	}
	fix := "those with routing are " + strings.Join(names, ", ")
	if near := nearest.Word(name, names); near != "" {
		fix = "did you mean " + near + "?"
	}
	for _, rel := range r.Releases {
		if rel.Values["app"] == name {
			fix = "it has no routing; add a release whose values have a routing block with stages"
		}
	}
	return App{}, fmt.Errorf("%s: %w: %s: %s", r.Env.File, ErrNoApp, name, fix)
}

// StageOf finds a stage of an app by its name.
func (a App) StageOf(name string) (Stage, error) {
	var names []string
	for _, s := range a.Stages {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	fix := ""
	if near := nearest.Word(name, names); near != "" {
		fix = "; did you mean " + near + "?"
	}
	return Stage{}, fmt.Errorf("%s has no stage %s, only %s%s", a.Name, name, strings.Join(names, ", "), fix)
}

// Workloads are those of the environment that run now.
func (r *Running) Workloads() ([]Workload, error) {
	return Workloads(r.own.made(r.Installer.Pods("", labels.Everything())))
}

// Origins are where requests to the app come from now, the ingress gateway first. One request was sent from each, which
// counts nowhere. left says of the gateway why it is not among them, if it leads to the app and shows nothing of it.
func (r *Running) Origins(ctx context.Context, app App) (origins []rollout.Origin, left []report.NotRun, err error) {
	workloads, err := r.Workloads()
	if err != nil {
		return nil, nil, err
	}
	return r.originsOf(ctx, app, workloads)
}

func (r *Running) originsOf(ctx context.Context, app App, workloads []Workload) (origins []rollout.Origin, left []report.NotRun, err error) {
	entries, closed, err := open(ctx, r.Cluster, leading(app, r.entries, workloads))
	if err != nil {
		return nil, nil, err
	}
	origins, _ = Origins(app, entries, workloads)
	nothing := notExposed(app, entries, slices.Concat(r.exposures, closed), workloads)
	if len(origins) > 0 && origins[0].Name == GatewayName && !r.Cluster.StandIns() {
		found, why, err := page(ctx, r.Cluster, app, entries, workloads)
		if err != nil {
			return nil, nil, err
		}
		if found == nil {
			nothing = why
			left = append(left, report.NotRun{Environment: r.Env.Name, What: "requests to " + app.Title + " from the " + GatewayName, Reason: why, Expected: true})
		}
		origins = throughPage(origins, found)
	}
	if len(origins) == 0 {
		_, whys := notAsked(app, workloads)
		called := cmp.Or(strings.Join(whys, "; "), "no workload that runs says in its values that it calls it (calls)")
		return nil, nil, fmt.Errorf("%s: %s, and %s, so there is nowhere to send requests from", app.Name, nothing, called)
	}
	return origins, left, opened(ctx, r.Cluster, origins)
}

// Live reads the app's routing as it is on the cluster.
func (r *Running) Live(ctx context.Context, app App) (rollout.Live, error) {
	return rollout.ReadLive(ctx, r.dynamic, app.Namespace, app.Name, app.Host)
}

// At is the stage of the app that divides as its live route does: preferred if that does, else the first.
func (a App) At(live rollout.Live, preferred string) (Stage, bool) {
	i := slices.IndexFunc(a.Stages, func(s Stage) bool { return s.Name == preferred && live.Divides(s.Weights) })
	if i < 0 {
		i = slices.IndexFunc(a.Stages, func(s Stage) bool { return live.Divides(s.Weights) })
	}
	if i < 0 {
		return Stage{}, false
	}
	return a.Stages[i], true
}

// Upgrade upgrades the release that owns the app's routing to a stage, and returns what it rendered. why is for Helm's
// history.
func (r *Running) Upgrade(ctx context.Context, app App, stage Stage, why string, also ...render.Override) (*render.Release, error) {
	return r.mover().upgrade(ctx, app, stage, why, also...)
}

// Arrive waits until every proxy has what was rendered.
func (r *Running) Arrive(ctx context.Context, app App, rendered *render.Release, origins []rollout.Origin) error {
	return r.mover().arrive(ctx, app, rendered, "", r.Workloads, origins)
}

func (r *Running) mover() mover {
	return mover{cluster: r.Cluster, installer: r.Installer, renderer: r.renderer, settle: r.settle}
}
