#!/usr/bin/env bash
# Content search against real Lucene 8, on the same documents and queries: p50 and p99 of parse + search, best 100 hits.
# Needs Debian's liblucene8-java and a JDK (apt-get install liblucene8-java default-jdk-headless), python3, and the vectors beside the
# checkout. Usage: scripts/bench-lucene.sh [DOCUMENTS…]   (default: 10000 1000000)
#
# Lucene is measured four ways: counting exactly as we do or to 1,000 as it does by default, with and without its query cache.
set -euo pipefail
cd "$(dirname "$0")/.."
vectors=${VECTORS:-../shared/specs/vectors/lucene}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sizes=("$@")
[ ${#sizes[@]} -gt 0 ] || sizes=(10000 1000000)

classpath=$(ls /usr/share/java/lucene-{core,queryparser,analyzers-common}-8.*.jar | paste -sd:)
javac -cp "$classpath" -d "$work/classes" crates/bench/lucene/LuceneOracle.java
cargo build --release --quiet -p counterfoil-dialects --example content_bench
ours=${CARGO_TARGET_DIR:-target}/release/examples/content_bench

for size in "${sizes[@]}"; do
  python3 crates/bench/lucene/generate.py "$vectors" "$size" "$work/documents" "$work/queries"
  echo "== $size documents, $(wc -l <"$work/queries") queries"
  rm -rf "$work/index"
  "$ours" bench "$work/documents" "$work/queries" "$work/index"
  rm -rf "$work/lucene"
  java -Xmx2g -cp "$classpath:$work/classes" LuceneOracle bench "$work/documents" "$work/queries" "$work/lucene"
done
