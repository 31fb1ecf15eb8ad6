"""HTML pages: an overview, a notebook, a run, a report."""

from __future__ import annotations

from html import escape
from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from .dependencies import AUTH_COOKIE, CurrentEmulator, caller_with
from .emulator import Emulator
from .errors import RefusedError
from .ids import NotebookId
from .library import read_notebook
from .rendering import render
from .run_json import artifact_path
from .run_store import Run
from .tree import NotebookFile

router = APIRouter()

# A notebook may contain any HTML and JavaScript, which must not be trusted.
_NOTEBOOK_POLICY = (
    "sandbox allow-popups; default-src 'none'; style-src 'unsafe-inline'; img-src data: https:; font-src data:"
)
_LIST_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
form { margin: 0; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ddd; vertical-align: top; }
"""


@router.get("/")
def overview(request: Request, emulator: CurrentEmulator, token: str | None = None) -> Response:
    """List notebooks and runs; with a token, sign the browser in, so that it can download artifacts.

    :raises RefusedError: 401, the token is not valid.
    """
    if token is not None:
        caller_with(emulator, token)
        response = RedirectResponse("/", 303)
        # Links from Airflow's UI come from another site: localhost and 127.0.0.1 are two sites.
        is_secure = request.url.scheme == "https"
        response.set_cookie(AUTH_COOKIE, token, secure=is_secure, httponly=True, samesite="lax")
        return response
    notebooks = "".join(
        f"<li><a href='{_notebook_address(notebook.id)}'>{escape(str(notebook.id))}</a>{_title(notebook)}"
        for notebook in emulator.library.notebooks().values()
    )
    runs = "".join(_run_row(emulator, run) for run in reversed(list(emulator.run_store)))
    return _page(
        "Datalore emulator",
        f"<h2>Notebooks</h2><ul>{notebooks or '<li>none yet'}</ul><h2>Runs</h2><table>"
        "<tr><th>Run<th>Notebook<th>Submitted<th>State<th></tr>"
        f"{runs}</table>",
    )


@router.get("/notebook/{owner}/{notebook}")
def show_notebook(owner: str, notebook: str, emulator: CurrentEmulator) -> Response:
    """Show a notebook with its own outputs."""
    found = _find(emulator, owner, notebook)
    return _notebook_page(found.path, found.title)


@router.get("/runs/{run_id}")
def show_run(run_id: str, emulator: CurrentEmulator) -> Response:
    """Show the executed notebook of a run, or the state of the run."""
    run = emulator.run_store.get(run_id)
    if run is None:
        raise RefusedError(404, f"There is no run {run_id}")
    if run.ended and emulator.has_artifact(run):
        return _notebook_page(emulator.run_store.executed_copy(run), run.title or run.notebook)
    return _page(f"Run {run_id}", f"<p>{escape(_state(run))}</p>{_stop_button(run)}")


@router.post("/runs/{run_id}/stop")
async def stop_run(run_id: str, emulator: CurrentEmulator) -> Response:
    """Stop a run, for the button on the pages."""
    await emulator.stop_run(run_id)
    return RedirectResponse("/", 303)


@router.get("/reports/{owner}/{notebook}")
def show_report(owner: str, notebook: str, emulator: CurrentEmulator) -> Response:
    """Show the published report of a notebook."""
    found = _find(emulator, owner, notebook)
    report = emulator.reports.read(found.id)
    if report is None:
        raise RefusedError(404, f"The notebook {found.id} has no report")
    return HTMLResponse(report, headers={"Content-Security-Policy": _NOTEBOOK_POLICY})


@router.get("/report/{kind}/{owner}/{report_id}")
def show_report_by_id(kind: str, owner: str, report_id: str, emulator: CurrentEmulator) -> Response:
    """Show a published report by its own id, as the addresses of reports on Datalore Cloud look."""
    for notebook in emulator.library.notebooks():
        for report in emulator.reports.of(notebook) if notebook.owner == owner else ():
            if (report.id, report.type.lower()) == (report_id, kind):
                return show_report(notebook.owner, notebook.id, emulator)
    raise RefusedError(404, f"There is no {kind} report {owner}/{report_id}")


def _find(emulator: Emulator, owner: str, notebook: str) -> NotebookFile:
    notebook_id = NotebookId.parse(f"{owner}/{notebook}")
    found = emulator.library.find(notebook_id) if notebook_id else None
    if found is None:
        raise RefusedError(404, f"There is no notebook {owner}/{notebook}")
    return found


def _title(notebook: NotebookFile) -> str:
    """The folders and the name of a notebook, if they say more than its id."""
    name = "/".join((*notebook.folder, notebook.title))
    return "" if name == notebook.id.id else f" ({escape(name)})"


def _notebook_page(path: Path, title: str) -> Response:
    try:
        page = render(read_notebook(path), title)
    except (OSError, ValueError) as error:
        raise RefusedError(400, str(error)) from error
    return HTMLResponse(page, headers={"Content-Security-Policy": _NOTEBOOK_POLICY})


def _page(title: str, body: str) -> Response:
    page = (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{escape(title)}</title>"
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>{body}"
    )
    return HTMLResponse(page, headers={"Content-Security-Policy": _LIST_POLICY})


def _run_row(emulator: Emulator, run: Run) -> str:
    download = quote(artifact_path(run))
    artifact = f"<a href='{download}'>{escape(run.file_name)}</a>" if emulator.has_artifact(run) else ""
    return (
        f"<tr><td><a href='/runs/{run.run_id}'>{run.run_id[:8]}</a>"
        f"<td><a href='{_notebook_address(run.notebook_id)}'>{escape(str(run.notebook_id))}</a>"
        f"<td>{run.submitted:%Y-%m-%d %H:%M:%S}<td>{escape(_state(run))}"
        f"<td>{artifact}{_stop_button(run)}</tr>"
    )


def _stop_button(run: Run) -> str:
    """A form, because no scripts run on the pages."""
    if run.ended:
        return ""
    return f"<form method='post' action='/runs/{run.run_id}/stop'><button>Stop</button></form>"


def _state(run: Run) -> str:
    return f"failed: {run.failure}" if run.state == "failed" else run.state


def _notebook_address(notebook: NotebookId) -> str:
    return f"/notebook/{quote(notebook.owner)}/{quote(notebook.id)}"
