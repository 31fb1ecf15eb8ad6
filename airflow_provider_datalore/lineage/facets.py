"""The OpenLineage facets of a run of a notebook; imported only when Airflow's OpenLineage provider requests them.

Source: https://openlineage.io/docs/spec/facets/
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore.api.notebook_id import NotebookId
from airflow_provider_datalore.exceptions import DataloreError
from airflow_provider_datalore.hooks.datalore import DataloreHook

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import Dataset
    from openlineage.client.facet_v2 import JobFacet, RunFacet

CODE_TYPE = "datalore"
"""The type of source code location in OpenLineage's facet."""

log = logging.getLogger(__name__)


def lineage_of(task: Any) -> OperatorLineage[Any, Any] | None:
    """The OpenLineage metadata of a task, as far as it is known. Never fails.

    :param task: an operator or sensor with :class:`.LineageMixin`.
    :return: the metadata; None if it cannot be determined.
    """
    try:
        return _lineage_of(task)
    except Exception as error:
        log.warning("Could not determine the OpenLineage metadata of this task: %s: %s", type(error).__name__, error)
        return None


def _lineage_of(task: Any) -> OperatorLineage[Any, Any]:
    from airflow.providers.openlineage.extractors import OperatorLineage

    notebook_url = _notebook_url(task)
    return OperatorLineage(
        inputs=list(_datasets(task.inlets)),
        outputs=list(_datasets([*task.outlets, *_written(task)])),
        run_facets=dict(_run_facets(task, _run_id(task), notebook_url)),
        job_facets=dict(_job_facets(notebook_url)),
    )


def _run_id(task: Any) -> str:
    """The id of the run: a sensor received it as an argument, an operator started the run."""
    run_id = task.outcome.run.run_id if task.outcome is not None else task.started_run_id
    return str(run_id or getattr(task, "run_id", ""))


def _run_facets(task: Any, run_id: str, notebook_url: str) -> Iterator[tuple[str, RunFacet]]:
    from openlineage.client.facet_v2 import error_message_run, external_query_run

    if run_id:
        yield (
            "externalQuery",
            external_query_run.ExternalQueryRunFacet(externalQueryId=run_id, source=notebook_url or CODE_TYPE),
        )
    if task.outcome is not None and (failure := task.outcome.failure) is not None:
        yield (
            "errorMessage",
            error_message_run.ErrorMessageRunFacet(
                message=f"{failure.error} in {failure.cell}",
                programmingLanguage=failure.language,
                stackTrace=failure.traceback,
            ),
        )


def _job_facets(notebook_url: str) -> Iterator[tuple[str, JobFacet]]:
    from openlineage.client.facet_v2 import source_code_location_job

    if notebook_url:
        yield (
            "sourceCodeLocation",
            source_code_location_job.SourceCodeLocationJobFacet(type=CODE_TYPE, url=notebook_url),
        )


def _notebook_url(task: Any) -> str:
    """The notebook's address; empty if it is not known yet.

    Before the task runs, it is known if the notebook id is a pasted address or the connection an environment variable.
    """
    notebook_id = getattr(task, "notebook_id", None)
    if task.notebook_url or not notebook_id:
        return str(task.notebook_url)
    try:
        if f"AIRFLOW_CONN_{task.datalore_conn_id.upper()}" in os.environ:
            return DataloreHook(task.datalore_conn_id).notebook_url(notebook_id)
        parsed = NotebookId.parse(notebook_id)
    except DataloreError as error:
        log.debug("Could not determine the address of notebook %s: %s", notebook_id, error)
        return ""
    return f"{parsed.address}{parsed.path}" if parsed.address else ""


def _datasets(assets: Iterable[object]) -> Iterator[Dataset]:
    """The assets that can be converted to OpenLineage datasets, without duplicates."""
    from airflow.providers.openlineage.extractors.manager import ExtractorManager

    known = set()
    for asset in assets:
        dataset = ExtractorManager.convert_to_ol_dataset(asset)
        if dataset is not None and (dataset.namespace, dataset.name) not in known:
            known.add((dataset.namespace, dataset.name))
            yield dataset


def _written(task: Any) -> list[object]:
    """The files of written artifacts; the OpenLineage provider collects them only if the task declares no outlets."""
    if not getattr(task, "artifacts_to", None):
        return []
    from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

    collector: Any = get_hook_lineage_collector()
    return [output.asset for output in collector.collected_assets.outputs]
