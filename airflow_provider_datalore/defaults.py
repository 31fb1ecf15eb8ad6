"""The default values of arguments, and their limits. Imports nothing, so that DAG files load quickly."""

from __future__ import annotations

CONN_ID = "datalore_default"

NOTEBOOK_FILES = "data/notebook_files"
"""The folder of a notebook's own files, the working directory of its cells."""

POLL_INTERVAL = 30.0
"""Seconds between two status requests (1 or more); more often at the start."""

MIN_POLL_INTERVAL = 1.0
"""Seconds between two status requests, at least."""

NEW_RUN_GRACE = 30.0
"""Seconds after the request for a run in which a 404 can mean that Datalore does not list the run yet."""

START_TIMEOUT = 900.0
"""Seconds within which the first cell of an interactive run must run."""

CONNECTION_LOOKUP_TIMEOUT = 120.0
"""Seconds for which a triggerer retries the look-up of a connection that it does not find."""

MAX_OUTAGE = 1800.0
"""Seconds for which Datalore may be unreachable, without one usable response."""

RENDERING_TIMEOUT = 30.0
"""Seconds that the tab of a task may take to render a notebook."""

REPORT_PUBLISHED = "report_published"
FILE_CHANGED = "file_changed"
NOTEBOOK_EDITED = "notebook_edited"
RUN_ENDED = "run_ended"
"""The four events that start DAGs."""
