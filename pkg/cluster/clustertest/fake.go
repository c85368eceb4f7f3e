// Package clustertest has a cluster for tests that need no processes: each method is a function that the test sets.
package clustertest

import (
	"context"
	"errors"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/traffic"
)

// Fake is a cluster whose answers a test gives. What is not set fails with ErrNotSet, or is empty.
type Fake struct {
	KubeconfigPath string
	RealApps       bool
	OnSend         func(ctx context.Context, from cluster.Place, load traffic.Load) (traffic.Tally, error)
	OnProxies      func() ([]cluster.Proxy, error)
	OnProxyConfig  func(p cluster.Proxy) (*adminv3.ConfigDump, error)
	FailedChan     chan error
}

var _ cluster.Cluster = (*Fake)(nil)

// ErrNotSet says that the test did not say what to answer.
var ErrNotSet = errors.New("the fake cluster was not told what to answer")

// Kind implements cluster.Cluster.
func (f *Fake) Kind() string { return "fake" }

// Name implements cluster.Cluster.
func (f *Fake) Name() string { return "fake" }

// StandIns implements cluster.Cluster.
func (f *Fake) StandIns() bool { return !f.RealApps }

// Kubeconfig implements cluster.Cluster.
func (f *Fake) Kubeconfig() string { return f.KubeconfigPath }

// Send implements cluster.Cluster.
func (f *Fake) Send(ctx context.Context, from cluster.Place, load traffic.Load) (traffic.Tally, error) {
	if f.OnSend == nil {
		return traffic.Tally{}, ErrNotSet
	}
	return f.OnSend(ctx, from, load)
}

// Proxies implements cluster.Cluster.
func (f *Fake) Proxies(context.Context) ([]cluster.Proxy, error) {
	if f.OnProxies == nil {
		return nil, ErrNotSet
	}
	return f.OnProxies()
}

// ProxyConfig implements cluster.Cluster.
func (f *Fake) ProxyConfig(_ context.Context, p cluster.Proxy, _ string) (*adminv3.ConfigDump, error) {
	if f.OnProxyConfig == nil {
		return nil, ErrNotSet
	}
	return f.OnProxyConfig(p)
}

// Failed implements cluster.Cluster.
func (f *Fake) Failed() <-chan error { return f.FailedChan }
