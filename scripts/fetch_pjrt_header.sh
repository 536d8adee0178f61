#!/usr/bin/env bash
# Fetches the header of the PJRT C API, pjrt_c_api.h, into .cache/pjrt/include; CMake runs this. Done
# at once if it is there. The header is OpenXLA's (Apache-2.0) and comes in a wheel of the Python
# package index, pinned here by version and hash; nothing of it is committed.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

package=xla-cpu-pjrt==0.0.1
wheel_sha256=55837b6b7b47daa717f2d9a5a03563ea0ceaa338d06a81a1e2d3f060d960decc
header_sha256=c85bb95cb1743c2a353a555b3ab35f065e5f17007c7f182ad68d23754950235c
folder=$root/.cache/pjrt/include
header=$folder/pjrt_c_api.h

is_right() { [[ -f $1 ]] && echo "$header_sha256  $1" | sha256sum --check --status; }
is_right "$header" && exit 0

partial=$(mktemp -d)
trap 'rm -rf "$partial"' EXIT
if ! download_wheel "$package" "$wheel_sha256" "$partial" >"$partial/log" 2>&1; then
  tail -n 5 "$partial/log" >&2
  fail "the PJRT header could not be had from the Python package index. On a machine without network,\
 copy pjrt_c_api.h out of the wheel $package (xla_plugins/xla_cpu_pjrt/include) to $folder"
fi
mkdir -p "$folder"
python3 -m zipfile -e "$partial"/*.whl "$partial/unpacked"
found=$partial/unpacked/xla_plugins/xla_cpu_pjrt/include/pjrt_c_api.h
is_right "$found" || fail "the header in $package is not the expected one"
mv "$found" "$header.partial"
mv "$header.partial" "$header"
