#!/usr/bin/env bash
# Builds bin/basico, and bin/controlplane beside it, where basico looks for it.
source "$(dirname "$0")/lib.sh"

# What is compiled decides whether the first compile is still to come: once done, Go's cache answers in seconds.
mark=$cache/compiled-$(hash go.mod go.sum)
note=""
[ -e "$mark" ] || note=" with Kubernetes, Istio, etcd and Helm from their Go modules: once, some minutes"
slow "building basico$note" go build -o bin/ ./cmd/basico ./cmd/controlplane
mkdir -p "$cache" && touch "$mark"
