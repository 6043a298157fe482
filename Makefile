# Everything sets up what it needs: a virtual environment from the pinned lock, then the job.
.DEFAULT_GOAL := help
.PHONY: help setup demo gate champion test test-slow test-lowest lint docs bench notebooks lock clean

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Compiled Python is kept, whatever the environment says: every worker and every process of a test would make it anew.
PYTEST = env -u PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX=$(CURDIR)/build/pycache $(BIN)/python -m pytest

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(READY) ## the virtual environment

$(READY): requirements.lock pyproject.toml
	@python="$$(scripts/find-python)" && \
	  echo "setting up $(VENV) with $$($$python --version)" && \
	  { [ -x $(BIN)/python ] && $(BIN)/python -c '' 2>/dev/null || "$$python" -m venv --clear $(VENV); }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## generated market to frozen champion, and an honest refusal (offline)
	@$(BIN)/dolphin demo --home "$${DOLPHIN_DEMO:-demo_workspace}"

gate: $(READY) ## the engine against the frozen champion: every decision, the floors (build/gate.xml, gate.md)
	@$(BIN)/python scripts/regression.py gate

champion: $(READY) ## freeze that champion anew, after a change that is meant to move decisions or the engine's sources
	@$(BIN)/python scripts/regression.py freeze

test: $(READY) ## the fast suite
	@$(PYTEST) -m "not slow" --numprocesses logical --maxprocesses 4 --dist worksteal

test-slow: $(READY) ## the tests that take long
	@$(PYTEST) -m slow --numprocesses logical --maxprocesses 4 --dist worksteal

test-lowest: $(READY) ## a part of the suite on the oldest packages that pyproject.toml allows (skipped without an index)
	@$(BIN)/python scripts/lowest_versions.py

lint: $(READY) ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

docs: $(READY) ## the documentation as a site that opens from the disk: build/site/index.html
	@$(BIN)/zensical build --strict

bench: $(READY) ## every speed claim, side by side with its peer
	@$(BIN)/python -m benchmarks

notebooks: $(READY) ## the notebooks in jupyterlab (installs what they need)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[notebooks]'
	@DOLPHIN_HOME="$${DOLPHIN_HOME:-$(CURDIR)/build/notebooks}" $(BIN)/jupyter lab notebooks

lock: ## renew requirements.lock (needs uv)
	@uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate --extra dev pyproject.toml -o requirements.lock

clean: ## remove what the targets made
	@rm -rf $(VENV) build demo_workspace *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
