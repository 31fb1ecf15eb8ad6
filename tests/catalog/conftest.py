"""A lock file with a notebook that has a control of each type."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_datalore.catalog import Catalog, CatalogEntry
from airflow_provider_datalore.catalog.lock_file import to_text

CONTROLS: dict[str, dict[str, Any]] = {
    "region": {"type": "DROPDOWN", "label": "Region", "items": ["North", "South"], "default": "North"},
    "days": {"type": "SLIDER", "label": "Days", "min": 1, "max": 30, "step": 1, "default": 7},
    "share": {"type": "SLIDER", "min": 0, "max": 0.5, "step": 0.05, "default": 0.1},
    "since": {"type": "DATEPICKER", "label": "Since", "default": "2026-01-01"},
    "period": {"type": "DATEPICKER", "range": True, "default": ["2026-01-01", "2026-01-31"]},
    "fast": {"type": "CHECKBOX", "default": False},
    "tags": {"type": "DROPDOWN", "multiselect": True, "items": ["a", "b", "it's"], "default": ["a"]},
    "title": {"type": "TEXT_INPUT", "default": "Sales"},
    "shop": {"type": "DROPDOWN", "dynamic": True, "default": "Berlin"},
    "future": {"type": "MAP", "default": None},
}
NOTEBOOK: dict[str, Any] = {
    "ids": {"datalore_default": "ann/sales", "production": "prod/0123"},
    "language": "python",
    "description": "Sums up the sales.",
    "controls": CONTROLS,
    "cells": ["0123456789abcdef"],
}
NOTEBOOKS = {"Sales/Daily sales": NOTEBOOK, "Sales/Weekly sales": NOTEBOOK, "Stock": {"ids": {}, "language": "r"}}

WriteLock = Callable[[dict[str, Any]], Path]


@pytest.fixture
def write_lock(tmp_path: Path) -> WriteLock:
    """Writes a lock file, and returns its path."""

    def write(notebooks: dict[str, Any]) -> Path:
        path = tmp_path / "datalore.lock"
        path.write_text(to_text(notebooks))
        return path

    return write


@pytest.fixture
def catalog(write_lock: WriteLock) -> Catalog:
    return Catalog.read(write_lock(NOTEBOOKS))


@pytest.fixture
def entry(catalog: Catalog) -> CatalogEntry:
    return catalog["Sales/Daily sales"]
