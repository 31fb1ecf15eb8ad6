"""The reference marks since which version each part of the public API is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev import new_in
from dev.new_in import FILE, marks, next_version, note, read
from tests.package.conftest import ROOT

RELEASED = "# Changelog\n\n## Unreleased\n\n## 0.1.1 - 2027-02-01\n\n## 0.1.0 - 2027-01-01\n"
RUN = "operators.datalore.DataloreRunNotebookOperator"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / FILE).write_text((ROOT / FILE).read_text())
    (tmp_path / "CHANGELOG.md").write_text(RELEASED)
    return tmp_path


def test_what_is_new_gets_the_next_minor_version(checkout: Path) -> None:
    note([f"{RUN}(when_late)", "hooks.datalore.DataloreHook.pause"], checkout)
    assert read(checkout)[f"{RUN}(when_late)"] == "0.2.0"
    assert read(checkout)["hooks.datalore.DataloreHook.pause"] == "0.2.0"


def test_a_version_that_was_written_stays(checkout: Path) -> None:
    note([f"{RUN}(when_late)"], checkout)
    (checkout / "CHANGELOG.md").write_text(RELEASED.replace("## 0.1.1", "## 0.2.0 - 2027-03-01\n\n## 0.1.1"))
    note([f"{RUN}(when_late)", f"{RUN}(when_early)"], checkout)
    assert read(checkout)[f"{RUN}(when_late)"] == "0.2.0"
    assert read(checkout)[f"{RUN}(when_early)"] == "0.3.0"


def test_nothing_is_written_before_the_first_release(checkout: Path) -> None:
    (checkout / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n")
    before = (checkout / FILE).read_text()
    note([RUN], checkout)
    assert next_version("# Changelog\n\n## Unreleased\n") == new_in.FIRST
    assert (checkout / FILE).read_text() == before


def test_a_class_and_its_new_arguments_are_marked() -> None:
    versions = {f"{RUN}(when_late)": "0.2.0", f"{RUN}(when_early)": "0.2.0", f"{RUN}.late": "0.3.0"}
    assert marks("class", new_in.PACKAGE + RUN, versions) == [
        *("", ".. versionadded:: 0.1.0", ""),
        *(".. versionchanged:: 0.2.0", "   New: ``when_late``, ``when_early``.", ""),
    ]
    assert marks("method", f"{new_in.PACKAGE}{RUN}.late", versions) == ["", ".. versionadded:: 0.3.0", ""]


def test_a_method_is_as_old_as_its_class_if_nothing_else_is_written() -> None:
    assert marks("method", f"{new_in.PACKAGE}{RUN}.execute", {}) == []
    assert marks("class", new_in.PACKAGE + RUN, {RUN: "0.2.0"}) == ["", ".. versionadded:: 0.2.0", ""]
