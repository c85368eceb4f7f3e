#!/usr/bin/env bash
# Images for kind: the published ones where a container registry can be reached, else images of the same names that are
# built here. Prints which: published, or built.
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
  say "images: a container registry can be reached, so the published ones are taken"
  echo published
else
  say "images: no container registry can be reached, so they are built here"
  scripts/airgap/build.sh
  echo built
fi
