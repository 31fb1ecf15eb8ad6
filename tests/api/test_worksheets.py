"""How the worksheets of a notebook are read, and what an interactive run of several is worth: without a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_datalore.api import interactive, looking
from airflow_provider_datalore.api.calls import Call, Response
from airflow_provider_datalore.api.flow import Flow
from airflow_provider_datalore.api.interactive import Stage
from airflow_provider_datalore.api.interactive_conditions import IDLE_GRACE, InteractiveRunEnded
from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.api.notebook_models import Cell, Kernel
from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot
from airflow_provider_datalore.exceptions import (
    DataloreError,
    DataloreKernelLostError,
    DataloreUnavailableError,
    DataloreWorksheetsNotRunError,
)
from tests.lines import in_one

NOTEBOOK = NotebookId("ann", "sales")
MISSING: list[Any] = [(404, {"error": "no"}), (400, {"error": "no"}), (200, {"cellsWithOutputs": []})]


def described(sheet: int, position: int, count: int | None = None, status: str = "VALID") -> dict[str, Any]:
    """A cell as Datalore describes it, executed unless it has no number."""
    timing = None if count is None else {"durationMs": 1, "lastExecutedAt": f"2026-01-01T00:00:{count:02}Z"}
    return {
        **{"cellId": f"s{sheet}c{position}", "cellType": "CODE", "position": position, "source": "1"},
        **{"executionStatus": "NONE" if count is None else status, "executionCount": count, "timing": timing},
    }


class Server:
    """A notebook with worksheets.

    :param sheets: the cells of each worksheet.
    :param missing: the response to a request for any other worksheet.
    """

    def __init__(self, *sheets: list[dict[str, Any]], missing: Any = MISSING[0]) -> None:
        self.sheets = list(sheets)
        self.missing = missing
        self.kernel: dict[str, Any] = {"state": "READY", "runningCellId": None}
        self.asked: list[str] = []

    def play(self, flow: Flow[NotebookState]) -> NotebookState:
        """Answer the calls of a flow, and note them."""
        self.asked = []
        answer: Response | None = None
        while True:
            try:
                step = flow.send(answer)
            except StopIteration as end:
                state: NotebookState = end.value
                return state
            assert isinstance(step, Call)
            answer = self.answer(step)

    def answer(self, call: Call) -> Response:
        name = call.path.rpartition("/")[2]
        number = (call.body or {}).get("worksheetIndex", 0)
        self.asked.append(f"{name} {number}" if name == "cells" else name)
        status, body = 200, self.kernel
        if name == "cells":
            found = number < len(self.sheets)
            status, body = (200, {"cellsWithOutputs": self.sheets[number]}) if found else self.missing
        text = json.dumps(body).encode()
        return Response(connection="connection 'dl'", status=status, url="https://dl/x", received_at=0, body=text)


def run(server: Server, sheet: int, position: int, count: int, status: str = "VALID") -> None:
    server.sheets[sheet][position] = described(sheet, position, count, status)


@pytest.mark.parametrize("missing", MISSING, ids=["404", "400", "empty"])
def test_all_worksheets_are_read_whatever_a_missing_one_gets(missing: Any) -> None:
    server = Server([described(0, 0)], [described(1, 0), described(1, 1)], missing=missing)
    state = server.play(looking.look(NOTEBOOK))
    assert [(cell.cell_id, cell.worksheet) for cell in state.cells] == [("s0c0", 0), ("s1c0", 1), ("s1c1", 1)]
    assert state.worksheets == 2


def test_a_worksheet_without_cells_does_not_hide_the_next() -> None:
    server = Server([described(0, 0)], [], [described(2, 0)], missing=MISSING[2])
    state = server.play(looking.look(NOTEBOOK))
    assert ([cell.worksheet for cell in state.cells], state.worksheets) == ([0, 2], 3)


def test_a_server_that_knows_one_worksheet_only_is_not_asked_without_end() -> None:
    first = [described(0, 0)]
    server = Server(first, missing=(200, {"cellsWithOutputs": first}))
    state = server.play(looking.look(NOTEBOOK))
    assert ([cell.cell_id for cell in state.cells], state.worksheets) == (["s0c0"], 1)
    assert server.asked == ["status", "cells 0", "cells 1"]


def test_more_worksheets_than_can_be_read_are_an_error() -> None:
    server = Server(*([described(number, 0)] for number in range(looking.MAX_WORKSHEETS + 1)))
    with pytest.raises(DataloreError, match="more than 200 worksheets"):
        server.play(looking.look(NOTEBOOK))


def test_an_outage_is_not_taken_for_the_end_of_the_worksheets() -> None:
    server = Server([described(0, 0)], missing=(503, {}))
    with pytest.raises(DataloreUnavailableError):
        server.play(looking.look(NOTEBOOK))


@pytest.fixture
def server() -> Server:
    """A notebook of three worksheets with two cells each."""
    return Server(*([described(sheet, 0), described(sheet, 1)] for sheet in range(3)))


@pytest.fixture
def snapshot(server: Server) -> Snapshot:
    return Snapshot.take(NOTEBOOK, server.play(looking.look(NOTEBOOK)), {})


def looked(server: Server, snapshot: Snapshot) -> Iterator[list[str]]:
    """What is asked in each of the polls one after another."""
    last: NotebookState | None = None
    while True:
        last = server.play(interactive.look_at_run(snapshot, last))
        yield server.asked


def test_a_poll_is_one_request_as_long_as_nothing_changes(server: Server, snapshot: Snapshot) -> None:
    polls = looked(server, snapshot)
    assert next(polls) == ["status", "cells 0", "cells 1", "cells 2"]
    assert [next(polls) for _ in range(3)] == [["cells 0"]] * 3
    server.kernel = {"state": "BUSY", "runningCellId": "s0c0"}
    server.sheets[0][0]["executionStatus"] = "STARTED"
    assert next(polls) == ["cells 0", "status", "cells 0", "cells 1", "cells 2"]
    assert [next(polls) for _ in range(3)] == [["status"]] * 3
    run(server, 0, 0, 1)
    server.kernel = {"state": "BUSY", "runningCellId": "s0c1"}
    assert next(polls) == ["status", "cells 0"]
    run(server, 0, 1, 2)
    server.kernel = {"state": "BUSY", "runningCellId": "s1c0"}
    assert next(polls) == ["status", "cells 0", "cells 1"]
    assert next(polls) == ["status"]
    server.kernel = {"state": "READY", "runningCellId": None}
    assert next(polls) == ["status", "cells 0", "cells 1", "cells 2"]


def test_a_snapshot_keeps_the_number_of_worksheets(snapshot: Snapshot) -> None:
    assert snapshot.worksheets == 3
    assert Snapshot.from_text(snapshot.to_text()) == snapshot
    older = json.loads(snapshot.to_text())
    del older["worksheets"]
    assert Snapshot.from_text(json.dumps(older)).worksheets == 1


def test_a_run_has_succeeded_only_when_every_worksheet_has_run(server: Server, snapshot: Snapshot) -> None:
    count = 0
    for sheet in range(3):
        assert interactive.stage(snapshot, server.play(looking.look(NOTEBOOK))) is not Stage.SUCCEEDED
        for position in range(2):
            run(server, sheet, position, count := count + 1)
    state = server.play(looking.look(NOTEBOOK))
    assert interactive.stage(snapshot, state) is Stage.SUCCEEDED
    interactive.check_own(snapshot, state)


def test_a_cell_that_fails_on_another_worksheet_fails_the_run(server: Server, snapshot: Snapshot) -> None:
    for count, (sheet, position) in enumerate([(0, 0), (0, 1), (1, 0)], start=1):
        run(server, sheet, position, count)
    run(server, 1, 1, 4, status="ERROR")
    state = server.play(looking.look(NOTEBOOK))
    assert interactive.stage(snapshot, state) is Stage.FAILED
    failed = interactive.failed_cell(snapshot, state)
    assert failed is not None
    assert failed.label == "cell 2 of worksheet 2"
    interactive.check_own(snapshot, state)


def ended(snapshot: Snapshot, state: NotebookState) -> None:
    """The state stays as it is after the run has begun."""
    condition = InteractiveRunEnded(snapshot, 60.0, "https://datalore.example/n")
    busy = NotebookState(Kernel(state="BUSY", running_cell_id="s0c0"), state.cells, state.worksheets)
    assert condition.is_met(busy, None, 0.0) is False
    assert condition.is_met(state, state, 1.0) is False
    condition.is_met(state, state, 2.0 + IDLE_GRACE)


def test_worksheets_that_did_not_run_are_named(server: Server, snapshot: Snapshot) -> None:
    run(server, 0, 0, 1)
    run(server, 0, 1, 2)
    with pytest.raises(DataloreWorksheetsNotRunError) as left_out:
        ended(snapshot, server.play(looking.look(NOTEBOOK)))
    text = in_one(left_out.value)
    assert "2 of 3 worksheets" in left_out.value.summary
    assert "worksheet 2 (2 cells, the first is cell 1), worksheet 3 (2 cells" in text
    assert "Move the cells" in text


def test_a_kernel_that_is_lost_on_a_worksheet_is_not_taken_for_a_worksheet_left_out(
    server: Server, snapshot: Snapshot
) -> None:
    for count, (sheet, position) in enumerate([(0, 0), (0, 1), (1, 0)], start=1):
        run(server, sheet, position, count)
    with pytest.raises(DataloreKernelLostError, match=r"3 of 6 cells have not run, cell 2 of worksheet 2 first"):
        ended(snapshot, server.play(looking.look(NOTEBOOK)))
    server.kernel["state"] = "NOT_STARTED"
    server.sheets[1][0] = described(1, 0)
    with pytest.raises(DataloreKernelLostError, match="session was stopped"):
        ended(snapshot, server.play(looking.look(NOTEBOOK)))


def test_another_run_is_recognized_across_worksheets(snapshot: Snapshot) -> None:
    def cell(sheet: int, position: int, count: int | None) -> Cell:
        read = Cell.model_validate(described(sheet, position, count))
        return read.model_copy(update={"worksheet": sheet})

    def state(*counts: int | None) -> NotebookState:
        cells = [cell(number // 2, number % 2, count) for number, count in enumerate(counts)]
        return NotebookState(Kernel(state="BUSY", running_cell_id="s1c0"), tuple(cells), 3)

    assert interactive.is_own(snapshot, state(1, 2, None, None, None, None))
    # A cell of a later worksheet has already run: that was another run.
    assert not interactive.is_own(snapshot, state(2, 3, None, None, 1, None))
