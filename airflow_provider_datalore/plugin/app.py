"""The web app of the tab: users who may view a task in Airflow may view its run and notebook; others may not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import get_user, requires_access_dag
from airflow.utils.session import create_session
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response

from airflow_provider_datalore.api.filenames import distinct_names
from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.exceptions import DataloreError, DataloreUnavailableError
from airflow_provider_datalore.plugin import compare_page, earlier_runs, notebook_details, overview_page, tasks
from airflow_provider_datalore.plugin.earlier_runs import Choices
from airflow_provider_datalore.plugin.limits import BusyError
from airflow_provider_datalore.plugin.page_templates import templates
from airflow_provider_datalore.plugin.rendered_notebooks import NotDisplayableError
from airflow_provider_datalore.plugin.responses import FileDownload, NotebookPage
from airflow_provider_datalore.plugin.runs import TabClient
from airflow_provider_datalore.plugin.security_headers import NOTEBOOK_HEADERS, PAGE_HEADERS
from airflow_provider_datalore.plugin.task_key import TaskKey
from airflow_provider_datalore.plugin.tasks import NotebookTask, TaskKind
from airflow_provider_datalore.plugin.view import TabView

STATIC_FOLDER = Path(__file__).with_name("static")
TASK_PATH = "/dags/{dag_id}/dagRuns/{run_id}/tasks/{task_id}/{map_index}"
# All addresses in the pages are relative: a proxy may serve Airflow under a path that Airflow does not know.
STATIC_FROM_TASK = "../" * TASK_PATH.count("/", 0, TASK_PATH.rindex("/")) + "static"

app = FastAPI(title="Datalore", openapi_url=None)
app.include_router(overview_page.router)

# The output of a notebook is as confidential as a task's log: the same permission is required for both.
MAY_SEE_TASK = Depends(requires_access_dag("GET", DagAccessEntity.TASK_INSTANCE))
MAY_SEE_LOGS = Depends(requires_access_dag("GET", DagAccessEntity.TASK_LOGS))


def user_id(user: Annotated[Any, Depends(get_user)]) -> str:
    """The id of the user who sent the request."""
    return str(user.get_id())


UserId = Annotated[str, Depends(user_id)]


def task_key(dag_id: str, run_id: str, task_id: str, map_index: str) -> TaskKey:
    """The task instance in the address; Airflow's UI does not replace the placeholder if the task is not mapped."""
    index = "-1" if map_index == "{MAP_INDEX}" else map_index
    if not index.removeprefix("-").isdecimal() or len(index) > 9:
        raise HTTPException(404, "Task instance not found.")
    return TaskKey(dag_id, run_id, task_id, int(index))


Key = Annotated[TaskKey, Depends(task_key)]


def found_task(key: Key) -> NotebookTask:
    """Load the task; the database session is closed before any request to Datalore."""
    with create_session(scoped=False) as session:
        task = tasks.find(key, session)
    if task is None:
        raise HTTPException(404, "Task instance not found.")
    return task


def other_key(key: Key, other_run: Annotated[str, Query(alias="with")]) -> TaskKey:
    """The same task in another DAG run, with which it is compared."""
    return replace(key, run_id=other_run)


OtherKey = Annotated[TaskKey, Depends(other_key)]


def other_task(key: OtherKey) -> NotebookTask:
    """Load the task in the other DAG run."""
    return found_task(key)


ShownTask = Annotated[NotebookTask, Depends(found_task)]
OtherTask = Annotated[NotebookTask, Depends(other_task)]


@app.middleware("http")
async def add_security_headers(request: Request, call_next: Any) -> Response:
    """Add the security headers to each response that does not set its own."""
    response: Response = await call_next(request)
    for name, value in PAGE_HEADERS.items():
        response.headers.setdefault(name, value)
    return response


@app.get(TASK_PATH, dependencies=[MAY_SEE_TASK, MAY_SEE_LOGS])
def show(task: ShownTask, key: Key, user: UserId, request: Request) -> HTMLResponse:
    """The tab: the details of the run, and a frame for its notebook."""
    view = TabView.of(task, user)
    here = quote(request.path_params["map_index"])
    with create_session(scoped=False) as session:
        choices = Choices((), key.run_id) if task.kind is TaskKind.OTHER else earlier_runs.choices(key, session)
    page = templates.get_template("tab.html")
    return HTMLResponse(page.render(view=view, static=STATIC_FROM_TASK, here=here, choices=choices))


@app.get(TASK_PATH + "/state", dependencies=[MAY_SEE_TASK, MAY_SEE_LOGS])
def state(task: ShownTask, user: UserId) -> JSONResponse:
    """The state, which an open tab polls: it loads the page again when ``layout`` changes, and otherwise shows the
    progress of the run in place when ``version`` changes.
    """
    view = TabView.of(task, user)
    content = {"version": view.version, "layout": view.layout, "state": view.state}
    if view.interactive is not None and view.interactive.progress is not None:
        content["progress"] = templates.get_template("progress.html").render(view=view)
        content["notice"] = view.notice
        content["cells"] = view.interactive.cells
    return JSONResponse(content)


@app.get(TASK_PATH + "/notebook", dependencies=[MAY_SEE_TASK, MAY_SEE_LOGS])
def notebook(
    task: ShownTask, user: UserId, request: Request, theme: Annotated[str, Query(pattern="^(light|dark)$")]
) -> Response:
    """The executed notebook, a document without an origin; shown only in the tab's frame, never in its own window."""
    if request.headers.get("Sec-Fetch-Dest", "iframe") != "iframe":
        return RedirectResponse("../" + quote(request.path_params["map_index"]))
    try:
        datalore, run = _finished_run(task, user)
        return NotebookPage(datalore.page(run, theme), request)
    except DataloreError as error:
        return _problem(error, theme)


@app.get(TASK_PATH + "/artifacts/{number}/{name}", dependencies=[MAY_SEE_TASK, MAY_SEE_LOGS])
def artifact(task: ShownTask, user: UserId, number: int, name: str) -> FileDownload:
    """An artifact of the run as a download, never as a page."""
    try:
        datalore, run = _finished_run(task, user)
        names = distinct_names(artifact.name for artifact in run.artifacts)
        file_name, found = dict(enumerate(zip(names, run.artifacts, strict=True))).get(number, ("", None))
        if found is None or file_name != name:
            raise HTTPException(404, "Artifact not found.")
        return FileDownload(datalore.download(found), file_name)
    except DataloreError as error:
        raise HTTPException(_status(error), str(error)) from None


@app.get(TASK_PATH + "/compare", dependencies=[MAY_SEE_TASK, MAY_SEE_LOGS])
def compare(
    task: ShownTask, other: OtherTask, key: Key, other_key: OtherKey, user: UserId, request: Request
) -> HTMLResponse:
    """Two runs of the task beside each other: facts about them, and a frame for the comparison of their notebooks."""
    with create_session(scoped=False) as session:
        choices = earlier_runs.choices(key, session, also=other_key.run_id)
        before, now = (earlier_runs.values(each, session) for each in (other_key, key))
    facts = {
        "Parameters": compare_page.differences(other.parameters, task.parameters),
        "Returned values": compare_page.differences(before, now),
        "Durations": compare_page.durations(other, task, user),
    }
    shown = {
        "choices": choices,
        "before_id": other_key.run_id,
        "now_id": key.run_id,
        "facts": [(title, list(rows)) for title, rows in facts.items()],
        "note": compare_page.note(other, task),
        "here": quote(request.path_params["map_index"]),
    }
    return HTMLResponse(templates.get_template("compare.html").render(static=f"../{STATIC_FROM_TASK}", **shown))


@app.get(TASK_PATH + "/comparison", dependencies=[MAY_SEE_TASK, MAY_SEE_LOGS])
def comparison(
    task: ShownTask,
    other: OtherTask,
    user: UserId,
    request: Request,
    theme: Annotated[str, Query(pattern="^(light|dark)$")],
) -> Response:
    """The notebooks of two runs, compared: a document without an origin, like :func:`notebook`."""
    if request.headers.get("Sec-Fetch-Dest", "iframe") != "iframe":
        return RedirectResponse(f"compare?with={quote(request.query_params['with'], safe='')}")
    try:
        return NotebookPage(compare_page.page(other, task, theme, user), request)
    except DataloreError as error:
        return _problem(error, theme)


@app.get(TASK_PATH + "/details", dependencies=[MAY_SEE_TASK, MAY_SEE_LOGS])
def details(task: ShownTask, user: UserId) -> JSONResponse:
    """The address and the reports of the notebook, for the page of all notebooks."""
    return JSONResponse({"lines": list(notebook_details.lines(task, user))})


@app.get("/static/{name}")
def static(name: str) -> FileResponse:
    """The tab's own style sheet and script, which contain nothing about tasks."""
    path = STATIC_FOLDER / name
    if path.parent != STATIC_FOLDER or not path.is_file():
        raise HTTPException(404)
    return FileResponse(path, headers={"Cache-Control": "public, max-age=3600"})


def _problem(error: DataloreError, theme: str) -> HTMLResponse:
    """The text in place of a notebook."""
    problem = templates.get_template("problem.html").render(problem=error, theme=theme)
    status = 200 if isinstance(error, NotDisplayableError) else _status(error)
    return HTMLResponse(problem, status, headers=NOTEBOOK_HEADERS)


def _status(error: DataloreError) -> int:
    return 503 if isinstance(error, (BusyError, DataloreUnavailableError)) else 502


def _finished_run(task: NotebookTask, user: str) -> tuple[TabClient, Run]:
    if task.conn_id is None or task.run_id is None:
        raise HTTPException(404, "The task has no run in Datalore.")
    datalore = TabClient(task.conn_id, task.team, user)
    run = datalore.run(task)
    if not run.is_finished:
        raise HTTPException(409, "The notebook is still running.")
    return datalore, run
