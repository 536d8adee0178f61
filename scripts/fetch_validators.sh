#!/usr/bin/env bash
# Installs what the tests of `thresher launch` hold its manifests against, into .cache/validators/.
# Done at once if it is all there.
#
# usage: scripts/fetch_validators.sh [NAME...]
#
#   manifests    the schemas of the Kubernetes API, and hadolint for container files (150 MB)
#   skypilot     SkyPilot (430 MB)
#
# Tests that need one that is not there are skipped and say so.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

validators=$root/.cache/validators

install() {
  make_python_environment "$validators/$1" "$root/scripts/requirements-$1.txt" \
    "installing the validator $1 with pip"
}

mkdir -p "$validators"
# Two runs at the same time: the second waits and finds the work done.
exec 9>"$validators/lock"
flock 9
names=("$@")
if (($# == 0)); then names=(manifests skypilot); fi
for name in "${names[@]}"; do
  case $name in
    manifests | skypilot) install "$name" ;;
    *) fail "unknown validator $name; see the top of this script" ;;
  esac
done
