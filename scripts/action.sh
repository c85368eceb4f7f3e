#!/usr/bin/env bash
# What the action does in a repository of values: checks, verifies, and says what changes. Runs in that repository.
#
#   ENVIRONMENTS  environment files; default environments/*.yaml
#   BASE          revision to compare with; empty: no comparison
#   VERIFY        false: check only
#   REPORTS       directory for JUnit, HTML and Markdown; default reports
#   BASICO        basico, where it is built already
#
# Everything is run, also where something fell short; the exit status is the gravest.
set -euo pipefail
shopt -s globstar
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
reports=${REPORTS:-reports}
status=0

# try COMMAND...: keeps the gravest exit status.
try() {
  local got=0
  "$@" || got=$?
  if [ "$got" -gt "$status" ]; then status=$got; fi
}

if [ -z "${BASICO:-}" ]; then
  "$root/scripts/build.sh"
  BASICO=$root/bin/basico
  # A cluster is started from another repository than this one: its program must lie beside basico.
  if [ "${VERIFY:-true}" = true ]; then CGO_ENABLED=0 go -C "$root" build -o bin/ ./cmd/controlplane; fi
fi
mkdir -p "$reports"
# shellcheck disable=SC2206 # patterns are meant to be expanded
environments=(${ENVIRONMENTS:-environments/*.yaml})

try "$BASICO" check "${environments[@]}"
if [ "${VERIFY:-true}" = true ] && [ "$status" -eq 0 ]; then
  for env in "${environments[@]}"; do
    name=${env#environments/}
    name=${name%.*}
    name=${name//\//-}
    try "$BASICO" verify "$env" --junit "$reports/$name.xml" --report "$reports/$name.html"
  done
elif [ "${VERIFY:-true}" = true ]; then
  echo "not verified: the check fell short" >&2
fi

if [ -n "${BASE:-}" ]; then
  # A page that names a commit still says what it compares when it is read elsewhere, and later.
  if ! base=$(git rev-parse --short --verify --quiet "$BASE^{commit}"); then
    echo "there is no revision $BASE here. Fix: check out with fetch-depth: 0" >&2
    exit 2
  elif git ls-tree -r --name-only "$base" | grep -E '(^|/)Chart\.yaml$|\.tgz$' >/dev/null ||
    git grep -q -E 'chart: *["'\'']?oci://|^repositories:' "$base" -- environments; then
    try "$BASICO" diff "$base" HEAD -o markdown >"$reports/diff.new"
  else
    echo "### Rendered difference: not compared, as there is no chart in $base" >"$reports/diff.new"
  fi
  # What could not be compared says nothing, and leaves the comment that is there.
  if [ -s "$reports/diff.new" ]; then
    mv "$reports/diff.new" "$reports/diff.md"
    cat "$reports/diff.md" >>"${GITHUB_STEP_SUMMARY:-/dev/stdout}"
  else
    rm -f "$reports/diff.new" "$reports/diff.md"
  fi
fi
exit "$status"
