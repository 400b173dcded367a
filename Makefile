# Every command of this repository; hooks and CI call the same targets.
# Needed beforehand: python3 (3.11 to 3.13) and make. `bootstrap` installs the rest.

PYTHON3 ?= python3
PYTHON := .venv/bin/python
FOLDERS := shared $(wildcard services/*) scripts tests bench
# Folders without a Python file are not listed, because mypy refuses them.
SOURCES := $(foreach folder,$(FOLDERS),$(if $(shell find $(folder) -name '*.py' -print -quit 2>/dev/null),$(folder)))
PYTEST := $(PYTHON) -m pytest
# Most of these tests wait. Each process has its own servers and runs whole files, in the order of tests/conftest.py.
SIDE_BY_SIDE := -n 2 --dist loadfile --no-loadscope-reorder
# Tests without a server share nothing, so a free process takes tests from the other.
UNSHARED := -n 2 --dist worksteal
COMPILE := .venv/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11

.DEFAULT_GOAL := help
# Two makes at once, or one with -j, are safe: the bootstrap lets one process at a time touch .venv.
.NOTPARALLEL:
.PHONY: help bootstrap python browser up down demo test suite check lint types imports format unit detectors integration chart faults e2e model examples bench storm images lock clean

help: ## show this list
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9]+):[^#]*## (.*)/  \1|\2/' | awk -F'|' '{printf "%-16s %s\n", $$1, $$2}'

bootstrap: ## create .venv and install the servers' packages, if they are missing
	@$(PYTHON3) scripts/bootstrap.py

python: ## create .venv only
	@$(PYTHON3) scripts/bootstrap.py --only-python

browser: python ## install Chromium for the tests of pages, if it is missing
	@$(PYTHON3) scripts/bootstrap.py --only-python --browser

up: $(if $(ENGINE),python,bootstrap) ## start servers and services, write .local/demo.env, print the addresses (ENGINE=docker: in containers)
	@$(PYTHON) scripts/up.py $(if $(ENGINE),--engine $(ENGINE))

down: python ## stop everything that `make up` started; the data stays
	@$(PYTHON) scripts/down.py

demo: up ## play three stories of wrong jobs that are corrected, with real data; leaves the system running
	@$(PYTHON) scripts/demo.py

test: bootstrap check suite ## run lint, types, imports and all tests

suite: bootstrap browser ## run all tests, with real servers of their own
	$(PYTEST) $(SIDE_BY_SIDE)

check: lint types imports ## run lint, types and imports

lint: python ## check rules and format with ruff
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types: python ## check types with mypy, strict
	$(PYTHON) -m mypy $(SOURCES)

imports: python ## check the direction of imports
	.venv/bin/lint-imports --no-cache

format: python ## format every file
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

unit: python ## run the tests without a server, except those of `make detectors`
	$(PYTEST) $(UNSHARED) -m 'not detectors' tests/unit tests/architecture

detectors: python ## measure what the previews' detectors find and miss, over hundreds of files
	$(PYTEST) $(UNSHARED) -m detectors tests/unit

integration: bootstrap ## run the tests against real servers
	$(PYTEST) $(SIDE_BY_SIDE) tests/integration

chart: bootstrap ## render and validate the Helm chart, and compare it with the code
	$(PYTEST) tests/chart

faults: bootstrap ## run the tests with killed, stopped and cut-off processes
	$(PYTEST) $(SIDE_BY_SIDE) tests/faults

e2e: bootstrap browser ## test the whole system from outside
	$(PYTEST) tests/e2e

model: bootstrap ## explore the protocol state by state
	$(PYTEST) tests/model

examples: bootstrap ## record the examples of the API reference again, from requests to a running system
	COLLECT_RECORD_EXAMPLES=1 $(PYTEST) tests/integration/reference -k what_the_system

bench: up ## measure the figures of docs/figures.md
	@set -a; . .local/demo.env; set +a; PYTHONPATH=scripts:tests $(PYTHON) bench $(ONLY) $(if $(ROWS),--rows $(ROWS))

storm: bootstrap ## break everything at once while people use the system: `make storm SEED=7 SECONDS=360` (docs/storm.md)
	PYTHONPATH=scripts:bench:tests $(PYTHON) -m storm --seed $(or $(SEED),1) --seconds $(or $(SECONDS),120)

images: ## build the image of every service with Docker, and print the sizes: `make images REGISTRY=… VERSION=… PYTHON_IMAGE=…`
	@scripts/image/build $(foreach service,$(notdir $(wildcard services/*)),$(service))

lock: python ## pin requirements/*.in again, with hashes
	$(COMPILE) -o requirements/runtime.txt requirements/runtime.in
	$(COMPILE) -c requirements/runtime.txt -o requirements/dev.txt requirements/dev.in
	$(COMPILE) -c requirements/dev.txt -o requirements/build.txt requirements/build.in
	$(COMPILE) --no-deps -o requirements/servers.txt requirements/servers.in

clean: ## stop everything, then remove .venv, .local and caches
	@if [ -x $(PYTHON) ]; then $(PYTHON) scripts/down.py --with-data; fi
	rm -rf .venv .local .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
