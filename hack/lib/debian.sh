# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Debian packages: installing them here, and reading other suites of the same mirror without
# touching this machine's own sources. Used by hack/setup.

# packages_in FILE: the names in a package list, comments removed.
packages_in() { sed 's/#.*//' "$1" | awk 'NF { print $1 }'; }

# missing_packages: those of the names on its input that are not installed.
missing_packages() {
  local installed
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null |
    sed -n 's/^installed //p')
  grep -vxF -f <(printf '%s\n' "$installed") || true
}

# install_packages FILE: installs what FILE lists and this machine lacks.
install_packages() {
  local -a missing
  mapfile -t missing < <(packages_in "$1" | missing_packages)
  if ((${#missing[@]} == 0)); then unneeded "all packages are installed"; return; fi
  say "installing ${#missing[@]} packages: ${missing[*]:0:8} ..."
  _without_services logged apt-install _apt_install "${missing[@]}"
}

_apt_install() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  apt-get install -q -y --no-install-recommends "$@"
}

# _without_services COMMAND...: no package may start a daemon here; Debian asks policy-rc.d.
_without_services() {
  local policy=/usr/sbin/policy-rc.d status=0
  if [ -e "$policy" ]; then "$@"; return; fi
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  "$@" || status=$?
  rm -f "$policy"
  return "$status"
}

# private_apt SUITE FOLDER: writes FOLDER/apt.conf, a configuration of apt with its own lists and
# SUITE (packages and sources) as only source, so that the machine's own is left as it is.
private_apt() {
  local suite=$1 root=$2 mirror
  mirror=$(debian_mirror)
  [ -n "$mirror" ] || die "apt has no source for Debian's own release on this machine"
  mkdir -p "$root"/{lists/partial,archives/partial,etc}
  local options="[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
  printf '%s\n' "deb $options $mirror $suite main" "deb-src $options $mirror $suite main" \
    >"$root/etc/sources.list"
  cat >"$root/apt.conf" <<EOF
Dir::State::Lists "$root/lists";
Dir::Cache "$root";
Dir::Cache::Archives "$root/archives";
Dir::Etc::SourceList "$root/etc/sources.list";
Dir::Etc::SourceParts "/dev/null";
APT::Sandbox::User "root";
EOF
}
