package lease

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/ptr"
)

func TestLease(t *testing.T) {
	client := fake.NewClientset()
	say := func(string, ...any) {}
	first, err := Acquire(t.Context(), client, "apps", "cart", "ana@host", say)
	require.NoError(t, err)
	assert.False(t, first.Orphan)
	held, err := client.CoordinationV1().Leases("apps").Get(t.Context(), "basico-promote-cart", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Contains(t, *held.Spec.HolderIdentity, "ana@host")
	first.Release()
	require.Error(t, first.Context.Err())

	second, err := Acquire(t.Context(), client, "apps", "cart", "eva@host", say)
	require.NoError(t, err)
	assert.False(t, second.Orphan, "the first gave it back")
	second.Release()
}

// A lease that nobody renews is somebody's who died, and it is seen that it was not given back.
func TestLeaseOfTheDead(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset(heldBy(ptr.To("ana@host/1")))
	said := ""
	l, err := Acquire(t.Context(), client, "apps", "cart", "eva@host", func(format string, _ ...any) { said = format })
	require.NoError(t, err)
	assert.True(t, l.Orphan)
	assert.NotEmpty(t, said)
	l.Release()
}

// Who gives it back while another waits was not killed, and an upgrade that goes on then is somebody else's.
func TestLeaseThatIsGivenBackMeanwhile(t *testing.T) {
	client := fake.NewClientset()
	_, err := client.CoordinationV1().Leases("apps").Create(t.Context(), heldBy(ptr.To("ana@host/1")), metav1.CreateOptions{})
	require.NoError(t, err)
	waits := false
	l, err := Acquire(t.Context(), client, "apps", "cart", "eva@host", func(string, ...any) {
		waits = true
		_, err := client.CoordinationV1().Leases("apps").Update(t.Context(), heldBy(nil), metav1.UpdateOptions{})
		assert.NoError(t, err)
	})
	require.NoError(t, err)
	assert.True(t, waits)
	assert.False(t, l.Orphan)
	l.Release()
}

// A write that was done, but of which no answer came, does not make us the one whom we replace.
func TestWhomALeaseReplaces(t *testing.T) {
	for _, before := range []string{"", "ana@host/1", "eva@host/7"} {
		client := fake.NewClientset(heldBy(ptr.To(before)))
		lock := &watched{LeaseLock: &resourcelock.LeaseLock{
			LeaseMeta: metav1.ObjectMeta{Namespace: "apps", Name: "basico-promote-cart"}, Client: client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: "eva@host/7"},
		}}
		answered := false
		client.PrependReactor("update", "leases", func(action clienttesting.Action) (bool, runtime.Object, error) {
			if answered {
				return false, nil, nil
			}
			answered = true
			update := action.(clienttesting.UpdateAction)
			return true, nil, errors.Join(client.Tracker().Update(update.GetResource(), update.GetObject(), "apps"), errors.New("no answer"))
		})
		for i := range 3 {
			_, _, err := lock.Get(t.Context())
			require.NoError(t, err)
			err = lock.Update(t.Context(), resourcelock.LeaderElectionRecord{HolderIdentity: "eva@host/7"})
			assert.Equal(t, i == 0, err != nil)
			assert.Equal(t, before, lock.holder)
		}
	}
}

func heldBy(holder *string) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: "basico-promote-cart"},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: holder, LeaseDurationSeconds: ptr.To[int32](1),
			AcquireTime: &metav1.MicroTime{}, RenewTime: &metav1.MicroTime{}, LeaseTransitions: ptr.To[int32](0)},
	}
}

// Whoever comes while another moves the route is told who that is.
func TestALeaseThatIsHeldIsNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset()
		say := func(string, ...any) {}
		inTheMiddle, done, ended := make(chan struct{}), make(chan struct{}), make(chan error)
		go func() {
			ended <- Alone(t.Context(), client, "apps", "cart", "basico promote by ana@host", say, func(ctx context.Context, _ bool) error {
				close(inTheMiddle)
				<-done
				return ctx.Err()
			})
		}()
		<-inTheMiddle
		for name, come := range map[string]func() error{
			"to move it": func() error {
				return Alone(t.Context(), client, "apps", "cart", "basico verify by eva@host", say, func(context.Context, bool) error {
					t.Error("both move it")
					return nil
				})
			},
			"to install": func() error {
				return Free(t.Context(), client, "apps", []string{"front", "cart"}, "basico verify by eva@host", say)
			},
		} {
			err := come()
			require.ErrorIs(t, err, ErrBusy, name)
			require.ErrorContains(t, err, "cart: somebody else is moving its route: basico promote by ana@host/", name)
			require.ErrorContains(t, err, "has the lease apps/basico-promote-cart", name)
		}
		require.NoError(t, Free(t.Context(), client, "apps", []string{"front"}, "eva", say), "another app")
		require.NoError(t, Free(t.Context(), client, "others", []string{"cart"}, "eva", say), "one of that name elsewhere")
		close(done)
		require.NoError(t, <-ended)
		require.NoError(t, Free(t.Context(), client, "apps", []string{"cart"}, "eva", say))
	})
}

// Who lost it is told so, by whatever it does ending.
func TestALeaseThatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset()
		var refuses atomic.Bool
		client.PrependReactor("update", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
			return refuses.Load(), nil, errors.New("no")
		})
		err := Alone(t.Context(), client, "apps", "cart", "eva@host", func(string, ...any) {}, func(ctx context.Context, _ bool) error {
			_, err := client.CoordinationV1().Leases("apps").Update(ctx, heldBy(ptr.To("ana@host/1")), metav1.UpdateOptions{})
			assert.NoError(t, err)
			refuses.Store(true)
			<-ctx.Done()
			return nil
		})
		require.ErrorIs(t, err, ErrBusy)
		require.ErrorContains(t, err, "the lease apps/basico-promote-cart was lost")
	})
}
