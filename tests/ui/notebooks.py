"""Notebooks that show, or try, something."""

from __future__ import annotations

from pathlib import Path

import nbformat

from tests.emulator.emulator_client import code, write_notebook

FAILING = "me/failing"
SECRET = "team/secret"
HELD = "me/held"
"""Goes on until a file ``<region>.go`` lies beside the notebook; the run has files of its own."""

_ATTACKS = Path(__file__).with_name("hostile.html")

_DEFAULTS = 'region = ""\nfrom_date = ""\nto_date = ""'
_WAIT = """
import time
from pathlib import Path

deadline = time.monotonic() + 300
while not Path("%FOLDER%", f"{region}.go").exists():
    assert time.monotonic() < deadline, f"nobody let {region} go"
    time.sleep(0.1)
print(f"{region} was let go")
"""


def write_notebooks(folder: Path) -> None:
    """Put them into the emulator's folder."""
    parameters = code(_DEFAULTS, "parameters")
    words = "# Revenue\n" + "\n\n".join(["Some words about it."] * 60)
    text = nbformat.v4.new_markdown_cell(words)
    write_notebook(
        folder,
        "failing",
        parameters,
        text,
        "print('before')",
        "revenue = {}\nrevenue[region]",
        "print('after')",
        owner="me",
    )
    write_notebook(folder, "secret", parameters, "print('a secret')", owner="team")
    write_notebook(folder, "held", parameters, _WAIT.replace("%FOLDER%", str(folder / "me")), owner="me")


def write_hostile_notebook(folder: Path, airflow: str, elsewhere: str, stun_port: int, last: str) -> str:
    """A notebook whose output is a page that tries to get at Airflow, and to tell somebody elsewhere of it.

    :param airflow: the address of Airflow.
    :param elsewhere: the address of a server that listens for it.
    :param stun_port: the port of one that listens for WebRTC.
    :param last: what it does at last: ``leave`` its page, or ``nest`` another one into it.
    :return: its id.
    """
    page = _ATTACKS.read_text()
    names = {"AIRFLOW": airflow, "ELSEWHERE": elsewhere, "STUN": f"127.0.0.1:{stun_port}", "LAST": last}
    for name, value in names.items():
        page = page.replace(f"%{name}%", value)
    shows = f"from IPython.display import HTML\nHTML({page!r})"
    return write_notebook(folder, f"hostile-{last}", code(_DEFAULTS, "parameters"), shows, owner="me")
