# Two commands do everything on a fresh machine:
#   make demo   build (release) and run a throw-away trail with a generated history; needs Rust and a C compiler only
#   make test   install what the tests need, then run them all
# The rest is for developers.

CARGO ?= cargo
DEMO_ARGS ?=
BENCH_ARGS ?=
# Number of SIGKILLs in the crash test of crates/log.
KILLS ?= 200

.PHONY: demo test test-tools build check fmt bless bench fuzz clean

demo:
	$(CARGO) build --release --locked -p counterfoil
	./target/release/counterfoil demo $(DEMO_ARGS)

test: test-tools
	COUNTERFOIL_KILLS=$(KILLS) COUNTERFOIL_REQUIRE_TOOLS=1 ./scripts/test.sh

test-tools:
	./scripts/install-test-tools.sh

build:
	$(CARGO) build --release --locked

check:
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --document-private-items

fmt:
	$(CARGO) fmt --all

bless:
	BLESS=1 $(CARGO) test --locked -p counterfoil-dialects

bench:
	./scripts/bench.sh $(BENCH_ARGS)

fuzz:
	./scripts/fuzz.sh

clean:
	$(CARGO) clean
