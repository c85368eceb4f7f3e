package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"chartbasico/pkg/cluster/kind"
)

func runKindCreate(ctx context.Context, s streams, f clusterFlags) error {
	c, err := kind.Create(ctx, kind.Options{
		Name: f.name, Nodes: f.nodes, Kubernetes: f.kubernetes,
		Progress: func(line string) { fmt.Fprintln(s.err, line) },
	})
	if err != nil {
		return err
	}
	defer c.Close()
	status, err := c.Status(ctx)
	if err != nil {
		return err
	}
	if f.output == "json" {
		return printJSON(s.out, status)
	}
	_, err = fmt.Fprintln(s.out, "export KUBECONFIG="+quote(status.Kubeconfig))
	return err
}

func runKindStatus(ctx context.Context, s streams, f clusterFlags) error {
	clusters, err := kindStatuses(ctx, f.name)
	if err != nil {
		return err
	}
	if f.output == "json" {
		err = printJSON(s.out, map[string]any{"clusters": clusters})
	} else {
		err = printKindClusters(s.out, clusters, f.name != "")
	}
	if err != nil {
		return err
	}
	if f.name != "" && len(clusters) == 0 {
		return exitError{status: exitFellShort, err: fmt.Errorf("cluster %s: %w", f.name, kind.ErrNotRunning)}
	}
	for _, c := range clusters {
		if c.Failure != "" {
			return fellShort()
		}
	}
	return nil
}

func kindStatuses(ctx context.Context, name string) ([]kind.Status, error) {
	if name == "" {
		clusters, err := kind.List(ctx)
		if clusters == nil {
			clusters = []kind.Status{}
		}
		return clusters, err
	}
	c, err := kind.Open(ctx, name, nil)
	if errors.Is(err, kind.ErrNotRunning) {
		return []kind.Status{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer c.Close()
	status, err := c.Status(ctx)
	return []kind.Status{status}, err
}

func printKindClusters(w io.Writer, clusters []kind.Status, nodes bool) error {
	if len(clusters) == 0 {
		_, err := fmt.Fprintln(w, "no kind cluster runs")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tSTATE\tSINCE\tKUBERNETES\tKUBECONFIG")
	for _, c := range clusters {
		state := "running"
		if c.Failure != "" {
			state = "failed"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", c.Name, state, c.Started.Format(time.DateTime), c.Kubernetes, c.Kubeconfig)
	}
	if nodes {
		fmt.Fprintln(table, "\nNODE\tREADY")
		for _, n := range clusters[0].Nodes {
			fmt.Fprintf(table, "%s\t%t\n", n.Name, n.Ready)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, c := range clusters {
		if c.Failure != "" {
			fmt.Fprintf(w, "\n%s has failed: %s\n", c.Name, c.Failure)
		}
	}
	return nil
}
