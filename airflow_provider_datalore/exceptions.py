"""One class for each thing that can go wrong between Airflow and Datalore.

They are plain exceptions and not ``AirflowException``: a deferred sensor with ``soft_fail`` skips on
any of those, and a notebook that failed must not turn into a skipped task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_datalore.api.models import Run
    from airflow_provider_datalore.notebooks.failure import CellFailure


class DataloreError(Exception):
    """Whatever goes wrong with Datalore; the base of all exceptions of this package.

    :param message: what was tried, what came back, and what to do next.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class DataloreConfigurationError(DataloreError):
    """Something that the user wrote cannot work: a connection, a notebook id, a parameter."""


class DataloreStorageError(DataloreError):
    """A storage failed to read or write a file: no space left, no permission, or the storage is not available."""


class DataloreApiError(DataloreError):
    """Datalore answered a request with an error that asking again does not change.

    :param status: the HTTP status of the answer.
    :param url: the address that was asked.
    :param detail: what Datalore itself said, shortened; empty if it said nothing.
    """

    def __init__(self, message: str, *, status: int = 0, url: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.url = url
        self.detail = detail


class DataloreBadRequestError(DataloreApiError):
    """400: Datalore did not understand the request."""


class DataloreUnauthorizedError(DataloreApiError):
    """401: the token is missing, wrong or expired."""


class DataloreForbiddenError(DataloreApiError):
    """403: the token's owner may only view this notebook."""


class DataloreNotFoundError(DataloreApiError):
    """404: no such notebook or run, or it is not shared with the token's owner."""


class DataloreConflictError(DataloreApiError):
    """409: the notebook is not in the state that the request needs, such as without a session."""


class DataloreNotebookApiMissingError(DataloreError):
    """The server has no Notebook API: it is neither Datalore Cloud nor on-premises 2026.2 or later."""


class DataloreUnavailableError(DataloreError):
    """Datalore could not be reached, or answered that it cannot answer now.

    :param status: the HTTP status (408, 425, 429 or 5xx), None if there was no answer at all.
    :param url: the address that was asked.
    :param retry_after: seconds that Datalore asked to wait before the next request, if it did.
    :param never_received: whether it is certain that Datalore did not act on the request: the connection
        was never made, or the request was refused with 429 or 503.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        url: str = "",
        retry_after: float | None = None,
        never_received: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.url = url
        self.retry_after = retry_after
        self.never_received = never_received


class DataloreUntrustedServerError(DataloreUnavailableError):
    """The server's TLS certificate is not trusted, so nothing was sent to it."""


class DataloreUnexpectedResponseError(DataloreError):
    """Something answered, but not as Datalore does: not JSON, or not the JSON that is documented.

    :param status: the HTTP status of the answer.
    :param url: the address that was asked.
    :param body: the first part of the answer's body.
    """

    def __init__(self, message: str, *, status: int = 0, url: str = "", body: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.url = url
        self.body = body


class DataloreSubmissionUnknownError(DataloreError):
    """A run was asked for and no clear answer came: the notebook may be running or not.

    It is not asked for again, since that could run the notebook twice.

    :param notebook_id: ``owner/id`` of the notebook.
    :param notebook_url: where to look whether it runs.
    """

    def __init__(self, message: str, *, notebook_id: str = "", notebook_url: str = "") -> None:
        super().__init__(message)
        self.notebook_id = notebook_id
        self.notebook_url = notebook_url


class DataloreRunFailedError(DataloreError):
    """The run has ended, and not with success.

    :param run: the finished run.
    :param failure: the cell that failed, as the executed notebook tells it: ``failure.cell``, ``.error_name``,
        ``.error_value``, ``.traceback``; None if the notebook was not read, or tells of none.
    """

    def __init__(self, message: str, *, run: Run | None = None, failure: CellFailure | None = None) -> None:
        super().__init__(message)
        self.run = run
        self.failure = failure


class DataloreOutputError(DataloreError):
    """A value that the notebook was to hand back cannot be handed on: it is no JSON, or too long, or not there.

    :param output: the value's name; empty if none of them can be read.
    """

    def __init__(self, message: str, *, output: str = "") -> None:
        super().__init__(message)
        self.output = output


class DataloreMissingOutputError(DataloreOutputError):
    """The notebook left no value of this name.

    :param available: the names of those that it left.
    """

    def __init__(self, message: str, *, output: str = "", available: tuple[str, ...] = ()) -> None:
        super().__init__(message, output=output)
        self.available = available


class DataloreRunTimeoutError(DataloreError):
    """The time limit of the task passed before the run ended. The run goes on in Datalore.

    :param run: the run as Datalore reported it last; None if it never did.
    """

    def __init__(self, message: str, *, run: Run | None = None) -> None:
        super().__init__(message)
        self.run = run


class DataloreInteractiveRunFailedError(DataloreRunFailedError):
    """A cell of an interactive run ended in an error; ``failure`` tells of it, and ``run`` is None.

    :param notebook_id: ``owner/id`` of the notebook.
    """

    def __init__(
        self, message: str, *, run: Run | None = None, failure: CellFailure | None = None, notebook_id: str = ""
    ) -> None:
        super().__init__(message, run=run, failure=failure)
        self.notebook_id = notebook_id


class DataloreInteractiveRunTimeoutError(DataloreRunTimeoutError):
    """The time limit of the task passed before the interactive run ended, or before it was its turn."""


class DataloreNotebookBusyError(DataloreError):
    """The notebook runs already, and the task is not to wait for its turn."""


class DataloreKernelLostError(DataloreError):
    """The kernel never began to run the notebook, died, or was restarted or stopped by someone."""


class DataloreRunOverlapError(DataloreError):
    """The notebook was run or changed by someone else at the same time: whose results it shows is not known."""
