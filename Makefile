# Two commands need only Python 3.11+, git and make: `make book` and `make test`. On Windows see the README.
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
READY  := $(VENV)/.installed
STUDY  ?=

STUDIES := $(patsubst benchmarks/experiments/%.py,%,$(wildcard benchmarks/experiments/[!_]*.py))

# The unit tests run two at a time, so each keeps to one thread.
WORKERS := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE

.DEFAULT_GOAL := help
.PHONY: help setup book html test unit lint lab kernel refresh data bench results clean-html clean

help: ## Show this list
	@echo "Usage: make TARGET [PYTHON=python3.12]"
	@echo
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt no-deps.txt tools/set_up.py
	@$(PYTHON) tools/set_up.py

setup: $(READY) ## Set up the virtual environment .venv (the other targets do it by themselves)

book: $(READY) ## Run the chapters on the embedded default and build the HTML book in _build/html
	@$(PY) -m tools.execute
	@$(PY) -m tools.build --chapters executed

html: $(READY) ## Build the HTML book from the committed outputs, running nothing
	@$(PY) -m tools.build --chapters committed

test: $(READY) ## Run the unit tests, then every chapter with its marked outputs compared
	@$(WORKERS) $(PY) -m pytest -n 2 --dist loadscope
	@$(PY) -m tools.validate

unit: $(READY) ## Run the unit tests only
	@$(WORKERS) $(PY) -m pytest -n 2 --dist loadscope

lint: $(READY) ## Check style, formatting, types and the direction of imports
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports

lab: $(READY) ## Open the chapters in JupyterLab
	@$(PY) -m jupyter lab notebooks

kernel: $(READY) ## Register this environment as the kernel "MedXAI" for your own Jupyter
	@$(PY) -m ipykernel install --user --name medxai --display-name MedXAI

refresh: $(READY) ## Run the chapters and store their outputs in notebooks/ (no other target writes there)
	@$(PY) -m tools.execute --refresh

data: $(READY) ## Say which real data sets lie under MEDXAI_DATA, and how to get the others
	@$(PY) -m tools.data

bench: $(READY) ## Run the side-by-side measurements in benchmarks/
	@for name in $(patsubst benchmarks/%.py,%,$(wildcard benchmarks/[!_]*.py)); do \
	  echo "== $$name"; $(PY) -m benchmarks.$$name || exit 1; done

results: $(READY) ## Train on real data and write records to results/: make results STUDY=name
	@if [ ! -f "benchmarks/experiments/$(STUDY).py" ]; then \
	  echo "Expected STUDY to be one of: $(STUDIES)" >&2; exit 1; fi
	@$(PY) -m benchmarks.experiments.$(STUDY)

clean-html: ## Remove the built book, so that the next build starts from nothing
	@rm -rf _build/html _build/.doctrees _build/source _build/html.sha256

clean: ## Remove everything that was built, and the cached data; the virtual environment stays
	@rm -rf _build .cache .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
