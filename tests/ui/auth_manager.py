"""An auth manager of Airflow's for tests: as the simple one, but the viewer may not see one DAG."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

from tests.ui.users import NOT_FOR_THE_VIEWER, VIEWER


class OneDagLessAuthManager(SimpleAuthManager):
    """Lets each user see what their role lets them, and the viewer all DAGs but one."""

    def is_authorized_dag(self, *, user: Any, details: Any = None, **kwargs: Any) -> bool:
        if user.username == VIEWER and details is not None and details.id == NOT_FOR_THE_VIEWER:
            return False
        allowed: bool = super().is_authorized_dag(user=user, details=details, **kwargs)
        return allowed
