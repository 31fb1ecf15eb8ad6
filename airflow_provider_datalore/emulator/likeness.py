"""Reads the file of ``--like``: how a Datalore responds, as ``airflow datalore probe`` has found out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .settings import Variant


def read_likeness(path: str) -> dict[str, Any]:
    """Read the fields of a variant.

    :param path: a JSON file with an object. Its keys are the fields of :class:`.Variant`; null stands for a behaviour
        that was not found out, which is the default one then.
    :return: the fields that the file sets.
    :raises ValueError: the file cannot be read, or is not such an object; the message is one line.
    """
    try:
        data = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {' '.join(str(error).split())}") from error
    fields: dict[str, Any] | None = data if isinstance(data, dict) else None
    if fields is None:
        raise ValueError(f"{path} is not a JSON object with the fields of a variant")
    known = {name: value for name, value in fields.items() if value is not None}
    if unknown := sorted(fields.keys() - Variant.model_fields.keys()):
        raise ValueError(f"{path}: {unknown[0]!r:.100} is not a field of a variant; see datalore-emulator --help")
    try:
        # As JSON, since a list stands for a tuple there.
        Variant.model_validate_json(json.dumps(known), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{path}: {where}: {first['msg']}") from error
    return known
