# The two commands: `make lab` opens the course, `make test` checks everything. Both work on a bare machine.
#   make lab PORT=8888 BROWSER=yes    make dashboards PORT=8866    make book SIZE=lecture    make bench    make lint    make clean

PYTHON  ?= python3
PORT    ?= 8888
BROWSER ?= yes
# How much the lectures of the book compute: ci, lecture or full.
SIZE    ?= lecture
# What pip may install: the tested set. `make latest` allows anything.
PINS    ?= -c constraints.txt
# Extra arguments for pip, such as --extra-index-url with PyTorch's own index of small CPU builds.
PIP_ARGS ?=

BIN     := .venv/bin
KERNELS := $(wildcard mlphys/kernels/*.py mlphys/samplers/*.py mlphys/core.py)
NO_BROWSER := $(if $(filter no,$(BROWSER)),--no-browser)

.PHONY: lab dashboards book test test-library test-notebooks test-browser bench lint warm latest clean

lab: warm
	@$(BIN)/mlphys lab --port $(PORT) $(NO_BROWSER)

dashboards: warm
	@$(BIN)/mlphys dashboards --port $(PORT) $(NO_BROWSER)

book: .venv/book .venv/warm
	$(BIN)/python book --size $(SIZE)

# The compiler and the checks of the source share the cores.
test: .venv/test
	@$(MAKE) -j2 lint warm
	@$(MAKE) test-library test-notebooks test-browser

test-library: .venv/test .venv/warm
	NUMBA_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --dist worksteal --doctest-modules mlphys tests/unit tests/exact tests/symmetry tests/contract tests/benchmarks
	NUMBA_ENABLE_CUDASIM=1 NUMBA_NUM_THREADS=1 $(BIN)/pytest -q -n 2 tests/gpu

test-notebooks: .venv/test .venv/warm
	NUMBA_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 tests/notebooks

test-browser: .venv/test .venv/warm
	$(BIN)/pytest -q -n 2 -m "not alone" tests/browser
	$(BIN)/pytest -q -m alone tests/browser

bench: .venv/bench .venv/warm
	@$(BIN)/mlphys bench

lint: .venv/test
	$(BIN)/ruff check
	$(BIN)/mypy

warm: .venv/warm

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "mlphys needs Python 3.11 or newer; name one with make PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "Python could not make a virtual environment; on Debian and Ubuntu: apt install python3-venv"; exit 1; }

# One stamp for each set of extras. Bytecode, which halves the first import of torch, is compiled on all cores; pip takes one.
# What does not compile is a package's template or test of other syntax.
.venv/course .venv/book .venv/test .venv/bench: .venv/%: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile $(PIP_ARGS) $(PINS) -e '.[$(EXTRAS_$*)]'
	@$(BIN)/python -m compileall -qq -j 0 .venv/lib || true
	@touch .venv/course $@

EXTRAS_course := course
EXTRAS_book   := course,book
EXTRAS_test   := course,book,test
EXTRAS_bench  := course,book,test,bench

# Kernels are compiled once, here, so that nobody waits for the compiler in front of a class.
.venv/warm: .venv/course $(KERNELS)
	@echo "Compiling the kernels (once) ..."
	@find mlphys -name '*.nb[ic]' -delete
	@$(BIN)/mlphys warm
	@touch .venv/course $@

# The newest versions of everything, nothing from a cache, in a clone of the last commit: run it now and then, to see what rots.
#   make latest WHAT=test-library
latest:
	rm -rf build/latest && git clone -q . build/latest
	$(MAKE) -C build/latest $(or $(WHAT),test) PINS="--upgrade --upgrade-strategy eager" PIP_ARGS="--no-cache-dir $(PIP_ARGS)"

clean:
	rm -rf .venv build dist artifacts *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
