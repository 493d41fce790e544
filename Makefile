# `make demo` and `make test` are all a newcomer needs; both make their own environment in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-fast coverage check docs bench fuzz compat clean

demo: $(VENV)/.demo
	$(BIN)/orstats demo

test: $(VENV)/.dev check
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

test-fast: $(VENV)/.dev
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile -m 'not live and not slow'

# Lines and branches of orstats/, also in subprocesses.
coverage: $(VENV)/.dev
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --cov --cov-report=term:skip-covered --cov-report=html:build/coverage

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.dev
	$(BIN)/mkdocs build --strict --config-file docs/site/mkdocs.yml
	@echo "Open build/site/index.html, or, for its search: $(BIN)/python -m http.server -b 127.0.0.1 -d build/site"

bench: $(VENV)/.dev
	$(BIN)/python tests/benchmarks

fuzz: $(VENV)/.dev
	$(BIN)/python tests/fuzz --payloads 100000

# The bare wheel, the oldest dependencies, and every Python here; FLAGS="--quick smoke oldest" for a few minutes of it.
compat: $(VENV)/.dev
	$(BIN)/python tests/compat $(FLAGS)

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

clean:
	rm -rf $(VENV) orstats-demo orstats-sim build dist .mypy_cache .ruff_cache .pytest_cache
