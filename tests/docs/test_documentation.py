"""The documentation says what is so: its code is code that the tests run, and no option goes without a word."""

from __future__ import annotations

import inspect
import json
import os
import re
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_datalore import xcom
from airflow_provider_datalore.emulator.options import _parser
from airflow_provider_datalore.operators.datalore import (
    DataloreDownloadArtifactsOperator,
    DataloreDownloadFileOperator,
    DataloreInteractiveRunOperator,
    DataloreRunNotebookOperator,
    DataloreUploadFileOperator,
)
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor
from airflow_provider_datalore.transport.connection_fields import _NOT_HEADERS
from airflow_provider_datalore.triggers.datalore import DataloreNotebookTrigger, DataloreRunTrigger
from dev import diagram, snippets

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
FRONT = sorted(ROOT.glob("*.md"))
RUN_BY_TESTS = [ROOT / "example_dags", DOCS / "dags"]

FENCE = re.compile(r"^(?P<marks>`{3,}|:{3,})(?P<kind>[^\n]*)\n(?P<text>.*?)^(?P=marks)\s*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!\!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
FOR_THE_HTTP_CONNECTION = {
    *("verify_ssl", "proxy", "stream", "allow_redirects", "max_redirects", "check_response", "srv_lookup")
}
"""What Airflow's HTTP connection knows: other names of what is documented, or without an effect here."""


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path, *kinds: str) -> Iterator[str]:
    """The blocks of code on a page of some kinds."""
    for fence in FENCE.finditer(path.read_text()):
        if fence["kind"].strip() in kinds:
            yield fence["text"]


def anchors(path: Path) -> set[str]:
    """The names by which a page's headings are linked to."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_python_on_a_page_is_the_present_code_of_what_the_tests_run(page: Path) -> None:
    text = page.read_text()
    assert "literalinclude" not in text, "The page would show no code where nothing renders it"
    shown = list(snippets.snippets(text))
    unnamed = {block for kind in ("python", "{code-block} python", "py", "python3") for block in blocks(page, kind)}
    assert unnamed <= {snippet.code for snippet in shown}, "Name its source: see dev/snippets.py"
    for snippet in shown:
        assert (ROOT / snippet.path).parent in RUN_BY_TESTS
        assert snippet.code == snippets.region(snippet.path, snippet.name), "Update it with: python -m dev.snippets"
        assert snippet.code.strip()


def test_each_region_of_an_example_is_on_a_page() -> None:
    shown = {snippet[:2] for page in PAGES for snippet in snippets.snippets(page.read_text())}
    files = [path for folder in RUN_BY_TESTS for path in folder.glob("*.py")]
    regions = {(relative(path), name) for path in files for name in re.findall(r"# \[START (\w+)\]", path.read_text())}
    assert regions == shown


def test_a_page_is_updated_where_its_code_has_changed() -> None:
    page = "Text.\n\n<!-- code: docs/dags/sales_asset_by_id.py by_id -->\n\n```python\nold\n```\n\nMore text.\n"
    [snippet] = snippets.snippets(snippets.updated(page))
    assert "host=" in snippet.code
    assert snippets.updated(page) == page.replace("old\n", snippet.code)
    with pytest.raises(ValueError, match="has no region gone"):
        snippets.updated(page.replace(" by_id", " gone"))


@pytest.mark.parametrize("page", sorted((DOCS / "howto").glob("*.md")), ids=relative)
def test_a_page_that_quotes_a_dag_leads_to_all_of_it(page: Path) -> None:
    text = page.read_text()
    for snippet in snippets.snippets(text):
        target = os.path.relpath(ROOT / snippet.path, page.parent)
        assert f"[{Path(snippet.path).name}]({target})" in text


@pytest.mark.parametrize("page", FRONT, ids=relative)
def test_python_on_a_page_of_the_repository_is_a_part_of_what_the_tests_run(page: Path) -> None:
    run = [path.read_text() for folder in RUN_BY_TESTS for path in folder.glob("*.py")]
    for block in blocks(page, "python"):
        assert any(block in text or textwrap.indent(block, "    ") in text for text in run), block


@pytest.mark.parametrize("page", [*FRONT, *PAGES], ids=relative)
def test_a_link_in_the_repository_leads_somewhere(page: Path) -> None:
    """Also where nothing renders the pages; ``make docs`` checks the rendered ones."""
    for target in LINK.findall(page.read_text()):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


def test_each_page_is_found_from_the_first_one() -> None:
    """By links in the text, which say when to read a page; not only by the menu."""
    found: set[Path] = set()
    waiting = [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        if page not in found:
            found.add(page)
            targets = (target.partition("#")[0] for target in LINK.findall(page.read_text()))
            waiting += [
                (page.parent / each).resolve() for each in targets if "://" not in each and each.endswith(".md")
            ]
    assert set(PAGES) - found == {DOCS / "maintainers" / "ecosystem.md"}, "Only maintainers need this page"


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_a_page_is_read_in_one_sitting(page: Path) -> None:
    """A longer one is divided at a natural seam. Tables that a command writes do not count."""
    written = re.compile(r"^<!-- [\w ]+, written by: .*?^<!-- end of .*?$", re.MULTILINE | re.DOTALL)
    assert len(written.sub("", page.read_text()).splitlines()) <= 250


@pytest.mark.parametrize("page", [*PAGES, *FRONT], ids=relative)
def test_json_on_a_page_is_json(page: Path) -> None:
    for block in blocks(page, "json"):
        json.loads(block)


@pytest.mark.parametrize("page", [*PAGES, *FRONT, ROOT / "Makefile"], ids=relative)
def test_a_make_target_that_is_named_is_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^|\")make ([a-z][a-z0-9-]*)", page.read_text(), re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("page", [*PAGES, *FRONT], ids=relative)
def test_an_option_of_the_emulator_that_is_named_is_one(page: Path) -> None:
    options = set(re.findall(r"--[a-z0-9-]+", _parser().format_help()))
    lines = [line for line in page.read_text().splitlines() if "datalore-emulator" in line]
    assert {option for line in lines for option in re.findall(r"--[a-z0-9-]+", line)} <= options


@pytest.mark.parametrize(
    ("documented", "page"),
    [
        (DataloreRunNotebookOperator, "howto/run-notebook.md"),
        (DataloreDownloadArtifactsOperator, "howto/keep-artifacts.md"),
        (DataloreInteractiveRunOperator, "howto/interactive-run.md"),
        (DataloreUploadFileOperator, "howto/notebook-files.md"),
        (DataloreDownloadFileOperator, "howto/notebook-files.md"),
        (DataloreRunSensor, "howto/wait-for-run.md"),
        (DataloreRunTrigger, "howto/own-operator.md"),
        (DataloreNotebookTrigger, "howto/start-dags-from-datalore.md"),
    ],
)
def test_each_argument_has_a_line_on_its_page(documented: type, page: str) -> None:
    parameters = inspect.signature(documented).parameters.values()
    arguments = {each.name for each in parameters if each.kind is not inspect.Parameter.VAR_KEYWORD}
    assert arguments <= set(re.findall(r"^\| `(\w+)` \|", (DOCS / page).read_text(), re.MULTILINE))


def test_each_field_of_the_extra_has_a_line_on_the_page_about_the_connection() -> None:
    lines = set(re.findall(r"^\| `(\w+)` \|", (DOCS / "connection.md").read_text(), re.MULTILINE))
    assert lines == _NOT_HEADERS - FOR_THE_HTTP_CONNECTION


def test_each_xcom_key_is_on_the_page_that_promises_them() -> None:
    page = (DOCS / "reference.md").read_text().partition("## XComs")[2].partition("\n## ")[0]
    keys = {value for name, value in vars(xcom).items() if name.isupper()}
    promised = {key.removesuffix("<name>") for key in re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)}
    others = set(re.findall(r"`(\w+)`", page.partition("for the package itself, and may change:")[2]))
    assert promised | others == keys
    assert not promised & others


def test_the_diagram_is_up_to_date() -> None:
    assert diagram.TARGET.read_text() == diagram.svg(), "Draw it again with: python -m dev.diagram"


def layers_of_the_contract() -> list[set[str]]:
    """The layers that import-linter checks, from the top down; each module by the name of its file or folder."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    [contract] = [contract for contract in settings["contracts"] if contract["type"] == "layers"]
    package = ROOT / "airflow_provider_datalore"
    names = [re.split(r" [|:] ", layer) for layer in contract["layers"]]
    return [{f"{name}/" if (package / name).is_dir() else f"{name}.py" for name in layer} for layer in names]


def test_the_diagram_shows_the_layers_of_the_contract() -> None:
    top, *rest = layers_of_the_contract()
    assert [set(members) for members in diagram.LAYERS.values()] == [top - {"emulator/"}, *rest]
    assert "emulator/" in {name for name, *_ in diagram.BESIDE.values()}


def test_the_table_for_contributors_shows_the_layers_of_the_contract() -> None:
    rows = re.findall(r"^\| (\d+) \| (`[^|]+`) \|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    table: dict[int, set[str]] = {}
    for number, names in rows:
        table.setdefault(int(number), set()).update(re.findall(r"`([^`]+)`", names))
    assert table == dict(enumerate(layers_of_the_contract(), 1))
