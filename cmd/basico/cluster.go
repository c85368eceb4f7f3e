package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"chartbasico/pkg/cluster/kind"
	"chartbasico/pkg/cluster/local"
)

type clusterFlags struct {
	kind         string
	name         string
	nodes        int
	kubernetes   string
	istio        string
	istioCharts  string
	envoy        string
	controlPlane string
	output       string
}

func (f clusterFlags) options() local.Options {
	return local.Options{Name: f.name, Envoy: f.envoy, ControlPlane: f.controlPlane}
}

// validate returns everything that is wrong with the flags. A command has those that its cobra.Command defines.
func (f clusterFlags) validate() error {
	var errs []error
	if f.output != "" && f.output != "text" && f.output != "json" {
		errs = append(errs, fmt.Errorf("--output: found %q, expected text or json", f.output))
	}
	switch f.kind {
	case "local":
		if f.nodes > 1 || f.kubernetes != "" || f.istio != "" || f.istioCharts != "" {
			errs = append(errs, errors.New("--nodes, --kubernetes, --istio and --istio-charts are for --kind kind: a local cluster has one node, and the versions built in"))
		}
	case "kind":
		if f.envoy != "" || f.controlPlane != "" {
			errs = append(errs, errors.New("--envoy and --control-plane are for --kind local: kind has its own"))
		}
	default:
		errs = append(errs, fmt.Errorf("--kind: found %q, expected local or kind", f.kind))
	}
	return errors.Join(errs...)
}

func (f *clusterFlags) addKind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.kind, "kind", "local", "kind of cluster: local (processes) or kind (containers)")
}

func newClusterCommand(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Create, look at and delete clusters with Istio",
		Long: `A local cluster is the real Kubernetes and Istio control planes and real Envoy proxies,
as processes on this machine's loopback addresses: no container, no root. The applications
in its pods are stand-ins that say who they are.

With --kind kind it is a cluster of kind, in containers of docker or podman, where kubelets,
network, sidecars and applications are real too.`,
	}
	cmd.AddCommand(newClusterCreateCommand(s), newClusterStatusCommand(s), newClusterDeleteCommand(s), newClusterServeCommand(s))
	return cmd
}

func newClusterCreateCommand(s streams) *cobra.Command {
	f := clusterFlags{}
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Start a cluster that runs until it is deleted",
		Example: `  basico cluster create
  basico cluster create --kind kind --nodes 2
  eval "$(basico cluster create --name mine)" && kubectl get pods -A`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.validate(); err != nil {
				return err
			}
			if f.kind == "kind" {
				return runKindCreate(cmd.Context(), s, f)
			}
			return runClusterCreate(cmd.Context(), s, f)
		},
	}
	f.addKind(cmd)
	f.addName(cmd)
	f.addPrograms(cmd)
	f.addOutput(cmd)
	cmd.Flags().IntVar(&f.nodes, "nodes", 0, "number of nodes of a kind cluster (default: those that are there, else 1)")
	cmd.Flags().StringVar(&f.kubernetes, "kubernetes", "", "version of Kubernetes of a kind cluster, as in 1.34.4 (default: that of the nodes that are there, else of the newest node image that scripts/airgap built on this machine, else kind's own)")
	cmd.Flags().StringVar(&f.istio, "istio", "", "version of Istio of a kind cluster, as in 1.30.0 (default: that of the cluster that is there, else that of a local cluster)")
	cmd.Flags().StringVar(&f.istioCharts, "istio-charts", "", "URL of the chart repository that has Istio's charts of another version (default: that of the cluster that is there, else Istio's own)")
	return cmd
}

func (f *clusterFlags) addName(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.name, "name", local.DefaultName, "name of the cluster")
}

func (f *clusterFlags) addPrograms(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.envoy, "envoy", "", "path of Envoy (default: the one on the PATH, else a pinned one, installed once)")
	cmd.Flags().StringVar(&f.controlPlane, "control-plane", "", "path of controlplane (default: the one beside basico, else one built once)")
}

func (f *clusterFlags) addOutput(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.output, "output", "o", "text", "format of the result: text or json")
}

func runClusterCreate(ctx context.Context, s streams, f clusterFlags) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	options := f.options()
	options.Progress = func(line string) { fmt.Fprintln(s.err, line) }
	command := []string{self, "cluster", "serve", "--name", f.name, "--envoy", f.envoy, "--control-plane", f.controlPlane}
	c, existed, err := local.Create(ctx, options, command)
	if err != nil {
		return err
	}
	status, err := c.Status(ctx)
	if err != nil {
		return err
	}
	if existed {
		fmt.Fprintf(s.err, "cluster %s runs already, since %s\n", status.Name, status.Started.Format(time.DateTime))
	}
	return showCreated(s, f, status, status.Kubeconfig)
}

func newClusterStatusCommand(s streams) *cobra.Command {
	f := clusterFlags{}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the running clusters of a kind, or one of them",
		Long: `status shows every running cluster of a kind, or the named one with its processes or nodes.
Its exit status is 1 if a cluster it shows has failed, or the named one does not run.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.validate(); err != nil {
				return err
			}
			if f.kind == "kind" {
				return runKindStatus(cmd.Context(), s, f)
			}
			return runClusterStatus(cmd.Context(), s, f)
		},
	}
	f.addKind(cmd)
	cmd.Flags().StringVar(&f.name, "name", "", "name of the cluster (default: all)")
	f.addOutput(cmd)
	return cmd
}

func runClusterStatus(ctx context.Context, s streams, f clusterFlags) error {
	clusters, err := clusterStatuses(ctx, f.name)
	if err != nil {
		return err
	}
	return showClusters(s, f, clusters, local.ErrNotRunning, clusterTable[local.Status]{
		none: "no local cluster runs", title: "NAME\tSTATE\tSINCE\tMEMORY\tKUBECONFIG",
		row: func(c local.Status) string {
			memory := int64(0)
			for _, p := range c.Processes {
				memory += p.Memory
			}
			return strings.Join([]string{c.Name, state(c.Failure), c.Started.Format(time.DateTime), megabytes(memory), c.Kubeconfig}, "\t")
		},
		partTitle: "PROCESS\tPID\tMEMORY",
		parts: func(c local.Status) []string {
			var rows []string
			for _, p := range c.Processes {
				rows = append(rows, fmt.Sprintf("%s\t%d\t%s", p.Name, p.Pid, megabytes(p.Memory)))
			}
			return rows
		},
		failure: func(c local.Status) (name, why string) { return c.Name, c.Failure },
	})
}

func clusterStatuses(ctx context.Context, name string) ([]local.Status, error) {
	if name == "" {
		clusters, err := local.List(ctx)
		if clusters == nil {
			clusters = []local.Status{}
		}
		return clusters, err
	}
	c, err := local.Open(ctx, name)
	if errors.Is(err, local.ErrNotRunning) {
		return []local.Status{}, nil
	}
	if err != nil {
		return nil, err
	}
	status, err := c.Status(ctx)
	return []local.Status{status}, err
}

// clusterTable is how the clusters of a kind are shown to people.
type clusterTable[S any] struct {
	none      string // said where there are none
	title     string
	row       func(S) string
	partTitle string
	parts     func(S) []string // what a cluster that was asked for by name consists of
	failure   func(S) (name, why string)
}

// showClusters shows clusters as the flags ask. One that failed, or the named one that does not run, falls short.
func showClusters[S any](s streams, f clusterFlags, clusters []S, notRunning error, table clusterTable[S]) error {
	var err error
	if f.output == "json" {
		err = printJSON(s.out, map[string]any{"clusters": clusters})
	} else {
		err = table.print(s.out, clusters, f.name != "")
	}
	if err != nil {
		return err
	}
	if f.name != "" && len(clusters) == 0 {
		return exitError{status: exitFellShort, err: fmt.Errorf("cluster %s: %w", f.name, notRunning)}
	}
	for _, c := range clusters {
		if _, why := table.failure(c); why != "" {
			return fellShort()
		}
	}
	return nil
}

func (t clusterTable[S]) print(w io.Writer, clusters []S, parts bool) error {
	if len(clusters) == 0 {
		_, err := fmt.Fprintln(w, t.none)
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, t.title)
	for _, c := range clusters {
		fmt.Fprintln(table, t.row(c))
	}
	if parts {
		fmt.Fprintln(table, "\n"+t.partTitle)
		for _, row := range t.parts(clusters[0]) {
			fmt.Fprintln(table, row)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, c := range clusters {
		if name, why := t.failure(c); why != "" {
			fmt.Fprintf(w, "\n%s has failed: %s\n", name, why)
		}
	}
	return nil
}

func state(failure string) string {
	if failure != "" {
		return "failed"
	}
	return "running"
}

// showCreated tells how to use a cluster.
func showCreated(s streams, f clusterFlags, status any, kubeconfig string) error {
	if f.output == "json" {
		return printJSON(s.out, status)
	}
	_, err := fmt.Fprintln(s.out, "export KUBECONFIG="+quote(kubeconfig))
	return err
}

func megabytes(n int64) string {
	if n == 0 {
		return "unknown"
	}
	return fmt.Sprintf("%d MB", n/1_000_000)
}

func newClusterDeleteCommand(s streams) *cobra.Command {
	f := clusterFlags{}
	cmd := &cobra.Command{
		Use:   "delete",
		Short: "Stop a cluster and remove all that it left",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.validate(); err != nil {
				return err
			}
			remove := local.Delete
			if f.kind == "kind" {
				remove = kind.Delete
			}
			found, err := remove(cmd.Context(), f.name)
			if err != nil {
				return err
			}
			ofKind := f.kind == "kind"
			switch {
			case found:
				fmt.Fprintf(s.err, "cluster %s is deleted\n", f.name)
			case ofKind && localRuns(cmd.Context(), f.name):
				fmt.Fprintf(s.err, "there is no cluster %s of kind; the local one of that name runs on: leave out --kind kind to delete it\n", f.name)
			case !ofKind && kindRuns(cmd.Context(), f.name):
				fmt.Fprintf(s.err, "there is no local cluster %s; the one of kind runs on: add --kind kind to delete it\n", f.name)
			default:
				fmt.Fprintf(s.err, "there is no cluster %s\n", f.name)
			}
			return nil
		},
	}
	f.addKind(cmd)
	f.addName(cmd)
	return cmd
}

// newClusterServeCommand is the process that holds a cluster; create starts it.
func newClusterServeCommand(s streams) *cobra.Command {
	f := clusterFlags{}
	cmd := &cobra.Command{
		Use:    "serve",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return local.Serve(cmd.Context(), f.options(), s.in, s.out)
		},
	}
	f.addName(cmd)
	f.addPrograms(cmd)
	return cmd
}

func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// quote makes a word that a shell reads as it is.
func quote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:@%,", r)
	}
	if word != "" && strings.TrimFunc(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
