"""The page of all notebooks that DAGs run; it sends no request to Datalore until a user opens a notebook's details."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any
from urllib.parse import quote

from airflow.api_fastapi.core_api.security import get_user
from airflow.utils.session import create_session
from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from airflow_provider_datalore.durations import in_words
from airflow_provider_datalore.plugin import overview
from airflow_provider_datalore.plugin.overview import Notebook
from airflow_provider_datalore.plugin.page_templates import templates
from airflow_provider_datalore.plugin.permissions import Permissions
from airflow_provider_datalore.plugin.recent_runs import Instance
from airflow_provider_datalore.plugin.sparkline import Sparkline
from airflow_provider_datalore.plugin.task_errors import NO_ERROR_STORED
from airflow_provider_datalore.plugin.task_key import TaskKey

router = APIRouter()

_AIRFLOW = "../"
"""Airflow's own pages, seen from this one."""
_SQUARES = {"success": "success", "failed": "failed"}


@router.get("/notebooks")
def show(user: Annotated[Any, Depends(get_user)]) -> HTMLResponse:
    """All notebooks that the DAGs run which the user may see."""
    with create_session(scoped=False) as session:
        found = overview.notebooks(Permissions(user, session), session)
    rows = [_row(notebook) for notebook in found]
    return HTMLResponse(templates.get_template("notebooks.html").render(rows=rows, limit=overview.MAX_NOTEBOOKS))


def _row(notebook: Notebook) -> Mapping[str, Any]:
    """What the page shows of a notebook."""
    usual, usual_range = notebook.usual_duration, notebook.usual_range
    failure = notebook.last_failure
    last = notebook.runs[-1] if notebook.runs else None
    searched = [notebook.notebook_id, notebook.conn_id, *(name for task in notebook.tasks for name in task)]
    if notebook.error is not None:
        searched.append(notebook.error.summary)
    return {
        "id": notebook.notebook_id,
        "conn_id": notebook.conn_id,
        "is_failing": notebook.is_failing,
        "is_unusual": notebook.is_unusual,
        "search": " ".join(searched).lower(),
        "tasks": [_task(*task) for task in notebook.tasks[: overview.MAX_TASKS]],
        "more_tasks": len(notebook.tasks[overview.MAX_TASKS :]),
        "squares": list(_squares(notebook.runs)),
        "last": last,
        "last_took": in_words(last.seconds) if last is not None and last.seconds is not None else "",
        "usual": "" if usual is None else in_words(usual),
        "range": "" if usual_range is None else " to ".join(dict.fromkeys(map(in_words, usual_range))),
        "spark": Sparkline.of(notebook.durations, usual_range) if len(notebook.durations) > 1 else None,
        "failure": failure,
        "failure_href": "" if failure is None else _tab(failure.key),
        "error": notebook.error,
        "reason": NO_ERROR_STORED if notebook.error is None else notebook.error.summary,
        "details": "" if last is None else _details(last.key),
    }


def _task(dag_id: str, task_id: str) -> Mapping[str, str]:
    return {
        "name": f"{dag_id}.{task_id}",
        "href": f"{_AIRFLOW}dags/{quote(dag_id, safe='')}/tasks/{quote(task_id, safe='')}",
    }


def _squares(runs: Iterable[Instance]) -> Iterable[Mapping[str, str]]:
    for run in runs:
        took = "" if run.seconds is None else f", {in_words(run.seconds)}"
        when = run.start_date or run.run_after
        yield {
            "kind": _SQUARES.get(run.state or "", "other"),
            "title": f"{when:%Y-%m-%d %H:%M} UTC, {run.state or 'not started'}{took}",
            "href": _tab(run.key),
        }


def _tab(key: TaskKey) -> str:
    """The tab of a task instance in Airflow's page."""
    mapped = f"/mapped/{key.map_index}" if key.map_index >= 0 else ""
    ids = [quote(each, safe="") for each in (key.dag_id, key.run_id, key.task_id)]
    return f"{_AIRFLOW}dags/{ids[0]}/runs/{ids[1]}/tasks/{ids[2]}{mapped}/plugin/datalore"


def _details(key: TaskKey) -> str:
    """The address of what Datalore knows of the notebook, which is requested when a user opens the details."""
    ids = [quote(each, safe="") for each in (key.dag_id, key.run_id, key.task_id)]
    return f"dags/{ids[0]}/dagRuns/{ids[1]}/tasks/{ids[2]}/{key.map_index}/details"
