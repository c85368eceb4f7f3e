package test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/gruntwork-io/terratest/modules/k8s"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/report"
	"chartbasico/pkg/verify"
)

// toStore is how many requests tell the stages of the store apart.
const toStore = 500

// storeOn verifies a copy of the store on a cluster, and uninstalls it after the test.
func storeOn(t *testing.T, c cluster.Cluster, file string, opts verify.Options) *report.Report {
	t.Helper()
	require.Empty(t, mistakes(t, file))
	opts.Requests = toStore
	return verifiedOn(t, c, load(t, file), opts)
}

// Every kind of workload does what it is for, and that is measured. A CronJob is run once, as its clock would.
func TestWorkloadKinds(t *testing.T) {
	c := shared(t)
	rep := storeOn(t, c, copied(t, "store", "workloads"), verify.Options{})
	assertHeld(t, rep)
	want := []string{"injection", "a Job ends", "a DaemonSet runs on every node", "storage stays when its pod starts again", "a call is answered",
		"a declared host is reached", "a host that is not declared is refused",
		"a full queue refuses at once", "a request ends at the time limit", "least request prefers the idle pod"}
	if !c.StandIns() {
		want = append(want, "a plain request is refused", "a NodePort is reached from outside")
	}
	for _, name := range want {
		assert.Truef(t, slices.ContainsFunc(rep.Checks, func(c report.Check) bool { return c.Name == name }), "%s was not measured", name)
	}
	assert.Len(t, rep.Splits, 6, "three stages from the gateway and from front/v1")

	ctx := within(t, 3*time.Minute)
	options := k8s.NewKubectlOptions("", c.Kubeconfig(), "workloads")
	jobs := clientset(t).BatchV1().Jobs("workloads")
	// The namespace outlives the test, and so would the Job, which is of no release.
	job, err := k8s.CreateJobFromCronJobContextE(t, ctx, options, "sweep-v1", fmt.Sprintf("sweep-%d", time.Now().UnixNano()))
	require.NoError(t, err)
	t.Cleanup(func() {
		withPods := metav1.DeletePropagationBackground
		assert.NoError(t, jobs.Delete(context.WithoutCancel(ctx), job.Name, metav1.DeleteOptions{PropagationPolicy: &withPods}))
	})
	require.NoError(t, k8s.WaitUntilJobSucceedContextE(t, ctx, options, job.Name, 120, time.Second))
}

// Clusters of every kind come to the same verdict on everything that both measure, of what is right and of what is
// broken. Without BASICO_KIND it is only seen that the local cluster's is the right one.
func TestClustersAgree(t *testing.T) {
	clusters := map[string]cluster.Cluster{}
	var err error
	clusters["local"], err = startLocal()
	require.NoError(t, err)
	if os.Getenv("BASICO_KIND") != "" {
		clusters["kind"], err = openKind()
		require.NoError(t, err)
	}
	for name, c := range map[string]struct {
		changes []change
		// byHand changes the cluster when the store is installed.
		byHand func(ctx context.Context, c cluster.Cluster, namespace string) error
		// stage is where byHand comes instead, each time.
		stage string
		fails []string
		// chance are checks of a few requests each, which a version that fails some may pass or not.
		chance []string
	}{
		"as it is": {},
		"a version that fails": {
			changes: []change{
				{"web-v2.yaml", `FAIL: "0"`, `FAIL: "0.2"`},
				behaves("web-v2.yaml", `{"fail": 0.2, "status": 500}`),
			},
			fails:  []string{"split of web at half", "split of web at v2", "no request lost while stages change"},
			chance: []string{"a full queue refuses at once", "a NodePort is reached from outside", "an exposed path is reached", "a call is answered"},
		},
		"weights changed by hand": {
			byHand: func(ctx context.Context, c cluster.Cluster, namespace string) error {
				if err := patch(ctx, c.Kubeconfig(), "virtualservices", namespace, "web",
					`[{"op":"replace","path":"/spec/http/0/route/0/weight","value":75},{"op":"replace","path":"/spec/http/0/route/1/weight","value":25}]`); err != nil {
					return err
				}
				return arrives(ctx, c, namespace, "front", `"weight":25`)
			},
			stage: "half",
			fails: []string{"split of web at half"},
		},
		"everything may get out": {
			byHand: func(ctx context.Context, c cluster.Cluster, namespace string) error {
				if err := patch(ctx, c.Kubeconfig(), "sidecars", namespace, "store", `[{"op":"replace","path":"/spec/outboundTrafficPolicy/mode","value":"ALLOW_ANY"}]`); err != nil {
					return err
				}
				return arrives(ctx, c, namespace, "front", `"name":"allow_any"`)
			},
			fails: []string{"a host that is not declared is refused"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			verdicts := map[string]map[string]bool{}
			for kind, on := range clusters {
				namespace := fmt.Sprintf("agree-%s", kind)
				opts := verify.Options{}
				switch {
				case c.byHand == nil:
				case c.stage == "":
					opts.Installed = func(ctx context.Context) error { return c.byHand(ctx, on, namespace) }
				default:
					opts.AtStage = func(ctx context.Context, _ verify.App, stage verify.Stage) error {
						if stage.Name != c.stage {
							return nil
						}
						return c.byHand(ctx, on, namespace)
					}
				}
				t.Run(kind, func(t *testing.T) {
					rep := storeOn(t, on, copied(t, "store", namespace, c.changes...), opts)
					verdicts[kind] = verdictsOf(rep)
					for _, name := range c.chance {
						delete(verdicts[kind], name)
					}
					assert.ElementsMatch(t, c.fails, failures(verdicts[kind]), text(t, rep))
				})
			}
			for name, pass := range verdicts["kind"] {
				if local, both := verdicts["local"][name]; both {
					assert.Equalf(t, local, pass, "%s: local %v, kind %v", name, local, pass)
				}
			}
		})
	}
}

// verdictsOf says of each check and of each stage's splits whether all of that name passed.
func verdictsOf(rep *report.Report) map[string]bool {
	all := map[string]bool{}
	add := func(name string, pass bool) {
		before, there := all[name]
		all[name] = pass && (before || !there)
	}
	for _, c := range rep.Checks {
		add(c.Name, c.Pass)
	}
	for _, s := range rep.Splits {
		add("split of "+s.App+" at "+s.Stage, s.Pass)
	}
	return all
}

func failures(verdicts map[string]bool) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(verdicts)), func(name string) bool { return verdicts[name] })
}
