package verify

import (
	"context"
	"fmt"
	"slices"
	"time"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/release"
	"chartbasico/pkg/render"
	"chartbasico/pkg/rollout"
)

// mover moves an app's routing from stage to stage, for all who do so.
type mover struct {
	cluster   cluster.Cluster
	installer *release.Installer
	renderer  *render.Renderer
	settle    time.Duration
}

// upgrade upgrades the release that owns the routing to a stage, and returns what it rendered. why is for Helm's history.
func (m mover) upgrade(ctx context.Context, app App, stage Stage, why string, also ...render.Override) (*render.Release, error) {
	rendered, err := m.renderer.Release(ctx, app.Release.Release, append([]render.Override{render.Set("routing.stage", stage.Name)}, also...)...)
	if err != nil {
		return nil, fmt.Errorf("%s at stage %s: %w", app.Name, stage.Name, err)
	}
	if err := m.installer.UpgradeFor(ctx, rendered, why); err != nil {
		return nil, fmt.Errorf("%s at stage %s: %w", app.Name, stage.Name, err)
	}
	return rendered, nil
}

// arrive waits until every proxy has what was rendered, and sends one request from each origin that does not count: it
// opens what a first request opens. running are the workloads of the moment. narrowed names the subset whose limit the run
// changes, with that of time: they are waited for too. An upgrade leaves others as somebody has changed them by hand.
func (m mover) arrive(ctx context.Context, app App, rendered *render.Release, narrowed string, running func() ([]Workload, error), origins []rollout.Origin) error {
	route, err := app.route(rendered, narrowed)
	if err != nil {
		return fmt.Errorf("%s: %w", app.Name, err)
	}
	settle, cancel := context.WithTimeoutCause(ctx, m.settle, fmt.Errorf("it had not arrived after %v", m.settle))
	defer cancel()
	err = rollout.WaitForRoute(settle, m.cluster, func() (rollout.Route, error) {
		workloads, err := running()
		return app.carried(route, workloads), err
	})
	if err != nil {
		return err
	}
	return opened(ctx, m.cluster, origins)
}

// carried is the route with the pods that it leads to and those that carry it.
func (a App) carried(route rollout.Route, workloads []Workload) rollout.Route {
	pods := map[string]int{}
	for _, w := range workloads {
		if subset, ok := a.Subsets[w.Version]; ok && w.App == a.Name && w.Namespace == a.Namespace {
			if _, used := route.Endpoints[subset.Name]; used {
				pods[subset.Name] = len(w.Pods)
			}
		}
		if call, calls := w.calls(a); calls && w.Injected && a.carriedBy(w.caller(call)) {
			for _, p := range w.Pods {
				route.Carriers = append(route.Carriers, w.Namespace+"/"+p)
			}
		}
	}
	route.Endpoints = pods
	return route
}

// carriedBy says whether the sidecar of a caller has the route: Istio gives it to those that it is for, whatever they request.
func (a App) carriedBy(c caller) bool {
	return a.barred(c, "") == "" && slices.ContainsFunc(a.requests, c.has)
}

// opened sends one request from each origin that does not count.
func opened(ctx context.Context, c cluster.Cluster, origins []rollout.Origin) error {
	for _, o := range origins {
		load := o.Load
		load.Requests, load.Concurrency = 1, 1
		if _, err := c.Send(ctx, o.From, load); err != nil {
			return fmt.Errorf("from %s: %w", o.Name, err)
		}
	}
	return nil
}
