//! Our side of scripts/bench-lucene.sh: the same documents and queries as real Lucene gets, answered by our index.

mod probe;

fn main() {
    probe::main(dialects::lucene::parse);
}
