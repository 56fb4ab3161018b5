# Two commands do all the set-up on a fresh machine with Rust: `make demo` and `make test`.

CARGO ?= cargo
PYTHON ?= python3
# One profile for everything, so that nothing is compiled twice. The demo and the core leave the AWS SDKs out.
CORE = --release --locked --no-default-features
DEMO = $(CORE) --features daemon
FULL = --release --locked
VENV = .venv
MOTO = $(VENV)/moto-installed

.PHONY: demo build test seeds lint doc bench install clean mutants

demo:
	$(CARGO) run $(DEMO) -- demo

build:
	$(CARGO) build $(FULL)

# The order is the order in which a mistake is cheapest to find.
test: $(MOTO) nextest
	$(CARGO) fmt --check
	$(CARGO) nextest run $(CORE) --no-fail-fast
	$(MAKE) lint doc
	$(CARGO) nextest run $(FULL) --no-fail-fast
	$(VENV)/bin/python -B tests/aws/selftest.py

# A million worlds, on all cores: three quarters of an hour on two. A seed that fails says how to replay it.
seeds:
	REGEND_SEEDS=1000000 $(CARGO) test $(CORE) --test core seeds:: -- --nocapture

# Clippy drives the real build rather than a check of its own, because checking the SDKs costs as much as building them.
lint:
	$(CARGO) clippy $(DEMO) --all-targets -- -D warnings
	RUSTC_WORKSPACE_WRAPPER="$$(rustup which clippy-driver 2>/dev/null || command -v clippy-driver)" \
	CLIPPY_ARGS="-Dwarnings" $(CARGO) build $(FULL)

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(DEMO) --no-deps --document-private-items

bench:
	$(CARGO) bench --locked --no-default-features --features daemon --bench calls --bench fleet --bench journal

# A minute for each parser of outside input and for the decision. What is new is kept in fuzz/target, what fails in
# fuzz/artifacts; what is worth keeping goes to fuzz/corpus, which `make test` replays. No nightly compiler is needed.
FUZZ_SECONDS ?= 60
.PHONY: fuzz
fuzz:
	@$(CARGO) fuzz --version >/dev/null 2>&1 || $(CARGO) install cargo-fuzz --locked
	set -e; for target in $$($(CARGO) fuzz list); do \
		mkdir -p fuzz/target/corpus/$$target; \
		RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run --sanitizer none $$target fuzz/target/corpus/$$target fuzz/corpus/$$target \
			-- -max_total_time=$(FUZZ_SECONDS) -timeout=10; \
	done

# Breaks the code on purpose, one line at a time, and expects the core's tests to notice. Not for CI: it takes a while.
mutants:
	$(PYTHON) -B tests/mutants.py $(WORDS)

# Changes each operator, match arm, field and return value of the domain and the engine in turn; `.cargo/mutants.toml` says which are
# left out, and why. Some hours; ARGS="--file src/domain/veto.rs" does a part.
.PHONY: mutants-cargo
mutants-cargo:
	@$(CARGO) mutants --version >/dev/null 2>&1 || $(CARGO) install cargo-mutants --locked
	$(CARGO) mutants $(ARGS)

.PHONY: nextest
nextest:
	@$(CARGO) nextest --version >/dev/null 2>&1 || $(CARGO) install cargo-nextest --locked

$(MOTO): tests/aws/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/aws/requirements.txt
	touch $@

clean:
	$(CARGO) clean
	rm -rf $(VENV)
