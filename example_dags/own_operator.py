"""Your own operator: it starts a run, defers with this package's trigger, and continues with the finished run."""

from __future__ import annotations

import time
from typing import Any, NoReturn

from airflow.providers.common.compat.sdk import DAG, BaseOperator, Context

from airflow_provider_datalore.hooks.datalore import DataloreHook
from airflow_provider_datalore.triggers.datalore import DataloreRunTrigger
from airflow_provider_datalore.triggers.event import read


# [START defer_to_the_trigger]
class ArtifactSizesOperator(BaseOperator):
    """Runs a notebook, and returns the size of each of its artifacts in bytes."""

    template_fields = ("notebook_id",)

    def __init__(self, *, notebook_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.notebook_id = notebook_id

    def execute(self, context: Context) -> NoReturn:
        now = time.time()
        self.defer(
            trigger=DataloreRunTrigger(
                run_id=DataloreHook().run_notebook(self.notebook_id),
                poll_interval=5,
                deadline=now + 15 * 60,
                # Airflow 3 fails a task that is resumed before the scheduler has noticed that it deferred.
                not_before=now + 7,
            ),
            method_name="return_sizes",
        )

    def return_sizes(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, int]:
        # Raises an error if the wait ended before the run did.
        run = read(event)
        run.raise_for_failure()
        hook = DataloreHook()
        return {artifact.name: len(hook.read_artifact(artifact)) for artifact in run.artifacts}
        # [END defer_to_the_trigger]


with DAG("datalore_own_operator", schedule=None, tags=["datalore"], params={"notebook_id": "me/daily_sales"}) as dag:
    ArtifactSizesOperator(task_id="artifact_sizes", notebook_id="{{ params.notebook_id }}")
