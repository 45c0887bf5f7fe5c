# Each target works on a bare machine with Python 3.11 or later and pip: it makes its own virtual environment.
PYTHON ?= python3
VENV := .venv
# Options of `make check`.
CHECK ?=
BIN := $(VENV)/bin

.PHONY: check test lint clean

check: $(VENV)/installed
	$(BIN)/gradjury check $(CHECK)

test: $(VENV)/installed
	$(BIN)/python -m pytest -n auto

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	mkdir -p .types && ln -sfn .. .types/gradjury  # the checkout, under the name it is imported by
	MYPYPATH=.types $(BIN)/mypy -m gradjury -p gradjury.impl -p gradjury.oracle -p gradjury.properties
	MYPYPATH=.types:examples $(BIN)/mypy $(patsubst examples/%.py,-m %,$(wildcard examples/*.py))

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) .types build dist *.egg-info
