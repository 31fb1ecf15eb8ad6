"""Selects the artifacts of a run, and saves them under safe, unique names."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from airflow_provider_datalore import xcom
from airflow_provider_datalore.api.filenames import distinct_names
from airflow_provider_datalore.api.text import listed
from airflow_provider_datalore.api.values import as_list
from airflow_provider_datalore.exceptions import DataloreConfigurationError
from airflow_provider_datalore.storage import folder
from airflow_provider_datalore.wording import short_id

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

    from airflow_provider_datalore.api.models import Artifact, Run
    from airflow_provider_datalore.hooks.datalore import DataloreHook

log = logging.getLogger(__name__)


def download(
    run: Run,
    hook: DataloreHook,
    destination: str | ObjectStoragePath,
    *,
    names: str | list[str] | None = None,
    max_bytes: int | None = None,
    max_outage: float = 0.0,
) -> Iterator[str]:
    """Save a run's artifacts in a folder.

    :param destination: the folder, see :func:`airflow_provider_datalore.storage.folder`.
    :param names: the names of the artifacts, see :func:`choose`.
    :param max_bytes: maximum size of each artifact, in bytes; None for no limit.
    :param max_outage: seconds for which to retry each download while Datalore does not deliver it; 0 does not retry.
    :return: the paths, each as soon as its artifact is saved.
    :raises DataloreError: any failure, each with its own class.
    """
    target = folder(destination)
    for artifact, name in choose(run, names):
        yield str(hook.download_artifact(artifact, target, name=name, max_bytes=max_bytes, max_outage=max_outage))


def choose(run: Run, names: object = None) -> list[tuple[Artifact, str]]:
    """The selected artifacts, in the run's order, each with a file name that is unique in the run.

    :param names: a case-sensitive glob such as ``"*.ipynb"``, or a list of globs; None for all.
    :raises DataloreConfigurationError: if a glob matches no artifact.
    """
    named = list(zip(run.artifacts, distinct_names(artifact.name for artifact in run.artifacts), strict=True))
    if names is None:
        return named
    globs = [names] if isinstance(names, str) else as_list(names)
    if not globs or not all(isinstance(glob, str) and glob for glob in globs):
        raise DataloreConfigurationError(
            f"names is {names!r:.300}; it must be a glob such as '*.ipynb' or a list of globs, or None for all "
            "artifacts.",
            to_do="Correct the argument names.",
        )
    for glob in globs:
        if not any(fnmatchcase(artifact.name, glob) for artifact, _ in named):
            made = listed([artifact.name for artifact in run.artifacts], limit=20) or "none"
            raise DataloreConfigurationError(
                f"No artifact of run {short_id(run.run_id)} matches {glob!r:.60}.\n"
                f"The artifacts of run {run.run_id}: {made}.",
                to_do="Correct the argument names.",
            )
    return [(artifact, name) for artifact, name in named if any(fnmatchcase(artifact.name, glob) for glob in globs)]


def keep_artifacts(
    run: Run,
    hook: DataloreHook,
    context: Context,
    destination: str | ObjectStoragePath,
    max_outage: float,
    export: Sequence[str] | None = None,
) -> list[str]:
    """Save all artifacts of a finished run in the task that ran it; XCom ``artifacts`` holds the paths.

    If the run failed, an error while saving is only logged, so that the task reports the failure of the run.

    :param export: the formats in which the executed notebook is saved as well; an export that fails is only logged.
    :return: the paths of the exports.
    :raises DataloreError: if the run succeeded and an artifact cannot be read or written.
    """
    paths: list[str] = []
    exports: list[str] = []
    try:
        try:
            for path in download(run, hook, destination, max_outage=max_outage):
                paths.append(path)  # noqa: PERF402  (those before an error are kept)
        except Exception as error:
            if run.succeeded:
                raise
            log.warning("Not all artifacts of the failed run %s were written to %s: %s", run.run_id, destination, error)
        if export is not None:
            from airflow_provider_datalore.tasks.exports import exported

            exports = list(exported(run, hook, destination, export))
    finally:
        context["ti"].xcom_push(key=xcom.ARTIFACTS, value=[*paths, *exports])
    return exports
