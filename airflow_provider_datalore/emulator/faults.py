"""Knows the rules of misbehaviour: what they say, and which of them a request meets."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, field_validator


class _Rule(BaseModel):
    """When a rule applies; the subclasses say what then happens.

    :param method: the HTTP method, all when absent.
    :param path: a regular expression that is searched in the path, all when absent.
    :param skip: how many matching requests are left alone first.
    :param times: how often the rule applies at most.
    :param rate: how probable it is that a matching request meets the rule.
    :param seed: makes the choices of ``rate`` the same each time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str | None = None
    path: str = ""
    skip: int = Field(default=0, ge=0)
    times: int | None = Field(default=None, ge=0)
    rate: float = Field(default=1.0, ge=0, le=1)
    seed: int = 0

    @field_validator("path")
    @classmethod
    def _is_regular_expression(cls, path: str) -> str:
        try:
            re.compile(path)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return path

    def concerns(self, method: str, path: str) -> bool:
        """Whether the rule is about such requests."""
        return (self.method or method).upper() == method and re.search(self.path, path) is not None


class _Replacement(_Rule):
    """A rule that replaces the answer.

    :param when: whether that happens ``before`` the request is handled, which then never is, or ``after``:
        a run that was asked for does start, only the answer that says so is lost.
    """

    when: Literal["before", "after"] = "before"


class Delay(_Rule):
    """The request is handled some seconds late."""

    kind: Literal["delay"]
    seconds: float = Field(ge=0)


class Drop(_Replacement):
    """The connection is cut without an answer; reset (RST), or closed (FIN) when ``reset`` is false."""

    kind: Literal["drop"]
    reset: bool = True


class Hang(_Replacement):
    """No answer ever comes, and the connection stays open."""

    kind: Literal["hang"]


class Status(_Replacement):
    """An error status is answered.

    :param retry_after: seconds; told in ``Retry-After`` as a number, or as the date when they are over.
    :param headers: further headers.
    :param body: the text of the answer.
    """

    kind: Literal["status"]
    status: int = Field(ge=200, le=599)
    retry_after: float | None = None
    retry_after_form: Literal["seconds", "date"] = "seconds"
    headers: dict[str, str] = {}
    body: str = '{"error": "Injected fault"}'


class Html(_Replacement):
    """A page is answered where JSON is due, as a proxy or a login form in between would."""

    kind: Literal["html"]
    status: int = Field(default=200, ge=200, le=599)
    body: str = "<!doctype html><title>Sign in</title><h1>Sign in to continue</h1>"


class Json(_Replacement):
    """Other JSON is answered than is documented: ``body``, or the raw ``text`` when that is set."""

    kind: Literal["json"]
    status: int = Field(default=200, ge=200, le=599)
    body: JsonValue = {"unexpected": True}
    text: str | None = None


class Truncate(_Rule):
    """The real answer breaks off after ``keep`` bytes of its body (half of them when absent)."""

    kind: Literal["truncate"]
    keep: int | None = Field(default=None, ge=0)


class Trickle(_Rule):
    """The real answer's body comes byte by byte, ``seconds`` apart."""

    kind: Literal["trickle"]
    seconds: float = Field(default=0.1, ge=0)


Rule = Annotated[
    Delay | Drop | Hang | Status | Html | Json | Truncate | Trickle,
    Field(discriminator="kind"),
]
RULE_LIST: TypeAdapter[list[Rule]] = TypeAdapter(list[Rule])
"""Reads a list of rules from JSON."""


class FaultRules:
    """The rules in force, and how often each has been applied. The first that applies wins."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self.replace(rules)

    def replace(self, rules: Sequence[Rule]) -> None:
        """Put other rules in force, and count from zero."""
        self.rules = list(rules)
        self.injected = [0] * len(self.rules)
        self._met = [0] * len(self.rules)
        self._dice = [random.Random(rule.seed) for rule in self.rules]  # noqa: S311 - it has to repeat itself

    def choose(self, method: str, path: str) -> Rule | None:
        """The rule that this request meets, None when it is treated well."""
        for number, rule in enumerate(self.rules):
            if rule.concerns(method, path) and self._applies(number, rule):
                self.injected[number] += 1
                return rule
        return None

    def _applies(self, number: int, rule: Rule) -> bool:
        self._met[number] += 1
        if self._met[number] <= rule.skip:
            return False
        if rule.times is not None and self.injected[number] >= rule.times:
            return False
        return self._dice[number].random() < rule.rate
