package envoy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"chartbasico/internal/proc"
)

// Process is a running Envoy.
type Process struct {
	process *proc.Process
	admin   netip.AddrPort
	sidecar bool
	client  http.Client
}

// Start writes the bootstrap and starts an Envoy in the group. That it runs does not mean that it is ready.
func Start(ctx context.Context, g *proc.Group, binary string, c Config) (*Process, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	bootstrap, err := Bootstrap(c)
	if err != nil {
		return nil, err
	}
	dir := c.Dir
	if dir == "" {
		dir = filepath.Dir(c.LogFile)
	}
	base := filepath.Base(c.LogFile)
	path := filepath.Join(dir, strings.TrimSuffix(base, filepath.Ext(base))+".envoy.json")
	if err := os.WriteFile(path, bootstrap, 0o600); err != nil {
		return nil, err
	}
	process, err := g.Start(proc.Spec{Name: "envoy of " + podOf(c.ID), Path: binary, Args: arguments(path), Log: c.LogFile})
	if err != nil {
		return nil, err
	}
	return &Process{
		process: process, admin: c.Admin, sidecar: strings.HasPrefix(c.ID, "sidecar~"),
		client: http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}, nil
}

func arguments(bootstrap string) []string {
	return []string{
		"--config-path", bootstrap,
		"--concurrency", "1", // worker: round robin is per worker, and there are many Envoys on a machine
		"--disable-hot-restart", // else two could not run on one machine without a base id each
		"--log-level", "warning",
		"--drain-time-s", "45", "--drain-strategy", "immediate", "--local-address-ip-version", "v4", // as Istio's agent
		"--allow-unknown-static-fields", // an older Envoy on the PATH may not know one
	}
}

// podOf returns pod.namespace of a node's id.
func podOf(id string) string {
	if parts := strings.Split(id, "~"); len(parts) == 4 {
		return parts[2]
	}
	return id
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.process.Done() }

// Err says, once the process has ended, why: a *proc.Death, or nil if Stop or its group ended it.
func (p *Process) Err() error { return p.process.Err() }

// ErrEnded is returned by Ready for an Envoy that was stopped.
var ErrEnded = errors.New("it was stopped")

// Ready returns when Envoy has its configuration and serves. The error is Envoy's death, or that ctx ended, with
// what Envoy last said about its state.
func (p *Process) Ready(ctx context.Context) error {
	const interval = 20 * time.Millisecond
	tick := time.NewTicker(interval)
	defer tick.Stop()
	seen := "nothing"
	for {
		status, body, err := p.do(ctx, http.MethodGet, "/ready", nil)
		switch {
		case p.ended():
			if death := p.Err(); death != nil {
				return death
			}
			return fmt.Errorf("%s: %w", p.process.Name(), ErrEnded)
		case err == nil && status == http.StatusOK:
			return nil
		case err == nil:
			seen = strings.TrimSpace(string(body))
		case seen == "nothing" && ctx.Err() == nil:
			seen = err.Error()
		}
		select {
		case <-p.Done():
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready; it last said %q: %w", p.process.Name(), seen, context.Cause(ctx))
		}
	}
}

func (p *Process) ended() bool {
	select {
	case <-p.Done():
		return true
	default:
		return false
	}
}

// Drain makes Envoy tell clients to close their connections, while it goes on serving, as Istio's agent does when a
// pod ends: of a sidecar, those from other pods; of a gateway, all.
func (p *Process) Drain(ctx context.Context) error {
	query := url.Values{"graceful": {""}, "skip_exit": {""}}
	if p.sidecar {
		query.Set("inboundonly", "")
	}
	_, err := p.ask(ctx, http.MethodPost, "/drain_listeners", query)
	return err
}

// quiet is for how long nobody must have been connected: who was just told of this Envoy may be about to connect.
const quiet = 100 * time.Millisecond

// AwaitIdle returns when nobody is connected to a gateway any more. The error says that ctx ended before, or what
// became of Envoy.
func (p *Process) AwaitIdle(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for last := time.Now(); time.Since(last) < quiet; {
		stats, err := p.ask(ctx, http.MethodGet, "/stats", url.Values{"filter": {openConnections}})
		if err != nil {
			return err
		}
		if connected(string(stats)) {
			last = time.Now()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// connected tells whether any listener but that of the admin interface has an open connection.
func connected(stats string) bool {
	for line := range strings.Lines(stats) {
		name, count, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if strings.HasPrefix(name, "listener.") && !strings.HasPrefix(name, "listener.admin.") && strings.HasSuffix(name, openConnections) && count != "0" {
			return true
		}
	}
	return false
}

// Stop asks Envoy to end, kills it when it has not after the grace, and returns when it is gone. Without grace, it is
// killed at once.
func (p *Process) Stop(grace time.Duration) {
	if grace <= 0 {
		p.process.Kill()
		return
	}
	p.process.Terminate(grace)
}

// ask asks the admin interface for something that must succeed.
func (p *Process) ask(ctx context.Context, method, path string, query url.Values) ([]byte, error) {
	status, body, err := p.do(ctx, method, path, query)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("it answered %d: %s", status, strings.TrimSpace(string(body)))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: ask its admin interface for %s: %w", p.process.Name(), path, err)
	}
	return body, nil
}

func (p *Process) do(ctx context.Context, method, path string, query url.Values) (int, []byte, error) {
	// Nobody answers for a dead Envoy, even if another program has its address.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-p.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	// Envoy wants flags without "=".
	raw := strings.ReplaceAll(query.Encode()+"&", "=&", "&")
	u := url.URL{Scheme: "http", Host: p.admin.String(), Path: path, RawQuery: strings.TrimSuffix(raw, "&")}
	request, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return 0, nil, err
	}
	response, err := p.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, body, err
}
