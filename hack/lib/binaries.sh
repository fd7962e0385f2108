# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Kubernetes, etcd, containerd and CoreDNS from source: each folder of hack/kubernetes is a Go
# module that pins one of them. A set of binaries is kept as
# $LONGSHORE_CACHE/binaries/NAME-VERSION-HASH, where HASH covers all that went in, and linked from
# $LONGSHORE_CACHE/bin. Used by hack/setup.

GO_TOOLCHAIN=go1.26.8                 # fetched as a module where the machine's Go is older
BINARY_SETS=(etcd kubernetes containerd coredns)
declare -A BINARY_MODULES=(
  [etcd]=go.etcd.io/etcd/server/v3
  [kubernetes]=k8s.io/kubernetes
  [containerd]=github.com/containerd/containerd/v2
  [coredns]=github.com/coredns/coredns
)

# build_binaries: builds the sets that are missing and links all of them.
build_binaries() {
  local name version folder
  mkdir -p "$LONGSHORE_BIN"
  for name in "${BINARY_SETS[@]}"; do
    version=$(pinned_version "$name")
    folder=$LONGSHORE_CACHE/binaries/$name-$version-$(_set_hash "$name")
    if [ -d "$folder" ]; then
      unneeded "$name $version is there"
    else
      find_go
      say "building $name $version"
      logged "build-$name" _build_set "$name" "$version" "$folder"
    fi
    ln -sfn "$folder"/* "$LONGSHORE_BIN/"
  done
}

# pinned_version SET: the version in its go.mod.
pinned_version() {
  sed -nE "s#^(require|\t)[[:space:]]*${BINARY_MODULES[$1]} (v[^ ]+).*#\2#p" \
    "$LONGSHORE_ROOT/hack/kubernetes/$1/go.mod"
}

# What decides a set's content: its module, the flags below and the compiler.
_set_hash() {
  {
    content_hash "$LONGSHORE_ROOT/hack/kubernetes/$1"
    declare -f _go_arguments
    echo "$GO_TOOLCHAIN"
  } | sha256sum | cut -c1-10
}

# find_go: sets GO to a Go command that can run GO_TOOLCHAIN; Debian 12's own is too old for that.
find_go() {
  local bootstrap=$LONGSHORE_CACHE/go/bootstrap
  for GO in go "$bootstrap/bin/go"; do
    if command -v "$GO" >/dev/null && _go_at_least "$GO" 21; then return; fi
  done
  say "no Go of at least 1.21 here: taking Debian's backported one"
  logged go-bootstrap _fetch_go "$bootstrap"
}

_go_at_least() {
  local minor
  minor=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
  ((${minor:-0} >= $2))
}

# _fetch_go FOLDER: unpacks Go from Debian's backports there; nothing is installed.
_fetch_go() {
  set -euo pipefail
  local folder=$1 work version
  work=$(mktemp -d)
  private_apt bookworm-backports "$work/apt"
  export APT_CONFIG=$work/apt/apt.conf
  apt-get update -q
  version=$(apt-cache depends golang-go |
    sed -n 's/.*Depends: \(golang-1\.[0-9]*\)-go.*/\1/p' | head -n 1)
  cd "$work"
  apt-get download -q "$version-go" "$version-src"
  for package in ./*.deb; do dpkg -x "$package" "$work/root"; done
  mkdir -p "${folder%/*}"
  rm -rf "$folder" "$folder.root"
  mv "$work/root" "$folder.root"
  ln -sfn "$folder.root/usr/lib/${version/golang/go}" "$folder"
  rm -rf "$work"
}

# _go_arguments SET VERSION: sets arguments and target for `go build`. The versions are linked in
# because clients ask for them, and a plain build says v0.0.0.
_go_arguments() {
  local link="-s -w" package
  arguments=(-trimpath -mod=readonly -buildvcs=false -modcacherw) target=tool output=.
  case $1 in
    etcd) target=${BINARY_MODULES[etcd]} output=etcd ;;
    kubernetes)
      local minor=${2#v1.}
      for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        link+=" -X $package.gitVersion=$2 -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*}"
      done ;;
    containerd)
      link+=" -X ${BINARY_MODULES[containerd]}/version.Version=$2"
      arguments+=(-tags "no_btrfs,no_zfs,no_devmapper") ;;
    coredns) target=. output=coredns ;;
  esac
  arguments+=(-ldflags "$link")
}

# _build_set SET VERSION FOLDER: one builder at a time per set; what was compiled before an
# interruption is kept in Go's own cache, and FOLDER appears only when complete.
_build_set() {
  set -euo pipefail
  local folder=$3 arguments target output
  mkdir -p "${folder%/*}" "$LONGSHORE_CACHE/go"
  exec 9>"$LONGSHORE_CACHE/go/$1.lock"
  flock 9
  [ ! -d "$folder" ] || return 0
  _go_arguments "$1" "$2"
  _go_environment
  rm -rf "$folder.new"
  mkdir -p "$folder.new"
  cd "$LONGSHORE_ROOT/hack/kubernetes/$1"
  nice -n 5 "$GO" build "${arguments[@]}" -o "$folder.new/$output" "$target"
  mv "$folder.new" "$folder"
}

# build_go_program FOLDER: builds the Go program whose module is in that folder of the clone (what a benchmark compares
# with, what a test calls); prints its path.
build_go_program() {
  local module=$LONGSHORE_ROOT/$1 name=${1##*/} program
  program=$LONGSHORE_CACHE/binaries/${1//\//-}-$(content_hash "$module")/$name
  if [ ! -x "$program" ]; then
    find_go >&2
    say "building $name" >&2
    logged "build-${1//\//-}" _build_go_program "$module" "$program" >&2
  fi
  printf '%s\n' "$program"
}

# test_go_program FOLDER: runs that module's own tests.
test_go_program() (
  find_go
  cd "$LONGSHORE_ROOT/$1" || exit
  _go_environment
  nice -n 5 "$GO" test -trimpath -mod=readonly -ldflags '-s -w' .
)

_go_environment() {
  export CGO_ENABLED=0 GOTOOLCHAIN=$GO_TOOLCHAIN GOFLAGS='' GOWORK=off
  export GOCACHE=$LONGSHORE_CACHE/go/build GOMODCACHE=$LONGSHORE_CACHE/go/mod
}

_build_go_program() {
  set -euo pipefail
  mkdir -p "${2%/*}" "$LONGSHORE_CACHE/go"
  cd "$1"
  _go_environment
  nice -n 5 "$GO" build -trimpath -mod=readonly -buildvcs=false -modcacherw -ldflags '-s -w' -o "$2.new" .
  mv "$2.new" "$2"
}
