"""The settings of an emulator: its notebooks, users, faults, and the variant of Datalore that it simulates."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from .scopes import Limits
from .slots import ABANDONED_AFTER

DEFAULT_USER = "me"
"""The owner of notebooks directly in the folder, and the user of a token without a user name."""
MAX_RUN_WINDOW = 30.0
"""Seconds for which Datalore waits at most for the end of a cell that a request runs."""


ResponseHeader = Literal[
    "Cache-Control",
    "ETag",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Set-Cookie",
    "Strict-Transport-Security",
    "Vary",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "X-Request-Id",
]
"""Headers that a response may have and that say nothing of the server's place: not those of one company's gateway."""


class Variant(BaseModel):
    """Behaviour that Datalore's documentation leaves open.

    A client that works only with the defaults relies on something that is not documented. Each field is an option of
    the command line (``run_appears_after`` is ``--run-appears-after``; ``--no-…`` disables a flag) and can be changed
    while the emulator runs, with ``PUT /emulator/variant``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    queued_status: str = Field(default="QUEUED", description="status of a run that waits; empty for no status")
    running_status: str = Field(default="RUNNING", description="status of a run that executes; empty for no status")
    running_success: Literal["null", "false", "absent"] = Field(
        default="null", description="value of success before the run has ended"
    )
    running_end_time: Literal["absent", "null"] = Field(
        default="absent", description="value of endTime before the run has ended"
    )
    running_artifacts: Literal["empty", "absent", "null"] = Field(
        default="empty", description="value of artifacts before the run has ended"
    )
    queued_start_time: Literal["submitted", "absent", "null"] = Field(
        default="submitted", description="value of startTime while the run waits"
    )
    times: Literal["iso", "iso-fraction", "iso-offset", "epoch-ms"] = Field(
        default="iso", description="format of times"
    )
    notebook_id_form: Literal["full", "short"] = Field(
        default="full", description="notebookId of a run: OWNER/ID or ID"
    )
    read_only: Literal["present", "absent"] = Field(default="present", description="field readOnly of a run")
    run_appears_after: float = Field(
        default=0.0, ge=0, description="seconds after POST in which GET of the run returns 404"
    )
    failed_artifacts: Literal["kept", "dropped"] = Field(
        default="kept", description="whether a failed run has its executed notebook as an artifact"
    )
    artifacts_expire_after: float | None = Field(
        default=None, ge=0, description="seconds after the end of a run until its artifacts return 404"
    )
    unknown_parameter: Literal["reject", "ignore"] = Field(
        default="reject", description="treatment of a parameter that the notebook does not have"
    )
    unknown_field: Literal["reject", "ignore"] = Field(
        default="reject", description="treatment of an undocumented field in a request body"
    )
    parameter_values: Literal["any", "strings"] = Field(
        default="any", description="whether the value of a parameter may be any JSON or only a string"
    )
    wrong_type: Literal["reject", "ignore"] = Field(
        default="reject",
        description="treatment of a value that the notebook's variable or control does not accept: refuse the run, or "
        "keep the notebook's own value",
    )
    parallel_limit: int | None = Field(
        default=None,
        ge=1,
        description="number of notebooks that run at the same time; overrides --max-parallel-runs",
    )
    retry_after: float | None = Field(
        default=None, ge=0, description="seconds in the header Retry-After of responses with status 429 and 503"
    )
    unauthorized_challenge: bool = Field(
        default=True, description="whether a response with status 401 has the header WWW-Authenticate"
    )
    headers: tuple[ResponseHeader, ...] = Field(
        default=(), description="more headers of responses of the APIs, without values that mean anything"
    )
    over_limit: Literal["queue", "400", "403", "409", "429", "503"] = Field(
        default="queue",
        description="response to POST if --max-parallel-runs is reached: queue the run, or return this status",
    )
    error_form: Literal["json", "html", "plain", "empty"] = Field(
        default="json", description="body of an error response"
    )
    interactive_response: Literal["empty", "object"] = Field(
        default="empty", description="body of the response to an interactive run: empty, or {}"
    )
    interactive_while_busy: Literal["queue", "409"] = Field(
        default="queue",
        description="response to an interactive run of a notebook that is executing: queue the run, or return 409",
    )
    booting: Literal["busy", "ready"] = Field(default="busy", description="state of a kernel that is starting")
    crashed_cell: Literal["ERROR", "STARTED", "NONE"] = Field(
        default="NONE", description="status of a cell whose kernel died"
    )
    files_need_session: bool = Field(
        default=False, description="whether files are accessible only while the notebook has a session"
    )
    notebook_api: bool = Field(
        default=True, description="whether the server has the Notebook API (on premises 2026.2 and later)"
    )
    parameters: bool = Field(
        default=True, description="whether the server accepts the field parameters (older servers do not)"
    )
    direct_file_storage_write: bool = Field(
        default=True,
        description="whether the server accepts the field directFileStorageWrite (2026.1 and later)",
    )
    workspaces_api: bool = Field(
        default=True, description="whether the server has the Workspace API and lists workspaces (older servers do not)"
    )
    interactive_worksheets: Literal["all", "first"] = Field(
        default="all", description="the worksheets that an interactive run executes"
    )
    missing_worksheet: Literal["404", "400", "empty"] = Field(
        default="404",
        description="response to a request for the cells of a worksheet that does not exist: this status, or no cells",
    )
    after_restart: Literal["cleared", "kept"] = Field(
        default="cleared", description="execution counts, statuses and times of cells after kernel/restart"
    )
    after_stop: Literal["cleared", "kept"] = Field(
        default="cleared", description="execution counts, statuses and times of cells after agent/stop"
    )
    cell_run_while_busy: Literal["queue", "409"] = Field(
        default="queue",
        description="response to a request to run cells of a notebook that is executing: queue them, or return 409",
    )
    report_layout: Literal["initialized", "absent"] = Field(
        default="initialized", description="whether a notebook has a report layout, which publishing a report requires"
    )
    run_api_scope: Literal["USER_BASIC", "NOTEBOOK_API", "WORKSPACE", "USER_FULL"] = Field(
        default="NOTEBOOK_API", description="the scope of a token that the Run API requires"
    )
    scope_challenge: bool = Field(
        default=True, description="whether a 403 for the scope of the token names the scope in WWW-Authenticate"
    )
    notebook_token_elsewhere: Literal["403", "404"] = Field(
        default="403", description="status of a request about another notebook than the one that the token is for"
    )


class Settings(BaseModel):
    """All settings of one emulator.

    :param notebooks: the folder with ``<owner>/<title>.ipynb`` and ``<title>.ipynb``.
    :param data: the folder for runs and reports; created if missing.
    :param tokens: the user of each token.
    :param limits: what the tokens may be used for that are limited to a scope or a notebook.
    :param viewers: (user, ``owner/id``) pairs: these users may only view these notebooks.
    :param no_access: (user, ``owner/id``) pairs: these notebooks are not shared with these users.
    :param max_parallel_runs: the number of notebooks that execute at the same time; the others wait.
    :param abandoned_after: seconds without a status request after which a run does not count towards this number while
        others wait.
    :param run_window: the maximum number of seconds for which a request that runs a cell waits for its end.
    :param variant: the variant of Datalore to simulate.
    :param faults: the initial fault rules, as the JSON that :mod:`.faults` reads.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    notebooks: Path
    data: Path
    tokens: dict[str, str]
    limits: dict[str, Limits] = {}
    viewers: frozenset[tuple[str, str]] = frozenset()
    no_access: frozenset[tuple[str, str]] = frozenset()
    max_parallel_runs: int = Field(default=2, ge=1)
    abandoned_after: float = Field(default=ABANDONED_AFTER, ge=0)
    run_window: float = Field(default=MAX_RUN_WINDOW, ge=0, le=MAX_RUN_WINDOW)
    variant: Variant = Variant()
    faults: list[object] = []
