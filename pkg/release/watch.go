package release

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// Object names a workload object on the cluster: one of the kinds that are not ready as soon as they exist.
type Object struct{ Kind, Namespace, Name string }

func (o Object) String() string { return o.Kind + "/" + o.Namespace + "/" + o.Name }

// ErrDead is in the error of a wait that was given up early, because what it waits for cannot come right by itself.
var ErrDead = errors.New("cannot come right")

// Watch follows workloads and pods of a whole cluster. It is told of changes and asks the cluster for nothing in between.
type Watch struct {
	client  kubernetes.Interface
	factory informers.SharedInformerFactory

	mu      sync.Mutex
	changed chan struct{}           // closed at the next change
	gone    map[Object]*batchv1.Job // as they were when they were removed
}

// NewWatch starts to follow the cluster, until ctx ends.
func NewWatch(ctx context.Context, client kubernetes.Interface) (*Watch, error) {
	w := &Watch{client: client, factory: informers.NewSharedInformerFactory(client, 0), changed: make(chan struct{}), gone: map[Object]*batchv1.Job{}}
	notify := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { w.notify() },
		UpdateFunc: func(any, any) { w.notify() },
		DeleteFunc: func(any) { w.notify() },
	}
	for _, i := range []cache.SharedIndexInformer{
		w.factory.Apps().V1().Deployments().Informer(),
		w.factory.Apps().V1().ReplicaSets().Informer(),
		w.factory.Apps().V1().StatefulSets().Informer(),
		w.factory.Apps().V1().DaemonSets().Informer(),
		w.factory.Core().V1().Pods().Informer(),
	} {
		if _, err := i.AddEventHandler(notify); err != nil {
			return nil, err
		}
	}
	if _, err := w.factory.Batch().V1().Jobs().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { w.job(o, false) },
		UpdateFunc: func(any, any) { w.notify() },
		DeleteFunc: func(o any) { w.job(o, true) },
	}); err != nil {
		return nil, err
	}
	w.factory.Start(ctx.Done())
	for kind, synced := range w.factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return nil, fmt.Errorf("watching %v: %w", kind, context.Cause(ctx))
		}
	}
	return w, nil
}

// job notes how a Job was when it was removed, as one with ttlSecondsAfterFinished is when it has ended.
func (w *Watch) job(o any, removed bool) {
	if unknown, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = unknown.Obj
	}
	if j, ok := o.(*batchv1.Job); ok {
		w.mu.Lock()
		if of := (Object{"Job", j.Namespace, j.Name}); removed {
			w.gone[of] = j
		} else {
			delete(w.gone, of)
		}
		w.mu.Unlock()
	}
	w.notify()
}

// removed is a Job as it was when it was removed; nil if it is there, or was never seen.
func (w *Watch) removed(o Object) *batchv1.Job {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gone[o]
}

func (w *Watch) notify() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *Watch) next() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// ages is how often a wait looks again where nothing has changed but how old pods are.
const ages = 5 * time.Second

// until calls done now and after each change, until it says so or ctx ends.
func (w *Watch) until(ctx context.Context, done func() bool) error {
	for {
		changed := w.next() // before looking, so that no change falls between
		if done() {
			return nil
		}
		select {
		case <-changed:
		case <-time.After(ages):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Pods returns the pods that match, those being deleted left out, sorted by name.
func (w *Watch) Pods(namespace string, match labels.Selector) []*corev1.Pod {
	pods, err := w.factory.Core().V1().Pods().Lister().Pods(namespace).List(match)
	if err != nil {
		return nil // a lister reads memory: it has no error to give
	}
	pods = slices.DeleteFunc(pods, func(p *corev1.Pod) bool { return p.DeletionTimestamp != nil })
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name) })
	return pods
}

// Ready waits until every object is as its newest specification wants it: workloads with all replicas updated and
// available, Jobs complete, be they removed since. It gives up early, with ErrDead, when one cannot come right by itself. The error of a
// wait that ended says what was last seen of each object, its pods and their events.
func (w *Watch) Ready(ctx context.Context, objects []Object) error {
	wanted := map[Object]metav1.Object{}
	for _, o := range objects {
		live, err := w.live(ctx, o)
		if o.Kind == "Job" && apierrors.IsNotFound(err) { // it may have ended and been removed
			live, err = nil, nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", o, err)
		}
		wanted[o] = live
	}
	var dead []Object
	waiting := slices.Clone(objects)
	err := w.until(ctx, func() bool {
		dead = nil
		waiting = slices.DeleteFunc(waiting, func(o Object) bool {
			s := w.state(o, wanted[o])
			if s.dead {
				dead = append(dead, o)
			}
			return s.ready
		})
		return len(waiting) == 0 || len(dead) > 0
	})
	switch {
	case len(dead) > 0:
		return fmt.Errorf("%w: %s", ErrDead, w.lastSeen(ctx, dead, wanted))
	case err != nil:
		return fmt.Errorf("not ready: %w; last seen: %s", err, w.lastSeen(ctx, waiting, wanted))
	}
	return nil
}

// Replaced waits until another pod is there by the name of an old one, and ready.
func (w *Watch) Replaced(ctx context.Context, old *corev1.Pod) error {
	seen := "it does not exist"
	err := w.until(ctx, func() bool {
		p, err := w.factory.Core().V1().Pods().Lister().Pods(old.Namespace).Get(old.Name)
		switch {
		case err != nil:
			seen = "it does not exist"
			return false
		case p.UID == old.UID:
			seen = "the old one is still there"
			return false
		}
		s := podState(p)
		seen = s.seen
		return s.ready
	})
	if err != nil {
		return fmt.Errorf("Pod/%s/%s was not replaced: %w; last seen: %s", old.Namespace, old.Name, err, seen)
	}
	return nil
}

// Gone waits until the objects and their pods exist no more.
func (w *Watch) Gone(ctx context.Context, objects []Object) error {
	waiting := slices.Clone(objects)
	err := w.until(ctx, func() bool {
		waiting = slices.DeleteFunc(waiting, func(o Object) bool {
			_, _, found := w.cached(o)
			return !found && len(w.owned(o)) == 0
		})
		return len(waiting) == 0
	})
	if err != nil {
		return fmt.Errorf("still there: %w: %v", err, waiting)
	}
	return nil
}

// live reads an object from the API server. Memory may be behind what was just applied; the generation says so.
func (w *Watch) live(ctx context.Context, o Object) (metav1.Object, error) {
	get := metav1.GetOptions{}
	switch o.Kind {
	case "Deployment":
		return w.client.AppsV1().Deployments(o.Namespace).Get(ctx, o.Name, get)
	case "StatefulSet":
		return w.client.AppsV1().StatefulSets(o.Namespace).Get(ctx, o.Name, get)
	case "DaemonSet":
		return w.client.AppsV1().DaemonSets(o.Namespace).Get(ctx, o.Name, get)
	case "Job":
		return w.client.BatchV1().Jobs(o.Namespace).Get(ctx, o.Name, get)
	}
	return nil, fmt.Errorf("%s is not a kind that gets ready", o.Kind)
}

// cached is what memory has of an object.
func (w *Watch) cached(o Object) (metav1.Object, state, bool) {
	switch o.Kind {
	case "Deployment":
		if d, err := w.factory.Apps().V1().Deployments().Lister().Deployments(o.Namespace).Get(o.Name); err == nil {
			return d, deploymentState(d), true
		}
	case "StatefulSet":
		if s, err := w.factory.Apps().V1().StatefulSets().Lister().StatefulSets(o.Namespace).Get(o.Name); err == nil {
			return s, statefulSetState(s), true
		}
	case "DaemonSet":
		if d, err := w.factory.Apps().V1().DaemonSets().Lister().DaemonSets(o.Namespace).Get(o.Name); err == nil {
			return d, daemonSetState(d), true
		}
	case "Job":
		if j, err := w.factory.Batch().V1().Jobs().Lister().Jobs(o.Namespace).Get(o.Name); err == nil {
			return j, jobState(j), true
		}
	}
	return nil, state{seen: "it does not exist"}, false
}

func (w *Watch) state(o Object, want metav1.Object) state {
	seen, s, found := w.cached(o)
	if j := w.removed(o); !found && j != nil && (want == nil || j.UID == want.GetUID()) {
		s = jobState(j)
		s.seen += "; it is removed"
		return s
	}
	if want == nil {
		return s
	}
	if !found || seen.GetUID() != want.GetUID() || seen.GetGeneration() < want.GetGeneration() {
		return state{seen: join("; ", "its newest specification has not been seen", s.seen)}
	}
	if s.ready {
		return s
	}
	for _, p := range w.owned(o) {
		if podState(p).dead && w.newest(seen, p) {
			s.dead = true
		}
	}
	return s
}

// revision is the Deployment controller's number for a pod template, on the Deployment and on its ReplicaSet.
const revision = "deployment.kubernetes.io/revision"

// newest says whether a pod is of its workload's newest specification. That earlier pods of a Deployment cannot come
// right is what a new specification is for; those of other kinds may be in its way.
func (w *Watch) newest(workload metav1.Object, p *corev1.Pod) bool {
	d, ok := workload.(*appsv1.Deployment)
	if !ok {
		return true
	}
	made, err := w.factory.Apps().V1().ReplicaSets().Lister().ReplicaSets(p.Namespace).Get(metav1.GetControllerOf(p).Name)
	return err == nil && d.Status.ObservedGeneration >= d.Generation && made.Annotations[revision] == d.Annotations[revision]
}

// owned returns the pods that a workload or its ReplicaSets made.
func (w *Watch) owned(o Object) []*corev1.Pod {
	pods, err := w.factory.Core().V1().Pods().Lister().Pods(o.Namespace).List(labels.Everything())
	if err != nil {
		return nil // a lister reads memory: it has no error to give
	}
	pods = slices.DeleteFunc(pods, func(p *corev1.Pod) bool {
		owner := metav1.GetControllerOf(p)
		if owner == nil {
			return true
		}
		if o.Kind == "Deployment" { // a ReplicaSet is named for its Deployment and the template's hash
			hash, ok := p.Labels["pod-template-hash"]
			return !ok || owner.Kind != "ReplicaSet" || owner.Name != o.Name+"-"+hash
		}
		return owner.Kind != o.Kind || owner.Name != o.Name
	})
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	return pods
}

// lastSeen describes objects that are not ready, a line for each thing.
func (w *Watch) lastSeen(ctx context.Context, objects []Object, wanted map[Object]metav1.Object) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	var lines []string
	for _, o := range objects {
		lines = append(lines, fmt.Sprintf("%s: %s", o, w.state(o, wanted[o]).seen))
		lines = append(lines, w.events(ctx, o)...)
		for _, p := range w.owned(o) {
			if s := podState(p); !s.ready {
				pod := Object{"Pod", p.Namespace, p.Name}
				lines = append(lines, fmt.Sprintf("  %s: %s", pod, s.seen))
				lines = append(lines, w.events(ctx, pod)...)
			}
		}
	}
	return strings.Join(lines, "\n")
}

// events returns the warnings about an object, each once, in order of time.
func (w *Watch) events(ctx context.Context, o Object) []string {
	list, err := w.client.CoreV1().Events(o.Namespace).List(ctx, metav1.ListOptions{FieldSelector: fields.Set{
		"involvedObject.kind": o.Kind, "involvedObject.name": o.Name, "type": corev1.EventTypeWarning,
	}.String()})
	if err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return []string{fmt.Sprintf("  events of %s cannot be read: %v", o, err)}
	}
	slices.SortStableFunc(list.Items, func(a, b corev1.Event) int { return a.LastTimestamp.Compare(b.LastTimestamp.Time) })
	said := map[string]int{}
	for i, e := range list.Items {
		line := fmt.Sprintf("  event: %s: %s", e.Reason, strings.TrimSpace(e.Message))
		if _, ok := said[line]; !ok {
			said[line] = i
		}
	}
	return slices.SortedFunc(maps.Keys(said), func(a, b string) int { return said[a] - said[b] })
}
