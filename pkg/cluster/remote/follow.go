package remote

import (
	"context"
	"fmt"
	"maps"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"chartbasico/pkg/cluster/internal/await"
)

// followed are the pods of an app, those that came and went since they are followed too.
type followed struct {
	client   kubernetes.Interface
	selector string

	mu       sync.Mutex
	versions map[string]string // by the pod's name
}

// follow follows the pods of an app until stop, also where ctx ends before: who answered is asked after that.
func (c *Cluster) follow(ctx context.Context, app string) (f *followed, stop func(), err error) {
	f = &followed{client: c.client, selector: "app=" + app, versions: map[string]string{}}
	if err := f.list(ctx); err != nil {
		return nil, nil, err
	}
	watching, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() {
		source := cache.ToListWatcherWithWatchListSemantics(await.Labelled(f.client.CoreV1().Pods(""), f.selector), f.client)
		// It ends with stop alone, and connects again by itself.
		_, _ = watchtools.UntilWithSync(watching, source, &corev1.Pod{}, nil, func(event watch.Event) (bool, error) {
			if pod, ok := event.Object.(*corev1.Pod); ok {
				f.note(pod)
			}
			return false, nil
		})
	})
	return f, func() { cancel(); wg.Wait() }, nil
}

func (f *followed) note(p *corev1.Pod) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.versions[p.Name] = p.Labels["version"]
}

// list notes the pods that are there: one that is not ready yet may be before the last answer, and one that ends may give some.
func (f *followed) list(ctx context.Context) error {
	pods, err := f.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{LabelSelector: f.selector})
	if err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	for i := range pods.Items {
		f.note(&pods.Items[i])
	}
	return nil
}

// seen are the pods so far: the version of each by its name.
func (f *followed) seen() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.versions)
}

// after are all that were there, once the last answer has come. Those that are there still are listed again, as a watch may be
// behind. Where that cannot be done, answers of pods that were not seen stay errors.
func (f *followed) after(ctx context.Context) map[string]string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	_ = f.list(ctx)
	return f.seen()
}
