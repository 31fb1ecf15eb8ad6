"""Carry out the steps of a wait: in plain code, and in an event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from typing import TypeVar

from airflow_provider_datalore.api.waiting import Ask, Sleep
from airflow_provider_datalore.exceptions import DataloreError

Told = TypeVar("Told")


def drive(steps: Generator[Ask | Sleep, Told | None, Told], ask: Callable[[Ask], Told]) -> Told:
    """Carry out the steps in this thread.

    :param ask: sends the request; what it returns or raises goes back into the steps.
    :return: what the steps end with.
    """
    try:
        step = next(steps)
        while True:
            if isinstance(step, Sleep):
                time.sleep(step.seconds)
                step = steps.send(None)
                continue
            try:
                told = ask(step)
            except DataloreError as error:
                step = steps.throw(error)
            else:
                step = steps.send(told)
    except StopIteration as end:
        result: Told = end.value
        return result


async def drive_async(steps: Generator[Ask | Sleep, Told | None, Told], ask: Callable[[Ask], Awaitable[Told]]) -> Told:
    """Carry out the steps in the running event loop; otherwise the same as :func:`drive`."""
    try:
        step = next(steps)
        while True:
            if isinstance(step, Sleep):
                await asyncio.sleep(step.seconds)
                step = steps.send(None)
                continue
            try:
                told = await ask(step)
            except DataloreError as error:
                step = steps.throw(error)
            else:
                step = steps.send(told)
    except StopIteration as end:
        result: Told = end.value
        return result
