"""The command ``probe`` finds each variant of the emulator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_datalore.cli.__main__ import main
from tests.cli.conftest import Connect
from tests.cli.probed import Probe, check, running


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("status", ["400", "403", "409"])
def test_how_runs_over_the_limit_are_refused_is_found(
    status: str, notebooks: Path, tmp_path: Path, probe: Probe
) -> None:
    options = ("--over-limit", status, "--parallel-limit", "1", "--no-notebook-api")
    with running(notebooks, *options, data=tmp_path / "data") as emulator:
        found = probe(emulator, "--parallel", "2")
    check(found, {"over_limit": status, "parallel_limit": 1, "notebook_api": False})
    assert found["retry_after"] is None


def test_what_the_options_do_not_ask_for_is_not_found_out(notebooks: Path, tmp_path: Path, probe: Probe) -> None:
    with running(notebooks, "--no-notebook-api", data=tmp_path / "data") as emulator:
        found = probe(emulator)
        assert emulator.log()["interactive"]["started"] == {"me/works": 1}
    unknown = {"failed_artifacts", "over_limit", "parallel_limit", "retry_after", "booting", "crashed_cell"}
    assert {name for name in unknown if found[name] is not None} == set()


@pytest.mark.parametrize("scope", ["NOTEBOOK_API", "WORKSPACE", "USER_FULL"])
def test_the_scope_that_runs_require_is_found_with_a_lesser_token(
    scope: str, notebooks: Path, tmp_path: Path, probe: Probe
) -> None:
    options = ("--token", "a-lesser-token", "--scope", "a-lesser-token=USER_BASIC", "--run-api-scope", scope)
    with running(notebooks, *options, data=tmp_path / "data") as emulator:
        found = probe(emulator, token="a-lesser-token", code=1)
        assert emulator.log()["runs"]["total"] == 0
    check(found, {"run_api_scope": scope, "scope_challenge": True})


def test_the_least_scope_and_a_missing_challenge_are_found(notebooks: Path, tmp_path: Path, probe: Probe) -> None:
    options = ("--token", "a-lesser-token", "--scope", "a-lesser-token=USER_BASIC", "--run-api-scope", "USER_BASIC")
    with running(notebooks, *options, "--no-scope-challenge", data=tmp_path / "data") as emulator:
        found = probe(emulator, token="a-lesser-token")
    check(found, {"run_api_scope": "USER_BASIC", "scope_challenge": False, "notebook_api": True})


@pytest.mark.parametrize("status", ["403", "404"])
def test_what_a_token_of_one_notebook_gets_elsewhere_is_found(
    status: str, notebooks: Path, tmp_path: Path, probe: Probe
) -> None:
    options = ("--token", "a-notebooks-token", "--notebook-token", "a-notebooks-token=me/works")
    variant = ("--notebook-token-elsewhere", status)
    with running(notebooks, *options, *variant, data=tmp_path / "data") as emulator:
        found = probe(emulator, "--failing-notebook", "me/fails", token="a-notebooks-token")
    check(found, {"notebook_token_elsewhere": status, "failed_artifacts": None})


# What it says, and what it does not


def test_it_says_in_words_what_differs_and_writes_nothing_private(
    notebooks: Path, tmp_path: Path, probe: Probe, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--times", "epoch-ms", "--running-status", "IN PROGRESS", "--no-workspaces-api")
    before = (notebooks / "works.ipynb").read_bytes()
    with running(notebooks, *options, data=tmp_path / "data") as emulator:
        probe(emulator)
    printed = capsys.readouterr().out
    assert "This runs notebook me/works on " in printed
    assert "- Format of times: epoch-ms, not iso (times). The package reads every form of times." in printed
    assert "- Status of a run that executes; empty for no status: IN PROGRESS, not RUNNING (running_status)." in printed
    content = (tmp_path / "probe.json").read_text()
    for private in (emulator.token, "127.0.0.1", "me/", str(tmp_path), "worked"):
        assert private not in content
    sources = [cell["source"] for cell in json.loads(before)["cells"]]
    assert [cell["source"] for cell in json.loads((notebooks / "works.ipynb").read_text())["cells"]] == sources


def test_without_consent_nothing_happens(
    notebooks: Path, tmp_path: Path, connect: Connect, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(notebooks, data=tmp_path / "data") as emulator:
        connect(emulator.url, emulator.token)
        with pytest.raises(SystemExit) as ended:
            main(["probe", "--conn-id", "dl", "--notebook", "me/works", "--output", str(tmp_path / "probe.json")])
        assert ended.value.code == 2
        assert emulator.log()["requests"] == {}
    assert capsys.readouterr().err == "datalore probe: consent is required: answer in a terminal, or add --yes.\n"
    assert not (tmp_path / "probe.json").exists()


@pytest.mark.parametrize(("answer", "agrees"), [("y", True), ("yes", True), ("", False), ("no", False)])
def test_consent_is_asked_for_in_a_terminal(monkeypatch: pytest.MonkeyPatch, answer: str, agrees: bool) -> None:
    from airflow_provider_datalore.cli.probe import consent

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    assert consent.ask(["This runs a notebook."], agreed=False) is agrees


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--notebook", "works"], "--notebook: 'works' is not the id of a notebook."),
        (["--notebook", "me/works", "--failing-notebook", "x"], "--failing-notebook: "),
        (["--notebook", "me/works", "--parallel", "1"], "--parallel is 1; it must be between 2 and 50."),
        (["--notebook", "me/works", "--output", "/no/such/folder/f.json"], "--output: there is no folder "),
    ],
)
def test_mistakes_in_arguments_are_one_line(
    connect: Connect, capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    connect("http://127.0.0.1:1")
    with pytest.raises(SystemExit) as ended:
        main(["probe", "--conn-id", "dl", "--yes", *arguments])
    assert ended.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"datalore probe: {reason}")


def test_a_refused_token_is_one_line(
    notebooks: Path, tmp_path: Path, connect: Connect, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(notebooks, data=tmp_path / "data") as emulator:
        connect(emulator.url, "a-token-of-last-year")
        with pytest.raises(SystemExit) as ended:
            main(["probe", "--conn-id", "dl", "--notebook", "me/works", "--yes", "--output", str(tmp_path / "p.json")])
    assert ended.value.code == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "401 Unauthorized" in line
