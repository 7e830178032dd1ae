# Everything goes into .venv; nothing but Python ≥ 3.11 is needed. `make help` lists the targets.

PYTHON ?= python3
BIN := .venv/bin
CORES ?= $(shell $(PYTHON) -c "import os; print(os.cpu_count())")
PROFILE ?= quick
SYSTEMS ?= lga,jin2024,swarnali2025
DATASETS ?= all
# Tests and notebooks run one per core, each on one thread.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --quiet -n $(CORES)
.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.venv/ready: requirements.lock pyproject.toml
	@echo "installing into .venv: a minute or two, some gigabytes"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	touch $@

.PHONY: setup
setup: .venv/ready ## install everything into .venv, at the locked versions

.PHONY: reproduce
reproduce: setup ## run the notebooks on the stand-ins, end with the tables (SYSTEMS=all: baselines too)
	$(BIN)/lga reproduce --profile $(PROFILE) --systems $(SYSTEMS) --datasets $(DATASETS) --cores $(CORES)

.PHONY: test
test: setup ## lint, unit tests, a small grid, and nbval on the notebooks
	$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet .
	$(PYTEST) --dist worksteal --durations 5 tests
	$(PYTEST) --dist loadfile --nbval-lax --nbval-current-env --nbval-cell-timeout 900 notebooks

.PHONY: lint
lint: setup ## format the code and fix what ruff can
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

.PHONY: notebooks
notebooks: setup ## execute the committed notebooks again and strip what changes from run to run
	OMP_NUM_THREADS=1 $(BIN)/jupyter nbconvert --to notebook --execute --inplace notebooks/*.ipynb
	$(BIN)/nbstripout --keep-output --keep-count --extra-keys \
		"metadata.papermill metadata.widgets metadata.language_info.version cell.metadata.papermill cell.metadata.execution" notebooks/*.ipynb

.PHONY: lock
lock: setup ## renew requirements.lock (UPGRADE=--upgrade: to the newest versions)
	$(BIN)/uv pip compile --quiet $(UPGRADE) --universal --python-version 3.11 --no-header --no-annotate \
		--no-emit-index-url --all-extras pyproject.toml -o requirements.lock

.PHONY: address
address: setup ## write the public address of pyproject.toml into badges and notebooks
	$(BIN)/python -c "from lga.notebooks import write_address; print(*write_address() or ['nothing to change'], sep='\n')"
