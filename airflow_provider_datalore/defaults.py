"""What holds where a DAG author says nothing; imports nothing, so that DAG files pay nothing for it."""

from __future__ import annotations

CONN_ID = "datalore_default"

NOTEBOOK_FILES = "data/notebook_files"
"""The folder of a notebook's own files, in which its cells run."""

POLL_INTERVAL = 30.0
"""The longest time between two requests for the status of a run, in seconds."""

START_TIMEOUT = 900.0
"""In how many seconds the first cell of an interactive run has to run."""

CONNECTION_LOOKUP_TIMEOUT = 120.0
"""For how long a triggerer looks a connection up again that the worker had, in seconds."""

MAX_OUTAGE = 1800.0
"""For how long Datalore may be unreachable without one good answer, in seconds."""
