#!/usr/bin/env bash
# A kind cluster with Istio.
source "$(dirname "$0")/lib.sh"
scripts/images.sh >/dev/null
scripts/build.sh
bin/basico cluster create --kind kind "$@"
