# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# cpp-httplib, one header: Debian 12 has 0.11, whose limits can be passed and whose errors leak, so
# the source package of Debian sid is fetched and its header put where CMake looks. Used by
# hack/setup.

HTTPLIB_VERSION=0.41.0                 # the upstream version that we build and test with
HTTPLIB_SHA256=e9112546                # how its httplib.h begins when hashed

# install_httplib: leaves $LONGSHORE_CACHE/httplib/include/httplib.h.
install_httplib() {
  local home=$LONGSHORE_CACHE/httplib
  if [ -s "$home/include/httplib.h" ]; then
    unneeded "httplib.h is there ($(readlink "$home/include"))"
    return
  fi
  mkdir -p "$home"
  logged httplib _fetch_httplib "$home"
  say "cpp-httplib $(readlink "$home/include")"
}

_fetch_httplib() {
  set -euo pipefail
  local home=$1 work version header hash
  work=$(mktemp -d)
  private_apt sid "$work/apt"
  export APT_CONFIG=$work/apt/apt.conf
  apt-get update -q
  cd "$work"
  # The pinned version while the mirror has it, else the newest: the tests in common/http hold for
  # either.
  version=$(apt-cache showsrc cpp-httplib | sed -n 's/^Version: //p' |
    grep -m1 -F "$HTTPLIB_VERSION" || true)
  apt-get source -q --download-only "cpp-httplib${version:+=$version}"
  version=$(sed -n 's/^Version: //p' ./*.dsc | head -n 1)
  dpkg-source --no-check -x ./*.dsc source
  header=$work/source/httplib.h
  hash=$(sha256sum <"$header")
  case $version in
    "$HTTPLIB_VERSION"*)
      if [[ $hash != "$HTTPLIB_SHA256"* ]]; then
        echo "httplib.h of $version hashes to $hash"
        return 1
      fi ;;
    *) echo "note: $HTTPLIB_VERSION is gone from the mirror, took $version ($hash)" ;;
  esac
  version=${version%%[+-]*}
  mkdir -p "$home/$version"
  install -m 644 "$header" "$home/$version/httplib.h"
  ln -sfn "$version" "$home/include"
  rm -rf "$work"
}
