# One command each; every target sets up its own virtual environment first.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
SHARED := $(wildcard ../shared/data)
export ARCHLAB_DATA ?= $(abspath $(SHARED))

.PHONY: install search test test-slow check notebooks benchmarks clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

search: install
	$(BIN)/archlab search --budget-ms 5 --device orin

test: install
	$(BIN)/python -m pytest -m "not slow" -n auto

test-slow: install
	$(BIN)/python -m pytest -m slow -n auto

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
