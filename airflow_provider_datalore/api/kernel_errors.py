"""The errors of an interactive run whose kernel does not run the cells: it never started, or it stopped."""

from __future__ import annotations

from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.api.notebook_models import KERNEL_NOT_STARTED
from airflow_provider_datalore.exceptions import DataloreKernelLostError, RunState
from airflow_provider_datalore.wording import short_notebook


def never_ran(notebook: NotebookId, kernel: str, start_timeout: float, url: str) -> DataloreKernelLostError:
    """The error for a run whose first cell does not start.

    :param kernel: the state of the kernel.
    :param url: the address of the notebook; empty if it is unknown.
    """
    return DataloreKernelLostError(
        f"No cell of notebook {short_notebook(str(notebook))} ran in time.\n"
        f"None ran within {start_timeout:g} s (start_timeout): its kernel is {kernel}.",
        to_do="Check whether its machine starts. If it needs more time, raise start_timeout.",
        state=RunState.FAILED,
        notebook_url=url,
    )


def stopped(notebook: NotebookId, kernel: str, found: str, cell: str, url: str) -> DataloreKernelLostError:
    """The error for a run that stopped before its end.

    :param kernel: the state of the kernel.
    :param found: what shows it, as the beginning of a sentence.
    :param cell: the cell at which it stopped, as words that follow "Look at".
    :param url: the address of the notebook; empty if it is unknown.
    """
    was_stopped = kernel == KERNEL_NOT_STARTED
    cause = "its session was stopped" if was_stopped else "its kernel died, or a user restarted it"
    return DataloreKernelLostError(
        f"Notebook {short_notebook(str(notebook))} stopped: probably {cause}.\n"
        f"{found}. Probably {cause}.\n"
        "A kernel that runs out of memory dies in this way.",
        to_do=f"Look at {cell}: does it need more memory? Then run the notebook again.",
        state=RunState.FAILED,
        notebook_url=url,
    )
