"""The exceptions of this package, one class for each kind of failure.

::

    DataloreError
    ├── DataloreConfigurationError              a connection, a notebook id, a parameter or an option is not valid
    ├── DataloreStorageError                    a file could not be read from, or written to, a storage
    ├── DataloreApiError                        Datalore refused a request; retrying does not help
    │   ├── DataloreBadRequestError             400
    │   ├── DataloreUnauthorizedError           401
    │   ├── DataloreForbiddenError              403
    │   ├── DataloreNotFoundError               404
    │   └── DataloreConflictError               409
    ├── DataloreNoResponseError                 Datalore gave no usable response; retrying may help
    │   ├── DataloreUnavailableError            no connection, no response in time, 408, 425, 429 or 5xx
    │   │   └── DataloreUntrustedServerError    the TLS certificate is not trusted
    │   └── DataloreUnexpectedResponseError     a redirect, or a body that is not what Datalore documents
    ├── DataloreNotebookApiMissingError         the server has no Notebook API
    ├── DataloreSubmissionUnknownError          it is unknown whether the notebook is running
    ├── DataloreRunFailedError                  the run ended without success
    │   └── DataloreInteractiveRunFailedError   a cell of an interactive run failed
    ├── DataloreRunTimeoutError                 a time limit passed before the run ended
    │   └── DataloreInteractiveRunTimeoutError  the same for an interactive run
    ├── DataloreOutputError                     a value that the notebook returned cannot be used
    │   └── DataloreMissingOutputError          the notebook returned no value with this name
    ├── DataloreNotebookEditedError             the code is not the code that was locked
    ├── DataloreNotebookBusyError               the notebook is already running
    ├── DataloreKernelLostError                 the kernel did not start, died, was restarted or was stopped
    ├── DataloreWorksheetsNotRunError           an interactive run ended before it reached all worksheets
    └── DataloreRunOverlapError                 another user or task ran or changed the notebook meanwhile

The text of each is lines, made for a log view that does not wrap: what failed, why, ``State:`` of the notebook with its
address, and ``To do:``. The first line is ``summary``; state and address are also data.

They do not derive from ``AirflowException``: a deferred sensor with ``soft_fail`` skips on any ``AirflowException``,
and a failed notebook must not become a skipped task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, Unpack

from airflow_provider_datalore.run_state import STATE_WORDS
from airflow_provider_datalore.run_state import RunState as RunState  # noqa: PLC0414  (part of this module's API)
from airflow_provider_datalore.wording import SUMMARY_CHARS, head_and_rest, shortened, unlike_log_line, wrapped

if TYPE_CHECKING:
    from airflow_provider_datalore.api.models import Run
    from airflow_provider_datalore.error_details import Known, KnownOutage, KnownPlace
    from airflow_provider_datalore.notebooks.changes import Changes
    from airflow_provider_datalore.notebooks.failure import CellFailure


class DataloreError(Exception):
    """The base of all exceptions of this package.

    ``str(error)`` is lines: the summary, why, the state of the notebook, and what to do.

    :param message: what failed, in a first line of at most 100 characters; why it failed, in the lines after it. A
        longer first line is split.
    :param known: ``to_do``: what to do. ``state``: the state of the notebook, without which that of the class is
        assumed, and the text does not have it. ``notebook_url``: the address of the notebook.
    """

    state: RunState = RunState.UNKNOWN
    state_words: str = ""
    notebook_url: str = ""
    to_do: str = ""

    def __init__(self, message: str, **known: Unpack[KnownPlace]) -> None:
        super().__init__(message)
        self.message = message
        if (state := known.pop("state", None)) is not None:
            self.set_state(state)
        # The defaults stay those of the class.
        vars(self).update({name: value for name, value in known.items() if value})

    @property
    def summary(self) -> str:
        """The first line: what failed, in at most 100 characters."""
        return head_and_rest(self.message.partition("\n")[0])[0]

    @property
    def reason(self) -> str:
        """The lines after the first: why it failed."""
        first, _, rest = self.message.partition("\n")
        return "\n".join(filter(None, [head_and_rest(first)[1], rest]))

    def __str__(self) -> str:
        lines = shortened([piece for line in self.reason.splitlines() for piece in wrapped(line)])
        if self.state_words:
            lines += wrapped(self.state_words, label="State:")
            lines += [f"    {self.notebook_url}"] if self.notebook_url else []
        if self.to_do:
            lines += [piece for line in f"To do: {self.to_do}".splitlines() for piece in wrapped(line)]
        return "\n".join([self.summary, *map(unlike_log_line, lines)])

    def set_state(self, state: RunState, notebook_url: str = "", words: str = "") -> Self:
        """Set the state of the notebook.

        :param notebook_url: the address of the notebook; empty keeps the present one.
        :param words: the sentence for it in the text, which contains the state; empty for the default.
        :return: the error itself.
        """
        self.state = state
        self.state_words = words or STATE_WORDS[state]
        self.notebook_url = notebook_url or self.notebook_url
        return self

    @property
    def has_state(self) -> bool:
        """Whether the state was set, and is not only the default of the class."""
        return bool(self.state_words)

    def add_context(self, context: str) -> Self:
        """Add to the summary in which situation the error occurred; on a line of its own if there is no space.

        :param context: words that continue the summary, such as ``" while waiting for run r1."``.
        :return: the error itself.
        """
        summary, reason = self.summary, self.reason
        longer = summary.rstrip(".") + context
        if len(longer) <= SUMMARY_CHARS and summary[-1:] in ".'\")":
            self.message = "\n".join(filter(None, [longer, reason]))
        else:
            line = context.strip(" :")
            self.message = "\n".join(filter(None, [summary, line[:1].upper() + line[1:], reason]))
        return self


class DataloreConfigurationError(DataloreError):
    """Something that the user wrote is not valid: a connection, a notebook id, a parameter or an option."""

    state = RunState.NOT_STARTED


class DataloreStorageError(DataloreError):
    """A file could not be read from, or written to, a storage, which may be full, unreachable, or refuse access."""


class DataloreApiError(DataloreError):
    """Datalore refused a request; a retry would be refused as well.

    :param status: the HTTP status of the response.
    :param url: the address of the request.
    :param detail: Datalore's own message, shortened; empty if there was none.
    """

    def __init__(
        self, message: str, *, status: int = 0, url: str = "", detail: str = "", **known: Unpack[KnownPlace]
    ) -> None:
        super().__init__(message, **known)
        self.status = status
        self.url = url
        self.detail = detail


class DataloreBadRequestError(DataloreApiError):
    """400: Datalore did not understand the request."""


class DataloreUnauthorizedError(DataloreApiError):
    """401: the token is missing, wrong or expired."""


class DataloreForbiddenError(DataloreApiError):
    """403: the owner of the token may only view this notebook."""


class DataloreNotFoundError(DataloreApiError):
    """404: there is no such notebook or run, or it is not shared with the owner of the token."""


class DataloreConflictError(DataloreApiError):
    """409: the notebook is not in the state that the request requires; for example, it has no session."""


class DataloreNoResponseError(DataloreError):
    """Datalore gave no usable response; a later request may get one.

    :param status: the HTTP status; None if there was no response at all.
    :param url: the address of the request.
    :param retry_after: seconds to wait before the next request, from the header ``Retry-After``; None without it.
    :param never_received: whether it is certain that Datalore did not act on the request: no connection was made, or
        the request was refused with 429 or 503, or redirected.
    :param cause: what happened, in a few words: ``connection refused by 127.0.0.1:8080``.
    :param permanent: whether waiting cannot help, such as where a port does not speak TLS.
    """

    cause: str = ""
    permanent: bool = False

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        url: str = "",
        retry_after: float | None = None,
        never_received: bool = False,
        cause: str = "",
        permanent: bool = False,
        **known: Unpack[KnownPlace],
    ) -> None:
        super().__init__(message, **known)
        # The defaults stay those of the class.
        vars(self).update({name: value for name, value in (("cause", cause), ("permanent", permanent)) if value})
        self.status = status
        self.url = url
        self.retry_after = retry_after
        self.never_received = never_received


class DataloreUnavailableError(DataloreNoResponseError):
    """Datalore could not be reached, did not respond in time, or responded with 408, 425, 429 or 5xx."""


class DataloreUntrustedServerError(DataloreUnavailableError):
    """The server's TLS certificate is not trusted, so nothing was sent to it."""


class DataloreUnexpectedResponseError(DataloreNoResponseError):
    """The response is not one of Datalore's: it is a redirect, or not the documented JSON.

    :param body: the first part of the response's body.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        url: str = "",
        body: str = "",
        retry_after: float | None = None,
        never_received: bool = False,
        **known: Unpack[KnownOutage],
    ) -> None:
        super().__init__(
            message, status=status, url=url, retry_after=retry_after, never_received=never_received, **known
        )
        self.body = body


class DataloreNotebookApiMissingError(DataloreError):
    """The server has no Notebook API: it is neither Datalore Cloud nor on-premises 2026.2 or later."""

    state = RunState.NOT_STARTED


class DataloreSubmissionUnknownError(DataloreError):
    """A run was requested, but Datalore did not confirm it: it is unknown whether the notebook is running.

    The request is not repeated, since that could run the notebook twice.

    :param notebook_id: ``owner/id`` of the notebook.
    :param notebook_url: the address at which to check whether it is running.
    """

    state = RunState.MAY_BE_RUNNING

    def __init__(self, message: str, *, notebook_id: str = "", notebook_url: str = "", **known: Unpack[Known]) -> None:
        super().__init__(message, **known)
        self.notebook_id = notebook_id
        self.notebook_url = notebook_url


class DataloreRunFailedError(DataloreError):
    """The run has ended without success.

    :param run: the finished run.
    :param failure: the cell that failed, read from the executed notebook: ``failure.cell``, ``.error_name``,
        ``.error_value``, ``.traceback``; None if the notebook could not be read, or shows no failure.
    :param changes: what has changed since the last run of the task that succeeded: ``changes.cells``, each with
        ``number``, ``edited``, ``added``, ``removed``, ``lines``; ``changes.parameters``, each with ``name``,
        ``before``, ``now``. None if nothing was compared. It is the last part of the text.
    """

    state = RunState.FAILED

    def __init__(
        self,
        message: str,
        *,
        run: Run | None = None,
        failure: CellFailure | None = None,
        changes: Changes | None = None,
        **known: Unpack[KnownPlace],
    ) -> None:
        super().__init__(message, **known)
        self.run = run
        self.failure = failure
        self.changes = changes

    def __str__(self) -> str:
        return super().__str__() if self.changes is None else f"{super().__str__()}\n{self.changes}"


class DataloreOutputError(DataloreError):
    """A value that the notebook returned cannot be used: it is missing, too large, or not JSON.

    :param output: the value's name; empty if no value can be read.
    """

    state = RunState.SUCCEEDED

    def __init__(self, message: str, *, output: str = "", **known: Unpack[KnownPlace]) -> None:
        super().__init__(message, **known)
        self.output = output


class DataloreMissingOutputError(DataloreOutputError):
    """The notebook returned no value with this name.

    :param available: the names of the values that it returned.
    """

    def __init__(
        self, message: str, *, output: str = "", available: tuple[str, ...] = (), **known: Unpack[KnownPlace]
    ) -> None:
        super().__init__(message, output=output, **known)
        self.available = available


class DataloreRunTimeoutError(DataloreError):
    """The time limit of the task passed before the run ended. The run keeps running in Datalore.

    :param run: the run as Datalore last reported it; None if it never did.
    """

    state = RunState.MAY_BE_RUNNING

    def __init__(self, message: str, *, run: Run | None = None, **known: Unpack[KnownPlace]) -> None:
        super().__init__(message, **known)
        self.run = run


class DataloreInteractiveRunFailedError(DataloreRunFailedError):
    """A cell of an interactive run ended in an error, which ``failure`` describes; ``run`` is None.

    :param notebook_id: ``owner/id`` of the notebook.
    """

    def __init__(
        self,
        message: str,
        *,
        run: Run | None = None,
        failure: CellFailure | None = None,
        changes: Changes | None = None,
        notebook_id: str = "",
        **known: Unpack[KnownPlace],
    ) -> None:
        super().__init__(message, run=run, failure=failure, changes=changes, **known)
        self.notebook_id = notebook_id


class DataloreInteractiveRunTimeoutError(DataloreRunTimeoutError):
    """The time limit of the task passed before the interactive run ended, or before it could start."""


class DataloreNotebookEditedError(DataloreError):
    """The code of the notebook is not the code that was locked, and the task has ``when_edited="fail"``.

    :param edits: what differs, one sentence for each cell.
    """

    def __init__(self, message: str, *, edits: tuple[str, ...] = (), **known: Unpack[KnownPlace]) -> None:
        super().__init__(message, **known)
        self.edits = edits


class DataloreNotebookBusyError(DataloreError):
    """The notebook is already running, and the task has ``when_busy="fail"``."""

    state = RunState.NOT_STARTED


class DataloreKernelLostError(DataloreError):
    """The kernel did not start, died, or was restarted or stopped by a user."""

    state = RunState.FAILED


class DataloreWorksheetsNotRunError(DataloreError):
    """An interactive run ended without an error, but has not executed all worksheets of the notebook."""

    state = RunState.FAILED


class DataloreRunOverlapError(DataloreError):
    """Another user or task ran or changed the notebook meanwhile, so its results may be those of another run."""
