# shellcheck shell=bash disable=SC2034  # the variables are for those who source it
# What the project's shell scripts share; sourced, never run. Leaves `root`, the project's folder.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# rustup puts cargo here, and a fresh shell may not know it yet.
if [[ -d $HOME/.cargo/bin ]]; then PATH=$PATH:$HOME/.cargo/bin; fi

# Colour only where somebody looks, and not if they asked for none (https://no-color.org).
bold='' red='' green='' plain=''
if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
  bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
fi

# A heading; then what happens under it.
step() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
say() { printf '   %s\n' "$*"; }
fail() {
  printf '%s%s: %s%s\n' "$red" "$(basename "$0")" "$*" "$plain" >&2
  exit 1
}

has() { command -v "$1" >/dev/null; }

# True if version $1 is at least $2.
at_least() { [[ $(printf '%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }

# Identity of what something is made from, kept beside it: when the sources change, it is made again.
recipe_of() { cat "$@" | sha256sum | cut -d ' ' -f 1; }
is_current() { [[ -f $1 && $(<"$1") == "$2" ]]; }

# Runs a command with its output in a log file, which is shown only if the command fails.
quietly() {
  local log=$1
  shift
  mkdir -p "$(dirname "$log")"
  if ! "$@" >"$log" 2>&1; then
    tail -n 50 "$log" >&2
    fail "failed: $* (the whole output is in $log)"
  fi
}

# The path of a Python that has pip. Debian's python3 comes without one; a virtual environment brings
# its own.
python_with_pip() {
  if python3 -c 'import pip' 2>/dev/null; then
    command -v python3
    return
  fi
  [[ -x $root/.cache/pip/bin/python ]] || python3 -m venv "$root/.cache/pip" >&2
  echo "$root/.cache/pip/bin/python"
}

# download_wheel NAME==VERSION SHA256 FOLDER: gets a wheel from the Python package index, by its hash.
download_wheel() {
  echo "$1 --hash=sha256:$2" >"$3/requirements.txt"
  "$(python_with_pip)" -m pip download --disable-pip-version-check --no-input --quiet --no-deps \
    --only-binary :all: --require-hashes --dest "$3" -r "$3/requirements.txt"
}
