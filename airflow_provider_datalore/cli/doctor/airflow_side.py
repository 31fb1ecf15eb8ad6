"""Checks on the side of Airflow: its database, the triggerer, and the version of this package elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore import __version__
from airflow_provider_datalore.api.text import listed, one_line, shorten
from airflow_provider_datalore.cli.doctor.findings import CheckResult, CheckState

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_TRIGGERER = "TriggererJob"
_PACKAGE = __name__.partition(".")[0]
_MAX_TRIGGERS = 50
"""How many waiting triggers are looked at for the version that stored them."""


def checks() -> Iterator[CheckResult]:
    """Whether a triggerer runs, and whether waiting tasks belong to this version of the package."""
    from airflow.utils.session import create_session

    try:
        with create_session() as session:
            found = [triggerer(session), version(session)]
    except Exception as error:
        reason = shorten(one_line(f"{type(error).__name__}: {error}"))
        text = f"It cannot be read from this machine, so a triggerer cannot be looked for ({reason})"
        yield CheckResult("Airflow database", CheckState.WARNING, f"{text}.")
        yield CheckResult("Triggerer", CheckState.UNKNOWN, "Airflow's database cannot be read.")
        yield CheckResult("Package version", CheckState.UNKNOWN, f"{__version__} on this machine; elsewhere unknown.")
        return
    yield CheckResult("Airflow database", CheckState.OK, "It can be read.")
    yield from found


def triggerer(session: Session) -> CheckResult:
    """Whether a triggerer is running, which deferrable tasks need."""
    from airflow.jobs.job import Job
    from sqlalchemy import select

    query = select(Job).where(Job.job_type == _TRIGGERER).order_by(Job.latest_heartbeat.desc()).limit(100)
    jobs: list[Any] = list(session.scalars(query))
    alive = [job for job in jobs if job.is_alive()]
    if alive:
        return CheckResult(
            "Triggerer", CheckState.OK, "One is running." if len(alive) == 1 else f"{len(alive)} are running."
        )
    last = f" The last one reported at {jobs[0].latest_heartbeat:%Y-%m-%d %H:%M:%S} UTC." if jobs else ""
    text = f"None is running, so tasks with deferrable=True would wait forever.{last} Start one: `airflow triggerer`."
    return CheckResult("Triggerer", CheckState.WARNING, text)


def version(session: Session) -> CheckResult:
    """Whether the triggers that wait in the database were stored by this version of the package.

    Airflow's database has no record of the versions of providers. What it has is the arguments of the triggers that
    wait, which are not the same in all versions.
    """
    from airflow.models.trigger import Trigger
    from sqlalchemy import select

    query = select(Trigger).where(Trigger.classpath.like(f"{_PACKAGE}.%")).order_by(Trigger.id.desc())
    triggers: list[Any] = list(session.scalars(query.limit(_MAX_TRIGGERS)))
    here = f"{__version__} on this machine"
    if not triggers:
        text = f"{here}. Airflow's database shows the version elsewhere only while tasks are deferred."
        return CheckResult("Package version", CheckState.OK, text)
    different = sorted({name for each in triggers for name in _differences(each)})
    if not different:
        return CheckResult(
            "Package version", CheckState.OK, f"{here}. Tasks that are deferred now were started by the same."
        )
    text = f"{here}, but tasks that are deferred now were started by another one; it differs in {listed(different, 5)}"
    return CheckResult("Package version", CheckState.WARNING, f"{text}. Install the same version everywhere.")


def _differences(trigger: Any) -> set[str]:
    """The arguments that either this version or the one that stored a trigger does not know."""
    module, _, name = trigger.classpath.rpartition(".")
    try:
        known = set(getattr(import_module(module), name)().serialize()[1])
    except (ImportError, AttributeError):
        return {name}
    return known ^ set(trigger.kwargs)
