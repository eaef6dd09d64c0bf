# Every chore of this repository is one verb. `make help` lists them.
#
#   PYTHON=/path/to/python3.12   the interpreter to build .venv with (default: the newest found, 3.11 or later)
#   ARGS="..."                   further arguments for demo, test, faults and bench
#   ROUNDS=100                   how often faults kills something; SEED=... plays the plans of an earlier run again

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

ARGS ?=
ROUNDS ?= 500
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

# The first interpreter that is new enough and can make a virtual environment.
define find_python
for candidate in "$(PYTHON)" python3.13 python3.12 python3.11 python3; do \
  [ -n "$$candidate" ] || continue; \
  if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
    echo "$$candidate"; break; \
  fi; \
done
endef

.PHONY: help setup demo test check fmt bench docs messages faults mutants

help: ## List the verbs
	@echo "usage: make VERB [ARGS=\"...\"]"; echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' Makefile

setup: $(VENV)/.dev-stamp ## Create .venv and install everything for development

demo: $(VENV)/.runtime-stamp ## Serve the sample company on http://127.0.0.1:8000
	@$(BIN)/forecourt demo $(ARGS)

test: $(VENV)/.dev-stamp ## Run all tests (finds or installs Chromium first)
	@FORECOURT_CHROMIUM="$$(sh scripts/chromium.sh)" $(BIN)/pytest $(ARGS)

check: $(VENV)/.dev-stamp ## Lint, check formatting, types, layers and forbidden host names
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@sh scripts/no_registry_hosts.sh

fmt: $(VENV)/.dev-stamp ## Format the code and fix what the linter can fix
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format --quiet .

bench: $(VENV)/.dev-stamp ## Measure speed and write down the numbers
	@$(BIN)/forecourt bench $(ARGS)

docs: $(VENV)/.dev-stamp ## Write the generated parts of docs/ anew
	@$(BIN)/python scripts/docs.py

messages: $(VENV)/.dev-stamp ## Bring new words of pages into the catalogues, to be translated there
	@$(BIN)/python scripts/messages.py

faults: $(VENV)/.dev-stamp ## Kill, cut and stall things, and check that nothing is lost (slow)
	@ROUNDS=$(ROUNDS) $(BIN)/pytest tests/faults -n 0 $(ARGS)

mutants: $(VENV)/.dev-stamp ## Weaken every rule of the examples in turn, and look whether audit sees it (slow)
	@$(BIN)/python scripts/mutants.py $(ARGS)

$(BIN)/python:
	@python="$$($(find_python))"; \
	if [ -z "$$python" ]; then \
	  echo "Forecourt needs Python 3.11 or later, with its venv module, and found none." >&2; \
	  echo "Seen on PATH: $$(python3 --version 2>&1 || true)" >&2; \
	  echo "Install one (on Debian and Ubuntu: apt-get install python3 python3-venv)," >&2; \
	  echo "or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; \
	  exit 1; \
	fi; \
	echo "Creating $(VENV) with $$("$$python" --version) ($$python)"; \
	"$$python" -m venv --clear $(VENV)

$(VENV)/.runtime-stamp: requirements/runtime.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo "Installing what Forecourt needs to run"
	@$(PIP) install --quiet -r requirements/runtime.txt -r requirements/build.txt
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev-stamp: requirements/dev.txt $(VENV)/.runtime-stamp
	@echo "Installing what its tests and checks need"
	@$(PIP) install --quiet -r requirements/dev.txt
	@touch $@
