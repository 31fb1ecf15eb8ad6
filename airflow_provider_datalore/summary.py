"""Summarizes what a task of this package did, for callbacks and notifiers: as plain text, Slack blocks and HTML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from airflow_provider_datalore import xcom
from airflow_provider_datalore.api.text import one_line, plain
from airflow_provider_datalore.durations import in_words
from airflow_provider_datalore.exceptions import DataloreError, RunState
from airflow_provider_datalore.tasks.history import HISTORY_FIELD, History
from airflow_provider_datalore.tasks.own_xcoms import own_xcom

MAX_BLOCKS = 50
"""Maximum number of blocks that Slack accepts in a message."""
MAX_BLOCK_CHARS = 3000
"""Maximum number of characters that Slack accepts in the text of a block."""

_TEMPLATE = re.compile(r"\{(?=[{%#])")
"""What begins a template of Jinja; notifiers render what they are given, and a notebook may have written it."""

_MAX_VALUE_CHARS = 500
_MAX_VALUES = 20
_MAX_PART_CHARS = 2500


@dataclass(frozen=True, slots=True)
class Part:
    """One line, or one paragraph, of a summary.

    :param label: what it is, such as ``Duration``.
    :param text: the text; plain, without secrets that Airflow knows.
    :param address: the address to which it leads; empty for none.
    :param is_code: whether its line breaks and blanks matter.
    """

    label: str
    text: str
    address: str = ""
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """What a task did.

    :param state: the state of the notebook: ``"succeeded"``, ``"failed"``, or another :class:`.RunState`.
    :param title: what happened, in one line.
    :param parts: the details.
    """

    state: RunState
    title: str
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The summary as plain text, one part a line."""
        return "\n".join([self.title, *_lines_of_text(self.parts)])

    @property
    def slack_text(self) -> str:
        """The title for Slack's argument ``text``, which notifications show; escaped, as the blocks are."""
        return _for_slack(self.title, MAX_BLOCK_CHARS)

    @property
    def slack_blocks(self) -> list[dict[str, Any]]:
        """The summary as blocks of Slack's Block Kit: at most 50, each with at most 3,000 characters.

        Source: https://docs.slack.dev/reference/block-kit/blocks/
        """
        blocks = [_section(f"*{_for_slack(self.title, MAX_BLOCK_CHARS - 2)}*")]
        for part in self.parts[: MAX_BLOCKS - 1]:
            label = f"*{_for_slack(part.label, 200)}:*"
            left = MAX_BLOCK_CHARS - len(label) - 10
            if part.is_code:
                blocks.append(_section(f"{label}\n```{_for_slack(part.text, left).replace('```', '` ` `')}```"))
            elif part.address and len(_for_slack(part.address, left)) < left // 2:
                # Slack ends the address of a link at the first | or >.
                address = _for_slack(part.address, left).replace("|", "%7C")
                blocks.append(_section(f"{label} <{address}|{_for_slack(part.text, left - len(address))}>"))
            else:
                blocks.append(_section(f"{label} {_for_slack(part.text, left)}"))
        return blocks

    @property
    def html(self) -> str:
        """The summary as HTML, to be used in a page or a mail."""
        rows = "".join(
            f'<tr><th align="left" valign="top">{escape(part.label)}</th><td>{_cell_of_html(part)}</td></tr>'
            for part in self.parts
        )
        return f"<p><strong>{escape(self.title)}</strong></p><table>{rows}</table>"


def summarize(context: Mapping[str, Any]) -> Summary:
    """Summarize what a task of this package did: state, notebook, duration, values, and why it failed.

    Works in ``on_success_callback`` and ``on_failure_callback`` of every task of this package, and never fails.
    Secrets that Airflow knows are masked, and everything is bounded.

    :param context: the context that Airflow passes to the callback.
    """
    error = _error(context)
    run = _read(context, xcom.RUN)
    reported = run if isinstance(run, Mapping) else {}
    stored = _read(context, xcom.ERROR)
    left = stored if error is not None and isinstance(stored, Mapping) else {}
    state = _state(error, left)
    parts = [part for part in _parts(context, error, reported, left) if part.text]
    return Summary(state, _masked(_title(context, error, left)), tuple(map(_masked_part, parts)))


def _title(context: Mapping[str, Any], error: BaseException | None, left: Mapping[str, Any]) -> str:
    task = _task_name(context)
    if error is None:
        return f"{task} succeeded"
    if isinstance(error, DataloreError):
        reason = error.summary
    else:
        reason = str(left.get("summary") or f"{type(error).__name__}: {error}")
    return f"{task} failed: {one_line(reason)[:300]}"


def _parts(
    context: Mapping[str, Any], error: BaseException | None, run: Mapping[str, Any], left: Mapping[str, Any]
) -> Iterator[Part]:
    own = error if isinstance(error, DataloreError) else None
    notebook, address = _notebook(context, own, left)
    yield Part("Notebook", notebook or address, address)
    yield Part("Run", one_line(str(run.get("run_id") or _read(context, xcom.RUN_ID) or "")))
    yield Part("Duration", _duration(run, run.get(HISTORY_FIELD) or _read(context, xcom.HISTORY)))
    failure = getattr(own, "failure", None)
    if failure is not None:
        yield Part("Failed in", one_line(failure.cell))
        yield Part("Error", one_line(failure.error))
    yield from _values(_read(context, xcom.OUTPUTS))
    changes = getattr(own, "changes", None)
    if changes is not None:
        yield Part("What changed", plain(str(changes)), is_code=True)
    yield Part("State", own.state_words if own is not None else "")
    yield Part("To do", one_line(own.to_do if own is not None else str(left.get("to_do") or "")))
    yield Part("Airflow", "the task's log", _log_address(context))


def _values(outputs: object) -> Iterator[Part]:
    if not isinstance(outputs, Mapping):
        return
    for number, (name, value) in enumerate(outputs.items()):
        if number == _MAX_VALUES:
            yield Part("Values", f"and {len(outputs) - number} more")
            return
        yield Part(one_line(str(name))[:100], _json(value)[:_MAX_VALUE_CHARS])


def _duration(reported: Mapping[str, Any], history: object) -> str:
    try:
        took = _seconds(reported)
    except ValueError:
        return ""
    if took is None:
        return ""
    usual = History.read(history).usual_duration
    return in_words(took) + (f" (usually {in_words(usual)})" if usual is not None else "")


def _seconds(reported: Mapping[str, Any]) -> float | None:
    """How long a run took; for an interactive run, which has cells, its cells together.

    :raises ValueError: if it is not a run.
    """
    if "cells" in reported:
        from airflow_provider_datalore.api.interactive import InteractiveRun
        from airflow_provider_datalore.tasks.interactive_changes import duration_of

        return duration_of(InteractiveRun.model_validate(reported))
    from airflow_provider_datalore.api.models import Run

    run: Run = Run.model_validate(reported) if reported.get("run_id") else Run(run_id="")
    return run.duration


def _notebook(context: Mapping[str, Any], error: DataloreError | None, left: Mapping[str, Any]) -> tuple[str, str]:
    address = (error.notebook_url if error is not None else "") or left.get("notebook_url")
    address = address or _read(context, xcom.NOTEBOOK_URL)
    address = address if isinstance(address, str) and address.startswith(("https://", "http://")) else ""
    return one_line(str(getattr(context.get("task"), "notebook_id", None) or ""))[:300], address


def _state(error: BaseException | None, left: Mapping[str, Any]) -> RunState:
    if error is None:
        return RunState.SUCCEEDED
    if isinstance(error, DataloreError):
        return error.state
    try:
        return RunState(str(left.get("state")))
    except ValueError:
        return RunState.UNKNOWN


def _error(context: Mapping[str, Any]) -> BaseException | None:
    """The exception that failed the task; that of this package, if Airflow's was raised because of it."""
    error = context.get("exception")
    if not isinstance(error, BaseException):
        return RuntimeError(str(error)) if error else None
    return error.__cause__ if isinstance(error.__cause__, DataloreError) else error


def _task_name(context: Mapping[str, Any]) -> str:
    task_instance = context.get("ti")
    name = ".".join(str(getattr(task_instance, part, "")) for part in ("dag_id", "task_id"))
    index = getattr(task_instance, "map_index", -1)
    return one_line(f"{name}[{index}]" if isinstance(index, int) and index >= 0 else name)


def _log_address(context: Mapping[str, Any]) -> str:
    try:
        address = getattr(context.get("ti"), "log_url", "")
    except Exception:
        return ""
    return address if isinstance(address, str) else ""


def _read(context: Mapping[str, Any], key: str) -> Any:
    """An XCom of the task; None if it has none, or XComs cannot be read where the callback runs."""
    try:
        return own_xcom(context, key)  # type: ignore[arg-type]  # any mapping with a task instance will do
    except Exception:
        return None


def _masked(text: str) -> str:
    """The text without secrets that Airflow knows, and without templates: an invisible blank separates their braces."""
    from airflow.providers.common.compat.sdk import redact

    masked: Any = redact(text)
    return _TEMPLATE.sub("{\u200b", str(masked))


def _masked_part(part: Part) -> Part:
    text = _masked(part.text)
    return Part(
        _masked(part.label),
        text if len(text) <= _MAX_PART_CHARS else text[:_MAX_PART_CHARS] + "…",
        part.address.replace("{", "%7B").replace("}", "%7D"),
        part.is_code,
    )


def _json(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _lines_of_text(parts: tuple[Part, ...]) -> Iterator[str]:
    for part in parts:
        yield f"{part.label}: {part.text}" if not part.is_code else part.text
        if part.address and part.address != part.text:
            yield f"    {part.address}"


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _for_slack(text: str, max_chars: int) -> str:
    """Escape a text for Slack, shortened so that the escaped text fits, and no escape is cut in two."""
    escaped: list[str] = []
    size = 0
    for character in text:
        piece = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(character, character)
        size += len(piece)
        if size > max_chars - 1:
            return "".join([*escaped, "…"])
        escaped.append(piece)
    return "".join(escaped)


def _cell_of_html(part: Part) -> str:
    if part.is_code:
        return f"<pre>{escape(part.text)}</pre>"
    text = escape(part.text)
    return f'<a href="{escape(part.address)}">{text}</a>' if part.address else text
