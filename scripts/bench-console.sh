#!/usr/bin/env bash
# Measures the console: the first view, scrolling a million events (by Chromium's own tracing), seeking in a generated session of 2 GiB.
# Prints a table; what it printed last is in docs/console.md.
#
#   scripts/bench-console.sh
#
#   COUNTERFOIL_BIN  the program (default target/release/counterfoil, built if it is not there, with the page in it)
#   EVENTS           events of the trail (default 1000000); SESSION_MIB: size of the session (default 2048; 0: leave it out)
#
# Needs Node 20.19, chromium, and 8 GB free in TMPDIR.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -f console/dist/index.html ] || make --no-print-directory console
export COUNTERFOIL_BIN="${COUNTERFOIL_BIN:-$PWD/target/release/counterfoil}"
[ -x "$COUNTERFOIL_BIN" ] || cargo build --release --locked -p counterfoil
cd console
npm run --silent bench
