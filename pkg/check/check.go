// Package check says what is wrong with an environment before anything runs: every object
// against the schema of its kind, Kubernetes' and Istio's own validation, Istio's analyzers,
// and rules that need the whole environment. Everything is found at once, in the same order on every run.
package check

import (
	"context"

	"chartbasico/pkg/environment"
	"chartbasico/pkg/problem"
	"chartbasico/pkg/render"
)

// Problem is one thing that is wrong. Its Rule is a rule of this package, schema, kubernetes, or the code
// of a message of Istio's analyzers, such as IST0101.
type Problem = problem.Problem

// Checker checks rendered environments. It keeps what it has compiled, so that the second
// environment takes milliseconds. Safe for concurrent use.
type Checker struct {
	schemas *schemas
}

// Option changes a Checker.
type Option func(*options)

type options struct{ kubeVersion string }

// WithKubeVersion sets the Kubernetes version whose schemas hold, such as 1.31; the patch does
// not matter. The default is render.DefaultKubeVersion.
func WithKubeVersion(version string) Option {
	return func(o *options) { o.kubeVersion = version }
}

// New returns a Checker. A Kubernetes version whose schemas are not embedded is an error that
// names those that are.
func New(opts ...Option) (*Checker, error) {
	o := options{kubeVersion: render.DefaultKubeVersion}
	for _, opt := range opts {
		opt(&o)
	}
	s, err := openSchemas(o.kubeVersion)
	if err != nil {
		return nil, err
	}
	return &Checker{schemas: s}, nil
}

// Environment returns everything that is wrong with the environment's releases. When ctx ends
// it returns early, with what it has found; callers look at ctx.
func (c *Checker) Environment(ctx context.Context, env *environment.Environment, releases []*render.Release) []Problem {
	return c.check(ctx, env.Name, releases, environmentScope)
}

// Some returns what is wrong with some of the environment's releases, where the others do not
// render. What these may bring is not asked for.
func (c *Checker) Some(ctx context.Context, env *environment.Environment, releases []*render.Release) []Problem {
	return c.check(ctx, env.Name, releases, releaseScope)
}

// Release returns what is wrong with one release by itself. What other releases may bring,
// such as the Service that a route sends to, is not asked for.
func (c *Checker) Release(ctx context.Context, release *render.Release) []Problem {
	return c.check(ctx, "", []*render.Release{release}, releaseScope)
}

func (c *Checker) check(ctx context.Context, name string, releases []*render.Release, scope scope) []Problem {
	m := newModel(releases)
	var found problem.List
	broken := map[string]bool{}
	brought := m.brought()
	for _, o := range m.objects {
		if ctx.Err() != nil {
			return found
		}
		refused := c.schemas.check
		gvk := o.GetAPIVersion() + "/" + o.GetKind()
		if compile, ok := brought[gvk]; ok && c.schemas.kinds[gvk] == "" {
			refused = func(o object) problem.List { return c.schemas.checkBrought(ctx, o, compile) }
		}
		for _, p := range refused(o) {
			broken[o.key()] = true
			found = append(found, p)
		}
		if !broken[o.key()] {
			found = append(found, c.schemas.admit(ctx, o)...)
		}
	}
	for _, r := range releases {
		if r.ChartName == ours { // whose text it is known to become
			found = append(found, r.Warnings...)
		}
	}
	found = append(found, analyze(ctx, m, broken, scope)...)
	for _, r := range rules {
		if r.scope > scope {
			continue
		}
		for _, p := range r.check(m) {
			p.Rule = r.name
			found = append(found, p)
		}
	}
	for i := range found {
		found[i].Environment = name
		if found[i].Severity == "" {
			found[i].Severity = problem.Error
		}
	}
	return withoutEchoes(found.Sort())
}

// withoutEchoes leaves out what Istio says about a reference to nothing, be it a host, a subset or a port, or a subset of no
// pods, where a rule of ours has said the same of that object, with the fix.
func withoutEchoes(found problem.List) problem.List {
	said := map[string]bool{}
	for _, p := range found {
		switch p.Rule {
		case ruleRouteHost.name, ruleRouteSubset.name, ruleRoutePort.name:
			said["IST0101 "+p.Object] = true
		case ruleSubsetEndpoints.name:
			said["IST0173 "+p.Object] = true
		}
	}
	out := found[:0]
	for _, p := range found {
		if !said[p.Rule+" "+p.Object] || isGatewayReference(p.Found) {
			out = append(out, p)
		}
	}
	return out
}

// rule is a check of the whole environment.
type rule struct {
	name  string
	about string // what must hold, in one sentence
	scope scope
	check func(*model) problem.List
}

// scope is how much a rule has to see.
type scope int

const (
	releaseScope     scope = iota // it holds for some releases as well as for all
	environmentScope              // it asks whether something is there, which another release may bring
)

// rules are all of them, one a file.
var rules = []rule{
	ruleOwner, ruleNamespace, ruleVersionLabel, ruleServiceEndpoints, ruleServiceJob, ruleServicePort, ruleStatefulSetService, rulePortProtocol,
	ruleRouteHost, ruleRouteSubset, ruleRoutePort, ruleRouteParent, ruleExposedOnce, ruleWeights, ruleSubsetEndpoints, ruleOneDestinationRule, ruleCalls,
	ruleAutoscalerRequests, ruleDividedOutside, ruleNodePort, ruleWeightedPods, ruleReferences, ruleAccessPort,
}

// problem begins a problem with o.
func (o object) problem(path, found, expected, fix string) Problem {
	return Problem{Release: o.release.ID(), File: o.file(), Object: o.id, Path: path, Found: found, Expected: expected, Fix: fix}
}

// ours is the name of the chart whose objects are held to what it promises.
const ours = "chart_basico"

// style is a problem with o that Kubernetes and Istio do not have: of an object of this chart an error, of others' a warning.
func (o object) style(path, found, expected, fix string) Problem {
	p := o.problem(path, found, expected, fix)
	if o.release.ChartName != ours {
		p.Severity = problem.Warning
	}
	return p
}
