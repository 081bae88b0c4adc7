# make run       sets up .venv, makes sample data of yesterday, runs the main pipeline on it
# make test      everything fast            make test-all  everything but what is nightly
# make nightly   the long tests
# make check     ruff, mypy, import-linter  make clean     removes .venv and what was made
SHELL := /bin/sh
VENV  := .venv
BIN   := $(VENV)/bin
ROWS  := 20000
PYTEST_ARGS :=

# make docs      puts the documentation's site together, in out/docs/site

.PHONY: run test test-all nightly check docs clean
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
		MINIMIZE_KEYS=out/demo.keys; export MINIMIZE_KEYS; \
		if [ ! -e "$$MINIMIZE_KEYS" ]; then \
			$(BIN)/minimize keys new "$$MINIMIZE_KEYS" --name device --name user --name session > /dev/null; \
		fi; \
		echo "no keyring is set (MINIMIZE_KEYS): using out/demo.keys, made for this demonstration"; \
	fi; \
	$(BIN)/minimize run pipelines/device_telemetry --date "$$date" \
		--input "$$data/{date}/*.ndjson.gz" --settings "$$data/settings.csv"

test: $(VENV)/.test-ready
	$(BIN)/pytest -q -n 2 --dist worksteal -m "not nightly and not slow and not spark and not postgres and not azure and not openbao and not browser" $(PYTEST_ARGS)

test-all: $(VENV)/.all-ready
	$(BIN)/pytest -q -n 2 --dist worksteal -m "not nightly" $(PYTEST_ARGS)

nightly: $(VENV)/.all-ready
	$(BIN)/pytest -q -n 2 --dist worksteal -m nightly $(PYTEST_ARGS)

check: $(VENV)/.test-ready
	@$(BIN)/mypy --strict & types=$$!; \
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports; style=$$?; \
	wait $$types && exit $$style

docs: $(VENV)/.docs-ready
	$(BIN)/python docs/build.py

clean:
	rm -rf $(VENV) .azurite out dist build .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(BIN)/python:
	@for python in python3 python3.14 python3.13 python3.12 python3.11; do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then \
			exec $$python -m venv $(VENV); \
		fi; \
	done; \
	echo "minimize wants Python 3.11 or newer, and none was found (tried python3 and python3.11 to python3.14)" >&2; \
	exit 1

# Stamps: what was installed is installed again only when pyproject.toml or constraints.txt has changed.
$(VENV)/.run-ready: pyproject.toml | $(BIN)/python
	@echo "setting up $(VENV) (once)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[samples]'
	@touch $@

$(VENV)/.test-ready: pyproject.toml constraints.txt | $(BIN)/python
	@echo "setting up $(VENV) for tests (once)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -U 'pip>=25.1'
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[samples]' --group dev
	@touch $@ $(VENV)/.run-ready

$(VENV)/.docs-ready: $(VENV)/.test-ready
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt --group docs
	@touch $@

# PostgreSQL's programs come from the system; where they cannot be had, the tests that want them say so and are skipped.
$(VENV)/.all-ready: $(VENV)/.test-ready
	@ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1 || .ci/postgres
	@.ci/azurite
	@.ci/browser
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt --group spark --group bench --group docs --group openbao --group browser
	@touch $@
