# Shared by the scripts: where slow results are kept, and how a slow step says what it does.
set -euo pipefail
shopt -s inherit_errexit # what fails in $(…) ends that, too
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ -z "${XDG_CACHE_HOME:-}${HOME:-}" ]; then
  echo "neither HOME nor XDG_CACHE_HOME is set, one of which says where to keep what is built. Fix: export HOME, as Go needs it too" >&2
  exit 1
fi
cache=${XDG_CACHE_HOME:-$HOME/.cache}/basico
# One way to compile for all: what a program, a test and an image have in common is compiled once.
export CGO_ENABLED=0

# hash FILE...: one short hash over the files' contents.
hash() { cat "$@" | sha256sum | cut -c1-16; }

# say TEXT: a line of progress.
say() { printf '%s\n' "$*" >&2; }

# slow WHAT COMMAND...: runs the command; says what it is at once, and every 15 s that it goes on.
# The command's output is shown only when it fails.
slow() {
  local what=$1 log pid start=$SECONDS; shift
  log=$(mktemp)
  say "$what ..."
  "$@" >"$log" 2>&1 &
  pid=$!
  trap 'kill "$pid" 2>/dev/null || true; rm -f "$log"; exit 130' INT TERM
  while kill -0 "$pid" 2>/dev/null; do
    for _ in {1..75}; do kill -0 "$pid" 2>/dev/null || break; sleep 0.2; done
    if kill -0 "$pid" 2>/dev/null; then say "$what ... $((SECONDS - start)) s"; fi
  done
  trap - INT TERM
  if ! wait "$pid"; then cat "$log" >&2; rm -f "$log"; return 1; fi
  rm -f "$log"
}

# none_skipped EVENTS: fails when go test's events, as JSON, say that a test was skipped.
none_skipped() {
  local skipped
  skipped=$(grep '"Action":"skip"' "$1" | grep '"Test":' || true)
  if [ -n "$skipped" ]; then
    say "these tests were skipped, and none may be:"
    say "$skipped"
    return 1
  fi
}
