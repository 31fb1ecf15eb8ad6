"""A notebook as an Airflow asset: the same URI for all spellings."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.providers.common.compat.assets import Asset
from hypothesis import given
from hypothesis import strategies as some

from airflow_provider_datalore.assets.datalore import convert_asset_to_openlineage, create_asset, sanitize_uri
from airflow_provider_datalore.exceptions import DataloreConfigurationError

try:
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime
except ImportError:
    from airflow.providers_manager import ProvidersManager  # Airflow before 3.2

    def factories() -> dict[str, Any]:
        manager = ProvidersManager()
        return dict(manager.asset_factories if hasattr(manager, "asset_factories") else manager.dataset_factories)
else:

    def factories() -> dict[str, Any]:
        return dict(ProvidersManagerTaskRuntime().asset_factories)


SALES = "datalore://datalore.example.com/ann/sales"


@pytest.mark.parametrize(
    "uri",
    [
        SALES,
        "DATALORE://Datalore.Example.COM:443/ann/sales/",
        "datalore://datalore.example.com/notebook/ann/sales",
        "datalore://datalore.example.com/notebook/ann/sales/Monthly-sales/?force=true#cell",
    ],
)
def test_all_spellings_have_the_same_uri(uri: str) -> None:
    assert Asset(uri=uri).uri == SALES


@pytest.mark.parametrize(
    ("uri", "normal"),
    [
        ("datalore://datalore:8080/ann/sales", "datalore://datalore:8080/ann/sales"),
        ("datalore://[2001:db8::1]:8080/ann/sales", "datalore://[2001:db8::1]:8080/ann/sales"),
        ("datalore://example.com/tools/notebook/ann/sales/x", "datalore://example.com/tools/notebook/ann/sales"),
        ("datalore://example.com/Ann/S%C3%A4les", "datalore://example.com/Ann/S%C3%A4les"),
        ("datalore://example.com/ann/notebook", "datalore://example.com/ann/notebook"),
        ("datalore://user:dl-token@example.com/ann/sales", "datalore://example.com/ann/sales"),
    ],
)
def test_only_the_parts_that_identify_the_notebook_are_kept(uri: str, normal: str) -> None:
    assert sanitize_uri(urlsplit(uri)).geturl() == normal
    assert sanitize_uri(urlsplit(normal)).geturl() == normal


@pytest.mark.parametrize(
    "uri",
    [
        "datalore:///ann/sales",
        "datalore://host",
        "datalore://host/ann",
        "datalore://host/a/b/c",
        "datalore://host/../x",
    ],
)
def test_other_uris_are_rejected(uri: str) -> None:
    with pytest.raises(ValueError, match="datalore://<host>/<owner>/<id>"):
        sanitize_uri(urlsplit(uri))


@given(some.text(), some.text())
def test_any_uri_is_rejected_or_normalized(host: str, path: str) -> None:
    try:
        once = sanitize_uri(urlsplit(f"datalore://{host}/{path}"))
    except ValueError:
        return
    assert sanitize_uri(once) == once


@pytest.mark.parametrize(
    ("notebook", "options", "uri"),
    [
        ("https://datalore.example.com/notebook/ann/sales/x?y", {}, SALES),
        ("http://datalore:8080/notebook/ann/sales", {}, "datalore://datalore:8080/ann/sales"),
        ("http://datalore:80/notebook/ann/sales", {}, "datalore://datalore/ann/sales"),
        ("ann/sales", {}, "datalore://datalore.jetbrains.com/ann/sales"),
        ("ann/sales", {"host": "datalore.example.com"}, SALES),
        ("ann/sales", {"host": "https://datalore.example.com/"}, SALES),
    ],
)
def test_an_asset_is_created_from_an_address_or_an_id(notebook: str, options: dict[str, Any], uri: str) -> None:
    asset = create_asset(notebook, extra={"team": "sales"}, **options)
    assert asset.uri == uri
    assert asset.extra == {"team": "sales"}
    assert getattr(asset, "name", uri) == uri


def test_other_input_is_an_error() -> None:
    with pytest.raises(DataloreConfigurationError, match="is not the id of a notebook"):
        create_asset("https://datalore.example.com/files/ann")
    with pytest.raises(DataloreConfigurationError, match="Cannot create an asset for notebook 'ann/sales' on host ''"):
        create_asset("ann/sales", host="")


def test_airflow_finds_the_factory() -> None:
    assert factories()["datalore"] is create_asset


def test_the_openlineage_dataset_has_host_and_notebook() -> None:
    dataset = convert_asset_to_openlineage(create_asset("ann/sales", host="datalore:8080"), None)
    assert (dataset.namespace, dataset.name) == ("datalore://datalore:8080", "ann/sales")
