# All commands for contributors. `make` alone lists them.
# Needs Python 3.11+ and git.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PORT ?= 8110
DATA ?= .registry
# Extra arguments for the command that runs: make test ARGS="-k snapshot -x"
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
# The time of this file: when the environment last matched the files it is built from.
STAMP := $(VENV)/.made
# LiteLLM's proxy, which the tests run: it needs other versions of the same libraries, so it has an environment of its own.
PROXY := $(VENV)/litellm-proxy
# Finding a name is not enough: version managers leave shims that refuse to run. So each one is tried.
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$name; break; fi; done)

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: $(STAMP) ## start Postgres, PostgREST, NATS and the service on port 8110 (PORT=, DATA=)
	$(BIN)/model-registry up --data-dir "$(DATA)" --port "$(PORT)" $(ARGS)

.PHONY: test
test: $(STAMP) $(PROXY)/.made ## run all the tests, in two processes (ARGS="-k name", ARGS="-n 0 -x")
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n 2 --dist worksteal $(ARGS) # bytecode is compiled once, not by each process

.PHONY: lint
lint: $(STAMP) ## check style, format, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: bench
bench: $(STAMP) $(PROXY)/.made ## measure, and print a table
	$(BIN)/python benchmarks/run.py $(ARGS)

.PHONY: chaos
chaos: $(STAMP) ## kill components at random while 1,000 nodes publish; nothing must be lost (ARGS="--seed 2"; ARGS=--services: model services fail; ARGS=--gateways: nodes behind SMG)
	PYTHONPATH=tests $(BIN)/python benchmarks/chaos.py $(ARGS)

.PHONY: audit
audit: $(STAMP) ## look for known vulnerabilities in all locks; fails if no service can be reached
	$(BIN)/python scripts/audit.py $(ARGS)

.PHONY: sbom
sbom: ## write the bill of materials of the image to dist/sbom.cdx.json (CycloneDX)
	$(PYTHON) scripts/write_sbom.py --output dist/sbom.cdx.json

.PHONY: restores
restores: $(STAMP) ## restore a backup 1,000 times while three replicas write; all must end up equal to the database (ARGS="--physical --restores 50")
	$(BIN)/python benchmarks/restores.py $(ARGS)

.PHONY: lock
lock: ## rewrite the locks from pyproject.toml (ARGS=--upgrade takes newer versions); needs uv
	@uv --version >/dev/null 2>&1 || { echo "make lock needs uv: python3 -m pip install uv" >&2; exit 1; }
	$(COMPILE) --extra stack --extra smg --extra gateway --extra litellm --group build --group install --group test --group lint --output-file requirements-dev.lock pyproject.toml
	$(COMPILE) --extra server --extra gateway --extra litellm --group build --constraints requirements-dev.lock --output-file requirements.lock pyproject.toml
	$(COMPILE) --output-file requirements-litellm.lock requirements-litellm.in

.PHONY: clean
clean: ## remove the environment, the data and the files of tools
	rm -rf $(VENV) .registry .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache dist
	find service tests scripts benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# One lock for all supported systems. This machine's own indexes and options are ignored: a hash must be that of the public file.
COMPILE = env -u PIP_FIND_LINKS -u PIP_EXTRA_INDEX_URL -u UV_FIND_LINKS -u UV_EXTRA_INDEX_URL -u UV_INDEX PIP_CONFIG_FILE=/dev/null \
	uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command "make lock" $(ARGS)

# uv takes a fifth of pip's time. But it does not read pip's settings: if only they name the source of packages, pip installs all of
# them.
UV_FROM_LOCK := awk '/^uv==/ {found = 1} found {print} found && !/\\$$/ {exit}' requirements-dev.lock

$(STAMP): requirements-dev.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found: install one, or name it with make PYTHON=/path/to/python3" >&2; exit 1; }
	@set -ex; \
	$(PYTHON) -m venv $(VENV); \
	pip="$(BIN)/python -m pip install --quiet --disable-pip-version-check"; \
	if ! uv --version >/dev/null 2>&1; then $(UV_FROM_LOCK) >$(VENV)/uv.lock; $$pip --require-hashes --requirement $(VENV)/uv.lock; fi; \
	install="env PATH=$$PATH:$(BIN) uv pip install --quiet --python $(BIN)/python"; \
	$$install --require-hashes --requirement requirements-dev.lock || { install=$$pip; $$install --require-hashes --requirement requirements-dev.lock; }; \
	$$install --no-deps --no-build-isolation --editable .
	@touch $@

$(PROXY)/.made: requirements-litellm.lock | $(STAMP)
	@set -ex; \
	$(PYTHON) -m venv --clear $(PROXY); \
	env PATH="$$PATH:$(BIN)" uv pip install --quiet --python $(PROXY)/bin/python --require-hashes --requirement requirements-litellm.lock \
	|| $(PROXY)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-litellm.lock
	@touch $@
