"""The path of an artifact on Datalore's own host."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow_provider_datalore.api.text import MAX_EXCERPT_CHARS
from airflow_provider_datalore.exceptions import DataloreUnexpectedResponseError

if TYPE_CHECKING:
    from airflow_provider_datalore.api.models import Artifact


def artifact_path(artifact: Artifact) -> str:
    """The path of an artifact, percent-encoded.

    :raises DataloreUnexpectedResponseError: if it is not a path on Datalore's own host.
    """
    path = artifact.path
    if not path.startswith("/") or path.startswith("//") or {".", ".."} & set(path.replace("\\", "/").split("/")):
        raise DataloreUnexpectedResponseError(
            f"The path of artifact {artifact.name!r:.40} is not a path on Datalore's own host.\n"
            f"Datalore returned {path[:MAX_EXCERPT_CHARS]!r}, which was not requested.",
            to_do="Tell the administrator of Datalore.",
        )
    return quote(path, safe="/", errors="replace")
