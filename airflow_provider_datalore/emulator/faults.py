"""Fault rules: what they do, and which one applies to a request."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, field_validator


class _Rule(BaseModel):
    """Which requests a rule applies to; subclasses define the fault.

    :param method: the HTTP method; all if absent.
    :param path: a regular expression to search for in the path; all if absent.
    :param skip: the number of matching requests to leave alone first.
    :param times: the maximum number of times to apply the rule.
    :param rate: the probability with which the rule applies to a matching request.
    :param seed: the seed of the random numbers for ``rate``, which makes them repeatable.
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

    def matches(self, method: str, path: str) -> bool:
        """Whether the rule is for such requests."""
        return (self.method or method).upper() == method and re.search(self.path, path) is not None


class _Replacement(_Rule):
    """A rule that replaces the response.

    :param when: ``before``: the request is not handled at all; ``after``: the request is handled and only its response
        is lost, so that a submitted run does start.
    """

    when: Literal["before", "after"] = "before"


class Delay(_Rule):
    """The request is handled after a delay in seconds."""

    kind: Literal["delay"]
    seconds: float = Field(ge=0)


class Drop(_Replacement):
    """The connection is cut without a response: reset (RST), or closed (FIN) if ``reset`` is false."""

    kind: Literal["drop"]
    reset: bool = True


class Hang(_Replacement):
    """No response is ever sent, and the connection stays open."""

    kind: Literal["hang"]


class Status(_Replacement):
    """The response is an error.

    :param retry_after: seconds for the header ``Retry-After``.
    :param retry_after_form: write the header as a number of ``seconds`` or as the ``date`` when they have passed.
    :param headers: additional headers.
    :param body: the body of the response.
    """

    kind: Literal["status"]
    status: int = Field(ge=200, le=599)
    retry_after: float | None = None
    retry_after_form: Literal["seconds", "date"] = "seconds"
    headers: dict[str, str] = {}
    body: str = '{"error": "Injected fault"}'


class Html(_Replacement):
    """The response is an HTML page in place of JSON, as from a proxy or a login form."""

    kind: Literal["html"]
    status: int = Field(default=200, ge=200, le=599)
    body: str = "<!doctype html><title>Sign in</title><h1>Sign in to continue</h1>"


class Json(_Replacement):
    """The response is undocumented JSON: ``body``, or the raw ``text`` if that is set."""

    kind: Literal["json"]
    status: int = Field(default=200, ge=200, le=599)
    body: JsonValue = {"unexpected": True}
    text: str | None = None


class Truncate(_Rule):
    """The real response ends early, after ``keep`` bytes of its body (half of the body if absent)."""

    kind: Literal["truncate"]
    keep: int | None = Field(default=None, ge=0)


class Trickle(_Rule):
    """The body of the real response is sent byte by byte, with pauses of ``seconds``."""

    kind: Literal["trickle"]
    seconds: float = Field(default=0.1, ge=0)


Rule = Annotated[
    Delay | Drop | Hang | Status | Html | Json | Truncate | Trickle,
    Field(discriminator="kind"),
]
RULE_LIST: TypeAdapter[list[Rule]] = TypeAdapter(list[Rule])
"""Validates a list of rules, and converts it from and to JSON."""


class FaultRules:
    """The active rules, and how often each was applied. The first rule that applies wins."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self.replace(rules)

    def replace(self, rules: Sequence[Rule]) -> None:
        """Replace the rules, and count from zero."""
        self.rules = list(rules)
        self.injected = [0] * len(self.rules)
        self._matched = [0] * len(self.rules)
        self._random = [random.Random(rule.seed) for rule in self.rules]  # noqa: S311 - it has to be repeatable

    def choose(self, method: str, path: str) -> Rule | None:
        """The rule that applies to a request, None if none does."""
        for number, rule in enumerate(self.rules):
            if rule.matches(method, path) and self._applies(number, rule):
                self.injected[number] += 1
                return rule
        return None

    def _applies(self, number: int, rule: Rule) -> bool:
        self._matched[number] += 1
        if self._matched[number] <= rule.skip:
            return False
        if rule.times is not None and self.injected[number] >= rule.times:
            return False
        return self._random[number].random() < rule.rate
