#!/usr/bin/env bash
# The race detector over our own packages' tests; the suites in test/ run without it, in scripts/test.sh.
source "$(dirname "$0")/lib.sh"
source scripts/tools.sh
REGISTRY=$(tool registry)
export REGISTRY
export CGO_ENABLED=1 # the detector is in C
packages=$(go list ./internal/... ./pkg/... ./cmd/basico)
slow "compiling our packages for the race detector" go test -race -run '^$' $packages
go test -race -count=1 -p 1 -timeout 20m $packages
