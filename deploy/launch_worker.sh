#!/usr/bin/env bash
# One worker of a run, for those who describe it by environment variables. Takes the place of a
# script of one's own around a worker: the same variables, the same folders, the same checkpoint files.
#
#   TPU_WORKER_ID or WORKER_ID   number of this worker; its shards are in tpu_N/        [0]
#   NUM_WORKERS                  how many there are: each begins with its own part      [unknown]
#   MODEL_PATH                   folder of the model, or hf://owner/name                (needed)
#   DATASET_DIR                  data set: a folder of stream files, a file, a URL      (needed)
#   OUTPUT_DIR                   the run's folder                                       [activations]
#   UPLOAD_TO_GCS, GCS_BUCKET    true and a bucket: OUTPUT_DIR is a folder in it
#   CHECKPOINT_DIR               local progress, checkpoint_worker_N.json               [checkpoints]
#   BATCH_SIZE                   sequences of a batch, each of MAX_SEQ_LENGTH tokens
#   MAX_SEQ_LENGTH               longest sequence, in tokens
#   SHARD_SIZE_GB                size of a shard
#   THRESHER_*                   every other setting: docs/settings.md
#   THRESHER_PROGRAM             the program                          [the one on PATH, or build/release]
#
# usage: deploy/launch_worker.sh [FLAG...]      flags of `thresher extract`; they win over variables
#
# Every worker reads the whole data set and takes the parts that nobody has: a worker that is gone is
# made up for by the others. Exit status 75: start it again; 0 and 3: the run is complete.
set -euo pipefail

fail() {
  echo "launch_worker.sh: $*" >&2
  exit 2
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=${THRESHER_PROGRAM:-}
unset THRESHER_PROGRAM
if [[ -z $program ]]; then
  program=$(command -v thresher || echo "$here/../build/release/thresher")
fi
[[ -x $program ]] || fail "there is no program $program: build it, or set THRESHER_PROGRAM"

[[ -n ${MODEL_PATH:-} ]] || fail 'MODEL_PATH is not set: the folder of the model, or hf://owner/name'
[[ -n ${DATASET_DIR:-} ]] || fail 'DATASET_DIR is not set: a folder with stream files, a file, or a URL'
export OUTPUT_DIR=${OUTPUT_DIR:-activations}

flags=()
if [[ -n ${NUM_WORKERS:-} ]]; then flags+=("--num-workers=$NUM_WORKERS"); fi
exec "$program" extract "${flags[@]}" "$@"
