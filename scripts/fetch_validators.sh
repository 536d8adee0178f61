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

# make_venv NAME REQUIREMENTS
make_venv() {
  local venv=$validators/$1 requirements=$root/scripts/$2 recipe
  recipe="$(recipe_of "$requirements") $root"
  if is_current "$venv/recipe" "$recipe"; then return; fi
  say "installing the validator $1 with pip"
  # Made in place, for its programs know their path; the recipe is written last.
  rm -rf "$venv"
  quietly "$validators/$1.log" python3 -m venv "$venv"
  quietly "$validators/$1.log" "$venv/bin/python" -m pip install --disable-pip-version-check \
    --no-deps --no-input -r "$requirements"
  echo "$recipe" >"$venv/recipe"
}

mkdir -p "$validators"
# Two runs at the same time: the second waits and finds the work done.
exec 9>"$validators/lock"
flock 9
names=("$@")
if (($# == 0)); then names=(manifests skypilot); fi
for name in "${names[@]}"; do
  case $name in
    manifests) make_venv manifests requirements-manifests.txt ;;
    skypilot) make_venv skypilot requirements-skypilot.txt ;;
    *) fail "unknown validator $name; see the top of this script" ;;
  esac
done
