"""Notebooks as Airflow assets: ``datalore://<host>/<owner>/<id>``. DAG files import it, so its imports are cheap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from airflow_provider_datalore import defaults
from airflow_provider_datalore.api.notebook_id import NotebookId
from airflow_provider_datalore.exceptions import DataloreConfigurationError

if TYPE_CHECKING:
    from airflow.providers.common.compat.assets import Asset
    from openlineage.client.event_v2 import Dataset

    from airflow_provider_datalore.catalog import CatalogEntry

SCHEME = "datalore"
CLOUD_HOST = "datalore.jetbrains.com"

_DEFAULT_PORTS = {"http": 80, "https": 443, SCHEME: 443}


def create_asset(
    notebook: str | CatalogEntry,
    *,
    host: str = CLOUD_HOST,
    extra: dict[str, Any] | None = None,
    datalore_conn_id: str = defaults.CONN_ID,
) -> Asset:
    """Create the asset (on Airflow 2: the dataset) of a notebook.

    :param notebook: the notebook's pasted address, ``owner/id``, or a notebook of the catalog.
    :param host: the host of Datalore, if ``notebook`` is ``owner/id``: ``datalore:8080`` or a whole address. Default:
        Datalore Cloud.
    :param extra: the asset's extra.
    :param datalore_conn_id: the Airflow connection whose id of a notebook of the catalog is used.
    :raises DataloreConfigurationError: if ``notebook`` is not a notebook, or ``host`` is not a host.
    """
    from airflow.providers.common.compat.assets import Asset

    notebook_id = NotebookId.parse(notebook if isinstance(notebook, str) else notebook.id_for(datalore_conn_id))
    address = notebook_id.address or (host.rstrip("/") if "://" in host else f"{SCHEME}://{host}")
    try:
        uri = sanitize_uri(urlsplit(address + notebook_id.path)).geturl()
    except ValueError as error:
        raise DataloreConfigurationError(
            f"Cannot create an asset for notebook {notebook!r} on host {host!r}: {error}",
            to_do="Correct the notebook or the host.",
        ) from None
    return Asset(uri=uri, extra=extra)


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Normalize the URI of an asset; Airflow calls it for each URI of scheme ``datalore``.

    The result contains the host, the port if it is not 443, the owner and the id:
    ``datalore://<host>/notebook/<owner>/<id>/<title>?…`` is the same asset as ``datalore://<host>/<owner>/<id>``. If
    Datalore has a path prefix on its host, the prefix and ``/notebook/`` are kept as well.

    :raises ValueError: if it is not the URI of a notebook.
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
    netloc = f"[{host}]" if ":" in host else host
    if port not in (None, _DEFAULT_PORTS.get(uri.scheme)):
        netloc += f":{port}"
    has_prefix = bool(found and prefix)
    path = f"{prefix}{notebook.path}" if has_prefix else notebook.path.removeprefix("/notebook")
    return SplitResult(SCHEME, netloc, path, "", "")


def convert_asset_to_openlineage(asset: Asset, lineage_context: object) -> Dataset:  # noqa: ARG001  (Airflow passes it)
    """Convert an asset to an OpenLineage dataset; Airflow's OpenLineage provider calls it for inlets and outlets."""
    from openlineage.client.event_v2 import Dataset

    uri = sanitize_uri(urlsplit(asset.uri))
    return Dataset(namespace=f"{SCHEME}://{uri.netloc}", name=uri.path.lstrip("/"))
