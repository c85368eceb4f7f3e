// Package lease lets one at a time move the route of an app, whatever command that is.
package lease

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
)

// How long a command that died keeps others out.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
)

// longestRetry is the most that the elector may take between two tries, as it spreads them.
const longestRetry = time.Duration((1 + leaderelection.JitterFactor) * float64(retryPeriod))

// Lease is the sole right to move the route of one app, as a Lease on the cluster.
type Lease struct {
	// Context ends when it is lost.
	Context context.Context //nolint:containedctx // it is what the lease gives
	// Orphan says that who had it before did not give it back.
	Orphan bool

	cancel context.CancelCauseFunc
	ended  chan struct{}
}

// watched is a lock that remembers whose place it took. Only one goroutine uses it.
type watched struct {
	*resourcelock.LeaseLock

	holder string // whom a write replaces: "" for nobody
	tried  bool   // a write was sent, so that the holder may be ourselves even if no answer came
	ours   bool
}

// Get reads who holds it, until it is ours.
func (w *watched) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := w.LeaseLock.Get(ctx)
	switch {
	case w.ours:
	case apierrors.IsNotFound(err):
		w.holder = ""
	case err == nil && (!w.tried || record.HolderIdentity != w.Identity()):
		w.holder = record.HolderIdentity
	}
	return record, raw, err
}

// Create takes it where nobody ever had it.
func (w *watched) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return w.wrote(w.LeaseLock.Create(ctx, record))
}

// Update takes it or keeps it. The API refuses a write if it has changed since it was read.
func (w *watched) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return w.wrote(w.LeaseLock.Update(ctx, record))
}

func (w *watched) wrote(err error) error {
	w.tried, w.ours = true, w.ours || err == nil
	return err
}

// ErrBusy is wrapped by the error that says that somebody else moves the route of the app.
var ErrBusy = errors.New("somebody else is moving its route")

// User is the user's name and the host's.
func User() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		return name
	}
	return name + "@" + host
}

// prefix is what the names of leases begin with, before the app's.
const prefix = "basico-promote-"

// Alone calls f while it has the lease of an app. orphan says that who had it before did not give it back. The context ends, with
// ErrBusy as its cause, when the lease is lost.
func Alone(ctx context.Context, client kubernetes.Interface, namespace, app, who string, say func(string, ...any), f func(ctx context.Context, orphan bool) error) error {
	l, err := Acquire(ctx, client, namespace, app, who, say)
	if err != nil {
		return err
	}
	defer l.Release()
	err = f(l.Context, l.Orphan)
	if cause := context.Cause(l.Context); cause != nil && ctx.Err() == nil {
		return cause
	}
	return err
}

// Free waits until nobody has the lease of any of these apps, for as long as one that died would keep it.
func Free(ctx context.Context, client kubernetes.Interface, namespace string, apps []string, who string, say func(string, ...any)) error {
	leases, err := client.CoordinationV1().Leases(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list the leases in namespace %s: %w", namespace, err)
	}
	for _, l := range leases.Items {
		app, ours := strings.CutPrefix(l.Name, prefix)
		if !ours || ptr.Deref(l.Spec.HolderIdentity, "") == "" || !slices.Contains(apps, app) {
			continue
		}
		taken, err := Acquire(ctx, client, namespace, app, who, say)
		if err != nil {
			return err
		}
		taken.Release()
	}
	return nil
}

// Acquire takes the lease of an app, in the namespace of the release that has its routing, until Release. Where somebody else
// has it, it waits for as long as one that died would keep it. say is told of that.
func Acquire(ctx context.Context, client kubernetes.Interface, namespace, app, who string, say func(string, ...any)) (*Lease, error) {
	name := prefix + app
	before, err := client.CoordinationV1().Leases(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("Lease/%s/%s: %w", namespace, name, err)
	}
	holder := ""
	if err == nil {
		holder = ptr.Deref(before.Spec.HolderIdentity, "")
	}
	if holder != "" {
		say("%s has the lease %s/%s; if they are gone it ends after %v", holder, namespace, name, leaseDuration)
	}
	running, cancel := context.WithCancelCause(ctx)
	l := &Lease{cancel: cancel, ended: make(chan struct{})}
	started := make(chan bool, 1)
	lock := &watched{LeaseLock: &resourcelock.LeaseLock{
		LeaseMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Client: client.CoordinationV1(),
		LockConfig: resourcelock.ResourceLockConfig{Identity: fmt.Sprintf("%s/%d", who, os.Getpid())},
	}}
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:          lock,
		LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod, ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			// Whoever held it when the wait began may have given it back since: only whom we replace was killed.
			OnStartedLeading: func(context.Context) { started <- lock.holder != "" },
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		cancel(nil)
		return nil, err
	}
	// The lease outlives ctx, so that it is given back only when what was begun is finished.
	electing, stop := context.WithCancel(klog.NewContext(context.WithoutCancel(ctx), logr.Discard()))
	var once sync.Once
	l.cancel = func(cause error) { once.Do(func() { stop(); cancel(cause) }) }
	go func() {
		defer close(l.ended)
		elector.Run(electing)
		cancel(fmt.Errorf("the lease %s/%s was lost: %w", namespace, name, ErrBusy))
	}()
	tooLong := time.NewTimer(leaseDuration + 2*longestRetry)
	defer tooLong.Stop()
	select {
	case l.Orphan = <-started:
		l.Context = running
		return l, nil
	case <-tooLong.C:
		err = fmt.Errorf("%s: %w: %s has the lease %s/%s; wait until that has ended", app, ErrBusy, elector.GetLeader(), namespace, name)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	l.cancel(err)
	<-l.ended
	return nil, err
}

// Release gives the lease back.
func (l *Lease) Release() {
	l.cancel(nil)
	<-l.ended
}
