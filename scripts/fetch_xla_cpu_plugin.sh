#!/usr/bin/env bash
# Fetches XLA's CPU plug-in, on which the tests of the PJRT engine run, into
# .cache/plugins/xla-cpu/pjrt_c_api_cpu_plugin.so (200 MB). Done at once if it is there. Exit status
# 3 if there is none for this machine.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

package=lammps-jax-pjrt-cpu==0.11.2
wheel_sha256=1319390d948b39f69f7dade496b7c385149d9ca6097a6b62114da113216d9ad1
folder=$root/.cache/plugins/xla-cpu
library=pjrt_c_api_cpu_plugin.so
recipe="$package $wheel_sha256"

is_current "$folder/recipe" "$recipe" && exit 0
[[ $(uname -s -m) == 'Linux x86_64' ]] || exit 3
say "fetching XLA's CPU plug-in (63 MB)"
partial=$folder.partial
rm -rf "$partial"
mkdir -p "$partial"
quietly "$root/.cache/plugins/xla-cpu.log" download_wheel "$package" "$wheel_sha256" "$partial"
python3 -m zipfile -e "$partial"/*.whl "$partial"
mv "$partial/lammps_jax_pjrt_cpu/$library" "$partial/$library"
mv "$partial"/*.dist-info/licenses "$partial/licenses"
rm -rf "$partial"/*.whl "$partial"/*.dist-info "$partial"/{lammps_jax_pjrt_cpu,requirements.txt}
echo "$recipe" >"$partial/recipe"
rm -rf "$folder"
mv "$partial" "$folder"
