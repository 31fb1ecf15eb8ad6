"""The web application: routers, middleware and error handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from . import admin_api, cells_api, notebook_api, notebook_files, other_api, pages, report_api, run_api, workspace_api
from .emulator import Emulator
from .errors import RefusedError, error_response
from .fault_middleware import FaultMiddleware
from .header_middleware import HeaderMiddleware
from .hosts import LOOPBACK_NAMES, HostMiddleware, OriginMiddleware
from .request_log import RequestLogMiddleware
from .settings import Settings


def create_app(settings: Settings, allowed: Collection[str] | None = LOOPBACK_NAMES) -> FastAPI:
    """Create an emulator that any ASGI server can serve.

    Faults that cut a connection require a server that passes the connection to the application, see
    :class:`.fault_middleware.TransportProtocol`.

    :param allowed: the host names that requests may be sent to; None for any.
    """
    emulator = Emulator(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await emulator.runner.stop()
        await emulator.sessions.close()

    app = FastAPI(
        title="Datalore's APIs as the emulator implements them",
        lifespan=lifespan,
        openapi_url="/emulator/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.emulator = emulator
    for part in (run_api, notebook_api, cells_api, notebook_files, report_api, workspace_api):
        app.include_router(part.router)
    for router in (run_api.artifacts_router, workspace_api.user_router, other_api.router):
        app.include_router(router)
    for part in (admin_api, pages):
        app.include_router(part.router, include_in_schema=False)
    app.add_middleware(HeaderMiddleware, variant=lambda: emulator.variant)
    # The middleware that is added last sees a request first.
    app.add_middleware(other_api.VersionMiddleware)
    app.add_middleware(FaultMiddleware, faults=emulator.faults)
    app.add_middleware(RequestLogMiddleware, request_log=emulator.request_log)
    app.add_middleware(OriginMiddleware)
    if allowed is not None:
        app.add_middleware(HostMiddleware, allowed=allowed)

    @app.exception_handler(RefusedError)
    async def on_refusal(_: Request, refusal: RefusedError) -> Response:
        return error_response(refusal, emulator.variant)

    @app.exception_handler(HTTPException)
    async def on_http_error(_: Request, error: HTTPException) -> Response:
        return error_response(RefusedError(error.status_code, str(error.detail)), emulator.variant)

    # FastAPI validates only the paths below /emulator/ and queries, and reports every mistake.
    @app.exception_handler(RequestValidationError)
    async def on_invalid(_: Request, error: RequestValidationError) -> Response:
        mistakes = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        return error_response(RefusedError(400, mistakes), emulator.variant)

    return app
