# make demo      from nothing to a trained, evaluated network (minutes on two cores)
# make test      the suite; make test-all adds the long tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install demo test test-all clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "jsr needs Python 3.11 or newer"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[demo,test]'
	touch $@

demo: install
	$(BIN)/python -m jsr.main --config=configs/aim22_t1.py

test: install
	$(BIN)/python -m pytest -n 2 -m 'not slow'

test-all: install
	$(BIN)/python -m pytest -n 2

clean:
	rm -rf $(VENV) build dist *.egg-info
