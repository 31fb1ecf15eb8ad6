"""The operator that saves the artifacts of a run in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_datalore import defaults, settings, xcom
from airflow_provider_datalore.durations import seconds
from airflow_provider_datalore.links.datalore import DataloreNotebookLink
from airflow_provider_datalore.tasks.failing import fails_in_lines
from airflow_provider_datalore.wording import short_id

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

    from airflow_provider_datalore.api.models import Run
    from airflow_provider_datalore.tasks.next_step import Facts


class DataloreDownloadArtifactsOperator(BaseOperator):
    """Saves the artifacts of a run in a folder of any storage that Airflow supports: local, S3, GCS, Azure and others.

    Returns the paths. A file appears only when it is complete. It replaces a file of the same name.

    :param run_id: the id that ``DataloreRunNotebookOperator`` or ``DataloreHook.run_notebook`` returned; the run must
        have ended, successfully or not. (templated)
    :param destination: the folder, any ``ObjectStoragePath``: ``"/data"``, or ``"s3://aws_default@bucket/{{ ds }}"``
        with the id of an Airflow connection before the ``@``. (templated)
    :param names: the artifacts: a glob such as ``"*.ipynb"``, or a list of globs; None for all. (templated)
    :param max_bytes: maximum size of each artifact, in bytes; None for no limit.
    :param max_outage: seconds for which Datalore may be unreachable before the task fails.
    :param datalore_conn_id: the Airflow connection of type ``datalore``. (templated)

    Source: https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/objectstorage.html
    """

    template_fields: Sequence[str] = ("run_id", "destination", "names", "datalore_conn_id")
    operator_extra_links = (DataloreNotebookLink(),)
    ui_color = "#e4f6ee"

    _run: Run | None = None

    def __init__(
        self,
        *,
        run_id: str,
        destination: str | ObjectStoragePath,
        names: str | list[str] | None = None,
        max_bytes: int | None = None,
        max_outage: float | timedelta = settings.MAX_OUTAGE,
        datalore_conn_id: str = defaults.CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id
        self.destination = destination
        self.names = names
        self.max_bytes = max_bytes
        self.max_outage = seconds(max_outage)
        self.datalore_conn_id = datalore_conn_id

    @fails_in_lines
    def execute(self, context: Context) -> list[str]:
        """Save the artifacts, one after another.

        :return: the paths, in the order of the run's artifacts.
        """
        from airflow_provider_datalore.exceptions import DataloreConfigurationError, RunState
        from airflow_provider_datalore.hooks.datalore import DataloreHook
        from airflow_provider_datalore.tasks.artifacts import download

        task_instance = context["ti"]
        # Airflow 3 logs an error if the XCom of a link does not exist when it creates the links of a task.
        task_instance.xcom_push(key=xcom.NOTEBOOK_URL, value="")
        hook = DataloreHook(self.datalore_conn_id)
        run = hook.get_run(self.run_id, max_outage=self.max_outage)
        with suppress(DataloreConfigurationError):
            task_instance.xcom_push(key=xcom.NOTEBOOK_URL, value=hook.notebook_url(run.notebook_id or ""))
        if not run.is_finished:
            reported = repr(run.status) if run.status else run.reported_status
            raise DataloreConfigurationError(
                f"Run {short_id(run.run_id)} has not ended ({reported:.30}), so it has no artifacts yet.",
                to_do="Wait for it first, with wait_for_completion=True on the task that runs it or with "
                "DataloreRunSensor.",
                state=RunState.RUNNING,
            )
        self._run = run
        return list(
            download(
                run, hook, self.destination, names=self.names, max_bytes=self.max_bytes, max_outage=self.max_outage
            )
        )

    def facts(self, context: Context) -> Facts:
        """What is known of the run, for the text of an error."""
        from airflow_provider_datalore.tasks.next_step import Facts, Kind
        from airflow_provider_datalore.tasks.own_xcoms import own_text

        url = own_text(context, xcom.NOTEBOOK_URL)
        run_id = self.run_id if isinstance(self.run_id, str) else ""
        return Facts(Kind.READS, notebook_url=url, run_id=run_id, is_started=True, run=self._run)
