#!/usr/bin/env bash
# Rendering and checking bookinfo-prod, beside the commands that people use for it, in one run.
source "$(dirname "$0")/lib.sh"
source scripts/tools.sh
HELM=$(tool helm)
ISTIOCTL=$(tool istioctl)
export HELM ISTIOCTL
slow "compiling the benchmark" go test -run '^$' ./pkg/check
go test -run '^$' -bench 'RenderAndCheck|Peers' ./pkg/check
