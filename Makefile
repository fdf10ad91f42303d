# Two commands do everything on a fresh machine:
#   make demo   build (release) and run a throw-away trail with a generated history; needs Rust and a C compiler, and Node for its page
#   make test   install what the tests need, then run them all
# The rest is for developers.

CARGO ?= cargo
DEMO_ARGS ?=
BENCH_ARGS ?=
# Number of SIGKILLs in the crash test of crates/log.
KILLS ?= 200

# What the page is built of.
CONSOLE_SOURCES = $(shell find console/src console/public -type f) $(wildcard console/*.html console/*.json console/*.ts)

.PHONY: demo test test-tools build console console-pictures check fmt bless bench fuzz clean

demo: console
	$(CARGO) build --release --locked -p counterfoil
	./target/release/counterfoil demo $(DEMO_ARGS)

# The page first: a debug program reads it from where it lay when the program was built.
test: test-tools console
	COUNTERFOIL_KILLS=$(KILLS) COUNTERFOIL_REQUIRE_TOOLS=1 ./scripts/test.sh

test-tools:
	./scripts/install-test-tools.sh

build: console
	$(CARGO) build --release --locked

# The web page, for the program to carry. Without Node, or without a way to fetch its packages, the program is built all the same,
# and its page says what to do. Cargo never calls npm.
console:
	@if command -v npm >/dev/null 2>&1; then $(MAKE) --no-print-directory console/dist/index.html \
	  || echo "console: it could not be built; the program goes without it"; \
	else echo "console: npm is not there; the program goes without its page, which then says how to build it"; fi

console/dist/index.html: $(CONSOLE_SOURCES)
	cd console && npm ci --ignore-scripts --no-audit --no-fund --silent && npm run --silent build

# Takes the pictures of docs/console anew, from the program that the tests were run with.
console-pictures: console/dist/index.html
	cd console && CONSOLE_PICTURES=1 npm run --silent test:browser

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
