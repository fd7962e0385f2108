# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The kernel tests on other kernels than this machine's: Debian's, under qemu's own emulation (TCG), so
# that neither KVM nor a second machine is needed. Such a machine has pure cgroup v2, two CPUs, an
# ext4 disk for TMPDIR, and nothing but busybox and the tests. Used by hack/test.
#
#   $LONGSHORE_CACHE/kernels/VERSION   vmlinuz, and modules-NAMES.cpio with what disks need
#   $LONGSHORE_CACHE/kernels/RELEASE   links to the version that was newest when it was fetched
#   $LONGSHORE_LOGS/kernels-RELEASE    the tests' output; -console: the kernel's

KERNEL_RELEASES=(5.10 6.1 6.12)
declare -A KERNEL_SUITES=([5.10]=bullseye [6.1]=bookworm [6.12]=trixie)
KERNEL_MODULES=(virtio_pci virtio_blk ext4 loop)
# What may be skipped, as the only tests that may: both need cgroup v1; how maps are charged changed in 5.11, and what
# sockets carry is told since 6.3.
KERNEL_SKIPS='KernelTest.CpuTimeIsRightThroughCpuacctAlone TrapIoTest.T12_OnHybridADirtyingPodHasNoDeviceBytes'
declare -A KERNEL_SKIPS_OF=(
  [5.10]='PrivilegesTest.TheTwoCapabilitiesAreEnoughForAnyUser TrapIoTest.NetworkBytesAreThoseOfInternetSockets'
  [6.1]='PrivilegesTest.WhereMapsAreLockedMemoryAThirdIsNeeded TrapIoTest.NetworkBytesAreThoseOfInternetSockets'
  [6.12]='PrivilegesTest.WhereMapsAreLockedMemoryAThirdIsNeeded')
KERNEL_TOOLS=(qemu-system-x86 busybox-static e2fsprogs)   # beyond hack/packages.txt: 250 MB
KERNEL_MINUTES=${LONGSHORE_KERNEL_MINUTES:-15}            # one kernel may take so long
KERNELS=$LONGSHORE_CACHE/kernels
KERNEL_MODULE_FILE=modules-$(IFS=+; printf '%s' "${KERNEL_MODULES[*]}").cpio

# kernel_releases [RELEASE]: what to run, checked.
kernel_releases() {
  [ -z "${1:-}" ] || [ -n "${KERNEL_SUITES[$1]:-}" ] ||
    die "no kernel $1 here: one of ${KERNEL_RELEASES[*]}"
  printf '%s\n' "${1:-${KERNEL_RELEASES[@]}}"
}

# fetch_kernels RELEASE...: the tools, and the kernels that are missing.
fetch_kernels() {
  local release
  install_packages <(printf '%s\n' "${KERNEL_TOOLS[@]}")
  for release; do
    if [ ! -s "$KERNELS/$release/$KERNEL_MODULE_FILE" ]; then
      logged "kernel-$release" _fetch_kernel "$release"
    fi
    say "$release is $(readlink "$KERNELS/$release")"
  done
}

_fetch_kernel() {
  set -euo pipefail
  local work package version
  work=$(mktemp -d)
  private_apt "${KERNEL_SUITES[$1]}" "$work/apt"
  export APT_CONFIG=$work/apt/apt.conf
  apt-get update -q
  package=$(apt-cache depends linux-image-cloud-amd64 |
    sed -n 's/.*Depends: \(linux-image-[^ ]*\).*/\1/p' | head -n 1)
  version=${package#linux-image-}
  cd "$work"
  apt-get download -q "$package"
  dpkg -x ./*.deb root
  [ -e root/lib ] || ln -s usr/lib root/lib        # where Debian 13 has its modules
  mkdir -p "$KERNELS" new
  cp "root/boot/vmlinuz-$version" new/vmlinuz
  _pack_modules "$work/root" "$version" >"new/$KERNEL_MODULE_FILE"
  rm -rf "${KERNELS:?}/$version"
  mv new "$KERNELS/$version"
  ln -sfn "$version" "$KERNELS/$1"
  rm -rf "$work"
}

# _pack_modules ROOT VERSION: KERNEL_MODULES and what they need as an archive of /modules/NN-NAME.ko,
# numbered in the order of loading.
_pack_modules() {
  local module file number=10 out
  out=$(mktemp -d)
  mkdir "$out/modules"
  depmod -b "$1" "$2"
  while read -r file; do
    module=$out/modules/$number-${file##*/}
    cp "$file" "$module"
    case $module in *.xz) unxz "$module" ;; esac
    number=$((number + 1))
  done < <(for module in "${KERNEL_MODULES[@]}"; do modprobe -d "$1" -S "$2" --show-depends "$module"; done |
    awk '$1 == "insmod" && !seen[$2]++ { print $2 }')
  (cd "$out" && find modules | busybox cpio -o -H newc 2>/dev/null)
  rm -rf "$out"
}

# run_kernel RELEASE BINARY...: boots it with these tests; succeeds when they do and only those that may were skipped.
run_kernel() {
  local release=$1 work status=0 start=$SECONDS log=$LONGSHORE_LOGS/kernels-$1
  shift
  work=$(mktemp -d)
  _pack_tests "$work/root" "$@" >"$work/initrd"
  cat "$KERNELS/$release/$KERNEL_MODULE_FILE" >>"$work/initrd"
  truncate -s 1G "$work/disk"
  mkfs.ext4 -q "$work/disk"
  # One thread for both CPUs: with one for each, the emulator once showed a CPU a breakpoint that another had taken
  # back while it attached a program. It is also faster.
  timeout --foreground "${KERNEL_MINUTES}m" qemu-system-x86_64 -accel tcg,thread=single -cpu max -smp 2 -m 2048 \
    -nodefaults -display none -no-reboot -kernel "$KERNELS/$release/vmlinuz" -initrd "$work/initrd" \
    -append "console=ttyS0 panic=-1 psi=1" -serial "file:$log-console" -serial stdio \
    -drive "file=$work/disk,if=virtio,format=raw,cache=unsafe" </dev/null |
    tr -d '\r' | tee "$log" | _show_tests || status=$?
  rm -rf "$work"
  _judge_kernel "$release" "$log" "$status" $((SECONDS - start))
}

# Tests as they end, and why one failed or was skipped: the same long reason once. The rest is in the log.
_show_tests() {
  awk '/^(\[(-+|=+|  PASSED  | RUN      )\]|Running main|Note: |{"time"|$)/ { next }
    /^\[  (SKIPPED|FAILED ) \] [^ ]*$/ { next }
    length > 200 && seen[$0]++ { next }
    { print "    " $0; fflush() }'
}

# _pack_tests ROOT BINARY...: an archive of busybox, the tests with their libraries, and the first process.
_pack_tests() {
  local root=$1 file
  shift
  mkdir -p "$root"/{bin,dev,etc,proc,sys,tests,tmp,var/tmp}
  cp /bin/busybox "$root/bin/"
  for file; do strip -g -o "$root/tests/${file##*/}" "$file"; done
  ldd "$@" | sed -nE 's/^.* => (\/[^ ]+) .*/\1/p; s/^[[:space:]]+(\/[^ ]+) .*/\1/p' | sort -u |
    xargs -I{} cp -L --parents {} "$root"
  _first_process >"$root/init"
  chmod +x "$root/init"
  (cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null)
}

# What runs as process 1: the kernel's messages have the first serial line, the tests the second. A test that fails
# is run once more, as on the host: an emulated CPU is slow, and some tests measure time.
_first_process() {
  printf '#!/bin/busybox sh\nexport GTEST_FILTER=%q\n' "${GTEST_FILTER:-*}"
  cat <<'END'
/bin/busybox --install -s /bin
export PATH=/bin TMPDIR=/var/tmp HOME=/ GTEST_COLOR=no
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
stty -F /dev/ttyS1 raw
exec </dev/null >/dev/ttyS1 2>&1
for module in /modules/*; do insmod "$module"; done
mount -t ext4 /dev/vda /var/tmp
mount -t cgroup2 cgroup /sys/fs/cgroup
for controller in cpu io memory pids; do echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control; done
ip link set lo up
# Where one hangs: what the CPUs do and which tasks wait, then its end.
(sleep 700; for key in l w; do echo "$key" >/proc/sysrq-trigger; done) &
status=0
for test in /tests/*; do
  : >/tmp/output
  tail -f /tmp/output &
  shown=$!
  timeout -s ABRT 720 "$test" >/tmp/output 2>&1
  result=$?
  sleep 2
  kill "$shown"
  if [ "$result" = 0 ]; then continue; fi
  failed=$(sed -n 's/^\[  FAILED  \] \([A-Za-z0-9_]*\.[A-Za-z0-9_]*\)$/\1/p' /tmp/output | tr '\n' ':')
  if [ -z "$failed" ]; then status=1; echo "$test: ended with $result"; continue; fi
  echo "once more: $failed"
  "$test" --gtest_filter="$failed" || status=1
done
echo "kernel $(uname -r) ends with $status"
poweroff -f
END
}

# _judge_kernel RELEASE LOG STATUS SECONDS: one line about it; fails unless it ended well.
_judge_kernel() {
  local passed test last wrongly=''
  local -a skipped
  passed=$(sed -n 's/^\[       OK \] \([^ ]*\).*/\1/p' "$2" | sort -u | wc -l)
  mapfile -t skipped < <(sed -n 's/^\[  SKIPPED \] \([^ ]*\) (.*/\1/p' "$2" | sort -u)
  last=$(sed -n '$s/^kernel .* ends with \([0-9]*\)$/\1/p' "$2")
  say "$1: $passed passed, ${#skipped[@]} skipped, $(duration "$4")"
  for test in "${skipped[@]}"; do
    case " $KERNEL_SKIPS ${KERNEL_SKIPS_OF[$1]} " in *" $test "*) ;; *) wrongly+=" $test" ;; esac
  done
  [ -z "$wrongly" ] || say "$1: these may not be skipped:$wrongly"
  if [ "$last" = 0 ] && ((passed > 0)); then [ -z "$wrongly" ]; return; fi
  if [ -z "$last" ]; then
    say "$1 did not come to its end (status $3); its last words, from $2-console:"
    tail -n 15 "$2-console" | tr -d '\r' | sed 's/^/    | /'
  elif ((passed == 0)); then
    say "$1: not one test passed, so nothing was tested"
  fi
  return 1
}
