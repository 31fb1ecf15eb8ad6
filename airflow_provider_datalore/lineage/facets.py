"""The facets of a run of a notebook. Imported only when Airflow's OpenLineage provider asks for them.

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

    from airflow_provider_datalore.lineage.mixin import LineageMixin

CODE_TYPE = "datalore"
"""The kind of place, in OpenLineage's facet of it, where the source code is."""

log = logging.getLogger(__name__)


def lineage_of(task: LineageMixin) -> OperatorLineage[Any, Any] | None:
    """All that the task knows by now. Never fails: None if something keeps it from being told."""
    try:
        return _lineage_of(task)
    except Exception as error:
        log.warning("OpenLineage is told nothing of this task: %s: %s", type(error).__name__, error)
        return None


def _lineage_of(task: Any) -> OperatorLineage[Any, Any]:
    from airflow.providers.openlineage.extractors import OperatorLineage

    link = _notebook_link(task)
    return OperatorLineage(
        inputs=list(_datasets(task.inlets)),
        outputs=list(_datasets([*task.outlets, *_written(task)])),
        run_facets=dict(_run_facets(task, _run_id(task), link)),
        job_facets=dict(_job_facets(link)),
    )


def _run_id(task: Any) -> str:
    """The run: of a sensor what it was given, of the operator what it has started."""
    known = task.finished_run.run_id if task.finished_run is not None else task.started_run_id
    return str(known or getattr(task, "run_id", ""))


def _run_facets(task: Any, run_id: str, link: str) -> Iterator[tuple[str, RunFacet]]:
    from openlineage.client.facet_v2 import error_message_run, external_query_run

    if run_id:
        yield (
            "externalQuery",
            external_query_run.ExternalQueryRunFacet(externalQueryId=run_id, source=link or CODE_TYPE),
        )
    if (failure := task.cell_failure) is not None:
        yield (
            "errorMessage",
            error_message_run.ErrorMessageRunFacet(
                message=f"{failure.error} in {failure.cell}",
                programmingLanguage=failure.language,
                stackTrace=failure.traceback,
            ),
        )


def _job_facets(link: str) -> Iterator[tuple[str, JobFacet]]:
    from openlineage.client.facet_v2 import source_code_location_job

    if link:
        yield "sourceCodeLocation", source_code_location_job.SourceCodeLocationJobFacet(type=CODE_TYPE, url=link)


def _notebook_link(task: Any) -> str:
    """The notebook's address; empty if it is not known yet.

    Before the task runs it is known of a pasted address, and with a connection that is an environment variable.
    """
    notebook_id = getattr(task, "notebook_id", None)
    if task.notebook_link or not notebook_id:
        return str(task.notebook_link)
    try:
        if f"AIRFLOW_CONN_{task.datalore_conn_id.upper()}" in os.environ:
            return DataloreHook(task.datalore_conn_id).notebook_url(notebook_id)
        parsed = NotebookId.parse(notebook_id)
    except DataloreError as error:
        log.debug("The address of notebook %s is not known: %s", notebook_id, error)
        return ""
    return f"{parsed.address}{parsed.path}" if parsed.address else ""


def _datasets(assets: Iterable[object]) -> Iterator[Dataset]:
    """What OpenLineage has a name for; of the rest it is not told."""
    from airflow.providers.openlineage.extractors.manager import ExtractorManager

    known = set()
    for asset in assets:
        dataset = ExtractorManager.convert_to_ol_dataset(asset)
        if dataset is not None and (dataset.namespace, dataset.name) not in known:
            known.add((dataset.namespace, dataset.name))
            yield dataset


def _written(task: Any) -> list[object]:
    """The files to which artifacts were written; the provider itself asks for them only where no outlet is declared."""
    if not getattr(task, "artifacts_to", None):
        return []
    from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

    collector: Any = get_hook_lineage_collector()
    return [written.asset for written in collector.collected_assets.outputs]
