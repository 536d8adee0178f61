#!/usr/bin/env bash
# Fetches a megabyte of English text for bench/tokenizer_bench into .cache/data/book.txt: two books
# in the public domain, which the tests of a Go module hold. Done at once if it is there. Needs Go;
# exit status 3 if there is none.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

module=github.com/pierrec/lz4/v4@v4.1.22
book=$root/.cache/data/book.txt
[[ -f $book ]] && exit 0
has go || exit 3
say "fetching English text"
mkdir -p "$root/.cache/data"
folder=$(go mod download -json "$module" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
[[ -n $folder ]] || fail "the Go module $module could not be fetched"
cat "$folder"/testdata/{pg1661.txt,Mark.Twain-Tom.Sawyer.txt} >"$book.partial"
mv "$book.partial" "$book"
