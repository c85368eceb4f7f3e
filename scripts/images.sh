#!/usr/bin/env bash
# Images for kind: the published ones where a container registry can be reached, else images of the same names that are
# built here, for podman. Prints which, published or built, and the runtime that has them: both of kind's own names. Ends
# with status 3 where there can be no containers.
source "$(dirname "$0")/lib.sh"

# answering: the container runtime that basico takes.
answering() {
  local name
  for name in docker podman nerdctl; do
    if [ "${KIND_EXPERIMENTAL_PROVIDER:-$name}" = "$name" ] && "$name" ps -q >/dev/null 2>&1; then
      printf '%s\n' "$name"
      return
    fi
  done
  return 1
}

if ! runtime=$(answering); then
  say "images: no container runtime answers, so podman is installed and the images are built here"
elif timeout 60 "$runtime" pull -q registry.k8s.io/pause:3.10 >/dev/null 2>&1; then # the smallest image there is will tell
  say "images: $runtime can reach a container registry, so the published ones are taken"
  echo "published $runtime"
  exit
else
  say "images: $runtime can reach no container registry, so they are built here, for podman"
fi
scripts/airgap/build.sh
echo "built podman"
