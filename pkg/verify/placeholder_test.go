package verify

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"chartbasico/pkg/report"
)

const (
	secretOfShop    = `{apiVersion: v1, kind: Secret, metadata: {name: tokens}, stringData: {key: x}}`
	configMapOfShop = `{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {a: x}}`
)

// workloadOf is one whose pods are as said.
func workloadOf(kind, podSpec string) string {
	path := "spec: {template: {spec: %s}}"
	switch kind {
	case "CronJob":
		path = "spec: {jobTemplate: {spec: {template: {spec: %s}}}}"
	case "Pod":
		path = "spec: %s"
	}
	return fmt.Sprintf("{kind: %s, metadata: {name: app}, "+path+"}", kind, podSpec)
}

func TestWhatIsMadeElsewhere(t *testing.T) {
	for name, c := range map[string]struct {
		kind, spec string
		want       map[string][]string // their keys
	}{
		"nothing":                 {"Deployment", `{containers: [{name: app, env: [{name: A, value: x}]}]}`, nil},
		"envFrom":                 {"StatefulSet", `{containers: [{envFrom: [{secretRef: {name: s}}, {configMapRef: {name: c}}]}]}`, map[string][]string{"Secret/shop/s": nil, "ConfigMap/shop/c": nil}},
		"env, of several keys":    {"DaemonSet", `{containers: [{env: [{valueFrom: {secretKeyRef: {name: s, key: a}}}, {valueFrom: {configMapKeyRef: {name: c, key: b}}}]}, {env: [{valueFrom: {secretKeyRef: {name: s, key: d}}}]}]}`, map[string][]string{"Secret/shop/s": {"a", "d"}, "ConfigMap/shop/c": {"b"}}},
		"of an init container":    {"Job", `{initContainers: [{envFrom: [{secretRef: {name: s}}]}]}`, map[string][]string{"Secret/shop/s": nil}},
		"volumes":                 {"CronJob", `{volumes: [{name: a, secret: {secretName: s, items: [{key: tls.crt, path: x}]}}, {name: b, configMap: {name: c}}, {name: e, emptyDir: {}}]}`, map[string][]string{"Secret/shop/s": {"tls.crt"}, "ConfigMap/shop/c": nil}},
		"a projected volume":      {"Pod", `{volumes: [{name: a, projected: {sources: [{secret: {name: s}}, {configMap: {name: c, items: [{key: k, path: x}]}}, {serviceAccountToken: {path: t}}]}}]}`, map[string][]string{"Secret/shop/s": nil, "ConfigMap/shop/c": {"k"}}},
		"optional":                {"Deployment", `{volumes: [{name: a, secret: {secretName: s, optional: true}}], containers: [{envFrom: [{configMapRef: {name: c, optional: true}}], env: [{valueFrom: {secretKeyRef: {name: s, key: a, optional: true}}}]}]}`, nil},
		"what a release makes":    {"Deployment", `{containers: [{envFrom: [{secretRef: {name: tokens}}, {configMapRef: {name: settings}}]}]}`, nil},
		"of another kind":         {"Deployment", `{containers: [{envFrom: [{secretRef: {name: settings}}]}]}`, map[string][]string{"Secret/shop/settings": nil}},
		"what each namespace has": {"Deployment", `{volumes: [{name: a, configMap: {name: kube-root-ca.crt}}, {name: b, configMap: {name: istio-ca-root-cert}}]}`, nil},
		"not Kubernetes' own":     {"Rollout", `{containers: [{envFrom: [{secretRef: {name: s}}]}]}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			missing, rendered := madeElsewhere(shop(t, secretOfShop, configMapOfShop, workloadOf(c.kind, c.spec)))
			assert.True(t, rendered[reference{"Secret", "shop", "tokens"}])
			got := map[string][]string{}
			for _, p := range missing {
				var keys []string
				for k, value := range p.keys {
					assert.NotEmpty(t, value)
					keys = append(keys, k)
				}
				assert.ElementsMatch(t, c.want[p.String()], keys)
				got[p.String()] = c.want[p.String()]
			}
			assert.Len(t, got, len(c.want))
			for want := range c.want {
				assert.Contains(t, got, want)
			}
		})
	}
}

// Each placeholder comes when its namespace does, and the report lists it. What others have made is theirs.
func TestPlaceholdersComeWithTheirNamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := cart(t, nil)
		r.installer = installerOn(t, []*corev1.Namespace{namespaceOn("default", "")})
		core := r.installer.Client().CoreV1()
		r.releases = shop(t, secretOfShop, workloadOf("Deployment", `{containers: [{envFrom: [{secretRef: {name: login}}, {secretRef: {name: tokns}}, {configMapRef: {name: theirs}}]}]}`))
		require.NoError(t, r.withPlaceholders(t.Context(), func(ctx context.Context) error {
			time.Sleep(time.Minute)
			secrets, err := core.Secrets("").List(ctx, metav1.ListOptions{})
			assert.NoError(t, err)
			assert.Empty(t, secrets.Items, "there is no namespace yet")
			_, err = core.ConfigMaps("shop").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "theirs"}}, metav1.CreateOptions{})
			assert.NoError(t, err)
			_, err = core.Namespaces().Create(ctx, namespaceOn("shop", ""), metav1.CreateOptions{})
			assert.NoError(t, err)
			time.Sleep(2 * lookEvery)
			_, err = core.Secrets("shop").Get(ctx, "login", metav1.GetOptions{})
			assert.NoError(t, err)
			return nil
		}))
		const reason = "no release of the environment makes it, so a placeholder stands for it"
		assert.Equal(t, []report.NotRun{
			{Environment: "shop", What: "contents of Secret/shop/login", Reason: reason, Expected: true},
			{Environment: "shop", What: "contents of Secret/shop/tokns", Reason: reason + "; did you mean tokens, which one makes?", Expected: true},
		}, r.report.NotRun)
		theirs, err := core.ConfigMaps("shop").Get(t.Context(), "theirs", metav1.GetOptions{})
		require.NoError(t, err)
		assert.Empty(t, theirs.Labels)
	})
}

// A cluster that is kept has the placeholders of the run before: what a release makes now goes out of Helm's way, and
// what pods refer to has the keys that they refer to now. Those of other environments stay.
func TestPlaceholdersOfTheRunBefore(t *testing.T) {
	r := cart(t, nil)
	r.installer = installerOn(t, []*corev1.Namespace{namespaceOn("shop", ""), namespaceOn("others", "")})
	core := r.installer.Client().CoreV1()
	run := func(now ...string) {
		r.report.NotRun = nil
		r.releases = shop(t, now...)
		require.NoError(t, r.withPlaceholders(t.Context(), func(context.Context) error { return nil }))
	}
	refers := func(key string) string {
		return workloadOf("CronJob", fmt.Sprintf(`{containers: [{env: [{valueFrom: {secretKeyRef: {name: tokens, key: %s}}}, {valueFrom: {configMapKeyRef: {name: settings, key: %s}}}]}]}`, key, key))
	}
	run(refers("a"))
	_, err := core.Secrets("others").Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "others", Name: "tokens", Labels: map[string]string{placeholderLabel: "true"}}}, metav1.CreateOptions{})
	require.NoError(t, err)
	run(refers("b"))
	assert.Len(t, r.report.NotRun, 2)
	again, err := core.Secrets("shop").Get(t.Context(), "tokens", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Contains(t, again.StringData, "b")
	run(refers("b"), secretOfShop, configMapOfShop)
	assert.Empty(t, r.report.NotRun)
	_, err = core.Secrets("shop").Get(t.Context(), "tokens", metav1.GetOptions{})
	assert.True(t, apierrors.IsNotFound(err), "it is in the way")
	_, err = core.ConfigMaps("shop").Get(t.Context(), "settings", metav1.GetOptions{})
	assert.True(t, apierrors.IsNotFound(err), "it is in the way")
	_, err = core.Secrets("others").Get(t.Context(), "tokens", metav1.GetOptions{})
	assert.NoError(t, err)
}

// A placeholder that cannot be made ends the installation, which would wait for it.
func TestAPlaceholderThatIsRefused(t *testing.T) {
	refused := errors.New("no more")
	r := cart(t, nil)
	r.installer = installerOn(t, []*corev1.Namespace{namespaceOn("shop", "")})
	r.installer.Client().(*fake.Clientset).PrependReactor("create", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, refused })
	r.releases = shop(t, workloadOf("Deployment", `{containers: [{envFrom: [{secretRef: {name: login}}]}]}`))
	err := r.withPlaceholders(t.Context(), func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
	require.ErrorIs(t, err, refused)
	assert.EqualError(t, err, "placeholder for Secret/shop/login: no more")
	assert.Empty(t, r.report.NotRun)
}
