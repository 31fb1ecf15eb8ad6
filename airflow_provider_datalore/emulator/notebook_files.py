"""Datalore's Notebook API: the files of a notebook."""

from __future__ import annotations

import asyncio
import codecs
import secrets
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from fastapi import File, Query, Request, UploadFile
from fastapi.responses import Response, StreamingResponse
from pydantic import Field

from .dependencies import CurrentCaller, CurrentEmulator, documented_body, read_body
from .emulator import Emulator
from .errors import RefusedError
from .notebook_bodies import NotebookBody, NotebookReference
from .notebook_requests import notebook_router, session_of
from .scopes import Caller
from .tree import NotebookFile

_CHUNK_BYTES = 256 * 1024
_MAX_TEXT_BYTES = 10 * 1024 * 1024

router = notebook_router()


class FilesBody(NotebookBody):
    """The body of ``files``."""

    directory: str = ""


class FileBody(NotebookBody):
    """The body of a request about a file."""

    file_path: str


class ReadBody(FileBody):
    """The body of ``file/read``."""

    encoding: str = Field(default="utf-8", pattern="^(utf-8|latin-1)$")
    max_bytes: int = Field(default=1024 * 1024, ge=1, le=_MAX_TEXT_BYTES)
    max_lines: int | None = Field(default=None, ge=1)


@router.post("/files", openapi_extra=documented_body(FilesBody))
async def list_files(request: Request, caller: CurrentCaller, emulator: CurrentEmulator) -> dict[str, Any]:
    """List a folder."""
    body = await read_body(request, FilesBody, emulator.variant)
    notebook = _notebook(emulator, caller, body.notebook_id)
    entries = emulator.file_areas.entries(notebook, PurePosixPath(body.directory))
    return {"files": [_entry(path, name) for name, path in entries]}


@router.post("/file", response_class=Response, openapi_extra=documented_body(FileBody))
async def download_file(request: Request, caller: CurrentCaller, emulator: CurrentEmulator) -> Response:
    """Return the content of a file."""
    body = await read_body(request, FileBody, emulator.variant)
    path = _file(emulator, caller, body)
    return StreamingResponse(
        _pieces(path),
        media_type="application/octet-stream",
        headers={"Content-Length": str(path.stat().st_size), "Content-Disposition": "attachment"},
    )


@router.post("/file/exists", openapi_extra=documented_body(FileBody))
async def file_exists(request: Request, caller: CurrentCaller, emulator: CurrentEmulator) -> dict[str, bool]:
    """Return whether a file exists."""
    body = await read_body(request, FileBody, emulator.variant)
    notebook = _notebook(emulator, caller, body.notebook_id)
    try:
        return {"exists": emulator.file_areas.find(notebook, PurePosixPath(body.file_path)).is_file()}
    except RefusedError:
        return {"exists": False}


@router.post("/file/read", openapi_extra=documented_body(ReadBody))
async def read_text(request: Request, caller: CurrentCaller, emulator: CurrentEmulator) -> dict[str, Any]:
    """Return the text of a file."""
    body = await read_body(request, ReadBody, emulator.variant)
    path = _file(emulator, caller, body)
    content = await asyncio.to_thread(_beginning, path, body.max_bytes + 1)
    kept = content[: body.max_bytes]
    if body.max_lines is not None:
        kept = b"".join(kept.splitlines(keepends=True)[: body.max_lines])
    is_cut = len(kept) < len(content)
    try:
        # The limit may lie within a character, which is left out then.
        text = codecs.getincrementaldecoder(body.encoding)().decode(kept, final=not is_cut)
    except UnicodeDecodeError as error:
        raise RefusedError(400, f"The file is not encoded as {body.encoding}: {error}") from None
    return {
        "content": text,
        "truncated": is_cut,
        "bytesRead": len(text.encode(body.encoding)),
        "linesRead": len(text.splitlines()),
        "encoding": body.encoding,
    }


@router.post("/file/delete", status_code=204, response_class=Response, openapi_extra=documented_body(FileBody))
async def delete_file(request: Request, caller: CurrentCaller, emulator: CurrentEmulator) -> Response:
    """Delete a file."""
    body = await read_body(request, FileBody, emulator.variant)
    _file(emulator, caller, body).unlink()
    return Response(status_code=204)


@router.post("/file/upload")
async def upload_file(
    caller: CurrentCaller,
    emulator: CurrentEmulator,
    owner_id: Annotated[str, Query(alias="ownerId")],
    notebook_id: Annotated[str, Query(alias="notebookId")],
    file: Annotated[UploadFile, File()],
    directory: str = "",
) -> dict[str, str]:
    """Write a file; a file with the same name is replaced. Without a directory, it is written to the root."""
    notebook = _notebook(emulator, caller, NotebookReference.model_validate({"ownerId": owner_id, "id": notebook_id}))
    name = file.filename or ""
    is_name = bool(name) and name not in (".", "..") and "/" not in name and "\0" not in name
    folder = emulator.file_areas.find(notebook, PurePosixPath(directory))
    path = folder / name
    if not is_name or not _is_free(emulator, notebook, PurePosixPath(directory, name)) or path.is_dir():
        raise RefusedError(400, f"{name!r} is not the name of a file that can be written to {directory or 'the root'}")
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
    draft = path.with_name(f".{secrets.token_hex(8)}")
    with draft.open("xb") as target:
        while piece := await file.read(_CHUNK_BYTES):
            await asyncio.to_thread(target.write, piece)
    draft.replace(path)
    return {"fileName": name, "status": "uploaded"}


def _notebook(emulator: Emulator, caller: Caller, reference: NotebookReference) -> NotebookFile:
    notebook, session = session_of(emulator, caller, reference)
    if emulator.variant.files_need_session and session.state == "NOT_STARTED":
        raise RefusedError(409, "The notebook has no session", "NOT_STARTED")
    return notebook


def _file(emulator: Emulator, caller: Caller, body: FileBody) -> Path:
    notebook = _notebook(emulator, caller, body.notebook_id)
    path = emulator.file_areas.find(notebook, PurePosixPath(body.file_path))
    if not path.is_file():
        raise RefusedError(404, f"There is no file {body.file_path}")
    return path


def _beginning(path: Path, max_bytes: int) -> bytes:
    with path.open("rb") as file:
        return file.read(max_bytes)


def _is_free(emulator: Emulator, notebook: NotebookFile, path: PurePosixPath) -> bool:
    try:
        emulator.file_areas.find(notebook, path)
    except RefusedError:
        return False
    return True


def _entry(path: Path | None, name: str) -> dict[str, Any]:
    if path is None or path.is_dir():
        return {"name": name, "type": "FOLDER", "fileSize": 0, "lastModified": None}
    known = path.stat()
    return {
        "name": name,
        "type": "FILE",
        "fileSize": known.st_size,
        "lastModified": int(known.st_mtime * 1000),
    }


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as source:
        while piece := await asyncio.to_thread(source.read, _CHUNK_BYTES):
            yield piece
