"""How long after a run's end its waiter knows, with each contender's own default interval; in one process."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from contextlib import AsyncExitStack
from typing import Any

from benchmarks.contenders import DEFAULT_INTERVALS, WAITERS, Setting

RUNS_EACH = 10


async def delay(wait: Any, name: str, lasts: float) -> float:
    """Seconds from the end of a run that starts now to the moment at which the wait is over."""
    ends = time.time() + lasts
    await wait(f"{name}-{int(ends * 1000)}")
    return time.time() - ends


async def measure(port: int, authority: str, durations: list[float]) -> list[dict[str, Any]]:
    """All contenders and durations at once: waiting costs next to nothing."""
    async with AsyncExitStack() as stack:
        jobs = {}
        for contender, default in DEFAULT_INTERVALS.items():
            wait = await stack.enter_async_context(WAITERS[contender](Setting(port, default, authority, steady=False)))
            for lasts in durations:
                each = [delay(wait, f"run{number}", lasts) for number in range(RUNS_EACH)]
                jobs[contender, lasts] = asyncio.gather(*each)
        return [
            {"contender": contender, "run_lasts_s": lasts, "delays_s": sorted(await job)}
            for (contender, lasts), job in jobs.items()
        ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--authority", required=True)
    parser.add_argument("--durations", nargs="*", type=float, default=[3.0, 30.0, 300.0])
    options = parser.parse_args()
    print(json.dumps(asyncio.run(measure(options.port, options.authority, options.durations))))


if __name__ == "__main__":
    main()
