"""``make bench``: measures all contenders in turn against one server, prints a table and writes JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.contenders import WAITERS

COUNTS = (200, 1000, 5000, 10000)

COLUMNS = {
    "cpu_ms_per_poll": "CPU per poll, ms",
    "opened_per_poll": "connections opened per poll",
    "most_open": "open at once",
    "kib_per_run": "KiB per run",
    "lag_p99_ms": "loop lag p99, ms",
    "polls_per_second": "polls per s",
    "share_of_schedule": "of schedule",
}


@contextmanager
def server(folder: Path) -> Iterator[int]:
    """The server in a process of its own; its port."""
    command = [sys.executable, "-m", "benchmarks.server", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield int(process.stdout.readline())
        process.stdin.close()


def measure(program: str, folder: Path, port: int, *options: str) -> Any:
    """One measurement, in a process of its own that trusts the server and has an Airflow home of its own."""
    settings = {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        # The only way to tell triggers of other providers whom to trust.
        "SSL_CERT_FILE": str(folder / "ca.pem"),
    }
    env = {name: value for name, value in os.environ.items() if name not in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")}
    command = [sys.executable, "-m", f"benchmarks.{program}", *options, "--port", str(port)]
    command += ["--authority", str(folder / "ca.pem")]
    done = subprocess.run(command, env=env | settings, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def table(results: list[dict[str, Any]]) -> str:
    """The medians, a line for each contender and count."""
    groups: dict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
    for row in results:
        groups[row["runs"], row["contender"]].append(row)
    lines = ["| runs | contender | " + " | ".join(COLUMNS.values()) + " |", "| --- " * (len(COLUMNS) + 2) + "|"]
    for (runs, contender), rows in sorted(groups.items(), key=lambda item: item[0][0]):
        medians = (statistics.median(row[column] for row in rows) for column in COLUMNS)
        lines.append(f"| {runs} | {contender} | " + " | ".join(f"{median:.3g}" for median in medians) + " |")
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    model = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    return {
        "cpu": model[0] if model else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--contenders", nargs="*", default=list(WAITERS), choices=list(WAITERS))
    parser.add_argument("--runs", nargs="*", type=int, default=list(COUNTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--interval", type=float, default=5.0)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--output", type=Path, default=Path("build/benchmarks.json"))
    options = parser.parse_args()
    polling: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name, server(folder := Path(name)) as port:
        dagfiles = [measure("dagfiles", folder, port) for _ in range(options.rounds)]
        for runs in options.runs:
            for round_ in range(options.rounds):
                for contender in options.contenders:
                    print(
                        f"{runs} runs, round {round_ + 1} of {options.rounds}: {contender}", file=sys.stderr, flush=True
                    )
                    arguments = [
                        "--runs",
                        str(runs),
                        "--interval",
                        str(options.interval),
                        "--seconds",
                        str(options.seconds),
                    ]
                    polling.append(measure("client", folder, port, contender, *arguments))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"machine": machine(), "polling": polling, "dagfiles": dagfiles}, indent=1))
    print(table(polling))
    print()
    print(
        "A DAG file: " + ", ".join(f"{name} {statistics.median(d[name] for d in dagfiles):.3g}" for name in dagfiles[0])
    )


if __name__ == "__main__":
    main()
