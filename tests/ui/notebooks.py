"""Notebooks for the tests of the tab."""

from __future__ import annotations

from pathlib import Path

import nbformat

from tests.emulator.emulator_client import code, write_notebook

FAILING = "me/failing"
SECRET = "team/secret"
CHANGING = "me/changing"
HELD = "me/held"
"""Runs until the file ``<region>.go`` is in the folder of the notebook; a run has its own copy of the files."""

_ATTACKS = Path(__file__).with_name("hostile.html")

_DEFAULTS = 'region = ""\nfrom_date = ""\nto_date = ""'
_WAIT = """
import time
from pathlib import Path

deadline = time.monotonic() + 300
while not Path("%FOLDER%", f"{region}.go").exists():
    assert time.monotonic() < deadline, f"{region}.go was not created"
    time.sleep(0.1)
print(f"{region} was released")
"""


def write_notebooks(folder: Path) -> None:
    """Write the notebooks to the emulator's folder."""
    parameters = code(_DEFAULTS, "parameters")
    text_source = "# Revenue\n" + "\n\n".join(["Some text."] * 60)
    text = nbformat.v4.new_markdown_cell(text_source)
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


def write_changing_notebook(folder: Path, *, is_edited: bool) -> None:
    """A notebook that works, and one day later does not: one of its cells was edited."""
    draw = """
import matplotlib.pyplot as plt
figure, axes = plt.subplots(figsize=(2, 1))
axes.plot(values)
plt.show()
"""
    write_notebook(
        folder,
        "changing",
        code('region = "North"', "parameters"),
        "values = {'North': [1, 2], 'South': [2, 1]}[region]",
        "import time\nprint('checked at', time.strftime('%H:%M:%S'), 'by', object())",
        draw.strip(),
        "total = sum(values)",
        "print(totals)" if is_edited else "print(total)",
        owner="me",
    )


def hostile_page(airflow: str, elsewhere: str, stun_port: int, last: str) -> str:
    """The page of :func:`write_hostile_notebook`."""
    page = _ATTACKS.read_text()
    named = elsewhere.replace("127.0.0.1", "a-name.elsewhere.example")
    names = {"AIRFLOW": airflow, "ELSEWHERE": elsewhere, "NAMED": named, "STUN": f"127.0.0.1:{stun_port}", "LAST": last}
    for name, value in names.items():
        page = page.replace(f"%{name}%", value)
    return page


def write_hostile_notebook(folder: Path, airflow: str, elsewhere: str, stun_port: int, last: str) -> str:
    """A notebook whose output is a page that tries to access Airflow and to send data to another server.

    :param airflow: the address of Airflow.
    :param elsewhere: the address of the server that records requests.
    :param stun_port: the port of the server for WebRTC.
    :param last: its last action: ``leave`` its page, or ``nest`` another page in it.
    :return: its id.
    """
    page = hostile_page(airflow, elsewhere, stun_port, last)
    shows = f"from IPython.display import HTML\nHTML({page!r})"
    return write_notebook(folder, f"hostile-{last}", code(_DEFAULTS, "parameters"), shows, owner="me")
