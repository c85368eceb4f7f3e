package promote

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"chartbasico/pkg/assert"
	"chartbasico/pkg/measure"
	"chartbasico/pkg/render"
	"chartbasico/pkg/report"
	"chartbasico/pkg/rollout"
	"chartbasico/pkg/verify"
)

// moved is what fell short when a stage changed, if anything: that it did not arrive, or that requests were lost or could
// not be sent, so that nothing proves that none were.
type moved struct{ arrives, lost string }

func (m moved) why() string { return cmp.Or(m.arrives, m.lost) }

// move upgrades to a stage, with a steady flow of requests meanwhile, and waits until every proxy has it. An upgrade
// that has begun is finished, also when ctx ends: only so is the release at one stage and not between two.
func (p *promotion) move(ctx context.Context, from, to verify.Stage, what string, also []render.Override) (moved, error) {
	if ctx.Err() != nil {
		return moved{arrives: context.Cause(ctx).Error()}, context.Cause(ctx)
	}
	began := time.Now()
	words := fmt.Sprintf("%s by %s (basico promote): %s at stage %s", what, p.opts.Who, p.app.Name, to.Name)
	if from.Name != to.Name {
		words = fmt.Sprintf("%s by %s (basico promote): %s from stage %s to %s", what, p.opts.Who, p.app.Name, from.Name, to.Name)
	}
	steady := rollout.StartSteady(ctx, p.cluster, p.origins, min(p.opts.Pace, rollout.Rate(p.cluster.StandIns())))
	rendered, err := p.mover.Upgrade(context.WithoutCancel(ctx), p.app, to, words, also...)
	if err == nil {
		p.at = to.Name
		err = p.mover.Arrive(ctx, p.app, rendered, p.origins)
	}
	flows, flowErr := steady.Stop()
	if ctx.Err() != nil {
		return moved{arrives: context.Cause(ctx).Error()}, context.Cause(ctx)
	}
	subject := fmt.Sprintf("%s from stage %s to %s", p.app.Name, from.Name, to.Name)
	arrives := assert.Judgement{Want: "every proxy divides as the stage says and is in sync", Got: "not so"}
	if err == nil {
		arrives.Pass, arrives.Got = true, fmt.Sprintf("in %d ms", time.Since(began).Milliseconds())
	} else {
		arrives.Why = err.Error()
	}
	p.check("route arrives at every proxy", subject, arrives, time.Since(began))
	m := moved{arrives: arrives.Why}
	for _, f := range flows {
		lost := f.Tally.Errors
		for _, n := range f.Tally.VersionErrors {
			lost -= n
		}
		j := none(lost, f.Tally.Requests, f.Tally.Failures)
		p.check("no request lost while stages change", subject+" from "+f.Origin.Name, j, f.Tally.Elapsed)
		if !j.Pass && m.lost == "" {
			m.lost = j.Why + " from " + f.Origin.Name + " while the stage changed"
		}
	}
	if flowErr != nil { // what cannot be measured is not proved
		why := strings.ReplaceAll(flowErr.Error(), "\n", "; ")
		p.notRun("no request lost while stages change: "+subject+", to the end", why)
		m.lost = strings.TrimPrefix(m.lost+"; "+why, "; ")
	}
	kind := "moved"
	if p.turned {
		kind = "rolled back"
	}
	p.step(kind, to, began, m.why())
	if m.why() != "" {
		p.walk.Why = m.why()
		p.say("  at stage %s: %s", to.Name, m.why())
		return m, nil
	}
	p.say("  at stage %s: %s (every proxy has it after %d ms)", to.Name, percents(to.Weights), time.Since(began).Milliseconds())
	return m, nil
}

// none judges that requests were answered by some version, well or not.
func none(lost, requests int, failures map[string]int) assert.Judgement {
	if lost == 0 {
		return assert.NoneLost(requests, 0, nil)
	}
	return assert.NoneLost(requests, lost, failures)
}

// noticed is so large a part of its requests that a version which fails them does not get past.
const noticed = 0.05

// requests is how many are sent at a stage: so many at least that a version that gains and fails a noticed part of its
// requests, beside one that fails none, is found with a probability of all but the rate.
func (p *promotion) requests(previous, stage verify.Stage) int {
	share := func(version string) float64 { return float64(stage.Weights[version]) / 100 }
	gains, old := gaining(previous, stage), 0.0
	for _, v := range losing(previous, stage) {
		old += share(v)
	}
	if len(gains) == 0 { // here, what later stages are compared with is measured
		gains = []string{slices.MaxFunc(slices.Sorted(maps.Keys(stage.Weights)), func(a, b string) int { return stage.Weights[a] - stage.Weights[b] })}
	}
	for looks := 1; ; {
		n := p.opts.Requests
		for _, v := range gains {
			beside := old
			if beside == 0 {
				beside = share(v) // it is compared with a stage where others had about as much
			}
			n = max(n, assert.Enough(share(v), beside, noticed, p.opts.Rate/float64(looks)))
		}
		rounds := len(measure.Rounds(n))
		if rounds <= looks {
			return n
		}
		looks = rounds // each takes its part of the rate
	}
}

// gate measures a stage from every origin, and says why it does not hold: requests are lost, the split is wrong, or a
// version that gets more than at the previous stage does worse than those that get less.
func (p *promotion) gate(ctx context.Context, previous, stage verify.Stage) (why string, err error) {
	began := time.Now()
	now := seen{stage: stage, served: map[string]map[string]assert.Served{}}
	n := p.requests(previous, stage)
	looks := len(measure.Rounds(n))
	for i, o := range p.origins {
		var judged []comparison
		r, err := measure.Split(ctx, p.cluster, o, stage.Weights, measure.Options{Requests: n, Rate: p.opts.Rate, Pace: p.opts.Pace, Progress: func(sent int) {
			p.say("    from %s: %d of %d requests so far", o.Name, sent, n)
		}, After: func(r measure.Result) bool {
			// Judged after each round: each time may fail by chance as often as the rate over all rounds says.
			judged = p.compare(previous, stage, o, served(r), p.opts.Rate/float64(looks))
			return r.Lost() > 0 || slices.ContainsFunc(judged, comparison.failed)
		}})
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		now.served[o.Name] = served(r)
		if losers := losing(previous, stage); len(losers) > 0 && p.gone(losers, stage) {
			p.report.NotRun = append(p.report.NotRun, report.NotRun{
				Environment: p.running.Env.Name, What: fmt.Sprintf("%s: %s at stage %s from %s", slower, p.app.Name, stage.Name, o.Name), Expected: true,
				Reason: strings.Join(losers, " and ") + " gets nothing there, and latencies of different times are not compared",
			})
		}
		why = p.record(stage, o, r, judged)
		if err != nil { // what cannot be measured is not proved
			why = err.Error()
			p.notRun(fmt.Sprintf("%s at stage %s from %s, to the end", p.app.Name, stage.Name, o.Name), why)
		}
		p.say("    from %s: %s", o.Name, summary(r, judged, why))
		if why != "" {
			why += " (from " + o.Name + ")"
			for _, other := range p.origins[i+1:] {
				p.notRun(fmt.Sprintf("%s at stage %s from %s", p.app.Name, stage.Name, other.Name), "it was clear before")
			}
			break
		}
	}
	p.stages = append(p.stages, now)
	p.step("measured", stage, began, why)
	return why, nil
}

// comparison is one judgement of the new version beside the old.
type comparison struct {
	name    string
	subject string
	assert.Judgement
	// empty says that one of the two has answered nothing so far. A small part of the first round is none by chance much
	// more often than the rate says, so it proves nothing until all requests are sent.
	empty bool
}

// failed says whether it is proved, before all requests are sent, that it does not hold.
func (c comparison) failed() bool { return !c.Pass && !c.empty }

// compare compares each version that gains by a step with those that lose by it.
func (p *promotion) compare(previous, stage verify.Stage, o rollout.Origin, now map[string]assert.Served, rate float64) []comparison {
	var all []comparison
	losers := losing(previous, stage)
	for _, version := range gaining(previous, stage) {
		newer := now[version]
		newer.Version = version
		subject := fmt.Sprintf("%s %s at stage %s from %s", p.app.Name, version, stage.Name, o.Name)
		if p.gone(losers, stage) {
			older, where := p.earlier(o, losers, stage.Weights[version])
			j := assert.NoMoreErrors(newer, older, rate)
			j.Want += ", as it was at stage " + where
			all = append(all, comparison{moreErrors, subject, j, newer.Requests == 0})
			continue
		}
		older := pool(now, losers)
		all = append(all,
			comparison{moreErrors, subject, assert.NoMoreErrors(newer, older, rate), newer.Requests == 0 || older.Requests == 0},
			comparison{slower, subject, assert.NotSlower(newer, older, p.opts.Limit, rate), newer.Latency.Count() == 0 || older.Latency.Count() == 0})
	}
	return all
}

// The names of the comparisons in reports.
const (
	moreErrors = "errors no more frequent than before"
	slower     = "not slower than before"
)

// gone says whether none of the versions gets anything at a stage. Then there is nothing at the same time to compare
// with. How often they failed before is worth something still; how long they took is not, since it depends on what
// else the machines do.
func (p *promotion) gone(versions []string, stage verify.Stage) bool {
	return !slices.ContainsFunc(versions, func(v string) bool { return stage.Weights[v] > 0 })
}

// earlier is what versions did at the stage of this walk at which they had a weight nearest to that; of equal ones, the
// latest.
func (p *promotion) earlier(o rollout.Origin, versions []string, weight int) (assert.Served, string) {
	var best assert.Served
	where, off := "", 101
	for _, s := range p.stages {
		had := 0
		for _, v := range versions {
			had += s.stage.Weights[v]
		}
		if d := max(had-weight, weight-had); had > 0 && d <= off {
			best, where, off = pool(s.served[o.Name], versions), s.stage.Name, d
		}
	}
	if best.Version == "" {
		best.Version = strings.Join(versions, "+")
	}
	return best, where
}

// pool is what several versions did together.
func pool(of map[string]assert.Served, versions []string) assert.Served {
	sum := assert.Served{Version: strings.Join(versions, "+")}
	for _, v := range versions {
		sum.Requests += of[v].Requests
		sum.Errors += of[v].Errors
		sum.Latency = sum.Latency.Add(of[v].Latency)
	}
	return sum
}

// served is what each version did.
func served(r measure.Result) map[string]assert.Served {
	all := map[string]assert.Served{}
	for version, n := range r.Got {
		all[version] = assert.Served{Version: version, Requests: n, Errors: r.Tally.VersionErrors[version], Latency: r.Tally.VersionLatency[version]}
	}
	return all
}

// record puts what was measured from an origin into the report, and returns what is wrong with it.
func (p *promotion) record(stage verify.Stage, o rollout.Origin, r measure.Result, judged []comparison) string {
	split := report.Split{
		Environment: p.running.Env.Name, App: p.app.Title, Stage: stage.Name, From: o.Name,
		Requests: r.Tally.Requests, Errors: r.Tally.Errors, Want: stage.Weights, Got: r.Got, Failures: r.Tally.Failures,
		Sequential: true, Elapsed: report.Seconds(r.Tally.Elapsed),
	}
	split.Judge(r.Split)
	p.report.Splits = append(p.report.Splits, split)
	var complaints []string
	if !split.Pass {
		complaints = append(complaints, split.Why)
	}
	lost := none(r.Lost(), r.Tally.Requests, r.Tally.Failures)
	p.check("no request lost", fmt.Sprintf("%s at stage %s from %s", p.app.Name, stage.Name, o.Name), lost, r.Tally.Elapsed)
	if !lost.Pass {
		complaints = append(complaints, lost.Why)
	}
	for _, c := range judged {
		p.check(c.name, c.subject, c.Judgement, 0)
		if !c.Pass {
			complaints = append(complaints, c.Why)
		}
	}
	return strings.Join(complaints, "; ")
}

func summary(r measure.Result, judged []comparison, why string) string {
	parts := []string{fmt.Sprintf("%d requests in %.1f s", r.Tally.Requests, r.Tally.Elapsed.Seconds())}
	for _, c := range judged {
		parts = append(parts, c.Got)
	}
	if why != "" {
		return strings.Join(parts, "; ") + ": FELL SHORT"
	}
	return strings.Join(parts, "; ") + ": held"
}
