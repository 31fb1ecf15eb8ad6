"""What an emulator can be told: where its notebooks are, who may use them, and which Datalore it plays."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

DEFAULT_USER = "me"
"""Who owns the notebooks that lie directly in the folder, and a token that was given without a user."""


class Variant(BaseModel):
    """One answer to each question that Datalore's documentation leaves open.

    A client that only works with the defaults relies on something nobody promised. Each field is an option
    of the command line (``run_appears_after`` is ``--run-appears-after``; a true flag is switched off with
    ``--no-…``) and can be changed while the emulator runs, with ``PUT /emulator/variant``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    queued_status: str = Field(default="QUEUED", description="status of a run that waits; empty: no status")
    running_status: str = Field(default="RUNNING", description="status of a run that executes; empty: no status")
    running_success: Literal["null", "false", "absent"] = Field(
        default="null", description="what success is before the run has ended"
    )
    running_end_time: Literal["absent", "null"] = Field(
        default="absent", description="what endTime is before the run has ended"
    )
    running_artifacts: Literal["empty", "absent", "null"] = Field(
        default="empty", description="what artifacts is before the run has ended"
    )
    queued_start_time: Literal["submitted", "absent", "null"] = Field(
        default="submitted", description="what startTime is while the run waits"
    )
    times: Literal["iso", "iso-fraction", "iso-offset", "epoch-ms"] = Field(
        default="iso", description="how times are written"
    )
    notebook_id_form: Literal["full", "short"] = Field(
        default="full", description="notebookId of a run as OWNER/ID, or as ID alone"
    )
    read_only: Literal["told", "absent"] = Field(default="told", description="whether a run says readOnly")
    run_appears_after: float = Field(
        default=0.0, ge=0, description="seconds after POST in which asking for the run answers 404"
    )
    failed_artifacts: Literal["kept", "dropped"] = Field(
        default="kept", description="whether a failed run has its notebook as an artifact"
    )
    artifacts_expire_after: float | None = Field(
        default=None, ge=0, description="seconds after the end of a run from which its artifacts answer 404"
    )
    unknown_parameter: Literal["reject", "ignore"] = Field(
        default="reject", description="a parameter that names no variable of the notebook"
    )
    unknown_field: Literal["reject", "ignore"] = Field(
        default="reject", description="a field of a request body that is not documented"
    )
    parameter_values: Literal["any", "strings"] = Field(
        default="any", description="whether a parameter's value may be other JSON than a string"
    )
    over_limit: Literal["queue", "400", "403", "409", "429", "503"] = Field(
        default="queue",
        description="what POST does over --max-parallel-runs: queue the run, or answer this status",
    )
    error_form: Literal["json", "html", "plain", "empty"] = Field(
        default="json", description="the form of the body of an error"
    )
    interactive_answer: Literal["empty", "object"] = Field(
        default="empty", description="the body of the answer to an interactive run: nothing, or {}"
    )
    interactive_while_busy: Literal["queue", "409"] = Field(
        default="queue", description="what an interactive run of a notebook that executes does: wait, or answer 409"
    )
    booting: Literal["busy", "ready"] = Field(
        default="busy", description="what the kernel of an interactive run is said to be before it has started"
    )
    crashed_cell: Literal["ERROR", "STARTED", "NONE"] = Field(
        default="NONE", description="the status of a cell whose kernel died"
    )
    files_need_session: bool = Field(
        default=False, description="whether files can be reached only when the notebook has a session"
    )
    notebook_api: bool = Field(
        default=True, description="whether the server has the Notebook API (on premises 2026.2 and later)"
    )
    parameters: bool = Field(
        default=True, description="whether the server knows the field parameters (older ones do not)"
    )
    direct_file_storage_write: bool = Field(
        default=True,
        description="whether the server knows the field directFileStorageWrite (2026.1 and later)",
    )
    workspaces_api: bool = Field(default=True, description="whether the server lists workspaces (older ones do not)")


class Settings(BaseModel):
    """Everything that one emulator is made from.

    :param notebooks: the folder that holds ``<owner>/<id>.ipynb`` and ``<id>.ipynb``.
    :param data: where runs and reports are kept; made when missing.
    :param tokens: the user of each token.
    :param viewers: (user, ``owner/id``) pairs that may only look at the notebook.
    :param no_access: (user, ``owner/id``) pairs that the notebook is not shared with.
    :param max_parallel_runs: how many notebooks execute at a time; the others wait.
    :param variant: which Datalore to play.
    :param faults: rules of misbehaviour to start with, as the JSON that :mod:`.faults` reads.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    notebooks: Path
    data: Path
    tokens: dict[str, str]
    viewers: frozenset[tuple[str, str]] = frozenset()
    no_access: frozenset[tuple[str, str]] = frozenset()
    max_parallel_runs: int = Field(default=2, ge=1)
    variant: Variant = Variant()
    faults: list[object] = []
