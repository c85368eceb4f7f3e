package promote

import (
	"context"
	"errors"
	"fmt"
	"os"
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

// How long a promotion that died keeps others out.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
)

// longestRetry is the most that the elector may take between two tries, as it spreads them.
const longestRetry = time.Duration((1 + leaderelection.JitterFactor) * float64(retryPeriod))

// lease is the sole right to promote one app, as a Lease on the cluster. Its context ends when it is lost.
type lease struct {
	ctx    context.Context //nolint:containedctx // it is what the lease gives
	orphan bool            // who had it before did not give it back
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

// ErrBusy is wrapped by the error that says that somebody else promotes the app.
var ErrBusy = errors.New("somebody else is promoting it")

func acquire(ctx context.Context, client kubernetes.Interface, namespace, name, who string, say func(string, ...any)) (*lease, error) {
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
	l := &lease{cancel: cancel, ended: make(chan struct{})}
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
	case l.orphan = <-started:
		l.ctx = running
		return l, nil
	case <-tooLong.C:
		err = fmt.Errorf("%w: %s has the lease %s/%s", ErrBusy, elector.GetLeader(), namespace, name)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	l.cancel(err)
	<-l.ended
	return nil, err
}

// release gives the lease back.
func (l *lease) release() error {
	l.cancel(nil)
	<-l.ended
	return nil
}
