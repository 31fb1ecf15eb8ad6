"""Notebooks with Jupyter widgets: every run ends, and what widgets display is in the executed copy."""

from __future__ import annotations

from typing import Any

import nbformat
import pytest

from tests.emulator.emulator_client import Client, Write, printed
from tests.emulator.notebook_client import Notebook

STATE = "application/vnd.jupyter.widget-state+json"
OUTPUT = "import ipywidgets\nout = ipywidgets.Output()\nout"


def widgets(notebook: nbformat.NotebookNode, model: str) -> list[dict[str, Any]]:
    """The states of all widgets of one kind, as Jupyter saves them."""
    saved = notebook.metadata.widgets[STATE]
    assert (saved["version_major"], saved["version_minor"]) == (2, 0)
    return [each["state"] for each in saved["state"].values() if each["model_name"] == model]


def captured(notebook: nbformat.NotebookNode) -> list[str]:
    """What was printed into each output widget."""
    return [
        "".join(output.get("text", "") for output in state.get("outputs", ()))
        for state in widgets(notebook, "OutputModel")
    ]


def test_a_run_with_many_output_widgets_ends(client: Client, notebook: Write) -> None:
    interact = "from ipywidgets import interact\nfor _ in range(20): interact(lambda x: print('shown', x), x=1)"
    prints = "with out:\n    for i in range(20): print('into', i)\nprint('beside')"
    run = client.run(notebook(OUTPUT, *[interact, prints] * 10))
    assert run["success"] is True
    executed = client.executed(run)
    assert sorted(set(captured(executed))) == ["".join(f"into {i}\n" for i in range(20)) * 10, "shown 1\n"]
    assert printed(executed) == "beside\n" * 10


def test_the_kernel_sees_what_was_printed_into_an_output_widget(client: Client, notebook: Write) -> None:
    run = client.run(notebook(OUTPUT, "with out: print('into')", "assert out.outputs[0]['text'] == 'into\\n'"))
    assert run["success"] is True


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ("with out: 1 / 0", "ZeroDivisionError"),
        ("with out: display('shown')", "shown"),
        ("out.append_stdout('appended')", "appended"),
        ("with out:\n    print('old')\n    out.clear_output()\n    print('new')", "new"),
        ("with out:\n    print('old')\n    out.clear_output(wait=True)\n    print('new')", "new"),
    ],
    ids=["error", "display", "append", "clear", "clear-later"],
)
def test_each_kind_of_output_is_captured(client: Client, notebook: Write, source: str, kept: str) -> None:
    executed = client.executed(client.run(notebook(OUTPUT, source)))
    [state] = widgets(executed, "OutputModel")
    assert kept in str(state["outputs"])
    assert "old" not in str(state["outputs"])


def test_an_output_widget_inside_of_another_captures_its_own(client: Client, notebook: Write) -> None:
    nested = (
        "inner = ipywidgets.Output()\nwith out:\n    print('outer')\n    with inner: print('inner')\n    print('end')"
    )
    executed = client.executed(client.run(notebook(OUTPUT, nested)))
    assert sorted(captured(executed)) == ["inner\n", "outer\nend\n"]


def test_a_progress_bar_is_in_the_executed_copy(client: Client, notebook: Write) -> None:
    loop = "from tqdm.notebook import tqdm\nfor _ in tqdm(range(3), desc='rows'): print('row')"
    executed = client.executed(client.run(notebook(loop)))
    [bar] = widgets(executed, "FloatProgressModel")
    assert (bar["value"], bar["max"]) == (3.0, 3.0)
    assert "rows" in str([state["value"] for state in widgets(executed, "HTMLModel")])


def test_the_language_is_in_the_executed_copy(client: Client, notebook: Write) -> None:
    run = client.run(notebook("1"))
    language = client.executed(run).metadata.language_info
    assert (language.name, language.file_extension, language.mimetype) == ("python", ".py", "text/x-python")


def test_an_invalid_message_of_a_widget_does_not_end_the_run(client: Client, notebook: Write) -> None:
    comm = "from comm import create_comm\ncreate_comm(target_name='jupyter.widget', data={'state': {}})\nprint('ran')"
    run = client.run(notebook(comm))
    assert run["success"] is True
    assert client.executed(run).cells[0].outputs[0].text == "ran\n"


def test_an_interactive_run_writes_its_widgets_into_the_file(client: Client, notebook: Write, datalore: Any) -> None:
    opened = Notebook(client, notebook("out = globals().get('out')", OUTPUT, "with out: print('into')", name="saved"))
    for _ in range(2):
        opened.run_to_end()
        file = nbformat.read(datalore.folder / "saved.ipynb", as_version=4)
        assert captured(file)[-1] == "into\n"
        assert file.metadata.language_info.name == "python"
    opened.call("agent/stop")


def test_an_output_widget_of_an_earlier_interactive_run_still_captures(
    client: Client, notebook: Write, datalore: Any
) -> None:
    first = "import ipywidgets\nout = globals().get('out') or ipywidgets.Output()\nwith out: print('into')"
    opened = Notebook(client, notebook(first, name="twice"))
    opened.run_to_end()
    opened.run_to_end()
    assert captured(nbformat.read(datalore.folder / "twice.ipynb", as_version=4)) == ["into\ninto\n"]
    opened.call("agent/stop")
