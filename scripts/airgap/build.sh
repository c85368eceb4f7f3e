#!/usr/bin/env bash
# Builds every image that a kind cluster with Istio, bookinfo and helloworld needs, where no container registry can be
# reached: from Go modules and from Debian's, Python's, Node's and Maven's packages. The images have the names of the
# published ones, so that nothing else has to know. What is built already is not built again: each image carries the
# hash of what it was built from. Ends with status 3 where there can be no containers.
source "$(dirname "$0")/../lib.sh"
here=scripts/airgap
out=$cache/airgap
work=$(mktemp -d)
applications=
trap '[ -z "$applications" ] || kill "$applications" 2>/dev/null || true; rm -rf "$work"' EXIT
begin=$SECONDS
certificates=/etc/ssl/certs/ca-certificates.crt
mkdir -p "$out"

# --- what a machine needs ------------------------------------------------------------------------------------------

# permitted: whether containers can be run here. Kind's nodes need such namespaces, too.
permitted() {
  local why
  why=$(unshare --mount --net --pid --fork --mount-proc true 2>&1) && return
  say "airgap: no container can be run here: $why; run this as root, where namespaces may be made"
  return 1
}

containers=(podman runc netavark aardvark-dns iptables)
packages=("${containers[@]}" debootstrap)
command -v mvn >/dev/null || packages+=(maven)
command -v npm >/dev/null || packages+=(npm)

# missing PACKAGE...: those that are not installed. One that was removed may have a status still.
missing() {
  local p
  for p; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || printf '%s\n' "$p"
  done
}

may_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

# install_packages PACKAGE...: what cannot be fetched is a failure, and says nothing of what this machine may have.
install_packages() {
  apt-get update -q || return
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

# Containers here may not raise limits above these, and crun refuses the mixed cgroup hierarchy that old machines have.
configure_podman() {
  mkdir -p /lib/modules /etc/containers/containers.conf.d
  cp "$here/containers.conf" /etc/containers/containers.conf.d/basico.conf
}

# --- how things are built once -------------------------------------------------------------------------------------

# key TEXT...: a short hash over the words.
key() { printf '%s\n' "$@" | sha256sum | cut -c1-16; }

# tree DIR: a hash over the names and contents of a directory's files.
tree() { (cd "$1" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) | sha256sum | cut -c1-16; }

# sources DIR PACKAGE...: the Go files of those packages that are the directory's own.
sources() {
  local dir=$1 package; shift
  for package in "$@"; do
    case $package in .*) cat "$dir/$package"/*.go ;; esac
  done
}

# binaries NAME DIR LDFLAGS PACKAGE...: static programs from the Go module in DIR; binaries_dir is where they are.
binaries() {
  local name=$1 dir=$2 ldflags=$3 key; shift 3
  key=$(key "$(go version)" "$(hash "$dir"/go.mod "$dir"/go.sum)" "$ldflags" "$@" "$(sources "$dir" "$@")")
  binaries_dir=$out/$name-$key
  [ -d "$binaries_dir" ] && return
  mkdir -p "$work/$name"
  slow "building $name from its Go module" env -C "$dir" go build -ldflags "-s -w $ldflags" -o "$work/$name/" "$@"
  mv "$work/$name" "$binaries_dir"
}

# fetched NAME KEY COMMAND...: a directory that a command fills, given its path as the last argument; fetched_dir is it.
fetched() {
  local name=$1 key=$2; shift 2
  fetched_dir=$out/$name-$key
  [ -d "$fetched_dir" ] && return
  mkdir -p "$work/$name"
  slow "fetching $name" "$@" "$work/$name"
  mv "$work/$name" "$fetched_dir"
}

# has IMAGE KEY: whether the image is there, built from just that.
has() { [ "$(podman image inspect -f '{{index .Labels "basico.key"}}' "$1" 2>/dev/null)" = "$2" ]; }

# build IMAGE FILE CONTEXT [BUILD-ARG...]: an image, unless it is there.
build() {
  local image=$1 file=$2 context=$3 arg args=() key; shift 3
  case $context in
    "$out"/*) key=$(basename "$context") ;; # it has its hash in its name
    *) key=$(tree "$context") ;;
  esac
  key=$(key "$(hash "$file")" "$key" "$debian" "$@")
  has "$image" "$key" && return
  for arg in "$@"; do args+=(--build-arg "$arg"); done
  # Builds fetch packages, so they trust whom this machine trusts.
  slow "building $image" podman build -q --network=host -v "$certificates:$certificates:ro" \
    --label "basico.key=$key" --build-arg "DEBIAN=$debian" \
    "${args[@]}" -f "$file" -t "$image" "$context"
}

# context NAME: an empty directory for the files of an image.
context() { mkdir -p "$work/context/$1"; printf '%s\n' "$work/context/$1"; }

# --- Debian, the root of most images -------------------------------------------------------------------------------

debian_packages=ca-certificates,iproute2,iptables,conntrack,kmod,busybox-static

debian_root() {
  debootstrap --variant=minbase --include="$debian_packages" bookworm "$work/debian"
  tar -C "$work/debian" -c . | podman import -q - "$debian"
  rm -rf "$work/debian"
}

debian() {
  debian=localhost/basico/debian:$(key "$debian_packages" bookworm)
  podman image exists "$debian" || slow "building a Debian root" debian_root
}

# --- the node of kind ----------------------------------------------------------------------------------------------

# The version of a local cluster, much of which is compiled already then.
kubernetes=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
node=docker.io/kindest/node:$kubernetes

# version_flags: what kubeadm and the servers say of themselves.
version_flags() {
  local v=k8s.io/component-base/version minor=${kubernetes#v1.}
  printf -- '-X %s.%s ' $v "gitVersion=$kubernetes" $v gitMajor=1 $v "gitMinor=${minor%%.*}" $v gitTreeState=clean \
    $v "gitCommit=$(printf '0%.0s' {1..40})" $v buildDate=2026-01-01T00:00:00Z
}

# single IMAGE PROGRAM PATH BASE: an image of one program.
single() {
  local image=$1 program=$2 path=$3 base=$4 dir
  dir=$(context "$(basename "$path")")
  cp "$program" "$dir/$(basename "$path")"
  printf 'FROM %s\nCOPY %s %s\nENTRYPOINT ["%s"]\n' "$base" "$(basename "$path")" "$path" "$path" >"$work/Containerfile"
  build "$image" "$work/Containerfile" "$dir"
  images+=("$image")
}

node_image() {
  local k8s etcd coredns storage pause="" dir image key
  binaries kubernetes . "$(version_flags)" \
    k8s.io/kubernetes/cmd/{kube-apiserver,kube-controller-manager,kube-proxy,kube-scheduler,kubeadm,kubectl,kubelet}
  k8s=$binaries_dir
  binaries etcd . "" go.etcd.io/etcd/server/v3
  etcd=$binaries_dir
  binaries coredns "$here/coredns" "" .
  coredns=$binaries_dir
  binaries local-path "$here/local-path" "" github.com/rancher/local-path-provisioner
  storage=$binaries_dir
  binaries pause . "" ./scripts/airgap/pause

  key=$(key "$debian" "$k8s" "$etcd" "$coredns" "$storage" "$binaries_dir" "$kind" "$(hash $here/*.Containerfile $here/network.yaml $here/build.sh)")
  has "$node" "$key" && return

  images=()
  for image in $("$k8s/kubeadm" config images list --kubernetes-version "$kubernetes"); do
    case $image in
      */kube-proxy:*)  single "$image" "$k8s/kube-proxy" /usr/local/bin/kube-proxy "$debian" ;;
      */kube-*)        single "$image" "$k8s/$(basename "${image%:*}")" "/usr/local/bin/$(basename "${image%:*}")" scratch ;;
      */etcd:*)        single "$image" "$etcd/server" /usr/local/bin/etcd scratch ;;
      */coredns:*)     single "$image" "$coredns/coredns" /coredns scratch ;;
      */pause:*)       single "$image" "$binaries_dir/pause" /pause scratch; pause=$image ;;
      *) say "airgap: kubeadm wants $image, and nothing here builds it"; return 1 ;;
    esac
  done
  # The helper of local-path needs a shell and a few commands.
  single localhost/basico/local-path:built "$storage/local-path-provisioner" /usr/local/bin/local-path-provisioner "$debian"

  dir=$(context node)
  cp -r "$kind/images/base/files" "$dir/files"
  chmod -R u+w "$dir/files"
  cp "$k8s"/{kubelet,kubeadm,kubectl} "$dir/"
  mkdir "$dir/manifests"
  cp "$here/network.yaml" "$dir/manifests/default-cni.yaml"
  storage_manifest >"$dir/manifests/default-storage.yaml"
  build localhost/basico/node-base "$here/node.Containerfile" "$dir" "PAUSE=$pause" "KUBERNETES=$kubernetes"

  slow "saving the images of Kubernetes" podman save -q -m -o "$work/images.tar" "${images[@]}"
  slow "building $node" import_images "$key"
}

# storage_manifest: the provisioner's own, as kind has it: the default class, with volumes below /var.
storage_manifest() {
  sed -e 's#image: rancher/local-path-provisioner:.*#image: localhost/basico/local-path:built#' \
    -e 's#image: busybox.*#image: localhost/basico/local-path:built#' \
    -e 's#/opt/local-path-provisioner#/var/local-path-provisioner#' \
    -e 's#^  name: local-path$#  name: standard\n  annotations: {storageclass.kubernetes.io/is-default-class: "true"}#' \
    "$local_path/deploy/local-path-storage.yaml"
}

# import_images KEY: a node has its images in its containerd before it starts, as kind's own has.
import_images() {
  local container=basico-node-$$
  podman run -d --privileged --name "$container" -v "$work:/host" --entrypoint sleep localhost/basico/node-base infinity
  podman exec "$container" bash -ec '
    containerd >/dev/null 2>&1 & pid=$!
    until ctr version >/dev/null 2>&1; do sleep 0.1; done
    ctr -n k8s.io images import --snapshotter overlayfs /host/images.tar
    kill $pid && wait $pid || true'
  podman commit -q --change 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]' --change "LABEL basico.key=$1" "$container" "$node"
  podman rm -f -t 0 "$container"
}

# --- Istio ---------------------------------------------------------------------------------------------------------

istio_images() {
  local hub=registry.istio.io/release tag dir v='-X istio.io/istio/pkg/version'
  tag=$(sed -n 's/^const Istio = "\(.*\)"/\1/p' internal/version/version.go)
  binaries istio . "$v.buildVersion=$tag $v.buildTag=$tag $v.buildHub=$hub $v.buildStatus=Clean" istio.io/istio/pilot/cmd/{pilot-discovery,pilot-agent}
  dir=$(context pilot)
  cp "$binaries_dir/pilot-discovery" "$dir/"
  build "$hub/pilot:$tag" "$here/pilot.Containerfile" "$dir"
  fetched envoy "$(hash pkg/cluster/local/internal/envoy/find.go)" envoy_program
  dir=$(context proxyv2)
  cp "$binaries_dir/pilot-agent" "$fetched_dir/envoy" "$istio/tools/packaging/common/envoy_bootstrap.json" "$dir/"
  chmod 644 "$dir/envoy_bootstrap.json"
  build "$hub/proxyv2:$tag" "$here/proxyv2.Containerfile" "$dir"
}

# envoy_program DIR: the same Envoy as a local cluster's.
envoy_program() { cp "$(go run ./pkg/cluster/local/internal/findenvoy)" "$1/envoy"; }

# --- bookinfo and helloworld, real -----------------------------------------------------------------------------------

liberty=io.openliberty:openliberty-runtime:24.0.0.12:zip
liberty_hash=65d807b3657c4fb3c12edc64a25470ab6bdd7546b6a9b444b3d53502f5f801d9

fetch_reviews() {
  local zip
  (cd "$work" && mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy -Dartifact="$liberty" -DoutputDirectory="$work")
  zip=$(echo "$work"/openliberty-runtime-*.zip)
  echo "$liberty_hash  $zip" | sha256sum -c --quiet
  python3 -m zipfile -e "$zip" "$1"
  cp "$here/bookinfo/reviews/pom.xml" "$work/"
  mkdir -p "$work/src"
  cp -r "$bookinfo/reviews/reviews-application/src/main" "$work/src/main"
  chmod -R u+w "$work/src"
  mvn -q -B -f "$work/pom.xml" package -DskipTests
  cp "$work/target/reviews.war" "$bookinfo/reviews/reviews-wlpcfg/servers/LibertyProjectServer/server.xml" "$1/"
  chmod 644 "$1/server.xml"
}

fetch_node_modules() {
  cp "$here"/bookinfo/ratings/package*.json "$bookinfo/ratings/ratings.js" "$1/"
  chmod u+w "$1"/*
  npm ci --prefix "$1" --omit=dev --ignore-scripts --no-audit --no-fund
}

bookinfo_images() {
  local hub=registry.istio.io/release/examples-bookinfo tag=1.20.3 dir
  dir=$(context details)
  cp "$bookinfo/details/details.rb" "$dir/"
  build "$hub-details-v1:$tag" "$here/bookinfo/details.Containerfile" "$dir"

  fetched ratings "$(key "$(hash "$here"/bookinfo/ratings/*.json "$bookinfo/ratings/ratings.js")")" fetch_node_modules
  build "$hub-ratings-v1:$tag" "$here/bookinfo/ratings.Containerfile" "$fetched_dir"

  dir=$(context productpage)
  cp -r "$bookinfo"/productpage/{productpage.py,templates,static,requirements.txt} "$dir/"
  chmod -R u+w "$dir"
  build "$hub-productpage-v1:$tag" "$here/bookinfo/python.Containerfile" "$dir" PORT=9080 APP=productpage:app WORKERS=8

  fetched reviews "$(key "$liberty_hash" "$(hash "$here/bookinfo/reviews/pom.xml")" "$(tree "$bookinfo/reviews")")" fetch_reviews
  build "$hub-reviews-v1:$tag" "$here/bookinfo/reviews.Containerfile" "$fetched_dir" VERSION=v1 RATINGS=false STARS=black
  build "$hub-reviews-v2:$tag" "$here/bookinfo/reviews.Containerfile" "$fetched_dir" VERSION=v2 RATINGS=true STARS=black
  build "$hub-reviews-v3:$tag" "$here/bookinfo/reviews.Containerfile" "$fetched_dir" VERSION=v3 RATINGS=true STARS=red

  hub=registry.istio.io/release/examples-helloworld tag=1.0
  dir=$(context helloworld)
  cp "$istio"/samples/helloworld/src/{app.py,requirements.txt} "$dir/"
  chmod -R u+w "$dir"
  build "$hub-v1:$tag" "$here/bookinfo/python.Containerfile" "$dir" VERSION=v1 PORT=5000 APP=app:app WORKERS=1
  build "$hub-v2:$tag" "$here/bookinfo/python.Containerfile" "$dir" VERSION=v2 PORT=5000 APP=app:app WORKERS=1
}

say "airgap: building what no registry gives; what is there already is kept"
permitted || exit 3
lacking=$(missing "${packages[@]}")
if [ -n "$lacking" ]; then
  # shellcheck disable=SC2086 # one word a package
  if may_install; then
    slow "installing Debian's packages" install_packages $lacking
  else
    say "airgap: missing here: ${lacking//$'\n'/ }; install them, or run this as root on Debian"
    [ -z "$(missing "${containers[@]}")" ] || exit 3
    exit 1
  fi
fi
configure_podman
# A module's directory is known only once it is here.
go mod download istio.io/istio sigs.k8s.io/kind
env -C "$here/local-path" go mod download github.com/rancher/local-path-provisioner
istio=$(go list -m -f '{{.Dir}}' istio.io/istio)
kind=$(go list -m -f '{{.Dir}}' sigs.k8s.io/kind)
local_path=$(env -C "$here/local-path" go list -m -f '{{.Dir}}' github.com/rancher/local-path-provisioner)
bookinfo=$istio/samples/bookinfo/src
debian
bookinfo_images & # these wait for the network, the others for the processor
applications=$!
node_image
istio_images
wait "$applications"
applications=
say "airgap: every image is there ($((SECONDS - begin)) s)"
