"""Knows how the emulator becomes a web application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from . import admin_api, notebook_api, notebook_files, pages, run_api
from .emulator import Emulator
from .errors import RefusedError, refuse
from .fault_middleware import FaultMiddleware
from .hosts import LOOPBACK_NAMES, HostMiddleware
from .request_log import RequestLogMiddleware
from .settings import Settings


def create_app(settings: Settings, names: Collection[str] | None = LOOPBACK_NAMES) -> FastAPI:
    """Make an emulator that any ASGI server can serve.

    Faults that cut a connection need a server that tells its connections to the application, see
    :class:`.fault_middleware.TransportProtocol`.

    :param names: the hosts that requests may be sent to; None for any.
    """
    emulator = Emulator(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await emulator.runner.stop()
        await emulator.sessions.stop()

    app = FastAPI(
        title="Datalore's APIs, as the emulator reads its documentation",
        lifespan=lifespan,
        openapi_url="/emulator/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.emulator = emulator
    for part in (run_api, notebook_api, notebook_files):
        app.include_router(part.router)
    for part in (admin_api, pages):
        app.include_router(part.router, include_in_schema=False)
    # The last one added is the first to see a request.
    app.add_middleware(FaultMiddleware, book=emulator.faults)
    app.add_middleware(RequestLogMiddleware, request_log=emulator.request_log)
    if names is not None:
        app.add_middleware(HostMiddleware, names=names)

    @app.exception_handler(RefusedError)
    async def on_refusal(_: Request, refusal: RefusedError) -> Response:
        return refuse(refusal, emulator.variant)

    @app.exception_handler(HTTPException)
    async def on_http_error(_: Request, error: HTTPException) -> Response:
        return refuse(RefusedError(error.status_code, str(error.detail)), emulator.variant)

    # Only the emulator's own paths are validated by FastAPI; there, every mistake is told.
    @app.exception_handler(RequestValidationError)
    async def on_invalid(_: Request, error: RequestValidationError) -> Response:
        mistakes = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        return JSONResponse({"error": mistakes}, 400)

    return app
