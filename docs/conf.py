"""Sphinx configuration: MyST Markdown, the API reference from docstrings, warnings are errors."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import airflow_provider_datalore
from dev import new_in

_PUBLISHED = tomllib.loads(Path(__file__).parent.with_name("pyproject.toml").read_text())["tool"]["published"]

project = "airflow-provider-datalore"
author = "the contributors to airflow-provider-datalore"
copyright = f"2026, {author}"
version = release = airflow_provider_datalore.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
nitpicky = True
# Airflow, pydantic and Python are documented elsewhere.
nitpick_ignore_regex = [
    ("py:.*", r"(airflow|pydantic|collections\.abc)\..*"),
    # Methods that only Airflow's OpenLineage provider calls.
    ("py:.*", r"airflow_provider_datalore\.lineage\..*"),
    # Private base classes are not documented.
    ("py:.*", r"airflow_provider_datalore\..*\._\w+"),
    # Classes that operators and sensors share, which are not documented.
    ("py:.*", r"airflow_provider_datalore\.tasks\..*"),
    ("py:.*", r"(os\.PathLike|LockedControl)"),
    ("py:.*", r"(AirflowSensorTimeout|Context|ObjectStoragePath|TaskInstanceKey|datetime|timedelta)"),
    # Types of annotations, which Sphinx cannot resolve.
    ("py:.*", r"(Lenient|Unpack|UtcDatetime)"),
]

myst_enable_extensions = ["colon_fence"]
# Makes `page.md#a-heading` a link; a wrong one is a warning.
myst_heading_anchors = 4

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_class_signature = "separated"
autodoc_default_options = {"members": True, "show-inheritance": True, "exclude-members": "__new__"}

html_theme = "furo"
html_title = f"airflow-provider-datalore {release}"
html_copy_source = False
html_favicon = "integration-logos/datalore.svg"
# A link to each page's source, once the repository's address is known.
html_theme_options = (
    {"source_repository": _PUBLISHED["repository"], "source_branch": "main", "source_directory": "docs/"}
    if _PUBLISHED["repository"]
    else {}
)
# Each version names its own address, or search engines would list old versions. Read the Docs sets the variable.
html_baseurl = os.environ.get("READTHEDOCS_CANONICAL_URL", _PUBLISHED["documentation"])


def setup(app: Any) -> None:
    """Mark each part of the reference with the version in which it was added."""
    versions = new_in.read()

    def mark(_app: Any, kind: str, name: str, _value: Any, _options: Any, lines: list[str]) -> None:
        lines.extend(new_in.marks(kind, name, versions))

    app.connect("autodoc-process-docstring", mark)
