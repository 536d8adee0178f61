#!/usr/bin/env bash
# Thresher on this machine, from nothing: installs what is missing, builds, fetches a small model and
# data, extracts with four workers of which one is killed, and proves the result.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/scripts/common.sh"
cd "$root"

usage() {
  cat <<'TEXT'
usage: ./demo.sh [--keep]

Stores the residual stream after every layer of SmolLM2-135M-Instruct for 64 ARC-AGI-1 prompts, in
bf16, with four worker processes. One of them is killed in the middle of its work and not restarted;
the others take over. Then the run is verified, inspected and read from Python.

Needs Debian bookworm with cargo 1.91 or newer, and root or sudo for apt packages. The first time
it builds for about 20 minutes on two cores and downloads about 120 MB; later it takes two minutes.

  --keep   move the run of the last demo to .cache/old-runs/ instead of deleting it
  --help   this text
TEXT
}

keep=false
for argument in "$@"; do
  case $argument in
    --keep) keep=true ;;
    --help | -h)
      usage
      exit 0
      ;;
    *) fail "unknown option $argument; see ./demo.sh --help" ;;
  esac
done

run=demo-run
thresher=build/release/thresher
python=.cache/venv/bin/python
run_gigabytes=3 # what the run takes, with room to spare

make_room() {
  mkdir -p .cache
  exec 8>.cache/demo.lock
  flock -n 8 || fail 'another demo is running in this folder'
  if [[ -e $run ]] && $keep; then
    local old
    old=.cache/old-runs/$(date +%Y-%m-%d-%H%M%S)
    mkdir -p .cache/old-runs
    mv "$run" "$old"
    say "the last run is now $old"
  fi
  rm -rf "$run"
  local free_kilobytes
  free_kilobytes=$(df --output=avail -k . | tail -n 1)
  ((free_kilobytes > run_gigabytes * 1000000)) ||
    fail "the run takes up to $run_gigabytes GB, and only $((free_kilobytes / 1000000)) GB are free here"
}

# The same for every worker. Small shards, so that there is something to kill a worker in the middle
# of, and a short lease, so that nobody has to wait long for the units of the dead. A real run leaves
# both at their defaults, 1 GB and 3 minutes.
extract=("$thresher" extract
  --model .cache/models/smollm2-135m-instruct
  --dataset .cache/data/arc-agi-1-training.jsonl --variants 1 --max-samples 64 --max-tokens 1024
  --hooks resid_post --layers all --dtype bf16
  --output "$run" --checkpoint-dir "$run/checkpoints"
  --shard-bytes 40MB --lease-ttl 6s --threads 1)

step '1/6  What the build needs'
scripts/install_dependencies.sh

step '2/6  Build (build/release/thresher)'
quietly build/configure-release.log cmake --preset release
cmake --build --preset release --target thresher

step '3/6  Model and data'
scripts/fetch_assets.sh
say 'the model is SmolLM2-135M-Instruct with dequantised 4-bit weights'

step '4/6  Extract: 4 workers, 64 ARC prompts of at most 1024 tokens, every layer'
make_room
say "${extract[*]} --worker-id=N --num-workers=4"
"$python" scripts/demo_workers.py --run "$run" --workers 4 --kill 2 -- "${extract[@]}"

step '5/6  Status, verify, inspect'
say "$thresher status $run"
"$thresher" status "$run"
echo
say "$thresher verify $run"
"$thresher" verify "$run"
echo
say "$thresher inspect $run"
"$thresher" inspect "$run"

step '6/6  Done'
"$python" scripts/demo_report.py "$run"
