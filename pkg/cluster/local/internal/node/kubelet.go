package node

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
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
	for _, p := range a.live() {
		if p.object.Namespace != namespace || p.object.Name != name {
			continue
		}
		if object, err := a.pods.Pods(namespace).Get(name); err == nil && slices.ContainsFunc(object.Spec.EphemeralContainers, func(c corev1.EphemeralContainer) bool { return c.Name == container }) {
			http.Error(w, cannot(runEphemeral), http.StatusNotImplemented)
			return
		}
		if container != proxyContainer || !p.hasProxy() {
			http.Error(w, fmt.Sprintf("a local cluster has no log of container %s: a stand-in answers for it. The log of %s is there in pods that have one.", container, proxyContainer), http.StatusNotImplemented)
			return
		}
		if err := copyTail(w, p.proxyLog(), r.URL.Query().Get("tailLines")); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
		return
	}
	http.Error(w, fmt.Sprintf("Pod/%s/%s does not run on this node", namespace, name), http.StatusNotFound)
}

// copyTail writes the last lines of a file, all if n is empty.
func copyTail(w io.Writer, path, n string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if lines, err := strconv.Atoi(n); err == nil {
		for i := len(data) - 1; i > 0; i-- {
			if data[i-1] != '\n' {
				continue
			}
			if lines--; lines == 0 {
				data = data[i:]
				break
			}
		}
	}
	_, err = w.Write(data)
	return err
}
