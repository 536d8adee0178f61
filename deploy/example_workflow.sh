#!/usr/bin/env bash
# A whole run as the first users' scripts did it: split the data set into streams, start a worker for
# each with environment variables, follow the checkpoint files with jq, and check the result.
#
# usage: MODEL_PATH=... DATASET=tasks.jsonl [NUM_WORKERS=4] [FOLDER=.] deploy/example_workflow.sh
#
# With UPLOAD_TO_GCS=true and GCS_BUCKET the activations go to the bucket, folder OUTPUT_DIR. The
# better one of today is a single command, which needs no streams and restarts workers:
#   thresher launch local --workers 4 --model M --dataset tasks.jsonl --output gs://bucket/run
set -euo pipefail

deploy=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=${THRESHER_PROGRAM:-thresher}
workers=${NUM_WORKERS:-4}
: "${MODEL_PATH:?the folder of the model}" "${DATASET:?a JSONL file with the tasks}"
cd "${FOLDER:-.}"
export MODEL_PATH NUM_WORKERS=$workers
export DATASET_DIR=dataset_streams OUTPUT_DIR=${OUTPUT_DIR:-activations} CHECKPOINT_DIR=checkpoints

echo "== 1. $workers streams"
env -u THRESHER_PROGRAM "$program" streams "$DATASET" --streams "$workers" --output-dir "$DATASET_DIR"

echo "== 2. $workers workers"
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true' EXIT
for ((i = 0; i < workers; ++i)); do
  TPU_WORKER_ID=$i "$deploy/launch_worker.sh" >"worker_$i.log" 2>&1 &
  pids+=($!)
done

echo '== 3. progress'
progress() {
  jq -r '"worker \(.worker_id): \(.status), \(.total_samples_processed) samples, \(.total_shards) shards"' \
    "$CHECKPOINT_DIR"/checkpoint_worker_*.json 2>/dev/null || true
}
while [[ -n $(jobs -rp) ]]; do
  wait -n || true
  progress
done
progress
for ((i = 0; i < workers; ++i)); do
  status=0
  wait "${pids[$i]}" || status=$?
  case $status in
    0 | 3) ;;
    *)
      echo "worker $i ended with status $status; the end of worker_$i.log:"
      tail -n 5 "worker_$i.log"
      exit "$status"
      ;;
  esac
done

echo '== 4. proof'
run=$OUTPUT_DIR
if [[ ${UPLOAD_TO_GCS:-false} == true ]]; then run=gs://${GCS_BUCKET#gs://}/$OUTPUT_DIR; fi
env -u THRESHER_PROGRAM "$program" verify "$run"
