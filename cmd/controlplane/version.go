package main

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"
	_ "unsafe" // for linkname

	istioversion "istio.io/istio/pkg/version"

	"chartbasico/internal/version"
)

// Kubernetes' build scripts set its version by linker flags. Without it the API server calls itself v0.0.0, and
// kubectl and charts that ask for a version of Kubernetes refuse it. Here the version is that of the module, however
// the program is built.
//
//go:linkname gitVersion k8s.io/component-base/version.dynamicGitVersion
var gitVersion atomic.Value

//go:linkname gitCommit k8s.io/component-base/version.gitCommit
var gitCommit string

func setVersions() error {
	const module = "k8s.io/kubernetes"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return fmt.Errorf("the program has no build information: the version of %s is not known", module)
	}
	for _, dep := range info.Deps {
		if dep.Path == module {
			gitVersion.Store(dep.Version)
			gitCommit = "" // a placeholder otherwise
			istioversion.Info.Version = version.Istio
			return nil
		}
	}
	return fmt.Errorf("the program's build information does not name %s", module)
}
