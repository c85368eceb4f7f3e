package check

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	apiservice "k8s.io/kubernetes/pkg/api/service"
	_ "k8s.io/kubernetes/pkg/apis/apps/install" // the conversions and defaults of the groups below
	_ "k8s.io/kubernetes/pkg/apis/autoscaling/install"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	_ "k8s.io/kubernetes/pkg/apis/rbac/install"
	"k8s.io/kubernetes/pkg/registry/apps/daemonset"
	"k8s.io/kubernetes/pkg/registry/apps/deployment"
	"k8s.io/kubernetes/pkg/registry/apps/statefulset"
	"k8s.io/kubernetes/pkg/registry/autoscaling/horizontalpodautoscaler"
	"k8s.io/kubernetes/pkg/registry/batch/cronjob"
	"k8s.io/kubernetes/pkg/registry/batch/job"
	"k8s.io/kubernetes/pkg/registry/core/configmap"
	"k8s.io/kubernetes/pkg/registry/core/namespace"
	"k8s.io/kubernetes/pkg/registry/core/persistentvolumeclaim"
	"k8s.io/kubernetes/pkg/registry/core/secret"
	kubeservice "k8s.io/kubernetes/pkg/registry/core/service"
	"k8s.io/kubernetes/pkg/registry/core/serviceaccount"
	"k8s.io/kubernetes/pkg/registry/networking/ingress"
	"k8s.io/kubernetes/pkg/registry/networking/networkpolicy"
	"k8s.io/kubernetes/pkg/registry/policy/poddisruptionbudget"
	"k8s.io/kubernetes/pkg/registry/rbac/clusterrole"
	"k8s.io/kubernetes/pkg/registry/rbac/clusterrolebinding"
	"k8s.io/kubernetes/pkg/registry/rbac/role"
	"k8s.io/kubernetes/pkg/registry/rbac/rolebinding"
	podsecurity "k8s.io/pod-security-admission/api"

	"chartbasico/pkg/problem"
)

// strategies are what the API server does when an object of a kind is created: of the kinds of Kubernetes that the chart
// renders. They are those of the one version that is linked, whichever version's schemas hold.
var strategies = map[schema.GroupKind]rest.RESTCreateStrategy{
	{Group: "apps", Kind: "DaemonSet"}:                               daemonset.Strategy,
	{Group: "apps", Kind: "Deployment"}:                              deployment.Strategy,
	{Group: "apps", Kind: "StatefulSet"}:                             statefulset.Strategy,
	{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}:          horizontalpodautoscaler.Strategy,
	{Group: "batch", Kind: "CronJob"}:                                cronjob.Strategy,
	{Group: "batch", Kind: "Job"}:                                    job.Strategy,
	{Kind: "ConfigMap"}:                                              configmap.Strategy,
	{Kind: "Namespace"}:                                              namespace.Strategy,
	{Kind: "PersistentVolumeClaim"}:                                  persistentvolumeclaim.Strategy,
	{Kind: "Secret"}:                                                 secret.Strategy,
	{Kind: "Service"}:                                                kubeservice.Strategy,
	{Kind: "ServiceAccount"}:                                         serviceaccount.Strategy,
	{Group: "networking.k8s.io", Kind: "Ingress"}:                    ingress.Strategy,
	{Group: "networking.k8s.io", Kind: "NetworkPolicy"}:              networkpolicy.Strategy,
	{Group: "policy", Kind: "PodDisruptionBudget"}:                   poddisruptionbudget.Strategy,
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}:        clusterrole.Strategy,
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"}: clusterrolebinding.Strategy,
	{Group: "rbac.authorization.k8s.io", Kind: "Role"}:               role.Strategy,
	{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"}:        rolebinding.Strategy,
}

// untold are parts of warnings that are not repeated: what is deprecated may have a successor that older versions do not
// know; containers that run one after the other may have the same port; a certificate may be a placeholder.
var untold = []string{"deprecated", "duplicate port", "tls: "}

// admit says what the API server would say of an object that its schema takes, but for what only a running cluster knows:
// it may still have a schedule that is none, or two fields that exclude each other.
func (s *schemas) admit(ctx context.Context, o object) (out problem.List) {
	fault := func(path, found, expected, fix string) {
		p := o.problem(path, found, expected, fix)
		p.Rule = "kubernetes"
		out = append(out, p)
	}
	gvk := o.GetAPIVersion() + "/" + o.GetKind()
	var errs field.ErrorList
	if strategy, ok := strategies[o.GroupVersionKind().GroupKind()]; ok {
		refused, warned, err := refusals(ctx, strategy, o)
		if err != nil {
			fault("", err.Error(), "an object that Kubernetes can read", "")
		}
		errs = refused
		for _, e := range s.doubled(s.definition(s.kinds[gvk]), o.Object, nil) {
			if !slices.ContainsFunc(refused, func(r *field.Error) bool {
				return r.Type == field.ErrorTypeDuplicate && strings.HasPrefix(r.Field, e.Field)
			}) {
				found, _ := explain(e)
				fault(e.Field, found, "each key once: server-side apply, which is how Helm 4 installs, refuses it twice", "remove one of the two")
			}
		}
		for _, w := range warned {
			path, found, named := strings.Cut(w, ": ")
			if !named || strings.Contains(path, " ") {
				path, found = "", w
			}
			refused := slices.ContainsFunc(out, func(p Problem) bool { return strings.HasPrefix(path, p.Path) && p.Severity != problem.Warning })
			if refused || slices.ContainsFunc(untold, func(part string) bool { return strings.Contains(w, part) }) {
				continue
			}
			p := o.problem(path, found, "", "")
			p.Rule, p.Severity = "kubernetes", problem.Warning
			if strings.HasPrefix(found, "fractional byte value") {
				if parts := strings.Split(found, `"`); len(parts) == 3 {
					if q, err := resource.ParseQuantity(parts[1]); err == nil && q.Value() >= 1<<20 {
						continue // as of 1.1Gi, which a kubelet rounds
					}
				}
				p.Expected, p.Fix = "whole bytes", "write Mi or Gi, as m is a thousandth"
			}
			out = append(out, p)
		}
	} else {
		kind, err := s.customKind(gvk)
		if err != nil {
			fault("", err.Error(), "rules that compile", "")
		} else if kind != nil {
			errs = kind.refusals(ctx, o)
		}
	}
	for _, e := range errs {
		found, expected := explain(e)
		fault(e.Field, found, expected, "")
	}
	return out
}

// refusals are what the API server refuses of an object, and what it warns of.
func refusals(ctx context.Context, strategy rest.RESTCreateStrategy, o object) (field.ErrorList, []string, error) {
	data, err := o.MarshalJSON()
	if err != nil {
		return nil, nil, err
	}
	internal, err := runtime.Decode(legacyscheme.Codecs.UniversalDecoder(), data) // with defaults
	if err != nil {
		return nil, nil, err
	}
	accessor, err := meta.Accessor(internal)
	if err != nil {
		return nil, nil, err
	}
	rest.FillObjectMetaSystemFields(accessor)
	if s, ok := internal.(*core.Service); ok { // as where addresses and ports are allocated
		if s.Spec.ClusterIP != "" && len(s.Spec.ClusterIPs) == 0 {
			s.Spec.ClusterIPs = []string{s.Spec.ClusterIP}
		}
		if apiservice.NeedsHealthCheck(s) && s.Spec.HealthCheckNodePort == 0 {
			s.Spec.HealthCheckNodePort = 30000
		}
	}
	kind := o.GroupVersionKind()
	resource, _ := meta.UnsafeGuessKindToResource(kind)
	ctx = request.WithRequestInfo(request.WithNamespace(ctx, o.GetNamespace()), &request.RequestInfo{
		IsResourceRequest: true, Verb: "create", APIGroup: kind.Group, APIVersion: kind.Version,
		Namespace: o.GetNamespace(), Resource: resource.Resource, Name: o.GetName(),
	})
	strategy.PrepareForCreate(ctx, internal)
	errs := rest.ValidateCreate(ctx, internal, strategy)
	if kind.Kind == "Namespace" { // whose labels are looked at by admission
		_, labels := podsecurity.PolicyToEvaluate(o.GetLabels(), podsecurity.Policy{})
		errs = append(errs, labels...)
	}
	return errs, strategy.WarningsOnCreate(ctx, internal), nil
}

// doubled are the entries of lists whose key an earlier entry has. Only server-side apply refuses them.
func (s *schemas) doubled(schema map[string]any, value any, path *field.Path) (errs field.ErrorList) {
	if ref, ok := schema["$ref"].(string); ok {
		schema = s.definition(strings.TrimPrefix(ref, "#/definitions/"))
	}
	switch value := value.(type) {
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(value)) {
			if below, ok := properties[name].(map[string]any); ok {
				errs = append(errs, s.doubled(below, value[name], path.Child(name))...)
			}
		}
	case []any:
		keys, _ := schema["x-kubernetes-list-map-keys"].([]any)
		items, _ := schema["items"].(map[string]any)
		seen := map[string]bool{}
		for i, entry := range value {
			errs = append(errs, s.doubled(items, entry, path.Index(i))...)
			if key := keyOf(keys, entry); seen[key] {
				errs = append(errs, field.Duplicate(path.Index(i), key))
			} else if key != "" {
				seen[key] = true
			}
		}
	}
	return errs
}

// keyOf is what tells an entry of a list from others, such as "name a". The one key with a default is a port's protocol.
func keyOf(keys []any, entry any) string {
	fields, _ := entry.(map[string]any)
	var out []string
	for _, k := range keys {
		key, _ := k.(string)
		value, ok := fields[key]
		if !ok && key == "protocol" {
			value = string(core.ProtocolTCP)
		}
		out = append(out, fmt.Sprintf("%s %v", key, value))
	}
	return strings.Join(out, ", ")
}

// explain is a field's error in our form. A value that is no scalar is not repeated.
func explain(e *field.Error) (found, expected string) {
	value := ""
	switch v := reflect.Indirect(reflect.ValueOf(e.BadValue)); v.Kind() {
	case reflect.String:
		value = fmt.Sprintf("%q", v)
	case reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64:
		value = fmt.Sprint(v)
	}
	switch e.Type {
	case field.ErrorTypeNotSupported:
		supported := strings.Split(strings.TrimPrefix(e.Detail, "supported values: "), ", ")
		slices.Sort(supported) // they come in any order
		return value, "one of " + strings.Join(supported, ", ")
	case field.ErrorTypeDuplicate:
		return value + ", which is there already", ""
	case field.ErrorTypeRequired:
		return strings.TrimSuffix("a value is required: "+e.Detail, ": "), ""
	}
	detail := cmp.Or(e.Detail, strings.ToLower(string(e.Type)))
	if value == "" || e.Type == field.ErrorTypeForbidden {
		return detail, ""
	}
	return value + ": " + detail, ""
}
