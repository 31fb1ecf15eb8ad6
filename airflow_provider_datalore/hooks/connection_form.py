"""The additional fields of the connection form on Airflow before 3.2, created from the provider info."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def widgets(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Create form fields of Flask-AppBuilder.

    :param fields: ``conn-fields`` of the provider info.
    """
    from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
    from flask_babel import lazy_gettext
    from wtforms import StringField

    return {
        name: StringField(
            lazy_gettext(field["label"]),
            widget=BS3TextFieldWidget(),
            description=field.get("description", ""),
        )
        for name, field in fields.items()
    }
