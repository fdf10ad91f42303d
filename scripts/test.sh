#!/usr/bin/env bash
# Runs every test: with cargo-nextest where it is installed, with plain cargo where not; then the doc examples, then the
# console.
set -euo pipefail
cd "$(dirname "$0")/.."
if cargo nextest --version >/dev/null 2>&1; then
  cargo nextest run --workspace --locked --no-fail-fast
else
  cargo test --workspace --locked --no-fail-fast --lib --bins --tests --examples
fi
cargo test --workspace --locked --doc
./scripts/test-console.sh
