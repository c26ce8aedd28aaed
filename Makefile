# Everything a contributor runs. `make` alone lists the commands.
# Needs Python 3.11 or newer, make and git; the first command makes .venv.

UV_VERSION := 0.13.9
ARGS :=

VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements/dev.lock
READY := $(VENV)/.ready

# Start-up times are measured with compiled bytecode, as users have it.
unexport PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK := 1
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:
.DEFAULT_GOAL := help

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "ARGS is passed on: make test ARGS='tests/unit -k digest'"

.PHONY: setup
setup: $(READY) ## make or update .venv; the other commands do this when it is out of date
	@echo "$(VENV) is ready"

# The Python that .venv points to may have been upgraded away.
ifeq ($(realpath $(BIN)/python),)
.PHONY: $(READY)
endif

$(READY): pyproject.toml $(LOCK) Makefile tools/venv.sh
	@sh tools/venv.sh $(VENV)
	@echo "installing what $(LOCK) names"
	@$(BIN)/python -m pip install --quiet --quiet uv==$(UV_VERSION)
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --compile-bytecode --require-hashes $(LOCK)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

.PHONY: demo
demo: $(READY) ## register, compare, activate and roll back a model in a temporary registry
	@$(BIN)/detent demo $(ARGS)

.PHONY: test
test: $(READY) ## run the tests, and the examples in docstrings, README and docs
	@$(BIN)/pytest $(ARGS)

.PHONY: fault
fault: $(READY) ## run the long tests too: many kills, full disks, flipped bits
	@$(BIN)/pytest -m "fault or slow" $(ARGS)

.PHONY: afar
afar: $(READY) ## run on PostgreSQL with S3 what else runs in a folder; the commands always do both
	@$(BIN)/python -m pytest -p tests.afar --ignore tests/unit/cli tests/unit tests/property $(ARGS)

.PHONY: check
check: lint types docs test ## all that must hold before a change lands; CI runs this

.PHONY: lint
lint: $(READY) ## style, and which module may import which
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/lint-imports --no-logo

.PHONY: format
format: $(READY) ## rewrite the code in the one format
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

.PHONY: types
types: $(READY) ## check the types
	@$(BIN)/mypy $(ARGS)

.PHONY: docs
docs: $(READY) ## build the pages into build/docs; a warning is an error
	@$(BIN)/sphinx-build --quiet --fail-on-warning -d build/doctrees docs build/docs
	@echo "docs: build/docs/index.html"

.PHONY: bench
bench: $(READY) ## measure times and sizes as ratios to their limits
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: screenshots
screenshots: $(READY) ## make the pictures of the pages in docs/screenshots anew; needs chromium
	@$(BIN)/python tools/screenshots.py docs/screenshots

.PHONY: coverage
coverage: $(READY) ## run the tests and list the lines that none of them ran
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

.PHONY: lock
lock: $(READY) ## write the lock anew; ARGS=--upgrade takes the newest releases
	@$(BIN)/uv pip compile pyproject.toml --extra all --group dev --output-file $(LOCK) --quiet \
	    --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-header --no-annotate $(ARGS)

.PHONY: news
news: $(READY) ## show the news of the next release, from changelog.d
	@$(BIN)/towncrier build --draft

.PHONY: clean
clean: ## remove all that make has made, .venv too
	rm -rf $(VENV) build dist .coverage* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
