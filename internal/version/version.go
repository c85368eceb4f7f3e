// Package version names the versions of what a local cluster runs, where the modules themselves do not tell.
package version

import (
	"cmp"
	"runtime/debug"
)

// Istio is the release that the required istio.io/istio module is of. The module is required by commit, and says of
// its version "unknown".
const Istio = "1.31.0"

// Basico is the version of this program, as Go recorded it when it was built: of the module, or of the commit. It is
// "(devel)" where it was built from neither.
func Basico() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(devel)"
	}
	return cmp.Or(info.Main.Version, "(devel)")
}
