# Reknit needs only Python 3.11 or newer: every target makes its own environment first.
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.stamp
LOCK := $(BIN)/uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 \
	--fork-strategy fewest --generate-hashes --no-emit-index-url --no-header \
	--exclude-newer "7 days"

SIZE ?= 100k
PEERS ?= yes

.DEFAULT_GOAL := help
.PHONY: help demo test bench evals evals-intake screenshots check format lock faults fuzz lost

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: $(READY)  ## import a CRM export, drift it, heal it, answer its questions
	$(BIN)/reknit demo

# Two cores wait now and then, so three workers; each file in one of them, the long folders first.
test: $(READY)  ## every test but benchmarks and faults
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

evals: $(READY)  ## score mapping and healing (FOLDERS="…" for other task files)
	$(BIN)/python -m evals $(FOLDERS) $(ARGS)

evals-intake: $(READY)  ## score reading hard files, beside other readers (FOLDER=… with csv/ and clean/)
	$(BIN)/python -m evals.intake $(FOLDER) $(ARGS)

screenshots: $(READY)  ## pictures of every page into out/screenshots (needs chromium)
	$(BIN)/python tests/console_screenshots.py out/screenshots $(ARGS)

fuzz: $(READY)  ## the API fuzzer at length, boundaries too: EXAMPLES=50 of each operation
	FUZZ_EXAMPLES=$(or $(EXAMPLES),50) FUZZ_PHASES=examples,coverage,fuzzing,stateful $(BIN)/python -m pytest -s --timeout 3600 tests/contract/test_api_fuzz.py

KILLS ?= 50
faults: $(READY)  ## break everything on purpose, then kill workers KILLS times on each database
	$(BIN)/python -m pytest -s --timeout 1800 tests/faults
	RESTARTS=20 $(BIN)/python -m pytest -s --timeout 1800 tests/e2e/test_rolling_restart.py
	$(BIN)/python tests/chaos.py --kills $(KILLS)

lost: $(READY)  ## kill the server ROUNDS times on each side of a commit; each client asks again
	ROUNDS=$(or $(ROUNDS),100) $(BIN)/python -m pytest -s --timeout 3600 tests/faults/test_api_lost_response.py

check: $(READY)  ## format, lint, types, import contracts
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(READY)  ## write what `check` asks for
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# Peers need other versions of shared libraries than Reknit: they get an environment of their own.
bench: $(READY)  ## the import against the floor and its peers: SIZE=100k|1m|10m
	@test -z "$(PEERS)" || test -e .venv-bench/.stamp || { \
		echo "Setting up .venv-bench with the peers: a few minutes, once."; \
		$(BIN)/python -m venv .venv-bench && $(BIN)/uv pip install --quiet --python .venv-bench/bin/python \
			--requirement pyproject.toml --extra bench && touch .venv-bench/.stamp; }
	PYTHONPATH=tests/bench $(BIN)/python tests/bench/bench.py $(SIZE) \
		$(if $(PEERS),--peers .venv-bench/bin/python)

# Entries are at least a week old, so that a poisoned release is found before it gets here.
lock: $(READY)  ## resolve the dependencies anew
	$(LOCK) --extra llm --output-file requirements.lock >/dev/null
	$(LOCK) --extra llm --extra dev --output-file requirements-dev.lock >/dev/null

# --no-deps: the lock is complete, and pip refuses to resolve extras in hash-checking mode.
# --only-binary: building a source distribution would fetch build tools that no hash covers.
$(READY): requirements-dev.lock pyproject.toml
	@python=$$(for name in python3.14 python3.13 python3.12 python3.11 python3; do \
		if $$name -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
		then echo $$name; break; fi; done); \
	test -n "$$python" || { echo "Reknit needs Python 3.11 or newer with its venv module" \
		"(on Debian: apt-get install python3-venv)."; exit 1; }; \
	echo "Setting up $(VENV) with $$python: about a minute, once."; \
	$$python -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-compile \
		--only-binary=:all: --require-hashes --requirement requirements-dev.lock
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps \
		--no-build-isolation --editable .
	@touch $@
