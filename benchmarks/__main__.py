"""``make bench``: measures all contenders in turn with one server, prints tables and writes JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.contenders import WAITERS
from benchmarks.report import BEGIN, END, Row, report
from dev.markdown import write_between

COUNTS = (200, 1000, 5000, 10000)
PARTS = ("dagfiles", "polling", "capacity", "delays", "downloads")
DELAY_INTERVAL = 30.0
DOWNLOAD_BYTES = 2 * 2**30

LEAST_SHARE = 0.97
MOST_LAG_MS = 250.0
CLOSE_ENOUGH = 1.12
"""Maximum ratio of the lowest number of runs that is not held to the highest that is."""


@contextmanager
def server(folder: Path) -> Iterator[int]:
    """Starts the server in a separate process; yields its port."""
    command = [sys.executable, "-m", "benchmarks.server", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield int(process.stdout.readline())
        process.stdin.close()


def measure(program: str, folder: Path, port: int, *options: str) -> Any:
    """Runs one measurement in a separate process, which trusts the server and has its own Airflow home."""
    settings = {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        # The only way to make the triggers of other providers trust the server.
        "SSL_CERT_FILE": str(folder / "ca.pem"),
    }
    env = {name: value for name, value in os.environ.items() if name not in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")}
    command = [sys.executable, "-m", f"benchmarks.{program}", *options, "--port", str(port)]
    command += ["--authority", str(folder / "ca.pem")]
    done = subprocess.run(command, env=env | settings, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def holds(row: Row) -> bool:
    """Whether the event loop kept up with all its runs."""
    return row["share_of_schedule"] >= LEAST_SHARE and row["lag_p99_ms"] <= MOST_LAG_MS and not row["broken"]


def capacity(polling: list[Row], contenders: Sequence[str], poll: Callable[[str, int], Row]) -> list[Row]:
    """Finds how many runs each contender holds, one measurement of each contender at a time.

    :param polling: earlier measurements to start from.
    :param poll: measures a contender with a number of runs.
    """
    held = dict.fromkeys(contenders, 0)
    too_many: dict[str, int | None] = dict.fromkeys(contenders)

    def learn(row: Row) -> None:
        contender, runs = row["contender"], row["runs"]
        limit = too_many[contender]
        if not holds(row):
            too_many[contender] = runs if limit is None else min(limit, runs)
        elif limit is None or runs < limit:
            held[contender] = max(held[contender], runs)

    for row in sorted(polling, key=lambda row: (not holds(row), row["runs"])):
        learn(row)
    unfinished = list(contenders)
    while unfinished:
        for contender in unfinished.copy():
            low, high = held[contender], too_many[contender]
            if high is not None and high <= max(low * CLOSE_ENOUGH, 50):
                unfinished.remove(contender)
            elif high is None:
                learn(poll(contender, int(max(low, 200) * 1.5)))
            else:
                learn(poll(contender, int((max(low, high / 8) * high) ** 0.5)))
    return [{"contender": name, "runs": held[name], "too_many": too_many[name]} for name in contenders]


def machine() -> dict[str, Any]:
    model = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    packages = ("apache-airflow", "aiohttp", *(f"apache-airflow-providers-{name}" for name in _PROVIDERS))
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "cpu": model[0] if model else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": ", ".join(f"{name} {version(name)}" for name in packages),
    }


_PROVIDERS = ("http", "dbt-cloud", "databricks")


def say(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=PARTS, help="what to measure (default: all)")
    parser.add_argument("--contenders", nargs="*", default=list(WAITERS), choices=list(WAITERS))
    parser.add_argument(
        "--runs", nargs="*", type=int, default=list(COUNTS), help="numbers of waiting runs (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between two polls of a run (%(default)s)")
    parser.add_argument("--seconds", type=float, default=15.0, help="seconds for which polls are counted (%(default)s)")
    parser.add_argument(
        "--update", action="store_true", help="keep the results in --output of the parts that are not measured"
    )
    parser.add_argument("--output", type=Path, default=Path("build/benchmarks.json"))
    parser.add_argument(
        "--write-table", type=Path, metavar="FILE", help="write the tables between the markers in this file"
    )
    options = parser.parse_args()
    results: dict[str, Any] = {"machine": machine(), "interval": options.interval} | {part: [] for part in PARTS}
    results["arguments"] = [" ".join(sys.argv[1:])]
    results |= {"delay_interval": DELAY_INTERVAL, "download_bytes": DOWNLOAD_BYTES}
    with tempfile.TemporaryDirectory() as name, server(folder := Path(name)) as port:

        def poll(contender: str, runs: int) -> Row:
            say(f"polling {runs} runs: {contender}")
            arguments = {"runs": runs, "interval": options.interval, "seconds": options.seconds}
            pairs = (part for name, value in arguments.items() for part in (f"--{name}", str(value)))
            row: Row = measure("client", folder, port, contender, *pairs)
            return row

        def delays(contender: str) -> Row:
            found = measure("delays", folder, port, contender, "--interval", str(DELAY_INTERVAL))
            return {"contender": contender, "delays": found}

        for round_ in range(options.rounds):
            say(f"round {round_ + 1} of {options.rounds}")
            if "dagfiles" in options.parts:
                results["dagfiles"].append(measure("dagfiles", folder, port))
            if "downloads" in options.parts:
                for downloader in ("hook", "requests"):
                    say(f"downloading: {downloader}")
                    size = ("--size", str(DOWNLOAD_BYTES))
                    results["downloads"].append(measure("downloads", folder, port, downloader, *size))
            if "polling" in options.parts:
                counts = [(runs, contender) for runs in options.runs for contender in options.contenders]
                results["polling"] += [poll(contender, runs) for runs, contender in counts]
        if "delays" in options.parts:
            say("delays: runs of 3, 30 and 300 s, all contenders at once, since they are mostly idle")
            with ThreadPoolExecutor(len(options.contenders)) as pool:
                results["delays"] = list(pool.map(delays, options.contenders))
        if "capacity" in options.parts:
            results["capacity"] = capacity(results["polling"], options.contenders, poll)
    if options.update:
        before = json.loads(options.output.read_text())
        results |= {part: before[part] for part in PARTS if part not in options.parts}
        results["arguments"] = [*before["arguments"], *results["arguments"]]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=1))
    text = report(results)
    print(text)
    if options.write_table is not None:
        write_between(options.write_table, BEGIN, END, f"\n{text}\n")


if __name__ == "__main__":
    main()
