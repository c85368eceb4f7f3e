#!/usr/bin/env bash
# Publishes the chart as it is in HEAD: to a registry, as a release of the repository's host, and in the index of the
# pages branch, in this order, each only after the one before. basico refuses what may not be published.
#
#   CHART_REGISTRY       oci://HOST/PATH; empty: no registry
#   REGISTRY_USERNAME, REGISTRY_PASSWORD
#   SIGNING_KEY          PGP private key, armored; empty: not signed. BASICO_PASSPHRASE opens it
#   DOWNLOADS            below which the host serves the assets of releases
#   PAGES                branch of the index; default gh-pages
#   BASICO               basico, where it is built already
source "$(dirname "$0")/lib.sh"
umask 077
temp=$(mktemp -d)
finish() {
  git worktree remove --force "$temp/pages" 2>/dev/null || true
  rm -rf "$temp"
}
trap finish EXIT
trap 'exit 130' INT TERM

if [ -z "${BASICO:-}" ]; then
  scripts/build.sh
  BASICO=bin/basico
fi
: "${DOWNLOADS:?where the assets of releases are found, such as https://HOST/OWNER/REPO/releases/download}"
pages=${PAGES:-gh-pages}
chart=$(sed -n 's/^name: *//p' charts/chart_basico/Chart.yaml)
version=$(sed -n 's/^version: *//p' charts/chart_basico/Chart.yaml)
tag=$chart-$version

if git fetch --quiet origin "$pages"; then
  git worktree add --quiet --detach "$temp/pages" FETCH_HEAD
else
  say "there is no branch $pages yet: it begins with this release"
  git worktree add --quiet --detach "$temp/pages" HEAD
  git -C "$temp/pages" checkout --quiet --orphan "$pages"
  git -C "$temp/pages" rm -r --quiet --force .
fi

out=$temp/dist
options=(--destination "$out")
if [ -n "${SIGNING_KEY:-}" ]; then
  printf '%s\n' "$SIGNING_KEY" >"$temp/key.asc"
  options+=(--key "$temp/key.asc")
fi
registry=(--index "$temp/pages/index.yaml" --url "$DOWNLOADS/$tag")
if [ -n "${CHART_REGISTRY:-}" ]; then
  registry+=(--to "$CHART_REGISTRY")
  if [ -n "${REGISTRY_USERNAME:-}" ]; then
    printf '%s\n' "${REGISTRY_PASSWORD:-}" >"$temp/password"
    registry+=(--username "$REGISTRY_USERNAME" --password-file "$temp/password")
  fi
fi
"$BASICO" publish "${options[@]}" "${registry[@]}"

gh release create "$tag" "$out"/* --verify-tag --title "$tag" --generate-notes
git -C "$temp/pages" add index.yaml
git -C "$temp/pages" commit --quiet --message "Publish $tag"
git -C "$temp/pages" push --quiet origin "HEAD:refs/heads/$pages"
say "published $tag"
