package kind

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	kindcluster "sigs.k8s.io/kind/pkg/cluster"

	"chartbasico/pkg/cluster/internal/install"
)

// containers is the container runtime of this machine: its command, and kind's way to it.
type containers struct {
	command  string
	provider *kindcluster.Provider
}

// providerVariable is kind's own for those who have several runtimes.
const providerVariable = "KIND_EXPERIMENTAL_PROVIDER"

// findRuntime takes the runtime that the variable names, or the first that answers.
func findRuntime(ctx context.Context, log logger) (containers, error) {
	runtimes := []struct {
		name   string
		option kindcluster.ProviderOption
	}{
		{"docker", kindcluster.ProviderWithDocker()},
		{"podman", kindcluster.ProviderWithPodman()},
		{"nerdctl", kindcluster.ProviderWithNerdctl("nerdctl")},
	}
	wanted := os.Getenv(providerVariable)
	var errs []error
	for _, r := range runtimes {
		if wanted != "" && wanted != r.name {
			continue
		}
		if _, err := install.Run(ctx, "", r.name, "ps", "-q"); err != nil {
			errs = append(errs, fmt.Errorf("%s: %s", r.name, lastLine(err)))
			continue
		}
		return containers{command: r.name, provider: kindcluster.NewProvider(r.option, kindcluster.ProviderWithLogger(log))}, nil
	}
	if len(errs) == 0 {
		return containers{}, fmt.Errorf("%s: found %q, expected docker, podman or nerdctl", providerVariable, wanted)
	}
	return containers{}, fmt.Errorf("a kind cluster needs a container runtime that answers; where no container registry can be reached, scripts/airgap/build.sh installs podman and builds the images:\n%w", errors.Join(errs...))
}

// image is an image that the runtime has.
type image struct {
	name, id, platform string
	built              bool // by scripts/airgap, from what no registry gives
}

// builtLabel is on the images that scripts/airgap builds.
const builtLabel = "basico.key"

// find returns an image that the runtime has.
func (c containers) find(ctx context.Context, name string) (image, error) {
	out, err := install.Run(ctx, "", c.command, "image", "inspect", name)
	if err != nil {
		return image{}, err
	}
	var inspected []struct {
		ID               string `json:"Id"`
		Os, Architecture string
		Config           struct{ Labels map[string]string }
	}
	if err := json.Unmarshal([]byte(out), &inspected); err != nil {
		return image{}, fmt.Errorf("%s image inspect %s: %w", c.command, name, err)
	}
	if len(inspected) != 1 {
		return image{}, fmt.Errorf("%s image inspect %s: found %d images, expected one", c.command, name, len(inspected))
	}
	found := inspected[0]
	_, built := found.Config.Labels[builtLabel]
	return image{name: name, id: found.ID, platform: found.Os + "/" + found.Architecture, built: built}, nil
}

// ensure returns images, and pulls those that the runtime does not have. The error names every one that is missing.
func (c containers) ensure(ctx context.Context, names []string, say func(string)) ([]image, error) {
	images := make([]image, len(names))
	errs := make([]error, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() {
			var err error
			if images[i], err = c.find(ctx, name); err == nil {
				return
			}
			say("pulling " + name)
			if _, err := install.Run(ctx, "", c.command, "pull", "-q", name); err != nil {
				errs[i] = fmt.Errorf("image %s is not on this machine, and cannot be pulled: %s", name, lastLine(err))
				return
			}
			images[i], errs[i] = c.find(ctx, name)
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := errors.Join(errs...); err != nil {
		hint := "where no container registry can be reached, scripts/airgap/build.sh builds those of the default versions"
		if c.command != "podman" {
			hint += fmt.Sprintf(" for podman, which is taken in place of %s by %s=podman", c.command, providerVariable)
		}
		return nil, fmt.Errorf("%w\n%s", err, hint)
	}
	return images, nil
}

func lastLine(err error) string {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	return lines[len(lines)-1]
}

// newestNode returns the newest of kind's node images that scripts/airgap built, "" if there is none: a published one may
// be there for somebody else's sake, and be too old.
func (c containers) newestNode(ctx context.Context) (string, error) {
	out, err := install.Run(ctx, "", c.command, "image", "ls", "--filter", "label="+builtLabel, "--format", "{{.Repository}}:{{.Tag}}")
	if err != nil {
		return "", err
	}
	newest, version := "", ""
	for name := range strings.Lines(out) {
		name = strings.TrimSpace(name)
		tag, ok := strings.CutPrefix(strings.TrimPrefix(name, "docker.io/"), "kindest/node:")
		if ok && newer(tag, version) {
			newest, version = name, tag
		}
	}
	return newest, nil
}

// save writes images, at least one and all of one platform, into one archive.
func (c containers) save(ctx context.Context, path string, images []image) error {
	args := []string{"save", "-o", path}
	switch c.command {
	case "podman":
		args = append(args, "-q", "-m") // several images in one archive
	case "docker":
		// The archive of containerd's store names every platform of an image, and a node refuses it if one was not pulled:
		// https://github.com/kubernetes-sigs/kind/issues/3795.
		store, err := install.Run(ctx, "", c.command, "info", "--format", "{{.DriverStatus}}")
		if err != nil {
			return err
		}
		if strings.Contains(store, "io.containerd.snapshotter") {
			args = append(args, "--platform", images[0].platform)
		}
	}
	for _, i := range images {
		args = append(args, i.name)
	}
	_, err := install.Run(ctx, "", c.command, args...)
	return err
}
