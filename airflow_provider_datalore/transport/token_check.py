"""Checks that a server is Datalore and accepts the token, without changing anything in Datalore."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from uuid import uuid4

from airflow_provider_datalore.api import response_errors, run_api
from airflow_provider_datalore.exceptions import (
    DataloreNotFoundError,
    DataloreUnauthorizedError,
    DataloreUnexpectedResponseError,
)
from airflow_provider_datalore.transport.requests_client import RequestsClient
from airflow_provider_datalore.wording import cut


def check_token(client: RequestsClient) -> None:
    """Return if the server is Datalore and accepts the token.

    :raises DataloreError: the server cannot be reached, its certificate is not trusted, it refused the token, or it is
        not Datalore.
    """
    workspaces = run_api.list_workspaces()
    response = client.send(workspaces)
    if response.status not in (403, 404):
        if not isinstance(response_errors.read_json(workspaces, response), list):
            response_errors.unexpected(workspaces, response, "is not a list of workspaces")
        return
    # Older servers do not have this call, and some tokens are not allowed to use it. Get a run that does not exist:
    # Datalore returns 404 for a valid token, and 401 for a made-up one.
    probe = run_api.get_run(run_api.UNKNOWN_RUN_ID)
    with suppress(DataloreNotFoundError):
        response_errors.raise_for_status(probe, client.send(probe))
    without_access = RequestsClient(replace(client.connection, token=str(uuid4())))
    try:
        response_errors.raise_for_status(probe, without_access.send(probe))
    except DataloreUnauthorizedError:
        return
    except DataloreNotFoundError:
        pass
    finally:
        without_access.close()
    raise DataloreUnexpectedResponseError(
        f"{cut(client.connection.base_url, 50)} responds, but it is not Datalore: it accepts any token.",
        to_do=f"Check the host of {client.connection}.",
    )


def without_id(conn_id: str, message: str) -> str:
    """The message for users who are looking at this connection: without its id, except if it does not exist."""
    text = re.sub(r"\n +", " ", message)
    shortened = re.sub(
        rf"(?<!no )connection\s+{re.escape(repr(conn_id))}", "this connection", text, flags=re.IGNORECASE
    )
    return shortened[:1].upper() + shortened[1:]
