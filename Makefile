# Two commands matter: `make demo` and `make test`. Both set up .venv from constraints.txt first.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# One process a core. Each takes whole files, in the order of tests/conftest.py; `make test WORKERS=` runs them in one.
WORKERS := -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: demo test lint format clean

demo: .venv/run.stamp
	$(BIN)/bench run suites/quick.yaml
	$(BIN)/bench leaderboard results/quick

test: .venv/test.stamp lint
	$(BIN)/python -m pytest -q $(WORKERS)

lint: .venv/test.stamp
	$(BIN)/ruff format --check bench medseg tests benchmarks
	$(BIN)/ruff check bench medseg tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/test.stamp
	$(BIN)/ruff format bench medseg tests benchmarks
	$(BIN)/ruff check --fix bench medseg tests benchmarks

clean:
	rm -rf .venv build *.egg-info

.venv/run.stamp: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) -e .
	@touch $@

.venv/test.stamp: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) -e '.[test]'
	@touch $@ .venv/run.stamp
