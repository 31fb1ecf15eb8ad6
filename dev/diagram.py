"""Knows how docs/architecture.svg is drawn: the rooms of the package, each above those that it may import."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "docs" / "architecture.svg"

ROWS = {
    "What a DAG author writes, and what Airflow's UI shows": {
        "plugin/": "the tab in the UI",
        "decorators/": "@task.datalore_notebook",
        "operators/": "run, files, artifacts",
        "sensors/": "wait for a run",
    },
    "What a task does with a run": {
        "lineage/": "for OpenLineage",
        "resuming.py": "the trigger is gone",
        "interactive_outcome.py": "run in place",
        "outcome.py": "XCom, links, failure",
    },
    "What it keeps, how it waits without a worker, what it shows": {
        "artifacts.py": "which files, which names",
        "triggers/": "each sends one event",
        "links/": "buttons",
    },
    "The Airflow connection, assets and storage": {
        "hooks/": "requests, and aiohttp",
        "assets/": "notebooks as assets",
        "storage.py": "complete files, or none",
    },
    "What Datalore speaks": {
        "api/": "models, calls, how to wait: no socket",
        "notebooks/": "failures and values",
    },
    "Everywhere": {
        "exceptions.py": "what can go wrong",
        "defaults.py": "where nothing is said",
        "get_provider_info.py": "what Airflow reads",
    },
}
"""The rooms from the top down, and what each knows."""
BESIDE = {
    "The Airflow connection, assets and storage": ("Datalore", ["two APIs, over HTTP"], "#fff6e5", "#d9a441"),
    "Everywhere": ("emulator/", ["plays Datalore,", "imports nothing of the rest"], "#eef1fb", "#7b8bc4"),
}

WIDTH, LEFT, ROW_WIDTH, ROW_HEIGHT, GAP = 820, 28, 560, 72, 20
BESIDE_LEFT, BESIDE_WIDTH = 628, 164
HEIGHT = 24 + len(ROWS) * (ROW_HEIGHT + GAP) + 4
INK, ARROW = "#33574a", "#5b6b7b"


def svg() -> str:
    """The diagram; on a ground of its own, so that it reads well on light and dark pages."""
    tops = {title: 24 + number * (ROW_HEIGHT + GAP) for number, title in enumerate(ROWS)}
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'role="img" font-family="system-ui, sans-serif">',
        "<title>The rooms of the package; imports go downwards only</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        f'<path d="M0 0 8 4 0 8z" fill="{ARROW}"/></marker></defs>',
        _box(0, 0, WIDTH, HEIGHT, "#ffffff", "#d5dde5"),
        _text(BESIDE_LEFT + BESIDE_WIDTH / 2, 50, "Imports go downwards only", 12, ARROW, bold=True),
    ]
    for title, rooms in ROWS.items():
        lines += _row(tops[title], title, rooms)
    for title, (name, words, fill, edge) in BESIDE.items():
        lines.append(_box(BESIDE_LEFT, tops[title], BESIDE_WIDTH, ROW_HEIGHT, fill, edge))
        middle = BESIDE_LEFT + BESIDE_WIDTH / 2
        lines.append(_text(middle, tops[title] + 28, name, 13, INK, bold=True))
        lines += [_text(middle, tops[title] + 45 + 15 * number, word, 11, INK) for number, word in enumerate(words)]
    datalore, emulator = (tops[title] for title in BESIDE)
    lines.append(_arrow(f"M{LEFT + ROW_WIDTH + 2} {datalore + ROW_HEIGHT / 2:g}H{BESIDE_LEFT - 3}"))
    lines.append(_arrow(f"M{BESIDE_LEFT + BESIDE_WIDTH / 2:g} {emulator - 2}V{datalore + ROW_HEIGHT + 3}", dashed=True))
    return "\n".join([*lines, "</svg>", ""])


def _row(top: int, title: str, rooms: dict[str, str]) -> Iterator[str]:
    yield _box(LEFT, top, ROW_WIDTH, ROW_HEIGHT, "#f3f7fa", "none")
    yield f'<text x="{LEFT + 12}" y="{top + 17}" font-size="11" fill="{ARROW}">{title}</text>'
    width = (ROW_WIDTH - 24 - 10 * (len(rooms) - 1)) / len(rooms)
    for number, (name, knows) in enumerate(rooms.items()):
        left = LEFT + 12 + number * (width + 10)
        yield _box(left, top + 24, width, 40, "#e4f6ee", "#4da582")
        yield _text(left + width / 2, top + 41, name, 13 if len(name) * 8 < width else 9, "#12372a", bold=True)
        yield _text(left + width / 2, top + 56, knows, 11 if len(knows) * 6 < width else 9, INK)
    if top + ROW_HEIGHT + GAP + 4 < HEIGHT:
        yield _arrow(f"M{LEFT + ROW_WIDTH / 2:g} {top + ROW_HEIGHT + 1}v{GAP - 3}")


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


def _arrow(path: str, *, dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="4 4"' if dashed else ""
    return f'<path d="{path}" fill="none" stroke="{ARROW}" stroke-width="1.5"{dashes} marker-end="url(#tip)"/>'


if __name__ == "__main__":
    TARGET.write_text(svg())
