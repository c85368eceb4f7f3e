// Command findenvoy prints the path of the Envoy that a local cluster runs, and installs it first if it has to.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"chartbasico/pkg/cluster/local/internal/envoy"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	path, err := envoy.Find(ctx, "", func(line string) { fmt.Fprintln(os.Stderr, line) })
	if err != nil {
		fmt.Fprintln(os.Stderr, "findenvoy:", err)
		os.Exit(1)
	}
	fmt.Println(path)
}
