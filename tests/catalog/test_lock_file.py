"""What ``Catalog.read`` makes of a lock file: names, near names, files that are not as they should be."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

from airflow_provider_datalore.catalog import Catalog, CatalogEntry
from airflow_provider_datalore.catalog.lock_file import read_all, to_text
from airflow_provider_datalore.exceptions import DataloreConfigurationError
from tests.catalog.conftest import NOTEBOOK, NOTEBOOKS, WriteLock


def test_notebooks_are_found_by_name(catalog: Catalog) -> None:
    entry = catalog["Sales/Daily sales"]
    assert isinstance(entry, CatalogEntry)
    assert entry.name == str(entry) == "Sales/Daily sales"
    assert entry.doc_md == "Sums up the sales."
    assert catalog["Sales/Daily sales"] is entry
    assert sorted(catalog) == sorted(NOTEBOOKS)
    assert len(catalog) == 3
    assert "Stock" in catalog
    assert "Shares" not in catalog


def test_ids_belong_to_connections(catalog: Catalog) -> None:
    assert catalog["Sales/Daily sales"].id_for("datalore_default") == "ann/sales"
    assert catalog["Sales/Daily sales"].id_for("production") == "prod/0123"
    with pytest.raises(DataloreConfigurationError, match="'staging'") as raised:
        catalog["Sales/Daily sales"].id_for("staging")
    assert "'datalore_default', 'production'" in " ".join(str(raised.value).split())


@pytest.mark.parametrize("name", ["Sales/Dayly sales", "Daily sales", "sales/daily sales", "Sale/Daily sales"])
def test_a_missing_name_lists_near_ones(catalog: Catalog, name: str) -> None:
    with pytest.raises(DataloreConfigurationError, match="Near to it: 'Sales/Daily sales'"):
        catalog[name]


def test_a_name_that_is_near_to_none_lists_all(catalog: Catalog) -> None:
    with pytest.raises(DataloreConfigurationError, match="'Stock'"):
        catalog["zzzzzzzzzzzz"]


def test_an_entry_survives_copies_and_pickles(catalog: Catalog) -> None:
    entry = catalog["Sales/Daily sales"]
    assert copy.deepcopy({"notebook_id": entry})["notebook_id"] is entry
    assert copy.copy(entry) is entry
    restored = pickle.loads(pickle.dumps(entry))  # noqa: S301  (our own)
    assert restored == entry
    assert restored.id_for("production") == "prod/0123"


def test_a_relative_path_is_beside_the_file_that_reads_it(write_lock: WriteLock, tmp_path: Path) -> None:
    write_lock(NOTEBOOKS)
    dag_file = tmp_path / "dag.py"
    dag_file.write_text(
        "from airflow_provider_datalore.catalog import Catalog\nprint(len(Catalog.read('datalore.lock')))\n"
    )
    done = subprocess.run([sys.executable, str(dag_file)], cwd="/", capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("3")


def test_a_file_in_another_form_is_read_as_well(tmp_path: Path) -> None:
    path = tmp_path / "datalore.lock"
    for text in (
        json.dumps({"version": 1, "notebooks": NOTEBOOKS}),
        json.dumps({"notebooks": NOTEBOOKS, "version": 1}, indent=4),
        to_text(NOTEBOOKS).replace("\n", "\r\n"),
    ):
        path.write_text(text, newline="")
        assert Catalog.read(path)["Sales/Daily sales"].controls["days"].max == 30


def test_names_may_have_any_characters(write_lock: WriteLock) -> None:
    names = ['Größe "A"/x: {y}', "a\\b", "日本/売上"]
    catalog = Catalog.read(write_lock(dict.fromkeys(names, NOTEBOOK)))
    assert sorted(catalog) == sorted(names)
    assert all(catalog[name].id_for("production") == "prod/0123" for name in names)


def test_a_file_in_a_zip_file_of_dags_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "dags.zip", "w") as archive:
        archive.writestr("sub/datalore.lock", to_text(NOTEBOOKS))
    assert len(Catalog.read(tmp_path / "dags.zip" / "sub" / "datalore.lock")) == 3


def test_a_file_that_is_replaced_later_is_read_anew(write_lock: WriteLock) -> None:
    catalog = Catalog.read(write_lock(NOTEBOOKS))
    write_lock({"AAA": NOTEBOOK, **NOTEBOOKS})
    assert catalog["Sales/Weekly sales"].id_for("production") == "prod/0123"


DAMAGED = {
    "missing": (None, "cannot be read"),
    "empty": ("", "not JSON"),
    "no JSON": ("{", "not JSON"),
    "a list": ("[]", "no version"),
    "newer": ('{\n  "version": 2,\n  "notebooks": {}\n}', "version 2"),
    "without notebooks": ('{"version": 1}', "no notebooks"),
    "cut off": (to_text(NOTEBOOKS)[:400], "end is missing"),
    "conflict": (to_text(NOTEBOOKS).replace('    "Stock"', '<<<<<<< HEAD\n    "Stock"'), None),
    "conflict around a control": (
        to_text(NOTEBOOKS).replace('          "max": 30,', '=======\n          "max": 30,'),
        None,
    ),
    "conflict in another notebook": (
        to_text(NOTEBOOKS).replace('      "language": "r"', '<<<<<<< HEAD\n"language": "r"'),
        None,
    ),
    "facts that are null": (to_text({**NOTEBOOKS, "Sales/Daily sales": None}), "no facts"),
    "one control twice": (to_text(NOTEBOOKS).replace('"share"', '"days"'), "twice"),
    "twice": (to_text(NOTEBOOKS).replace('"Stock"', '"Sales/Daily sales"'), "twice"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_says_what_is_wrong(tmp_path: Path, case: str) -> None:
    text, problem = DAMAGED[case]
    path = tmp_path / "datalore.lock"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataloreConfigurationError, match=problem or "conflict") as raised:
        Catalog.read(path)["Sales/Daily sales"]
    if text is not None:
        assert ("git checkout" in str(raised.value)) == (problem is None)


def test_what_to_do_about_a_conflict_is_what_helps(tmp_path: Path) -> None:
    path = tmp_path / "datalore.lock"
    path.write_text(to_text(NOTEBOOKS).replace('    "Stock"', '<<<<<<< HEAD\n    "Stock"'))
    with pytest.raises(DataloreConfigurationError, match="git checkout --theirs"):
        read_all(path)


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ({"ids": []}, "ids"),
        ({"ids": {"datalore_default": 3}}, "ids"),
        ({"controls": {"days": {"type": "SLIDER", "min": "one"}}}, "min"),
        ({"controls": {"days": 3}}, "control"),
        ({"ids": {"datalore_default": "no id"}}, "ids"),
        ({"cells": [1]}, "cells"),
        ({"controls": {"shop": {"type": "DROPDOWN", "items": [1, 2]}}}, "items"),
        ({"controls": {"days": {"type": "SLIDER", "max": float("nan")}}}, "max"),
    ],
)
def test_damaged_facts_say_what_is_wrong(write_lock: WriteLock, facts: dict[str, object], problem: str) -> None:
    with pytest.raises(DataloreConfigurationError, match=problem):
        Catalog.read(write_lock({"Stock": facts}))["Stock"].controls  # noqa: B018  (reads them)


def test_the_text_is_stable_and_has_one_fact_on_each_line(tmp_path: Path) -> None:
    text = to_text(NOTEBOOKS)
    assert text == to_text(dict(reversed(NOTEBOOKS.items())))
    path = tmp_path / "datalore.lock"
    path.write_text(text)
    assert to_text(read_all(path)) == text
    assert '          "max": 30,\n' in text
    assert all(len(line.split('": ')) <= 2 for line in text.splitlines())


def test_reading_a_dag_uses_no_network_no_database_and_no_pydantic(write_lock: WriteLock) -> None:
    path = write_lock(NOTEBOOKS)
    program = textwrap.dedent(f"""
        import socket, sys
        from airflow.providers.common.compat.sdk import DAG, BaseOperator, Param, XComArg

        def refuse(*arguments, **options):
            raise AssertionError("a DAG file must not use the network or the database")

        XComArg
        # Airflow 3.0 imports its own server when the first operator is created.
        BaseOperator(task_id="airflow")
        Param(1, type="number").resolve()
        before = set(sys.modules)
        socket.socket.connect = socket.getaddrinfo = refuse
        import sqlalchemy.engine, sqlalchemy.orm
        sqlalchemy.engine.Engine.connect = sqlalchemy.orm.Session.execute = refuse
        from airflow_provider_datalore.catalog import Catalog
        from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
        entry = Catalog.read({str(path)!r})["Sales/Daily sales"]
        with DAG("sales", schedule=None, params=entry.params()):
            DataloreRunNotebookOperator(task_id="a", notebook_id=entry, parameters=entry.parameters())
            DataloreRunNotebookOperator(task_id="b", notebook_id=entry, parameters={{"days": 3}}, outputs={{"x": int}})
        print(sorted(
            name for name in set(sys.modules) - before
            if name.partition(".")[0] in ("pydantic", "requests", "aiohttp")
            or name in ("airflow_provider_datalore.api.models", "airflow_provider_datalore.hooks.datalore")
        ))
    """)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
