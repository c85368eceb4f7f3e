package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// size is what an environment consists of.
type size struct {
	// Apps is how many applications there are, each with a Service and a workload of five pods.
	Apps int
	// Routed is how many of them have two versions, v1 and v2, sidecars, and a routing in two stages. A workload in
	// front of them, which the ingress gateway exposes, calls them all.
	Routed int
}

func (s size) pods() int {
	if s.Routed > 0 {
		return 5*s.Apps + 1
	}
	return 5 * s.Apps
}

// write writes the environment's files into dir and returns the path of the environment's own, and how many files of
// values it has.
func write(dir, chart string, s size) (path string, files int, err error) {
	w := &writer{dir: dir, chart: chart}
	w.release("plain-namespace", "default", "app: plain\nnamespace:\n  name: plain\n")
	w.release("mesh-namespace", "default", "app: mesh\nnamespace:\n  name: mesh\n  injection: enabled\n")
	w.release("mesh-egress", "mesh", egress, "default/mesh-namespace")
	var routed []string
	for i := range s.Apps {
		app := fmt.Sprintf("app-%04d", i)
		if i >= s.Routed {
			w.release(app, "plain", service(app), "default/plain-namespace")
			w.release(app+"-v1", "plain", workload(app, "v1", 5, nil), "plain/"+app)
			continue
		}
		routed = append(routed, app)
		w.release(app, "mesh", service(app), "default/mesh-namespace")
		w.release(app+"-v1", "mesh", workload(app, "v1", 3, nil), "mesh/"+app)
		w.release(app+"-v2", "mesh", workload(app, "v2", 2, nil), "mesh/"+app)
		w.release(app+"-routing", "mesh", routing(app), "mesh/"+app+"-v1", "mesh/"+app+"-v2")
	}
	if len(routed) > 0 {
		w.release("front", "mesh", service("front")+exposure, "default/mesh-namespace")
		w.release("front-v1", "mesh", workload("front", "v1", 1, routed), "mesh/front")
	}
	path = filepath.Join(dir, "scale.yaml")
	if w.err == nil {
		w.err = os.WriteFile(path, []byte("releases:\n"+w.releases.String()), 0o600)
	}
	return path, w.files, w.err
}

// writer writes a file of values for each release.
type writer struct {
	dir, chart string
	releases   strings.Builder
	files      int
	err        error
}

func (w *writer) release(name, namespace, values string, needs ...string) {
	if w.err != nil {
		return
	}
	w.err = os.WriteFile(filepath.Join(w.dir, name+".yaml"), []byte(values), 0o600)
	w.files++
	fmt.Fprintf(&w.releases, "  - {name: %s, namespace: %s, chart: %s, values: [%s.yaml], needs: [%s]}\n", name, namespace, w.chart, name, strings.Join(needs, ", "))
}

func service(app string) string {
	return "app: " + app + "\nservice:\n  ports:\n    http:\n      port: 80\n      targetPort: http\n"
}

// egress shows the sidecars their own namespace only: each would know every Service of the cluster.
const egress = "app: mesh\negress:\n  scope: namespace\n  visible: [./*, istio-system/*]\n"

const exposure = "exposure:\n  kind: istio\n  hosts: [scale.example.com]\n  paths:\n    all:\n      path: /\n"

func workload(app, version string, replicas int, calls []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "app: %s\nversion: %s\n", app, version)
	if len(calls) > 0 {
		b.WriteString("calls:\n")
		for _, c := range calls {
			fmt.Fprintf(&b, "  %s:\n    port: 80\n", c)
		}
	}
	fmt.Fprintf(&b, `workload:
  replicas: %d
  containers:
    %s:
      image:
        repository: registry.example.com/%s
        tag: %s
      ports:
        http:
          containerPort: 8080
      env:
        LOG_LEVEL:
          fromConfig: settings
          key: LOG_LEVEL
      readinessProbe:
        httpGet:
          path: /health
          port: http
      resources:
        requests:
          cpu: 10m
          memory: 16Mi
        limits:
          memory: 64Mi
  securityContext:
    runAsUser: 10001
config:
  settings:
    data:
      LOG_LEVEL: info
`, replicas, app, app, version)
	return b.String()
}

func routing(app string) string {
	return "app: " + app + `
routing:
  stage: canary
  stages:
    - name: canary
      weights:
        v1: 90
        v2: 10
    - name: v2
      weights:
        v1: 0
        v2: 100
  port: 80
  timeout: 10s
  trafficPolicy:
    connectionPool:
      http:
        http1MaxPendingRequests: 1000
  versions:
    v1: {}
    v2: {}
`
}
