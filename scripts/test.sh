#!/usr/bin/env bash
# Every test there is. Fails when a test failed, and when one was skipped: nothing here is optional.
source "$(dirname "$0")/lib.sh"
source scripts/tools.sh
say "test: the tools that the suites compare with, then every package"
scripts/build.sh
# One assignment a line: a tool that cannot be built ends the script.
HELM=$(tool helm)
HELM4=$(tool helm4)
KUBECTL=$(tool kubectl)
ISTIOCTL=$(tool istioctl)
HELMFILE=$(tool helmfile)
REGISTRY=$(tool registry)
UNITTEST=$(tool unittest)
CT=$(tool ct)
CHROMIUM=$(tool chromium)
BASICO=$PWD/bin/basico
export HELM HELM4 KUBECTL ISTIOCTL HELMFILE REGISTRY UNITTEST CT CHROMIUM BASICO
gotestsum=$(tool gotestsum)
events=$(mktemp)
BASICO_FIGURES=$(mktemp)
export BASICO_FIGURES
trap 'rm -f "$events" "$BASICO_FIGURES"' EXIT

if [ -n "${JUNIT:-}" ]; then mkdir -p "$(dirname "$JUNIT")"; fi
slow "generated files are what their sources say" scripts/verify-generated.sh
# One package at a time: the suites measure, and would measure each other.
slow "compiling the tests" go test -run '^$' ./...
"$gotestsum" --format pkgname --jsonfile "$events" ${JUNIT:+--junitfile "$JUNIT"} -- -count=1 -p 1 -timeout 75m ./...
none_skipped "$events"

say "how safe the chart is (docs/safety.md):"
say "$(sort -u "$BASICO_FIGURES")"
