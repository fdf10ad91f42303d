#!/usr/bin/env bash
# The console: its types against the OpenAPI file, its proof checker against the vectors, and the whole page in Chromium over the program
# that the Rust tests built. Each part has its time; needs Node 20.19 and chromium (scripts/install-test-tools.sh).
#
# Without them it is skipped and says so, unless COUNTERFOIL_REQUIRE_TOOLS is set.
set -euo pipefail
cd "$(dirname "$0")/../console"
for tool in node npm chromium; do
  if ! command -v "$tool" >/dev/null 2>&1; then
    echo "console: $tool is missing; not tested" >&2
    [ -z "${COUNTERFOIL_REQUIRE_TOOLS:-}" ] || exit 1
    exit 0
  fi
done
export npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false
[ node_modules/.package-lock.json -nt package-lock.json ] || timeout 180 npm ci --ignore-scripts --silent
npx --no-install openapi-typescript ../crates/dialects/openapi.json -o .schema.d.ts >/dev/null 2>&1
diff -q .schema.d.ts src/api/schema.d.ts >/dev/null || {
  echo "console: src/api/schema.d.ts is not what crates/dialects/openapi.json gives; run: cd console && npm run types" >&2
  exit 1
}
rm .schema.d.ts
timeout 60 npm run --silent check
timeout 120 npm run --silent test:unit
timeout 60 npm run --silent build
# The program reads the page from console/dist in a debug build, so it is the one just built.
target="$(cd .. && realpath -m "${CARGO_TARGET_DIR:-target}")"
export COUNTERFOIL_BIN="${COUNTERFOIL_BIN:-$target/debug/counterfoil}"
[ -x "$COUNTERFOIL_BIN" ] || (cd .. && cargo build --locked -p counterfoil)
timeout 900 npm run --silent test:browser
