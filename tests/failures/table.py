"""The failures, and what somebody who sees only the screen has to find on it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

from airflow_provider_datalore.exceptions import RunState

NOT_STARTED, MAY_BE, RUNNING = RunState.NOT_STARTED, RunState.MAY_BE_RUNNING, RunState.RUNNING
SUCCEEDED, FAILED, UNKNOWN = RunState.SUCCEEDED, RunState.FAILED, RunState.UNKNOWN


@dataclass(frozen=True)
class Failure:
    """A failure of the DAG `failures`.

    :param task_id: the task that it happens to.
    :param summary: a part of the first line, up to where ids or ports differ.
    :param state: what is known of the notebook.
    :param to_do: a part of what to do.
    :param error_class: the class of the error, as the log shows it.
    :param retries: whether Airflow retries the task.
    """

    task_id: str
    summary: str
    state: RunState
    to_do: str
    error_class: str
    retries: bool = False


CLEAR_IN_AIRFLOW_3_4 = "clear this task with 'Keep task state and resume'"
AIRFLOW = tuple(map(int, version("apache-airflow").split(".")[:2]))
CLEAR = CLEAR_IN_AIRFLOW_3_4 if AIRFLOW >= (3, 4) else "clear this task"
"""How to clear a task that uses what its earlier try stored."""
WAITS = f"{CLEAR}: it waits for this run and starts no other"
RUNS = "Then clear this task: it runs the notebook."
RUNS_AGAIN = "Then clear this task: it runs the notebook again."
CHECK = "Check at this address whether it is running. If it is not, clear this task."

TABLE = [
    Failure(
        "wrong_token",
        "Datalore refused the token (401): run of ana/minute was not started.",
        NOT_STARTED,
        "Put a new token into the password of connection 'failing_wrong_token'.",
        "DataloreUnauthorizedError",
    ),
    Failure(
        "notebook_gone",
        "Notebook ana/gone was not found (404): deleted, moved, not shared, or a wrong id.",
        NOT_STARTED,
        "share the notebook with edit access",
        "DataloreNotFoundError",
    ),
    Failure("view_only", "Datalore denied access (403)", NOT_STARTED, "edit access", "DataloreForbiddenError"),
    Failure(
        "wrong_parameter",
        "Datalore refused (400): Unknown parameter 'regoin': the notebook has region, slow.",
        NOT_STARTED,
        "Correct what Datalore names.",
        "DataloreBadRequestError",
    ),
    Failure(
        "unreachable",
        "Datalore could not be reached for",
        NOT_STARTED,
        "Check host, port and proxies of connection 'failing_unreachable'",
        "DataloreUnavailableError",
    ),
    Failure(
        "tls_to_plain_port",
        "does not speak TLS: write http:// instead of https://.",
        NOT_STARTED,
        "Write http:// in the host of connection 'failing_tls_to_plain_port'",
        "DataloreUnavailableError",
    ),
    Failure(
        "plain_to_tls_port",
        "speaks TLS: write https:// instead of http://.",
        NOT_STARTED,
        "Write https:// in the host of connection 'failing_plain_to_tls_port'.",
        "DataloreUnavailableError",
    ),
    Failure(
        "unknown_host",
        "Datalore could not be reached: the host name 'datalore.nowhere.invalid' is unknown.",
        NOT_STARTED,
        "Check host, port and proxies of connection 'failing_unknown_host'",
        "DataloreUnavailableError",
    ),
    Failure(
        "untrusted_certificate",
        "The TLS certificate of https://127.0.0.1:",
        NOT_STARTED,
        "set verify in the connection's extra",
        "DataloreUntrustedServerError",
    ),
    Failure(
        "proxy_refuses",
        "refused the connection (407).",
        NOT_STARTED,
        "The proxy requires a user and a password.",
        "DataloreUnavailableError",
    ),
    Failure(
        "redirected",
        "The server at http://127.0.0.1:",
        NOT_STARTED,
        "put the new address into the host of connection 'failing_redirected'",
        "DataloreUnexpectedResponseError",
    ),
    Failure(
        "no_such_connection",
        "Airflow has no connection 'failing_undefined'.",
        NOT_STARTED,
        "Create one of type Datalore",
        "DataloreConfigurationError",
    ),
    Failure("no_token", "password is empty", NOT_STARTED, "Correct password of", "DataloreConfigurationError"),
    Failure(
        "bad_notebook_id",
        "'minute' is not the id of a notebook (connection 'failing_emulator').",
        NOT_STARTED,
        "Use <owner>/<id>",
        "DataloreConfigurationError",
    ),
    Failure(
        "unwritable_folder",
        "A test file cannot be written to /proc/nowhere: no such file or directory.",
        NOT_STARTED,
        RUNS,
        "DataloreStorageError",
    ),
    Failure("bad_outputs", "outputs is 'revenue'", NOT_STARTED, "Use names such as", "DataloreConfigurationError"),
    Failure(
        "returns_a_list",
        "The function of task 'returns_a_list' returned a list, not a mapping.",
        NOT_STARTED,
        "It must return the notebook's parameters as a mapping",
        "DataloreConfigurationError",
    ),
    Failure(
        "response_lost",
        "It is unknown whether notebook ana/minute was started: the connection was closed.",
        MAY_BE,
        CHECK,
        "DataloreSubmissionUnknownError",
    ),
    Failure(
        "login_page",
        "It is unknown whether notebook ana/minute was started: the response is not JSON.",
        MAY_BE,
        CHECK,
        "DataloreSubmissionUnknownError",
    ),
    Failure(
        "bad_gateway",
        "It is unknown whether notebook ana/minute was started: the server returned 502",
        MAY_BE,
        "Airflow does not retry it by itself.",
        "DataloreSubmissionUnknownError",
    ),
    Failure(
        "token_expired",
        "Datalore refused the token (401) while waiting for run 4e54a1b2… of ana/minute.",
        RUNNING,
        WAITS,
        "DataloreUnauthorizedError",
        retries=True,
    ),
    Failure(
        "token_expired_deferred",
        "Datalore refused the token (401) while waiting for run 4e54a1b2… of ana/minute.",
        RUNNING,
        WAITS,
        "DataloreUnauthorizedError",
    ),
    Failure("outage", "Datalore gave no usable response for", RUNNING, WAITS, "DataloreUnavailableError"),
    Failure(
        "outage_not_durable",
        "Datalore gave no usable response for",
        RUNNING,
        "A clear of this task starts another run, since the task has durable=False.",
        "DataloreUnavailableError",
    ),
    Failure(
        "run_vanished",
        "Run 4e54a1b2… was not found (404)",
        UNKNOWN,
        "A clear of this task starts another run.",
        "DataloreNotFoundError",
    ),
    Failure(
        "time_limit",
        "Run 4e54a1b2… of ana/minute was still RUNNING after execution_timeout=30 s.",
        RUNNING,
        WAITS,
        "DataloreRunTimeoutError",
    ),
    Failure(
        "sensor_timeout",
        "Run 4e54a1b2… of ana/minute was still RUNNING after timeout=3 s.",
        RUNNING,
        "clear this task: it reads the same run again, and starts none.",
        "AirflowSensorTimeout",
    ),
    Failure(
        "not_ended",
        "Run 4e54a1b2… has not ended ('RUNNING'), so it has no artifacts yet.",
        RUNNING,
        "Wait for it first",
        "DataloreConfigurationError",
    ),
    Failure(
        "key_error",
        "Notebook ana/fails failed in cell 2: KeyError: 'revenue_eur'",
        FAILED,
        RUNS_AGAIN,
        "DataloreRunFailedError",
    ),
    Failure(
        "kernel_died",
        "Notebook ana/exit failed: its kernel died in cell 3 (often out of memory).",
        FAILED,
        RUNS_AGAIN,
        "DataloreRunFailedError",
    ),
    Failure(
        "missing_output",
        "Notebook ana/regions returned no output 'revenue'.",
        SUCCEEDED,
        "with other outputs it reads this run again",
        "DataloreMissingOutputError",
    ),
    Failure(
        "outputs_too_large",
        "Outputs of ana/minute cannot be read: the executed notebook has 40 MiB, the limit is 32 MiB.",
        SUCCEEDED,
        "Print less in the notebook, or remove outputs.",
        "DataloreOutputError",
    ),
    Failure(
        "artifact_not_written",
        "The notebook succeeded, but its artifact 'blocks.ipynb' cannot be written: file exists.",
        SUCCEEDED,
        f"Then {CLEAR}: it writes this run's files and does not run the notebook again.",
        "DataloreStorageError",
    ),
    Failure(
        "sensor_of_failed_run",
        "Run 4e54a1b2… of ana/minute failed.",
        FAILED,
        "Clear the task that starts the run",
        "DataloreRunFailedError",
    ),
    Failure(
        "interactive_cell",
        "Notebook ana/fails_in_place failed in cell 2: KeyError: 'revenue_eur'",
        FAILED,
        RUNS_AGAIN,
        "DataloreInteractiveRunFailedError",
    ),
    Failure(
        "no_notebook_api",
        "This Datalore has no Notebook API",
        NOT_STARTED,
        "Set wait_for_completion=False",
        "DataloreNotebookApiMissingError",
    ),
    Failure(
        "no_such_file",
        "Could not read /nowhere/sales.csv",
        NOT_STARTED,
        "transfers the file again",
        "DataloreStorageError",
    ),
]
