"""Time that passes only when somebody sleeps, and settings for the property tests."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.api.fake_time import FakeTime

settings.register_profile("suite", deadline=None, database=None, print_blob=True)
settings.load_profile("suite")


@pytest.fixture
def time() -> FakeTime:
    """A clock that a test moves."""
    return FakeTime()
