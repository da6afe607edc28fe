# Two commands on a fresh machine: `make demo` runs a real search, `make test` passes every check.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --quiet --constraint requirements.lock --editable

.PHONY: demo test format lock clean

demo: $(VENV)/demo
	$(BIN)/python examples/openmoji.py data/openmoji
	$(BIN)/tuner search quick --data data/openmoji --name demo-$$(date +%Y%m%d-%H%M%S)

test: $(VENV)/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -m fast -n 2
	$(BIN)/pytest -m real -n 2 --dist loadfile

format: $(VENV)/dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: $(VENV)/dev
	$(BIN)/pip freeze --exclude-editable > requirements.lock

clean:
	rm -rf $(VENV) data build *.egg-info

$(VENV)/%: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) '.[$*]'
	touch $@
