"""One measurement in a separate process: one contender waits for a number of runs for a number of seconds."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import resource
import ssl
import time
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.contenders import WAITERS, Setting


def resident() -> int:
    """The resident memory of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def stats(setting: Setting) -> dict[str, int]:
    """The counters of the server."""
    context = ssl.create_default_context(cafile=setting.authority)
    with urllib.request.urlopen(f"{setting.url}/stats", context=context) as response:
        counted: dict[str, int] = json.load(response)
    return counted


async def lags(collected: list[float]) -> None:
    """Collects the lag of the event loop, 50 times a second."""
    while True:
        due = time.monotonic() + 0.02
        await asyncio.sleep(0.02)
        collected.append(time.monotonic() - due)


async def measure(contender: str, setting: Setting, runs: int, seconds: float) -> dict[str, Any]:
    """Start the waits, and measure after all runs have been polled once."""
    async with WAITERS[contender](setting) as wait:
        # The first wait imports and opens everything before memory is measured.
        first = asyncio.create_task(wait("run-0x"))
        await asyncio.sleep(setting.interval * 1.2)
        first.cancel()
        gc.collect()
        before = resident()
        tasks = [asyncio.create_task(wait(f"run-{number}x")) for number in range(runs)]
        await asyncio.sleep(setting.interval * 1.5)
        late: list[float] = []
        watch = asyncio.create_task(lags(late))
        at, used, polled = time.monotonic(), cpu(), await asyncio.to_thread(stats, setting)
        await asyncio.sleep(seconds)
        took, used = time.monotonic() - at, cpu() - used
        counted = await asyncio.to_thread(stats, setting)
        memory = resident() - before
        watch.cancel()
        broken = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    polls = counted["polls"] - polled["polls"]
    return {
        "contender": contender,
        "runs": runs,
        "cpu_ms_per_poll": 1000 * used / max(polls, 1),
        "cpu_share": used / took,
        "polls_per_second": polls / took,
        "share_of_schedule": polls / took / (runs / setting.interval),
        "opened_per_poll": (counted["opened"] - polled["opened"] - 1) / max(polls, 1),
        "most_open": counted["most_open"],
        "kib_per_run": memory / runs / 1024,
        "lag_p99_ms": 1000 * sorted(late)[int(len(late) * 0.99)],
        "broken": [repr(outcomes[tasks.index(task)])[:200] for task in broken[:3]],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("contender", choices=WAITERS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--authority", required=True)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--interval", type=float, default=5.0)
    parser.add_argument("--seconds", type=float, default=15.0)
    options = parser.parse_args()
    setting = Setting(options.port, options.interval, options.authority)
    print(json.dumps(asyncio.run(measure(options.contender, setting, options.runs, options.seconds))))


if __name__ == "__main__":
    main()
