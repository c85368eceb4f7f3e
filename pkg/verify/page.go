package verify

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"chartbasico/pkg/assert"
	"chartbasico/pkg/cluster"
	"chartbasico/pkg/rollout"
	"chartbasico/pkg/traffic"
)

// showsAnnotation is on the pods of a version: a text that a page has if that version was asked for it.
const showsAnnotation = "chart-basico/shows"

// page finds a way in whose answer names a pod of the app. A stand-in calls what it is told to, at whatever path; of
// the paths of a real application not every one is a page, nor does every page need the app. Without an origin why
// says why there is none.
func page(ctx context.Context, c cluster.Cluster, app App, entries []Entry, workloads []Workload) (o *rollout.Origin, why string, err error) {
	var onTheWay http.Header
	for _, w := range workloads {
		if call, ok := w.calls(app); ok {
			all, _ := app.askedBy(w, call)
			if asked, ok := handedOn(all); ok {
				onTheWay = asked.header
				break
			}
		}
	}
	var tried []string
	for _, e := range app.best(entries) {
		o := app.through(e, onTheWay)
		if app.leads(e) {
			o = app.through(e, nil)
		}
		if slices.Contains(tried, o.Load.URL) {
			continue
		}
		tried = append(tried, o.Load.URL)
		load := o.Load
		load.Requests = 1
		tally, err := c.Send(ctx, o.From, load)
		if err != nil {
			return nil, "", fmt.Errorf("%s from the ingress gateway: %w", o.Load.URL, err)
		}
		if len(tally.Versions) > 0 {
			return &o, "", nil
		}
	}
	return nil, fmt.Sprintf("no answer at %s names a pod of it", strings.Join(tried, ", ")), nil
}

// findPage lets requests from the gateway ask for a page, and leaves them out if there is none.
func (a *routed) findPage(ctx context.Context) error {
	found, why, err := page(ctx, a.cluster, a.App, a.entries, a.workloads)
	if err != nil {
		return err
	}
	if found == nil {
		a.origins, a.direct = throughPage(a.origins, nil), throughPage(a.direct, nil)
		// Those who call it show its splits as well.
		a.notRun("splits of "+a.Title+" from the ingress gateway", why, len(a.origins) > 0)
		return nil
	}
	a.say("%s: people see it at %s", a.Title, found.Load.URL)
	a.origins, a.direct = throughPage(a.origins, found), throughPage(a.direct, found)
	return nil
}

// throughPage replaces the origin at the gateway.
func throughPage(origins []rollout.Origin, found *rollout.Origin) []rollout.Origin {
	var all []rollout.Origin
	for _, o := range origins {
		switch {
		case o.Name != GatewayName:
			all = append(all, o)
		case found != nil:
			all = append(all, *found)
		}
	}
	return all
}

// texts are what the versions of the app show, those that show anything.
func (a *routed) texts() map[string]string {
	texts := map[string]string{}
	for _, w := range a.workloads {
		if w.Namespace == a.Namespace && w.App == a.Name && w.Shows != "" {
			texts[w.Version] = w.Shows
		}
	}
	return texts
}

// pageShows judges what people have seen while requests divided.
func (a *routed) pageShows(stage Stage, texts map[string]string, tally traffic.Tally, took time.Duration) {
	const nothing = "none of them"
	want := map[string]int{}
	for version, weight := range stage.Weights {
		text := texts[version]
		if text == "" {
			text = nothing
		}
		want[text] += weight
	}
	got := map[string]int{}
	for text, n := range tally.Shown {
		if text == "" {
			text = nothing
		}
		got[text] = n
	}
	a.check("the page shows its versions", a.Title+" at stage "+stage.Name, assert.Split(want, got, tally.Errors, a.opts.Rate), took)
}
