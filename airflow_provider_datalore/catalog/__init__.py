"""Notebooks by name, with their controls, from the committed file ``datalore.lock``: :meth:`.Catalog.read`.

DAG files import it: it needs no network, no database and no pydantic, and reads of the file only what a DAG uses.
"""

from __future__ import annotations

from airflow_provider_datalore.catalog.catalog import Catalog
from airflow_provider_datalore.catalog.entry import CatalogEntry

__all__ = ["Catalog", "CatalogEntry"]
