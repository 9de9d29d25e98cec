# make demo      from nothing to a trained, evaluated network (minutes on two cores)
# make lint      what ruff finds: unused names, lines too long, closures over loop variables...
# make types     what pyright finds: the types of the public surface
# make test      the suite; make test-all adds the long tests, and compiles programs as users' are compiled
# make test-newest PYTHON=python3.13
#                a minute or two of tests on another Python with the newest libraries it gets, not constraints.txt's:
#                layers, the contract of three networks, a training step, receptive fields, resuming, codecs
# make test-beam builds by Apache Beam and by `tfds build`, in an environment of its own: Beam wants older libraries
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NEWEST = .venv-newest/$(notdir $(PYTHON))
# Each worker begins with a half of the tests in order, so that what a file's tests share is mostly made once
PYTEST := python -m pytest -n 2 --dist worksteal

.PHONY: install demo lint types test test-all test-newest newest-install test-beam clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "jsr needs Python 3.11 or newer"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[demo,test]'
	touch $@

demo: install
	$(BIN)/python -m jsr.main --config=configs/aim22_t1.py

lint: install
	$(BIN)/ruff check --no-cache jsr tests configs tfds_builders benchmarks docs examples

types: install
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --pythonpath $(BIN)/python  # else it asks for newer versions

test: install
	$(BIN)/$(PYTEST) -m 'not slow'

test-all: install
	JAX_DISABLE_MOST_OPTIMIZATIONS=0 $(BIN)/$(PYTEST)

test-newest: newest-install
	$(NEWEST)/bin/$(PYTEST) -m 'not slow' tests/models/test_contract.py -k 'edsr or rlfn or swinir or mistakes'
	$(NEWEST)/bin/$(PYTEST) -m 'not slow' tests/layers/test_attention.py tests/layers/test_pool.py \
	    tests/layers/test_rep.py tests/layers/test_shuffle.py tests/layers/test_window.py \
	    tests/analysis/test_receptive_field.py tests/test_isolation.py tests/degradations/test_jpeg.py \
	    tests/degradations/test_avif.py tests/degradations/test_webp.py tests/training/test_step.py::test_one_step_by_hand \
	    tests/training/test_step.py::test_players_and_losses_that_learn_resume_to_the_bit \
	    tests/test_main.py::test_a_run_to_its_end \
	    tests/test_main.py::test_a_signal_saves_and_the_same_command_resumes_bit_identical

newest-install: $(NEWEST)/.installed

$(NEWEST)/.installed: pyproject.toml
	$(PYTHON) -m venv $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

test-beam: .venv-beam/.installed
	.venv-beam/bin/python -m pytest -W 'ignore:label:DeprecationWarning' tests/datasets/test_beam.py \
		tests/tfds_builders/test_tfds_build.py

.venv-beam/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-beam
	.venv-beam/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[beam,test]' \
		tensorflow-cpu mlcroissant
	touch $@

clean:
	rm -rf $(VENV) .venv-beam .venv-newest dist
