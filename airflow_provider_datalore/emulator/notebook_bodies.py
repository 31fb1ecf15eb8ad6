"""The bodies of the Notebook API's requests."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

from .rendering import ComputationMode, ReportType
from .settings import MAX_RUN_WINDOW

MAX_TIMEOUT_MS = int(MAX_RUN_WINDOW * 1000)


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False, alias_generator=to_camel)


class NotebookReference(BaseModel):
    """A notebook in a request body of the Notebook API."""

    model_config = ConfigDict(strict=True, extra="forbid", alias_generator=to_camel)

    owner_id: str
    id: str


class NotebookBody(_Body):
    """The body of a request about a notebook."""

    notebook_id: NotebookReference


class CellsBody(NotebookBody):
    """The body of ``cells``."""

    worksheet_index: int = Field(default=0, ge=0)
    include_outputs: bool = False


class CellBody(NotebookBody):
    """The body of a request about a cell."""

    cell_id: str


class _Waiting(NotebookBody):
    """The body of a request that may run cells, and waits for their end."""

    timeout_ms: int = Field(default=MAX_TIMEOUT_MS, ge=0, le=MAX_TIMEOUT_MS)


class RunCellBody(_Waiting, CellBody):
    """The body of ``cell/run``."""


class RunCellsBody(_Waiting):
    """The body of ``cells/run``."""

    cell_ids: list[str] = Field(min_length=1)
    stop_on_error: bool = True


class CreateCellBody(_Waiting):
    """The body of ``cell/create``."""

    cell_type: Literal["CODE", "MARKDOWN", "SQL", "CONTROL"]
    source: str = ""
    data: dict[str, JsonValue] | None = None
    after_cell_id: str | None = None
    before_cell_id: str | None = None
    run: bool = False


class EditCellBody(RunCellBody):
    """The body of ``cell/edit``."""

    new_content: str
    data: dict[str, JsonValue] | None = None
    run: bool = False


class ControlBody(RunCellBody):
    """The body of ``cell/controls/update``."""

    control: dict[str, JsonValue]
    run: bool = False


class WorksheetBody(NotebookBody):
    """The body of ``worksheet/create``."""

    name: str | None = Field(default=None, min_length=1)
    worksheet_index: int | None = Field(default=None, ge=0)


class RestartBody(NotebookBody):
    """The body of ``kernel/restart``."""

    wait_until_ready: bool = False
    wait_timeout_ms: int = Field(default=60_000, ge=1000, le=120_000)
    reinstall_environment: bool = False


class PublishBody(NotebookBody):
    """The body of ``report/publish``."""

    type: ReportType
    mode: Literal["CREATE", "UPDATE"]
    full_width: bool = True
    computation_mode: ComputationMode | None = None
    can_download_and_edit_copy: bool = False
