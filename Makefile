# Every target installs what it needs into .venv/: with uv if it is on the PATH, otherwise with venv and pip.
# Prerequisites: Python 3.11 or newer, and make.

NEWEST := 3.3.2
AIRFLOW ?= $(NEWEST)
PYTHON ?= python3

VENV := .venv/airflow-$(AIRFLOW)
RUN := $(VENV)/bin/python -m
INSTALL := $(PYTHON) dev/environment.py --airflow $(AIRFLOW) $(if $(PINS),--pins $(PINS)) --groups
TYPED := airflow_provider_datalore dev tests/audit tests/docs tests/e2e tests/examples tests/failures tests/faults tests/package tests/pages tests/ui
# Tests run against the package as users install it: Python imports from this wheel before the checkout.
WHEEL := $(CURDIR)/build/wheel-airflow-$(AIRFLOW)
PACKAGED := PYTHONSAFEPATH=1 PYTHONPATH=$(WHEEL)
# On other versions of Airflow than the newest, tests that do not depend on Airflow are left out.
TESTED := not faults and not firefox$(if $(filter $(NEWEST),$(AIRFLOW)),, and not no_airflow)
# Tests with the marker `faults` that belong to other parts.
FAULTS_ELSEWHERE := tests/cli/test_probe_and_like.py tests/events/test_watchers_in_airflow.py tests/ui/test_xcom_backend.py
# Type checkers check user code in an environment with the same wheel. They search for modules first in the folder in which
# they run and in that of their configuration, so neither may be the checkout's folder.
USER_CODE := tests/user_code
USER_VENV := $(CURDIR)/build/user-airflow-$(AIRFLOW)

# Modules are compiled once, and not by each of the many processes that tests start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo ui screenshots test coverage test-matrix test-next test-faults audit bench bench-e2e lint public-api docs \
	package licences rehearse-release clean try-notebooks

help:
	@echo "make demo    run an example DAG with a real Airflow and the Datalore emulator, and show the result"
	@echo "make ui      the same, and keep Airflow's UI open until Ctrl-C"
	@echo "make screenshots   take the pictures in docs/images again, with the installed Chromium"
	@echo "make test    run all tests on Airflow $(NEWEST); AIRFLOW=2.11.2 runs those that depend on Airflow on that version"
	@echo "make coverage   run the same tests, and fail if they execute less than 95% of the package"
	@echo "make test-matrix   run the tests on every supported Airflow and installed Python, and with older libraries"
	@echo "make test-next   run the tests on Airflow's newest pre-release, if there is one"
	@echo "make test-faults   kill and disconnect parts of a real Airflow and of Datalore, and corrupt responses; read the log of each failure (20 minutes)"
	@echo "make audit   repeat the attacks that docs/security.md lists (10 minutes)"
	@echo "make try-notebooks   run the notebooks that Jupyter's packages ship as test files, and compare with nbclient alone"
	@echo "make bench   measure the cost of waiting, in comparison with a bare loop and with other providers (more than an hour)"
	@echo "make bench-e2e   measure what a notebook costs end to end in a real Airflow, beside other providers (2 hours)"
	@echo "make lint    run ruff, the import contract, mypy, the checks of wording and of the public API, and type checks of user code"
	@echo "make public-api   write docs/public_api.txt, if CHANGELOG.md names what changed"
	@echo "make docs    build the documentation into build/docs"
	@echo "make package build the sdist and the wheel into dist"
	@echo "make licences   list the licences of everything that the package needs, and fail if one is neither permissive nor MPL-2.0"
	@echo "make rehearse-release   install and upgrade the package from a local index on every supported Airflow (half an hour)"
	@echo "make clean   remove the environments and all build results"

demo:
	@$(INSTALL) demo
	@$(RUN) dev.demo

ui:
	@$(INSTALL) demo
	@$(RUN) dev.demo --stay

screenshots:
	@$(INSTALL) test
	@$(RUN) dev.screenshots $(ARGS)
	@$(RUN) tests.failures.screenshots $(ARGS)

test:
	@$(INSTALL) test
	@$(RUN) dev.package --unpack $(WHEEL)
	@$(PACKAGED) $(RUN) pytest --packaged -m "$(TESTED)" -n auto $(MEASURED) $(ARGS)

# Measuring doubles the processor time of most tests, so `make test` does not measure.
coverage:
	@$(MAKE) --no-print-directory test MEASURED="--cov --cov-config=pyproject.toml --cov-fail-under=95"

# ARGS="--only 3.0.6" runs the combinations with that version, ARGS=--list prints their names, ARGS="--jobs 2" runs two at
# once, ARGS=--resume runs only those that did not pass the last time. Takes hours.
test-matrix:
	@$(INSTALL) test
	@$(RUN) dev.matrix $(ARGS)

# ARGS="tests/tasks" runs only some tests. A pre-release of Airflow may be broken itself, so this is not a part of other checks.
test-next:
	@$(INSTALL) test
	@$(RUN) dev.next_airflow $(ARGS)

# ARGS=--write-table=docs/reliability.md writes the table into the documentation. One part needs PostgreSQL and Redis, which
# are installed with apt-get if possible; otherwise that part is skipped. With AIRFLOW=3.0.6, TESTED_RUN_STORE=variables keeps
# runs, and what watchers saw, in Airflow's Variables, and not in a folder.
test-faults:
	@$(INSTALL) test faults
	@$(RUN) tests.faults.services
	@$(RUN) pytest tests/faults tests/failures $(FAULTS_ELSEWHERE) $(ARGS)

# Downloads the packages into build/try-notebooks. ARGS="--limit 10" runs the first ten, ARGS="--only nbdime" those of nbdime.
try-notebooks:
	@$(INSTALL) test
	@$(RUN) dev.try_notebooks $(ARGS)

# What was tried in audits, as far as it can be scripted; docs/security.md lists it. The browser part needs
# Chromium and Firefox.
audit:
	@$(INSTALL) test audit
	@$(RUN) pytest -m "audit or firefox" -v $(ARGS)

# Compares only what was measured side by side. Do not use the machine during the measurement. ARGS="--parts polling --runs 200" is short.
bench:
	@$(INSTALL) bench
	@$(RUN) benchmarks $(ARGS)

# The same for whole tasks in a real Airflow with PostgreSQL (installed with apt-get if possible). ARGS="--rounds 1 --mapped 10
# --seconds 1" is short; ARGS=--help lists the options.
bench-e2e:
	@$(INSTALL) test bench faults
	@$(RUN) tests.faults.services
	@$(RUN) benchmarks.e2e $(ARGS)

lint:
	@$(INSTALL) lint test
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(VENV)/bin/lint-imports --no-cache
	$(VENV)/bin/zizmor --offline --quiet .github docs/ci/check-dags.yml
	$(RUN) dev.actionlint
	$(RUN) mypy --strict --explicit-package-bases $(TYPED)
	$(RUN) dev.words
	$(RUN) dev.public_api
	@$(RUN) dev.matrix --check-table=docs/installation.md
	@$(RUN) dev.package --install $(USER_VENV)
	cd $(USER_CODE) && $(CURDIR)/$(RUN) mypy --strict --config-file= --cache-dir=$(CURDIR)/.mypy_cache/user_code \
		--python-executable $(USER_VENV)/bin/python .
	cd $(USER_CODE) && PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(CURDIR)/$(RUN) pyright --pythonpath $(USER_VENV)/bin/python .

# Writes nothing unless the section Unreleased of CHANGELOG.md names each change.
public-api:
	@$(INSTALL) test
	@$(RUN) dev.public_api --write

# The files for the package index, and in build/sbom the bill of materials. The build is reproducible: the same source gives
# the same bytes.
package:
	@$(INSTALL) test
	@$(RUN) dev.package --dist dist $(ARGS)
	@$(RUN) twine check --strict dist/*
	@$(RUN) dev.sbom build/sbom

licences:
	@$(INSTALL) test
	@$(RUN) dev.licences

# ARGS="--only 3.3.2" runs the steps with that version, ARGS="--only upgrade" only the upgrade, ARGS=--list prints the names.
# The environments are in build/rehearsal, are not shared with other targets, and are removed afterwards.
rehearse-release:
	@$(INSTALL) test demo
	@$(RUN) dev.rehearsal $(ARGS)

# Warnings, such as a link to a missing heading, are errors.
docs:
	@$(INSTALL) docs
	AIRFLOW_HOME=$(CURDIR)/build/airflow-home $(RUN) sphinx --fail-on-warning --keep-going --fresh-env --quiet -b html docs build/docs

clean:
	rm -rf .venv build dist .coverage* htmlcov .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
