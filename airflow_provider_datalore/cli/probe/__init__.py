"""The command ``probe``: finds out how a Datalore behaves where that is not documented."""

from __future__ import annotations

MAX_PARALLEL = 50
"""Maximum number of runs that are started at once."""
