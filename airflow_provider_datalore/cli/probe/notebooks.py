"""What the Notebook API shows: interactive runs, worksheets, kernels, and cells that are run by a request."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from airflow_provider_datalore.api.calls import Call, Response
from airflow_provider_datalore.api.notebook_id import NotebookId
from airflow_provider_datalore.api.notebook_models import ACTIVE_STATUSES, ENDED_STATUSES
from airflow_provider_datalore.api.response_errors import raise_for_status
from airflow_provider_datalore.cli.probe.exchange import Exchange, checked, object_in, wait_until
from airflow_provider_datalore.cli.probe.parameters import KnownParameter, from_controls
from airflow_provider_datalore.cli.probe.record import Record
from airflow_provider_datalore.exceptions import DataloreError

_CODE_TYPES = ("CODE", "SQL")
_NO_WORKSHEET = 999
_QUIET_TIME = 1.0
"""Seconds for which nothing runs before a notebook is taken for idle."""
_CRASH_WAIT = 5.0
"""Seconds after which a cell whose kernel died has its last status."""
_CRASH_WINDOW_MS = 20_000
_RUN_WINDOW_MS = 1000
_LONG_CELL = "import time\nfor _ in range(300):\n    time.sleep(0.1)"
_SHORT_CELL = "1 + 1"
_FATAL_CELL = "import os\nos._exit(1)"

Cells = dict[str, Mapping[str, Any]]


class NotebookExperiments:
    """Experiments with the Notebook API and one notebook."""

    def __init__(self, exchange: Exchange, record: Record, notebook: NotebookId) -> None:
        self.exchange = exchange
        self.record = record
        self.notebook = notebook
        self.token_is_below_notebook_api = False
        """Whether the scope of the token does not cover the Notebook API."""

    def has_api(self) -> bool:
        """Whether the server has a Notebook API."""
        response = self.exchange.send("POST", "/api/notebook/v1/kernel/status", {})
        found = response.status not in (404, 405)
        self.record.set("notebook_api", found)
        if response.status == 403:
            note_challenge(response, self.record)
            self.token_is_below_notebook_api = True
        return found and response.status in (200, 400, 422)

    def elsewhere(self) -> None:
        """Find out what a token for one notebook gets for another one; nothing for any other token."""
        other = NotebookId(self.notebook.owner, "airflowProbeNoNotebook")
        if self.exchange.notebook("kernel/status", other).status == 403:
            self.record.set("notebook_token_elsewhere", "403")

    def is_busy(self) -> bool:
        """Whether something runs in the notebook."""
        return self._state() == "BUSY"

    def known_parameter(self) -> KnownParameter | None:
        """A control that takes a number; None if there is none."""
        cells = self._cells(0).values()
        data = [cell["data"] for cell in cells if isinstance(cell.get("data"), Mapping)]
        return from_controls(each.get("control") for each in data)

    def report_layout(self) -> None:
        """Find out whether the notebook has a report layout."""
        initialized = (object_in(self._send("report").body) or {}).get("initialized")
        if isinstance(initialized, bool):
            self.record.set("report_layout", "initialized" if initialized else "absent")

    def missing_worksheet(self) -> None:
        """Find out what a worksheet that does not exist gets."""
        response = self._send("cells", worksheetIndex=_NO_WORKSHEET, includeOutputs=True)
        data = object_in(response.body) or {}
        empty = response.status == 200 and not data.get("cellsWithOutputs") and not data.get("cells")
        self.record.set("missing_worksheet", "empty" if empty else str(response.status))

    def files_without_session(self) -> None:
        """Find out whether files require a session, by stopping it."""
        self.stop()
        self.record.set("files_need_session", self._send("files", directory="data/notebook_files").status >= 400)

    def interactive(self, *, watched: bool) -> None:
        """Run the notebook interactively: its response, a starting kernel, a second run meanwhile, worksheets.

        :param watched: whether the Notebook API can be used to watch it.
        """
        before = [self._cells(0), self._cells(1)] if watched else []
        response = self._run_interactively()
        raise_for_status(Call("POST", "", "run the notebook interactively"), response)
        self.record.set("interactive_response", "object" if object_in(response.body) is not None else "empty")
        if response.body.strip() and object_in(response.body) != {}:
            self.record.remark("The response to an interactive run has content.")
        if not watched:
            return
        self._booting()
        self._second_run()
        self.wait_until_idle()
        self._worksheets(before)

    def restart(self) -> None:
        """Find out whether the results of cells survive a restart of the kernel."""
        before = _results(self._cells(0))
        response = self._send("kernel/restart", waitUntilReady=True, waitTimeoutMs=30_000)
        raise_for_status(Call("POST", "", "restart the kernel"), response)
        if any(before.values()):
            self._survived("after_restart", before)

    def cells_by_request(self) -> None:
        """Find out how a running kernel meets ``cell/run``, and what survives the end of a session and of a kernel.

        Cells are added at the end of the notebook, and deleted again.
        """
        if not self._is_python():
            self.record.remark("The notebook is not in Python, so no cells were added to it.")
            return
        with self._added(_LONG_CELL) as long, self._added(_SHORT_CELL) as short, self._added(_FATAL_CELL) as fatal:
            self._busy_kernel(long, short)
            self._send("cell/run", cellId=short)
            before = {short: _results(self._cells(0)).get(short)}
            self.stop()
            if any(before.values()):
                self._survived("after_stop", before)
            self.record.set("files_need_session", self._send("files", directory="data/notebook_files").status >= 400)
            self._crash(fatal, short)
            self.stop()

    def stop(self) -> None:
        """Stop the session of the notebook."""
        raise_for_status(Call("POST", "", "stop the session"), self._send("agent/stop"))
        wait_until(lambda: self._state() == "NOT_STARTED", within=60)

    def wait_until_idle(self) -> None:
        """Wait until nothing has run in the notebook for a moment."""
        idle_since: float | None = None

        def is_idle() -> bool:
            nonlocal idle_since
            if self._state() == "BUSY" or any(self._is_active(index) for index in (0, 1)):
                idle_since = None
                return False
            idle_since = idle_since or time.monotonic()
            return time.monotonic() - idle_since > _QUIET_TIME

        if not wait_until(is_idle):
            raise DataloreError("The notebook is still running.")

    def _booting(self) -> None:
        """Record the state of a kernel that is starting: the first one after the request."""
        states: list[str] = []

        def has_begun() -> bool:
            state = self._state()
            if not states or states[-1] != state:
                states.append(state)
            return state == "BUSY" or any(_ended(cell) for cell in self._cells(0).values())

        wait_until(has_begun, within=300, every=0.05)
        if states[-1:] != ["BUSY"]:
            self.record.remark("The notebook ended before its kernel was seen to run.")
            return
        self.record.set("booting", "busy" if states[0] == "BUSY" else "ready")

    def _second_run(self) -> None:
        """Request a second run while the first is executing."""
        if not self.is_busy():
            return
        response = self._run_interactively()
        if response.status < 300:
            self.record.set("interactive_while_busy", "queue")
        else:
            self.record.set("interactive_while_busy", str(response.status))

    def _worksheets(self, before: list[Cells]) -> None:
        """Record which worksheets were executed."""
        after = [self._cells(0), self._cells(1)]
        if not any(_is_code(cell) for cell in after[1].values()):
            self.record.remark("The notebook has no code on a second worksheet, so it is unknown whether that runs.")
            return
        first, second = (_has_run(before[index], after[index]) for index in (0, 1))
        if first or second:
            self.record.set("interactive_worksheets", "all" if second else "first")

    def _busy_kernel(self, long: str, short: str) -> None:
        """Record what ``cell/run`` gets while another cell runs."""
        self._send("cell/run", cellId=long, timeoutMs=_RUN_WINDOW_MS)
        if self.is_busy():
            response = self._send("cell/run", cellId=short, timeoutMs=_RUN_WINDOW_MS)
            self.record.set("cell_run_while_busy", "queue" if response.status == 200 else str(response.status))
        self._send("kernel/interrupt")
        self.wait_until_idle()

    def _crash(self, fatal: str, short: str) -> None:
        """Record the status of a cell whose kernel died.

        :param short: a cell that is run before, so that the kernel has started.
        """
        self._send("cell/run", cellId=short)
        self.wait_until_idle()
        self._send("cell/run", cellId=fatal, timeoutMs=_CRASH_WINDOW_MS)
        wait_until(
            lambda: not self.is_busy() and self._status(fatal) not in ("WAITING", "PROCESSING_OUTPUT"), within=60
        )
        wait_until(lambda: self._status(fatal) != "STARTED", within=_CRASH_WAIT)
        self.record.set("crashed_cell", self._status(fatal))

    def _survived(self, field: str, before: Mapping[str, Any]) -> None:
        now = _results(self._cells(0))
        kept = [now.get(cell) == result for cell, result in before.items() if result]
        self.record.set(field, "kept" if all(kept) else "cleared")
        if any(kept) and not all(kept):
            self.record.remark(f"{field}: some results of cells were kept, and others were not.")

    @contextmanager
    def _added(self, source: str) -> Iterator[str]:
        """A cell at the end of the first worksheet, which is deleted afterwards."""
        last = list(self._cells(0))[-1:]
        where = {"afterCellId": last[0]} if last else {}
        created = self._send("cell/create", cellType="CODE", source=source, data={"language": "python"}, **where)
        cell_id = str(checked(created, "add a cell").get("cellId"))
        try:
            yield cell_id
        finally:
            deleted = self._send("cell/delete", cellId=cell_id)
            if deleted.status >= 300:
                self.record.remark(
                    f"The added cell {source.splitlines()[0]!r} could not be deleted: delete it yourself."
                )

    def _is_python(self) -> bool:
        data = [cell.get("data") for cell in self._cells(0).values() if cell.get("cellType") == "CODE"]
        languages = {str(each.get("language")).lower() for each in data if isinstance(each, Mapping)}
        return languages == {"python"}

    def _is_active(self, worksheet: int) -> bool:
        return any(cell.get("executionStatus") in ACTIVE_STATUSES for cell in self._cells(worksheet).values())

    def _status(self, cell_id: str) -> str:
        return str(self._cells(0).get(cell_id, {}).get("executionStatus"))

    def _state(self) -> str:
        return str(checked(self._send("kernel/status"), "read the kernel status").get("state"))

    def _cells(self, worksheet: int) -> Cells:
        """The cells of a worksheet by their ids; none if it does not exist."""
        response = self._send("cells", worksheetIndex=worksheet, includeOutputs=True)
        if worksheet and response.status in (400, 404):
            return {}
        cells = checked(response, "read the cells").get("cellsWithOutputs")
        listed = cells if isinstance(cells, list) else []
        return {str(cell.get("cellId")): cell for cell in listed if isinstance(cell, Mapping)}

    def _run_interactively(self) -> Response:
        return self.exchange.send("POST", "/api/computation/v1/notebook", {"notebookId": str(self.notebook)})

    def _send(self, name: str, **fields: Any) -> Response:
        return self.exchange.notebook(name, self.notebook, **fields)


def note_challenge(response: Response, record: Record) -> None:
    """Record whether a 403 for too narrow a scope names the scope."""
    record.set("scope_challenge", "scope=" in response.headers.get("www-authenticate", "").lower())


def _is_code(cell: Mapping[str, Any]) -> bool:
    return cell.get("cellType") in _CODE_TYPES and bool(str(cell.get("source") or "").strip())


def _ended(cell: Mapping[str, Any]) -> bool:
    return cell.get("executionStatus") in ENDED_STATUSES


def _has_run(before: Cells, after: Cells) -> bool:
    """Whether a cell has been executed between two looks."""
    old = _results(before)
    return any(result and result != old.get(cell) for cell, result in _results(after).items())


def _results(cells: Cells) -> dict[str, Any]:
    """What is known of the last execution of each code cell; None if nothing is."""
    found: dict[str, Any] = {}
    for cell_id, cell in cells.items():
        if _is_code(cell):
            known = (cell.get("executionStatus"), cell.get("executionCount"), cell.get("timing"))
            found[cell_id] = None if known[0] in (None, "NONE") and not any(known[1:]) else known
    return found
