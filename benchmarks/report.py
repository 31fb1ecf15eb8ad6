"""The results as Markdown tables: medians over the rounds, in each of which all contenders were measured."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from dev.markdown import table

BEGIN = "<!-- measured, written by: make bench ARGS=--write-table=docs/performance.md -->"
END = "<!-- end of measured -->"

Row = dict[str, Any]

_POLLING = {
    "cpu_ms_per_poll": "CPU per poll, ms",
    "opened_per_poll": "connections opened per poll",
    "most_open": "open at once",
    "kib_per_run": "KiB per run",
    "lag_p99_ms": "loop lag p99, ms",
    "polls_per_second": "polls per s",
    "share_of_schedule": "share of scheduled polls",
}


def report(results: dict[str, Any]) -> str:
    """All tables, each with a line that introduces it."""
    machine = results["machine"]
    commands = ", then ".join(f'`make bench ARGS="{arguments}"`' for arguments in results["arguments"])
    parts = [
        f"Measured on {machine['date']}: {machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, "
        f"{machine['packages']}. By {commands}; medians over the rounds."
    ]
    if results["polling"]:
        parts += ["Waiting runs, each polled every {interval:g} s:".format(**results), _polling(results["polling"])]
    if results["capacity"]:
        parts += [
            "Runs that one event loop holds while it makes at least 97% of the scheduled polls with a lag p99 of at "
            "most 250 ms:",
            _capacity(results["capacity"]),
        ]
    if results["delays"]:
        parts += [
            "Seconds from the end of a run until it is noticed, median and maximum of 20 runs, with a poll interval of "
            "{delay_interval:g} s:".format(**results),
            _delays(results["delays"]),
        ]
    if results["downloads"]:
        size = results["download_bytes"] / 2**30
        parts += [f"Downloading an artifact of {size:g} GiB to a local folder:", _downloads(results["downloads"])]
    if results["dagfiles"]:
        parts += ["Cost for a DAG file:", _dagfiles(results["dagfiles"])]
    return "\n\n".join(parts)


def _polling(rows: list[Row]) -> str:
    groups = _grouped(rows, lambda row: (row["runs"], row["contender"]))
    return table(
        ["runs", "contender", *_POLLING.values()],
        (
            [str(runs), contender, *(_median(group, column) for column in _POLLING)]
            for (runs, contender), group in groups.items()
        ),
    )


def _capacity(rows: list[Row]) -> str:
    ours = next((row["runs"] for row in rows if row["contender"] == "datalore"), None)
    return table(
        ["contender", "runs held", "lowest number not held", "runs held by datalore, relative"],
        (
            [
                row["contender"],
                f"{row['runs']:,}",
                f"{row['too_many']:,}" if row["too_many"] else "not reached",
                f"{ours / row['runs']:.2g}" if ours and row["runs"] else "",
            ]
            for row in rows
        ),
    )


def _delays(rows: list[Row]) -> str:
    lengths = list(rows[0]["delays"])

    def cell(delays: list[float | None]) -> str:
        noticed = [delay for delay in delays if delay is not None]
        missed = len(delays) - len(noticed)
        text = f"{statistics.median(noticed):.1f}, {max(noticed):.1f}" if noticed else ""
        return f"{text} ({missed} never)" if missed else text

    return table(
        ["contender", *(f"after {length} s" for length in lengths)],
        ([row["contender"], *(cell(row["delays"][length]) for length in lengths)] for row in rows),
    )


def _downloads(rows: list[Row]) -> str:
    groups = _grouped(rows, lambda row: row["downloader"])
    return table(
        ["by", "MiB per s", "memory, MiB"],
        ([name, _median(group, "mib_per_second"), _median(group, "memory_mib")] for name, group in groups.items()),
    )


def _dagfiles(rows: list[Row]) -> str:
    return table(
        ["import, ms of CPU", "import, MiB", "500 operators, relative to 500 EmptyOperators"],
        [[_median(rows, "import_cpu_ms"), _median(rows, "import_mib"), _median(rows, "parse_ratio")]],
    )


def _grouped(rows: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def _median(rows: Iterable[Row], column: str) -> str:
    median = statistics.median(row[column] for row in rows)
    return f"{median:,.0f}" if median >= 100 else f"{median:.3g}"
