"""What ``probe`` has found out: the fields of the emulator's variant, and remarks in words."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from airflow_provider_datalore.emulator.settings import Variant
from airflow_provider_datalore.exceptions import DataloreStorageError

_PLAIN_STATUS = re.compile(r"[A-Za-z_ .-]{0,40}")
"""A status of a run that cannot be an id, a name or an address."""


class Record:
    """The fields that were found out, and remarks for the user, which are not written into the file."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}
        self.remarks: list[str] = []

    def set(self, field: str, value: object) -> None:
        """Record the value of a field. A value that the emulator cannot play becomes a remark."""
        if field not in Variant.model_fields:
            raise KeyError(field)
        try:
            Variant.model_validate_json(json.dumps({field: value}), strict=True)
        except ValidationError:
            self.remark(f"{field} is {value!r:.60} here, which the emulator cannot play.")
            return
        if isinstance(value, str) and not _PLAIN_STATUS.fullmatch(value) and field.endswith("_status"):
            self.remark(f"The value of {field} is not a plain word, so it is left out of the file.")
            return
        self._found[field] = value

    def remark(self, text: str) -> None:
        """Add a remark for the user."""
        if text not in self.remarks:
            self.remarks.append(text)

    def get(self, field: str) -> Any:
        """The value of a field; None if it was not found out."""
        return self._found.get(field)

    def fields(self) -> dict[str, Any]:
        """All fields; None stands for what was not found out."""
        return {name: self._found.get(name) for name in Variant.model_fields}

    def write(self, path: Path) -> None:
        """Write the fields into a JSON file, which ``datalore-emulator --like`` reads.

        :raises DataloreStorageError: if it cannot be written.
        """
        try:
            path.write_text(json.dumps(self.fields(), indent=2) + "\n")
        except OSError as error:
            raise DataloreStorageError(f"The result cannot be written to {path}: {error.strerror}.") from error
