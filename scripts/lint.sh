#!/usr/bin/env bash
# gofmt, vet, staticcheck and the import rules, by golangci-lint; go.mod is tidy; the workflows, by actionlint; the chart,
# by chart-testing.
source "$(dirname "$0")/lib.sh"
source scripts/tools.sh
linter=$(tool golangci-lint)
actionlint=$(tool actionlint)
scripts/lint-chart.sh
say "actionlint"
"$actionlint"
slow "go.mod is tidy" go mod tidy -diff
say "golangci-lint"
"$linter" run ./...
