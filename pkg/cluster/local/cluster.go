package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/internal/await"
	"chartbasico/pkg/cluster/internal/configdump"
	"chartbasico/pkg/traffic"
)

const kind = "local"

// Cluster is a running local cluster, of this process (Start) or another's (Open).
type Cluster struct {
	name       string
	dir        string
	client     *http.Client
	supervisor *supervisor // nil for another process' cluster

	watching sync.Once
	failed   chan error
	ended    context.Context //nolint:containedctx // ends with Stop, and with it the watch for failures
	end      context.CancelFunc
}

var _ cluster.Cluster = (*Cluster)(nil)

func newCluster(name, dir string, s *supervisor) *Cluster {
	socket := filepath.Join(dir, socketFile)
	c := &Cluster{name: name, dir: dir, supervisor: s, failed: make(chan error, 1)}
	c.ended, c.end = context.WithCancel(context.Background())
	c.client = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
		MaxIdleConnsPerHost: 64,
	}}
	return c
}

// Open returns the running cluster of that name (default DefaultName) in the user's own directory. The error is
// ErrNotRunning if there is none.
func Open(ctx context.Context, name string) (*Cluster, error) {
	options, err := Options{Name: name}.withDefaults()
	if err != nil {
		return nil, err
	}
	return open(ctx, options)
}

func open(ctx context.Context, o Options) (*Cluster, error) {
	dir := filepath.Join(o.Dir, o.Name)
	if !held(dir) {
		return nil, fmt.Errorf("cluster %s: %w", o.Name, ErrNotRunning)
	}
	c := newCluster(o.Name, dir, nil)
	if _, err := c.Status(ctx); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("cluster %s is being started or stopped by another process: %w", o.Name, ErrNotRunning)
		}
		return nil, err
	}
	return c, nil
}

// List returns the status of every running cluster in the user's own directory, in order of name. One that does not
// answer has that as its Failure.
func List(ctx context.Context) ([]Status, error) {
	options, err := Options{}.withDefaults()
	if err != nil {
		return nil, err
	}
	return list(ctx, options.Dir)
}

func list(ctx context.Context, dir string) ([]Status, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Status
	for _, e := range entries {
		if !e.IsDir() || !validName.MatchString(e.Name()) {
			continue
		}
		c, err := open(ctx, Options{Dir: dir, Name: e.Name()})
		if errors.Is(err, ErrNotRunning) {
			continue
		}
		status := Status{Name: e.Name(), Kind: kind}
		if err == nil {
			status, err = c.Status(ctx)
		}
		if err != nil {
			status.Failure = err.Error()
		}
		all = append(all, status)
	}
	return all, nil
}

// Delete stops the cluster of that name (default DefaultName) and removes what it left. A cluster that is not there
// is no mistake: found says whether there was one.
func Delete(ctx context.Context, name string) (found bool, err error) {
	options, err := Options{Name: name}.withDefaults()
	if err != nil {
		return false, err
	}
	return remove(ctx, options)
}

func remove(ctx context.Context, o Options) (bool, error) {
	dir := filepath.Join(o.Dir, o.Name)
	c, err := open(ctx, o)
	switch {
	case err == nil:
		return true, c.Stop(ctx)
	case errors.Is(err, ErrNotRunning) && !held(dir):
		_, statErr := os.Stat(dir)
		return statErr == nil, removeIfStale(dir)
	default:
		return true, err
	}
}

// Kind implements cluster.Cluster.
func (c *Cluster) Kind() string { return kind }

// Name implements cluster.Cluster.
func (c *Cluster) Name() string { return c.name }

// StandIns implements cluster.Cluster.
func (c *Cluster) StandIns() bool { return true }

// Kubeconfig implements cluster.Cluster.
func (c *Cluster) Kubeconfig() string { return filepath.Join(c.dir, kubeconfigFile) }

// statusTimeout bounds what takes milliseconds. A process that is stopped never answers, though the kernel still takes
// connections for it.
var statusTimeout = 10 * time.Second

// Status returns the state of the cluster. A cluster that does not answer within 10 s is an error.
func (c *Cluster) Status(ctx context.Context) (Status, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, statusTimeout, fmt.Errorf(
		"the process that holds it has not answered within %s: continue it if it is stopped, or end it, which ends the cluster", statusTimeout))
	defer cancel()
	var status Status
	err := c.call(ctx, http.MethodGet, apiStatus, nil, nil, &status)
	return status, err
}

// Send implements cluster.Cluster. The error wraps cluster.ErrNoPlace if no such pod runs. Each connection starts
// where the pod's connections start at that moment.
func (c *Cluster) Send(ctx context.Context, from cluster.Place, load traffic.Load) (traffic.Tally, error) {
	target, err := url.Parse(load.URL)
	if err != nil {
		return traffic.Tally{}, fmt.Errorf("the URL of the load: %w", err)
	}
	if _, err := c.resolve(ctx, from, hostPort(target)); errors.Is(err, cluster.ErrNoPlace) {
		return traffic.Tally{}, err
	}
	return traffic.Run(ctx, load, func(ctx context.Context, network, addr string) (net.Conn, error) {
		address, err := c.resolve(ctx, from, addr)
		if err != nil {
			return nil, err
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	})
}

func hostPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	return net.JoinHostPort(u.Hostname(), "80")
}

func (c *Cluster) resolve(ctx context.Context, from cluster.Place, addr string) (string, error) {
	var r resolved
	err := c.call(ctx, http.MethodPost, apiResolve, nil, resolution{From: from, Address: addr}, &r)
	return r.Address, err
}

// Proxies implements cluster.Cluster. Synced is what both ends say: the proxy is connected and has refused nothing,
// and istiod has the acknowledgement of the last that it sent of each kind.
func (c *Cluster) Proxies(ctx context.Context) ([]cluster.Proxy, error) {
	var proxies []cluster.Proxy
	err := c.call(ctx, http.MethodGet, apiProxies, nil, nil, &proxies)
	return proxies, err
}

// ProxyConfig implements cluster.Cluster. The endpoints are in it too.
func (c *Cluster) ProxyConfig(ctx context.Context, p cluster.Proxy, names string) (*adminv3.ConfigDump, error) {
	var raw json.RawMessage
	query := configdump.Query(names)
	query.Set("namespace", p.Namespace)
	query.Set("pod", p.Pod)
	if err := c.call(ctx, http.MethodGet, apiConfigDump, query, nil, &raw); err != nil {
		return nil, err
	}
	dump, err := configdump.Read(raw)
	if err != nil {
		return nil, fmt.Errorf("read the config_dump of Pod/%s/%s: %w", p.Namespace, p.Pod, err)
	}
	return dump, nil
}

// Failed implements cluster.Cluster. A supervisor that is gone without having been stopped is a failure too.
func (c *Cluster) Failed() <-chan error {
	c.watching.Do(func() {
		go func() {
			defer close(c.failed)
			err := c.call(c.ended, http.MethodGet, apiFailure, nil, nil, nil)
			if err == nil || c.ended.Err() != nil {
				return // stopped
			}
			var said *saidError
			if !errors.As(err, &said) {
				err = fmt.Errorf("the process that holds cluster %s is gone: %w", c.name, err)
			}
			c.failed <- err
		}()
	})
	return c.failed
}

// stopTimeout bounds the end of another process' cluster, which takes less than a second.
const stopTimeout = 30 * time.Second

// Stop ends the cluster, waits until all its processes are gone, and removes its state.
func (c *Cluster) Stop(ctx context.Context) error {
	defer c.client.CloseIdleConnections()
	defer c.end()
	if c.supervisor != nil {
		return c.supervisor.stop()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, stopTimeout, fmt.Errorf(
		"cluster %s has not ended within %s: end the process that holds it, with which the others end", c.name, stopTimeout))
	defer cancel()
	if err := c.call(ctx, http.MethodPost, apiStop, nil, nil, nil); err != nil {
		return err
	}
	return await.Ready(ctx, "the end of cluster "+c.name, func(context.Context) error {
		if held(c.dir) {
			return errors.New("its supervisor runs")
		}
		return nil
	})
}

// Done is closed when the cluster, of this process, has been stopped by whoever: by Stop, or through its API.
func (c *Cluster) Done() <-chan struct{} {
	if c.supervisor == nil {
		return c.ended.Done()
	}
	return c.supervisor.stopped
}

// saidError is what a supervisor, of another process perhaps, answered instead of what was asked for.
type saidError struct {
	message string
	is      error // the error it was there, if callers branch on it
}

func (e *saidError) Error() string { return e.message }

func (e *saidError) Is(target error) bool { return e.is != nil && target == e.is }

// call asks the supervisor. in and out are JSON; nil is nothing.
func (c *Cluster) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	target := url.URL{Scheme: "http", Host: "supervisor", Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return fmt.Errorf("ask cluster %s: %w", c.name, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		var said apiError
		if err := json.NewDecoder(resp.Body).Decode(&said); err != nil || said.Error == "" {
			return fmt.Errorf("ask cluster %s: %s %s: %s", c.name, method, path, resp.Status)
		}
		answered := &saidError{message: said.Error}
		if said.NoPlace {
			answered.is = cluster.ErrNoPlace
		}
		return answered
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("ask cluster %s: %s %s: %w", c.name, method, path, err)
	}
	return nil
}
