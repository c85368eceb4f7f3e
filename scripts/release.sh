#!/usr/bin/env bash
# Publishes the chart as it is in HEAD: to a registry, as a release of the repository's host, and in the index of the
# pages branch, in this order, each only after the one before. basico refuses what may not be published. Where the index
# failed, a second run goes on from there: no branch is made here, and what the release has already stays.
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

parent=""
found=0
git ls-remote --quiet --exit-code origin "refs/heads/$pages" >/dev/null || found=$?
case $found in
0)
  git fetch --quiet origin "refs/heads/$pages"
  parent=$(git rev-parse FETCH_HEAD)
  git worktree add --quiet --detach "$temp/pages" "$parent"
  ;;
2) # git's answer where there is no such branch
  say "there is no branch $pages yet: it begins with this release"
  git worktree add --quiet --detach "$temp/pages" HEAD
  git -C "$temp/pages" rm -r --quiet --force .
  ;;
*)
  say "origin did not say whether it has the branch $pages: nothing published. Fix: see that git ls-remote origin works here"
  exit 1
  ;;
esac

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

# complete: adds what a release that a run before this one made does not have, and changes nothing in it.
complete() {
  local file there=$temp/there
  say "the release $tag is there already: what it lacks is added"
  mkdir "$there"
  gh release download "$tag" --dir "$there" || true # without any file it fails; what is there is not uploaded twice
  for file in "$out"/*; do
    if [ ! -e "$there/${file##*/}" ]; then
      gh release upload "$tag" "$file"
    elif [[ $file == *.tgz ]] && ! cmp -s "$file" "$there/${file##*/}"; then
      say "the release $tag has another ${file##*/} than this commit makes. Fix: raise version in Chart.yaml; what is published never changes"
      exit 1
    fi
  done
  gh release edit "$tag" --draft=false
}

if gh release view "$tag" >/dev/null 2>&1; then
  complete
else
  gh release create "$tag" "$out"/* --verify-tag --title "$tag" --generate-notes
fi
git -C "$temp/pages" add index.yaml
tree=$(git -C "$temp/pages" write-tree)
commit=$(git commit-tree "$tree" ${parent:+-p "$parent"} -m "Publish $tag")
git push --quiet origin "$commit:refs/heads/$pages"
say "published $tag"
