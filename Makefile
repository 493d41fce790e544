# `make demo` and `make test` are all a newcomer needs; both make their own environment in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Modules are handed to the workers in the order of tests/conftest.py: the slow ones first.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder
BROWSER := tests/browser
NPM := $(BROWSER)/node_modules
# Python keeps what it compiled, and pytest the tests it rewrote: that saves each worker five seconds from the second run on.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-fast coverage check docs bench speed fuzz compat canary audit clean

demo: $(VENV)/.demo
	$(BIN)/orstats demo

test: check
	$(PYTEST)

test-fast: $(VENV)/.dev
	$(PYTEST) -m 'not live and not slow'

# Lines and branches of orstats/, also in subprocesses.
coverage: $(VENV)/.dev
	$(PYTEST) --cov --cov-report=term-missing:skip-covered --cov-report=html:build/coverage --cov-fail-under=95

check: $(VENV)/.dev $(NPM)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if [ -x $(NPM)/.bin/eslint ]; then echo eslint orstats/notebook/static; \
	    $(NPM)/.bin/eslint --config $(BROWSER)/eslint.config.js --max-warnings 0 orstats/notebook/static; fi

docs: $(VENV)/.dev
	$(BIN)/mkdocs build --strict --config-file docs/site/mkdocs.yml
	@echo "Open build/site/index.html, or, for its search: $(BIN)/python -m http.server -b 127.0.0.1 -d build/site"

bench: $(VENV)/.dev
	$(BIN)/python tests/benchmarks

# The tables and the picture of docs/explanation/speed.md; FLAGS="--quick" or "--only NAME".
speed: $(VENV)/.dev
	$(BIN)/python tests/benchmarks --write $(FLAGS)

fuzz: $(VENV)/.dev
	$(BIN)/python tests/fuzz --payloads 100000

# The bare wheel, the oldest dependencies, and every Python here; FLAGS="--quick smoke oldest" for a few minutes of it.
compat: $(VENV)/.dev
	$(BIN)/python tests/compat $(FLAGS)

# The transport with the newest requests and urllib3, pre-releases included.
canary: $(VENV)/.dev
	$(BIN)/python tests/compat canary

# Known vulnerabilities of the dependencies; needs network access.
audit: $(VENV)/.dev
	$(BIN)/python tests/compat audit

# One stamp per environment: installing again only when what is asked for changed.
$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("orstats needs Python 3.11 or newer; try: make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[sim]'
	touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@ $(VENV)/.demo

# For the browser modules: eslint, and axe-core for the tests. Both are optional, and make never fails for want of them.
$(NPM)/.dev: $(BROWSER)/package.json
	@if npm install --prefix $(BROWSER) --engine-strict --ignore-scripts --no-package-lock --no-audit --no-fund --silent; \
	    then touch $@; \
	    else echo "eslint and axe-core are not installed, so their checks are skipped: they need npm, its registry and Node 20.19." >&2; fi

clean:
	rm -rf $(VENV) $(NPM) orstats-demo orstats-sim build dist .mypy_cache .ruff_cache .pytest_cache
