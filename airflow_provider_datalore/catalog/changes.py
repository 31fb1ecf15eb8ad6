"""What differs between two states of a notebook in the lock file, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any

from airflow_provider_datalore.api.text import one_line, shorten
from airflow_provider_datalore.catalog.controls import LockedControl

_WORDS = {
    "label": "label",
    "min": "least value",
    "max": "greatest value",
    "step": "step",
    "more_items": "number of items that are not listed",
    "default": "default",
}
_FLAGS = {
    "multiselect": "several values",
    "dynamic": "items from a variable",
    "range": "two dates",
    "multiline": "lines",
}


def changes(locked: Mapping[str, Any], present: Mapping[str, Any]) -> list[str]:
    """What has changed, one sentence for each change.

    :param locked: the facts in the lock file.
    :param present: the facts now.
    """
    return [*_controls(locked.get("controls"), present.get("controls")), *_others(locked, present)]


def described(variable: str, facts: Mapping[str, Any]) -> str:
    """A control for a sentence: its variable and its type."""
    return f"{variable!r} ({LockedControl(variable, facts)})"


def _controls(locked: Mapping[str, Any] | None, present: Mapping[str, Any] | None) -> Iterator[str]:
    if locked is None or present is None:
        if locked is not present:
            yield "its controls are no longer known" if present is None else "its controls are known now"
        return
    gone = [name for name in locked if name not in present]
    new = [name for name in present if name not in locked]
    for name in list(gone):
        # The same control with another variable was renamed, and that is what breaks a DAG.
        twin = next((other for other in new if _same(locked[name], present[other])), None)
        if twin is not None:
            yield f"control {name!r} was renamed to {twin!r}"
            gone.remove(name)
            new.remove(twin)
    for name in gone:
        yield f"control {name!r} was removed"
    for name in new:
        yield f"control {described(name, present[name])} was added"
    for name in locked:
        if name in present and locked[name] != present[name]:
            yield from _control(name, locked[name], present[name])
    kept = [name for name in locked if name in present]
    if kept != [name for name in present if name in locked]:
        yield "the order of its controls changed"


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return {**one, "label": ""} == {**other, "label": ""}


def _control(name: str, locked: Mapping[str, Any], present: Mapping[str, Any]) -> Iterator[str]:
    if locked.get("type") != present.get("type"):
        yield f"the type of control {name!r} was {LockedControl(name, locked)} and is {LockedControl(name, present)}"
        return
    removed, added = (
        list(dict.fromkeys(item for item in one.get("items") or () if item not in others))
        for one, others in (
            (locked, frozenset(present.get("items") or ())),
            (present, frozenset(locked.get("items") or ())),
        )
    )
    if removed:
        yield f"control {name!r} no longer has {_values(removed)}"
    if added:
        yield f"control {name!r} now has {_values(added)} as well"
    if not removed and not added and locked.get("items") != present.get("items"):
        yield f"the order of the items of control {name!r} changed"
    for key, word in _WORDS.items():
        if locked.get(key) != present.get(key):
            yield f"the {word} of control {name!r} was {_value(locked.get(key))} and is {_value(present.get(key))}"
    for key, word in _FLAGS.items():
        if bool(locked.get(key)) != bool(present.get(key)):
            yield f"control {name!r} {'now has' if present.get(key) else 'no longer has'} {word}"
    if locked.get("value_type") != present.get("value_type"):
        before, after = (facts.get("value_type") or "unknown" for facts in (locked, present))
        yield f"the type of {name!r} was {before} and is {after}"


def _others(locked: Mapping[str, Any], present: Mapping[str, Any]) -> Iterator[str]:
    if locked.get("language") != present.get("language"):
        yield f"its language was {_value(locked.get('language'))} and is {_value(present.get('language'))}"
    if locked.get("description") != present.get("description"):
        yield "its description changed"
    before, after = locked.get("cells") or [], present.get("cells") or []
    changed = added = removed = 0
    for kind, first, last, begin, end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind != "equal":
            both = min(last - first, end - begin)
            changed, added, removed = changed + both, added + end - begin - both, removed + last - first - both
    parts = [
        f"{_cells(count)} {word}"
        for count, word in ((changed, "changed"), (added, "added"), (removed, "removed"))
        if count
    ]
    if parts:
        yield f"its code: {', '.join(parts)}"


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _values(values: list[str]) -> str:
    return shorten(one_line(", ".join(map(repr, values))))


def _value(value: object) -> str:
    return "not set" if value is None else shorten(one_line(repr(value)))
