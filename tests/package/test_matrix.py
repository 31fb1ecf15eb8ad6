"""The matrix of tests: what belongs to it, and that its table is not written with less."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev import matrix
from dev.environment import Wish


@pytest.mark.parametrize(
    "arguments", [["--only", "typo"], ["--only", "airflow-3.3.2", "--write-table=docs/installation.md"]]
)
def test_less_than_was_meant_is_refused(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "run_all", lambda *_: pytest.fail("it ran"))
    with pytest.raises(SystemExit) as refused:
        matrix.main(arguments)
    assert refused.value.code == 2


def test_a_python_that_is_not_installed_is_missed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_314(wish: Wish) -> bool:
        return wish.python != "3.14"

    monkeypatch.setattr(matrix.cells, "__defaults__", (without_314,))
    monkeypatch.setattr(matrix, "run_all", lambda *_: pytest.fail("it ran"))
    with pytest.raises(SystemExit):
        matrix.main(["--write-table=docs/installation.md"])
    assert "airflow-3.2.2-python-3.14, airflow-3.3.2-python-3.14" in capsys.readouterr().err


def test_a_table_without_a_new_python_or_airflow_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "installation.md"
    columns = "".join(f" Python {python} |" for python in matrix.PYTHONS)
    rows = "".join(f"| Airflow {airflow} |\n" for airflow in matrix.AIRFLOWS)
    page.write_text(f"{matrix.BEGIN}\n|  |{columns}\n{rows}{matrix.END}\n")
    matrix.main([f"--check-table={page}"])
    page.write_text(page.read_text().replace(" Python 3.14 |", "").replace("| Airflow 3.3.2 |\n", ""))
    with pytest.raises(SystemExit, match=r"lacks Python 3\.14, Airflow 3\.3\.2:"):
        matrix.main([f"--check-table={page}"])
