#!/usr/bin/env bash
# Builds bin/basico. The control plane is built by basico itself when a local cluster first needs it.
source "$(dirname "$0")/lib.sh"

# What is compiled decides whether the first compile is still to come: once done, Go's cache answers in seconds.
mark=$cache/compiled-$(hash go.mod go.sum)
note=""
[ -e "$mark" ] || note=", with the parts of Helm, Kubernetes and Istio that it links: once, some minutes"
slow "building bin/basico$note" go build -ldflags='-s -w' -o bin/ ./cmd/basico # without what debuggers read: two thirds of the size
mkdir -p "$cache" && touch "$mark"
