package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	"chartbasico/internal/proc"
	"chartbasico/pkg/cluster/local/internal/node"
)

// supervisor is a running cluster: it owns the processes, the node agent, the address and the state directory, and
// ends them together.
type supervisor struct {
	options     Options
	log         *slog.Logger
	started     time.Time
	state       *state
	claim       *claim
	addresses   addresses
	credentials credentials
	processes   *proc.Group
	agent       *node.Agent
	api         *http.Server

	// ctx lasts as long as the cluster; its cause is why it ended.
	ctx    context.Context //nolint:containedctx // the life of the cluster, which no call bounds
	cancel context.CancelCauseFunc
	tasks  sync.WaitGroup // what runs until ctx ends

	failing sync.Once
	failed  chan struct{} // closed when failure is set
	failure error

	stopping sync.Once
	stopped  chan struct{}
	stopErr  error
	closers  []io.Closer
}

var errStopped = errors.New("the cluster was stopped")

// fail records the first failure of something that the cluster needs.
func (s *supervisor) fail(err error) {
	if s.ctx.Err() != nil {
		return // it is being stopped: everything ends
	}
	s.failing.Do(func() {
		s.failure = err
		close(s.failed)
		s.log.Error("the cluster has failed", "error", err)
	})
}

// run starts a process that the cluster cannot do without.
func (s *supervisor) run(spec proc.Spec) error {
	p, err := s.processes.Start(spec)
	if err != nil {
		return err
	}
	s.log.Debug("started", "process", spec.Name, "pid", p.Pid())
	s.tasks.Go(func() {
		select {
		case <-p.Done():
			if err := p.Err(); err != nil {
				s.fail(err)
			}
		case <-s.ctx.Done():
		}
	})
	return nil
}

// stop ends everything and leaves nothing behind. Any number of calls wait for the same end.
func (s *supervisor) stop() error {
	s.stopping.Do(func() {
		s.cancel(errStopped)
		if s.api != nil {
			// Whoever waits for a failure is told that there was none.
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			_ = s.api.Shutdown(ctx)
			cancel()
			_ = s.api.Close()
		}
		s.processes.Stop()
		s.tasks.Wait()
		if s.claim != nil {
			s.claim.release()
		}
		var errs []error
		for _, c := range s.closers {
			errs = append(errs, c.Close())
		}
		if s.state != nil {
			errs = append(errs, s.state.remove())
		}
		if s.stopErr = errors.Join(errs...); s.stopErr != nil {
			s.stopErr = fmt.Errorf("remove what the cluster %s left: %w", s.options.Name, s.stopErr)
		}
		close(s.stopped)
	})
	<-s.stopped
	return s.stopErr
}

// withLog sends what Kubernetes' client libraries say to the log: by themselves they write to standard error.
func (s *supervisor) withLog(ctx context.Context) context.Context {
	return klog.NewContext(ctx, logr.FromSlogHandler(s.log.Handler()))
}

// stopRequested stops the cluster for somebody who does not wait here.
func (s *supervisor) stopRequested() {
	go func() {
		if err := s.stop(); err != nil && s.options.Log != nil {
			s.options.Log.Error("stop", "error", err)
		}
	}()
}

func (s *supervisor) kubeconfig() string { return s.state.path(kubeconfigFile) }

// newSupervisor claims what a cluster needs for itself. It is stopped with stop, also when an error is returned with
// it.
func newSupervisor(options Options) (*supervisor, error) {
	s := &supervisor{
		options: options, started: time.Now(),
		processes: proc.NewGroup(), failed: make(chan struct{}), stopped: make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	if err := s.prepare(); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *supervisor) prepare() error {
	var err error
	if err := removeStale(s.options.Dir); err != nil {
		return err
	}
	if s.state, err = claimState(s.options.Dir, s.options.Name); err != nil {
		return err
	}
	for _, dir := range []string{"logs", "tmp", "charts", "node"} {
		if err := os.Mkdir(s.state.path(dir), 0o700); err != nil {
			return err
		}
	}
	if s.log = s.options.Log; s.log == nil {
		file, err := os.OpenFile(s.state.path("logs", "supervisor.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		s.closers = append(s.closers, file)
		s.log = slog.New(slog.NewTextHandler(file, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if s.claim, err = claimAddress(); err != nil {
		return err
	}
	if s.addresses, err = newAddresses(s.claim); err != nil {
		return err
	}
	s.credentials, err = writeCredentials(s.state.path("credentials"), s.kubeconfig(), s.options.Name, s.addresses.api, kubernetesService)
	return err
}
