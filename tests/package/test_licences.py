"""Whoever installs the package, or an extra of it, gets nothing whose licence is not permissive."""

from __future__ import annotations

from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest

from dev.licences import LicenceError, check, extras, licences, needed, refused


@pytest.mark.parametrize("name", sorted(found.metadata["Name"] for found in needed(*extras())))
def test_licence_of(name: str) -> None:
    assert refused(distribution(name)) == []


def test_what_the_extras_need_is_looked_at_too() -> None:
    assert {found.metadata["Name"] for found in needed()} < {found.metadata["Name"] for found in needed(*extras())}


@pytest.mark.parametrize("name", ["debugpy", "rfc3987-syntax", "lark"])
def test_what_is_only_left_out_of_the_tests_is_looked_at_too(name: str) -> None:
    assert name in {found.metadata["Name"] for found in needed(*extras())}


def test_what_is_not_installed_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> Distribution:
        if name == "papermill":
            raise PackageNotFoundError(name)
        return distribution(name)

    monkeypatch.setattr("dev.licences.distribution", find)
    with pytest.raises(LicenceError, match="papermill is needed and is not installed"):
        check()


@pytest.mark.parametrize(
    ("metadata", "named", "is_free"),
    [
        ("License-Expression: GPL-3.0-only", ["GPL-3.0-only"], False),
        ("License-Expression: MIT AND LGPL-2.1-or-later", ["MIT", "LGPL-2.1-or-later"], False),
        ("Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)", None, False),
        ("License: Proprietary", ["Proprietary"], False),
        ("Summary: it does not say", [], False),
        ("License-Expression: BSD-3-Clause", ["BSD-3-Clause"], True),
        ("Classifier: License :: OSI Approved :: MIT License", ["MIT License"], True),
    ],
)
def test_a_licence_that_asks_for_more_is_refused(
    tmp_path: Path, metadata: str, named: list[str] | None, is_free: bool
) -> None:
    (tmp_path / "METADATA").write_text(f"Metadata-Version: 2.4\nName: another\nVersion: 1\n{metadata}\n")
    found = Distribution.at(tmp_path)
    assert named is None or licences(found) == named
    assert (refused(found) == []) is is_free


def test_the_command_names_what_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check().startswith("The licences of ")
    monkeypatch.setattr("dev.licences.CHOSEN", set())
    with pytest.raises(Exception, match="text-unidecode"):
        check()
