# make run           sets up .venv, makes sample data of yesterday, runs the main pipeline on it, lists the others
# make test          the fast tests
# make test-ci       what CI runs: also slow tests, one Spark, one PostgreSQL, one object store, one browser
# make test-any-day  the fast tests and the README's commands, 400 days ahead and over the end of a 29 February
# make nightly       every test, with coverage and many new examples for properties; then test-any-day
# make check         ruff, mypy, import-linter
# make differential  compares the working tree with the last landed revision on random cases
# make docs          builds the documentation's site in out/docs/site
# make clean         removes .venv and what was made
SHELL := /bin/sh
VENV  := .venv
BIN   := $(VENV)/bin
ROWS  := 20000
COVERAGE := 90
# One more than two cores: some tests wait for processes and servers.
WORKERS := 3
PYTEST_ARGS :=
DIFFERENTIAL_ARGS :=
FAST := "not (slow or nightly or spark or postgres or browser)"
README_TESTS := tests/docs/test_pages.py tests/test_installation.py -k "README.md or set_up_before"
PYTEST = $(BIN)/pytest -q -n $(WORKERS) --dist worksteal

# An environment that forbids bytecode would compile each test file twice and the package in every process.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test test-ci test-any-day nightly check differential docs clean
.DEFAULT_GOAL := run

# Yesterday, because telemetry is kept for 30 days: a sample of fixed dates would one day be too old to keep.
run: $(VENV)/.run-ready
	@set -eu; \
	date=$$($(BIN)/python -c 'from datetime import UTC, datetime, timedelta; print((datetime.now(UTC) - timedelta(days=1)).date())'); \
	data=out/sample_data/$$date; \
	if [ ! -e "$$data/settings.csv" ]; then \
		echo "making sample data: $$data"; \
		$(BIN)/python sample_data/generate.py device_telemetry --rows $(ROWS) --date "$$date" --out "$$data" > /dev/null; \
	fi; \
	if [ -z "$${MINIMIZE_KEYS:-}" ] && ! grep -q '^keys:' pipelines/minimize.yaml; then \
		MINIMIZE_KEYS=$$(pwd)/out/demo.keys; export MINIMIZE_KEYS; \
		if [ ! -e "$$MINIMIZE_KEYS" ]; then \
			$(BIN)/minimize keys new "$$MINIMIZE_KEYS" --name device --name user --name session > /dev/null; \
		fi; \
		echo "no keyring is set (MINIMIZE_KEYS): using out/demo.keys, made for this demonstration"; \
	fi; \
	if [ ! -e out/demo-access.yaml ] && grep -q '^access: ../out/demo-access.yaml' pipelines/minimize.yaml; then \
		$(BIN)/minimize access new out/demo-access.yaml --tenant 91b9fd63-473d-5eb2-8da9-5d2ecc407171 > /dev/null; \
		echo "made out/demo-access.yaml, with an account per role; yours is an operator"; \
	fi; \
	$(BIN)/minimize settings import "$$data/settings.csv" --evidence "sample data"; \
	$(BIN)/minimize run pipelines/device_telemetry --date "$$date" --input "$$data/{date}/*.ndjson.gz" --output out/demo/device_telemetry; \
	echo; \
	echo "This was the main pipeline. pipelines/ has $$(ls pipelines/*/pipeline.yaml | wc -l | tr -d ' '), each with a committed sample of 2026-11-23 and 24:"; \
	ls pipelines/*/pipeline.yaml | cut -d/ -f2 | tr '\n' ' ' | fold -s -w 100 | sed 's/^/  /'; echo; \
	echo "Run another one:   $(BIN)/minimize run pipelines/enrollments --at 2026-11-25T00:00:00Z --output out/enrollments --keys out/demo.keys"; \
	echo "Some follow settings of their sample: $(BIN)/minimize settings import sample_data/usage_events/settings.csv --evidence 'sample data' --keys out/demo.keys"; \
	echo "See what it keeps: $(BIN)/minimize plan pipelines/enrollments       All of them: docs/guide/datasets.md"

test: $(VENV)/.test-ready
	$(PYTEST) -m $(FAST) $(PYTEST_ARGS)

test-ci: $(VENV)/.ci-ready
	$(PYTEST) -m "not nightly" $(PYTEST_ARGS)

# Everything is installed under the true clock.
test-any-day: $(VENV)/.test-ready
	@.ci/faketime
	@set -eu; for clock in +400d leap-day; do \
		echo "clock: $$clock"; \
		.ci/with-clock $$clock $(PYTEST) -m $(FAST) $(PYTEST_ARGS); \
		.ci/with-clock $$clock $(BIN)/pytest -q $(README_TESTS); \
	done

nightly: $(VENV)/.nightly-ready
	HYPOTHESIS_PROFILE=nightly $(PYTEST) --cov --cov-report=term:skip-covered --cov-fail-under=$(COVERAGE) $(PYTEST_ARGS)
	$(MAKE) test-any-day

check: $(VENV)/.test-ready
	@$(BIN)/mypy --strict -n 2 & types=$$!; \
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports; style=$$?; \
	wait $$types && exit $$style

# Another revision, a wheel, a seed: DIFFERENTIAL_ARGS='--against v0.1.0 --seed 2'
differential: $(VENV)/.test-ready
	$(BIN)/python -m tests.differential --cases 300 $(DIFFERENTIAL_ARGS)

docs: $(VENV)/.docs-ready
	$(BIN)/python docs/build.py

clean:
	rm -rf $(VENV) .azurite out out-telemetry dist build .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(BIN)/python:
	@for python in python3 python3.14 python3.13 python3.12 python3.11; do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then \
			exec $$python -m venv $(VENV); \
		fi; \
	done; \
	echo "minimize wants Python 3.11 or newer, and none was found (tried python3 and python3.11 to python3.14)" >&2; \
	exit 1

# Stamps: what was installed is installed again only when pyproject.toml or constraints.txt has changed.
# For tests pip compiles nothing: it would take 25 s for 12,000 modules, of which the tests import 1,800.
$(VENV)/.run-ready: pyproject.toml | $(BIN)/python
	@echo "setting up $(VENV) (once)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[samples]'
	@touch $@

$(VENV)/.test-ready: pyproject.toml constraints.txt | $(BIN)/python
	@echo "setting up $(VENV) for tests (once)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -U 'pip>=25.1'
	@$(BIN)/python -m pip install -q --no-compile --disable-pip-version-check -c constraints.txt -e '.[samples]' --group dev
	@touch $@ $(VENV)/.run-ready

$(VENV)/.docs-ready: $(VENV)/.test-ready
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt --group docs
	@touch $@

# PostgreSQL's programs and Chromium come from the system. Without them, the tests that need them are skipped and say so.
$(VENV)/.ci-ready: $(VENV)/.test-ready
	@.ci/postgres
	@.ci/browser
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt --group spark --group docs --group browser
	@touch $@ $(VENV)/.docs-ready

$(VENV)/.nightly-ready: $(VENV)/.ci-ready
	@.ci/azurite
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt --group openbao --group bench
	@touch $@
