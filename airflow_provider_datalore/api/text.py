"""Which text can be kept in any database of Airflow's, and sent to it."""

from __future__ import annotations

import re
from typing import Any

NOT_STORABLE = re.compile("[\x00\ud800-\udfff]")
"""U+0000, and halves of a pair: what is left of a file name that is no Unicode."""


def storable(value: Any) -> Any:
    """JSON in which U+FFFD stands for whatever Airflow could not keep."""
    if isinstance(value, str):
        return NOT_STORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {storable(key): storable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [storable(inner) for inner in value]
    return value
