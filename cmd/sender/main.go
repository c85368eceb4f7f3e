// Command sender sends the load that it reads from its standard input, and writes what came of it to its standard
// output. It is put into pods of a real cluster, so that requests start where the pod's own do.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"chartbasico/pkg/traffic"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := traffic.Serve(ctx, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sender:", err)
		os.Exit(1)
	}
}
