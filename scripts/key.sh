#!/usr/bin/env bash
# Says to later steps of the action, as "key", which modules are compiled: what is kept between runs is good for those.
source "$(dirname "$0")/lib.sh"
echo "key=$(hash go.mod go.sum)" >>"$GITHUB_OUTPUT"
