# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Building images with buildah (no daemon, no registry) and putting them into containerd. Used by
# hack/images. Finished images are OCI archives: $LONGSHORE_CACHE/images/NAME-HASH.tar, with their digest
# beside them; HASH is over everything that went in.

image_archives=$LONGSHORE_CACHE/images
declare -A image_hash=()

# buildah with its storage in the cache: layers (packages) are kept between builds.
in_buildah() {
  buildah --root "$LONGSHORE_CACHE/buildah" --runroot /run/longshore-buildah --storage-driver overlay "$@"
}

# root_image SUITE: a bare Debian of that suite as an image; prints its name.
root_image() {
  local tar name
  tar=$(rootfs_tar "$1" "$ROOTFS_BASE_PACKAGES")
  name=longshore.local/root-$1:$(basename "${tar%.tar}" | sed 's/.*-//')
  if ! in_buildah inspect --type image "$name" >/dev/null 2>&1; then
    local container
    container=$(in_buildah from scratch)
    in_buildah add --quiet "$container" "$tar" / >/dev/null
    in_buildah commit --quiet --rm "$container" "$name" >/dev/null
  fi
  printf '%s\n' "$name"
}

# build_image NAME BASE FILE: from images/NAME with FILE (if any) in its context.
build_image() {
  local name=$1 from=$2 file=$3 context hash base_hash archive
  context=$(mktemp -d)
  cp -r "images/$name/." "$context"
  if [ -n "$file" ]; then
    cp "$file" "$context/"
    # What runs needs no debug information; what debugs has the build folder.
    strip --strip-debug "$context/$(basename "$file")" 2>/dev/null || true
  fi
  base_hash=$from
  if [ -n "$from" ]; then base_hash=${image_hash[${from#longshore.local/}]:-$from}; fi
  hash=$(cd "$context" && { content_hash .; echo "$base_hash"; } | sha256sum | cut -c1-16)
  image_hash[$name:dev]=$hash
  archive=$image_archives/$name-$hash.tar
  if [ ! -s "$archive.digest" ]; then
    logged "image-$name" _build_archive "$name" "$from" "$context" "$archive"
    say "image $name: built"
  fi
  rm -rf "$context"
}

_build_archive() {
  set -euo pipefail
  local name=$1 from=$2 context=$3 archive=$4 tag=longshore.local/$1:dev
  mkdir -p "${archive%/*}"
  in_buildah bud --isolation chroot --layers --timestamp 0 --tag "$tag" \
    ${from:+--build-arg "BASE=$from"} --file "$context/Containerfile" "$context"
  rm -f "$archive"
  in_buildah push --digestfile "$archive.digest.new" "$tag" "oci-archive:$archive:$tag"
  find "${archive%/*}" -name "$name-????????????????.tar*" ! -name "$(basename "$archive")*" -delete
  mv "$archive.digest.new" "$archive.digest"
}

image_archive() { printf '%s/%s-%s.tar' "$image_archives" "$1" "${image_hash[$1:dev]}"; }

# note_reference NAME REFERENCE: into $LONGSHORE_STATE/images.json.
note_reference() {
  local file=$LONGSHORE_STATE/images.json
  mkdir -p "$LONGSHORE_STATE"
  [ -s "$file" ] || echo '{}' >"$file"
  jq --arg n "$1" --arg r "$2" '.[$n] = $r' "$file" >"$file.new"
  mv "$file.new" "$file"
}

# import_image NAME: into each node's containerd that lacks the digest.
import_image() {
  local name=$1 archive digest reference socket present
  archive=$(image_archive "$name") digest=$(cat "$archive.digest")
  reference=longshore.local/$name@$digest
  for socket in $(node_sockets); do
    present=$(ctr -a "$socket" -n k8s.io images ls -q "name==$reference")
    if [ -z "$present" ]; then
      ctr -a "$socket" -n k8s.io images import "$archive" >/dev/null
      ctr -a "$socket" -n k8s.io images tag --force "longshore.local/$name:dev" "$reference" >/dev/null
      say "image $name: imported into $(basename "$(dirname "$socket")")"
    fi
  done
  note_reference "$name" "$reference"
}

push_image() {
  local name=$1 registry=$2 digest
  in_buildah push --digestfile "$image_archives/pushed" "longshore.local/$name:dev" "docker://$registry/$name:dev"
  digest=$(cat "$image_archives/pushed")
  note_reference "$name" "$registry/$name@$digest"
}

# node_sockets: containerd's socket of each node of the running cluster.
node_sockets() { find /run/longshore -maxdepth 2 -name containerd.sock 2>/dev/null | sort; }
