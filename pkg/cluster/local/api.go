package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"chartbasico/pkg/cluster"
)

// The supervisor's API: HTTP and JSON on a Unix socket in the state directory, for its user alone. Whoever measures
// on the cluster goes through it, in the supervisor's own process too, so that there is one code path.
const (
	apiStatus     = "/status"      // GET: Status
	apiFailure    = "/failure"     // GET: answers when the cluster fails (apiError) or is stopped (no content)
	apiResolve    = "/resolve"     // POST resolution: resolved
	apiProxies    = "/proxies"     // GET: []cluster.Proxy
	apiConfigDump = "/config_dump" // GET ?namespace=&pod= and Envoy's own parameters: Envoy's config_dump
	apiStop       = "/stop"        // POST: accepted; the lock of the state directory is free when all is gone
)

type resolution struct {
	From    cluster.Place `json:"from"`
	Address string        `json:"address"` // host:port as the program writes it
}

type resolved struct {
	Address string `json:"address"` // a loopback address
}

// apiError is the body of every answer of status 400 or more.
type apiError struct {
	Error   string `json:"error"`
	NoPlace bool   `json:"noPlace,omitempty"` // it is cluster.ErrNoPlace
}

// Status is the state of a running cluster.
type Status struct {
	Name       string    `json:"name"`
	Kind       string    `json:"kind"`
	Kubeconfig string    `json:"kubeconfig"` // path
	Server     string    `json:"server"`     // URL of the API server
	Pid        int       `json:"pid"`        // of the process that holds the cluster
	Started    time.Time `json:"started"`
	Processes  []Process `json:"processes"`
	Logs       string    `json:"logs"`              // directory of the processes' logs
	Failure    string    `json:"failure,omitempty"` // why the cluster cannot be used any more; empty while it can
}

// Process is one process of a cluster.
type Process struct {
	Name string `json:"name"`
	Pid  int    `json:"pid"`
	// Memory is the process' share of memory in bytes (what several use is divided); 0 where the system does not tell.
	Memory int64 `json:"memory"`
}

func (s *supervisor) serveAPI() error {
	listener, err := net.Listen("unix", s.state.path(socketFile))
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+apiStatus, func(w http.ResponseWriter, _ *http.Request) { answer(w, s.status()) })
	mux.HandleFunc("GET "+apiFailure, s.handleFailure)
	mux.HandleFunc("POST "+apiResolve, s.handleResolve)
	mux.HandleFunc("GET "+apiProxies, s.handleProxies)
	mux.HandleFunc("GET "+apiConfigDump, s.handleConfigDump)
	mux.HandleFunc("POST "+apiStop, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		s.stopRequested()
	})
	s.api = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	s.tasks.Go(func() {
		if err := s.api.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.fail(fmt.Errorf("the supervisor's API ended: %w", err))
		}
	})
	return nil
}

// handleFailure answers when there is something to say. Hanging up is fine.
func (s *supervisor) handleFailure(w http.ResponseWriter, r *http.Request) {
	select {
	case <-s.failed:
		refuse(w, http.StatusInternalServerError, s.failure)
	case <-s.ctx.Done():
		w.WriteHeader(http.StatusNoContent)
	case <-r.Context().Done():
	}
}

func (s *supervisor) handleResolve(w http.ResponseWriter, r *http.Request) {
	var ask resolution
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	address, err := s.agent.Resolve(ask.From, ask.Address)
	if err != nil {
		refuse(w, http.StatusNotFound, err)
		return
	}
	answer(w, resolved{Address: address})
}

// handleProxies joins what the proxies say with what istiod knows: a proxy is in sync if it is connected and has
// accepted the last of everything that istiod has sent to it.
func (s *supervisor) handleProxies(w http.ResponseWriter, r *http.Request) {
	proxies := s.agent.Proxies()
	synced, err := s.istiodSynced(r.Context())
	if err != nil {
		refuse(w, http.StatusBadGateway, err)
		return
	}
	for i, p := range proxies {
		proxies[i].Synced = p.Synced && len(p.Rejected) == 0 && synced[p.Pod+"."+p.Namespace]
	}
	answer(w, proxies)
}

// istiodSynced asks istiod which proxies have accepted all that it has sent, by the proxy's id, "pod.namespace".
func (s *supervisor) istiodSynced(ctx context.Context) (map[string]bool, error) {
	var statuses []struct {
		Proxy     string `json:"proxy"`
		Resources map[string]struct {
			Sent  string `json:"sent"`
			Acked string `json:"acked"`
		} `json:"resources"`
	}
	if err := getJSON(ctx, http.DefaultClient, "http://"+s.addresses.istiodMonitoring.String()+"/debug/syncz", &statuses); err != nil {
		return nil, fmt.Errorf("ask istiod for its proxies: %w", err)
	}
	synced := map[string]bool{}
	for _, status := range statuses {
		ok := len(status.Resources) > 0
		for _, r := range status.Resources {
			ok = ok && r.Sent == r.Acked
		}
		synced[status.Proxy] = ok
	}
	return synced, nil
}

func (s *supervisor) handleConfigDump(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	namespace, pod := query.Get("namespace"), query.Get("pod")
	query.Del("namespace")
	query.Del("pod")
	admin, ok := s.agent.AdminAddress(namespace, pod)
	if !ok {
		refuse(w, http.StatusNotFound, fmt.Errorf("Pod/%s/%s has no running proxy", namespace, pod))
		return
	}
	target := url.URL{Scheme: "http", Host: admin, Path: "/config_dump", RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, target.String(), nil)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		refuse(w, http.StatusBadGateway, err)
		return
	}
	defer resp.Body.Close()
	w.WriteHeader(resp.StatusCode)
	// A broken connection is seen by the reader, whose JSON ends early.
	_, _ = io.Copy(w, resp.Body)
}

func (s *supervisor) status() Status {
	status := Status{
		Name: s.options.Name, Kind: kind, Kubeconfig: s.kubeconfig(), Server: "https://" + s.addresses.api.String(),
		Pid: os.Getpid(), Started: s.started, Logs: s.state.path("logs"),
	}
	for _, p := range s.processes.Processes() {
		status.Processes = append(status.Processes, Process{Name: p.Name(), Pid: p.Pid(), Memory: memoryOf(p.Pid())})
	}
	select {
	case <-s.failed:
		status.Failure = s.failure.Error()
	default:
	}
	return status
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the only error is a reader who is gone
}

func refuse(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(apiError{Error: err.Error(), NoPlace: errors.Is(err, cluster.ErrNoPlace)})
}

func getJSON(ctx context.Context, client *http.Client, url string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(v)
}
