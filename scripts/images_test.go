package scripts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chartbasico/internal/git/gittest"
)

// Images are built for the runtime that is told, and only where it was asked, and could not pull.
func TestImages(t *testing.T) {
	const (
		absent  = ""
		offline = `[ "$1" = ps ]`
		online  = "exit 0"
	)
	for name, c := range map[string]struct {
		docker, podman, nerdctl, provider string
		prints, says                      string
	}{
		"registry":              {docker: online, podman: offline, prints: "published docker", says: "docker can reach a container registry"},
		"no registry":           {podman: offline, prints: "built podman", says: "podman can reach no container registry"},
		"docker, no registry":   {docker: offline, podman: online, prints: "built podman", says: "docker can reach no container registry, so they are built here, for podman"},
		"the one that is named": {docker: offline, podman: online, provider: "podman", prints: "published podman", says: "podman can reach"},
		"nerdctl alone":         {nerdctl: online, prints: "published nerdctl", says: "nerdctl can reach"},
		"none":                  {prints: "built podman", says: "no container runtime answers, so podman is installed"},
	} {
		t.Run(name, func(t *testing.T) {
			r := gittest.New(t)
			with(t, r, "images.sh")
			r.Write("scripts/airgap/build.sh", "#!/bin/sh\necho building >&2\n")
			require.NoError(t, os.Chmod(filepath.Join(r.Dir, "scripts/airgap/build.sh"), 0o700))
			stubs := t.TempDir()
			for as, does := range map[string]string{"docker": c.docker, "podman": c.podman, "nerdctl": c.nerdctl} {
				if does == absent {
					does = "exit 127"
				}
				require.NoError(t, os.WriteFile(filepath.Join(stubs, as), []byte("#!/bin/sh\n"+does+"\n"), 0o700))
			}
			status, said := run(t, r.Dir, []string{"PATH=" + stubs + ":" + os.Getenv("PATH"), "KIND_EXPERIMENTAL_PROVIDER=" + c.provider}, filepath.Join(r.Dir, "scripts/images.sh"))
			assert.Zero(t, status, said)
			assert.Contains(t, said, c.prints+"\n")
			assert.Contains(t, said, c.says)
			assert.Equal(t, c.prints == "built podman", strings.Contains(said, "building\n"), said)
		})
	}
}
