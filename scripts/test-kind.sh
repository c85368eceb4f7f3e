#!/usr/bin/env bash
# The suites on a kind cluster of their own, which is deleted in the end; and bookinfo-prod verified there and on a local
# cluster, with the splits side by side in kind-report.html. KUBERNETES is the version of the nodes, as in 1.37.0, and
# ISTIO that of Istio, as in 1.30.0. SUITES names some of the suites; those that it leaves out are listed. Fails when a
# test failed, and when one was skipped.
source "$(dirname "$0")/lib.sh"
source scripts/tools.sh
all='Environments Injection HelmInstall WorkloadKinds ClustersAgree HelmUnderLoad StorageOutlivesItsPod FaultsUnderLoad MissingImage PromoteApplications Context RedStars PlainRequests ClustersSideBySide'
suites=${SUITES:-$all}
for suite in $suites; do
  [[ " $all " = *" $suite "* ]] || { say "SUITES: found $suite, expected some of: $all"; exit 2; }
done
say "test-kind: real sidecars and applications, by the same suites as in make test"
images=$(scripts/images.sh)
export KIND_EXPERIMENTAL_PROVIDER=${images#* }
scripts/build.sh
HELM=$(tool helm)
HELM4=$(tool helm4)
HELMFILE=$(tool helmfile)
KUBECTL=$(tool kubectl)
BASICO_KIND=test-$$
export HELM HELM4 HELMFILE KUBECTL BASICO_KIND
gotestsum=$(tool gotestsum)
slow "compiling the tests" go test -tags kind -run '^$' ./test
work=$(mktemp -d)
trap 'rm -rf "$work"; bin/basico cluster delete --kind kind --name "$BASICO_KIND"' EXIT

if [ -n "${JUNIT:-}" ]; then mkdir -p "$(dirname "$JUNIT")"; fi
bin/basico cluster create --kind kind --name "$BASICO_KIND" ${KUBERNETES:+--kubernetes "$KUBERNETES"} ${ISTIO:+--istio "$ISTIO"}

# bookinfo-prod is verified by the command, below.
others=bookinfo-prod
if [ "${images% *}" = built ]; then
  others+='|bookinfo-mysql|kinds'
  say "not run: the environments bookinfo-mysql and kinds, as only a container registry has their applications' images"
fi
for suite in $all; do
  [[ " $suites " = *" $suite "* ]] || say "not run: Test$suite, as SUITES leaves it out"
done
"$gotestsum" --format testname --jsonfile "$work/events" ${JUNIT:+--junitfile "$JUNIT"} -- -tags kind -count=1 -timeout 90m \
  -run "^Test(${suites// /|})\$" \
  -skip "^TestEnvironments\$/^($others)\$" ./test
none_skipped "$work/events"
for suite in $suites; do
  grep -q "\"Test\":\"Test$suite\"" "$work/events" || { say "Test$suite did not run: there is no such test"; exit 1; }
done

# Last, as its releases stay.
bin/basico verify environments/bookinfo-prod.yaml -o json >"$work/local.json"
bin/basico verify environments/bookinfo-prod.yaml --on kind --cluster "$BASICO_KIND" \
  --beside "$work/local.json" --report kind-report.html \
  ${JUNIT:+--junit "${JUNIT%.xml}-bookinfo-prod.xml"}
say "report: kind-report.html"
