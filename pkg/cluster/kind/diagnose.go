package kind

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"chartbasico/pkg/cluster/remote"
)

// diagnoseTimeout bounds the collection, which must not make a failure hang.
const diagnoseTimeout = 30 * time.Second

// failureName names what is written of a failure after the time of it.
func failureName() string { return time.Now().Format("20060102-150405") }

// diagnosed adds to an error why pods are not ready, and where more is written.
func (c *creation) diagnosed(err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), diagnoseTimeout)
	defer cancel()
	dir := c.dir.failures(failureName())
	reasons, collectErr := c.diagnose(ctx, dir)
	if len(reasons) > 0 {
		err = fmt.Errorf("%w\n%s", err, strings.Join(reasons, "\n"))
	}
	err = fmt.Errorf("%w\nevents, pods, logs and what istiod says are in %s", err, dir)
	if !c.Temporary {
		err = fmt.Errorf("%w; the cluster is kept: create completes it, delete removes it", err)
	}
	return errors.Join(err, collectErr)
}

// diagnose writes events, pods, the logs of pods that are not ready, and of istiod, and what istiod says into dir. It
// returns in a line each what keeps a pod from being ready.
func (c *creation) diagnose(ctx context.Context, dir string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	write := func(name string, v any) error {
		data, err := yaml.Marshal(v)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), data, 0o600)
	}
	events, err := c.client.CoreV1().Events("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	pods, err := c.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	errs := []error{write("events.yaml", events.Items), write("pods.yaml", pods.Items)}
	var reasons []string
	for _, p := range pods.Items {
		why := notReady(&p)
		for _, w := range why {
			reasons = append(reasons, "Pod/"+p.Namespace+"/"+p.Name+": "+w)
		}
		if len(why) == 0 && p.Labels["app"] != "istiod" {
			continue
		}
		for _, container := range append(slices.Clone(p.Spec.InitContainers), p.Spec.Containers...) {
			log, err := c.client.CoreV1().Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{Container: container.Name, TailLines: ptr.To[int64](1000)}).DoRaw(ctx)
			if err != nil {
				continue // it has not started
			}
			errs = append(errs, os.WriteFile(filepath.Join(dir, p.Namespace+"_"+p.Name+"_"+container.Name+".log"), log, 0o600))
		}
	}
	return reasons, errors.Join(append(errs, c.askIstiod(ctx, dir))...)
}

// askIstiod writes what each istiod says of every proxy, of its services and of its configuration; where none can say, why.
func (c *creation) askIstiod(ctx context.Context, dir string) error {
	why := func(err error) error {
		return os.WriteFile(filepath.Join(dir, "istiod.txt"), []byte("istiod was not asked: "+err.Error()+"\n"), 0o600)
	}
	r, err := remote.Open(ctx, remote.Options{Kubeconfig: c.dir.kubeconfig(), Kind: kindName, Name: c.Name})
	if err != nil {
		return why(err)
	}
	defer r.Close()
	for _, view := range []string{"syncz", "registryz", "configz"} {
		said, err := r.Istiods(ctx, "/debug/"+view)
		if err != nil {
			return why(err)
		}
		for pod, answer := range said {
			if err := os.WriteFile(filepath.Join(dir, pod+"_"+view+".json"), answer, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// notReady says what a pod's containers wait for.
func notReady(p *corev1.Pod) []string {
	if p.Status.Phase == corev1.PodSucceeded {
		return nil
	}
	var why []string
	for _, condition := range p.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status != corev1.ConditionTrue {
			why = append(why, condition.Message)
		}
	}
	for _, s := range append(slices.Clone(p.Status.InitContainerStatuses), p.Status.ContainerStatuses...) {
		switch {
		case s.State.Waiting != nil && s.State.Waiting.Reason != "PodInitializing":
			why = append(why, strings.TrimSpace(s.Name+": "+s.State.Waiting.Reason+" "+s.State.Waiting.Message))
		case s.State.Terminated != nil && s.State.Terminated.ExitCode != 0:
			why = append(why, fmt.Sprintf("%s ended with exit code %d", s.Name, s.State.Terminated.ExitCode))
		case s.State.Running != nil && !s.Ready:
			why = append(why, s.Name+" runs and is not ready")
		}
	}
	return why
}
