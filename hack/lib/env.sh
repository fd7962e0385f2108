# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Where things are. Every script under hack/ sources this first; people may source it too, to get
# the cluster's kubectl and kubeconfig into their shell.
#
#   LONGSHORE_CACHE  what takes long to make, and can be made again: binaries, file systems, ccache
#   LONGSHORE_STATE  what a running cluster needs: keys, etcd's data, logs, process ids

LONGSHORE_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export LONGSHORE_ROOT
export LONGSHORE_CACHE=${LONGSHORE_CACHE:-/var/cache/longshore}
export LONGSHORE_STATE=${LONGSHORE_STATE:-/var/lib/longshore}
export LONGSHORE_BIN=$LONGSHORE_CACHE/bin
export LONGSHORE_CLUSTER=$LONGSHORE_STATE/cluster
export LONGSHORE_KUBECONFIG=$LONGSHORE_CLUSTER/admin.kubeconfig
export LONGSHORE_LOGS=${LONGSHORE_LOGS:-$LONGSHORE_STATE/logs}
export KUBECONFIG=${KUBECONFIG:-$LONGSHORE_KUBECONFIG}
case :$PATH: in *:"$LONGSHORE_BIN":*) ;; *) export PATH=$LONGSHORE_BIN:$PATH ;; esac

# One compiler cache for all clones: paths below the clone are hashed as relative ones.
export CCACHE_DIR=${CCACHE_DIR:-$LONGSHORE_CACHE/ccache}
export CCACHE_BASEDIR=$LONGSHORE_ROOT CCACHE_NOHASHDIR=1

# die MESSAGE...: the one line that says what went wrong, and the end.
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# usage: prints the comment block at the head of the calling script, which is its manual.
usage() { sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0"; }

# need_root: namespaces, cgroups and package installation need it.
need_root() { [ "$(id -u)" -eq 0 ] || die "must run as root"; }

# debian_mirror [SUITE-SUFFIX]: the mirror this machine's own apt uses, for "" (the release),
# "-updates" or "-security"; empty when it has none. Other suites are taken from the same place.
debian_mirror() {
  local codename
  codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
  # shellcheck disable=SC2016  # apt fills these in
  apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
    awk -v suite="$codename${1:-}" '$1 == suite { print $2; exit }'
}

# content_hash FILE|FOLDER...: one hash over contents, and names below each folder, to tell whether inputs
# changed; the same in every clone.
content_hash() {
  local place
  for place in "$@"; do
    if [ -d "$place" ]; then
      (cd "$place" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum)
    else
      sha256sum <"$place"
    fi
  done | sha256sum | cut -c1-16
}
