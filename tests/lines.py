"""Compares the text of errors, which is lines of the width that Airflow's log view shows."""

from __future__ import annotations

import re


def in_one(error: object) -> str:
    """The text of an error in one line."""
    return " ".join(str(error).split())


def wrapped(pattern: str) -> str:
    """The regular expression for a text that may be wrapped anywhere, and may have lines in between.

    Its case does not matter: what was in a sentence may begin a line.
    """
    return "(?si)" + re.sub(r"(?<!\\) ", r"\\s+", pattern)
