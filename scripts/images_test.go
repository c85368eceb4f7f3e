package scripts

import (
	"maps"
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
		absent  = "exit 127"
		offline = `[ "$1" = ps ]`
		online  = "exit 0"
	)
	for name, c := range map[string]struct {
		docker, podman, nerdctl, provider string
		prints, says                      string
	}{
		"registry":              {docker: online, podman: offline, nerdctl: absent, prints: "published docker", says: "docker can reach a container registry"},
		"no registry":           {docker: absent, podman: offline, nerdctl: absent, prints: "built podman", says: "podman can reach no container registry"},
		"docker, no registry":   {docker: offline, podman: online, nerdctl: absent, prints: "built podman", says: "docker can reach no container registry, so they are built here, for podman"},
		"the one that is named": {docker: offline, podman: online, nerdctl: absent, provider: "podman", prints: "published podman", says: "podman can reach"},
		"nerdctl alone":         {docker: absent, podman: absent, nerdctl: online, prints: "published nerdctl", says: "nerdctl can reach"},
		"none":                  {docker: absent, podman: absent, nerdctl: absent, prints: "built podman", says: "no container runtime answers, so podman is installed"},
	} {
		t.Run(name, func(t *testing.T) {
			r := gittest.New(t)
			with(t, r, "images.sh")
			r.Write("scripts/airgap/build.sh", "#!/bin/sh\necho building >&2\n")
			require.NoError(t, os.Chmod(filepath.Join(r.Dir, "scripts/airgap/build.sh"), 0o700))
			stubs := stub(t, map[string]string{"docker": c.docker, "podman": c.podman, "nerdctl": c.nerdctl})
			status, said := run(t, r.Dir, []string{"PATH=" + stubs + ":" + os.Getenv("PATH"), "KIND_EXPERIMENTAL_PROVIDER=" + c.provider}, filepath.Join(r.Dir, "scripts/images.sh"))
			assert.Zero(t, status, said)
			assert.Contains(t, said, c.prints+"\n")
			assert.Contains(t, said, c.says)
			assert.Equal(t, c.prints == "built podman", strings.Contains(said, "building\n"), said)
		})
	}
}

// stub makes programs that do what is said.
func stub(t *testing.T, programs map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, does := range programs {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+does+"\n"), 0o700))
	}
	return dir
}

// Only where there can be no containers may who wants images go without.
func TestNoContainers(t *testing.T) {
	may := map[string]string{"docker": "exit 127", "podman": "exit 127", "nerdctl": "exit 127", "unshare": "exit 0", "dpkg-query": "exit 1", "id": "echo 0", "apt-get": "echo no packages; exit 100"}
	for name, c := range map[string]struct {
		programs map[string]string
		status   int
		says     string
	}{
		"no namespaces": {map[string]string{"unshare": "echo unshare: Operation not permitted; exit 1"}, 3,
			"airgap: no container can be run here: unshare: Operation not permitted; run this as root, where namespaces may be made\n"},
		"nobody may install":          {map[string]string{"id": "echo 1000"}, 3, "airgap: missing here: podman runc "},
		"nobody may install the rest": {map[string]string{"id": "echo 1000", "dpkg-query": `[ "$4" != debootstrap ] && echo installed`}, 1, "airgap: missing here: debootstrap"},
		"no packages":                 {nil, 1, "no packages\n"},
		"a package fails":             {map[string]string{"apt-get": `[ "$1" = update ] || { echo no package; exit 100; }`}, 1, "no package\n"},
		"anything else":               {map[string]string{"go": "echo no modules >&2; exit 1"}, 1, "no modules\n"},
	} {
		t.Run(name, func(t *testing.T) {
			programs := maps.Clone(may)
			maps.Copy(programs, c.programs)
			env := []string{"PATH=" + stub(t, programs) + ":" + os.Getenv("PATH"), "XDG_CACHE_HOME=" + t.TempDir(), "KIND_EXPERIMENTAL_PROVIDER="}
			status, said := run(t, "..", env, script(t, "images.sh"))
			assert.Equal(t, c.status, status, said)
			assert.Contains(t, said, c.says)
		})
	}
}

func TestCIWithoutImages(t *testing.T) {
	for name, c := range map[string]struct {
		images string // what the script does
		status int
		says   string
	}{
		"images":        {"echo published docker", 0, "make lint\nmake race\nmake test\nmake test-kind\n"},
		"no containers": {"exit 3", 0, "make test\nnot run: make test-kind, as this machine can have no containers\n"},
		"a failure":     {"echo it broke; exit 1", 1, "make test\n"},
	} {
		t.Run(name, func(t *testing.T) {
			r := gittest.New(t)
			r.Write(".ci/run", read(t, "../.ci/run"))
			r.Write("scripts/images.sh", "#!/bin/sh\n"+c.images+"\n")
			for _, file := range []string{".ci/run", "scripts/images.sh"} {
				require.NoError(t, os.Chmod(filepath.Join(r.Dir, file), 0o700))
			}
			env := []string{"PATH=" + stub(t, map[string]string{"make": `echo make "$@"`}) + ":" + os.Getenv("PATH")}
			status, said := run(t, r.Dir, env, filepath.Join(r.Dir, ".ci/run"))
			assert.Equal(t, c.status, status, said)
			assert.True(t, strings.HasSuffix(said, c.says), said)
		})
	}
}
