package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/ptr"

	"chartbasico/internal/helm3"
	"chartbasico/pkg/environment"
	"chartbasico/pkg/render"
)

// fakeHelm records what is done to which release, and when.
type fakeHelm struct {
	mu      sync.Mutex
	done    []string
	running int
	most    int
	fail    map[string]error
	hold    chan struct{} // closed when operations may end; nil: at once
}

func (f *fakeHelm) do(ctx context.Context, what, name string) error {
	f.mu.Lock()
	f.running++
	f.most = max(f.most, f.running)
	f.mu.Unlock()
	if f.hold != nil {
		select {
		case <-f.hold:
		case <-ctx.Done():
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running--
	f.done = append(f.done, what+" "+name)
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return f.fail[name]
}

func (f *fakeHelm) Upgrade(ctx context.Context, s helm3.Spec) (*helm3.Deployed, error) {
	what := "upgrade" + keeping(s.HistoryMax)
	if s.Description != "" {
		what += " (" + s.Description + ")"
	}
	return nil, f.do(ctx, what, s.Name)
}

func (f *fakeHelm) Status(context.Context, string) (*helm3.Deployed, error) {
	return nil, helm3.ErrNotFound
}

func (f *fakeHelm) GiveUp(ctx context.Context, name, why string) error {
	return f.do(ctx, "give up ("+why+")", name)
}

func (f *fakeHelm) Rollback(ctx context.Context, name string, revision int, historyMax *int) error {
	return f.do(ctx, fmt.Sprintf("rollback to %d", revision)+keeping(historyMax), name)
}

func keeping(historyMax *int) string {
	if historyMax == nil {
		return ""
	}
	return fmt.Sprintf(" keeping %d", *historyMax)
}

func (f *fakeHelm) Uninstall(ctx context.Context, name string) error {
	return f.do(ctx, "uninstall", name)
}

func rel(name string, needs ...string) *render.Release {
	for i := range needs {
		needs[i] = "apps/" + needs[i]
	}
	return &render.Release{Release: environment.Release{Name: name, Namespace: "apps", Needs: needs}}
}

func installer(t *testing.T, h *fakeHelm, objects ...any) *Installer {
	t.Helper()
	client := fake.NewClientset()
	for _, o := range objects {
		switch o := o.(type) {
		case *appsv1.Deployment:
			require.NoError(t, client.Tracker().Add(o))
		case *appsv1.ReplicaSet:
			require.NoError(t, client.Tracker().Add(o))
		case *corev1.Pod:
			require.NoError(t, client.Tracker().Add(o))
		case *corev1.Event:
			require.NoError(t, client.Tracker().Add(o))
		case *batchv1.Job:
			require.NoError(t, client.Tracker().Add(o))
		}
	}
	i, err := newInstaller(t.Context(), client, func(string) (helm, error) { return h, nil }, Options{})
	require.NoError(t, err)
	return i
}

func TestInstallFollowsNeeds(t *testing.T) {
	h := &fakeHelm{}
	releases := []*render.Release{rel("namespace"), rel("service", "namespace"), rel("workload", "service"), rel("routing", "workload")}
	slices.Reverse(releases) // whatever their order
	require.NoError(t, installer(t, h).Install(t.Context(), releases))
	assert.Equal(t, []string{"upgrade namespace", "upgrade service", "upgrade workload", "upgrade routing"}, h.done)
}

func TestUninstallGoesBackwards(t *testing.T) {
	h := &fakeHelm{fail: map[string]error{"service": helm3.ErrNotFound}}
	releases := []*render.Release{rel("namespace"), rel("service", "namespace"), rel("workload", "service")}
	require.NoError(t, installer(t, h).Uninstall(t.Context(), releases), "a release that is not there is success")
	assert.Equal(t, []string{"uninstall workload", "uninstall service", "uninstall namespace"}, h.done)
}

func TestIndependentReleasesAtTheSameTime(t *testing.T) {
	h := &fakeHelm{hold: make(chan struct{})}
	i := installer(t, h)
	ended := make(chan error)
	go func() { ended <- i.Install(t.Context(), []*render.Release{rel("a"), rel("b"), rel("c", "a", "b")}) }()
	require.Eventually(t, func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.running == 2 }, 5*time.Second, time.Millisecond)
	close(h.hold)
	require.NoError(t, <-ended)
	assert.Equal(t, 2, h.most)
	assert.Equal(t, "upgrade c", h.done[2])
}

func TestManyReleasesAreNotAllWorkedOnAtOnce(t *testing.T) {
	h := &fakeHelm{hold: make(chan struct{})}
	i := installer(t, h)
	var releases []*render.Release
	for n := range 3 * atOnce {
		releases = append(releases, rel(fmt.Sprint("app", n)))
	}
	ended := make(chan error)
	go func() { ended <- i.Install(t.Context(), releases) }()
	require.Eventually(t, func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.running == atOnce }, 5*time.Second, time.Millisecond)
	close(h.hold)
	require.NoError(t, <-ended)
	assert.Equal(t, atOnce, h.most)
	assert.Len(t, h.done, 3*atOnce)
}

func TestFirstFailureStopsWhatComesAfter(t *testing.T) {
	boom := errors.New("boom")
	h := &fakeHelm{fail: map[string]error{"a": boom}}
	err := installer(t, h).Install(t.Context(), []*render.Release{rel("a"), rel("b", "a")})
	require.ErrorIs(t, err, boom)
	assert.EqualError(t, err, "upgrading release apps/a: boom")
	assert.Equal(t, []string{"upgrade a"}, h.done)
}

func TestCancelWaitsForWhatRuns(t *testing.T) {
	h := &fakeHelm{hold: make(chan struct{})}
	i := installer(t, h)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- i.Install(ctx, []*render.Release{rel("a"), rel("b", "a")}) }()
	require.Eventually(t, func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.running == 1 }, 5*time.Second, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	assert.Zero(t, h.running)
	assert.Equal(t, []string{"upgrade a"}, h.done)
}

func TestRollback(t *testing.T) {
	h := &fakeHelm{}
	require.NoError(t, installer(t, h).Rollback(t.Context(), rel("a"), 3))
	assert.Equal(t, []string{"rollback to 3 a"}, h.done)
}

func TestHistoryIsKeptAsTheEnvironmentSays(t *testing.T) {
	h := &fakeHelm{}
	i := installer(t, h)
	r := rel("a")
	r.HistoryMax = new(int)
	*r.HistoryMax = 50
	require.NoError(t, i.Upgrade(t.Context(), r))
	require.NoError(t, i.Rollback(t.Context(), r, 3))
	assert.Equal(t, []string{"upgrade keeping 50 a", "rollback to 3 keeping 50 a"}, h.done)
}

func TestWhyIsForTheHistory(t *testing.T) {
	h := &fakeHelm{}
	i := installer(t, h)
	require.NoError(t, i.UpgradeFor(t.Context(), rel("a"), "to canary"))
	require.NoError(t, i.GiveUp(t.Context(), rel("a"), "killed"))
	_, err := i.Status(t.Context(), rel("a"))
	require.ErrorIs(t, err, ErrNotInstalled)
	assert.Equal(t, []string{"upgrade (to canary) a", "give up (killed) a"}, h.done)
}

func deployment(available int32) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: "app1-v1", Generation: 2, UID: "1", Annotations: map[string]string{revision: "2"}},
		Spec:       appsv1.DeploymentSpec{Replicas: ptr.To[int32](2)},
		Status:     appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 2, UpdatedReplicas: 2, AvailableReplicas: available},
	}
}

// replicaSet is what made the pod, for the revision of the Deployment.
func replicaSet(of string) *appsv1.ReplicaSet {
	return &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: "app1-v1-abc", Annotations: map[string]string{revision: of}}}
}

func pod(change func(*corev1.PodStatus)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "apps", Name: "app1-v1-abc-1", Labels: map[string]string{"pod-template-hash": "abc"},
		OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "app1-v1-abc", Controller: ptr.To(true)}},
	}}
	p.Status.Phase = corev1.PodPending
	change(&p.Status)
	return p
}

func waiting(reason, message string, restarts int32) *corev1.Pod {
	return pod(func(s *corev1.PodStatus) {
		s.ContainerStatuses = []corev1.ContainerStatus{{Name: "app1", RestartCount: restarts,
			State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
			LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Message: "killed"}},
		}}
	})
}

// loops is a pod of that age whose container keeps ending so.
func loops(restarts int32, age time.Duration, code int32, reason string) *corev1.Pod {
	p := waiting("CrashLoopBackOff", "back-off", restarts)
	p.Status.StartTime = &metav1.Time{Time: time.Now().Add(-age)}
	p.Status.ContainerStatuses[0].LastTerminationState.Terminated.ExitCode = code
	p.Status.ContainerStatuses[0].LastTerminationState.Terminated.Reason = reason
	return p
}

var app1 = []Object{{"Deployment", "apps", "app1-v1"}}

func TestReadyAsSoonAsItIs(t *testing.T) {
	d := deployment(1)
	i := installer(t, &fakeHelm{}, d)
	ended := make(chan error)
	go func() { ended <- i.Ready(t.Context(), app1) }()
	d = d.DeepCopy()
	d.Status.AvailableReplicas = 2
	_, err := i.Client().AppsV1().Deployments("apps").UpdateStatus(t.Context(), d, metav1.UpdateOptions{})
	require.NoError(t, err)
	require.NoError(t, <-ended)
}

func TestReadyWaitsForTheNewestSpecification(t *testing.T) {
	old := deployment(2)
	old.Status.ObservedGeneration = 1
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, installer(t, &fakeHelm{}, old).Ready(ctx, app1), context.DeadlineExceeded)
}

func TestWaitThatRanOutSaysWhatItSaw(t *testing.T) {
	i := installer(t, &fakeHelm{}, deployment(1), waiting("CreateContainerConfigError", `secret "app1" not found`, 0), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "apps", Name: "e"},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "app1-v1-abc-1"},
		Type:           corev1.EventTypeWarning, Reason: "FailedMount", Message: "no volume",
	})
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, errors.New("timed out after 20ms"))
	defer cancel()
	err := i.Ready(ctx, app1)
	require.Error(t, err)
	for _, want := range []string{
		"timed out after 20ms", "Deployment/apps/app1-v1: 2 of 2 replicas updated, 1 available",
		`Pod/apps/app1-v1-abc-1: container app1 waits: CreateContainerConfigError: secret "app1" not found`,
		"ended with exit code 137, 0 restarts; last words: killed", "event: FailedMount: no volume",
	} {
		assert.ErrorContains(t, err, want)
	}
}

func TestGivesUpEarly(t *testing.T) {
	failed := func(c appsv1.DeploymentCondition) *appsv1.Deployment {
		d := deployment(1)
		d.Status.Conditions = []appsv1.DeploymentCondition{c}
		return d
	}
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: "setup"}, Status: batchv1.JobStatus{
		Failed: 1, Conditions: []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: "BackoffLimitExceeded"}},
	}}
	for name, c := range map[string]struct {
		objects []any
		wait    []Object
		says    string
	}{
		"an image name that cannot be":  {[]any{deployment(1), replicaSet("2"), waiting("InvalidImageName", "bad", 0)}, app1, "InvalidImageName: bad"},
		"a container that keeps ending": {[]any{deployment(1), replicaSet("2"), loops(3, 6*time.Minute, 137, "Error")}, app1, "3 restarts"},
		"a program that is not there":   {[]any{deployment(1), replicaSet("2"), loops(3, time.Minute, 128, "StartError")}, app1, "3 restarts"},
		"a shell's word of the same":    {[]any{deployment(1), replicaSet("2"), loops(3, time.Minute, 127, "Error")}, app1, "3 restarts"},
		"Pod Security": {[]any{failed(appsv1.DeploymentCondition{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue,
			Message: `pods "x" is forbidden: violates PodSecurity "restricted:latest"`})}, app1, "violates PodSecurity"},
		"no progress": {[]any{failed(appsv1.DeploymentCondition{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse,
			Message: "has timed out progressing"})}, app1, "has timed out progressing"},
		"a job that failed": {[]any{job}, []Object{{"Job", "apps", "setup"}}, "0 succeeded, 1 failed pods; failed: BackoffLimitExceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			err := installer(t, &fakeHelm{}, c.objects...).Ready(t.Context(), c.wait)
			require.ErrorIs(t, err, ErrDead)
			assert.ErrorContains(t, err, c.says)
		})
	}
}

// What was wrong with an earlier specification is no reason to give up a new one, which may put it right.
func TestEarlierPodsAreNotTheEnd(t *testing.T) {
	unseen := deployment(1)
	unseen.Status.ObservedGeneration = 1
	unseen.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: `violates PodSecurity`}}
	for name, objects := range map[string][]any{
		"pods":                   {deployment(1), replicaSet("1"), waiting("CrashLoopBackOff", "back-off", 9)},
		"not yet seen":           {unseen, replicaSet("2"), waiting("InvalidImageName", "bad", 0)},
		"the ReplicaSet is gone": {deployment(1), waiting("InvalidImageName", "bad", 0)},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			require.ErrorIs(t, installer(t, &fakeHelm{}, objects...).Ready(ctx, app1), context.DeadlineExceeded)
		})
	}
}

// A container may end until what it needs is there.
func TestAFewRestartsAreNotTheEnd(t *testing.T) {
	for name, p := range map[string]*corev1.Pod{
		"few":               loops(2, time.Hour, 137, "Error"),
		"within a minute":   loops(4, time.Minute, 1, "Error"),
		"nobody knows when": waiting("CrashLoopBackOff", "back-off", 9),
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			err := installer(t, &fakeHelm{}, deployment(1), replicaSet("2"), p).Ready(ctx, app1)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.ErrorContains(t, err, "container app1 waits: CrashLoopBackOff: back-off")
		})
	}
}

func TestGoneWhenObjectsAndPodsAre(t *testing.T) {
	i := installer(t, &fakeHelm{}, waiting("", "", 0))
	ended := make(chan error)
	go func() { ended <- i.Gone(t.Context(), app1) }()
	require.NoError(t, i.Client().CoreV1().Pods("apps").Delete(t.Context(), "app1-v1-abc-1", metav1.DeleteOptions{}))
	require.NoError(t, <-ended)
}

func TestStates(t *testing.T) {
	one := ptr.To[int32](1)
	for name, c := range map[string]struct {
		state state
		ready bool
	}{
		"no replicas are wanted": {deploymentState(&appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: ptr.To[int32](0)}}), true},
		"an old replica is left": {deploymentState(&appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: one},
			Status: appsv1.DeploymentStatus{Replicas: 2, UpdatedReplicas: 1, AvailableReplicas: 1}}), false},
		"stateful, ready and updated": {statefulSetState(&appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Replicas: one},
			Status: appsv1.StatefulSetStatus{Replicas: 1, ReadyReplicas: 1, UpdatedReplicas: 1}}), true},
		"stateful, not updated": {statefulSetState(&appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Replicas: one},
			Status: appsv1.StatefulSetStatus{Replicas: 1, ReadyReplicas: 1}}), false},
		"stateful, updated on delete": {statefulSetState(&appsv1.StatefulSet{
			Spec:   appsv1.StatefulSetSpec{Replicas: one, UpdateStrategy: appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType}},
			Status: appsv1.StatefulSetStatus{Replicas: 1, ReadyReplicas: 1}}), true},
		"daemon on every node": {daemonSetState(&appsv1.DaemonSet{Status: appsv1.DaemonSetStatus{DesiredNumberScheduled: 3, UpdatedNumberScheduled: 3, NumberAvailable: 3}}), true},
		"daemon short of one":  {daemonSetState(&appsv1.DaemonSet{Status: appsv1.DaemonSetStatus{DesiredNumberScheduled: 3, UpdatedNumberScheduled: 3, NumberAvailable: 2}}), false},
		"job complete":         {jobState(&batchv1.Job{Status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}}}}), true},
		"job suspended":        {jobState(&batchv1.Job{Spec: batchv1.JobSpec{Suspend: ptr.To(true)}}), true},
		"job running":          {jobState(&batchv1.Job{Status: batchv1.JobStatus{Active: 1}}), false},
	} {
		assert.Equal(t, c.ready, c.state.ready, name)
	}
}

func TestWorkloadsAreWhatGetsReady(t *testing.T) {
	r := rel("a")
	for _, kind := range []string{"ConfigMap", "Deployment", "CronJob", "Job"} {
		r.Objects = append(r.Objects, &unstructured.Unstructured{Object: map[string]any{
			"kind": kind, "metadata": map[string]any{"namespace": "apps", "name": "x"},
		}})
	}
	assert.Equal(t, []Object{{"Deployment", "apps", "x"}, {"Job", "apps", "x"}}, Workloads(r))
}

// What Helm makes at another time, or waits for and removes itself, is not waited for.
func TestHooksAreHelmsOwn(t *testing.T) {
	r := rel("a")
	for _, hook := range []string{"", "test", "pre-delete", "post-install"} {
		o := &unstructured.Unstructured{Object: map[string]any{"kind": "Job", "metadata": map[string]any{"namespace": "apps", "name": "x" + hook}}}
		if hook != "" {
			o.SetAnnotations(map[string]string{"helm.sh/hook": hook})
		}
		r.Objects = append(r.Objects, o)
	}
	assert.Equal(t, []Object{{"Job", "apps", "x"}}, Workloads(r))
}

// A Job that is removed when it has ended (ttlSecondsAfterFinished) is known by how it ended.
func TestJobsThatAreRemovedWhenTheyHaveEnded(t *testing.T) {
	setup := []Object{{"Job", "apps", "setup"}}
	for name, c := range map[string]struct {
		condition batchv1.JobConditionType
		early     bool // it is removed before it is waited for
		says      string
	}{
		"complete":       {batchv1.JobComplete, false, ""},
		"complete early": {batchv1.JobComplete, true, ""},
		"failed":         {batchv1.JobFailed, false, "failed: Why"},
		"failed early":   {batchv1.JobFailed, true, "failed: Why"},
		"somebody's":     {"", false, "0 active, 0 succeeded, 0 failed pods; it is removed"},
	} {
		t.Run(name, func(t *testing.T) {
			job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: "setup", UID: "1"}}
			i := installer(t, &fakeHelm{}, job)
			jobs := i.Client().BatchV1().Jobs("apps")
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			ended := make(chan error, 1)
			if !c.early {
				go func() { ended <- i.Ready(ctx, setup) }()
				time.Sleep(20 * time.Millisecond)
			}
			if c.condition != "" {
				job = job.DeepCopy()
				job.Status.Conditions = []batchv1.JobCondition{{Type: c.condition, Status: corev1.ConditionTrue, Reason: "Why"}}
				_, err := jobs.UpdateStatus(ctx, job, metav1.UpdateOptions{})
				require.NoError(t, err)
			}
			require.NoError(t, jobs.Delete(ctx, "setup", metav1.DeleteOptions{}))
			if c.early {
				ended <- i.Ready(ctx, setup)
			}
			err := <-ended
			if c.says == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.says)
			}
			require.NoError(t, i.Gone(ctx, setup))
		})
	}
}

// The kubelet tries an image again; when it has, and waits for the third time, it is given up.
func TestAnImageThatCannotBePulled(t *testing.T) {
	for name, c := range map[string]struct {
		age, wait time.Duration
		dead      bool
	}{
		"at first":        {time.Second, 50 * time.Millisecond, false},
		"after two tries": {time.Minute, 50 * time.Millisecond, true},
		"as time goes by": {pulls - time.Second, time.Minute, true}, // nothing else happens
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := waiting("ImagePullBackOff", "Back-off pulling image", 0)
			p.Status.StartTime = &metav1.Time{Time: time.Now().Add(-c.age)}
			ctx, cancel := context.WithTimeout(t.Context(), c.wait)
			defer cancel()
			err := installer(t, &fakeHelm{}, deployment(1), replicaSet("2"), p).Ready(ctx, app1)
			assert.Equal(t, c.dead, errors.Is(err, ErrDead))
			assert.ErrorContains(t, err, "ImagePullBackOff: Back-off pulling image")
		})
	}
}

func TestReplaced(t *testing.T) {
	old := waiting("", "", 0)
	old.UID = "old"
	i := installer(t, &fakeHelm{}, old)
	short, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, errors.New("timed out after 20ms"))
	defer cancel()
	require.EqualError(t, i.Replaced(short, old), "Pod/apps/app1-v1-abc-1 was not replaced: timed out after 20ms; last seen: the old one is still there")

	ended := make(chan error)
	go func() { ended <- i.Replaced(t.Context(), old) }()
	require.NoError(t, i.Client().CoreV1().Pods("apps").Delete(t.Context(), old.Name, metav1.DeleteOptions{}))
	next := old.DeepCopy()
	next.UID, next.Status = "next", corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
	_, err := i.Client().CoreV1().Pods("apps").Create(t.Context(), next, metav1.CreateOptions{})
	require.NoError(t, err)
	require.NoError(t, <-ended)
}
