# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Debian root file systems by mmdebstrap, from the mirror that this machine's apt uses. They are
# what base images are made of, and where tests find the tools of the world outside the cluster.
# Used by hack/setup and hack/images.
#
# Each is kept by suite and package list: $LONGSHORE_CACHE/rootfs/SUITE-HASH.tar; hack/setup's stage
# makes the ones that hack/images needs.

# packages in every base image beyond mmdebstrap's minbase
ROOTFS_BASE_PACKAGES=ca-certificates
# what someone has who restores a copy without Longshore: stock restic and PostgreSQL's own tools
ROOTFS_OUTSIDE_PACKAGES=restic,restic-rest-server,postgresql-17,ca-certificates,openssl,curl,jq
ROOTFS_OUTSIDE=$LONGSHORE_CACHE/rootfs/outside

# make_all_rootfs: the base images' root file systems, and the outside.
make_all_rootfs() {
  rootfs_tar bookworm "$ROOTFS_BASE_PACKAGES" >/dev/null
  rootfs_tar trixie "$ROOTFS_BASE_PACKAGES" >/dev/null
  make_outside
}

# rootfs_tar SUITE PACKAGES: makes it if missing; prints its path.
rootfs_tar() {
  local tar
  tar=$(printf '%s' "$1 $2 $(declare -f _make_rootfs)" | sha256sum | cut -c1-10)
  tar=$LONGSHORE_CACHE/rootfs/$1-$tar.tar
  if [ ! -s "$tar" ]; then
    say "making a root file system of Debian $1" >&2
    logged "rootfs-$1" _make_rootfs "$1" "$2" "$tar" >&2
  fi
  printf '%s\n' "$tar"
}

_make_rootfs() {
  set -euo pipefail
  local suite=$1 packages=$2 tar=$3 mirror security
  local key=/usr/share/keyrings/debian-archive-keyring.gpg
  mirror=$(debian_mirror) security=$(debian_mirror -security)
  mkdir -p "${tar%/*}"
  # shellcheck disable=SC2016  # $1 is the hook's
  {
    echo "deb [signed-by=$key] $mirror $suite main"
    echo "deb [signed-by=$key] $mirror $suite-updates main"
    if [ -n "$security" ]; then echo "deb [signed-by=$key] $security $suite-security main"; fi
  } | mmdebstrap --variant=minbase --include="$packages" \
    --aptopt='Apt::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*' \
    --format=tar "$suite" "$tar.new" -
  mv "$tar.new" "$tar"
}

# make_outside: a Debian 13 with the tools of the outside, to be entered by `outside COMMAND...`.
make_outside() {
  local tar
  tar=$(rootfs_tar trixie "$ROOTFS_OUTSIDE_PACKAGES")
  [ "$(cat "$ROOTFS_OUTSIDE/.made-from" 2>/dev/null)" != "${tar##*/}" ] || return 0
  logged rootfs-outside _unpack_outside "$tar"
}

_unpack_outside() {
  set -euo pipefail
  rm -rf "$ROOTFS_OUTSIDE.new"
  mkdir -p "$ROOTFS_OUTSIDE.new"
  tar -C "$ROOTFS_OUTSIDE.new" -xf "$1" --exclude './dev/*'
  echo "${1##*/}" >"$ROOTFS_OUTSIDE.new/.made-from"
  rm -rf "$ROOTFS_OUTSIDE"
  mv "$ROOTFS_OUTSIDE.new" "$ROOTFS_OUTSIDE"
}

# outside COMMAND...: runs it in that root file system, in a mount namespace of its own that ends
# with it: /dev, /proc, /tmp and name resolution are this machine's, and so is
# $LONGSHORE_OUTSIDE_SHARE (a folder) under the same path. Nothing else of this machine is seen, and
# the network is the host's.
outside() {
  # shellcheck disable=SC2016  # expanded inside
  unshare --mount --propagation private bash -euc '
    root=$1 share=$2
    shift 2
    for place in dev proc tmp etc/resolv.conf etc/hosts; do
      if [ -d "/$place" ]; then mkdir -p "$root/$place"; else : >>"$root/$place"; fi
      mount --rbind "/$place" "$root/$place"
    done
    if [ -n "$share" ]; then mkdir -p "$root/$share"; mount --bind "$share" "$root/$share"; fi
    exec chroot "$root" "$@"' outside "$ROOTFS_OUTSIDE" "${LONGSHORE_OUTSIDE_SHARE:-}" "$@"
}
