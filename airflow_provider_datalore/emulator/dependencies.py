"""FastAPI dependencies and request bodies: who sent a request, and what it contains."""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from .emulator import Emulator
from .errors import RefusedError
from .run_store import UpdateReport
from .scopes import Caller, Level, Scope
from .settings import Variant

AUTH_COOKIE = "datalore-emulator-token"
"""The cookie with the token of a browser that has opened the sign-in link."""


class Parameter(BaseModel):
    """The value of one control."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(min_length=1)
    value: str | bool | int | float | list[JsonValue]


class InteractiveBody(BaseModel):
    """The body of ``POST /api/computation/v1/notebook``."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)

    notebook_id: str = Field(alias="notebookId")


class RunBody(InteractiveBody):
    """The body of ``POST /api/run/v1/notebook``."""

    update_report: UpdateReport = Field(default="never", alias="updateReport")
    parameters: list[Parameter] = []
    direct_file_storage_write: bool = Field(default=False, alias="directFileStorageWrite")


Body = TypeVar("Body", bound=BaseModel)


async def read_body(request: Request, model: type[Body], variant: Variant) -> Body:
    """Read the JSON body of a request and check that it is as documented.

    :raises RefusedError: 400, the body is not as documented; the message says why.
    """
    try:
        body = model.model_validate_json(await request.body())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"][:3]) or "body"
        raise RefusedError(400, f"{where}: {first['msg']}") from None
    unknown = set(body.model_extra or ()) if variant.unknown_field == "reject" else set()
    if not variant.parameters:
        unknown |= body.model_fields_set & {"parameters"}
    if not variant.direct_file_storage_write and "direct_file_storage_write" in body.model_fields_set:
        unknown.add("directFileStorageWrite")
    if unknown:
        raise RefusedError(400, f"Unknown fields: {', '.join(sorted(unknown))}")
    return body


def documented_body(model: type[BaseModel]) -> dict[str, Any]:
    """The body of a request, for the OpenAPI document; :func:`read_body` reads it."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    for name, definition in schema.pop("$defs", {}).items():
        schema = json.loads(
            json.dumps(schema).replace(f'{{"$ref": "#/components/schemas/{name}"}}', json.dumps(definition))
        )
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def current_emulator(request: Request) -> Emulator:
    """The emulator that handles the request."""
    found: Emulator = request.app.state.emulator
    return found


CurrentEmulator = Annotated[Emulator, Depends(current_emulator)]


def caller(request: Request, emulator: CurrentEmulator) -> Caller:
    """Who sent a request with a bearer token.

    :raises RefusedError: 401, the token is missing or not valid.
    """
    return caller_with(emulator, _bearer_token(request))


def caller_or_browser(request: Request, emulator: CurrentEmulator) -> Caller:
    """Who sent a request with a bearer token or the cookie.

    :raises RefusedError: 401, the token is missing or not valid.
    """
    token = _bearer_token(request) or request.cookies.get(AUTH_COOKIE, "")
    if not token:
        raise RefusedError(401, "No API token was sent. To sign in, open the address that the emulator printed")
    return caller_with(emulator, token)


CurrentCaller = Annotated[Caller, Depends(caller)]
CallerOrBrowser = Annotated[Caller, Depends(caller_or_browser)]


class RequireScope:
    """Its method :meth:`check` is a dependency that refuses tokens whose scope does not cover a call.

    A method, since FastAPI before 0.118 (with Airflow 3.0 and 3.1) cannot read the annotations of a callable object.

    :param scope: the scope that the call requires; None for that of the Run API, which depends on the variant.
    :param level: the access that the call requires, if the scope is ``WORKSPACE``.
    """

    def __init__(self, scope: Scope | None, level: Level = Level.READ) -> None:
        self._scope = scope
        self._level = level

    def check(self, caller: CurrentCaller, emulator: CurrentEmulator) -> None:
        """Check the token of a request.

        :raises RefusedError: 403, the scope of the token does not cover the call.
        """
        variant = emulator.variant
        scope = Scope[variant.run_api_scope] if self._scope is None else self._scope
        if caller.limits.cover(scope, self._level):
            return
        needed, challenge = scope.name, f'scope="{scope.name}"'
        if scope is Scope.WORKSPACE:
            needed, challenge = f"{needed} with access {self._level.name}", f'{challenge}, access="{self._level.name}"'
        message = f"The scope of the token is {caller.limits.scope.name}, and the call requires {needed}"
        raise RefusedError(403, message, challenge=challenge if variant.scope_challenge else "")


def _bearer_token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def caller_with(emulator: Emulator, token: str) -> Caller:
    """Whose token it is, and what it may be used for.

    :raises RefusedError: 401, the token is missing or not valid.
    """
    found = emulator.access.caller(token) if token else None
    if found is None:
        raise RefusedError(401, "The API token is not valid" if token else "No API token was sent")
    return found
