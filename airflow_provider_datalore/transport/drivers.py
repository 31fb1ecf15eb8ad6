"""The two drivers of the flow protocol: they carry out the steps of a flow in a thread, or in an event loop."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from airflow_provider_datalore.api.calls import Call, Response
from airflow_provider_datalore.api.flow import Flow, Result, Sleep
from airflow_provider_datalore.exceptions import DataloreError


class Client(Protocol):
    """Sends calls in this thread."""

    def send(self, call: Call) -> Response:
        """Send a call; see :meth:`.RequestsClient.send`."""

    def refresh(self) -> None:
        """Reload the Airflow connection before the next call."""


class AsyncClient(Protocol):
    """Sends calls in an event loop."""

    async def send(self, call: Call) -> Response:
        """Send a call; see :meth:`.AiohttpClient.send`."""

    async def refresh(self) -> None:
        """Reload the Airflow connection before the next call."""


def run_flow(flow: Flow[Result], client: Client) -> Result:
    """Carry out a flow in this thread.

    :return: the result of the flow.
    :raises DataloreError: the error that the flow raises. Any other exception of a step is not passed to the flow.
    """

    try:
        step = next(flow)
        while True:
            response: Response | None = None
            try:
                if isinstance(step, Call):
                    response = client.send(step)
                elif isinstance(step, Sleep):
                    time.sleep(step.seconds)
                else:
                    client.refresh()
            except DataloreError as error:
                step = flow.throw(error)
            else:
                step = flow.send(response)
    except StopIteration as end:
        result: Result = end.value
        return result
    finally:
        flow.close()


async def run_flow_async(flow: Flow[Result], client: AsyncClient) -> Result:
    """Carry out a flow in the running event loop; otherwise the same as :func:`run_flow`."""

    try:
        step = next(flow)
        while True:
            response: Response | None = None
            try:
                # Not in a coroutine of its own: thousands of runs wait here, and each would keep its frame.
                if isinstance(step, Call):
                    response = await client.send(step)
                elif isinstance(step, Sleep):
                    await asyncio.sleep(step.seconds)
                else:
                    await client.refresh()
            except DataloreError as error:
                step = flow.throw(error)
            else:
                step = flow.send(response)
    except StopIteration as end:
        result: Result = end.value
        return result
    finally:
        flow.close()
