"""Whether any triggerer is alive, according to the heartbeats in Airflow's database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def any_is_alive(session: Session) -> bool:
    """Whether a triggerer has sent a heartbeat recently, in the sense of Airflow's health check."""
    from airflow.jobs.job import Job
    from airflow.providers.common.compat.sdk import conf
    from sqlalchemy import select

    threshold = conf.getfloat("triggerer", "triggerer_health_check_threshold", fallback=30.0)
    alive = select(Job.id).where(
        Job.job_type == "TriggererJob",
        Job.state == "running",
        Job.latest_heartbeat >= datetime.now(UTC) - timedelta(seconds=threshold),
    )
    return session.scalar(alive.limit(1)) is not None
