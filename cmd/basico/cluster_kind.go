package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"chartbasico/pkg/cluster/kind"
)

func runKindCreate(ctx context.Context, s streams, f clusterFlags) error {
	c, err := kind.Create(ctx, kind.Options{
		Name: f.name, Nodes: f.nodes, Kubernetes: f.kubernetes, Istio: f.istio, IstioCharts: f.istioCharts,
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
	return showCreated(s, f, status, status.Kubeconfig)
}

func runKindStatus(ctx context.Context, s streams, f clusterFlags) error {
	clusters, err := kindStatuses(ctx, f.name)
	if err != nil {
		return err
	}
	return showClusters(s, f, clusters, kind.ErrNotRunning, clusterTable[kind.Status]{
		none: "no kind cluster runs", title: "NAME\tSTATE\tSINCE\tKUBERNETES\tKUBECONFIG",
		row: func(c kind.Status) string {
			since := "" // until its nodes are made
			if !c.Started.IsZero() {
				since = c.Started.Format(time.DateTime)
			}
			return strings.Join([]string{c.Name, state(c.Failure), since, c.Kubernetes, c.Kubeconfig}, "\t")
		},
		partTitle: "NODE\tREADY",
		parts: func(c kind.Status) []string {
			var rows []string
			for _, n := range c.Nodes {
				rows = append(rows, fmt.Sprintf("%s\t%t", n.Name, n.Ready))
			}
			return rows
		},
		failure: func(c kind.Status) (name, why string) { return c.Name, c.Failure },
	})
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
