#!/usr/bin/env bash
# What the working revision changes since BASE, as Markdown; the version is judged by the last release.
#
#   diff.sh BASE FILE          BASICO: basico, where it is built already
source "$(dirname "$0")/lib.sh"
if [ -z "${BASICO:-}" ]; then
  scripts/build.sh
  BASICO=bin/basico
fi
# A page that names a commit still says what it compares when it is read elsewhere, and later.
if ! base=$(git rev-parse --short --verify --quiet "$1^{commit}"); then
  say "there is no revision $1 here. Fix: check out with fetch-depth: 0"
  exit 2
fi
mkdir -p "$(dirname "$2")"
status=0
"$BASICO" diff "$base" HEAD --since-release -o markdown >"$2.new" || status=$?
# What could not be compared says nothing, and leaves the comment that is there.
if [ -s "$2.new" ]; then
  mv "$2.new" "$2"
  cat "$2" >>"${GITHUB_STEP_SUMMARY:-/dev/stdout}"
else
  rm -f "$2.new" "$2"
fi
exit "$status"
