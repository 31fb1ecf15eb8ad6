"""The id of a notebook, as Datalore's API and the addresses of its pages contain it."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from airflow_provider_datalore.exceptions import DataloreConfigurationError

_NOT_IN_SEGMENTS = frozenset(" /\\?#%")
_NOTEBOOK_ID_REMEDY = (
    "Use <owner>/<id>, the two parts after /notebook/ in the notebook's address in the browser, or paste that whole "
    "address."
)


@dataclass(frozen=True, slots=True)
class NotebookId:
    """A notebook's id, ``<owner>/<id>``. Not a tuple: Airflow would write its parts into the log, and not the id.

    :param owner: the id of the user or workspace that owns the notebook.
    :param id: the notebook's own id.
    :param address: the server in a pasted address, such as ``https://datalore.example.com``; None if only the id was
        given.
    """

    owner: str
    id: str
    address: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.owner}/{self.id}"

    @property
    def path(self) -> str:
        """The path of the notebook's page, percent-encoded: ``/notebook/<owner>/<id>``."""
        return f"/notebook/{quote(self.owner, safe='')}/{quote(self.id, safe='')}"

    @classmethod
    def parse(cls, text: object) -> NotebookId:
        """Parse ``owner/id``, or the pasted address of a notebook.

        :param text: for example ``"ann/sales"`` or ``"https://datalore.jetbrains.com/notebook/ann/sales?x"``.
        :raises DataloreConfigurationError: if it is neither.

        Source: https://www.jetbrains.com/help/datalore/run-api.html
        """
        if not isinstance(text, str):
            raise DataloreConfigurationError(
                f"notebook_id is {text!r}, a {type(text).__name__}, not a string.", to_do=_NOTEBOOK_ID_REMEDY
            )
        text = text.strip()
        address = None
        segments = text.strip("/").split("/")
        if "://" in text:
            address, segments = _split_notebook_url(text)
        if len(segments) != 2 or not all(_is_id_segment(segment) for segment in segments):
            raise DataloreConfigurationError(f"{text!r} is not the id of a notebook.", to_do=_NOTEBOOK_ID_REMEDY)
        return cls(segments[0], segments[1], address)


def _is_id_segment(segment: str) -> bool:
    return segment not in ("", ".", "..") and segment.isprintable() and _NOT_IN_SEGMENTS.isdisjoint(segment)


def _split_notebook_url(url: str) -> tuple[str, list[str]]:
    """The address of the server, and the segments after ``/notebook/`` (none if it is not a notebook's address)."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url, []
    prefix, found, rest = parts.path.partition("/notebook/")
    if parts.scheme not in ("http", "https") or not found:
        return url, []
    return f"{parts.scheme}://{parts.netloc}{prefix}", [unquote(segment) for segment in rest.split("/")[:2]]
