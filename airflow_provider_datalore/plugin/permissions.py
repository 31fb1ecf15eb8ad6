"""Which DAGs a user may see in Airflow, and what of them; asked of Airflow's auth manager for each request."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class Permissions:
    """What one user may see.

    :param user: the user, as Airflow's auth manager knows them.
    :param session: Airflow's database.
    """

    def __init__(self, user: Any, session: Session) -> None:
        from airflow.api_fastapi.app import get_auth_manager

        self._user = user
        self._session = session
        self._auth_manager: Any = get_auth_manager()

    def visible_dags(self) -> set[str]:
        """The ids of the DAGs that the user may see."""
        found: set[str] = self._auth_manager.get_authorized_dag_ids(
            user=self._user, method="GET", session=self._session
        )
        return found

    def with_visible_runs(self, dag_ids: Collection[str]) -> set[str]:
        """Those of some DAGs whose task instances the user may see."""
        from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity

        return self._visible(dag_ids, DagAccessEntity.TASK_INSTANCE)

    def with_visible_logs(self, dag_ids: Collection[str]) -> set[str]:
        """Those of some DAGs whose logs the user may see: the error of a task is a part of its log."""
        from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity

        return self._visible(dag_ids, DagAccessEntity.TASK_LOGS)

    def _visible(self, dag_ids: Collection[str], entity: Any) -> set[str]:
        from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails

        teams = self._teams(dag_ids)
        # Airflow before 3.2 has no teams.
        options = {dag_id: {"team_name": teams[dag_id]} if teams.get(dag_id) else {} for dag_id in dag_ids}
        return {
            dag_id
            for dag_id in dag_ids
            if self._auth_manager.is_authorized_dag(
                method="GET",
                access_entity=entity,
                details=DagDetails(id=dag_id, **options[dag_id]),
                user=self._user,
            )
        }

    def _teams(self, dag_ids: Collection[str]) -> Mapping[str, str | None]:
        from airflow.models.dag import DagModel
        from airflow.providers.common.compat.sdk import conf

        if not hasattr(DagModel, "get_team_name") or not conf.getboolean("core", "multi_team", fallback=False):
            return {}
        teams: Mapping[str, str | None] = DagModel.get_dag_id_to_team_name_mapping(list(dag_ids), session=self._session)
        return teams
