"""Finds out whether a Datalore is there and takes the token, without changing anything in it."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from uuid import uuid4

from airflow_provider_datalore.api import calls, run_api
from airflow_provider_datalore.exceptions import (
    DataloreNotFoundError,
    DataloreUnauthorizedError,
    DataloreUnexpectedResponseError,
)
from airflow_provider_datalore.transport.requests_client import RequestsClient

_NO_RUN = "00000000-0000-0000-0000-000000000000"


def check_token(client: RequestsClient) -> None:
    """Return if it is a Datalore that takes the token.

    :raises DataloreError: what is wrong, in words: not reached, not trusted, token refused, not a Datalore.
    """
    workspaces = run_api.list_workspaces()
    answer = client.send(workspaces)
    if answer.status not in (403, 404):
        calls.read_json(workspaces, answer)
        return
    # Older servers have no such call, and some tokens may not use it. Ask for a run that does not exist: a Datalore
    # answers 404 to a good token, and 401 to one that is made up.
    probe = run_api.get_run(_NO_RUN)
    with suppress(DataloreNotFoundError):
        calls.raise_for_status(probe, client.send(probe))
    made_up = RequestsClient(replace(client.connection, token=str(uuid4())))
    try:
        calls.raise_for_status(probe, made_up.send(probe))
    except DataloreUnauthorizedError:
        return
    except DataloreNotFoundError:
        pass
    finally:
        made_up.close()
    raise DataloreUnexpectedResponseError(
        f"{client.connection.base_url} answers, but not as Datalore does: it takes any token. Check the host of "
        f"{client.connection}."
    )


def without_id(conn_id: str, message: str) -> str:
    """What is wrong with the connection that somebody looks at, and so without its id; unless there is none."""
    told = re.sub(rf"(?<!no )connection {re.escape(repr(conn_id))}", "this connection", message, flags=re.IGNORECASE)
    return told[:1].upper() + told[1:]
