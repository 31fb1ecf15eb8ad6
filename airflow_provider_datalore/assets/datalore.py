"""Notebooks as Airflow assets: ``datalore://<host>/<owner>/<id>``. Imported where DAG files are read, so light."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from airflow_provider_datalore.api.notebook_id import NotebookId
from airflow_provider_datalore.exceptions import DataloreConfigurationError

if TYPE_CHECKING:
    from airflow.providers.common.compat.assets import Asset
    from openlineage.client.event_v2 import Dataset

SCHEME = "datalore"
CLOUD = "datalore.jetbrains.com"

_DEFAULT_PORTS = {"http": 80, "https": 443, SCHEME: 443}


def create_asset(notebook: str, *, host: str = CLOUD, extra: dict[str, Any] | None = None) -> Asset:
    """The asset (on Airflow 2: the dataset) that is a notebook.

    :param notebook: the notebook's address as pasted from the browser, or ``owner/id``.
    :param host: where Datalore is, if ``notebook`` is ``owner/id``: ``datalore:8080`` or the whole address; Datalore
        Cloud by default.
    :param extra: what else to keep with the asset.
    :raises DataloreConfigurationError: if it is no notebook.
    """
    from airflow.providers.common.compat.assets import Asset

    notebook_id = NotebookId.parse(notebook)
    address = notebook_id.address or (host.rstrip("/") if "://" in host else f"{SCHEME}://{host}")
    try:
        uri = sanitize_uri(urlsplit(address + notebook_id.path)).geturl()
    except ValueError as error:
        raise DataloreConfigurationError(f"There is no asset for notebook {notebook!r} at {host!r}: {error}") from None
    return Asset(uri=uri, extra=extra)


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """The one form of an asset's URI; Airflow calls it for each of scheme ``datalore``.

    What remains are host, port if it is not 443, owner and id: ``datalore://<host>/notebook/<owner>/<id>/<title>?…`` is
    the same asset as ``datalore://<host>/<owner>/<id>``. Only where Datalore is below a path of its host that path, and
    ``/notebook/`` after it, remain as well.

    :raises ValueError: if it names no notebook.
    """
    prefix, found, rest = uri.path.partition("/notebook/")
    segments = [unquote(segment) for segment in (rest.split("/")[:2] if found else uri.path.strip("/").split("/"))]
    try:
        host, port = uri.hostname, uri.port
        notebook = NotebookId.parse("/".join(segments)) if len(segments) == 2 else None
    except (ValueError, DataloreConfigurationError):
        host = notebook = None
    if not host or notebook is None:
        raise ValueError(f"URI format {SCHEME}:// must be {SCHEME}://<host>/<owner>/<id>, not {uri.geturl()!r:.300}")
    place = f"[{host}]" if ":" in host else host
    if port not in (None, _DEFAULT_PORTS.get(uri.scheme)):
        place += f":{port}"
    below = prefix if found else ""
    path = f"{below}{notebook.path}" if below else notebook.path.removeprefix("/notebook")
    return SplitResult(SCHEME, place, path, "", "")


def convert_asset_to_openlineage(asset: Asset, lineage_context: object) -> Dataset:  # noqa: ARG001  (Airflow passes it)
    """The notebook as OpenLineage has it; Airflow's OpenLineage provider calls it for inlets and outlets."""
    from openlineage.client.event_v2 import Dataset

    uri = sanitize_uri(urlsplit(asset.uri))
    return Dataset(namespace=f"{SCHEME}://{uri.netloc}", name=uri.path.lstrip("/"))
