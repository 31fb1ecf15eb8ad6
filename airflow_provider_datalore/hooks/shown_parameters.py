"""The parameters of a run for the log: without secrets, and bounded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow_provider_datalore.api.text import plain

MAX_LOGGED_CHARS = 1000
"""Maximum number of characters of the parameters that are logged."""


def shown_parameters(parameters: Mapping[str, Any]) -> str:
    """Format parameters for the log: shortened, and with the secrets that Airflow knows masked."""
    from airflow.providers.common.compat.sdk import redact

    masked: Any = redact(dict(parameters))
    # A value may be that of another notebook.
    text = plain(json.dumps(masked, ensure_ascii=False, default=str)).replace("\n", " ")
    return text if len(text) <= MAX_LOGGED_CHARS else f"{text[:MAX_LOGGED_CHARS]}…"
