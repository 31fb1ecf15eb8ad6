"""The one protocol by which everything here talks to Datalore.

A flow is a generator. It yields what to do next, a :class:`.Call`, a :class:`Sleep` or a :class:`Refresh`, and is sent
the :class:`.Response` of a call, and None for the others; an error that kept a call from its response is thrown in. A
pump for plain code and one for an event loop carry the steps out, so that a worker and the triggerer do the same, and a
test can carry them out in no time.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from airflow_provider_datalore.api.calls import Call, Response, raise_for_status


@dataclass(frozen=True, slots=True)
class Sleep:
    """Do nothing for a while.

    :param seconds: how long.
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

    :return: its response, which is a good one.
    :raises DataloreError: the class that the response's status stands for.
    """
    response = yield from send(call)
    raise_for_status(call, response)
    return response
