"""Which features of this package work, given what the checks found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.util import find_spec

from airflow_provider_datalore.cli.doctor.findings import CheckResult, CheckState, Feature, ServerFacts


def features(facts: ServerFacts, findings: Iterable[CheckResult]) -> Iterator[Feature]:
    """The features of this package, each with the reason why it does not work."""
    states = {finding.check: finding.state for finding in findings}
    start = [facts.run_api, *_edit(facts)]
    yield _feature(facts, "run a notebook, with parameters, artifacts and outputs", start, "run_api", "may_edit")
    yield _feature(facts, "start an interactive run without waiting for it", start, "run_api", "may_edit")
    in_place = [facts.run_api, facts.notebook_api, *_edit(facts)]
    for name in ("wait for an interactive run, and set its controls", "publish and update reports"):
        yield _feature(facts, name, in_place, "run_api", "notebook_api", "may_edit")
    files = [facts.notebook_api, *_edit(facts)]
    yield _feature(facts, "upload, read and delete the files of a notebook", files, "notebook_api", "may_edit")
    yield _feature(facts, "find notebooks by the folder of a workspace", [facts.workspace_api], "workspace_api")
    yield _deferrable(states)
    yield _tab()
    yield _openlineage()


def _edit(facts: ServerFacts) -> list[bool | None]:
    """Whether the notebook may be edited; nothing if none was named, or if only running it would show that."""
    return [facts.may_edit] if facts.may_edit is not None else []


def _feature(facts: ServerFacts, name: str, needed: Iterable[bool | None], *reasons: str) -> Feature:
    given = list(needed)
    if all(given):
        unsure = facts.reasons.get("may_edit", "") if "may_edit" in reasons else ""
        return Feature(name, None, unsure) if unsure else Feature(name, True)
    reason = next((facts.reasons[key] for key in reasons if key in facts.reasons), "it could not be found out")
    return Feature(name, False if False in given else None, reason)


def _deferrable(states: dict[str, CheckState]) -> Feature:
    works = {CheckState.OK: True, CheckState.WARNING: False}.get(states.get("Triggerer", CheckState.UNKNOWN))
    reason = {False: "no triggerer is running", None: "Airflow's database cannot be read"}
    return Feature("wait without a worker slot (deferrable=True)", works, reason.get(works, ""), optional=True)


def _tab() -> Feature:
    from airflow import __version__ as airflow_version

    name = "the tab with the executed notebook in Airflow's UI"
    if tuple(int(part) for part in airflow_version.split(".")[:2]) < (3, 1):
        return Feature(name, False, "it requires Airflow 3.1 or later", optional=True)
    if find_spec("nbconvert") is None or find_spec("nbformat") is None:
        return Feature(name, False, "the extra ui is not installed on this machine", optional=True)
    return Feature(name, True)


def _openlineage() -> Feature:
    name = "facets that report runs to OpenLineage"
    try:
        found = find_spec("airflow.providers.openlineage") is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        return Feature(name, False, "the extra openlineage is not installed on this machine", optional=True)
    return Feature(name, True)
