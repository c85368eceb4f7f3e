#!/usr/bin/env bash
# A kind cluster with Istio.
source "$(dirname "$0")/lib.sh"
images=$(scripts/images.sh)
export KIND_EXPERIMENTAL_PROVIDER=${images#* }
scripts/build.sh
bin/basico cluster create --kind kind "$@"
