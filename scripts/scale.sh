#!/usr/bin/env bash
# How time and memory grow, written into docs/scale.md.
source "$(dirname "$0")/lib.sh"
scripts/build.sh
go run ./internal/scale
