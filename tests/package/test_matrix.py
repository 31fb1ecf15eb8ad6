"""The matrix of tests: what belongs to it, and that its table is not written with less."""

from __future__ import annotations

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
