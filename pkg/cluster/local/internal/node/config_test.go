package node

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func configMapObject(name string, keys ...string) *corev1.ConfigMap {
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Data: map[string]string{}}
	for _, key := range keys {
		object.Data[key] = "x"
	}
	return object
}

func secretObject(name string, keys ...string) *corev1.Secret {
	object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Data: map[string][]byte{}}
	for _, key := range keys {
		object.Data[key] = []byte("x")
	}
	return object
}

func fromConfigMap(name, key string, optional *bool) corev1.EnvVar {
	return corev1.EnvVar{Name: "A", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key, Optional: optional,
	}}}
}

func fromSecret(name, key string, optional *bool) corev1.EnvVar {
	return corev1.EnvVar{Name: "A", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key, Optional: optional,
	}}}
}

// Each reference that cannot be resolved has a kubelet's reason and message.
func TestWhatAPodLacks(t *testing.T) {
	t.Parallel()
	const invalid = "CreateContainerConfigError"
	optional := ptr.To(true)
	named := func(name string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: name} }
	volume := func(source corev1.VolumeSource) func(*corev1.PodSpec) {
		return func(s *corev1.PodSpec) { s.Volumes = []corev1.Volume{{Name: "v", VolumeSource: source}} }
	}
	all := func(from ...corev1.EnvFromSource) func(*corev1.PodSpec) {
		return func(s *corev1.PodSpec) { s.Containers[0].EnvFrom = from }
	}
	env := func(vars ...corev1.EnvVar) func(*corev1.PodSpec) {
		return func(s *corev1.PodSpec) { s.Containers[0].Env = vars }
	}
	items := func(keys ...string) []corev1.KeyToPath {
		var paths []corev1.KeyToPath
		for _, key := range keys {
			paths = append(paths, corev1.KeyToPath{Key: key, Path: key})
		}
		return paths
	}
	root, nonRoot := ptr.To[int64](0), ptr.To(true)
	const rooted = `container's runAsUser breaks non-root policy (pod: "a_shop(a)", container: app)`
	as := func(user *int64, is *bool, podUser *int64, podIs *bool) func(*corev1.PodSpec) {
		return func(s *corev1.PodSpec) {
			s.SecurityContext = &corev1.PodSecurityContext{RunAsUser: podUser, RunAsNonRoot: podIs}
			s.Containers[0].SecurityContext = &corev1.SecurityContext{RunAsUser: user, RunAsNonRoot: is}
		}
	}
	for name, c := range map[string]struct {
		spec            func(*corev1.PodSpec)
		reason, message string
	}{
		"nothing": {env(corev1.EnvVar{Name: "A", Value: "x"}), "", ""},
		"all that is there": {func(s *corev1.PodSpec) {
			env(fromConfigMap("there", "a", nil), fromSecret("there", "a", nil))(s)
			all(corev1.EnvFromSource{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: named("there")}})(s)
			volume(corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: named("there"), Items: items("a")}})(s)
		}, "", ""},
		"optional": {func(s *corev1.PodSpec) {
			env(fromConfigMap("none", "a", optional), fromSecret("there", "b", optional))(s)
			all(
				corev1.EnvFromSource{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: named("none"), Optional: optional}},
				corev1.EnvFromSource{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: named("none"), Optional: optional}},
			)(s)
			volume(corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "there", Items: items("b"), Optional: optional}})(s)
		}, "", ""},
		"envFrom a Secret": {
			all(corev1.EnvFromSource{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: named("none")}}),
			invalid, `secret "none" not found`,
		},
		"envFrom a ConfigMap": {
			all(corev1.EnvFromSource{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: named("none")}}),
			invalid, `configmap "none" not found`,
		},
		"a key of no Secret":    {env(fromSecret("none", "a", nil)), invalid, `secret "none" not found`},
		"no key of a Secret":    {env(fromSecret("there", "b", nil)), invalid, "couldn't find key b in Secret shop/there"},
		"no key of a ConfigMap": {env(fromConfigMap("there", "b", nil)), invalid, "couldn't find key b in ConfigMap shop/there"},
		"root that must not be": {as(root, nil, nil, nonRoot), invalid, rooted},
		"root of the pod":       {as(nil, nonRoot, root, nil), invalid, rooted},
		"root that may be":      {as(root, ptr.To(false), nil, nonRoot), "", ""},
		"another user":          {as(ptr.To[int64](5), nil, root, nonRoot), "", ""},
		"the image's user":      {as(nil, nonRoot, nil, nonRoot), "", ""},
		"a volume of no Secret": {
			volume(corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "none"}}),
			"ContainerCreating", `MountVolume.SetUp failed for volume "v" : secret "none" not found`,
		},
		"a volume of no key of a Secret": {
			volume(corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "there", Items: items("a", "b")}}),
			"ContainerCreating", `MountVolume.SetUp failed for volume "v" : references non-existent secret key: b`,
		},
		"a volume of no key of a ConfigMap": {
			volume(corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: named("there"), Items: items("b")}}),
			"ContainerCreating", `MountVolume.SetUp failed for volume "v" : configmap references non-existent config key: b`,
		},
		"a projected volume": {
			volume(corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
				{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: named("none"), Optional: optional}},
				{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: named("none")}},
				{Secret: &corev1.SecretProjection{LocalObjectReference: named("there")}},
			}}}),
			"ContainerCreating", `MountVolume.SetUp failed for volume "v" : configmap "none" not found`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object := podObject("a", nil, *app.DeepCopy())
			c.spec(&object.Spec)
			a := testAgent(t, configMapObject("there", "a"), secretObject("there", "a"))
			p := a.add(t, object)
			assert.Equal(t, c.message != "", p.missing(t.Context()) != "")
			if c.message != "" {
				assert.Equal(t, &corev1.ContainerStateWaiting{Reason: c.reason, Message: c.message}, p.containers[0].state.Waiting)
			}
		})
	}
}

// A pod waits until what it refers to is there, and says so meanwhile.
func TestAPodWaitsForItsConfig(t *testing.T) {
	t.Parallel()
	sidecar := corev1.Container{Name: "helper"}
	object := podObject("a", nil, *app.DeepCopy(), sidecar)
	object.Spec.Containers[0].Env = []corev1.EnvVar{fromSecret("login", "password", nil)}
	a := testAgent(t, object)
	a.config.Net = 40
	ctx, cancel := context.WithCancel(t.Context())
	a.seen(ctx, object)
	defer a.tasks.Wait()
	defer cancel()
	status := func() corev1.PodStatus {
		got, err := a.client.CoreV1().Pods("shop").Get(t.Context(), "a", metav1.GetOptions{})
		require.NoError(t, err)
		return got.Status
	}
	require.Eventually(t, func() bool { return len(status().ContainerStatuses) == 2 }, 10*time.Second, time.Millisecond)
	waits := status()
	assert.Equal(t, corev1.PodPending, waits.Phase)
	assert.Equal(t, "CreateContainerConfigError", waits.ContainerStatuses[0].State.Waiting.Reason)
	assert.Equal(t, `secret "login" not found`, waits.ContainerStatuses[0].State.Waiting.Message)
	assert.Equal(t, "ContainerCreating", waits.ContainerStatuses[1].State.Waiting.Reason)
	assert.Empty(t, a.live())

	_, err := a.client.CoreV1().Secrets("shop").Create(t.Context(), secretObject("login", "password"), metav1.CreateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return status().Phase == corev1.PodRunning }, 10*time.Second, time.Millisecond)
	assert.Len(t, a.live(), 1)
}
