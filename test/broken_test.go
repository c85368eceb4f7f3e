package test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/local"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/report"
	"chartbasico/pkg/verify"
)

// change replaces text in a file of a copy of the shop.
type change struct{ file, old, new string }

// shop is a copy of the shop in a namespace of its own, with changes.
func shop(t *testing.T, namespace string, changes ...change) string {
	t.Helper()
	return copied(t, "shop", namespace, changes...)
}

// copied is a copy of one of the environments in testdata.
func copied(t *testing.T, name, namespace string, changes ...change) string {
	t.Helper()
	dir := t.TempDir()
	sources, err := filepath.Glob("testdata/" + name + "/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, sources)
	for _, source := range sources {
		raw, err := os.ReadFile(source)
		require.NoError(t, err)
		content := strings.NewReplacer("NAMESPACE", namespace, "CHART", chart(t)).Replace(string(raw))
		for _, c := range changes {
			if c.file == filepath.Base(source) {
				require.Containsf(t, content, c.old, "%s has nothing to change", c.file)
				content = strings.Replace(content, c.old, c.new, 1)
			}
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(source)), []byte(content), 0o600))
	}
	return filepath.Join(dir, "environment.yaml")
}

// Each mistake in the files is found before anything starts, with its place.
func TestBrokenFiles(t *testing.T) {
	for name, c := range map[string]struct {
		changes []change
		says    []string // all of these, in one message
	}{
		"nothing": {},
		"weights of 99": {
			[]change{{"cart-routing.yaml", "v1: 90", "v1: 89"}},
			[]string{"cart-routing.yaml", "canary", "99", "100"},
		},
		"a subset nobody runs": {
			[]change{{"cart-routing.yaml", "v1: 90\n        v2: 10", "v1: 90\n        v9: 10"}},
			[]string{"v9"},
		},
		"a wrong port name": {
			[]change{{"cart.yaml", "targetPort: http", "targetPort: web"}},
			[]string{"web", "cart"},
		},
		"a mistyped key": {
			[]change{{"cart-v1.yaml", "replicas: 2", "replica: 2"}},
			[]string{"cart-v1.yaml", "replica", "replicas"},
		},
		"two owners of a Service": {
			[]change{{"cart-v1.yaml", "workload:", "service:\n  ports:\n    http:\n      port: 8080\n      targetPort: http\nworkload:"}},
			[]string{"Service", "cart"},
		},
		"a stage that is not there": {
			[]change{{"cart-routing.yaml", "stage: v1", "stage: v3"}},
			[]string{"cart-routing.yaml", "v3"},
		},
		"a namespace nobody makes": {
			[]change{{"namespace.yaml", "name: broken-files", "name: elsewhere"}},
			[]string{"broken-files"},
		},
		"a route's port that the Service does not have": {
			[]change{{"cart-routing.yaml", "port: 8080", "port: 8081"}},
			[]string{"8081"},
		},
		"a need that is not there": {
			[]change{{"environment.yaml", "- broken-files/cart-v2", "- broken-files/cart-v3"}},
			[]string{"environment.yaml", "cart-v3"},
		},
		"a key of Helmfile that is not understood": {
			[]change{{"environment.yaml", "releases:", "bases: [x.yaml]\nreleases:"}},
			[]string{"environment.yaml", "bases"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			found := mistakes(t, shop(t, "broken-files", c.changes...))
			if len(c.changes) == 0 {
				assert.Empty(t, found, "the shop itself is right")
				return
			}
			assert.Truef(t, anyHasAll(found, c.says), "expected a message with all of %q, found:\n%s", c.says, strings.Join(found, "\n"))
		})
	}
}

// mistakes is what is said about an environment's files, a message each.
func mistakes(t *testing.T, file string) []string {
	t.Helper()
	env, err := environment.Load(file)
	if err != nil {
		return strings.Split(err.Error(), "\n")
	}
	rendered, err := renderer.Environment(t.Context(), env)
	if err != nil {
		return strings.Split(err.Error(), "\n")
	}
	var found []string
	for _, p := range problems(t, env, rendered) {
		found = append(found, p.String())
	}
	return found
}

func anyHasAll(messages, parts []string) bool {
	for _, m := range messages {
		all := true
		for _, p := range parts {
			all = all && strings.Contains(m, p)
		}
		if all {
			return true
		}
	}
	return false
}

func load(t *testing.T, file string) *environment.Environment {
	t.Helper()
	env, err := environment.Load(file)
	require.NoError(t, err)
	return env
}

// verified runs the environment on the shared cluster, and uninstalls it after the test.
func verified(t *testing.T, env *environment.Environment, opts verify.Options) *report.Report {
	t.Helper()
	return verifiedOn(t, shared(t), env, opts)
}

func verifiedOn(t *testing.T, c cluster.Cluster, env *environment.Environment, opts verify.Options) *report.Report {
	t.Helper()
	rendered, err := renderer.Environment(t.Context(), env)
	require.NoError(t, err)
	t.Cleanup(func() { uninstallQuietlyFrom(t, c, rendered) })
	return run(t, c, env, rendered, opts)
}

// failed lists the names of the checks, and the apps and stages of the splits, that did not pass.
func failed(rep *report.Report) []string {
	var names []string
	for _, c := range rep.Checks {
		if !c.Pass {
			names = append(names, c.Name)
		}
	}
	for _, s := range rep.Splits {
		if !s.Pass {
			names = append(names, "split at "+s.Stage)
		}
	}
	return names
}

// calm are limits that a busy machine keeps: what stands still for some seconds loses no request, and the tests of the
// limits themselves still end soon.
var calm = []change{
	{"cart-routing.yaml", "timeout: 2s", "timeout: 8s"},
	{"cart-routing.yaml", "http1MaxPendingRequests: 40", "http1MaxPendingRequests: 400"},
}

// The shop as it is holds, and all there is to measure is measured: what the tests below break is what makes them fail.
func TestShopHolds(t *testing.T) {
	rep := verified(t, load(t, shop(t, "shop", calm...)), verify.Options{Requests: 1000})
	assertHeld(t, rep)
	measured := map[string]bool{}
	for _, c := range rep.Checks {
		measured[c.Name] = true
	}
	for _, want := range []string{
		"route arrives at every proxy", "no request lost while stages change", "injection", "round robin takes turns",
		"least request prefers the idle pod", "a full queue refuses at once", "a request ends at the time limit",
		"a declared host is reached", "a host that is not declared is refused", "an exposed path is reached", "a call is answered",
		"every proxy is in sync and has rejected nothing",
	} {
		assert.Truef(t, measured[want], "%s was not measured", want)
	}
	for _, s := range rep.Splits {
		if s.Stage == "v1" {
			assert.Zero(t, s.Got["v2"], "weight 0 is none, exactly")
		}
	}
	assert.Len(t, rep.Splits, 6, "three stages from the gateway and from front/v1")
}

// A stage arrives where Istio gives proxies more than the divided route, or others: of a second port, before it to some
// callers, and instead of it.
func TestRoutesBesideTheDividedOne(t *testing.T) {
	const container, v2 = "          containerPort: 8080", "      route: [{destination: {host: cart, subset: v2, port: {number: 8080}}}]\n"
	ports := []change{
		calm[0], calm[1], {"cart.yaml", "      targetPort: http", "      targetPort: http\n    admin: {port: 9000, appProtocol: http}"},
		{"cart-v1.yaml", container, container + "\n        admin: {containerPort: 9000}"},
		{"cart-v2.yaml", container, container + "\n        admin: {containerPort: 9000}"},
	}
	for namespace, routes := range map[string]string{
		"two-ports":     "",
		"one-for-some":  "  http:\n    - match: [{sourceLabels: {app: cart}}]\n" + v2,
		"divided-there": "  http:\n    - match: [{uri: {prefix: /old}}]\n" + v2 + "  match: [{sourceLabels: {app: front}}]\n",
	} {
		t.Run(namespace, func(t *testing.T) {
			file := shop(t, namespace, append(slices.Clone(ports), change{"cart-routing.yaml", "  port: 8080\n", "  port: 8080\n" + routes})...)
			require.Empty(t, mistakes(t, file))
			rep := verified(t, load(t, file), verify.Options{Requests: 1000})
			assertHeld(t, rep)
			assert.Len(t, rep.Splits, 6, "three stages from the gateway and from front/v1")
		})
	}
}

// A team's own gateway, of Istio's chart and with labels of its own, is sent to as Istio's ingress gateway is.
func TestOwnGateway(t *testing.T) {
	istio, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "istio.io/istio").Output()
	require.NoError(t, err)
	env := load(t, shop(t, "own-gateway", calm[0], calm[1],
		change{"environment.yaml", "releases:", `releases:
  - name: own-gateway-edge
    namespace: own-gateway
    chart: ` + filepath.Join(strings.TrimSpace(string(istio)), "manifests/charts/gateway") + `
    values:
      - service: {type: ClusterIP}
        autoscaling: {enabled: false}
    needs:
      - default/own-gateway-namespace
`},
		change{"front-v1.yaml", "  kind: istio", "  kind: istio\n  gateway:\n    selector:\n      istio: own-gateway-edge"}))
	rep := verified(t, env, verify.Options{Requests: 1000})
	assertHeld(t, rep)
	assert.Len(t, rep.Splits, 6, "three stages from the gateway and from front/v1")
}

// A gateway of the platform, which no release makes, is not on a local cluster: what leads through it is left out, and the
// rest is measured.
func TestGatewayOfThePlatform(t *testing.T) {
	file := shop(t, "platform-gateway", calm[0], calm[1],
		change{"front-v1.yaml", "  kind: istio", "  kind: istio\n  gateway:\n    selector:\n      istio: edge"})
	require.Empty(t, mistakes(t, file))
	rep := verified(t, load(t, file), verify.Options{Requests: 1000})
	assertHeld(t, rep)
	assert.Len(t, rep.Splits, 3, "three stages from front/v1")
	assert.Contains(t, rep.NotRun, report.NotRun{
		Environment: "environment", What: "requests through VirtualService/platform-gateway/front-exposure",
		Reason: "no pod labelled istio=edge runs, as its Gateway selects", Expected: true,
	})
}

// What pods refer to and somebody else makes, an operator or a person, is stood for: nobody makes it here.
func TestSecretMadeElsewhere(t *testing.T) {
	file := shop(t, "made-elsewhere", calm[0], calm[1],
		change{"front-v1.yaml", "      ports:", "      envFrom:\n        login:\n          secretRef:\n            name: login\n      ports:"},
		change{"cart-v2.yaml", "      ports:", "      env:\n        DSN:\n          valueFrom:\n            secretKeyRef:\n              name: db-credentials\n              key: dsn\n      ports:"})
	require.Empty(t, mistakes(t, file))
	rep := verified(t, load(t, file), verify.Options{Requests: 1000})
	assertHeld(t, rep)
	for _, name := range []string{"db-credentials", "login"} {
		assert.Contains(t, rep.NotRun, report.NotRun{
			Environment: "environment", What: "contents of Secret/made-elsewhere/" + name,
			Reason: "no release of the environment makes it, so a placeholder stands for it", Expected: true,
		})
	}
}

// A version that fails some of its requests is seen at each stage that sends it any.
func TestBrokenVersion(t *testing.T) {
	rep := verified(t, load(t, shop(t, "broken-version", behaves("cart-v2.yaml", `{"fail": 0.05, "status": 500}`),
		calm[0])), verify.Options{Requests: 1000})
	assert.False(t, rep.Held())
	assert.Contains(t, failed(rep), "split at v2")
	assert.NotContains(t, failed(rep), "split at v1")
	assert.Contains(t, failed(rep), "no request lost while stages change")
}

// Whatever is changed by hand on the cluster, and not in the files, is measured as it is.
func TestChangedByHand(t *testing.T) {
	for name, c := range map[string]struct {
		namespace string
		stage     string // when
		time      int    // the how manieth arrival at it
		resource  string
		object    string
		patch     string
		seen      string // in the caller's proxy, once it has the change
		fails     string
	}{
		"weights": {
			"by-hand-weights", "canary", 1, "virtualservices", "cart",
			`[{"op":"replace","path":"/spec/http/0/route/0/weight","value":70},{"op":"replace","path":"/spec/http/0/route/1/weight","value":30}]`,
			`"weight":30`, "split at canary",
		},
		"a time limit": {
			"by-hand-limit", "v1", 1, "virtualservices", "cart",
			`[{"op":"replace","path":"/spec/http/0/timeout","value":"4s"}]`,
			`"timeout":"4s"`, "a request ends at the time limit",
		},
		"a queue": {
			"by-hand-queue", "v2", 2, "destinationrules", "cart",
			`[{"op":"replace","path":"/spec/subsets/1/trafficPolicy/connectionPool/http/http1MaxPendingRequests","value":30}]`,
			`"maxPendingRequests":30`, "a full queue refuses at once",
		},
		"round robin": {
			"by-hand-robin", "v1", 1, "destinationrules", "cart",
			`[{"op":"replace","path":"/spec/subsets/0/trafficPolicy/loadBalancer/simple","value":"RANDOM"}]`,
			`"lbPolicy":"RANDOM"`, "round robin takes turns",
		},
	} {
		t.Run(name, func(t *testing.T) {
			arrivals := 0
			rep := verified(t, load(t, shop(t, c.namespace)), verify.Options{Requests: 1000, AtStage: func(ctx context.Context, app verify.App, stage verify.Stage) error {
				if stage.Name != c.stage {
					return nil
				}
				if arrivals++; arrivals != c.time {
					return nil // the first for the walk, the second for the queue
				}
				if err := patch(ctx, shared(t).Kubeconfig(), c.resource, app.Namespace, c.object, c.patch); err != nil {
					return err
				}
				return arrives(ctx, shared(t), app.Namespace, "front", c.seen)
			}})
			assert.False(t, rep.Held())
			assert.Contains(t, failed(rep), c.fails)
		})
	}
}

// An outbound policy that lets everything out is found out.
func TestOpenedEgress(t *testing.T) {
	env := load(t, shop(t, "opened-egress"))
	rep := verified(t, env, verify.Options{Requests: 200, Installed: func(ctx context.Context) error {
		if err := patch(ctx, shared(t).Kubeconfig(), "sidecars", "opened-egress", "shop", `[{"op":"replace","path":"/spec/outboundTrafficPolicy/mode","value":"ALLOW_ANY"}]`); err != nil {
			return err
		}
		return arrives(ctx, shared(t), "opened-egress", "front", `"name":"allow_any"`)
	}})
	assert.Contains(t, failed(rep), "a host that is not declared is refused")
}

// A namespace without the label gets no sidecars, and nothing that needs them passes.
func TestMissingInjectionLabel(t *testing.T) {
	rep := verified(t, load(t, shop(t, "no-label", change{"namespace.yaml", "  injection: enabled\n", ""})),
		verify.Options{Requests: 200, Settle: 2 * time.Second})
	assert.False(t, rep.Held())
	assert.Contains(t, failed(rep), "route arrives at every proxy")
	for _, n := range rep.NotRun {
		if strings.HasPrefix(n.What, "split of cart") {
			assert.False(t, n.Expected)
			return
		}
	}
	t.Error("the splits that could not be measured are not in notRun")
}

// A proxy that dies in the middle ends the run at once, with its last words, and is no split.
func TestProxyDies(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	own, err := local.Start(ctx, local.Options{Name: fmt.Sprintf("test-dies-%d", os.Getpid())})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, own.Stop(context.WithoutCancel(ctx))) })
	killed := false
	rep, err := verify.Run(ctx, own, load(t, shop(t, "dies")), verify.Options{Renderer: renderer, AtStage: func(ctx context.Context, _ verify.App, stage verify.Stage) error {
		if killed || stage.Name != "canary" {
			return nil
		}
		status, err := own.Status(ctx)
		if err != nil {
			return err
		}
		for _, p := range status.Processes {
			if strings.Contains(p.Name, "envoy") && strings.Contains(p.Name, "front") {
				killed = true
				return syscall.Kill(p.Pid, syscall.SIGKILL)
			}
		}
		return fmt.Errorf("no Envoy of front among %v", status.Processes)
	}})
	require.True(t, killed)
	require.ErrorIs(t, err, verify.ErrCluster)
	assert.ErrorContains(t, err, "front")
	for _, s := range rep.Splits {
		assert.Equalf(t, "v1", s.Stage, "a split from after the death: %+v", s)
	}
}

// patch changes an object by hand.
func patch(ctx context.Context, kubeconfig, resource, namespace, name, jsonPatch string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	_, err = client.Resource(schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: resource}).
		Namespace(namespace).Patch(ctx, name, types.JSONPatchType, []byte(jsonPatch), metav1.PatchOptions{})
	return err
}

// arrives waits until the proxy of an app's pod has a piece of configuration.
func arrives(ctx context.Context, c cluster.Cluster, namespace, app, piece string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute) // a busy machine takes its time
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		proxies, err := c.Proxies(ctx)
		if err != nil {
			return err
		}
		for _, p := range proxies {
			if p.Namespace != namespace || !strings.HasPrefix(p.Pod, app) {
				continue
			}
			dump, err := c.ProxyConfig(ctx, p, "")
			if err != nil {
				return err
			}
			raw, err := protojson.Marshal(dump)
			if err != nil {
				return err
			}
			if strings.Contains(strings.ReplaceAll(string(raw), " ", ""), piece) {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s did not arrive at the proxy of %s: %w", piece, app, ctx.Err())
		}
	}
}
