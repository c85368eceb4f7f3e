#!/usr/bin/env bash
# The charts below DIR (default: this repository), as chart-testing looks at them: helm lint with each of ci/*-values.yaml,
# Chart.yaml by its schema, YAML by yamllint.
#
#   lint-chart.sh [DIR]
source "$(dirname "$0")/lib.sh"
source scripts/tools.sh
ct=$(tool ct)
helm=$(tool helm)
yamllint=$(tool yamllint)
etc=$(go -C scripts/tools/chart list -m -f '{{.Dir}}' github.com/helm/chart-testing/v3)/etc
say "ct lint"
cd "${1:-.}"
PATH=$(dirname "$yamllint"):$(dirname "$helm"):$PATH "$ct" lint --config ct.yaml \
  --chart-yaml-schema "$etc/chart_schema.yaml" --lint-conf "$etc/lintconf.yaml"
