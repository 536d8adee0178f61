#!/usr/bin/env bash
# Builds the last stage of deploy/Containerfile around a program that was built here, and runs it: its
# version, a run, and the proof of the run. Needs root, buildah and mmdebstrap (Debian packages), and
# Debian's archive; no registry of images. Ends with status 77 if something of this is missing.
#
# usage: scripts/check_image.sh [PROGRAM]      build/release/thresher, if not given
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

program=${1:-$root/build/release/thresher}
skip() {
  echo "SKIPPED: $*"
  exit 77
}
[[ $(id -u) == 0 ]] || skip 'only root can build an image without user namespaces'
for tool in buildah mmdebstrap; do
  has "$tool" || skip "$tool is missing: apt-get install --no-install-recommends buildah mmdebstrap"
done
[[ -x $program ]] || fail "there is no program $program"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/storage.conf" <<END
[storage]
driver = "vfs"
runroot = "$work/run"
graphroot = "$work/graph"
END
# Without bridges and user namespaces, as inside of another container.
export CONTAINERS_STORAGE_CONF=$work/storage.conf BUILDAH_ISOLATION=chroot

step 'A base image from the packages of this machine'"'"'s archive'
base=$root/.cache/image/bookworm.tar
if [[ ! -f $base ]]; then
  mkdir -p "$(dirname "$base")"
  sources=()
  for file in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do
    if [[ -f $file ]]; then
      sources=("$file")
      break
    fi
  done
  quietly "$root/build/image.log" mmdebstrap --variant=minbase --include=ca-certificates bookworm \
    "$base.new.tar" "${sources[@]}"
  mv "$base.new.tar" "$base"
fi
container=$(buildah from scratch)
buildah add -q "$container" "$base" / >/dev/null
buildah commit -q --rm "$container" localhost/debian >/dev/null

step 'The image'
mkdir -p "$work/built/source/build/release" "$work/built/source/deploy" "$work/empty"
strip -o "$work/built/source/build/release/thresher" "$program"
cp "$root/deploy/launch_worker.sh" "$work/built/source/deploy/"
quietly "$root/build/image.log" buildah build --pull-never --build-arg BASE=localhost/debian \
  --build-context "build=$work/built" -f "$root/deploy/Containerfile" -t localhost/thresher \
  "$work/empty"
buildah inspect --format '{{.OCIv1.Config.User}} {{.OCIv1.Config.Entrypoint}}' localhost/thresher

step 'A run in it'
container=$(buildah from --pull-never localhost/thresher)
mkdir "$work/data"
cp -r "$root/tests/data/golden/qwen2" "$work/data/model"
printf '{"token_ids": [1, 2, 3]}\n{"token_ids": [4, 5]}\n' >"$work/data/samples.jsonl"
inside() { buildah run -v "$work/data:/data:ro" "$container" -- "$@"; }
inside thresher --version
inside thresher extract --model /data/model --dataset /data/samples.jsonl \
  --output /home/thresher/run --compute f32 --quiet
inside thresher verify /home/thresher/run
[[ $(inside id -u) == 65532 ]] || fail 'the image does not run as its user'
say 'the image works'
