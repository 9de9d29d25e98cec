# make demo      from nothing to a trained, evaluated network (minutes on two cores)
# make lint      what ruff finds: unused names, lines too long, closures over loop variables...
# make types     what pyright finds: the types of the public surface
# make test      the suite; make test-all adds the long tests
# make test-beam builds by Apache Beam and by `tfds build`, in an environment of its own: Beam wants older libraries
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install demo lint types test test-all test-beam clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "jsr needs Python 3.11 or newer"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[demo,test]'
	touch $@

demo: install
	$(BIN)/python -m jsr.main --config=configs/aim22_t1.py

lint: install
	$(BIN)/ruff check --no-cache jsr tests configs tfds_builders benchmarks

types: install
	$(BIN)/pyright --pythonpath $(BIN)/python

test: install
	$(BIN)/python -m pytest -n 2 -m 'not slow'

test-all: install
	$(BIN)/python -m pytest -n 2

test-beam: .venv-beam/.installed
	.venv-beam/bin/python -m pytest -W 'ignore:label:DeprecationWarning' tests/datasets/test_beam.py \
		tests/tfds_builders/test_tfds_build.py

.venv-beam/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-beam
	.venv-beam/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[beam,test]' \
		tensorflow-cpu mlcroissant
	touch $@

clean:
	rm -rf $(VENV) .venv-beam dist
