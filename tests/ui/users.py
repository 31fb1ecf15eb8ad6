"""The users in the Airflow of these tests."""

from __future__ import annotations

ADMIN = "ann"
VIEWER = "vic"
NOT_FOR_THE_VIEWER = "datalore_forecasts"
"""The DAG that the viewer may not see."""
