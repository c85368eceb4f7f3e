// Command basico proves what a mesh will do with the chart's releases by running it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	istiolog "istio.io/istio/pkg/log"
	"k8s.io/klog/v2"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	quietLibraries()
	os.Exit(run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}

// quietLibraries keeps the logs of Istio's and Kubernetes' packages away from the results on standard output, where
// Istio's logger puts both. What client-go logs it returns as an error too.
func quietLibraries() {
	options := istiolog.DefaultOptions()
	options.OutputPaths = []string{"stderr"}
	_ = istiolog.Configure(options)
	klog.SetLogger(logr.Discard())
}
