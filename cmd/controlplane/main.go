// Command controlplane is etcd, the Kubernetes control plane and istiod in one program, chosen by the first argument:
//
//	controlplane kube-apiserver --etcd-servers=…
//
// It is made to be the child of another program, which holds the other end of its standard input: when that ends,
// because the parent has died, so does this program.
package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	istiod "istio.io/istio/pilot/cmd/pilot-discovery/app"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

var components = map[string]func() *cobra.Command{
	"etcd":                    newEtcdCommand,
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllermanager.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"pilot-discovery":         istiod.NewRootCommand,
}

func main() {
	name := ""
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	newCommand, ok := components[name]
	if !ok {
		var names []string
		for known := range components {
			names = append(names, known)
		}
		slices.Sort(names)
		fmt.Fprintf(os.Stderr, "controlplane: the first argument must be one of %s, found %q\n", strings.Join(names, ", "), name)
		os.Exit(2)
	}
	if err := setVersions(); err != nil {
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		os.Exit(2)
	}
	go endWithParent()
	// The components read os.Args themselves, here and there.
	os.Args = append([]string{filepath.Join(filepath.Dir(os.Args[0]), name)}, os.Args[2:]...)
	os.Exit(cli.Run(newCommand()))
}

// endWithParent ends this process when the standard input does. The kernel's signal for a parent's death does not
// exist everywhere.
func endWithParent() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	signal.Reset(syscall.SIGTERM)
	fmt.Fprintln(os.Stderr, "controlplane: the parent is gone")
	os.Exit(1)
}
