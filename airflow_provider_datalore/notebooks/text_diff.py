"""Compares two texts line by line, and lines word by word; what is noise is marked as such."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from airflow_provider_datalore.notebooks.noise import Token, tokens, without_noise

MAX_COMPARED_LINES = 1500
"""Maximum number of lines of a text that are compared."""
MAX_SHOWN_LINE_CHARS = 2000
"""Maximum number of characters of a line that are shown."""
_MAX_TOKENS = 400
"""Maximum number of tokens of a line that are compared with those of another."""
_MAX_NOISY_CHARS = 1_000_000
"""Maximum number of characters in which noise is looked for if not all lines are shown."""
_CONTEXT = 3
"""Number of unchanged lines that are shown before and after others."""


class DiffState(enum.StrEnum):
    """How two things differ."""

    SAME = "same"
    NOISE = "noise"
    """Only times, addresses of objects, progress bars and the like differ."""
    CHANGED = "changed"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a line; ``state`` is the same, noise or changed."""

    text: str
    state: DiffState = DiffState.SAME


@dataclass(frozen=True, slots=True)
class Row:
    """A line of both texts; None where a text does not have it."""

    state: DiffState
    before: tuple[Piece, ...] | None
    now: tuple[Piece, ...] | None


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that are shown, or folded if none of them differs and they are far from those that do."""

    rows: tuple[Row, ...]
    is_folded: bool = False


@dataclass(frozen=True, slots=True)
class TextDiff:
    """Two texts, compared.

    :param state: whether they differ.
    :param left_out: the number of lines of the longer text that are not shown.
    """

    state: DiffState
    blocks: tuple[Block, ...]
    left_out: int = 0


def compare(before: str, now: str, *, knows_noise: bool = True) -> TextDiff:
    """Compare two texts.

    :param knows_noise: whether to look for noise; in code, each difference means something.
    """
    old, new = before.splitlines(), now.splitlines()
    left_out = max(0, max(len(old), len(new)) - MAX_COMPARED_LINES)
    rows = list(_rows(old[:MAX_COMPARED_LINES], new[:MAX_COMPARED_LINES], knows_noise=knows_noise))
    return TextDiff(_state(rows, before, now, knows_noise=knows_noise), tuple(_blocks(rows)), left_out)


def one_sided(text: str, state: DiffState) -> TextDiff:
    """A text that only one side has: ``added`` or ``removed``."""
    lines = text.splitlines()
    shown = [(Piece(line[:MAX_SHOWN_LINE_CHARS]),) for line in lines[:MAX_COMPARED_LINES]]
    rows = [Row(state, line, None) if state is DiffState.REMOVED else Row(state, None, line) for line in shown]
    return TextDiff(state, (Block(tuple(rows)),) if rows else (), max(0, len(lines) - MAX_COMPARED_LINES))


def combined(states: Iterable[DiffState]) -> DiffState:
    """The state of a whole that has parts in these states."""
    found = set(states)
    if found <= {DiffState.SAME}:
        return DiffState.SAME
    return DiffState.NOISE if found <= {DiffState.SAME, DiffState.NOISE} else DiffState.CHANGED


def _state(rows: Sequence[Row], before: str, now: str, *, knows_noise: bool) -> DiffState:
    old, new = before.splitlines(), now.splitlines()
    if old == new:
        return DiffState.SAME
    if combined(row.state for row in rows) is DiffState.CHANGED:
        return DiffState.CHANGED
    # Lines that are not shown may differ as well.
    if (
        knows_noise
        and len(before) + len(now) <= _MAX_NOISY_CHARS
        and without_noise(before).splitlines() == without_noise(now).splitlines()
    ):
        return DiffState.NOISE
    return DiffState.CHANGED


def _rows(old: Sequence[str], new: Sequence[str], *, knows_noise: bool) -> Iterator[Row]:
    def key(line: str) -> str:
        return without_noise(line[:MAX_SHOWN_LINE_CHARS]) if knows_noise else line

    matcher = difflib.SequenceMatcher(None, list(map(key, old)), list(map(key, new)), autojunk=True)
    for kind, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        before, now = old[old_start:old_end], new[new_start:new_end]
        both = min(len(before), len(now))
        for left, right in zip(before[:both], now[:both], strict=True):
            yield _row(left, right, knows_noise=knows_noise, is_equal=kind == "equal")
        for line in before[both:]:
            yield Row(DiffState.REMOVED, (Piece(line[:MAX_SHOWN_LINE_CHARS]),), None)
        for line in now[both:]:
            yield Row(DiffState.ADDED, None, (Piece(line[:MAX_SHOWN_LINE_CHARS]),))


def _row(before: str, now: str, *, knows_noise: bool, is_equal: bool) -> Row:
    if before == now:
        line = (Piece(before[:MAX_SHOWN_LINE_CHARS]),)
        return Row(DiffState.SAME, line, line)
    left, right = _pieces(before[:MAX_SHOWN_LINE_CHARS], now[:MAX_SHOWN_LINE_CHARS], knows_noise=knows_noise)
    return Row(DiffState.NOISE if is_equal else DiffState.CHANGED, left, right)


def _pieces(before: str, now: str, *, knows_noise: bool) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    old, new = list(tokens(before)), list(tokens(now))
    if max(len(old), len(new)) > _MAX_TOKENS:
        return (Piece(before, DiffState.CHANGED),), (Piece(now, DiffState.CHANGED),)
    left: list[Piece] = []
    right: list[Piece] = []
    matcher = difflib.SequenceMatcher(None, [_key(t, knows_noise) for t in old], [_key(t, knows_noise) for t in new])
    for kind, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        if kind != "equal":
            left += [Piece(token.text, DiffState.CHANGED) for token in old[old_start:old_end]]
            right += [Piece(token.text, DiffState.CHANGED) for token in new[new_start:new_end]]
            continue
        for one, other in zip(old[old_start:old_end], new[new_start:new_end], strict=True):
            state = DiffState.SAME if one.text == other.text else DiffState.NOISE
            left.append(Piece(one.text, state))
            right.append(Piece(other.text, state))
    return _joined(left), _joined(right)


def _key(token: Token, knows_noise: bool) -> str:
    return token.key if knows_noise else token.text


def _joined(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """The same, with neighbours in the same state as one."""
    joined: list[Piece] = []
    for piece in pieces:
        if joined and joined[-1].state is piece.state:
            joined[-1] = Piece(joined[-1].text + piece.text, piece.state)
        else:
            joined.append(piece)
    return tuple(joined)


def _blocks(rows: Sequence[Row]) -> Iterator[Block]:
    """The rows, with unchanged ones folded that are not near others."""
    near = [False] * len(rows)
    for index, row in enumerate(rows):
        if row.state is not DiffState.SAME:
            for neighbour in range(max(0, index - _CONTEXT), min(len(rows), index + _CONTEXT + 1)):
                near[neighbour] = True
    start = 0
    for index in range(1, len(rows) + 1):
        if index == len(rows) or near[index] != near[start]:
            # Folding one or two lines would hide them without saving space.
            yield Block(tuple(rows[start:index]), is_folded=not near[start] and index - start > 2)
            start = index
