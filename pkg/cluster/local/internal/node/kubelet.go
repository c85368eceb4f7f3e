package node

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"

	"github.com/fsnotify/fsnotify"
	corev1 "k8s.io/api/core/v1"

	"chartbasico/pkg/cluster"
)

// Kubelet is the part of the kubelet's API that the API server calls for kubectl logs, port-forward, exec and the
// like. Ports and the logs of Envoys are there. What needs a program in a pod cannot be, and says so.
func (a *Agent) Kubelet() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", a.logs)
	mux.HandleFunc("/portForward/{namespace}/{pod}", a.forward)
	for path, what := range map[string]string{
		"/exec/": "exec", "/attach/": "attach", "/run/": "run", "/cri/": "exec",
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, cannot(what), http.StatusNotImplemented)
		})
	}
	return mux
}

const runEphemeral = "run an ephemeral container"

// cannot says that what needs a program in a pod is not to be had.
func cannot(what string) string {
	return "a local cluster cannot " + what + ": its pods are stand-ins, without a program in them. Use a kind cluster for that."
}

func (a *Agent) logs(w http.ResponseWriter, r *http.Request) {
	namespace, name, container := r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container")
	p, err := a.find(cluster.Place{Namespace: namespace, Pod: name})
	if err != nil {
		http.Error(w, notHere(namespace, name), http.StatusNotFound)
		return
	}
	if object, err := a.pods.Pods(namespace).Get(name); err == nil && slices.ContainsFunc(object.Spec.EphemeralContainers, func(c corev1.EphemeralContainer) bool { return c.Name == container }) {
		http.Error(w, cannot(runEphemeral), http.StatusNotImplemented)
		return
	}
	if container != proxyContainer || !p.hasProxy() {
		http.Error(w, fmt.Sprintf("a local cluster has no log of container %s: a stand-in answers for it. The log of %s is there in pods that have one.", container, proxyContainer), http.StatusNotImplemented)
		return
	}
	query := r.URL.Query()
	ctx, cancel := p.untilKilled(r.Context())
	defer cancel()
	if err := copyLog(ctx, w, p.proxyLog(), query.Get("tailLines"), query.Get("follow") == "true"); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func notHere(namespace, name string) string {
	return fmt.Sprintf("Pod/%s/%s does not run on this node", namespace, name)
}

// copyLog writes the last lines of a file, all if n is empty; and what is added to it until ctx ends, if follow.
func copyLog(ctx context.Context, w http.ResponseWriter, path, n string, follow bool) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	var added <-chan fsnotify.Event
	var broken <-chan error
	if follow {
		watcher, err := fsnotify.NewWatcher()
		if err != nil {
			return err
		}
		defer watcher.Close()
		if err := watcher.Add(path); err != nil {
			return err
		}
		added, broken = watcher.Events, watcher.Errors
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	if _, err := w.Write(lastLines(data, n)); err != nil || !follow {
		return err
	}
	flush := http.NewResponseController(w)
	for {
		if err := flush.Flush(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-broken:
			return err
		case <-added:
			if _, err := io.Copy(w, file); err != nil {
				return err
			}
		}
	}
}

func lastLines(data []byte, n string) []byte {
	lines, err := strconv.Atoi(n)
	if err != nil {
		return data
	}
	end := len(data)
	for ; lines > 0 && end > 0; lines-- {
		end = bytes.LastIndexByte(data[:end-1], '\n') + 1
	}
	return data[end:]
}
