"""Airflow's simple auth manager, except that the viewer may not see one of the DAGs."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

from tests.ui.users import NOT_FOR_THE_VIEWER, VIEWER


class OneDagLessAuthManager(SimpleAuthManager):
    """Authorizes users by their role; the viewer may not see one of the DAGs."""

    def is_authorized_dag(self, *, user: Any, details: Any = None, **kwargs: Any) -> bool:
        if user.username == VIEWER and details is not None and details.id == NOT_FOR_THE_VIEWER:
            return False
        allowed: bool = super().is_authorized_dag(user=user, details=details, **kwargs)
        return allowed
