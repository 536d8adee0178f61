#!/usr/bin/env bash
# Installs what the build needs on Debian bookworm. Does nothing, quickly, if nothing is missing.
#
# usage: scripts/install_dependencies.sh [--ci]
#   --ci   also what only the checks of CI need: ccache, clang-format, clang-tidy, shellcheck, jq,
#          chromium, promtool, and Slurm, which a test starts on this machine
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
export LC_ALL=C

with_ci=false
case "${1:-}" in
  '') ;;
  --ci) with_ci=true ;;
  *) fail "unknown option $1; usage: scripts/install_dependencies.sh [--ci]" ;;
esac

has_package() { [[ $(dpkg-query -W -f '${Status}' "$1" 2>/dev/null) == 'install ok installed' ]]; }

# The libraries that CMakeLists.txt asks for. Programs count as present wherever they come from.
libraries=(libdnnl-dev libhwy-dev nlohmann-json3-dev libcli11-dev libfmt-dev libgtest-dev
  libgmock-dev libxxhash-dev libtomlplusplus-dev libcpp-httplib-dev zlib1g-dev libzstd-dev)
missing_packages() {
  has g++ || echo g++
  has cmake || echo cmake
  has ninja || echo ninja-build
  has pkg-config || echo pkg-config
  has python3 || echo python3
  # Debian splits what a virtual environment needs off its python3.
  python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
  if $with_ci; then
    for program in ccache chromium clang-format clang-tidy shellcheck jq; do
      has "$program" || echo "$program"
    done
    has promtool || echo prometheus
    for package in slurm-wlm munge; do has_package "$package" || echo "$package"; done
  fi
  for library in "${libraries[@]}"; do has_package "$library" || echo "$library"; done
}

install_packages() {
  local as_root=()
  if [[ $(id -u) != 0 ]]; then
    has sudo || fail "missing packages: $*; run as root: apt-get install $*"
    as_root=(sudo)
  fi
  say "installing with apt: $*"
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -y -q --no-install-recommends)
  # The package lists may be absent or older than the archive: then update and try again.
  if ! "${as_root[@]}" "${apt[@]}" install "$@" </dev/null >/dev/null 2>&1; then
    say 'updating the package lists'
    quietly "$root/build/apt-update.log" "${as_root[@]}" "${apt[@]}" update
    quietly "$root/build/apt-install.log" "${as_root[@]}" "${apt[@]}" install "$@"
  fi
}

check_versions() {
  local version
  version=$(g++ -dumpfullversion)
  at_least "$version" 12 || fail "g++ is $version, but C++20 needs 12 or newer: apt-get install g++-12"
  version=$(cmake --version | sed -n '1s/[^0-9]*//p')
  at_least "$version" 3.25 || fail "cmake is $version, but the build needs 3.25 or newer"
  version=$(python3 -c 'import platform; print(platform.python_version())')
  at_least "$version" 3.11 || fail "python3 is $version, but the demo's packages need 3.11 or newer"
  local hint='install it with rustup (https://rustup.rs: curl -sSf https://sh.rustup.rs | sh -s -- -y)'
  if ! { has cargo && has rustc; }; then
    fail "cargo is missing: $hint; Debian bookworm's own (1.63) is too old for the crates"
  fi
  version=$(rustc --version | cut -d ' ' -f 2)
  at_least "$version" 1.91 || fail "rustc is $version, but the crates need 1.91 or newer: $hint"
}

if ! { has apt-get && has dpkg-query; }; then
  fail "this is not Debian: install g++ 12, cmake 3.25, ninja, pkg-config, Python 3.11, cargo 1.91,\
 oneDNN 2.6, Highway, nlohmann-json, CLI11, toml++, cpp-httplib, fmt, GoogleTest, xxHash, zlib and\
 zstd, then build with cmake"
fi
mapfile -t missing < <(missing_packages)
if ((${#missing[@]} > 0)); then install_packages "${missing[@]}"; fi
check_versions
say 'everything the build needs is installed'
