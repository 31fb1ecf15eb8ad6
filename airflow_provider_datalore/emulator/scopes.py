"""The scopes of tokens: what a token may be used for, whatever its user may do."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from .ids import NotebookId


class Scope(enum.IntEnum):
    """The scope of a token, each of which covers those before it."""

    USER_BASIC = 1
    NOTEBOOK_API = 2
    NOTEBOOK_WITH_WORKSPACE_VIEW = 3
    WORKSPACE = 4
    USER_FULL = 5
    ADMIN_FULL = 6


class Level(enum.IntEnum):
    """The access that a token of the scope ``WORKSPACE`` gives to a workspace, each covers those before it."""

    READ = 1
    CREATE = 2
    FULL = 3


@dataclass(frozen=True, slots=True)
class Limits:
    """What a token may be used for.

    :param scope: its scope.
    :param level: the access to workspaces, for the scope ``WORKSPACE``.
    :param notebook: the only notebook that it is for; None for all.
    """

    scope: Scope = Scope.USER_FULL
    level: Level = Level.FULL
    notebook: NotebookId | None = None

    def cover(self, scope: Scope, level: Level = Level.READ) -> bool:
        """Whether a call that requires this scope is allowed. ``ADMIN_FULL`` is apart: it covers ``USER_BASIC`` only.

        :param level: the access that is required too, if the scope is ``WORKSPACE``.
        """
        if self.scope is Scope.ADMIN_FULL:
            return scope is Scope.USER_BASIC
        if self.scope is Scope.WORKSPACE is scope:
            return self.level >= level
        return self.scope >= scope


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, and what for the token may be used.

    :param user: the user of the token.
    """

    user: str
    limits: Limits = Limits()


def parse_scope(text: str) -> tuple[str, Scope, Level]:
    """Read ``TOKEN=SCOPE`` or ``TOKEN=WORKSPACE:LEVEL``.

    :raises ValueError: the text has a different form.
    """
    token, _, named = text.rpartition("=")
    scope, colon, level = named.partition(":")
    is_known = scope in Scope.__members__ and (not colon or (scope == "WORKSPACE" and level in Level.__members__))
    if not is_token(token) or not is_known:
        raise ValueError(
            f"{text!r} is not of the form TOKEN=SCOPE; the scopes are {', '.join(Scope.__members__)}, and WORKSPACE "
            f"with one of the levels {', '.join(Level.__members__)}, as in TOKEN=WORKSPACE:READ"
        )
    return token, Scope[scope], Level[level] if colon else Level.FULL


def parse_notebook_token(text: str) -> tuple[str, str]:
    """Read ``TOKEN=OWNER/ID``.

    :return: the token, and ``owner/id``.
    :raises ValueError: the text has a different form.
    """
    token, _, named = text.rpartition("=")
    if not is_token(token) or NotebookId.parse(named) is None:
        raise ValueError(f"{text!r} is not of the form TOKEN=OWNER/ID")
    return token, named


def is_token(text: str) -> bool:
    """Whether a text can be a token, which contains no spaces."""
    return re.fullmatch(r"[\x21-\x7e]+", text) is not None
