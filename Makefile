# One command per task; CI calls only `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Programs that `make torture` generates.
N ?= 100
# Builds that it kills.
KILLS ?= 10000

.PHONY: test quick lint demo bench torture setup clean

# Files of long tests come first (tests/e2e), short ones fill up at the end; xdist would begin with the files that
# have most tests.
test: setup lint
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

# What a change should pass before it is committed: under two minutes on two cores.
quick: lint
	$(BIN)/pytest -n auto --dist worksteal -m "not slow" tests/unit

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests

# Builds the C example, edits one function in a copy, builds again, runs it.
demo: $(VENV)/.run
	@if ! { command -v clang-22 || command -v clang; } >/dev/null || ! command -v ld >/dev/null; then \
	  $(MAKE) -s $(VENV)/.zig; fi
	$(BIN)/python examples/demo.py

# `make bench QUICK=1` takes some minutes: whether a change has made builds slower.
bench: setup $(VENV)/.test
	$(BIN)/python tests/bench/bench.py $(if $(QUICK),--quick)

torture: setup $(VENV)/.test
	$(BIN)/pytest -n auto --dist loadfile --whole tests/e2e tests/rules
	$(BIN)/python tests/tools/torture.py $(N)
	$(BIN)/python tests/tools/torture.py $(N) --edits
	$(BIN)/python tests/tools/kills.py $(KILLS)
	$(BIN)/python tests/tools/kills.py $(KILLS) --store sqlite
	$(BIN)/python tests/tools/kills.py $(N) --signal INT
	$(BIN)/python tests/tools/kills.py $(N) --signal TERM
	$(BIN)/python tests/tools/kills.py $(KILLS) --workers
	$(BIN)/python tests/tools/torture.py $(N) --faults

setup:
	@PYTHON=$(PYTHON) sh tests/setup.sh

clean:
	rm -rf $(VENV) build *.egg-info

# Each stamp stands for one set of installed requirements; pip runs again only when pyproject.toml changes.
$(VENV)/.run: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -e .
	@touch $@

$(VENV)/.test: $(VENV)/.run
	$(BIN)/python -m pip install -q -e '.[test]'
	@touch $@

$(VENV)/.zig: $(VENV)/.run
	$(BIN)/python -m pip install -q -e '.[zig]'
	@touch $@
