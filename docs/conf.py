"""Sphinx configuration: MyST Markdown, the API reference from docstrings, warnings are errors."""

from __future__ import annotations

import airflow_provider_datalore

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
