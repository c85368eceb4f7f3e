// Package render turns an environment's releases into Kubernetes objects, as Helm does, in
// process. A chart is loaded once and its schema compiled once, whatever the number of releases.
package render

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"chartbasico/internal/helm3"
	"chartbasico/pkg/charts"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/problem"
)

// DefaultKubeVersion is the Kubernetes version that templates see unless WithKubeVersion says otherwise.
const DefaultKubeVersion = "1.37"

// Release is a release with what it renders to.
type Release struct {
	environment.Release
	ChartName string                       // as Chart.yaml has it
	Values    map[string]any               // the user's: files, inline values and overrides merged, without the chart's defaults
	Objects   []*unstructured.Unstructured // in Helm's install order, hooks last; the namespace is set where the kind has one
	Manifest  string                       // what `helm template` prints
	Notes     string
	Warnings  problem.List // of what YAML reads otherwise than the values files write it, where that becomes text

	crds int // how many of the objects, from the first, are of the chart's directory crds
}

// Renderer renders releases. It keeps the charts that it has loaded, so changes to a chart on
// disk are seen by a new Renderer only. Safe for concurrent use.
type Renderer struct {
	kubeVersion string
	published   *charts.Store
	mu          sync.Mutex
	charts      map[source]func() (*chart, error)
}

// source is where a chart is; published is zero where it is on this machine.
type source struct {
	path      string
	published environment.Published
}

// Option changes a Renderer.
type Option func(*Renderer)

// WithKubeVersion sets the Kubernetes version that templates see, such as 1.31 or v1.31.2.
func WithKubeVersion(version string) Option {
	return func(r *Renderer) { r.kubeVersion = version }
}

// WithPublished sets how charts of registries and repositories are got. Default: with the credentials that helm keeps,
// and nothing said.
func WithPublished(store *charts.Store) Option {
	return func(r *Renderer) { r.published = store }
}

// New returns a Renderer.
func New(opts ...Option) *Renderer {
	r := &Renderer{kubeVersion: DefaultKubeVersion, published: charts.New(nil, nil), charts: map[source]func() (*chart, error){}}
	for _, opt := range opts {
		opt(r)
	}
	return r
}

// KubeVersion is the Kubernetes version that templates see, as it was given.
func (r *Renderer) KubeVersion() string { return r.kubeVersion }

// Override sets one value of every release it is given to; it lies over all files.
type Override struct {
	path  string
	value any
	text  string // an assignment in Helm's --set syntax, instead
}

// Set overrides the value at path, whose parts are separated by dots; a dot within a part is
// written \. as on Helm's command line. A map replaces what was there.
func Set(path string, value any) Override { return Override{path: path, value: value} }

// SetText overrides as `helm --set` does: path=value, where the text decides the value's type.
func SetText(assignment string) Override { return Override{text: assignment} }

// Environment renders all releases, in parallel, and returns them in the environment's order.
// Everything that is wrong with the values and charts of any of them is found at once: the
// error is a problem.List then, beside the releases that have nothing wrong.
func (r *Renderer) Environment(ctx context.Context, env *environment.Environment, overrides ...Override) ([]*Release, error) {
	releases := make([]*Release, len(env.Releases))
	faults := make([]error, len(env.Releases))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, release := range env.Releases {
		group.Go(func() error {
			releases[i], faults[i] = r.Release(ctx, release, overrides...)
			return nil
		})
	}
	_ = group.Wait() // faults has them all
	var problems problem.List
	for i, err := range faults {
		var list problem.List
		switch {
		case err == nil:
		case errors.As(err, &list):
			problems = append(problems, list...)
		case ctx.Err() != nil:
			return nil, err
		default:
			problems = append(problems, broken(env.Releases[i], err)...)
		}
	}
	for i := range problems {
		problems[i].Environment = env.Name
	}
	releases = slices.DeleteFunc(releases, func(r *Release) bool { return r == nil })
	return releases, problems.Sort().Err()
}

// broken is the problem of a release whose chart cannot be used.
func broken(release environment.Release, err error) problem.List {
	p := problem.Problem{
		Severity: problem.Error, Rule: unreadable, Path: strings.TrimPrefix(release.Path+".chart", "."),
		Found: strings.TrimPrefix(err.Error(), "release "+release.ID()+": "), Expected: "a chart that Helm can load", Fix: "correct the chart, or the path to it",
	}
	var fault *charts.Fault
	if errors.As(err, &fault) {
		p.Found, p.Expected, p.Fix = fault.Found, fault.Expected, fault.Fix
	}
	p.Found = strings.Join(strings.Fields(p.Found), " ")
	return in(release, problem.List{p})
}

// Release renders one release. Wrong values are a problem.List. What it returns has the path of a chart that was published.
func (r *Renderer) Release(ctx context.Context, release environment.Release, overrides ...Override) (*Release, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	chart, err := r.chart(ctx, release)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("release %s: %w", release.ID(), err)
	}
	if release.Published != nil {
		release.Chart = chart.Dir
	}
	values, layers, problems := merge(release, overrides)
	if len(problems) > 0 {
		return nil, problems
	}
	problems, err = chart.validate(values, layers)
	if err != nil {
		return nil, fmt.Errorf("release %s: %w", release.ID(), err)
	}
	if len(problems) > 0 {
		return nil, in(release, problems)
	}
	manifest, notes, err := helm3.Template(ctx, chart.Chart,
		helm3.Spec{Name: release.Name, Namespace: release.Namespace, Values: values},
		helm3.Capabilities{KubeVersion: version(r.kubeVersion), APIVersions: apiVersions})
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, in(release, chart.explain(err, layers))
	}
	objects, crds, problems := split(manifest, release, chart.Dir)
	if len(problems) > 0 {
		return nil, in(release, problems)
	}
	return &Release{Release: release, ChartName: chart.Name, Values: values, Objects: objects, Manifest: manifest, Notes: notes, Warnings: in(release, layers.changed()), crds: crds}, nil
}

// version completes 1.31 to v1.31.0, as a cluster of that version would say at least.
func version(v string) string {
	v = "v" + strings.TrimPrefix(v, "v")
	if strings.Count(v, ".") == 1 {
		v += ".0"
	}
	return v
}

func (r *Renderer) chart(ctx context.Context, release environment.Release) (*chart, error) {
	from := source{path: release.Chart}
	if release.Published != nil {
		from = source{published: *release.Published}
	}
	r.mu.Lock()
	load, ok := r.charts[from]
	if !ok {
		load = sync.OnceValues(func() (*chart, error) { return r.load(ctx, from) })
		r.charts[from] = load
	}
	r.mu.Unlock()
	return load()
}

func (r *Renderer) load(ctx context.Context, from source) (*chart, error) {
	path := from.path
	if from.published != (environment.Published{}) {
		var err error
		if path, err = r.published.Get(ctx, from.published); err != nil {
			if ctx.Err() != nil { // it says nothing of the chart, so others may ask again
				r.mu.Lock()
				delete(r.charts, from)
				r.mu.Unlock()
			}
			return nil, err
		}
	}
	return loadChart(path)
}

// apiVersions are the APIs that a platform for this chart serves beyond Kubernetes' own.
var apiVersions = []string{
	"networking.istio.io/v1", "networking.istio.io/v1/DestinationRule", "networking.istio.io/v1/Gateway",
	"networking.istio.io/v1/ServiceEntry", "networking.istio.io/v1/Sidecar", "networking.istio.io/v1/VirtualService",
	"networking.istio.io/v1/WorkloadEntry", "networking.istio.io/v1/WorkloadGroup",
	"networking.istio.io/v1alpha3", "networking.istio.io/v1alpha3/EnvoyFilter",
	"networking.istio.io/v1beta1", "networking.istio.io/v1beta1/ProxyConfig",
	"security.istio.io/v1", "security.istio.io/v1/AuthorizationPolicy", "security.istio.io/v1/PeerAuthentication",
	"security.istio.io/v1/RequestAuthentication",
	"telemetry.istio.io/v1", "telemetry.istio.io/v1/Telemetry",
	"extensions.istio.io/v1alpha1", "extensions.istio.io/v1alpha1/WasmPlugin",
	"gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1/Gateway", "gateway.networking.k8s.io/v1/HTTPRoute",
	"route.openshift.io/v1", "route.openshift.io/v1/Route",
}

// relative shows a path as people in this directory would write it.
func relative(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if rest, ok := strings.CutPrefix(path, wd+string(os.PathSeparator)); ok {
		return rest
	}
	return path
}
