package chart_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"chartbasico/internal/figures"
	"chartbasico/internal/valuesgen"
)

var (
	random = flag.Int("random", 60, "how many random values the properties are held for")
	seed   = flag.Uint64("seed", 1, "of the first random values; the next ones follow")
)

// property holds of random values that pass the schema and the rules: each seed gives one of them.
type property struct {
	gen    *valuesgen.Generator
	schema *jsonschema.Schema
}

func properties(t testing.TB) *property {
	t.Helper()
	raw, err := os.ReadFile(chartDir + "/values.schema.json")
	require.NoError(t, err)
	gen, err := valuesgen.New(raw)
	require.NoError(t, err)
	shape, err := schema()
	require.NoError(t, err)
	return &property{gen, shape}
}

// values are random ones that render, and what was dropped from what was generated until they did.
func (p *property) values(t testing.TB, seed uint64) (values map[string]any, dropped []string) {
	t.Helper()
	values = p.gen.Values(seed)
	dropped, err := p.gen.Settle(values, func(v map[string]any) error { _, _, err := render(t.Context(), "demo", v); return err })
	require.NoError(t, err, "seed %d", seed)
	require.NoError(t, p.schema.Validate(values), "seed %d", seed)
	return values, dropped
}

// each holds what holds returns as an error for all random values, and shows the least values for which it does not.
func (p *property) each(t *testing.T, holds func(values map[string]any) error) {
	t.Helper()
	p.first(t, *random, holds)
}

// first is each for so many of them.
func (p *property) first(t *testing.T, n int, holds func(values map[string]any) error) {
	t.Helper()
	for s := *seed; s < *seed+uint64(n); s++ {
		values, _ := p.values(t, s)
		err := holds(values)
		if err == nil {
			continue
		}
		small := valuesgen.Shrink(values, func(v map[string]any) bool {
			_, _, fails := render(t.Context(), "demo", v)
			return fails == nil && p.schema.Validate(v) == nil && holds(v) != nil
		})
		text, _ := yaml.Marshal(small)
		t.Errorf("seed %d: %v\nwith these values:\n%s", s, holds(small), text)
	}
}

// TestRandomValues: the same values, the same bytes; and of both Helms. Every object has a legal name, labels that say
// whose it is, and each pod is what the restricted standard wants, unless its values say otherwise.
func TestRandomValues(t *testing.T) {
	p := properties(t)
	atOnce, objects, kinds := 0, 0, map[string]bool{}
	for s := *seed; s < *seed+uint64(*random); s++ {
		if _, dropped := p.values(t, s); len(dropped) == 0 {
			atOnce++
		}
	}
	p.each(t, func(values map[string]any) error {
		before, err := yaml.Marshal(values)
		if err != nil {
			return err
		}
		manifest, notes, err := render(t.Context(), "demo", values)
		if err != nil {
			return err
		}
		if after, _ := yaml.Marshal(values); !bytes.Equal(before, after) {
			return fmt.Errorf("rendering changed the values")
		}
		if again, notesAgain, err := render(t.Context(), "demo", valuesgen.Clone(values)); err != nil || again != manifest || notesAgain != notes {
			return fmt.Errorf("other bytes the second time: %w", err)
		}
		by4, notes4, err := render4(t.Context(), "demo", valuesgen.Clone(values))
		if err != nil || blank.ReplaceAllString(by4, "\n---") != manifest || notes4 != notes {
			return fmt.Errorf("other bytes by Helm 4: %w", err)
		}
		got, err := decode(manifest)
		if err != nil {
			return err
		}
		for id, o := range got {
			objects++
			kinds[o.GetKind()] = true
			if err := sound(id, o, values); err != nil {
				return err
			}
			if pod := podTemplate(t, o); pod != nil && !asksForMore(values) {
				if why := forbidden(t, pod); why != "" {
					return fmt.Errorf("%s: not what the restricted standard wants: %s", id, why)
				}
			}
		}
		return nil
	})
	figures.Record(t, "random values", *random, "%d from seed %d, %d of them legal as generated, the others after what the chart's errors named was dropped; %d objects of %d kinds", *random, *seed, atOnce, objects, len(kinds))
	assert.Greater(t, len(kinds), 12)
}

var legalName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// named says whether Kubernetes takes an object's name: an account, and what it may do, has one that may be longer, with dots.
func named(o *unstructured.Unstructured) bool {
	if slices.Contains([]string{"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ServiceAccount"}, o.GetKind()) {
		return len(validation.IsDNS1123Subdomain(o.GetName())) == 0
	}
	return legalName.MatchString(o.GetName())
}

func sound(id string, o *unstructured.Unstructured, values map[string]any) error {
	switch {
	case !named(o):
		return fmt.Errorf("%s: an illegal name", id)
	case o.GetLabels()["app"] != values["app"]:
		return fmt.Errorf("%s: the label app is %q", id, o.GetLabels()["app"])
	case o.GetLabels()["app.kubernetes.io/instance"] != "demo":
		return fmt.Errorf("%s: the label app.kubernetes.io/instance is %q", id, o.GetLabels()["app.kubernetes.io/instance"])
	}
	return nil
}

// relaxing is how values ask for more than the restricted standard gives.
var relaxing = regexp.MustCompile(`(allowPrivilegeEscalation|privileged): true|runAsNonRoot: (false|null)|runAsUser: 0\b|NET_ADMIN|Unconfined|\b(hostPath|hostNetwork|hostPID|hostIPC|hostPort|nfs|iscsi|fc|procMount|sysctls|windowsOptions|seLinuxOptions):`)

func asksForMore(values map[string]any) bool {
	text, _ := yaml.Marshal(values["workload"])
	return relaxing.Match(text)
}

// ownNames are the keys that say what something is called, or what kind it is of, so that another name is meant.
var ownNames = []string{"app", "version", "kind", "name", "existing", "protocol"}

// TestNamesAndSelectorsStay: take any key out of random values, and no object is called otherwise, selects otherwise, or
// names its storage otherwise; put it back, and the same holds.
func TestNamesAndSelectorsStay(t *testing.T) {
	p := properties(t)
	pairs := 0
	p.each(t, func(values map[string]any) error {
		before, err := identities(t, values)
		if err != nil {
			return err
		}
		keys := valuesgen.Keys(values)
		draw := rand.New(rand.NewPCG(uint64(len(keys)), 2)) //nolint:gosec // which keys are tried need not be secret
		for range min(12, len(keys)) {
			key := keys[draw.IntN(len(keys))]
			if slices.Contains(ownNames, key[len(key)-1]) {
				continue
			}
			less := valuesgen.Without(values, key)
			if p.schema.Validate(less) != nil {
				continue
			}
			after, err := identities(t, less)
			if err != nil {
				continue // the key was needed, and the chart has said so
			}
			pairs++
			for id, is := range after {
				was, there := before[id]
				kind, _, _ := strings.Cut(id, "/")
				if !there && slices.ContainsFunc(gone(before, after), func(other string) bool { return strings.HasPrefix(other, kind+"/") }) {
					return fmt.Errorf("without %s there is %s, in place of %v", strings.Join(key, "."), id, gone(before, after))
				}
				if there && was != is && !slices.Contains(key, "volumeClaimTemplates") {
					return fmt.Errorf("without %s, %s has %s instead of %s", strings.Join(key, "."), id, is, was)
				}
			}
		}
		return nil
	})
	figures.Record(t, "changes of one key", pairs, "%d: no name, selector or claim changed but those that the key is about", pairs)
	require.Positive(t, pairs)
}

func gone(before, after map[string]string) (out []string) {
	for id := range before {
		if _, there := after[id]; !there {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

var checksum = regexp.MustCompile(`-[0-9a-f]{8}$`)

// identities are the objects by kind and name, with what of each may never change.
func identities(t testing.TB, values map[string]any) (map[string]string, error) {
	manifest, _, err := render(t.Context(), "demo", values)
	if err != nil {
		return nil, err
	}
	got, err := decode(manifest)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, o := range got {
		name := o.GetName()
		if o.GetKind() == "Job" {
			name = checksum.ReplaceAllString(name, "") // it is another Job when its spec is another
		}
		fixed := map[string]any{}
		switch o.GetKind() {
		case "Deployment", "StatefulSet", "DaemonSet", "PodDisruptionBudget":
			fixed["selector"], _, _ = unstructured.NestedFieldCopy(o.Object, "spec", "selector")
		}
		if o.GetKind() == "StatefulSet" {
			claims, _, _ := unstructured.NestedSlice(o.Object, "spec", "volumeClaimTemplates")
			for i, claim := range claims {
				n, _, _ := unstructured.NestedString(claim.(map[string]any), "metadata", "name")
				fixed[fmt.Sprintf("claim %d", i)] = n
			}
		}
		text, err := yaml.Marshal(fixed)
		if err != nil {
			return nil, err
		}
		out[o.GetKind()+"/"+name] = strings.ReplaceAll(string(text), "\n", " ")
	}
	return out, nil
}

// TestConfigRestartsItsUsersOnly: another value in a ConfigMap or Secret changes the pods if they use it, and only then.
func TestConfigRestartsItsUsersOnly(t *testing.T) {
	p := properties(t)
	users, others := 0, 0
	p.first(t, 5**random, func(values map[string]any) error {
		for block, field := range map[string]string{"config": "data", "secrets": "stringData"} {
			entries, _ := values[block].(map[string]any)
			for name, entry := range entries {
				if entry == nil {
					continue
				}
				changed := valuesgen.Clone(values)
				e := changed[block].(map[string]any)[name].(map[string]any)
				data, _ := e[field].(map[string]any)
				if len(data) == 0 {
					continue
				}
				for key := range data {
					data[key] = "changed"
				}
				before, after := pod(t, values), pod(t, changed)
				if before == nil {
					continue
				}
				used := refersTo(values["workload"], map[string]string{"config": "fromConfig", "secrets": "fromSecret"}[block], name)
				if used {
					users++
				} else {
					others++
				}
				if restarts := fmt.Sprint(before) != fmt.Sprint(after); restarts != used {
					return fmt.Errorf("%s.%s is used: %v; its change restarts pods: %v", block, name, used, restarts)
				}
			}
		}
		return nil
	})
	figures.Record(t, "changes of config", users+others, "%d: pods restart for the %d they use, and not for the other %d", users+others, users, others)
	assert.Positive(t, users)
	assert.Positive(t, others)
}

func pod(t testing.TB, values map[string]any) *corev1.PodTemplateSpec {
	t.Helper()
	for _, o := range renderMany(t, values) {
		if template := podTemplate(t, o); template != nil {
			return template
		}
	}
	return nil
}

func refersTo(v any, field, name string) bool {
	switch v := v.(type) {
	case map[string]any:
		if v[field] == name {
			return true
		}
		for _, below := range v {
			if refersTo(below, field, name) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, func(below any) bool { return refersTo(below, field, name) })
	}
	return false
}

// TestBothCommands: the helm commands print the bytes that the SDKs give, for random values.
func TestBothCommands(t *testing.T) {
	p := properties(t)
	n := 0
	p.first(t, max(1, *random/10), func(values map[string]any) error {
		file := filepath.Join(t.TempDir(), "values.yaml")
		text, err := yaml.Marshal(values)
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return err
		}
		want, _, err := render(t.Context(), "demo", values)
		if err != nil {
			return err
		}
		for _, name := range []string{"HELM", "HELM4"} {
			helm := os.Getenv(name)
			require.NotEmpty(t, helm, "%s must be the path of that command; make test sets it", name)
			n++
			out, err := exec.CommandContext(t.Context(), helm, "template", "demo", chartDir, "--namespace", namespace, "--kube-version", kubeVersion, "--values", file).Output()
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if got := strings.TrimSpace(blank.ReplaceAllString(string(out), "\n---")); got != strings.TrimSpace(want) {
				return fmt.Errorf("other bytes by %s:\n%s", name, got)
			}
		}
		return nil
	})
	figures.Record(t, "renderings by the helm commands", n, "%d of random values: the bytes of the SDKs", n)
}

// FuzzValues: any bytes as values end in a clear error that names a path, or in objects that are whole. What of these the
// API server would refuse, basico check refuses: TestCheckRefusesWhatTheAPIServerRefuses.
func FuzzValues(f *testing.F) {
	for _, in := range inputs(f) {
		text, err := yaml.Marshal(in.values)
		require.NoError(f, err)
		f.Add(text)
	}
	shape, err := schema()
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, text []byte) {
		values := map[string]any{}
		if yaml.Unmarshal(text, &values) != nil {
			return // Helm says so, by line
		}
		if shape.Validate(values) != nil {
			return // the schema's errors have paths: TestSchema
		}
		manifest, _, err := render(t.Context(), "demo", values)
		if err != nil {
			require.NotEmpty(t, valuesgen.Mistakes(err), "an error that names no path: %v", err)
			return
		}
		got, err := decode(manifest)
		require.NoError(t, err)
		for id, o := range got {
			require.NoError(t, sound(id, o, values))
		}
	})
}
