# Quire. `make help` lists the targets.
CARGO ?= cargo

.DEFAULT_GOAL := help
# The program whole, and without what the demo does not need: `attacks`, `bench`, `chain`, `evm` and `interop` of crates/cli.
QUIRE = $(CARGO) build --release --locked --bin quire
DEMO = -p cli --no-default-features
TEST = $(CARGO) test --release --locked --workspace

.PHONY: help demo demo-crates demo-evm evm interop drill test verdict mutants kills plugs portable judges judges-all compare-snarkjs compare-circom fuzz ci fmt clippy docs layering shapes contracts contracts-check slither bench clean-demo

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

demo: ## real mainnet transfers, batched, proven, checked and finalized
	$(CARGO) run --release --locked $(DEMO) -- demo

drill: ## without the operator: a stranger takes over, then everybody leaves, the escrow is zero
	$(CARGO) run --release --locked $(DEMO) -- drill

demo-evm: ## the whole life on a real chain (anvil): deployed, used, the operator killed, everybody leaves; needs Node
	$(QUIRE)
	./tests/interop/install && node tests/interop/demo.mjs

interop: ## a wallet that is not ours: zk-kit and viem sign, the rollup proves and finalizes; needs Node
	$(QUIRE)
	./tests/interop/install && node tests/interop/interop.mjs

evm: ## settlement on a real chain: reorganizations, cut wires, nodes that lie; needs Node
	./tests/interop/install
	QUIRE_ANVIL="$$(./tests/interop/install)" $(TEST) --features tests/anvil --test on_a_chain

test: ## every test that needs no other program, in release mode (docs/testing.md lists the others)
	$(TEST)

verdict: ## QUIRE_VERDICTS (10000) batches through the contract and the native L1
	QUIRE_VERDICTS=$${QUIRE_VERDICTS:-10000} $(CARGO) test --release --locked -p evm --test all one_verdict -- --nocapture

mutants: ## every kind of row and every range of the circuit weakened: a malicious witness must notice
	MUTANTS=all $(CARGO) test --release --locked -p circuits --test mutants -- --nocapture every_mutant_is_killed

kills: ## SIGKILL under load, QUIRE_KILLS (1000) times
	QUIRE_KILLS=$${QUIRE_KILLS:-1000} $(CARGO) test --release --locked -p tests --test survives_kills -- --nocapture

plugs: ## the program is killed at each step that reaches the disk; needs strace
	QUIRE_STRACE="$$(command -v strace)" $(TEST) --features cli/plugs --test plugs

portable: ## the prover's tests without vector instructions
	QUIRE_SIMD=portable $(TEST) --lib --test sums --test transforms --test bases --test proving

judges: ## snarkjs judges our files, and we its; needs Node
	$(QUIRE)
	./tests/interop/install && node tests/interop/judge.mjs && node tests/interop/ceremonies.mjs && node tests/interop/groth16.mjs

judges-all: ## ceremonies of 37 circom circuits and proofs of 15, at several levels of optimization, by both programs; needs Node
	$(QUIRE)
	./tests/interop/install && node tests/interop/ceremonies.mjs target/release/quire --all && node tests/interop/groth16.mjs target/release/quire --all

compare-snarkjs: ## proving times beside snarkjs; SHAPE (tiny), PAIRS (3), THREADS (2); needs Node
	$(QUIRE)
	./tests/interop/install && node tests/interop/compare.mjs target/release/quire $${SHAPE:-tiny} $${PAIRS:-3} $${THREADS:-2}

compare-circom: ## proving times of a circom circuit beside snarkjs, each started anew; HASHES (250), PAIRS (5); needs Node
	$(QUIRE)
	./tests/interop/install && node tests/interop/compare-circom.mjs target/release/quire $${HASHES:-250} $${PAIRS:-5}

fuzz: ## every decoder, FUZZ_SECONDS (60) each, two at a time; needs g++
	./tests/fuzz/run

# One build, with the tests that need anvil and strace, serves all steps; the program is in it.
ci: export QUIRE_KILLS = 100
ci: export FUZZ_SECONDS = 20
ci: TEST = QUIRE_ANVIL="$$(./tests/interop/install)" QUIRE_STRACE="$$(command -v strace)" \
  $(CARGO) test --release --locked --workspace --features tests/anvil,cli/plugs
ci: QUIRE = $(TEST) --no-run
ci: fmt clippy layering demo-crates docs contracts-check test portable drill judges interop demo-evm fuzz ## what CI runs, `evm` and `plugs` among the tests, 100 kills instead of 25, each decoder for 20 seconds

fmt: ## formatting
	$(CARGO) fmt --all --check

clippy: ## lints, warnings denied
	$(CARGO) clippy --release --locked --workspace --all-targets --features tests/anvil,cli/plugs -- -D warnings
	$(CARGO) clippy --release --locked $(DEMO) -- -D warnings

docs: ## API documentation, warnings denied
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --locked --workspace --no-deps

layering: ## dependencies point one way, as README and docs/architecture.md show
	./.ci/layering

demo-crates: ## `make demo` compiles few crates, and none of those that only other commands need
	./.ci/demo-crates

shapes: ## rewrite circuits/shapes.csv after a deliberate change of the circuit
	UPDATE_SHAPES=1 $(CARGO) test --release --locked -p circuits --test shape_ledger

contracts: ## generate and compile the contracts anew; needs Node
	$(CARGO) run --release --locked -p evm --example contracts
	cd crates/l1/contracts && npm ci --no-audit --no-fund --silent && node build.js

contracts-check: ## fails if the committed bytecode is not what the sources compile to; needs Node
	cd crates/l1/contracts && npm ci --no-audit --no-fund --silent && node build.js --check

slither: ## slither on the contracts, against what docs/soundness.md answers; needs Node and Python
	cd crates/l1/contracts && npm ci --no-audit --no-fund --silent
	[ -x target/slither/bin/slither ] || { python3 -m venv target/slither && target/slither/bin/pip install --quiet slither-analyzer==0.11.6; }
	node crates/l1/contracts/slither.js target/slither/bin/slither

bench: ## criterion benchmarks
	$(CARGO) bench --locked -p benches
