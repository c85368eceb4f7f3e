# Sourced after lib.sh. tool NAME: builds a command line tool from its Go module, or installs one of Python, once for
# each version, and prints its path.

# build_tool NAME PACKAGE MODULE_DIR [LDFLAGS]
build_tool() {
  local name=$1 package=$2 dir=$3 ldflags=${4:-} bin
  bin=$cache/tools/$name-$(hash "$dir/go.mod" "$dir/go.sum")/$name
  if [ ! -x "$bin" ]; then
    mkdir -p "$(dirname "$bin")"
    slow "building $name from its Go module (once for this version)" \
      env -C "$dir" go build -ldflags "$ldflags" -o "$bin.$$" "$package"
    mv "$bin.$$" "$bin"
  fi
  printf '%s\n' "$bin"
}

# build_venv NAME REQUIREMENTS: a Python program and what it needs, by their hashes. It may not be moved, so a mark says
# that it is whole.
build_venv() {
  local name=$1 requirements=$2 dir
  dir=$cache/tools/$name-$(hash "$requirements")
  if [ ! -e "$dir/whole" ]; then
    rm -rf "$dir"
    slow "installing $name (once for this version)" python3 -m venv "$dir"
    slow "installing $name (once for this version)" \
      "$dir/bin/python" -m pip install --disable-pip-version-check --no-input --require-hashes --requirement "$requirements"
    touch "$dir/whole"
  fi
  printf '%s\n' "$dir/bin/$name"
}

# Helm 3 renders for Kubernetes 1.20 unless its build says otherwise; its releases say the version of their client.
helm3_flags() {
  local minor
  minor=$(go list -m -f '{{.Version}}' k8s.io/client-go | cut -d. -f2)
  printf -- '-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=%s' "$minor"
}

tool() {
  case $1 in
    helm)          build_tool helm helm.sh/helm/v3/cmd/helm . "$(helm3_flags)" ;;
    helm4)         build_tool helm4 helm.sh/helm/v4/cmd/helm . ;;
    kubectl)       build_tool kubectl k8s.io/kubernetes/cmd/kubectl . ;;
    istioctl)      build_tool istioctl istio.io/istio/istioctl/cmd/istioctl . ;;
    helmfile)      build_tool helmfile github.com/helmfile/helmfile scripts/tools/helmfile ;;
    registry)      build_tool registry github.com/distribution/distribution/v3/cmd/registry scripts/tools/registry ;;
    ct)            build_tool ct github.com/helm/chart-testing/v3/ct scripts/tools/chart ;;
    unittest)      build_tool unittest github.com/helm-unittest/helm-unittest/cmd/helm-unittest scripts/tools/chart ;;
    yamllint)      build_venv yamllint scripts/tools/chart/requirements.txt ;; # yamale lies beside it
    actionlint)    build_tool actionlint github.com/rhysd/actionlint/cmd/actionlint scripts/tools/actionlint ;;
    golangci-lint) build_tool golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint scripts/tools/ci ;;
    gotestsum)     build_tool gotestsum gotest.tools/gotestsum scripts/tools/ci ;;
    *) say "no such tool: $1"; return 1 ;;
  esac
}
