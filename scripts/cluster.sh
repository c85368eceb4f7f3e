#!/usr/bin/env bash
# A kind cluster with Istio: with the published images where a container registry can be reached, else with images of
# the same names that are built here.
source "$(dirname "$0")/lib.sh"

# reaches_registry: whether the runtime can pull; the smallest image there is will tell.
reaches_registry() {
  local runtime
  for runtime in docker podman; do
    if "$runtime" ps -q >/dev/null 2>&1; then
      timeout 60 "$runtime" pull -q registry.k8s.io/pause:3.10 >/dev/null 2>&1
      return
    fi
  done
  return 1
}

if reaches_registry; then
  say "cluster: a container registry can be reached, so the published images are taken"
else
  say "cluster: no container registry can be reached, so the images are built here"
  scripts/airgap/build.sh
fi
scripts/build.sh
bin/basico cluster create --kind kind "$@"
