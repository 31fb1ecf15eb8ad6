"""Knows how a request is read: who sent it, and what its body asks for."""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from .emulator import Emulator
from .errors import RefusedError
from .run_store import UpdateReport
from .settings import Variant

AUTH_COOKIE = "datalore-emulator-token"
"""Carries the token of a person who followed the link that the emulator prints."""


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
    """Read the JSON body of a request, exactly as documented.

    :raises RefusedError: 400, with what is wrong about it.
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
    """The body that a call takes, for the OpenAPI document; :func:`read_body` is what reads it."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    for name, definition in schema.pop("$defs", {}).items():
        schema = json.loads(
            json.dumps(schema).replace(f'{{"$ref": "#/components/schemas/{name}"}}', json.dumps(definition))
        )
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def emulator(request: Request) -> Emulator:
    """The emulator that the request was sent to."""
    found: Emulator = request.app.state.emulator
    return found


CurrentEmulator = Annotated[Emulator, Depends(emulator)]


def caller(request: Request, emulator: CurrentEmulator) -> str:
    """The user whose bearer token the request carries.

    :raises RefusedError: 401, there is no token or it is not valid.
    """
    return user_of(emulator, _bearer_token(request))


def reader(request: Request, emulator: CurrentEmulator) -> str:
    """The user whose bearer token, or cookie, the request carries.

    :raises RefusedError: 401, there is no token or it is not valid.
    """
    token = _bearer_token(request) or request.cookies.get(AUTH_COOKIE, "")
    if not token:
        raise RefusedError(401, "No API token was sent. A browser gets one by the address that the emulator printed")
    return user_of(emulator, token)


TokenUser = Annotated[str, Depends(caller)]
TokenOrCookieUser = Annotated[str, Depends(reader)]


def _bearer_token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def user_of(emulator: Emulator, token: str) -> str:
    """The user whose token this is.

    :raises RefusedError: 401, there is no token or it is not valid.
    """
    user = emulator.access.user_of(token) if token else None
    if user is None:
        raise RefusedError(401, "The API token is not valid" if token else "No API token was sent")
    return user
