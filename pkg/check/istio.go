package check

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"istio.io/api/annotation"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/analysis"
	"istio.io/istio/pkg/config/analysis/analyzers"
	istioschema "istio.io/istio/pkg/config/analysis/analyzers/schema"
	"istio.io/istio/pkg/config/analysis/diag"
	"istio.io/istio/pkg/config/analysis/legacy/source/kube"
	"istio.io/istio/pkg/config/analysis/msg"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/config/resource"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/gvk"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"chartbasico/pkg/assert"
	"chartbasico/pkg/problem"
)

// platformYAML is what a platform with Istio has before any environment: the gateways
// and the namespaces. Analyzers ask for these, and switching such analyzers off instead would
// hide real mistakes, such as a Gateway whose selector matches nothing.
//
//go:embed platform.yaml
var platformYAML string

var platform = sync.OnceValues(func() ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	for _, doc := range strings.Split(platformYAML, "\n---\n") {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, nil
})

var allAnalyzers = sync.OnceValue(analyzers.All)

// analyze runs Istio's validation and analyzers, as istioctl analyze does, over the
// environment and the platform's baseline. Objects whose keys are in broken are left out: what their schema
// refuses cannot be read. For one release only Istio's validation runs. Messages of level info are not problems.
func analyze(ctx context.Context, m *model, broken map[string]bool, scope scope) problem.List {
	c := &analysisContext{
		ctx:        ctx,
		instances:  map[config.GroupVersionKind][]*resource.Instance{},
		names:      map[config.GroupVersionKind]map[resource.FullName]*resource.Instance{},
		objects:    map[*resource.Instance]object{},
		namespaces: map[string]bool{},
	}
	var out problem.List
	objects, err := platform()
	if err != nil {
		return problem.List{{Rule: "istio", Found: err.Error()}}
	}
	for _, u := range objects {
		if _, err := c.add(u); err != nil {
			return problem.List{{Rule: "istio", Object: u.GetKind(), Found: err.Error()}}
		}
	}
	c.index(&resource.Instance{
		Metadata: resource.Metadata{FullName: resource.FullName{Namespace: "istio-system", Name: "meshconfig"}},
		Message:  mesh.DefaultMeshConfig(), Origin: &kube.Origin{Type: gvk.MeshConfig},
	}, gvk.MeshConfig)
	labelled := map[string]map[string]string{} // namespaces
	for _, o := range m.objects {
		if o.GetKind() == "Namespace" {
			c.namespaces[o.GetName()] = true
			labelled[o.GetName()] = o.GetLabels()
		}
		if o.release.CreateNamespace && !given(o.release.Namespace) {
			c.namespaces[o.release.Namespace] = true
		}
	}
	for _, o := range m.objects {
		if broken[o.key()] || o.GetKind() == "Pod" { // which comes with its proxy, below
			continue
		}
		instance, err := c.add(o.Unstructured)
		if err != nil {
			p := o.problem("", err.Error(), "an object that Istio can read", "")
			p.Rule = "istio"
			out = append(out, p)
		} else if instance != nil {
			c.objects[instance] = o
		}
	}
	for _, p := range m.pods {
		if broken[p.key()] {
			continue
		}
		if instance, err := c.add(p.pod(labelled[p.GetNamespace()])); err == nil && instance != nil {
			c.objects[instance] = p.object
		}
	}
	validates := func(a analysis.Analyzer) bool { _, ok := a.(*istioschema.ValidationAnalyzer); return ok }
	for _, validation := range []bool{true, false} { // which comes first
		for _, a := range allAnalyzers() {
			if !c.Canceled() && validates(a) == validation && (validation || scope == environmentScope) {
				c.run(a)
			}
		}
	}
	return append(out, c.found...)
}

// run runs an analyzer. Some of Istio's expect that what its validation refuses never gets to them, and panic; that is said
// only where nothing was refused.
func (c *analysisContext) run(a analysis.Analyzer) {
	defer func() {
		refused := slices.ContainsFunc(c.found, func(p Problem) bool { return p.Severity == problem.Error })
		if r := recover(); r != nil && !refused {
			c.found = append(c.found, Problem{Severity: problem.Error, Rule: "istio", Found: fmt.Sprintf("Istio's analyzer %s cannot read the environment: %v", a.Metadata().Name, r)})
		}
	}()
	a.Analyze(c)
}

// pod is a pod as the workload's controller would make it, and Istio's webhook after it, in a namespace with these labels.
func (p pods) pod(namespace map[string]string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"spec": runtime.DeepCopyJSON(p.spec)}}
	u.SetAPIVersion("v1")
	u.SetKind("Pod")
	u.SetNamespace(p.GetNamespace())
	u.SetName(p.GetName() + "-0")
	u.SetLabels(p.labels)
	u.SetAnnotations(p.notes)
	host, _, _ := unstructured.NestedBool(p.spec, "hostNetwork")
	injected, _ := assert.InjectionExpected(
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: p.labels, Annotations: p.notes}, Spec: corev1.PodSpec{HostNetwork: host}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: p.GetNamespace(), Labels: namespace}})
	if injected {
		containers, _, _ := unstructured.NestedSlice(u.Object, "spec", "initContainers")
		containers = append(containers, map[string]any{"name": "istio-proxy", "image": "auto"})
		_ = unstructured.SetNestedSlice(u.Object, containers, "spec", "initContainers") // spec is a map
	}
	return u
}

// analysisContext is Istio's view of the objects. Istio's own keeps them in config stores
// with informers and a file system, which costs more than the analysis.
type analysisContext struct {
	ctx       context.Context //nolint:containedctx // Istio's interface has no place for it
	instances map[config.GroupVersionKind][]*resource.Instance
	names     map[config.GroupVersionKind]map[resource.FullName]*resource.Instance
	objects   map[*resource.Instance]object
	// namespaces are those that the environment's releases make, in one way or another.
	namespaces map[string]bool
	found      problem.List
}

var _ analysis.Context = (*analysisContext)(nil)

// add reads an object; it is nil where Istio does not know the kind.
func (c *analysisContext) add(u *unstructured.Unstructured) (*resource.Instance, error) {
	gv, err := schema.ParseGroupVersion(u.GetAPIVersion())
	if err != nil {
		return nil, err
	}
	s, ok := collections.All.FindByGroupVersionAliasesKind(config.GroupVersionKind{Group: gv.Group, Version: gv.Version, Kind: u.GetKind()})
	if !ok {
		return nil, nil
	}
	spec, err := s.NewInstance()
	if err != nil {
		return nil, err
	}
	from := u.Object["spec"]
	if _, whole := spec.(runtime.Object); whole {
		from = u.Object
	}
	if from != nil {
		data, err := json.Marshal(from)
		if err != nil {
			return nil, err
		}
		if err := config.ApplyJSON(spec, string(data)); err != nil {
			return nil, err
		}
	}
	instance := resource.PilotConfigToInstance(&config.Config{
		Meta: config.Meta{GroupVersionKind: s.GroupVersionKind(), Name: u.GetName(), Namespace: u.GetNamespace(), Labels: u.GetLabels(), Annotations: u.GetAnnotations()},
		Spec: spec,
	}, s)
	instance.Origin = &kube.Origin{Type: s.GroupVersionKind(), FullName: instance.Metadata.FullName}
	c.index(instance, s.GroupVersionKind())
	return instance, nil
}

func (c *analysisContext) index(instance *resource.Instance, kind config.GroupVersionKind) {
	c.instances[kind] = append(c.instances[kind], instance)
	if c.names[kind] == nil {
		c.names[kind] = map[resource.FullName]*resource.Instance{}
	}
	c.names[kind][instance.Metadata.FullName] = instance
}

func (c *analysisContext) Report(_ config.GroupVersionKind, message diag.Message) {
	p := Problem{Rule: message.Type.Code(), Found: fmt.Sprintf(message.Type.Template(), message.Parameters...)}
	switch message.Type.Level() {
	case diag.Error:
		p.Severity = problem.Error
	case diag.Warning:
		p.Severity = problem.Warning
	default:
		return
	}
	if message.Resource != nil && suppressed(message.Resource.Metadata.Annotations, message.Type.Code()) {
		return
	}
	if message.Type.Code() == msg.VirtualServiceHostNotFoundInGateway.Code() && !c.isGateway(fmt.Sprint(message.Parameters[2])) {
		return // of a Gateway that is not there nothing more can be said
	}
	if o, ok := c.objects[message.Resource]; ok {
		p.Release, p.File, p.Object = o.release.ID(), o.file(), o.id
		if message.Type.Code() == msg.ReferencedResourceNotFound.Code() && !c.notFound(&p, o, fmt.Sprint(message.Parameters[0]), fmt.Sprint(message.Parameters[1])) {
			return
		}
	} else if message.Resource != nil {
		return // of the platform, not of the environment
	}
	p.Found = strings.Join(strings.Fields(p.Found), " ")
	c.found = append(c.found, p)
}

// isGateway says whether a Gateway of Istio's is there, by namespace/name.
func (c *analysisContext) isGateway(id string) bool {
	namespace, name, _ := strings.Cut(id, "/")
	return c.Exists(gvk.Gateway, resource.NewFullName(resource.Namespace(namespace), resource.LocalName(name)))
}

// annotations is where this chart's values have the annotations of what refers to a kind of thing, as Istio calls it.
var annotations = map[string]string{
	"credentialName": "exposure.annotations", "gateway": "exposure.annotations, or routing.annotations", "namespace": "the policy's annotations",
}

// notFound adds to a reference to nothing where it is and how to mend it. It is a warning where something outside of the
// environment may make what is named: a Secret, a namespace, a Gateway of another namespace, the pods of a gateway. It is false where that is there.
func (c *analysisContext) notFound(p *Problem, o object, kind, name string) bool {
	switch kind {
	case "credentialName":
		p.Severity, p.Expected = problem.Warning, "the Secret with key and certificate in the namespace of the gateway's pods"
		for i, server := range list(o.Object, "spec", "servers") {
			if text(server, "tls", "credentialName") == name {
				p.Path = at("spec.servers", i) + ".tls.credentialName"
			}
		}
	case "namespace":
		if c.makes(name) || given(name) {
			return false
		}
		p.Severity, p.Expected = problem.Warning, "a namespace that a release of the environment makes"
		for i, rule := range list(o.Object, "spec", "rules") {
			for j, from := range list(rule, "from") {
				for _, field := range []string{"namespaces", "notNamespaces"} {
					if names, _ := stringList(from, "source", field); slices.Contains(names, name) {
						p.Path = at(at(at("spec.rules", i)+".from", j)+".source."+field, slices.Index(names, name))
					}
				}
			}
		}
	case "gateway":
		namespace, _, whole := strings.Cut(name, "/")
		if whole && namespace != o.GetNamespace() && !c.namespaces[namespace] {
			p.Severity = problem.Warning
		}
		p.Expected = "a Gateway of Istio's that a release of the environment makes"
		names, _ := stringList(o.Object, "spec", "gateways")
		p.Path = at("spec.gateways", slices.Index(names, name))
	case "selector":
		if o.GetKind() == "Gateway" { // a Sidecar's is for other pods
			c.elsewhere(p, name)
		}
		return true
	default:
		return true
	}
	annotated := "metadata.annotations"
	if o.release.ChartName == ours {
		annotated = annotations[kind]
	}
	p.Fix = "correct the name; if it is made elsewhere, say so in " + annotated + ": " + annotation.GalleyAnalyzeSuppress.Name + ": " + p.Rule
	return true
}

// makes says whether a release of the environment makes a namespace that a policy names, perhaps by its beginning or end and *.
func (c *analysisContext) makes(named string) bool {
	for namespace := range c.namespaces {
		begin, end := strings.TrimSuffix(named, "*"), strings.TrimPrefix(named, "*")
		if namespace == named || begin != named && strings.HasPrefix(namespace, begin) || end != named && strings.HasSuffix(namespace, end) {
			return true
		}
	}
	return false
}

// suppressed says whether an object does not want to hear of a message, in the way that istioctl reads it.
func suppressed(annotations map[string]string, code string) bool {
	codes := strings.Split(annotations[annotation.GalleyAnalyzeSuppress.Name], ",")
	return slices.Contains(codes, code) || slices.Contains(codes, "*")
}

func (c *analysisContext) Find(kind config.GroupVersionKind, name resource.FullName) *resource.Instance {
	return c.names[kind][name]
}

func (c *analysisContext) Exists(kind config.GroupVersionKind, name resource.FullName) bool {
	return c.Find(kind, name) != nil
}

func (c *analysisContext) ForEach(kind config.GroupVersionKind, fn analysis.IteratorFn) {
	for _, instance := range c.instances[kind] {
		if !fn(instance) {
			return
		}
	}
}

func (c *analysisContext) Canceled() bool       { return c.ctx.Err() != nil }
func (c *analysisContext) SetAnalyzer(_ string) {}

// isGatewayReference says whether an IST0101 is about a Gateway, and not about a host.
func isGatewayReference(found string) bool {
	return strings.Contains(found, "gateway not found") || strings.HasPrefix(found, "Referenced gateway")
}
