"""Measures how late one contender notices the end of runs of several lengths; in a separate process."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections.abc import Sequence

from benchmarks.contenders import WAITERS, Setting, Wait

EACH = 20
"""Runs of each length. Lengths vary by a tenth, so that no contender profits from when its polls happen to come."""
NOTICE_TIMEOUT = 300.0
"""Seconds after the end of a run by which it must be noticed."""


async def delay(wait: Wait, number: int, length: float) -> float | None:
    """Seconds from the end of one run until it is noticed; None if it is not noticed."""
    await asyncio.sleep(random.random())
    ends = time.time() + length * (0.95 + random.random() / 10)
    try:
        async with asyncio.timeout(length + NOTICE_TIMEOUT):
            await wait(f"{number}-{ends * 1000:.0f}")
    except TimeoutError:
        return None
    return time.time() - ends


async def measure(contender: str, setting: Setting, lengths: Sequence[float]) -> dict[str, list[float | None]]:
    async with WAITERS[contender](setting) as wait:
        measured = [asyncio.gather(*(delay(wait, number, length) for number in range(EACH))) for length in lengths]
        return {f"{length:g}": await delays for length, delays in zip(lengths, measured, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("contender", choices=WAITERS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--authority", required=True)
    parser.add_argument("--interval", type=float, default=30.0)
    parser.add_argument("--lengths", nargs="*", type=float, default=[3.0, 30.0, 300.0])
    options = parser.parse_args()
    setting = Setting(options.port, options.interval, options.authority, steady=False)
    print(json.dumps(asyncio.run(measure(options.contender, setting, options.lengths))))


if __name__ == "__main__":
    main()
