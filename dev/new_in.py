"""Since which version each part of the public API is there: the marks "Added in version" of the documentation.

docs/new_in.txt lists what came after the first version, one name a line. `make public-api` adds to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE = "docs/new_in.txt"
FIRST = "0.1.0"
"""The version of everything that the file does not list."""
HEADER = f"""\
# Since which version a part of the public API is there, if it came after {FIRST}. Written by `make public-api`.
"""
PACKAGE = "airflow_provider_datalore."


def read(root: Path = ROOT) -> dict[str, str]:
    """The versions by the names of docs/public_api.txt, such as ``hooks.datalore.DataloreHook.get_run(grace)``."""
    path = root / FILE
    lines = path.read_text().splitlines() if path.exists() else []
    return dict(line.rsplit(": ", 1) for line in lines if line and not line.startswith("#"))


def next_version(changelog: str) -> str:
    """The version that is being worked on: the first one, or the next minor version."""
    released = re.findall(r"^## \[?(\d+)\.(\d+)\.\d+", changelog, re.MULTILINE)
    return f"{released[0][0]}.{int(released[0][1]) + 1}.0" if released else FIRST


def note(added: Iterable[str], root: Path = ROOT) -> None:
    """Write down names that are new in the version that is being worked on."""
    version = next_version((root / "CHANGELOG.md").read_text())
    versions = read(root)
    new = {name: version for name in added if version != FIRST and name not in versions}
    if new:
        lines = [f"{name}: {since}" for name, since in sorted((versions | new).items())]
        (root / FILE).write_text(HEADER + "\n".join(lines) + "\n")


def marks(kind: str, name: str, versions: Mapping[str, str]) -> list[str]:
    """The lines to add to a docstring.

    :param kind: as Sphinx calls it: ``class``, ``method``, …
    :param name: the qualified name.
    :param versions: as :func:`read` returns them.
    """
    key = name.removeprefix(PACKAGE)
    lines = []
    if kind in {"class", "exception", "function"} or key in versions:
        lines += ["", f".. versionadded:: {versions.get(key, FIRST)}"]
    arguments: dict[str, list[str]] = {}
    for listed, version in versions.items():
        if listed.startswith(f"{key}("):
            arguments.setdefault(version, []).append(f"``{listed[len(key) + 1 : -1]}``")
    for version, names in sorted(arguments.items()):
        lines += ["", f".. versionchanged:: {version}", f"   New: {', '.join(names)}."]
    return [*lines, ""] if lines else []
