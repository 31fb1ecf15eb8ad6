"""The page on the package index leads to the repository and the documentation, once they have addresses."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from dev import package
from dev.index_page import Addresses, index_page, read_addresses
from tests.package.conftest import ROOT

KNOWN = Addresses("https://git.example/owner/name", "https://docs.example/en/stable")
README = """\
![The tab](docs/images/tab.png)

[Values](docs/howto/return-values.md#types), [examples](example_dags), [below](#more),
[Airflow](https://airflow.apache.org/)
"""


def test_links_become_absolute() -> None:
    page = index_page(README, KNOWN, "1.2.0")
    assert "![The tab](https://git.example/owner/name/raw/v1.2.0/docs/images/tab.png)" in page
    assert "[Values](https://docs.example/en/stable/howto/return-values.html#types)" in page
    assert "[examples](https://git.example/owner/name/blob/v1.2.0/example_dags)" in page
    assert ", below," in page
    assert "[Airflow](https://airflow.apache.org/)" in page


def test_a_link_without_an_address_is_text() -> None:
    page = index_page(README, Addresses("", ""), "1.2.0")
    assert "![" not in page
    assert "Values, examples, below," in page


def test_every_relative_link_of_the_readme_becomes_absolute() -> None:
    page = index_page((ROOT / "README.md").read_text(), KNOWN, "1.2.0")
    assert "](docs/" not in page
    assert page.count("https://docs.example/") > 5
    assert page.count("/raw/v1.2.0/docs/images/") >= 2
    assert "https://docs.example/en/stable/policies/index.html" in page


@pytest.mark.parametrize("known", [{"repository": KNOWN.repository}, {"documentation": KNOWN.documentation}, {}])
def test_a_release_without_addresses_is_refused(monkeypatch: pytest.MonkeyPatch, known: dict[str, str]) -> None:
    monkeypatch.setattr(package, "read_addresses", lambda: Addresses(**{"repository": "", "documentation": ""} | known))
    monkeypatch.setattr(sys, "argv", ["package", "--dist", "nowhere"])
    with pytest.raises(SystemExit) as refused:
        package.main()
    assert "not ready to be released" in str(refused.value.code)
    assert all(name not in str(refused.value.code).partition(" under ")[0] for name in known)


def refusal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, team: str) -> str:
    """What the command says when the addresses are known, and this team reviews changes."""
    owners = tmp_path / "CODEOWNERS"
    owners.write_text(f"# Who reviews changes.\n*    {team}\n")
    monkeypatch.setattr(package, "read_addresses", lambda: KNOWN)
    monkeypatch.setattr(package, "CODEOWNERS", owners)
    try:
        package.refuse_without_addresses()
    except SystemExit as refused:
        return str(refused.code)
    return ""


def test_a_release_without_reviewers_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = refusal(monkeypatch, tmp_path, "@others/maintainers")
    assert ".github/CODEOWNERS names @others/maintainers, and the repository belongs to owner." in said


@pytest.mark.parametrize("reviewer", ["@owner/maintainers", "@jane", "jane@example.com"])
def test_a_release_with_reviewers_is_not_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reviewer: str
) -> None:
    assert refusal(monkeypatch, tmp_path, reviewer) == ""


@pytest.mark.parametrize(
    ("repository", "documentation", "named"),
    [
        (" ", "https://docs.example", "repository under [tool.published] in pyproject.toml is empty"),
        ("TODO", "https://docs.example", "repository is 'TODO'"),
        ("https://REPOSITORY", "https://docs.example", "repository is 'https://REPOSITORY'"),
        ("git.example/owner/name", "https://docs.example", "repository is 'git.example/owner/name'"),
        ("https://git.example/owner", "https://docs.example", "repository is 'https://git.example/owner'"),
        ("https://git.example/owner/name", "y", "documentation is 'y'"),
        ("http://git.example/owner/name", "https://docs", "and documentation is 'https://docs'"),
    ],
)
def test_an_address_that_leads_nowhere_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: str, documentation: str, named: str
) -> None:
    text = f'[tool.published]\nrepository = "{repository}"\ndocumentation = "{documentation}"\n'
    (tmp_path / "pyproject.toml").write_text(text)
    monkeypatch.setattr(package, "read_addresses", lambda: read_addresses(tmp_path))
    with pytest.raises(SystemExit, match=re.escape(named)):
        package.refuse_without_addresses()


def test_the_addresses_are_in_one_place() -> None:
    assert set(read_addresses()._fields) == {"repository", "documentation"}
