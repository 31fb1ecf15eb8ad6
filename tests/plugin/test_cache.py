"""Expiry and eviction of cached values."""

from __future__ import annotations

import time

import pytest

from airflow_provider_datalore.plugin.cache import BoundedCache


def test_a_value_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    cache: BoundedCache[str] = BoundedCache(10)
    now = time.monotonic()
    cache.put("a", "value", 5)
    monkeypatch.setattr(time, "monotonic", lambda: now + 4)
    assert cache.get("a") == "value"
    monkeypatch.setattr(time, "monotonic", lambda: now + 6)
    assert cache.get("a") is None


def test_the_least_recently_used_value_is_evicted() -> None:
    cache: BoundedCache[bytes] = BoundedCache(10, len)
    cache.put("a", b"1234", 60)
    cache.put("b", b"1234", 60)
    assert cache.get("a")
    cache.put("c", b"1234", 60)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (b"1234", None, b"1234")


def test_a_value_larger_than_the_cache_is_not_stored_and_evicts_nothing() -> None:
    cache: BoundedCache[bytes] = BoundedCache(10, len)
    cache.put("a", b"1234", 60)
    cache.put("b", b"x" * 11, 60)
    assert (cache.get("a"), cache.get("b")) == (b"1234", None)


def test_a_replaced_value_counts_once() -> None:
    cache: BoundedCache[bytes] = BoundedCache(10, len)
    for _ in range(5):
        cache.put("a", b"x" * 5, 60)
    cache.put("b", b"x" * 5, 60)
    assert cache.get("a")
    assert cache.get("b")
