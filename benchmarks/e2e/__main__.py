"""Measures what a notebook costs end to end: `make bench-e2e`. All ways are measured alternately, in one Airflow."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.e2e.airflow import SETTLING_TIME, BenchAirflow
from benchmarks.e2e.observed import by_name
from dev import markdown

WAYS = {
    "datalore": "ours, deferrable",
    "datalore_defer_after": "ours, `defer_after=10`",
    "datalore_worker": "ours, on the worker",
    "datalore_sensor": "our sensor, deferrable",
    "dbt_cloud": "dbt Cloud, deferrable",
    "databricks": "Databricks, deferrable",
    "http_sensor": "HTTP sensor, deferrable",
    "task_loop": "`@task` with a loop",
}
BEGIN = "<!-- measured end to end, written by: make bench-e2e ARGS=--write-table=docs/performance.md -->"
END = "<!-- end of measured end to end -->"

Row = dict[str, Any]


def measure_single(airflow: BenchAirflow, way: str, seconds: Sequence[float]) -> Row:
    """One run for each length, one after the other: overhead, CPU and calls."""
    overhead: dict[str, float] = {}
    lost = 0
    cpu = airflow.cpu()
    with airflow.log.calls() as calls:
        for length in seconds:
            tasks = airflow.run(f"e2e_{way}", length)
            overhead[f"{length:g}"] = tasks.span - length
            lost += tasks.lost
        time.sleep(SETTLING_TIME)
    used = airflow.cpu() - cpu
    return {
        "overhead": overhead,
        "lost": lost,
        "runs": len(seconds),
        "cpu": used / len(seconds),
        "calls": sum(calls.values()) / len(seconds),
        "calls_by_name": by_name(calls),
    }


def measure_mapped(airflow: BenchAirflow, way: str, count: int, seconds: float) -> Row:
    """Many mapped runs at once: how many are lost, the time until all have ended, slot seconds, CPU and calls."""
    cpu = airflow.cpu()
    with airflow.log.calls() as calls:
        tasks = airflow.run(f"e2e_{way}_mapped", seconds)
        time.sleep(SETTLING_TIME)
    return {
        "lost": tasks.lost,
        "runs": count,
        "span": tasks.span,
        "slot_seconds": tasks.slot_seconds / count,
        "cpu": (airflow.cpu() - cpu) / count,
        "calls": sum(calls.values()) / count,
    }


class Measured(NamedTuple):
    """What was measured in one Airflow, by way: a row for each round.

    :param single: single runs, one after the other.
    :param mapped: many short runs at once.
    :param longer: the same number of longer runs at once, of which none is lost.
    """

    single: dict[str, list[Row]]
    mapped: dict[str, list[Row]]
    longer: dict[str, list[Row]]


def report(results: dict[str, Any]) -> str:
    """The tables as Markdown: sums of lost tasks, medians of everything else over the rounds."""
    options = results["options"]
    lines = [
        f"Measured on {results['date']} by `make bench-e2e{results['arguments']}`: Airflow {results['airflow']}, "
        f"PostgreSQL, LocalExecutor with {options['slots']} slots, `[workers] min_heartbeat_interval` "
        f"{options['heartbeats'][0]}, {results['cores']} cores, Python {results['python']}. "
        + ("One round." if options["rounds"] == 1 else f"Medians of {options['rounds']} rounds."),
    ]
    if results["single"]:
        lines += [
            "Single runs, one after the other. Overhead is the time from the start of the task to its end, without the "
            "run itself:",
            _single(results["single"]),
        ]
    if results["mapped"]:
        lines += [
            f"{options['mapped']} mapped runs of {options['mapped_seconds']:g} s at once:",
            _mapped(results["mapped"]),
        ]
    if results["longer"]:
        lines += [
            f"{options['mapped']} mapped runs of {options['longer_seconds']:g} s at once. Here, CPU and calls can be "
            "compared: a lost task is not resumed, and so costs less:",
            _longer(results["longer"]),
        ]
    if results["heartbeats"]:
        lines += [
            "Seconds until all of these have ended, with other values of `[workers] min_heartbeat_interval`:",
            _heartbeats(results["heartbeats"]),
        ]
    return "\n\n".join(lines)


def _single(rows: dict[str, list[Row]]) -> str:
    lengths = list(next(iter(rows.values()))[0]["overhead"])
    header = [
        "",
        "tasks lost",
        *(f"overhead of a {length} s run, s" for length in lengths),
        "CPU per run, s",
        "API calls per run",
    ]
    return markdown.table(
        header,
        [
            [
                WAYS[way],
                _lost(found),
                *(f"{statistics.median(row['overhead'][length] for row in found):.1f}" for length in lengths),
                f"{_median(found, 'cpu'):.2f}",
                f"{_median(found, 'calls'):.1f}",
            ]
            for way, found in rows.items()
        ],
    )


def _mapped(rows: dict[str, list[Row]]) -> str:
    return markdown.table(
        ["", "tasks lost", "until all have ended, s", "slot seconds per run"],
        [
            [WAYS[way], _lost(found), f"{_median(found, 'span'):.0f}", f"{_median(found, 'slot_seconds'):.1f}"]
            for way, found in rows.items()
        ],
    )


def _longer(rows: dict[str, list[Row]]) -> str:
    return markdown.table(
        ["", "tasks lost", "CPU per run, s", "API calls per run"],
        [
            [WAYS[way], _lost(found), f"{_median(found, 'cpu'):.3f}", f"{_median(found, 'calls'):.1f}"]
            for way, found in rows.items()
        ],
    )


def _heartbeats(by_heartbeat: dict[int, dict[str, list[Row]]]) -> str:
    ways = list(next(iter(by_heartbeat.values())))
    return markdown.table(
        ["", *(f"{heartbeat} s" for heartbeat in by_heartbeat)],
        [[WAYS[way], *(f"{_median(found[way], 'span'):.0f}" for found in by_heartbeat.values())] for way in ways],
    )


def _lost(rows: Sequence[Row]) -> str:
    return f"{sum(row['lost'] for row in rows)} of {sum(row['runs'] for row in rows)}"


def _words(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(_words, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _median(rows: Sequence[Row], name: str) -> float:
    return statistics.median(row[name] for row in rows)


def measure(options: argparse.Namespace, heartbeat: int, *, only_mapped: bool = False) -> Measured:
    """Measure all ways alternately in one Airflow."""
    measured = Measured(defaultdict(list), defaultdict(list), defaultdict(list))
    with BenchAirflow(options.ways, max(options.mapped, 1), options.slots, heartbeat) as airflow:
        for way in options.ways:
            # The first task compiles what it imports, and fills caches that all later tasks find.
            airflow.run(f"e2e_{way}", 1)
        time.sleep(SETTLING_TIME)
        for number in range(options.rounds):
            # Each round begins with another way, so that none is always the first.
            shift = number % len(options.ways)
            for way in options.ways[shift:] + options.ways[:shift]:
                if options.seconds and not only_mapped:
                    measured.single[way].append(measure_single(airflow, way, options.seconds))
                    _say(number, way, measured.single[way][-1])
                if options.mapped:
                    measured.mapped[way].append(measure_mapped(airflow, way, options.mapped, options.mapped_seconds))
                    _say(number, way, measured.mapped[way][-1])
                if options.mapped and options.longer_seconds and not only_mapped:
                    measured.longer[way].append(measure_mapped(airflow, way, options.mapped, options.longer_seconds))
                    _say(number, way, measured.longer[way][-1])
    return measured


def main(arguments: Sequence[str] | None = None) -> None:
    given = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(prog="make bench-e2e", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, nargs="*", default=[1, 5, 20, 60], help="lengths of the single runs (%(default)s)"
    )
    parser.add_argument("--mapped", type=int, default=100, help="number of mapped runs; 0 for none (%(default)s)")
    parser.add_argument("--mapped-seconds", type=float, default=2, help="length of a mapped run (%(default)s)")
    parser.add_argument(
        "--longer-seconds",
        type=float,
        default=8,
        help="length of the mapped runs whose CPU and calls are compared; 0 for none (%(default)s)",
    )
    parser.add_argument("--slots", type=int, default=8, help="tasks that run at a time (%(default)s)")
    parser.add_argument(
        "--heartbeats",
        type=int,
        nargs="+",
        default=[5, 1],
        help="[workers] min_heartbeat_interval; with each further one, only mapped runs are measured (%(default)s)",
    )
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=list(WAYS), help="what to measure (all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured to this file")
    parser.add_argument("--write-table", type=Path, metavar="FILE", help="write the tables between their markers")
    options = parser.parse_args(given)
    first, *further = options.heartbeats
    measured = measure(options, first)
    others = {
        heartbeat: measure(options, heartbeat, only_mapped=True).mapped for heartbeat in further if options.mapped
    }
    kept = ("rounds", "seconds", "mapped", "mapped_seconds", "longer_seconds", "slots", "heartbeats", "ways")
    changed = [name for name in kept if getattr(options, name) != parser.get_default(name)]
    shown = [f"--{name.replace('_', '-')} {_words(getattr(options, name))}" for name in changed]
    results = {
        "date": time.strftime("%Y-%m-%d"),
        "arguments": f' ARGS="{" ".join(shown)}"' if shown else "",
        "airflow": version("apache-airflow"),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "options": {name: getattr(options, name) for name in kept},
        **{name: {way: rows[way] for way in options.ways if rows[way]} for name, rows in measured._asdict().items()},
        "heartbeats": {first: measured.mapped, **others} if others else {},
    }
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    text = report(results)
    print(text)
    if options.write_table:
        markdown.write_between(options.write_table, BEGIN, END, text)


def _say(number: int, way: str, row: Row) -> None:
    shown = {name: value for name, value in row.items() if not isinstance(value, (Counter, dict))}
    print(f"round {number + 1}, {way}: {shown}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
