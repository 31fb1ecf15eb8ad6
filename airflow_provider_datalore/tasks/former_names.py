"""Names that another version of this package stored in deferred tasks and triggers, and what they are called now.

A task that is deferred during an upgrade resumes with what the other version stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

METHODS = {"execute_turn": "execute_when_idle"}
"""Methods with which a task resumes."""

ARGUMENTS = {"recalled": "from_earlier_try"}
"""Arguments of those methods."""


def method_now(name: str) -> str:
    """The present name of a method with which a task resumes."""
    return METHODS.get(name, name)


def arguments_now(kwargs: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The arguments of such a method under their present names."""
    return None if kwargs is None else {ARGUMENTS.get(name, name): value for name, value in kwargs.items()}


def log_ignored(arguments: Mapping[str, Any], warn: Callable[..., object]) -> None:
    """Log the stored arguments of a trigger that this version does not know, if there are any.

    :param warn: logs a warning in the log of the trigger.
    """
    if arguments:
        warn("Arguments of another version of this package are ignored: %s", ", ".join(sorted(arguments)))
