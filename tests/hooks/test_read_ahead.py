"""A body that is read in a thread of its own, and what becomes of that thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_datalore.transport.read_ahead import MAX_CHUNKS_AHEAD, ReadAhead
from tests.emulator.emulator_client import wait_until


class Body:
    """An answer of so many pieces; tells how many were read, and whether it was closed."""

    def __init__(self, pieces: int, error: Exception | None = None) -> None:
        self.raw = self
        self.pieces, self.error = pieces, error
        self.read = 0
        self.is_unfinished = threading.Event()
        self.is_unfinished.set()
        self.closed = threading.Event()

    def stream(self, size: int, decode_content: bool) -> Iterator[bytes]:
        assert decode_content
        for number in range(self.pieces):
            self.is_unfinished.wait()
            self.read += 1
            yield str(number).encode() * size
        if self.error is not None:
            raise self.error

    def __enter__(self) -> Body:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed.set()


def ahead(body: Body) -> ReadAhead:
    answer: Any = body
    return ReadAhead(answer, 2)


def test_pieces_come_in_turn_and_an_empty_one_ends_them() -> None:
    body = Body(3)
    reading = ahead(body)
    assert [reading.take(5) for _ in range(4)] == [b"00", b"11", b"22", b""]
    assert body.closed.wait(5)


def test_it_reads_no_further_ahead_than_it_may() -> None:
    body = Body(1000)
    reading = ahead(body)
    for taken in range(3):
        wait_until(lambda taken=taken: body.read == taken + MAX_CHUNKS_AHEAD + 1)
        reading.take(5)
    reading.abandon()


def test_what_goes_wrong_in_reading_is_raised_where_the_pieces_are_taken() -> None:
    reading = ahead(Body(1, ConnectionResetError("cut")))
    assert reading.take(5) == b"00"
    with pytest.raises(ConnectionResetError, match="cut"):
        reading.take(5)


def test_a_piece_that_does_not_come_in_time_is_a_timeout() -> None:
    body = Body(2)
    body.is_unfinished.clear()
    reading = ahead(body)
    for seconds in (0.05, 0, -1):
        with pytest.raises(TimeoutError):
            reading.take(seconds)
    body.is_unfinished.set()
    assert reading.take(5) == b"00"


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_a_body_that_is_abandoned_is_not_read_on_and_closed_by_its_own_thread(taken: int) -> None:
    body = Body(1000)
    reading = ahead(body)
    for _ in range(taken):
        reading.take(5)
    wait_until(lambda: body.read == taken + MAX_CHUNKS_AHEAD + 1)
    reading.abandon()
    assert body.closed.wait(5)
    assert body.read <= taken + MAX_CHUNKS_AHEAD + 2


def test_a_body_that_hangs_is_closed_once_it_goes_on() -> None:
    body = Body(1000)
    body.is_unfinished.clear()
    reading = ahead(body)
    reading.abandon()
    assert not body.closed.is_set()
    body.is_unfinished.set()
    assert body.closed.wait(5)
    assert body.read == 1
