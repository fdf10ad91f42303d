#!/usr/bin/env bash
# Runs every fuzz target for SECONDS_EACH (default 300), two at a time. Needs `cargo install cargo-fuzz` and a nightly toolchain.
# Usage: scripts/fuzz.sh [TARGET…]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${SECONDS_EACH:-300}
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo +nightly fuzz list)
for target in "${targets[@]}"; do cargo +nightly fuzz build --sanitizer none "$target"; done
mkdir -p fuzz/runs
printf '%s\n' "${targets[@]}" | xargs -P "${JOBS:-2}" -I{} bash -c '
  if cargo +nightly fuzz run --sanitizer none {} -- -max_total_time='"$seconds"' -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 >fuzz/runs/{}.log 2>&1
  then echo "{}: nothing found; $(grep -o "stat::number_of_executed_units: *[0-9]*" fuzz/runs/{}.log | tr -s " ")"
  else echo "{}: FOUND SOMETHING, see fuzz/runs/{}.log and fuzz/artifacts/{}"; exit 255; fi'
