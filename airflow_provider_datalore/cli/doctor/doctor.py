"""Runs the checks of ``doctor`` in their order."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

from airflow_provider_datalore.api import run_api
from airflow_provider_datalore.api.notebook_id import NotebookId
from airflow_provider_datalore.api.text import one_line
from airflow_provider_datalore.cli.command import UsageError
from airflow_provider_datalore.cli.doctor import airflow_side, reaching
from airflow_provider_datalore.cli.doctor.access import AccessChecks
from airflow_provider_datalore.cli.doctor.features import features
from airflow_provider_datalore.cli.doctor.findings import CheckResult, CheckState, DoctorReport, ServerFacts
from airflow_provider_datalore.exceptions import DataloreConfigurationError, DataloreError
from airflow_provider_datalore.hooks.datalore import DataloreHook
from airflow_provider_datalore.transport.connection import DataloreConnection
from airflow_provider_datalore.transport.requests_client import RequestsClient

_NEED_RESPONSE = (
    "Address",
    "TLS",
    "Token",
    "Token scope",
    "Run API",
    "Notebook API",
    "Workspace API",
    "Version",
    "Clock",
)
"""The checks that need a response of Datalore."""


def examine(conn_id: str, notebook_id: str | None = None) -> DoctorReport:
    """Check a connection, and a notebook if one is named. Nothing is changed, and nothing is run.

    :param notebook_id: ``owner/id``, or the notebook's pasted address.
    :raises UsageError: if it is neither.
    """
    notebook = _parse(notebook_id)
    report = DoctorReport(conn_id, notebook=None if notebook is None else str(notebook))
    facts = ServerFacts()
    hook = DataloreHook(conn_id)
    try:
        connection = hook.connection
        report.address = connection.base_url
        elsewhere = _on_another_server(connection, notebook_id)
    except DataloreConfigurationError as error:
        report.findings.append(CheckResult("Connection", CheckState.FAILED, one_line(str(error))))
        facts.reasons |= dict.fromkeys(("run_api", "notebook_api", "workspace_api"), "the connection is not valid")
        facts.run_api = facts.notebook_api = facts.workspace_api = False
    else:
        report.findings.append(reaching.proxy(connection))
        client = hook.client
        try:
            checks = _Server(client, None if elsewhere else notebook)
            report.findings += [*checks.run(), *elsewhere]
            facts = checks.facts
        finally:
            client.close()
    report.findings += airflow_side.checks()
    report.features += features(facts, report.findings)
    return report


class _Server:
    """The checks of the server and the token."""

    def __init__(self, client: RequestsClient, notebook: NotebookId | None) -> None:
        self.client = client
        self.notebook = notebook
        self.facts = ServerFacts()

    def run(self) -> list[CheckResult]:
        """All checks; those that an earlier problem prevents are unknown."""
        found: list[CheckResult] = []
        try:
            found.extend(self._checks())
        except DataloreError as error:
            found.append(CheckResult("Address", CheckState.FAILED, one_line(str(error))))
        wanted = (*_NEED_RESPONSE, "Notebook") if self.notebook else _NEED_RESPONSE
        checked = {finding.check for finding in found}
        if missing := [name for name in wanted if name not in checked]:
            found += [CheckResult(name, CheckState.UNKNOWN, "Not checked.") for name in missing]
        return found

    def _checks(self) -> Iterator[CheckResult]:
        connection = self.client.connection
        sent_at = time.time()
        try:
            response = self.client.send(run_api.list_workspaces())
        except DataloreError as error:
            self._nothing_works("Datalore cannot be reached")
            yield from reaching.unreachable(connection, error)
            return
        problem = reaching.not_datalore(connection, response)
        if problem is not None:
            self._nothing_works("the address is not that of Datalore's API")
            yield problem
            return
        checks = AccessChecks(self.client, response)
        self.facts = checks.facts
        token = checks.token()
        if token.check == "Address":
            self._nothing_works("the address is not that of Datalore's API")
            yield token
            return
        yield CheckResult("Address", CheckState.OK, f"Datalore responds at {connection.base_url}.")
        yield reaching.tls(connection, datetime.now(UTC))
        yield token
        if token.state is CheckState.OK:
            apis = [checks.run_api(), checks.notebook_api(), checks.workspace_api()]
            yield checks.scope()
            yield from apis
            if self.notebook is not None:
                yield from checks.notebook(self.notebook)
            yield checks.version()
        yield reaching.clock(response, sent_at)

    def _nothing_works(self, reason: str) -> None:
        self.facts = ServerFacts(run_api=False, notebook_api=False, workspace_api=False)
        self.facts.reasons |= dict.fromkeys(("run_api", "notebook_api", "workspace_api"), reason)


def _parse(notebook_id: str | None) -> NotebookId | None:
    try:
        return None if notebook_id is None else NotebookId.parse(notebook_id)
    except DataloreConfigurationError as error:
        raise UsageError(f"--notebook: {error}") from None


def _on_another_server(connection: DataloreConnection, notebook_id: str | None) -> list[CheckResult]:
    """The finding for a notebook's address on another server than the connection's."""
    try:
        if notebook_id is not None:
            connection.notebook_id(notebook_id)
    except DataloreConfigurationError as error:
        return [CheckResult("Notebook", CheckState.FAILED, one_line(str(error)))]
    return []
