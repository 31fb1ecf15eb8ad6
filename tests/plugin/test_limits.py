"""Limits of concurrent calls, which one user or one notebook does not use up."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from airflow_provider_datalore.plugin.limits import Bulkhead, BusyError

pytestmark = pytest.mark.audit


def is_free(limit: Bulkhead, *holders: Hashable) -> bool:
    try:
        with limit.slot(*holders):
            return True
    except BusyError:
        return False


@contextmanager
def occupied(limit: Bulkhead, *holders: tuple[Hashable, ...]) -> Iterator[None]:
    with ExitStack() as stack:
        for each in holders:
            stack.enter_context(limit.slot(*each))
        yield


def test_all_slots_are_used() -> None:
    limit = Bulkhead(2, 2, 0.01)
    with occupied(limit, ("ann",), ("bob",)):
        assert not is_free(limit, "vic")
    assert is_free(limit, "vic")


@pytest.mark.parametrize("holder", ["ann", "a notebook"])
def test_one_user_or_notebook_leaves_a_slot_to_others(holder: str) -> None:
    limit = Bulkhead(3, 2, 0.01)
    with occupied(limit, ("ann", "a notebook"), (holder,)):
        assert not is_free(limit, holder)
        assert not is_free(limit, "bob", holder)
        assert is_free(limit, "bob", "another notebook")


def test_what_only_one_may_work_on_leaves_all_other_slots_free() -> None:
    limit = Bulkhead(3, 2, 0.01)
    with limit.slot("ann", alone="a page"):
        with pytest.raises(BusyError), limit.slot("bob", alone="a page"):
            pytest.fail("two work on the same page")
        with limit.slot("bob", alone="another page"):
            pass
    with limit.slot("bob", alone="a page"):
        pass


def test_nobody_in_particular_is_not_limited() -> None:
    limit = Bulkhead(2, 2, 0.01)
    with occupied(limit, (None,)):
        assert is_free(limit, None)


def test_one_user_leaves_a_position_in_the_queue_to_others() -> None:
    limit = Bulkhead(2, 2, 30)
    done: list[str] = []

    def wait(user: str) -> None:
        with limit.slot(user):
            done.append(user)

    with occupied(limit, ("ann",), ("bob",)):
        waiting = threading.Thread(target=wait, args=("ann",))
        waiting.start()
        while not limit._queued["ann"]:
            waiting.join(0.01)
        # Refused at once, not after 30 s.
        assert not is_free(limit, "ann")
        other = threading.Thread(target=wait, args=("vic",))
        other.start()
        while not limit._queued["vic"]:
            other.join(0.01)
        assert not is_free(limit, "eve")
        assert done == []
    for thread in (waiting, other):
        thread.join(10)
    assert sorted(done) == ["ann", "vic"]


def test_a_slot_that_becomes_free_is_used_at_once() -> None:
    limit = Bulkhead(2, 2, 30)
    first = limit.slot("ann")
    with limit.slot("bob"):
        first.__enter__()
        timer = threading.Timer(0.05, first.__exit__, (None, None, None))
        timer.start()
        assert is_free(limit, "vic")
        timer.join()


def test_nothing_is_kept_of_those_who_have_left() -> None:
    limit = Bulkhead(2, 2, 0.01)
    with occupied(limit, ("ann",), ("bob",)):
        assert not is_free(limit, "vic")
    assert not limit._running
    assert not limit._queued
