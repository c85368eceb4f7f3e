package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"chartbasico/pkg/cluster"
	"chartbasico/pkg/cluster/kind"
	"chartbasico/pkg/cluster/local"
	"chartbasico/pkg/cluster/remote"
)

// targetFlags say which cluster it is.
type targetFlags struct {
	on      string
	context string
	cluster string // "" where none is named
}

// add adds the flags. The notes are what the verb has to say besides of --context and --cluster.
func (f *targetFlags) add(flags *pflag.FlagSet, contextNote, clusterNote string) {
	flags.StringVar(&f.on, "on", "local", "kind of cluster: local, or kind for real sidecars and applications")
	flags.StringVar(&f.context, "context", "", "use the cluster of that context of the kubeconfig"+contextNote)
	flags.StringVar(&f.cluster, "cluster", "", "use the running cluster of that name (see basico cluster create)"+clusterNote)
}

func (f targetFlags) mistakes() []error {
	var errs []error
	if f.on != "local" && f.on != "kind" {
		errs = append(errs, fmt.Errorf("--on: found %q, expected local or kind", f.on))
	}
	if f.context != "" && (f.on != "local" || f.cluster != "") {
		errs = append(errs, errors.New("--context names a cluster that runs, so --on and --cluster have nothing to say beside it"))
	}
	return errs
}

// command repeats the flags.
func (f targetFlags) command() string {
	line := ""
	if f.on != "local" {
		line += " --on " + f.on
	}
	if f.context != "" {
		line += " --context " + quote(f.context)
	}
	if f.cluster != "" {
		line += " --cluster " + quote(f.cluster)
	}
	return line
}

// open opens the cluster, which must be running, and returns what closes it again.
func (f targetFlags) open(ctx context.Context, say func(string)) (cluster.Cluster, func() error, error) {
	name := cmp.Or(f.cluster, local.DefaultName) // kind's is the same
	switch {
	case f.context != "":
		c, err := remote.Open(ctx, remote.Options{Context: f.context, Progress: say})
		if err != nil {
			return nil, nil, err
		}
		return c, c.Close, nil
	case f.on == "kind":
		c, err := kind.Open(ctx, name, say)
		if errors.Is(err, kind.ErrNotRunning) {
			if localRuns(ctx, name) {
				return nil, nil, fmt.Errorf("cluster %s is a local one: leave out --on kind", name)
			}
			err = fmt.Errorf("%w; start it with: basico cluster create --kind kind --name %s", err, name)
		}
		if err != nil {
			return nil, nil, err
		}
		return c, c.Close, nil
	}
	c, err := local.Open(ctx, name)
	if errors.Is(err, local.ErrNotRunning) {
		if kindRuns(ctx, name) {
			return nil, nil, fmt.Errorf("cluster %s is one of kind: add --on kind", name)
		}
		err = fmt.Errorf("%w; start it with: basico cluster create --name %s", err, name)
	}
	if err != nil {
		return nil, nil, err
	}
	return c, func() error { return nil }, nil
}

// localRuns and kindRuns say whether there is a cluster of that name, to tell people who asked for the other kind.
func localRuns(ctx context.Context, name string) bool {
	_, err := local.Open(ctx, name)
	return err == nil
}

func kindRuns(ctx context.Context, name string) bool {
	c, err := kind.Open(ctx, name, nil)
	return err == nil && c.Close() == nil
}

// closed is what a verb returns that ended with err, and whose cluster was closed then.
func closed(err, closing error) error {
	var exit exitError
	if closing != nil && errors.As(err, &exit) && exit.err == nil {
		return closing // all else is in the report
	}
	return errors.Join(err, closing)
}
