"""Draws docs/architecture.svg: the layers of the package, each above those that it may import."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "docs" / "architecture.svg"

LAYERS = {
    "DAG files, Airflow's UI, the command line": {
        "plugin/": "the tab in the UI",
        "decorators/": "@task.datalore_notebook",
        "cli/": "doctor, probe, lock, check",
    },
    "Tasks, as a DAG author writes them": {
        "operators/": "runs, files, artifacts",
        "sensors/": "wait for a run",
    },
    "Waiting without a worker slot, and what Airflow shows": {
        "triggers/": "wait, and start DAGs",
        "links/": "buttons in the UI",
        "lineage/": "for OpenLineage",
        "summary.py": "for callbacks",
    },
    "A task around its run": {
        "tasks/": "store the run, defer, resume, outcome",
    },
    "The Airflow connection": {
        "hooks/": "DataloreHook, DataloreAsyncHook, DataloreNotebook",
    },
    "Notebooks by name": {
        "catalog/": "a committed file with the controls of each notebook",
    },
    "Requests, storage, files": {
        "transport/": "requests, aiohttp",
        "assets/": "notebooks as assets",
        "storage.py": "complete files",
        "notebooks/": "failures, values",
    },
    "Datalore's API: no Airflow, no socket, no clock": {
        "api/": "calls, models, flows that wait",
        "metrics.py": "for Airflow's stats",
        "settings.py": "Airflow's configuration",
    },
    "Used by all layers": {
        "exceptions.py": "what can go wrong",
        "error_details.py": "types of details",
        "run_state.py": "state of a run",
        "wording.py": "errors as lines",
        "defaults.py": "default values",
        "durations.py": "time limits",
        "xcom.py": "XCom keys",
        "get_provider_info.py": "what Airflow reads",
    },
}
"""The layers of the import contract from the top down: their packages and modules, and what these are for."""
BESIDE = {
    "Requests, storage, files": ("Datalore", ["two APIs, over HTTP"], "#fff6e5", "#d9a441"),
    "Used by all layers": ("emulator/", ["a local Datalore,", "shares no code with the rest"], "#eef1fb", "#7b8bc4"),
}
"""What is drawn to the right of a layer. The emulator is in the top layer of the contract."""
ABOVE_FLOW = "Requests, storage, files"
"""The layer whose drivers carry out the flows of the layer below it."""

WIDTH, LEFT, ROW_WIDTH, ROW_HEIGHT, GAP, FLOW_GAP = 820, 28, 560, 72, 20, 44
IN_A_LINE, LINE_HEIGHT = 4, 48
BESIDE_LEFT, BESIDE_WIDTH = 628, 164
INK, ARROW, FLOW = "#33574a", "#5b6b7b", "#9a6a00"


def svg() -> str:
    """The diagram, with its own background, so that it is readable on light and dark pages."""
    tops = _tops()
    bottom = max(tops[title] + _height(members) for title, members in LAYERS.items()) + 24
    middle = BESIDE_LEFT + BESIDE_WIDTH / 2
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom}" width="{WIDTH}" height="{bottom}" '
        'role="img" font-family="system-ui, sans-serif">',
        "<title>The layers of the package; imports go downwards only</title>",
        f"<defs>{_tip('tip', ARROW)}{_tip('flow-tip', FLOW)}</defs>",
        _box(0, 0, WIDTH, bottom, "#ffffff", "#d5dde5"),
        _text(middle, 50, "Imports go downwards only", 12, ARROW, bold=True),
    ]
    for number, (title, members) in enumerate(LAYERS.items(), 1):
        lines += _layer(tops[title], f"{number}  {title}", members)
        if number < len(LAYERS):
            gap = FLOW_GAP if title == ABOVE_FLOW else GAP
            lines.append(_arrow(f"M{LEFT + ROW_WIDTH / 2:g} {tops[title] + _height(members) + 1}v{gap - 3}"))
    for title, (name, words, fill, edge) in BESIDE.items():
        lines.append(_box(BESIDE_LEFT, tops[title], BESIDE_WIDTH, ROW_HEIGHT, fill, edge))
        lines.append(_text(middle, tops[title] + 28, name, 13, INK, bold=True))
        lines += [_text(middle, tops[title] + 45 + 15 * number, word, 11, INK) for number, word in enumerate(words)]
    lines += _flow(tops[ABOVE_FLOW] + _height(LAYERS[ABOVE_FLOW]))
    datalore, emulator = (tops[title] for title in BESIDE)
    lines.append(_arrow(f"M{LEFT + ROW_WIDTH + 2} {datalore + ROW_HEIGHT / 2:g}H{BESIDE_LEFT - 3}"))
    lines.append(_arrow(f"M{middle:g} {emulator - 2}V{datalore + ROW_HEIGHT + 3}", dashed=True))
    return "\n".join([*lines, "</svg>", ""])


def _tops() -> dict[str, int]:
    """The vertical position of each layer."""
    tops, top = {}, 24
    for title, members in LAYERS.items():
        tops[title] = top
        top += _height(members) + (FLOW_GAP if title == ABOVE_FLOW else GAP)
    return tops


def _height(members: dict[str, str]) -> int:
    return ROW_HEIGHT + (len(members) - 1) // IN_A_LINE * LINE_HEIGHT


def _layer(top: int, title: str, members: dict[str, str]) -> Iterator[str]:
    yield _box(LEFT, top, ROW_WIDTH, _height(members), "#f3f7fa", "none")
    yield f'<text x="{LEFT + 12}" y="{top + 17}" font-size="11" fill="{ARROW}">{title}</text>'
    columns = min(len(members), IN_A_LINE)
    width = (ROW_WIDTH - 24 - 10 * (columns - 1)) / columns
    for number, (name, purpose) in enumerate(members.items()):
        line, column = divmod(number, IN_A_LINE)
        left, above = LEFT + 12 + column * (width + 10), top + 24 + line * LINE_HEIGHT
        yield _box(left, above, width, 40, "#e4f6ee", "#4da582")
        yield _text(left + width / 2, above + 17, name, 13 if len(name) * 8 < width else 10, "#12372a", bold=True)
        yield _text(left + width / 2, above + 32, purpose, 11 if len(purpose) * 6 < width else 9, INK)


def _flow(top: int) -> Iterator[str]:
    """The flow protocol, in the gap between two layers."""
    up, down = LEFT + 60, LEFT + ROW_WIDTH / 2 + 60
    yield _arrow(f"M{up} {top + FLOW_GAP - 3}v{6 - FLOW_GAP}", colour=FLOW, tip="flow-tip")
    yield _arrow(f"M{down:g} {top + 3}v{FLOW_GAP - 6}", colour=FLOW, tip="flow-tip")
    for left, words in ((up, "a flow yields Call, Sleep, Refresh"), (down, "and is sent a Response")):
        yield f'<text x="{left + 10:g}" y="{top + FLOW_GAP / 2 + 4:g}" font-size="11" fill="{FLOW}">{words}</text>'


def _box(left: float, top: float, width: float, height: float, fill: str, edge: str) -> str:
    return (
        f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" rx="7" fill="{fill}" stroke="{edge}"/>'
    )


def _text(middle: float, baseline: float, words: str, size: int, colour: str, *, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{middle:g}" y="{baseline:g}" font-size="{size}"{weight} fill="{colour}" '
        f'text-anchor="middle">{words}</text>'
    )


def _arrow(path: str, *, dashed: bool = False, colour: str = ARROW, tip: str = "tip") -> str:
    dashes = ' stroke-dasharray="4 4"' if dashed else ""
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5"{dashes} marker-end="url(#{tip})"/>'


def _tip(name: str, colour: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        f'<path d="M0 0 8 4 0 8z" fill="{colour}"/></marker>'
    )


if __name__ == "__main__":
    TARGET.write_text(svg())
