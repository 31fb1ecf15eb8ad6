"""What the command ``probe`` writes is a Datalore that the emulator plays byte for byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_datalore.emulator.settings import Variant
from tests.cli.probed import LIKES, Probe, answers, check, fields, running, write_notebooks

IN_MAKE_TEST = ("cloud_today", "odd_epoch_times")
"""Each takes a minute, so `make test-faults` runs the others."""
FILES = [
    pytest.param(file, id=file.stem, marks=[] if file.stem in IN_MAKE_TEST else pytest.mark.faults) for file in LIKES
]
ALL = ("--failing-notebook", "me/fails", "--parallel", "3")


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("file", FILES)
def test_a_probed_datalore_is_played_byte_for_byte(file: Path, notebooks: Path, tmp_path: Path, probe: Probe) -> None:
    with running(notebooks, "--like", str(file), data=tmp_path / "a") as probed:
        found = probe(probed, *ALL)
    check(found, fields(file))
    assert set(found) == set(Variant.model_fields)
    (tmp_path / "found.json").write_text(json.dumps(found))
    write_notebooks(notebooks)
    with running(notebooks, "--like", str(file), data=tmp_path / "b") as emulator:
        expected = dict(answers(emulator))
    write_notebooks(notebooks)
    with running(notebooks, "--like", str(tmp_path / "found.json"), data=tmp_path / "c") as emulator:
        assert dict(answers(emulator)) == expected
