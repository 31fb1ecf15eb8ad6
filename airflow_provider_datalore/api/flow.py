"""The flow protocol, by which everything in this package talks to Datalore.

A flow is a generator that yields steps: a :class:`.Call`, a :class:`Sleep` or a :class:`Refresh`. It is sent the
:class:`.Response` to a call, and None after any other step. If a call gets no response, the error is raised in the
    flow. Two drivers carry out the steps, one on a worker and one in the triggerer, so that both behave alike; tests
    carry them out without a network and without waiting.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from airflow_provider_datalore.api.calls import Call, Response
from airflow_provider_datalore.api.response_errors import raise_for_status


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait.

    :param seconds: seconds to wait.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class Refresh:
    """Reload the Airflow connection before the next call: its token may have been changed."""


Result = TypeVar("Result")
Step: TypeAlias = Call | Sleep | Refresh
Flow: TypeAlias = Generator[Step, Response | None, Result]


def send(call: Call) -> Flow[Response]:
    """Send one call.

    :return: its response, whatever its status.
    """
    response = yield call
    assert response is not None
    return response


def request(call: Call) -> Flow[Response]:
    """Send one call that must succeed.

    :return: its response, with a status of 2xx.
    :raises DataloreError: the class for the response's status.
    """
    response = yield from send(call)
    raise_for_status(call, response)
    return response
