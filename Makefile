# Everything here installs what it needs by itself, into .venv/: with uv where it is on the PATH, with venv and pip
# where it is not. Needed beforehand: Python 3.11 or newer and make.

NEWEST := 3.3.2
AIRFLOW ?= $(NEWEST)
PYTHON ?= python3

VENV := .venv/airflow-$(AIRFLOW)
RUN := $(VENV)/bin/python -m
INSTALL := $(PYTHON) dev/environment.py --airflow $(AIRFLOW) --groups
TYPED := airflow_provider_datalore dev tests/docs tests/e2e tests/examples tests/faults tests/package tests/ui
# What is tested is the package as users get it: a wheel, from which Python imports before it looks at the checkout.
WHEEL := $(CURDIR)/build/wheel-airflow-$(AIRFLOW)
PACKAGED := PYTHONSAFEPATH=1 PYTHONPATH=$(WHEEL)
# What does not depend on Airflow is run on the newest one only.
TESTED := not faults$(if $(filter $(NEWEST),$(AIRFLOW)),, and not meets_no_airflow)
# Which branches run depends on Airflow's version; all tests on the newest one have to cover this much.
COVERED := $(if $(ARGS),,$(if $(filter $(NEWEST),$(AIRFLOW)),--cov-fail-under=95))

.PHONY: help demo ui screenshots test test-matrix test-faults bench lint docs package clean

help:
	@echo "make demo    run an example DAG through a real Airflow and the Datalore emulator, show what comes of it"
	@echo "make ui      the same, and leave Airflow's UI open until Ctrl-C"
	@echo "make screenshots   take the pictures in docs/images anew, with the Chromium that is installed"
	@echo "make test    run all tests on Airflow $(NEWEST); with AIRFLOW=2.11.2 on that one"
	@echo "make test-matrix   on every supported Airflow and Python that is installed, and with older libraries"
	@echo "make test-faults   kill, cut off and spoil parts of a real Airflow and of Datalore, for a quarter of an hour"
	@echo "make bench   measure waiting against the bare loop and other providers, for more than an hour"
	@echo "make lint    ruff, the arrows between the package's rooms, and mypy"
	@echo "make docs    the documentation, into build/docs"
	@echo "make package the sdist and the wheel, into dist"
	@echo "make clean   remove the environments and everything built"

demo:
	@$(INSTALL) demo
	@$(RUN) dev.demo

ui:
	@$(INSTALL) demo
	@$(RUN) dev.demo --stay

screenshots:
	@$(INSTALL) test
	@$(RUN) dev.screenshots $(ARGS)

test:
	@$(INSTALL) test
	@$(RUN) dev.package --unpack $(WHEEL)
	@$(PACKAGED) $(RUN) pytest --packaged -m "$(TESTED)" -n auto --cov --cov-config=pyproject.toml $(COVERED) $(ARGS)

# With ARGS="--only 3.0.6" the cells of that version, with ARGS=--list their names, with ARGS="--jobs 2" two at once, with
# ARGS=--resume only those that were not good the last time. Takes hours.
test-matrix:
	@$(INSTALL) test
	@$(RUN) dev.matrix $(ARGS)

# With ARGS=--write-table=docs/reliability.md the table goes into the documentation. One part needs PostgreSQL and Redis:
# installed with apt-get where that can be done, and otherwise that part is skipped.
test-faults:
	@$(INSTALL) test faults
	@$(RUN) tests.faults.services
	@$(RUN) pytest tests/faults $(ARGS)

# Compares only what was measured side by side; leave the machine alone meanwhile. ARGS="--parts polling --runs 200" is short.
bench:
	@$(INSTALL) bench
	@$(RUN) benchmarks $(ARGS)

lint:
	@$(INSTALL) lint test
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(VENV)/bin/lint-imports --no-cache
	$(RUN) mypy --strict --explicit-package-bases $(TYPED)

# What goes to the package index. The same source makes the same files, byte by byte.
package:
	@$(INSTALL) test
	@$(RUN) dev.package --dist dist
	@$(RUN) twine check --strict dist/*

# A warning, such as a link to a heading that is not there, is an error.
docs:
	@$(INSTALL) docs
	AIRFLOW_HOME=$(CURDIR)/build/airflow-home $(RUN) sphinx --fail-on-warning --keep-going --fresh-env --quiet -b html docs build/docs

clean:
	rm -rf .venv build dist .coverage* htmlcov .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
