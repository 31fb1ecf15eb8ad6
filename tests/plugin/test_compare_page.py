"""What the page of a comparison shows of two runs, and from where it takes their notebooks."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import airflow
import nbformat
import pytest

from airflow_provider_datalore.plugin import compare_page
from airflow_provider_datalore.plugin.compare_page import Difference
from airflow_provider_datalore.plugin.rendered_notebooks import NotDisplayableError
from airflow_provider_datalore.plugin.tasks import NotebookTask, TaskKind
from tests.plugin.conftest import reports, task
from tests.scripted_server import ScriptedServer

pytestmark = pytest.mark.skipif(
    tuple(map(int, airflow.__version__.split(".")[:2])) < (3, 1), reason="Airflow before 3.1 has no tabs"
)

BEGAN = datetime(2026, 1, 31, 8, tzinfo=UTC)


def finished(server: ScriptedServer, run_id: str, source: str | None = "x = 1", **fields: Any) -> NotebookTask:
    """The task of a finished run; without a source, Datalore no longer has its notebook."""
    path = f"/{run_id}/sales.ipynb"
    artifacts = [{"name": "sales.ipynb", "path": path}]
    ended = {"endTime": "2026-01-31T08:05:00Z", "success": True, "artifacts": artifacts}
    reports(server, run_id, **{**ended, **fields})
    if source is None:
        server.route("GET", path, status=404)
    else:
        cells = [nbformat.v4.new_code_cell(source)]
        server.route("GET", path, body=nbformat.writes(nbformat.v4.new_notebook(cells=cells)).encode())
    return task(run_id)


def test_the_notebooks_of_both_runs_are_compared(server: ScriptedServer, run_id: str) -> None:
    before, now = finished(server, run_id), finished(server, f"{run_id}-now", "x = 2")
    page = gzip.decompress(compare_page.page(before, now, "light", "ann")).decode()
    assert "1 edited" in page
    sent = len(server.requests)
    compare_page.page(before, now, "light", "vic")
    assert len(server.requests) == sent
    assert "1 edited" in gzip.decompress(compare_page.page(now, before, "dark", "ann")).decode()


def test_one_that_datalore_no_longer_has_is_named(server: ScriptedServer, run_id: str) -> None:
    before, now = finished(server, run_id, None), finished(server, f"{run_id}-now")
    with pytest.raises(NotDisplayableError, match="Datalore no longer has 'sales.ipynb'"):
        compare_page.page(before, now, "light", "ann")


def test_a_run_without_a_notebook_is_named(server: ScriptedServer, run_id: str) -> None:
    before, now = finished(server, run_id, artifacts=[]), finished(server, f"{run_id}-now")
    with pytest.raises(NotDisplayableError, match=f"Run {run_id} has no notebook among its artifacts"):
        compare_page.page(before, now, "light", "ann")


@pytest.mark.audit
@pytest.mark.parametrize("is_before", [True, False])
def test_the_run_of_another_notebook_is_not_shown(server: ScriptedServer, run_id: str, is_before: bool) -> None:
    own, other = finished(server, run_id), finished(server, f"{run_id}-other", notebookId="ann/secret")
    pair = (other, own) if is_before else (own, other)
    with pytest.raises(NotDisplayableError, match="is not a run of notebook ann/sales"):
        compare_page.page(*pair, "light", "ann")
    assert not any("sales.ipynb" in request.path for request in server.requests)


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (task(None), "Airflow does not know which run"),
        (task("r", conn_id=None), "Airflow does not know which run"),
        (task(None, kind=TaskKind.INTERACTIVE), "An interactive run leaves no copy"),
    ],
)
def test_a_task_without_a_run_is_explained(server: ScriptedServer, run_id: str, odd: NotebookTask, reason: str) -> None:
    with pytest.raises(NotDisplayableError, match=reason):
        compare_page.page(odd, finished(server, run_id), "light", "ann")


def test_a_run_that_has_not_ended_is_explained(server: ScriptedServer, run_id: str) -> None:
    before = finished(server, run_id)
    reports(server, f"{run_id}-now")
    with pytest.raises(NotDisplayableError, match="The later run cannot be compared. The notebook is still running"):
        compare_page.page(before, task(f"{run_id}-now"), "light", "ann")


def test_parameters_that_differ_come_first() -> None:
    before, now = {"a": 1, "region": "North", "gone": None}, {"a": 1, "region": "South", "list": [1, "x"]}
    assert list(compare_page.differences(before, now)) == [
        Difference("gone", "null", "not set", is_changed=True),
        Difference("list", "not set", '[1, "x"]', is_changed=True),
        Difference("region", "North", "South", is_changed=True),
        Difference("a", "1", "1", is_changed=False),
    ]


def test_long_ones_are_shortened() -> None:
    [row] = compare_page.differences({"a": "x" * 1000}, {"a": "x" * 999})
    assert (len(row.before), row.is_changed) == (301, True)


def test_durations(server: ScriptedServer, run_id: str) -> None:
    before = finished(server, run_id)
    now = finished(server, f"{run_id}-now", endTime="2026-01-31T08:10:00Z")
    times = {"start_date": BEGAN, "end_date": BEGAN + timedelta(minutes=6)}
    rows = list(compare_page.durations(before, task(now.run_id, **times), "ann"))
    assert rows == [
        Difference("Duration of the run", "5 min 00 s", "10 min 00 s", is_changed=True),
        Difference("Duration of the task", "unknown", "6 min 00 s", is_changed=False),
    ]


def test_the_page_escapes_what_it_shows() -> None:
    from airflow_provider_datalore.plugin.earlier_runs import Choice, Choices
    from airflow_provider_datalore.plugin.page_templates import templates

    hostile = '"><script>alert(1)</script>'
    choices = Choices([Choice(hostile, hostile, BEGAN)], hostile, hostile)
    facts = [("Parameters", list(compare_page.differences({hostile: hostile}, {})))]
    page = templates.get_template("compare.html").render(
        choices=choices, before_id=hostile, now_id=hostile, facts=facts, note=hostile, here="-1", static="static"
    )
    assert "<script>alert" not in page
    assert json.dumps(hostile) not in page
