# Every target sets up what it needs in .venv; nothing but Python (3.11 or newer), git and make
# has to be there. To name a Python: make PYTHON=python3.12 test

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
# With several Pythons about (pyenv, a distribution's), the first that runs and is new enough.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	"$$p" -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && { echo "$$p"; exit; }; done; echo python3)

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
ARGS ?=

.PHONY: help
help: ## Say what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | sort | expand -t 10

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c '$(NEW_ENOUGH)' 2>/dev/null || { \
		echo "Abeyance needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 | head -n 1)." >&2; \
		echo "Name another one: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version) (once; again when the lock changes)"
	@$(PYTHON) -m venv $(VENV) || { \
		echo "'$(PYTHON)' cannot make a virtual environment (on Debian and Ubuntu: apt-get install python3-venv)." >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

.PHONY: setup
setup: $(READY) ## Set up the virtual environment and nothing else

.PHONY: demo
demo: $(READY) ## Tell the story of "not yet" with a real server (AUTO=1: nobody has to decide)
	@$(BIN)/abeyance demo $(ARGS)

.PHONY: test
test: $(READY) ## Run all tests (ARGS="-k narrowing" to choose)
	@$(BIN)/python tools/system.py chromium node
	@$(BIN)/python -m pytest -n 2 $(ARGS)

.PHONY: lint
lint: $(READY) ## Check format, lint, types and the import rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(MAKE) --no-print-directory types
	@$(BIN)/lint-imports --no-cache

.PHONY: types
types: $(READY) ## Check the types alone
	@$(BIN)/mypy $(wildcard src tests tools bench faults)

.PHONY: format
format: $(READY) ## Rewrite the sources as the formatter wants them
	@$(BIN)/ruff check --fix --select I .
	@$(BIN)/ruff format .

.PHONY: bench
bench: $(READY) ## Measure, each case as a ratio to a bare server
	@$(BIN)/python tools/system.py wrk
	@$(BIN)/python -m bench $(ARGS)

.PHONY: trace
trace: $(READY) ## Show which requirement is covered by which test, and what has no answer
	@$(BIN)/python tools/trace.py $(ARGS)

COMPILE = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock"

.PHONY: mutants
mutants: $(READY) ## Build server and client wrongly, one fault at a time, and see a test turn red (ARGS="M-33")
	@$(BIN)/python tools/mutants.py $(ARGS)

.PHONY: faults
faults: $(READY) ## Break the world around the server, check every promise, write docs/reliability.md
	@$(BIN)/python -m faults $(ARGS)

.PHONY: lock
lock: $(READY) ## Renew the lock files (ARGS=--upgrade for newer versions)
	@$(COMPILE) $(ARGS) --extra server --extra postgres --output-file requirements/server.txt
	@$(COMPILE) $(ARGS) --extra server --extra postgres --group dev --output-file requirements/dev.txt

.PHONY: clean
clean: ## Remove everything that the other targets made
	rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache \
		tests/interop/node/node_modules
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
