"""The two drivers of the flow protocol: they carry out the steps of a flow in a thread, or in an event loop."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from airflow_provider_datalore.api.calls import Call, Response
from airflow_provider_datalore.api.flow import Flow, Refresh, Result, Sleep, Step
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

    def carry_out(step: Step) -> Response | None:
        match step:
            case Call():
                return client.send(step)
            case Sleep():
                time.sleep(step.seconds)
            case Refresh():
                client.refresh()
        return None

    try:
        step = next(flow)
        while True:
            try:
                response = carry_out(step)
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

    async def carry_out(step: Step) -> Response | None:
        match step:
            case Call():
                return await client.send(step)
            case Sleep():
                await asyncio.sleep(step.seconds)
            case Refresh():
                await client.refresh()
        return None

    try:
        step = next(flow)
        while True:
            try:
                response = await carry_out(step)
            except DataloreError as error:
                step = flow.throw(error)
            else:
                step = flow.send(response)
    except StopIteration as end:
        result: Result = end.value
        return result
    finally:
        flow.close()
