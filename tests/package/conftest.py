"""The package as it goes to the package index, built once."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.package import build

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sdist and the wheel."""
    return build(tmp_path_factory.mktemp("dist"))
