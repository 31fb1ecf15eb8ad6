"""What ``doctor`` found: the state of each check, and which features of this package therefore work."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class CheckState(StrEnum):
    """The state of one check."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class CheckResult:
    """The result of one check.

    :param check: what was checked, in one or two words.
    :param state: its state; only ``FAILED`` makes the exit code 1.
    :param text: what was found and, if something is wrong, what to do.
    """

    check: str
    state: CheckState
    text: str


@dataclass(frozen=True)
class Feature:
    """A feature of this package.

    :param name: what users do with it.
    :param works: whether it works over this connection; None if that could not be found out.
    :param reason: why it does not work, or why that is not known; empty if it works.
    :param optional: whether it depends on the Airflow or the environment and not on Datalore; such a feature may be
        missing without harm.
    """

    name: str
    works: bool | None
    reason: str = ""
    optional: bool = False


@dataclass
class ServerFacts:
    """What Datalore offers over this connection; None for what could not be found out.

    :param is_cloud: whether the server is Datalore Cloud.
    :param run_api: whether the token may use the Run API.
    :param notebook_api: whether the server has the Notebook API, and the token may use it.
    :param workspace_api: whether the server has the Workspace API, and the token may read a workspace with it.
    :param may_edit: whether the token may edit, and so run, the notebook that was named.
    :param has_notebook_api: whether the server has the Notebook API, whatever the token may do.
    :param has_workspace_api: whether the server has the Workspace API, whatever the token may do.
    :param reasons: why something of these is not available, by its name.
    """

    is_cloud: bool = False
    run_api: bool | None = None
    notebook_api: bool | None = None
    workspace_api: bool | None = None
    may_edit: bool | None = None
    has_notebook_api: bool | None = None
    has_workspace_api: bool | None = None
    reasons: dict[str, str] = field(default_factory=dict)


@dataclass
class DoctorReport:
    """All that was found.

    :param conn_id: the id of the Airflow connection.
    :param address: the address of Datalore; empty if the connection has none.
    :param notebook: ``owner/id`` of the notebook that was checked; None if none was named.
    """

    conn_id: str
    address: str = ""
    notebook: str | None = None
    findings: list[CheckResult] = field(default_factory=list)
    features: list[Feature] = field(default_factory=list)

    @property
    def works(self) -> bool:
        """Whether no check failed, and all features work that do not depend on Airflow alone."""
        failed = any(finding.state is CheckState.FAILED for finding in self.findings)
        return not failed and all(feature.works is not False or feature.optional for feature in self.features)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "connection": self.conn_id,
            "address": self.address,
            "notebook": self.notebook,
            "ok": self.works,
            "checks": [{"check": it.check, "state": str(it.state), "text": it.text} for it in self.findings],
            "features": [{"feature": it.name, "works": it.works, "reason": it.reason} for it in self.features],
        }
