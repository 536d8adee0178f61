#!/usr/bin/env bash
# Installs the plug-ins that tests run on into .cache/plugins, with the program itself: XLA's CPU
# plug-in (63 MB to fetch, 202 MB unpacked) and libtpu, for compiling without a TPU (213 MB, 717 MB).
# Done at once if they are there.
#
# usage: scripts/fetch_plugins.sh PROGRAM [PLUGIN...]
#   PROGRAM   the built thresher: build/release/thresher
#   PLUGIN    xla-cpu, tpu, ... [xla-cpu tpu]
# Exit status 3 where there are no wheels for this machine.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[[ $# -ge 1 ]] || fail 'usage: scripts/fetch_plugins.sh PROGRAM [PLUGIN...]'
program=$1
shift
[[ $(uname -s -m) == 'Linux x86_64' ]] || exit 3
if [[ $# == 0 ]]; then set -- xla-cpu tpu; fi
for plugin in "$@"; do
  quietly "$root/.cache/plugins/$plugin.log" "$program" plugins install "$plugin" \
    --cache "$root/.cache/plugins" --python "$(python_with_pip)"
done
