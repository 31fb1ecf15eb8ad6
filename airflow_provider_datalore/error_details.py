"""The types of what errors know besides their message, for type checkers."""

from __future__ import annotations

from typing import TypedDict

from airflow_provider_datalore.run_state import RunState


class Known(TypedDict, total=False):
    """What the place that raises an error knows besides.

    ``to_do``: what to do. ``state``: the state of the notebook.
    """

    to_do: str
    state: RunState


class KnownPlace(Known, total=False):
    """The same, and ``notebook_url``: the address of the notebook."""

    notebook_url: str


class KnownOutage(KnownPlace, total=False):
    """The same for a request that got no usable response.

    ``cause``: what happened, in a few words. ``permanent``: whether waiting cannot help.
    """

    cause: str
    permanent: bool
