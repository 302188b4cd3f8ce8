# Wangge. `make run` and `make test` set up all they need; `make help` explains the rest.

.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-print-directory --no-builtin-rules

HOST ?= 127.0.0.1
PORT ?= 8000
DEMO ?= full
TESTS ?= tests
JOBS ?= 2

BIN := .venv/bin
PACKAGES := geo maps api

export PYTHONUTF8 := 1

.PHONY: help run test test-pages check bench prove docs pictures bundle lint format types arrows migrations \
	setup setup-dev assets browser db-up db-down lock clean distclean

help: ## Explain every target
	@echo 'Usage: make TARGET [NAME=value ...]'
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do \
		printf '  %-12s %s\n' "$$name" "$$text"; done
	@echo
	@echo 'Values:  HOST=127.0.0.1  PORT=8000     where `make run` serves'
	@echo '         DEMO=full|small|none          the demo city: a whole one, one community, or none'
	@echo '         CERT=file KEY=file            a certificate, to serve beyond this machine (DEMO=none)'
	@echo '         LOCAL_CERTIFICATE=1           or let a local one be made'
	@echo '         TESTS=tests/geo  JOBS=2       which tests, in how many processes'
	@echo '         PROOFS=redrawing              which proofs of `make prove`; all by default'
	@echo '         ARCHES="amd64 arm64"          for which machines to bundle'
	@echo '         DATABASE_URL=postgresql://... an own PostGIS instead of the private one'

run: setup ## Set up, start the database, load the demo city once, serve the map
	@$(BIN)/wangge run --host '$(HOST)' --port '$(PORT)' --demo '$(DEMO)' \
		$(if $(CERT),--cert '$(CERT)') $(if $(KEY),--key '$(KEY)') \
		$(if $(LOCAL_CERTIFICATE),--local-certificate)

test: setup-dev browser ## Set up and pass all tests, in a real browser too
	@$(BIN)/python -m pytest -n '$(JOBS)' --dist loadgroup $(TESTS)

test-pages: setup-dev browser ## The tests in a real browser alone
	@$(BIN)/python -m pytest -m browser tests/browser

check: setup-dev browser ## All that a change must pass: format, lint, types, arrows, tests, docs
	@sh setup/check.sh

bench: browser ## Run every benchmark beside its peers; writes benchmarks/results.json
	@sh setup/venv.sh bench && sh setup/assets.sh && $(BIN)/python -m benchmarks

prove: setup-dev ## The long proofs: random redrawing, writers at once; minutes to hours
	@$(BIN)/python -m proofs $(PROOFS)

docs: setup-dev ## Build the documentation in site/; warnings are errors
	@$(BIN)/python -m mkdocs build --strict && echo 'The documentation is in site/index.html'

pictures: setup-dev browser ## Take the pictures of the guides; `make run` serves the demo city meanwhile
	@$(BIN)/python setup/pictures.py --address 'http://$(HOST):$(PORT)'

bundle: setup ## One archive that installs without a network: dist/wangge-VERSION-ARCH.tar.gz
	@sh setup/bundle.sh

lint: setup-dev ## Formatter and linter, changing nothing
	@$(BIN)/ruff format --check . && $(BIN)/ruff check .

format: setup-dev ## Format the code and mend what the linter can mend
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

types: setup-dev ## Strict types
	@$(BIN)/mypy $(PACKAGES)

arrows: setup-dev ## Which room may import which
	@$(BIN)/lint-imports

migrations: setup-dev ## Models and migrations say the same
	@$(BIN)/python -m pytest -q -m migrations tests

setup: ## The environment to run: Python packages and browser libraries
	@sh setup/venv.sh run && sh setup/assets.sh

setup-dev: ## The environment to develop: the same, with tests and checks
	@sh setup/venv.sh dev && sh setup/assets.sh

browser: ## A browser and Chinese fonts for tests, when missing
	@sh setup/browser.sh

db-up: setup ## Start the private database and leave it running
	@$(BIN)/wangge db up

db-down: setup ## Stop the private database
	@$(BIN)/wangge db down

lock: ## Pin the packages of pyproject.toml anew, keeping pins that still fit
	@sh setup/lock.sh

clean: ## Remove what builds and tests leave; the environment and the data stay
	@rm -rf site build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find $(PACKAGES) tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## Remove the environment and the browser libraries too; the data stay
	@rm -rf .venv node_modules api/static/vendor ./*.egg-info
