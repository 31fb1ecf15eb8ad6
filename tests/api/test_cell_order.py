"""How far a run cell by cell has come, as the notebook shows it."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datalore.api.cell_order import reached
from airflow_provider_datalore.api.interactive import ended_run, may_be_joined
from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.api.notebook_models import Cell, Kernel
from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot

NOTEBOOK = NotebookId("ann", "sales")
READY, BUSY = Kernel(state="READY"), Kernel(state="BUSY", running_cell_id="c")


def cell(name: str, count: int | None = None, status: str = "VALID", second: int | None = None, **more: Any) -> Cell:
    """A code cell; one without a number has never been executed."""
    second = count if second is None else second
    at = None if second is None else f"2026-01-31T08:00:{second:02}Z"
    timing = None if at is None else {"durationMs": 1, "lastExecutedAt": at}
    status = status if count or more.get("cell_type") == "CONTROL" else "NONE"
    fields = {"cell_id": name, "cell_type": "CODE", "source": name, "execution_status": status} | more
    return Cell(**fields, execution_count=count, timing=timing)  # type: ignore[arg-type]  # pydantic reads the mapping


def state(*cells: Cell, kernel: Kernel = READY) -> NotebookState:
    return NotebookState(kernel, cells)


def snapshot(*cells: Cell) -> Snapshot:
    before = state(*cells)
    return Snapshot.take(NOTEBOOK, before, {}).cell_by_cell(before, try_number=1, began=0.0)


NEW = snapshot(cell("a"), cell("b"), cell("c"))


def names(cells: Any) -> str:
    return "".join(each.cell_id for each in cells)


def test_nothing_has_run() -> None:
    found = reached(NEW, state(cell("a"), cell("b"), cell("c")))
    assert (found.executed, found.current, found.replaced, found.failed) == ((), None, None, None)


def test_cells_that_have_run_and_the_one_that_is_running() -> None:
    now = state(cell("a", 1), cell("b", 2), cell("c", 3, "STARTED"), kernel=BUSY)
    found = reached(NEW, now)
    assert (names(found.executed), found.current and found.current.cell_id) == ("ab", "c")


def test_a_cell_that_failed_ends_the_run() -> None:
    found = reached(NEW, state(cell("a", 1), cell("b", 2, "ERROR"), cell("c")))
    assert (names(found.executed), found.failed and found.failed.cell_id) == ("ab", "b")


def test_a_cell_that_started_and_never_ended_is_the_current_one() -> None:
    found = reached(NEW, state(cell("a", 1), cell("b", 2, "STARTED"), cell("c")))
    assert found.current is not None
    assert found.current.cell_id == "b"


def test_executions_of_others_in_between_are_counted() -> None:
    found = reached(NEW, state(cell("a", 1), cell("b", 4), cell("c")))
    assert [(each.cell_id, others) for each, others in found.gaps] == [("b", 2)]
    assert ended_run(NEW, state(cell("a", 1), cell("b", 4, "ERROR"), cell("c"))) is None


def test_a_cell_that_someone_executed_before_its_turn_is_not_taken_for_one_of_the_run() -> None:
    found = reached(NEW, state(cell("a", 2), cell("b", 1), cell("c")))
    assert (names(found.executed), names(found.by_others), found.replaced) == ("a", "b", None)


def test_a_later_execution_with_a_lower_number_was_in_another_kernel() -> None:
    found = reached(NEW, state(cell("a", 5), cell("b", 1, second=9), cell("c")))
    assert found.replaced is not None
    assert found.replaced.cell_id == "b"
    assert not may_be_joined(NEW, state(cell("a", 5), cell("b", 1, second=9), cell("c")))


def test_a_deleted_cell_is_left_out() -> None:
    assert names(reached(NEW, state(cell("a", 1), cell("c", 2))).executed) == "ac"


@pytest.mark.parametrize("count", [None, 2])
def test_a_control_whose_executions_have_no_number_has_run_if_a_cell_below_it_has(count: int | None) -> None:
    control = {"cell_type": "CONTROL", "data": {"control": {"variable": "x"}}}
    before = snapshot(cell("a"), cell("b", **control), cell("c"))
    found = reached(before, state(cell("a", 1), cell("b", **control), cell("c", count)))
    assert names(found.executed) == ("a" if count is None else "abc")


def test_a_run_that_has_ended_is_told_by_the_notebook() -> None:
    run = ended_run(NEW, state(cell("a", 1), cell("b", 2), cell("c", 3)))
    assert run is not None
    assert (run.success, len(run.cells)) == (True, 3)
    assert ended_run(NEW, state(cell("a", 1), cell("b", 2), cell("c"))) is None


def test_a_snapshot_keeps_all_that_it_knows_as_text() -> None:
    assert Snapshot.from_text(NEW.to_text()) == NEW
    assert NEW.by_cell
    assert not Snapshot.take(NOTEBOOK, state(cell("a")), {}).by_cell
