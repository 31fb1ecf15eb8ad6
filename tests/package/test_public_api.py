"""A change of the public API is noticed, and has to be in the changelog."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dev.public_api import SNAPSHOT, check, write
from dev.reference import PACKAGE, REFERENCE, CannotTellError
from tests.package.conftest import ROOT

CHANGELOG = "# Changelog\n\n## Unreleased\n\n{}\n## 0.1.0\n\n- `when_busy`, `kernel`\n"


class Checkout:
    """A copy of what the check reads.

    :param root: where it is.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def edit(self, path: str, old: str, new: str) -> None:
        content = (self.root / path).read_text()
        assert old in content
        (self.root / path).write_text(content.replace(old, new))

    def note(self, line: str) -> None:
        """Write a line into the changelog's section about what is not released."""
        (self.root / "CHANGELOG.md").write_text(CHANGELOG.format(line))

    def snapshot(self) -> str:
        return (self.root / SNAPSHOT).read_text()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """With a snapshot that agrees with the code."""
    root = tmp_path_factory.mktemp("original")
    shutil.copytree(ROOT / PACKAGE, root / PACKAGE, ignore=shutil.ignore_patterns("*.pyc", "plugin"))
    (root / "docs").mkdir()
    shutil.copy(ROOT / REFERENCE, root / REFERENCE)
    checkout = Checkout(root)
    checkout.note("")
    assert write(root) == ""
    return checkout


@pytest.fixture
def checkout(original: Checkout, tmp_path: Path) -> Checkout:
    """A copy of it to edit."""
    shutil.copytree(original.root, tmp_path, dirs_exist_ok=True)
    return Checkout(tmp_path)


CHANGES = {
    "removed class": (
        *("exceptions.py", "class DataloreConflictError(", "class _Conflict("),
        "removed  exceptions.DataloreConflictError\n",
    ),
    "removed method": (
        *("hooks/datalore.py", "def run_notebook_interactively(", "def _run_notebook_interactively("),
        "removed  hooks.datalore.DataloreHook.run_notebook_interactively\n",
    ),
    "base class of an exception": (
        *("exceptions.py", "class DataloreKernelLostError(DataloreError)", "class DataloreKernelLostError(Exception)"),
        "exceptions.DataloreKernelLostError: was class(DataloreError), is class(Exception)\n",
    ),
    "attribute of an exception": (
        *("exceptions.py", "self.available = ", "self.names = "),
        "removed  exceptions.DataloreMissingOutputError.available\n",
    ),
    "renamed argument": (
        *("operators/interactive.py", "when_busy: str", "if_busy: str"),
        "removed  operators.datalore.DataloreInteractiveRunOperator(when_busy)\n",
    ),
    "argument of a base class that is not documented": (
        *("operators/files.py", "        max_outage: float", "        outage: float"),
        "removed  operators.datalore.DataloreUploadFileOperator(max_outage)\n",
    ),
    "new required argument": (
        *("assets/datalore.py", "    host: str = CLOUD_HOST,", "    team: str,\n    host: str = CLOUD_HOST,"),
        "added    assets.datalore.create_asset(team): by name only, required  # str\n",
    ),
    "argument by name only": (
        *("hooks/notebook_files.py", "def exists(self, path", "def exists(self, *, path"),
        "NotebookFiles.exists(path): was argument 1, required  # str, is by name only, required  # str\n",
    ),
    "changed default": (
        *("operators/interactive.py", "interrupt_on_kill: bool = True", "interrupt_on_kill: bool = False"),
        "InteractiveRunOperator(interrupt_on_kill): was by name only, default True  # bool, is by name only, default F",
    ),
    "default in another module": (
        *("defaults.py", "CONN_ID = ", 'CONN_ID = "other" or '),
        "sensors.datalore.DataloreRunSensor(datalore_conn_id): was by name only, default 'datalore_default'",
    ),
    "field of a model": (
        *("api/models.py", "    success: bool | None = None", "    success: bool | None = False"),
        "api.models.Run.success: was attribute, default None  # bool | None, is attribute, default False",
    ),
    "templated argument": (
        *("operators/files.py", '("notebook_id", "source", "directory", "name",', '("notebook_id", "source",'),
        "DataloreUploadFileOperator.template_fields: was attribute, default ('notebook_id', 'source', 'directory', ",
    ),
    "XCom key": (
        *("xcom.py", 'ARTIFACTS = "artifacts"', 'ARTIFACTS = "files"'),
        "removed  XCom artifacts\n",
    ),
    "stored argument of a trigger": (
        *("triggers/interactive.py", '"snapshot": self.snapshot,', ""),
        "removed  triggers.interactive.DataloreInteractiveRunTrigger.serialize()[snapshot]\n",
    ),
    "field of the connection": (
        *("get_provider_info.py", '"public_url": ', '"browser_url": '),
        "removed  provider info.connection-types[0].conn-fields.public_url\n",
    ),
}


def test_each_change_is_reported_in_words(checkout: Checkout) -> None:
    for path, old, new, _ in CHANGES.values():
        checkout.edit(f"{PACKAGE}/{path}", old, new)
    problem = check(checkout.root)
    assert [change for change, (*_, report) in CHANGES.items() if report not in problem] == []
    assert "CHANGELOG.md" in problem
    assert "make public-api" in problem


def test_one_change_is_reported_alone(checkout: Checkout) -> None:
    path, old, new, report = CHANGES["renamed argument"]
    checkout.edit(f"{PACKAGE}/{path}", old, new)
    problem = check(checkout.root)
    assert report in problem
    assert "exceptions." not in problem


def test_what_is_not_documented_may_change(checkout: Checkout) -> None:
    assert check(checkout.root) == ""
    excluded = "def resume_execution(self, next_method"
    checkout.edit(f"{PACKAGE}/operators/interactive.py", excluded, "def resume_execution(self, method")
    checkout.edit(
        f"{PACKAGE}/exceptions.py",
        "class DataloreError(Exception):\n",
        "class _Other: ...\n\n\nclass DataloreError(Exception):\n",
    )
    assert check(checkout.root) == ""


def test_a_name_that_leaves_the_page_is_reported(checkout: Checkout) -> None:
    checkout.edit(REFERENCE, ".. autofunction:: sanitize_uri\n", "")
    assert "removed  assets.datalore.sanitize_uri\n" in check(checkout.root)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (".. autofunction:: sanitize_uri\n", ".. autofunction:: sanitise_uri\n"),
        (":exclude-members: resume_execution\n", ":exclude-members: resume_task\n"),
    ],
)
def test_a_name_on_the_page_that_does_not_exist_is_an_error(checkout: Checkout, old: str, new: str) -> None:
    checkout.edit(REFERENCE, old, new)
    with pytest.raises(CannotTellError, match=r"(sanitise_uri|resume_task)\b.*, which does not exist"):
        check(checkout.root)


def test_the_snapshot_is_written_once_the_changelog_names_each_change(checkout: Checkout) -> None:
    before = checkout.snapshot()
    checkout.edit(f"{PACKAGE}/operators/interactive.py", "when_busy: str", "if_busy: str")
    checkout.note("- The operator has `if_busy`.\n")
    problem = write(checkout.root)
    assert "\n  when_busy: removed  operators.datalore.DataloreInteractiveRunOperator(when_busy)" in problem
    assert "\n  if_busy: " not in problem
    assert checkout.snapshot() == before
    checkout.note("- The operator has `if_busy`, which was `when_busy`.\n")
    assert write(checkout.root) == ""
    assert check(checkout.root) == ""
    assert "DataloreInteractiveRunOperator(if_busy): by name only, default 'wait'" in checkout.snapshot()


def test_a_name_that_the_changelog_had_before_the_change_is_not_enough(checkout: Checkout) -> None:
    checkout.edit(f"{PACKAGE}/operators/interactive.py", "when_busy: str = ", "when_busy: str | None = ")
    checkout.note("- The operator has `when_busy`.\n")
    assert write(checkout.root) == "", "Of a type the changelog need not speak"
    checkout.edit(
        f"{PACKAGE}/operators/interactive.py", 'when_busy: str | None = "wait"', 'when_busy: str | None = "fail"'
    )
    assert "Nothing was written in CHANGELOG.md" in write(checkout.root)
    checkout.note('- The operator has `when_busy`, by default `"fail"`.\n')
    assert write(checkout.root) == ""


def test_a_snapshot_that_was_edited_is_refused(checkout: Checkout) -> None:
    checkout.edit(SNAPSHOT, "default 'wait'", "default 'fail'")
    for command in (check, write):
        with pytest.raises(CannotTellError, match="git checkout HEAD -- docs/public_api.txt"):
            command(checkout.root)


def test_a_snapshot_that_is_missing_is_reported_and_written(checkout: Checkout) -> None:
    (checkout.root / SNAPSHOT).unlink()
    assert "does not exist" in check(checkout.root)
    assert write(checkout.root) == ""
    assert check(checkout.root) == ""
