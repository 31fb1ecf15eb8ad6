"""The provider's metadata matches Airflow's schemas, and everything that it names exists."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
import yaml

import airflow_provider_datalore
from airflow_provider_datalore.get_provider_info import connection_type, get_provider_info
from airflow_provider_datalore.hooks.datalore import DataloreHook
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
from dev import registry

ROOT = Path(__file__).parents[1]
PACKAGE = Path(airflow_provider_datalore.__file__).parent
INFO = get_provider_info()


def schema(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((Path(airflow.__file__).parent / name).read_text())
    return content


def named_classes() -> Iterator[str]:
    yield connection_type()["hook-class-name"]
    yield from INFO["extra-links"]


def form_fields_of_the_hook() -> set[str]:
    """The fields of the provider in the connection form of Airflow before 3.2."""
    if find_spec("flask_appbuilder") is not None:
        from airflow.providers_manager import ProvidersManager

        form = ProvidersManager().connection_form_widgets
        return {widget.field_name for name, widget in form.items() if name.startswith("extra__datalore__")}
    if airflow.__version__.startswith("3.0."):
        pytest.skip("without the FAB provider, the form of Airflow 3.0 shows no fields of any provider")
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

    [form] = [hook for hook in HookMetaService.hook_meta_data() if hook.connection_type == "datalore"]
    return set(form.extra_fields or {})


def test_it_matches_airflow_s_runtime_schema() -> None:
    jsonschema.validate(INFO, schema("provider_info.schema.json"))


def test_the_connection_form_matches_airflow_s_schema() -> None:
    properties = schema("provider.yaml.schema.json")["properties"]
    if "conn-fields" not in json.dumps(properties["connection-types"]):
        # Airflow before 3.2 does not read fields from the metadata, but from the hook.
        assert set(connection_type()["conn-fields"]) == form_fields_of_the_hook()
        return
    jsonschema.validate([connection_type()], properties["connection-types"])


def test_airflow_finds_the_provider_by_its_entry_point() -> None:
    [entry_point] = [
        each
        for each in importlib.metadata.entry_points(group="apache_airflow_provider")
        if each.dist is not None and each.dist.name == "airflow-provider-datalore"
    ]
    assert entry_point.load()() == INFO


@pytest.mark.parametrize("path", list(named_classes()))
def test_every_named_class_exists(path: str) -> None:
    module, _, name = path.rpartition(".")
    assert isinstance(getattr(importlib.import_module(module), name), type)


@pytest.mark.parametrize("kind", ["hooks", "operators", "sensors", "triggers"])
def test_every_named_module_exists(kind: str) -> None:
    for entry in INFO[kind]:
        for module in entry["python-modules"]:
            importlib.import_module(module)


def test_the_logo_and_the_how_to_guides_are_in_the_repository() -> None:
    """Each page of docs/howto is named: get_provider_info.py has the list."""
    [integration] = INFO["integrations"]
    pages = {f"/docs/howto/{path.name}" for path in (ROOT / "docs" / "howto").glob("*.md")} - {"/docs/howto/index.md"}
    assert set(integration["how-to-guide"]) == pages
    assert len(integration["how-to-guide"]) == len(pages)
    assert (ROOT / integration["logo"].removeprefix("/")).read_text().startswith("<svg")


def test_the_options_are_those_that_the_package_reads() -> None:
    [(section, config)] = INFO["config"].items()
    read = set(re.findall(r'conf\.\w+\(\s*"datalore",\s*"(\w+)"', "".join(map(Path.read_text, PACKAGE.rglob("*.py")))))
    assert section == "datalore"
    assert read <= set(config["options"])


@pytest.mark.parametrize("name", registry.FILES)
def test_the_files_for_registries_are_those_of_this_code(name: str) -> None:
    """If this fails: python -m dev.registry."""
    assert (ROOT / name).read_text() == registry.FILES[name]()


def test_airflow_s_registry_can_read_the_file() -> None:
    content = yaml.safe_load(registry.provider_yaml())
    if "conn-fields" not in json.dumps(schema("provider.yaml.schema.json")["properties"]["connection-types"]):
        pytest.skip("the form of Airflow before 3.2")
    jsonschema.validate(content, schema("provider.yaml.schema.json"))


def test_every_class_for_astronomer_s_registry_exists() -> None:
    content = yaml.safe_load(registry.astro_registry_yaml())
    listed = {kind: {each["module"] for each in content[kind]} for kind in registry.KINDS}
    for path in set().union(*listed.values()):
        module, _, name = path.rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), name), type)
    assert f"{PACKAGE.name}.operators.datalore.DataloreRunNotebookOperator" in listed["operators"]


def test_every_link_of_the_operator_is_registered() -> None:
    links = {
        f"{type(link).__module__}.{type(link).__name__}" for link in DataloreRunNotebookOperator.operator_extra_links
    }
    assert links <= set(INFO["extra-links"])


def test_the_form_is_the_same_on_older_versions_of_airflow() -> None:
    assert DataloreHook.get_ui_field_behaviour() == {
        "hidden_fields": connection_type()["ui-field-behaviour"]["hidden-fields"],
        "relabeling": connection_type()["ui-field-behaviour"]["relabeling"],
        "placeholders": connection_type()["ui-field-behaviour"]["placeholders"],
    }
    assert DataloreHook.conn_type == connection_type()["connection-type"]
    assert DataloreHook.hook_name == connection_type()["hook-name"]


def test_each_label_is_the_name_of_its_field() -> None:
    """Users find a field of the form by the name that the documentation uses."""
    for name, field in connection_type()["conn-fields"].items():
        assert field["label"].lower().replace(" ", "_") == name
