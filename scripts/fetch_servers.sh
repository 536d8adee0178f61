#!/usr/bin/env bash
# Builds the object-store servers of the tests into .cache/servers/. Done at once if all are there.
#
# usage: scripts/fetch_servers.sh [NAME...]
#
#   fake-gcs-server   gs://   bin/fake-gcs-server        needs Go
#   minio             s3://   bin/minio                  needs Go
#   azurite           az://   node/node_modules/.bin/    needs Node.js and npm
#   moto              s3://   venv/bin/moto_server       needs Python
#
# A server whose toolchain is missing is passed over, with the reason in .cache/servers/NAME.missing:
# the tests that need it are skipped and say so. Exit status 1 if one could not be built for any
# other reason; the others are built all the same.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

scripts=$root/scripts
servers=$root/.cache/servers

# Newest versions that the toolchains of Debian's current users can build; the tests were written
# against exactly these.
fake_gcs_server=github.com/fsouza/fake-gcs-server@v1.56.1
minio=github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
lowest_go=1.26
lowest_node=18

# Not a failure: the reason is left for the tests, and this server is done.
missing() {
  say "$name: not built: $*"
  echo "$*" >"$servers/$name.missing"
  exit 0
}

# build_go MODULE@VERSION: its program becomes bin/NAME.
build_go() {
  if [[ -x $servers/bin/$name ]] && is_current "$servers/bin/$name.recipe" "$1"; then return; fi
  has go || missing 'Go is not installed'
  local version
  version=$(go env GOVERSION)
  at_least "${version#go}" "$lowest_go" || missing "$version is older than $lowest_go"
  say "building $1"
  local partial=$servers/$name.partial
  rm -rf "$partial"
  GOBIN=$partial quietly "$servers/$name.log" go install -ldflags='-s -w' "$1"
  mkdir -p "$servers/bin"
  mv "$partial/$name" "$servers/bin/$name"
  rm -rf "$partial"
  echo "$1" >"$servers/bin/$name.recipe"
}

build_azurite() {
  local source=$scripts/azurite recipe version
  recipe=$(recipe_of "$source/package.json" "$source/package-lock.json")
  if is_current "$servers/node/recipe" "$recipe"; then return; fi
  if ! { has npm && has node; }; then missing 'npm or node is not installed'; fi
  version=$(node --version)
  at_least "${version#v}" "$lowest_node" || missing "Node.js $version is older than $lowest_node"
  say 'installing azurite with npm'
  local partial=$servers/node.partial
  rm -rf "$partial" "$servers/node"
  mkdir -p "$partial"
  cp "$source/package.json" "$source/package-lock.json" "$partial"
  (cd "$partial" && quietly "$servers/azurite.log" \
    npm ci --omit=dev --omit=optional --ignore-scripts --no-fund --no-audit)
  echo "$recipe" >"$partial/recipe"
  mv "$partial" "$servers/node"
}

build_moto() {
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing 'Python has no venv'
  make_python_environment "$servers/venv" "$scripts/requirements-servers.txt" 'installing moto with pip'
}

build_one() {
  rm -f "$servers/$name.missing"
  case $name in
    fake-gcs-server) build_go "$fake_gcs_server" ;;
    minio) build_go "$minio" ;;
    azurite) build_azurite ;;
    moto) build_moto ;;
    *) fail "unknown server $name; see the top of this script" ;;
  esac
}

mkdir -p "$servers"
if [[ ${1:-} == --one ]]; then
  name=$2
  build_one
  exit 0
fi

# Two runs at the same time: the second waits and finds the work done.
exec 9>"$servers/lock"
flock 9
names=("$@")
if (($# == 0)); then names=(fake-gcs-server azurite moto minio); fi
failed=()
# Each in a process of its own: one that fails ends alone.
for name in "${names[@]}"; do "${BASH_SOURCE[0]}" --one "$name" || failed+=("$name"); done
((${#failed[@]} == 0)) || fail "could not build: ${failed[*]}"
