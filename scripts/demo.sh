#!/usr/bin/env bash
# The main job on real input: bookinfo's two environments on a local cluster, with measured routing.
source "$(dirname "$0")/lib.sh"
say "demo: bookinfo on a local cluster, each stage of its routing measured"
scripts/build.sh
bin/basico verify environments/bookinfo-prod.yaml --report report.html
bin/basico verify environments/bookinfo-dev.yaml
say "report: report.html"
