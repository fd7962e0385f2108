# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Container images without a registry: built by buildah, kept as blobs, imported into each node with
# only the layers that it lacks. Used by hack/images, and by hack/cluster for the pause image.
#
# An image is a folder of images/ with a Containerfile, whose head may say:
#   # base: NAME          another image of ours, given to the build as argument BASE
#   # rootfs: SUITE       or a Debian root file system (lib/rootfs.sh)
#   # needs: PATH...      files put beside it: build/... is the release build, bin/... the cache's
#   # prepare: COMMAND    run beside the Containerfile before the build
# It is built again only if any of that changed.

IMAGES_DIR=$LONGSHORE_ROOT/images
IMAGES_CACHE=$LONGSHORE_CACHE/images
IMAGES_BUILD=${LONGSHORE_BUILD:-$LONGSHORE_ROOT/build/release}
IMAGES_PREFIX=longshore.local

image_names() {
  find "$IMAGES_DIR" -mindepth 2 -maxdepth 2 -name Containerfile -printf '%h\n' | sed 's|.*/||' | sort
}

# image_says NAME KEY: the values of a line of the Containerfile's head.
image_says() { sed -n "s/^# $2: *//p" "$IMAGES_DIR/$1/Containerfile"; }

# image_needs NAME: the paths of the files that it needs.
image_needs() {
  local file
  for file in $(image_says "$1" needs); do
    case $file in
      build/*) echo "$IMAGES_BUILD/${file#build/}" ;;
      bin/*) echo "$LONGSHORE_BIN/${file#bin/}" ;;
      *) die "images/$1/Containerfile: needs: $file: neither build/ nor bin/" ;;
    esac
  done
}

# image_lacks NAME: those of them that don't exist, its base's included.
image_lacks() {
  local file base
  for file in $(image_needs "$1"); do [ -e "$file" ] || echo "$file"; done
  for base in $(image_says "$1" base); do image_lacks "$base"; done
}

image_digest() { cat "$IMAGES_CACHE/$1.digest" 2>/dev/null; }

_image_hash() {
  local file base
  {
    content_hash "$IMAGES_DIR/$1"
    for file in $(image_needs "$1"); do sha256sum <"$file"; done
    for base in $(image_says "$1" base); do image_digest "$base"; done
    for base in $(image_says "$1" rootfs); do rootfs_tar "$base" "$ROOTFS_BASE_PACKAGES"; done
    declare -f _image_build
  } | sha256sum | cut -c1-16
}

# image_build NAME: leaves its blobs, and its digest in NAME.digest, in $LONGSHORE_CACHE/images.
image_build() {
  local name=$1 base hash
  [ -s "$IMAGES_DIR/$name/Containerfile" ] || die "no image $name: $(image_names | tr '\n' ' ')"
  for base in $(image_says "$name" base); do image_build "$base"; done
  base=$(image_lacks "$name")
  [ -z "$base" ] || die "image $name needs what isn't built: $(tr '\n' ' ' <<<"$base")"
  hash=$(_image_hash "$name")
  if [ "$(cat "$IMAGES_CACHE/$name.hash" 2>/dev/null)" = "$hash" ] &&
    _image_complete "$name"; then return; fi
  logged "image-$name" _image_build "$name"
  echo "$hash" >"$IMAGES_CACHE/$name.hash"
}

_image_complete() {
  local blob
  for blob in $(_image_blobs "$1"); do [ -e "$IMAGES_CACHE/$blob" ] || return 1; done
  [ -n "$blob" ]
}

# _blob DIGEST: its path below $IMAGES_CACHE.
_blob() { echo "blobs/sha256/${1#sha256:}"; }

# _image_blobs NAME: manifest, configuration and layers, as paths below $IMAGES_CACHE.
_image_blobs() {
  local digest
  digest=$(image_digest "$1") || return 0
  _blob "$digest"
  jq -r '(.config, .layers[]).digest | "blobs/sha256/" + ltrimstr("sha256:")' \
    "$IMAGES_CACHE/$(_blob "$digest")"
}

# _drop_old_blobs: those of no image as it is now.
_drop_old_blobs() {
  local file used
  used=$(for file in "$IMAGES_CACHE"/*.digest; do _image_blobs "$(basename "$file" .digest)"; done)
  find "$IMAGES_CACHE/blobs" -type f -printf 'blobs/sha256/%f\n' |
    { grep -vxF -f <(printf '%s\n' "$used") || true; } |
    while read -r file; do rm -f "$IMAGES_CACHE/$file"; done
}

buildah_here() {
  buildah --root "$LONGSHORE_CACHE/buildah" --runroot /run/longshore-buildah \
    --storage-driver overlay "$@"
}

# Layers are kept uncompressed: they never leave this machine, and unpack in a third of the time.
_image_build() {
  set -euo pipefail
  local name=$1 context file base argument=()
  mkdir -p "$IMAGES_CACHE"
  context=$(mktemp -d "$IMAGES_CACHE/context.XXXXXX")
  cp -a "$IMAGES_DIR/$name/." "$context"
  for file in $(image_needs "$name"); do
    strip -o "$context/${file##*/}" "$file"
    chmod 755 "$context/${file##*/}"
  done
  for base in $(image_says "$name" base); do
    argument=(--build-arg "BASE=$IMAGES_PREFIX/$base:dev")
  done
  for base in $(image_says "$name" rootfs); do
    _rootfs_image "$base"
    argument=(--build-arg "BASE=$IMAGES_PREFIX/rootfs-$base:dev")
  done
  (cd "$context" && sh -euxc "$(image_says "$name" prepare)")
  exec 8>"$IMAGES_CACHE/lock"        # one writer at a time
  flock 8
  buildah_here build --layers --isolation chroot --pull-never --timestamp 0 "${argument[@]}" \
    --tag "$IMAGES_PREFIX/$name:dev" --file "$context/Containerfile" "$context"
  buildah_here push --disable-compression --format oci --digestfile "$IMAGES_CACHE/$name.digest" \
    "$IMAGES_PREFIX/$name:dev" "dir:$context/out"
  mkdir -p "$IMAGES_CACHE/blobs/sha256"
  mv "$context/out/manifest.json" "$IMAGES_CACHE/$(_blob "$(image_digest "$name")")"
  for file in $(_image_blobs "$name"); do
    if [ -e "$context/out/${file##*/}" ]; then mv "$context/out/${file##*/}" "$IMAGES_CACHE/$file"; fi
  done
  rm -rf "$context"
  _drop_old_blobs
}

# _rootfs_image SUITE: the root file system as an image that base images start from.
_rootfs_image() {
  local tar tag container
  tar=$(rootfs_tar "$1" "$ROOTFS_BASE_PACKAGES")
  tag=$(basename "$tar" .tar)
  if ! buildah_here inspect --type image "$IMAGES_PREFIX/rootfs:$tag" >/dev/null 2>&1; then
    container=$(buildah_here from scratch)
    buildah_here add "$container" "$tar" /
    buildah_here commit --rm "$container" "$IMAGES_PREFIX/rootfs:$tag"
  fi
  buildah_here tag "$IMAGES_PREFIX/rootfs:$tag" "$IMAGES_PREFIX/rootfs-$1:dev"
}

# image_import NAME NODE: under its tag and by digest; only what the node lacks is sent.
image_import() {
  local name=$1 node=$2 digest reference stage blob
  digest=$(image_digest "$name")
  reference=$IMAGES_PREFIX/$name
  if node_ctr "$node" images ls "name==$reference:dev" | grep -q "$digest" &&
    node_ctr "$node" images ls -q "name==$reference@$digest" | grep -q .; then return; fi
  stage=$(mktemp -d)
  echo '{"imageLayoutVersion":"1.0.0"}' >"$stage/oci-layout"
  jq -n --arg digest "$digest" --arg reference "$reference" \
    --argjson size "$(stat -c %s "$IMAGES_CACHE/$(_blob "$digest")")" '
    {schemaVersion: 2, manifests: [($reference + ":dev", $reference + "@" + $digest)
      | {mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $digest, size: $size,
         annotations: {"io.containerd.image.name": .}}]}' >"$stage/index.json"
  local -a blobs
  mapfile -t blobs < <(_image_blobs "$name" |
    grep -vF -f <(node_ctr "$node" content ls -q | sed 's|^sha256:|blobs/sha256/|'; echo none))
  # The node may have every blob and only lack the name: a folder without a file may not come last.
  tar -c -C "$IMAGES_CACHE" "${blobs[@]}" -C "$stage" oci-layout index.json |
    node_ctr "$node" images import - >/dev/null
  rm -rf "$stage"
  say "$name is on node-$node (${digest:7:12}, $(_blobs_size "${blobs[@]}") sent)"
}

_blobs_size() {
  if (($# == 0)); then echo nothing; return; fi
  (cd "$IMAGES_CACHE" && du -cbL "$@") | awk 'END { printf "%.1f MB", $1 / 1e6 }'
}
