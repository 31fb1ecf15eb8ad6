"""A Datalore that writes the token into the executed notebook does not get it into an XCom, a log or an exception."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_datalore.exceptions import DataloreError, DataloreMissingOutputError, DataloreRunFailedError
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
from tests.notebooks.files import cell, failed, notebook, printed, scrap, shown
from tests.tasks.conftest import (
    TOKEN,
    Datalore,
    TaskInstance,
    context,
    datalore,
    logged,
    quick,
    store,
    task_instance,
)

__all__ = ["context", "datalore", "logged", "quick", "store", "task_instance"]
pytestmark = pytest.mark.audit

ARTIFACT = "/notebook/ann/sales/artifacts/run-1/sales.ipynb"
FORMS = {
    "as it is": TOKEN,
    "percent-encoded": TOKEN.replace("-", "%2D"),
    "as a header": f"Authorization: Bearer {TOKEN}",
    "Base64": b64encode(TOKEN.encode()).decode(),
    "Base64 of a login": b64encode(f"user:{TOKEN}".encode()).decode(),
    "Base64 for addresses": urlsafe_b64encode(f"?:>{TOKEN}".encode()).decode(),
}


def run(datalore: Datalore, context: Any, content: bytes, *, success: bool = True, **options: Any) -> None:
    datalore.route("POST", "/api/run/v1/notebook", json={"runId": "run-1"})
    datalore.finishes(success=success).route("GET", ARTIFACT, body=content)
    DataloreRunNotebookOperator(task_id="run_notebook", notebook_id="ann/sales", **options).execute(context)


@pytest.mark.parametrize("form", FORMS)
def test_no_value_contains_it(datalore: Datalore, context: Any, task_instance: TaskInstance, form: str) -> None:
    value = {"note": FORMS[form], FORMS[form]: [[f"<{FORMS[form]}>"]]}
    cells = [cell(scrap("glued", value)), cell(shown(repr(FORMS[form])), tags=("xcom:text",))]
    run(datalore, context, notebook(*cells), outputs=["glued", "text"])
    assert "***" in task_instance.xcoms["outputs"]["text"]
    assert FORMS[form] not in json.dumps(task_instance.xcoms)


@pytest.mark.parametrize("form", FORMS)
def test_no_error_about_values_contains_it(datalore: Datalore, context: Any, form: str) -> None:
    with pytest.raises(DataloreMissingOutputError) as missing:
        run(datalore, context, notebook(cell(scrap(FORMS[form], 1))), outputs=["glued"])
    assert FORMS[form] not in f"{missing.value}{missing.value!r}{missing.value.available}"
    with pytest.raises(DataloreError) as unusable:
        run(datalore, context, notebook(cell(tags=(FORMS[form], "xcom:it"))), outputs=["it"])
    assert FORMS[form] not in f"{unusable.value}{unusable.value!r}"


@pytest.mark.parametrize("form", FORMS)
def test_no_error_of_a_failed_run_contains_it(
    datalore: Datalore, context: Any, logged: Callable[[], str], form: str
) -> None:
    text = FORMS[form]
    content = notebook(cell(printed(text), failed(text, text, [text]), source=f"# {text}", tags=(text,), count=1))
    with pytest.raises(DataloreRunFailedError) as error:
        run(datalore, context, content, success=False)
    assert "***" in str(error.value)
    assert text not in f"{error.value}{error.value!r}{error.value.failure}"
    assert text not in logged()
