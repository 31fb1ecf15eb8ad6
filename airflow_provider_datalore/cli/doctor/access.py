"""Checks what the token may do: which of Datalore's APIs the server has, and whether the token may use them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import quote, urlsplit
from uuid import uuid4

from airflow_provider_datalore.api import notebook_api, run_api
from airflow_provider_datalore.api.calls import Call, Response
from airflow_provider_datalore.api.notebook_id import NotebookId
from airflow_provider_datalore.api.response_errors import excerpt, required_token
from airflow_provider_datalore.cli.doctor.findings import CheckResult, CheckState, ServerFacts
from airflow_provider_datalore.cli.doctor.reaching import workspaces_of
from airflow_provider_datalore.transport.connection_fields import DEFAULT_HOST
from airflow_provider_datalore.transport.requests_client import RequestsClient

_UNKNOWN_RUN = run_api.get_run(run_api.UNKNOWN_RUN_ID)
_HOW_TO_CREATE = "Create one in Datalore under Account settings | API tokens."


class AccessChecks:
    """Checks one token; nothing in Datalore is changed, and nothing is run.

    :param client: the client of the connection.
    :param workspaces: the response to the list of workspaces.
    """

    def __init__(self, client: RequestsClient, workspaces: Response) -> None:
        self.client = client
        self.facts = ServerFacts(
            is_cloud=urlsplit(client.connection.base_url).hostname == urlsplit(DEFAULT_HOST).hostname
        )
        self._workspaces = workspaces

    def token(self) -> CheckResult:
        """Whether the server is Datalore and accepts the token."""
        if self._workspaces.status == 401:
            return self._refused(self._workspaces)
        with_token = self.client.send(_UNKNOWN_RUN)
        if with_token.status == 401:
            return self._refused(with_token)
        made_up = RequestsClient(replace(self.client.connection, token=str(uuid4())))
        try:
            without_access = made_up.send(_UNKNOWN_RUN)
        finally:
            made_up.close()
        if without_access.status != 401 and self._workspaces.status != 200:
            url = self.client.connection.base_url
            text = f"{url} responds, but it is not Datalore: it accepts any token. Check the connection's host."
            return CheckResult("Address", CheckState.FAILED, text)
        self.facts.run_api = with_token.status == 404 if without_access.status == 401 else None
        if with_token.status == 403:
            self.facts.run_api = False
            self.facts.reasons["run_api"] = _needs(with_token)
        return CheckResult("Token", CheckState.OK, "Datalore accepts it.")

    def run_api(self) -> CheckResult:
        """Whether the token may use the Run API."""
        match self.facts.run_api:
            case True:
                return CheckResult("Run API", CheckState.OK, "Available.")
            case False:
                reason = self.facts.reasons.setdefault("run_api", "Datalore refuses the token for it")
                return CheckResult("Run API", CheckState.FAILED, f"Not for this token: {reason}.")
        return CheckResult("Run API", CheckState.UNKNOWN, "It could not be found out without starting a run.")

    def notebook_api(self) -> CheckResult:
        """Whether the server has the Notebook API, and the token may use it."""
        response = self.client.send(notebook_api.without_notebook())
        self.facts.has_notebook_api = response.status not in (404, 405)
        if not self.facts.has_notebook_api:
            self.facts.notebook_api = False
            self.facts.reasons["notebook_api"] = "the server has no Notebook API"
            text = (
                "Missing: this is an older server. Datalore Cloud has it, and on-premises 2026.2 and later. Isolated "
                "runs (DataloreRunNotebookOperator) do not need it."
            )
            return CheckResult("Notebook API", CheckState.FAILED, text)
        if response.status in (401, 403):
            self.facts.notebook_api = False
            self.facts.reasons["notebook_api"] = _needs(response)
            return CheckResult("Notebook API", CheckState.FAILED, f"Not for this token: {_needs(response)}.")
        if response.status not in (200, 400, 422):
            return CheckResult("Notebook API", CheckState.UNKNOWN, _odd(response))
        self.facts.notebook_api = True
        return CheckResult("Notebook API", CheckState.OK, "Available.")

    def workspace_api(self) -> CheckResult:
        """Whether the server has the Workspace API, and the token may read a workspace with it."""
        workspace = next(filter(None, map(_workspace_id, workspaces_of(self._workspaces))), None)
        if workspace is None and self._workspaces.status != 404:
            self.facts.reasons["workspace_api"] = "no workspace is listed for this token"
            return CheckResult("Workspace API", CheckState.UNKNOWN, "No workspace is listed for this token.")
        response = None if workspace is None else self.client.send(_list_entries(workspace))
        if response is None or response.status in (404, 405, 501):
            self.facts.has_workspace_api = self.facts.workspace_api = False
            self.facts.reasons["workspace_api"] = "the server has no Workspace API"
            return CheckResult(
                "Workspace API",
                CheckState.FAILED,
                "Missing: this is an older server. Datalore Cloud has it, and on-premises 2026.3 and later. Only "
                "listing the notebooks of a folder needs it.",
            )
        self.facts.has_workspace_api = True
        if response.status in (401, 403):
            self.facts.workspace_api = False
            self.facts.reasons["workspace_api"] = _needs(response)
            text = f"Not for this token: {_needs(response)}. Only listing the notebooks of a folder needs it."
            return CheckResult("Workspace API", CheckState.FAILED, text)
        if response.status != 200:
            return CheckResult("Workspace API", CheckState.UNKNOWN, _odd(response))
        self.facts.workspace_api = True
        return CheckResult("Workspace API", CheckState.OK, "Available for reading.")

    def scope(self) -> CheckResult:
        """What the scope of the token covers, as far as the other checks show it."""
        facts = self.facts
        if facts.workspace_api:
            text = "At least WORKSPACE with access READ: it covers all that this package reads."
            return CheckResult("Token scope", CheckState.OK, text)
        if facts.notebook_api:
            short = " and less than WORKSPACE" if facts.has_workspace_api else ""
            return CheckResult("Token scope", CheckState.OK, f"At least NOTEBOOK_API{short}.")
        if facts.has_notebook_api and facts.notebook_api is False:
            text = f"Less than NOTEBOOK_API: {facts.reasons['notebook_api']}. {_HOW_TO_CREATE}"
            return CheckResult("Token scope", CheckState.FAILED, text)
        return CheckResult("Token scope", CheckState.UNKNOWN, "A server without the Notebook API does not show it.")

    def version(self) -> CheckResult:
        """The version of the server, as far as its APIs show it."""
        facts = self.facts
        if facts.is_cloud:
            return CheckResult("Version", CheckState.OK, "Datalore Cloud, which is always the newest.")
        if facts.has_workspace_api:
            return CheckResult("Version", CheckState.OK, "On-premises 2026.3 or later, since it has the Workspace API.")
        if facts.has_notebook_api:
            text = "On-premises 2026.2 or later, since it has the Notebook API"
            no_other = ", and before 2026.3, since it has no Workspace API" if facts.has_workspace_api is False else ""
            return CheckResult("Version", CheckState.OK, f"{text}{no_other}.")
        if facts.has_notebook_api is False:
            return CheckResult("Version", CheckState.OK, "On-premises before 2026.2, since it has no Notebook API.")
        return CheckResult("Version", CheckState.UNKNOWN, "Datalore does not report it, and its APIs do not show it.")

    def notebook(self, notebook: NotebookId) -> Iterator[CheckResult]:
        """Whether the token may edit the notebook, which running it requires."""
        facts = self.facts
        if not facts.notebook_api:
            reason = facts.reasons.get("notebook_api", "the Notebook API could not be used")
            text = f"Edit access to {notebook} cannot be found out without running it: {reason}."
            facts.reasons["may_edit"] = f"{reason}, so edit access cannot be found out without running the notebook"
            yield CheckResult("Notebook", CheckState.UNKNOWN, text)
            return
        response = self.client.send(notebook_api.kernel_status(notebook))
        if response.status == 200:
            facts.may_edit = True
            yield CheckResult(
                "Notebook", CheckState.OK, f"The token has access to {notebook}, with the right to run it."
            )
            return
        problem = self._why_not(notebook, response)
        if problem is None:
            yield CheckResult("Notebook", CheckState.UNKNOWN, _odd(response))
            return
        facts.may_edit = False
        facts.reasons["may_edit"] = "the token may not run this notebook"
        yield CheckResult("Notebook", CheckState.FAILED, problem)

    def _why_not(self, notebook: NotebookId, response: Response) -> str | None:
        if response.status == 404:
            return (
                f"Notebook {notebook} does not exist, or is not shared with the owner of the token, or the token is "
                "for another notebook only. Compare the id with the notebook's address in the browser, and share the "
                "notebook with edit access."
            )
        if response.status not in (401, 403):
            return None
        if required_token(response):
            return f"The token may not run {notebook}: {_needs(response)}. {_HOW_TO_CREATE}"
        return self._viewer_or_other_notebook(notebook, response)

    def _viewer_or_other_notebook(self, notebook: NotebookId, response: Response) -> str:
        """Which of the two a 403 without a scope means, as far as it can be told; both if it cannot."""
        reported = excerpt(response.body)
        quoted = f" Datalore reported: {reported}" if reported else ""
        nowhere = NotebookId(notebook.owner, secrets.token_hex(11))
        refuses_all = self.client.send(notebook_api.kernel_status(nowhere)).status in (401, 403)
        other = (
            f"The token is for another notebook only, not for {notebook}: it was created in that notebook under Tools "
            "| API token. Create one in this notebook, or under Account settings | API tokens."
        )
        viewer = (
            f"The owner of the token may only view {notebook}, and running it requires edit access. Ask the "
            "notebook's owner for it, or use the token of a user who has it."
        )
        if refuses_all or "token" in reported.lower():
            return other + quoted
        return (viewer if "view" in reported.lower() else f"{viewer} Or: {other}") + quoted

    def _refused(self, response: Response) -> CheckResult:
        self.facts.run_api = self.facts.notebook_api = self.facts.workspace_api = False
        self.facts.reasons |= dict.fromkeys(("run_api", "notebook_api", "workspace_api"), "the token is refused")
        reported = excerpt(response.body)
        text = (
            f"Datalore refuses it: it is wrong or has expired. {_HOW_TO_CREATE} Put it into the connection's password."
        )
        return CheckResult("Token", CheckState.FAILED, f"{text} Datalore reported: {reported}" if reported else text)


def _needs(response: Response) -> str:
    """What a token lacks that was refused with 403, as words that follow a colon."""
    if required := required_token(response):
        return f"{required} is required"
    return f"Datalore refused the request with status {response.status}, so the scope of the token is too narrow"


def _odd(response: Response) -> str:
    begins = excerpt(response.body) or "(nothing)"
    return f"Datalore responds with status {response.status}, which is not documented: {begins}"


def _workspace_id(entry: object) -> str | None:
    """The id of a workspace in the list, as queries contain it."""
    workspace = entry.get("workspace") if isinstance(entry, Mapping) else None
    identifier = workspace.get("id") if isinstance(workspace, Mapping) else None
    if not isinstance(identifier, Mapping):
        return None
    owner, internal = identifier.get("ownerId"), identifier.get("internalId")
    return f"{owner}/{internal}" if isinstance(owner, str) and isinstance(internal, str) else None


def _list_entries(workspace: str) -> Call:
    path = f"/api/workspaces/v1/entries?workspaceId={quote(workspace, safe='')}"
    return Call("GET", path, "list the notebooks of a workspace")
