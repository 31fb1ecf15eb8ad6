"""Tokens and permissions: which user a token belongs to, and what a user may do with a notebook."""

from __future__ import annotations

import enum
import hmac
import re
from collections.abc import Iterable, Mapping

from .ids import NotebookId
from .scopes import Caller, Limits, is_token
from .settings import DEFAULT_USER


class Right(enum.Enum):
    """What a user may do with a notebook."""

    EDIT = "edit"
    VIEW = "view"
    NONE = "none"


class Access:
    """Tokens and permissions. Every user may edit every notebook, unless listed otherwise.

    :param tokens: the user of each token.
    :param viewers: (user, ``owner/id``) pairs: these users may only view these notebooks.
    :param no_access: (user, ``owner/id``) pairs: these notebooks are not shared with these users.
    :param limits: what the tokens may be used for that are limited.
    """

    def __init__(
        self,
        tokens: Mapping[str, str],
        viewers: Iterable[tuple[str, str]] = (),
        no_access: Iterable[tuple[str, str]] = (),
        limits: Mapping[str, Limits] | None = None,
    ) -> None:
        self.tokens = dict(tokens)
        self._limits = dict(limits or {})
        self._viewers = frozenset(viewers)
        self._no_access = frozenset(no_access)

    def caller(self, token: str) -> Caller | None:
        """The user of a token, and what the token may be used for; None if the token is not valid."""
        for known, user in self.tokens.items():
            if hmac.compare_digest(known.encode(), token.encode()):
                return Caller(user, self._limits.get(known, Limits()))
        return None

    def right(self, user: str, notebook: NotebookId) -> Right:
        """What the user may do with the notebook."""
        pair = (user, str(notebook))
        if pair in self._no_access:
            return Right.NONE
        return Right.VIEW if pair in self._viewers else Right.EDIT


def parse_token(text: str) -> tuple[str, str]:
    """Read ``USER=TOKEN``, or ``TOKEN`` alone for the default user.

    A token may contain ``=`` and end with it, as base64 does.

    :return: token and user.
    :raises ValueError: the text contains no token.
    """
    named = re.fullmatch(r"([\w.@-]+)=(=*[^=\s][^\s]*)", text)
    user, token = (named[1], named[2]) if named else (DEFAULT_USER, text)
    if not is_token(token):
        raise ValueError(f"{text!r} is neither TOKEN nor USER=TOKEN (a token cannot contain spaces)")
    return token, user


def parse_share(text: str) -> tuple[str, str]:
    """Read ``USER:OWNER/ID``.

    :return: user and ``owner/id``.
    :raises ValueError: the text has a different form.
    """
    user, _, rest = text.partition(":")
    notebook = NotebookId.parse(rest)
    if not user or notebook is None:
        raise ValueError(f"{text!r} is not of the form USER:OWNER/ID")
    return user, str(notebook)
