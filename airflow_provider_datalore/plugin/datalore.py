"""The plugin that Airflow loads at start-up; it imports what the tab needs only when a user opens the tab."""

from __future__ import annotations

import logging
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from airflow import __version__ as airflow_version
from airflow.providers.common.compat.sdk import AirflowPlugin

from airflow_provider_datalore.plugin.preloading import import_modules_of_tasks
from airflow_provider_datalore.plugin.render import HOW_TO_INSTALL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

URL_PREFIX = "/datalore"

log = logging.getLogger(__name__)


class LazyApp:
    """The app of the tab, imported on the first request.

    Airflow loads plugins in all of its processes, and only the API server needs FastAPI and the app's other imports.
    """

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        from airflow_provider_datalore.plugin.app import app

        await app(scope, receive, send)


def _airflow_has_tabs() -> bool:
    major, minor, *_ = airflow_version.split(".")
    return (int(major), int(minor)) >= (3, 1)


def _is_installed() -> bool:
    return find_spec("nbconvert") is not None


class DatalorePlugin(AirflowPlugin):
    """The tab "Datalore" on task instances, and the page of all notebooks.

    They are absent before Airflow 3.1, and if the extra ``ui`` is not installed.

    Source: https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/plugins.html
    """

    name = "datalore"
    fastapi_apps: list[Any] = []  # noqa: RUF012  (as Airflow declares it)
    external_views: list[Any] = []  # noqa: RUF012  (as Airflow declares it)

    if _airflow_has_tabs() and _is_installed():
        fastapi_apps = [{"app": LazyApp(), "url_prefix": URL_PREFIX, "name": "Datalore"}]
        external_views = [
            {
                "name": "Datalore",
                # Relative to Airflow's base URL; Airflow's UI fills in the placeholders.
                "href": f"{URL_PREFIX[1:]}/dags/{{DAG_ID}}/dagRuns/{{RUN_ID}}/tasks/{{TASK_ID}}/{{MAP_INDEX}}",
                "destination": "task_instance",
                "url_route": "datalore",
            },
            {
                "name": "Datalore",
                "href": f"{URL_PREFIX[1:]}/notebooks",
                "destination": "nav",
                "url_route": "datalore-notebooks",
            },
        ]

    @classmethod
    def on_load(cls, *args: Any, **kwargs: Any) -> None:  # noqa: ARG003  (Airflow may pass arguments)
        """Import what tasks need where they are started; log on the API server how to add the tab, if it is absent."""
        import_modules_of_tasks()
        if _airflow_has_tabs() and not cls.external_views and "api-server" in sys.argv:
            log.info("Task instances do not have the Datalore tab. To add it, run %s.", HOW_TO_INSTALL)
