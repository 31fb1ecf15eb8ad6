"""The bill of materials of a release says what an installation consists of, in CycloneDX's format."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.validation.json import JsonStrictValidator

from dev import sbom
from dev.licences import NAME, extras, needed


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return sbom.write(tmp_path_factory.mktemp("sbom") / sbom.file_name(version(NAME))).read_text()


@pytest.fixture(scope="module")
def bill(text: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(text)
    return content


def test_it_is_valid(text: str) -> None:
    assert JsonStrictValidator(sbom.VERSION).validate_str(text) is None


def test_it_is_about_this_version_of_the_package(bill: dict[str, Any]) -> None:
    package = bill["metadata"]["component"]
    assert package["purl"] == f"pkg:pypi/{NAME}@{version(NAME)}"
    assert package["licenses"] == [{"license": {"id": "Apache-2.0"}}]


def test_it_lists_everything_with_its_version(bill: dict[str, Any]) -> None:
    listed = {it["name"]: it["version"] for it in bill["components"]}
    assert listed == {it.metadata["Name"]: it.version for it in needed(*extras())}
    assert {"aiohttp", "apache-airflow", "pydantic", "papermill"} <= set(listed)


def test_it_says_what_only_the_extras_need(bill: dict[str, Any]) -> None:
    scopes = {it["name"]: it["scope"] for it in bill["components"]}
    assert scopes["aiohttp"] == "required"
    assert scopes["papermill"] == "optional"


def test_it_says_what_needs_what(bill: dict[str, Any]) -> None:
    needs = {it["ref"]: it.get("dependsOn", []) for it in bill["dependencies"]}
    of_package = needs[f"pkg:pypi/{NAME}@{version(NAME)}"]
    assert f"pkg:pypi/apache-airflow-providers-http@{version('apache-airflow-providers-http')}" in of_package


def test_it_is_the_same_the_next_time(text: str, tmp_path: Path) -> None:
    assert sbom.write(tmp_path / "again.json").read_text() == text
