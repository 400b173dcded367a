# Every command of this repository; hooks and CI call the same targets.
# Only python3 (3.11 to 3.13) and make are needed beforehand: `bootstrap` installs the rest.

PYTHON3 ?= python3
PYTHON := .venv/bin/python
FOLDERS := shared services/gateway services/upload-worker services/monitor scripts tests bench
# Folders without a Python file are left out, because mypy refuses them.
SOURCES := $(foreach folder,$(FOLDERS),$(if $(shell find $(folder) -name '*.py' -print -quit 2>/dev/null),$(folder)))
PYTEST := $(PYTHON) -m pytest
COMPILE := .venv/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help bootstrap python up down demo test check lint types imports format unit integration faults e2e model bench storm lock clean

help: ## show this list
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9]+):[^#]*## (.*)/  \1|\2/' | awk -F'|' '{printf "%-16s %s\n", $$1, $$2}'

bootstrap: ## make .venv and install what the servers need, as far as it is missing
	@$(PYTHON3) scripts/bootstrap.py

python: ## make .venv only
	@$(PYTHON3) scripts/bootstrap.py --only-python

up: bootstrap ## start servers and services under supervision, write .local/demo.env, say where things are
	@$(PYTHON) scripts/up.py

down: python ## stop what `make up` started; the data stays
	@$(PYTHON) scripts/down.py

demo: up ## play the story of a baseline upload gone wrong, with real data; leaves the system up
	@$(PYTHON) scripts/demo.py

test: bootstrap check ## lint, types, imports and every layer of tests, with real servers of their own
	$(PYTEST)

check: lint types imports ## lint, types and imports

lint: python ## ruff: rules and format
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types: python ## mypy, strict
	$(PYTHON) -m mypy $(SOURCES)

imports: python ## the direction of imports
	.venv/bin/lint-imports --no-cache

format: python ## put every file into the common format
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

unit: python ## tests without a server
	$(PYTEST) tests/unit tests/architecture

integration: bootstrap ## tests against real servers, contracts included
	$(PYTEST) tests/contract tests/integration

faults: bootstrap ## real faults: killed, stopped and cut-off processes
	$(PYTEST) tests/faults

e2e: bootstrap ## the whole system, from outside
	$(PYTEST) tests/e2e

model: bootstrap ## explore the protocol state by state
	$(PYTEST) tests/model

bench: up ## measure the figures of docs/figures.md
	@set -a; . .local/demo.env; set +a; PYTHONPATH=scripts $(PYTHON) bench $(ONLY) $(if $(ROWS),--rows $(ROWS))

storm: bootstrap ## a whole system under fire, on servers of its own: `make storm SEED=7 SECONDS=360` (docs/storm.md)
	PYTHONPATH=scripts:bench:tests $(PYTHON) -m storm --seed $(or $(SEED),1) --seconds $(or $(SECONDS),120)

lock: python ## pin requirements/*.in anew, with hashes
	$(COMPILE) -o requirements/runtime.txt requirements/runtime.in
	$(COMPILE) -c requirements/runtime.txt -o requirements/dev.txt requirements/dev.in
	$(COMPILE) --no-deps -o requirements/mongodb.txt requirements/mongodb.in

clean: ## stop everything, then remove .venv, .local and caches
	@if [ -x $(PYTHON) ]; then $(PYTHON) scripts/down.py; fi
	rm -rf .venv .local .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
