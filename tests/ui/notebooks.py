"""Notebooks that show, or try, something."""

from __future__ import annotations

from pathlib import Path

import nbformat

from tests.emulator.emulator_client import code, write_notebook

FAILING = "me/failing"
HELD = "me/held"
"""Goes on until a file ``<region>.go`` lies beside it."""
HOSTILE = "me/hostile"

_DEFAULTS = 'region = ""\nfrom_date = ""\nto_date = ""'
_WAIT = """
import time
from pathlib import Path

deadline = time.monotonic() + 300
while not Path(f"{region}.go").exists():
    assert time.monotonic() < deadline, f"nobody let {region} go"
    time.sleep(0.1)
print(f"{region} was let go")
"""


def write_notebooks(folder: Path) -> None:
    """Put them into the emulator's folder."""
    parameters = code(_DEFAULTS, "parameters")
    text = nbformat.v4.new_markdown_cell("# Revenue\n" + "\n\n".join(["Some words about it."] * 60))
    write_notebook(
        folder, "failing", parameters, text, "print('before')", "revenue = {}\nrevenue[region]", "print('after')", owner="me"
    )
    write_notebook(folder, "held", parameters, _WAIT, owner="me")
