package local

import (
	"context"

	"chartbasico/pkg/cluster/internal/install"
	"chartbasico/pkg/cluster/local/internal/envoy"
)

// controlPlane is etcd, Kubernetes and istiod in one.
var controlPlane = install.Program{
	Name: "controlplane", What: "the control plane's program",
	Inputs:   []string{"cmd/controlplane/*.go", "internal/version/*.go"},
	Env:      []string{"CGO_ENABLED=0"}, // as the scripts compile all else, so that most of it is in Go's cache
	Building: "building etcd, Kubernetes and istiod from their Go modules: once, some minutes if nothing of them is in Go's cache",
}

// findPrograms finds, or makes once, the programs that a cluster consists of: Envoy first, as the other takes minutes.
func (o *Options) findPrograms(ctx context.Context) error {
	var err error
	if o.Envoy, err = envoy.Find(ctx, o.Envoy, o.Progress); err != nil {
		return err
	}
	o.ControlPlane, err = controlPlane.Find(ctx, o.ControlPlane, o.Progress)
	return err
}
