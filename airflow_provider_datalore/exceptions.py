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
    └── DataloreRunOverlapError                 another user or task ran or changed the notebook meanwhile

They do not derive from ``AirflowException``: a deferred sensor with ``soft_fail`` skips on any ``AirflowException``,
and a failed notebook must not become a skipped task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_datalore.api.models import Run
    from airflow_provider_datalore.notebooks.failure import CellFailure


class DataloreError(Exception):
    """The base of all exceptions of this package.

    :param message: what failed, what came back, and what to do next.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class DataloreConfigurationError(DataloreError):
    """Something that the user wrote is not valid: a connection, a notebook id, a parameter or an option."""


class DataloreStorageError(DataloreError):
    """A file could not be read from, or written to, a storage, which may be full, unreachable, or refuse access."""


class DataloreApiError(DataloreError):
    """Datalore refused a request; a retry would be refused as well.

    :param status: the HTTP status of the response.
    :param url: the address of the request.
    :param detail: Datalore's own message, shortened; empty if there was none.
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
    ) -> None:
        super().__init__(message, status=status, url=url, retry_after=retry_after, never_received=never_received)
        self.body = body


class DataloreNotebookApiMissingError(DataloreError):
    """The server has no Notebook API: it is neither Datalore Cloud nor on-premises 2026.2 or later."""


class DataloreSubmissionUnknownError(DataloreError):
    """A run was requested, but Datalore did not confirm it: it is unknown whether the notebook is running.

    The request is not repeated, since that could run the notebook twice.

    :param notebook_id: ``owner/id`` of the notebook.
    :param notebook_url: the address at which to check whether it is running.
    """

    def __init__(self, message: str, *, notebook_id: str = "", notebook_url: str = "") -> None:
        super().__init__(message)
        self.notebook_id = notebook_id
        self.notebook_url = notebook_url


class DataloreRunFailedError(DataloreError):
    """The run has ended without success.

    :param run: the finished run.
    :param failure: the cell that failed, read from the executed notebook: ``failure.cell``, ``.error_name``,
        ``.error_value``, ``.traceback``; None if the notebook could not be read, or shows no failure.
    """

    def __init__(self, message: str, *, run: Run | None = None, failure: CellFailure | None = None) -> None:
        super().__init__(message)
        self.run = run
        self.failure = failure


class DataloreOutputError(DataloreError):
    """A value that the notebook returned cannot be used: it is missing, too large, or not JSON.

    :param output: the value's name; empty if no value can be read.
    """

    def __init__(self, message: str, *, output: str = "") -> None:
        super().__init__(message)
        self.output = output


class DataloreMissingOutputError(DataloreOutputError):
    """The notebook returned no value with this name.

    :param available: the names of the values that it returned.
    """

    def __init__(self, message: str, *, output: str = "", available: tuple[str, ...] = ()) -> None:
        super().__init__(message, output=output)
        self.available = available


class DataloreRunTimeoutError(DataloreError):
    """The time limit of the task passed before the run ended. The run keeps running in Datalore.

    :param run: the run as Datalore last reported it; None if it never did.
    """

    def __init__(self, message: str, *, run: Run | None = None) -> None:
        super().__init__(message)
        self.run = run


class DataloreInteractiveRunFailedError(DataloreRunFailedError):
    """A cell of an interactive run ended in an error, which ``failure`` describes; ``run`` is None.

    :param notebook_id: ``owner/id`` of the notebook.
    """

    def __init__(
        self, message: str, *, run: Run | None = None, failure: CellFailure | None = None, notebook_id: str = ""
    ) -> None:
        super().__init__(message, run=run, failure=failure)
        self.notebook_id = notebook_id


class DataloreInteractiveRunTimeoutError(DataloreRunTimeoutError):
    """The time limit of the task passed before the interactive run ended, or before it could start."""


class DataloreNotebookEditedError(DataloreError):
    """The code of the notebook is not the code that was locked, and the task has ``when_edited="fail"``.

    :param edits: what differs, one sentence for each cell.
    """

    def __init__(self, message: str, *, edits: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.edits = edits


class DataloreNotebookBusyError(DataloreError):
    """The notebook is already running, and the task has ``when_busy="fail"``."""


class DataloreKernelLostError(DataloreError):
    """The kernel did not start, died, or was restarted or stopped by a user."""


class DataloreRunOverlapError(DataloreError):
    """Another user or task ran or changed the notebook meanwhile, so its results may be those of another run."""
