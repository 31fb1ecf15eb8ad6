"""Pages of notebooks in a real browser, without Airflow."""

from __future__ import annotations

from tests.browsers import browser, elsewhere, firefox

__all__ = ["browser", "elsewhere", "firefox"]
