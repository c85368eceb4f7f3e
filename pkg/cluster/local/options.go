// Package local runs a cluster as plain processes on this machine: the real Kubernetes control plane, the real Istio
// control plane and real Envoy proxies; only the applications in the pods are stand-ins. It needs no container and no
// root, listens on loopback addresses only, and starts in seconds. Any number of clusters run side by side.
package local

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"

	"chartbasico/internal/cachedir"
)

// DefaultName is the name of a cluster that was given none.
const DefaultName = "basico"

// Options says how a cluster is started. Its zero value is a useful cluster.
type Options struct {
	// Name is the cluster's name: a lower-case DNS label of at most 40 characters. Default DefaultName. Only one
	// cluster of a name runs in a directory at a time.
	Name string
	// Envoy is the path of the Envoy executable. Default: the one on the PATH, else a pinned one, installed once
	// into the user's cache.
	Envoy string
	// ControlPlane is the path of the program built from cmd/controlplane. Default: the one beside this executable,
	// else one built once from this module, in the user's cache.
	ControlPlane string
	// Progress is called with a line for people at each step. Default: nobody is told.
	Progress func(string)
	// Log takes what the cluster does. Default: the file supervisor.log in the cluster's state directory.
	Log *slog.Logger
	// Dir holds the state directory of each cluster. Default: basico/clusters in the user's cache directory.
	Dir string
}

// ErrExists is returned by Start when a cluster of that name runs.
var ErrExists = errors.New("it is running")

// ErrNotRunning is returned by Open when no cluster of that name runs.
var ErrNotRunning = errors.New("it is not running")

var validName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$`)

func (o Options) withDefaults() (Options, error) {
	if o.Name == "" {
		o.Name = DefaultName
	}
	if !validName.MatchString(o.Name) {
		return o, fmt.Errorf("the name of a cluster must be lower-case letters, digits and inner dashes, at most 40, found %q", o.Name)
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.Dir == "" {
		dir, err := defaultDir()
		if err != nil {
			return o, err
		}
		o.Dir = dir
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return o, err
	}
	o.Dir = dir
	return o, nil
}

func defaultDir() (string, error) {
	cache, err := cachedir.Dir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "clusters"), nil
}
