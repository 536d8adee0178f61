#!/usr/bin/env bash
# Fetches what drives a browser in the dashboard's tests into .cache/browser/. Done at once if it is
# there. Needs npm and Node.js 20; exit status 3 if there are none. The browser itself is Debian's
# chromium: scripts/install_dependencies.sh --ci.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

source=$root/scripts/browser
target=$root/.cache/browser
recipe=$(recipe_of "$source/package.json" "$source/package-lock.json")
if is_current "$target/recipe" "$recipe"; then exit 0; fi
if ! { has npm && has node; }; then exit 3; fi
say 'installing playwright-core with npm'
partial=$root/.cache/browser.partial
rm -rf "$partial" "$target"
mkdir -p "$partial"
cp "$source/package.json" "$source/package-lock.json" "$partial"
(cd "$partial" && quietly "$root/.cache/browser.log" \
  npm ci --omit=dev --omit=optional --ignore-scripts --no-fund --no-audit)
echo "$recipe" >"$partial/recipe"
mv "$partial" "$target"
