"""The Datalore of the fault scenarios: an emulator that can be cut off, and a notebook that waits until released."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from nbformat import NotebookNode

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client, code, write_notebook
from tests.emulator.notebook_client import Notebook
from tests.faults.forwarder import Forwarder

CONN_ID = "datalore_faults"
"""Not the one of the example DAGs, which are in the same Airflow."""
REQUEST_TIMEOUT = 30
"""Seconds that a request may take, by the connection's extra."""
PARALLEL_RUNS = 8

_DEFAULTS = """
name = ""
number = 0
"""
_WAIT_TO_BE_LET_GO = """
import time
from pathlib import Path

gate = Path("%FOLDER%", f"{name}.go")
deadline = time.monotonic() + 900
while not gate.exists():
    assert time.monotonic() < deadline, f"nobody let {name} go"
    time.sleep(0.1)
assert gate.read_text() == "well", f"{name} was told to fail"
"""

_SAY_WHO_WAITS = """
import os

Path("%FOLDER%", f"{name}.pid").write_text(str(os.getpid()))
"""

_RAN = """
import time
from pathlib import Path

with Path("%FOLDER%", "{name}.ran").open("a") as ran:
    print({number}, file=ran)
v{number} = {value}
"""
_HOLD = """
print("held in cell {number}", flush=True)
while not Path("%FOLDER%", "{name}.go").exists():
    time.sleep(0.1)
"""
_FAIL = """
assert Path("%FOLDER%", "{name}.mended").exists(), "not mended"
"""

Rule = Mapping[str, Any]


class FaultyDatalore:
    """An emulator behind a :class:`Forwarder`, with the notebook ``me/held``.

    :param folder: where it keeps everything.
    """

    def __init__(self, folder: Path) -> None:
        self.tokens = [secrets.token_urlsafe(24)]
        self._notebooks = folder / "notebooks"
        self._gates = self._notebooks / "me"
        self._stack = ExitStack()
        self.emulator = EmulatorProcess(
            self._notebooks, "--max-parallel-runs", str(PARALLEL_RUNS), token=self.tokens[0]
        )

    def __enter__(self) -> Self:
        self._write("held", code(_DEFAULTS, "parameters"), _WAIT_TO_BE_LET_GO)
        with ExitStack() as stack:
            stack.enter_context(self.emulator)
            port = urlsplit(self.emulator.url).port
            assert port is not None
            self.road = stack.enter_context(Forwarder(port))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def connection(self) -> dict[str, str]:
        """The fields of the Airflow Connection."""
        return {
            "conn_type": "datalore",
            "host": f"http://127.0.0.1:{self.road.port}",
            "password": self.tokens[-1],
            "extra": json.dumps({"timeout": REQUEST_TIMEOUT}),
        }

    @property
    def notebook_url(self) -> str:
        """The address of the notebook as users see it."""
        return f"{self.connection['host']}/notebook/me/held"

    def let_go(self, name: str, ending: Literal["well", "badly"] = "well") -> None:
        """Lets the runs of this name end, those that come later as well."""
        gate = self._gates / f"{name}.go"
        beside = gate.with_suffix(".new")
        beside.write_text(ending)
        beside.rename(gate)

    def write_in_place(self, name: str) -> None:
        """Writes a notebook that runs of this name execute in place: ``me/in-place-<name>``."""
        set_name = f"from pathlib import Path\n\nname = {name!r}"
        self._write(f"in-place-{name}", set_name, _SAY_WHO_WAITS, _WAIT_TO_BE_LET_GO)

    def write_cells(
        self, name: str, count: int = 12, *, held: int = 0, fails: int = 0, worksheets: int = 1
    ) -> Notebook:
        """Writes ``me/cells-<name>``: each cell notes that it ran, and needs a variable of the one before it.

        :param held: the cell that waits until the runs of this name are let go.
        :param fails: the cell that fails until it is mended.
        """
        cells = []
        for number in range(1, count + 1):
            value = f"v{number - 1} + 1" if number > 1 else "1"
            source = _RAN + (_HOLD if number == held else "") + (_FAIL if number == fails else "")
            if number == count:
                source += f"assert v{count} == {count}\n"
            source = source.replace("{name}", name).replace("{number}", str(number)).replace("{value}", value)
            cell = code(source.replace("%FOLDER%", str(self._gates)))
            cell.metadata["datalore"] = {"worksheet": (number - 1) * worksheets // count}
            cells.append(cell)
        self._write(f"cells-{name}", *cells)
        return Notebook(Client(self.emulator), f"me/cells-{name}")

    def mend(self, name: str) -> None:
        """Makes the cell that fails succeed from now on."""
        (self._gates / f"{name}.mended").touch()

    def ran(self, name: str) -> dict[int, int]:
        """How often each cell of ``me/cells-<name>`` was executed, by its number."""
        path = self._gates / f"{name}.ran"
        numbers = list(map(int, path.read_text().split())) if path.exists() else []
        return {number: numbers.count(number) for number in sorted(numbers)}

    def _write(self, name: str, *cells: str | NotebookNode) -> None:
        """Writes a notebook of ``me``; its cells find the gates wherever they execute."""
        found = [each.replace("%FOLDER%", str(self._gates)) if isinstance(each, str) else each for each in cells]
        write_notebook(self._notebooks, name, *found, owner="me")

    def kernel_in_place(self, name: str) -> int:
        """The process id of the kernel in which a run in place of this name waits; 0 before it does."""
        pid = self._gates / f"{name}.pid"
        return int(pid.read_text() or 0) if pid.exists() else 0

    def asked_in_place(self, name: str, what: str = "started") -> int:
        """How often a run in place of this name was asked for; or how often its kernel was, with ``"polls"``."""
        count: int = self.emulator.log()["interactive"][what].get(f"me/in-place-{name}", 0)
        return count

    def hold(self, name: str) -> None:
        """Makes later runs of this name go on again until they are let go."""
        (self._gates / f"{name}.go").unlink()

    def runs(self, name: str) -> list[Any]:
        """The runs of this name that were asked for, the oldest first."""
        return [run for run in self.emulator.runs() if run["parameters"].get("name") == name]

    def polls(self, name: str) -> list[int]:
        """How often the status of each run of this name has been told."""
        polls = self.emulator.log()["polls"]["runs"]
        return [polls.get(run["run_id"], 0) for run in self.runs(name)]

    def requests_to_run(self) -> int:
        """How many runs were asked for in all, whatever was answered."""
        count: int = self.emulator.log()["requests"].get("POST /api/run/v1/notebook", 0)
        return count

    def misbehave(self, *rules: Rule) -> None:
        """Misbehaves from now on as these rules say; see the emulator's documentation."""
        self.emulator.set_faults(rules)

    def injected(self) -> int:
        """How many requests have met a fault since :meth:`misbehave`."""
        return sum(rule["injected"] for rule in self.emulator.log()["faults"])

    def new_token(self) -> str:
        """A further token that is valid, beside the one that is valid now."""
        self.tokens.append(secrets.token_urlsafe(24))
        self.emulator.set_tokens(*self.tokens[-2:])
        return self.tokens[-1]

    def revoke_old_token(self) -> None:
        """Makes the newest token the only valid one."""
        self.emulator.set_tokens(self.tokens[-1])
