"""The page about values says what becomes of each: as a parameter, and as an output."""

from __future__ import annotations

import json
import re
from collections import deque
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter

from airflow_provider_datalore.api.parameters import to_datalore
from airflow_provider_datalore.exceptions import DataloreConfigurationError
from airflow_provider_datalore.notebooks.outputs import UnusableOutputError, read_outputs
from tests.notebooks.files import cell, notebook

PAGE = Path(__file__).parents[2] / "docs" / "values.md"
ROWS = [
    tuple(column.strip() for column in line.strip("|\n").split(" | "))
    for line in PAGE.read_text().splitlines()
    if line.startswith("| `")
]


class Region(Enum):
    EUROPE = "EU"


KNOWN = {
    **{"np": np, "pd": pd, "Region": Region, "Decimal": Decimal, "date": date, "datetime": datetime},
    **{"timedelta": timedelta, "timezone": timezone, "PurePosixPath": PurePosixPath, "deque": deque},
}


def value_of(expression: str) -> Any:
    return eval(expression.strip("`"), dict(KNOWN))  # noqa: S307  (the page is our own)


def expected(column: str) -> Any:
    return json.loads(column.strip("`"))


def test_the_table_has_all_kinds() -> None:
    assert len(ROWS) >= 40
    assert all(len(row) == 3 for row in ROWS)


@pytest.mark.parametrize(("expression", "sent"), [row[:2] for row in ROWS])
def test_a_value_becomes_the_parameter_that_the_page_names(expression: str, sent: str) -> None:
    parameters = {"it": value_of(expression)}
    if sent.startswith("error: "):
        with pytest.raises(DataloreConfigurationError, match=f"(?s)'it.*{re.escape(sent.removeprefix('error: '))}"):
            to_datalore(parameters)
    else:
        assert to_datalore(parameters) == ({} if sent == "not sent" else {"it": expected(sent)})


@pytest.mark.parametrize(("expression", "read"), [(row[0], row[2]) for row in ROWS])
def test_the_last_value_of_a_cell_becomes_the_output_that_the_page_names(expression: str, read: str) -> None:
    value = value_of(expression)
    formatter: Any = DisplayFormatter()
    data, metadata = formatter.format(value)
    outputs = [{"output_type": "execute_result", "execution_count": 1, "metadata": metadata, "data": data}]
    content = notebook(cell(*([] if value is None else outputs), tags=("xcom:it",)))
    if read.startswith("error: ") or value is None:
        with pytest.raises(
            UnusableOutputError, match=read.removeprefix("error: ") if value is not None else "no output"
        ):
            read_outputs(content, ["it"])
    else:
        assert read_outputs(content, ["it"]) == {"it": expected(read)}
