"""Writes the files from which registries of Airflow providers take what they show: `python -m dev.registry`.

`provider.yaml` has the form in which Airflow's own providers are listed; `.astro-registry.yaml` is for Astronomer's.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import yaml

from airflow_provider_datalore import __version__
from airflow_provider_datalore.get_provider_info import get_provider_info
from dev.index_page import read_addresses

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# Written by: python -m dev.registry\n"
KINDS = ("hooks", "operators", "sensors", "triggers")


def provider_yaml() -> str:
    """The provider info, with what only the source of a provider has."""
    info = get_provider_info()
    first = {name: info.pop(name) for name in ("package-name", "name", "description")}
    versions = re.findall(r"^## (\d+\.\d+\.\d+)\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    source = {
        "state": "ready",
        # The first of the stages that Airflow defines for providers.
        "lifecycle": "incubation",
        "build-system": "hatchling",
        "source-date-epoch": 0,
        "versions": versions or [__version__],
    }
    return _yaml(first | source | info)


def astro_registry_yaml() -> str:
    """The public classes by their kind."""
    info = get_provider_info()
    content: dict[str, Any] = {"package-name": info["package-name"], "display-name": info["name"]}
    if documentation := read_addresses().documentation:
        content["docs-url"] = documentation
    for kind in KINDS:
        modules = [module for entry in info[kind] for module in entry["python-modules"]]
        content[kind] = [{"module": f"{module}.{name}"} for module in modules for name in public_names(module)]
    content["decorators"] = [{"module": each["class-name"]} for each in info["task-decorators"]]
    return _yaml(content)


def public_names(module: str) -> list[str]:
    """The classes that a module is for: those in its ``__all__``, or those that it defines."""
    loaded = importlib.import_module(module)
    if named := getattr(loaded, "__all__", None):
        return [name for name in named if isinstance(getattr(loaded, name), type)]
    defined = [name for name, value in vars(loaded).items() if getattr(value, "__module__", "") == module]
    return sorted(name for name in defined if name.startswith("Datalore") and isinstance(getattr(loaded, name), type))


def _yaml(content: dict[str, Any]) -> str:
    return HEADER + yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Dumper(yaml.SafeDumper):
    """Repeats what is the same, which some readers of these files require."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


FILES = {"provider.yaml": provider_yaml, ".astro-registry.yaml": astro_registry_yaml}


def main() -> None:
    for name, content in FILES.items():
        (ROOT / name).write_text(content())
        print(name)


if __name__ == "__main__":
    main()
