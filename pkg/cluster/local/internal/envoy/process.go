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
	"slices"
	"strings"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"

	"chartbasico/internal/proc"
	"chartbasico/pkg/cluster/internal/configdump"
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

// Pid returns the process' id.
func (p *Process) Pid() int { return p.process.Pid() }

// Admin returns where the admin interface listens.
func (p *Process) Admin() netip.AddrPort { return p.admin }

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

// ConfigDump returns Envoy's configuration as it has it. Resource limits it to the messages in one field of the dump's,
// as in "dynamic_route_configs"; all, with endpoints, if it is empty. The configuration of extensions that this program
// does not know is missing in it.
func (p *Process) ConfigDump(ctx context.Context, resource string) (*adminv3.ConfigDump, error) {
	query := url.Values{"include_eds": {""}}
	if resource != "" {
		if !slices.Contains(configdump.Resources, resource) {
			return nil, fmt.Errorf("%s: ask for a part of its config_dump: found %q, expected one of %s", p.process.Name(), resource, strings.Join(configdump.Resources, ", "))
		}
		query.Set("resource", resource)
	}
	body, err := p.ask(ctx, http.MethodGet, "/config_dump", query)
	var refused *refusal
	if resource != "" && errors.As(err, &refused) && refused.status == http.StatusNotFound {
		return &adminv3.ConfigDump{}, nil // so says Envoy before it has the first of a kind
	}
	if err != nil {
		return nil, err
	}
	dump, err := configdump.Read(body)
	if err != nil {
		return nil, fmt.Errorf("%s: read its config_dump: %w", p.process.Name(), err)
	}
	return dump, nil
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
		err = &refusal{status, strings.TrimSpace(string(body))}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: ask its admin interface for %s: %w", p.process.Name(), path, err)
	}
	return body, nil
}

// refusal is an answer of the admin interface other than 200.
type refusal struct {
	status int
	why    string
}

func (r *refusal) Error() string { return fmt.Sprintf("it answered %d: %s", r.status, r.why) }

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
