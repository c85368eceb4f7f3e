// Package version names the versions of what a local cluster runs, where the modules themselves do not tell.
package version

// Istio is the release that the required istio.io/istio module is of. The module is required by commit, and says of
// its version "unknown".
const Istio = "1.31.0"
