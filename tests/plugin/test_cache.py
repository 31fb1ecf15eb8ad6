"""What is kept, and what is forgotten."""

from __future__ import annotations

import time

import pytest

from airflow_provider_datalore.plugin.cache import BoundedCache


def test_a_value_is_kept_for_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    cache: BoundedCache[str] = BoundedCache(10)
    now = time.monotonic()
    cache.put("a", "value", 5)
    monkeypatch.setattr(time, "monotonic", lambda: now + 4)
    assert cache.get("a") == "value"
    monkeypatch.setattr(time, "monotonic", lambda: now + 6)
    assert cache.get("a") is None


def test_the_one_that_was_not_asked_for_longest_makes_room() -> None:
    cache: BoundedCache[bytes] = BoundedCache(10, len)
    cache.put("a", b"1234", 60)
    cache.put("b", b"1234", 60)
    assert cache.get("a")
    cache.put("c", b"1234", 60)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (b"1234", None, b"1234")


def test_one_that_is_larger_than_all_is_not_kept_and_drives_nothing_out() -> None:
    cache: BoundedCache[bytes] = BoundedCache(10, len)
    cache.put("a", b"1234", 60)
    cache.put("b", b"x" * 11, 60)
    assert (cache.get("a"), cache.get("b")) == (b"1234", None)


def test_a_value_that_is_replaced_takes_its_room_once() -> None:
    cache: BoundedCache[bytes] = BoundedCache(10, len)
    for _ in range(5):
        cache.put("a", b"x" * 5, 60)
    cache.put("b", b"x" * 5, 60)
    assert cache.get("a")
    assert cache.get("b")
