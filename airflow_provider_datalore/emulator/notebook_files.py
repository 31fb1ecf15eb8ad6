"""Datalore's Notebook API: the files of a notebook."""

from __future__ import annotations

import asyncio
import secrets
import unicodedata
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Query, Request, Security, UploadFile
from fastapi.responses import Response, StreamingResponse
from fastapi.security import HTTPBearer
from pydantic import Field

from .dependencies import CurrentEmulator, TokenUser, documented_body, read_body
from .emulator import Emulator
from .errors import RefusedError
from .library import is_text
from .notebook_api import NotebookBody, NotebookReference, require_notebook_api, session_of
from .run_api import ERROR_RESPONSES

NOTEBOOK_FILES = PurePosixPath("data/notebook_files")
"""The API's path of the folder with a notebook's files, the working directory of its kernel."""

_CHUNK_BYTES = 256 * 1024
_MAX_PATH_CHARS = 2000
_MAX_TEXT_BYTES = 10 * 1024 * 1024

router = APIRouter(
    prefix="/api/notebook/v1",
    dependencies=[Security(HTTPBearer(auto_error=False)), Depends(require_notebook_api)],
    responses=ERROR_RESPONSES,
)


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
async def list_files(request: Request, user: TokenUser, emulator: CurrentEmulator) -> dict[str, Any]:
    """List a folder."""
    body = await read_body(request, FilesBody, emulator.variant)
    folder = _folder(emulator, user, body.notebook_id)
    directory = PurePosixPath(body.directory)
    if directory in NOTEBOOK_FILES.parents:
        return {"files": [_entry(None, NOTEBOOK_FILES.parts[len(directory.parts)])]}
    folder = _local_path(emulator, folder, directory)
    if not folder.is_dir():
        raise RefusedError(404, f"There is no folder {body.directory}")
    return {
        "files": [
            _entry(path, path.name) for path in emulator.library.files(folder) if path.exists() and is_text(path.name)
        ]
    }


@router.post("/file", response_class=Response, openapi_extra=documented_body(FileBody))
async def download_file(request: Request, user: TokenUser, emulator: CurrentEmulator) -> Response:
    """Return the content of a file."""
    body = await read_body(request, FileBody, emulator.variant)
    path = _file(emulator, user, body)
    return StreamingResponse(
        _pieces(path),
        media_type="application/octet-stream",
        headers={"Content-Length": str(path.stat().st_size), "Content-Disposition": "attachment"},
    )


@router.post("/file/exists", openapi_extra=documented_body(FileBody))
async def file_exists(request: Request, user: TokenUser, emulator: CurrentEmulator) -> dict[str, bool]:
    """Return whether a file exists."""
    body = await read_body(request, FileBody, emulator.variant)
    folder = _folder(emulator, user, body.notebook_id)
    try:
        return {"exists": _local_path(emulator, folder, PurePosixPath(body.file_path)).is_file()}
    except RefusedError:
        return {"exists": False}


@router.post("/file/read", openapi_extra=documented_body(ReadBody))
async def read_text(request: Request, user: TokenUser, emulator: CurrentEmulator) -> dict[str, Any]:
    """Return the text of a file."""
    body = await read_body(request, ReadBody, emulator.variant)
    content = await asyncio.to_thread(_file(emulator, user, body).read_bytes)
    kept = content[: body.max_bytes]
    if body.max_lines is not None:
        kept = b"".join(kept.splitlines(keepends=True)[: body.max_lines])
    try:
        text = kept.decode(body.encoding)
    except UnicodeDecodeError as error:
        raise RefusedError(400, f"The file is not encoded as {body.encoding}: {error}") from None
    return {
        "content": text,
        "truncated": len(kept) < len(content),
        "bytesRead": len(kept),
        "linesRead": len(text.splitlines()),
        "encoding": body.encoding,
    }


@router.post("/file/delete", status_code=204, response_class=Response, openapi_extra=documented_body(FileBody))
async def delete_file(request: Request, user: TokenUser, emulator: CurrentEmulator) -> Response:
    """Delete a file."""
    body = await read_body(request, FileBody, emulator.variant)
    _file(emulator, user, body).unlink()
    return Response(status_code=204)


@router.post("/file/upload")
async def upload_file(
    user: TokenUser,
    emulator: CurrentEmulator,
    owner_id: Annotated[str, Query(alias="ownerId")],
    notebook_id: Annotated[str, Query(alias="notebookId")],
    file: Annotated[UploadFile, File()],
    directory: str = "",
) -> dict[str, str]:
    """Write a file; a file with the same name is replaced."""
    folder = _folder(emulator, user, NotebookReference.model_validate({"ownerId": owner_id, "id": notebook_id}))
    name = file.filename or ""
    path = _local_path(emulator, folder, PurePosixPath(directory)) / name
    is_name = bool(name) and "/" not in name and "\0" not in name
    if not is_name or not emulator.library.has_file(folder, path) or path.is_dir():
        raise RefusedError(400, f"{name!r} is not the name of a file")
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
    draft = path.with_name(f".{secrets.token_hex(8)}")
    with draft.open("xb") as target:
        while piece := await file.read(_CHUNK_BYTES):
            await asyncio.to_thread(target.write, piece)
    draft.replace(path)
    return {"fileName": name, "status": "uploaded"}


def _folder(emulator: Emulator, user: str, reference: NotebookReference) -> Path:
    _, session = session_of(emulator, user, reference)
    if emulator.variant.files_need_session and session.state == "NOT_STARTED":
        raise RefusedError(409, "The notebook has no session", "NOT_STARTED")
    return session.path.parent


def _file(emulator: Emulator, user: str, body: FileBody) -> Path:
    path = _local_path(emulator, _folder(emulator, user, body.notebook_id), PurePosixPath(body.file_path))
    if not path.is_file():
        raise RefusedError(404, f"There is no file {body.file_path}")
    return path


def _local_path(emulator: Emulator, folder: Path, path: PurePosixPath) -> Path:
    """The local path for a path of the Notebook API.

    :raises RefusedError: 404, the path does not belong to the notebook; 400, it is too long.
    """
    if len(str(path)) > _MAX_PATH_CHARS or any(len(part.encode("utf-8", "replace")) > 255 for part in path.parts):
        raise RefusedError(400, f"The path is longer than file systems allow: {str(path)[:100]}…")
    if path.is_relative_to(NOTEBOOK_FILES) and "\0" not in str(path):
        local = _existing(folder, path.relative_to(NOTEBOOK_FILES))
        if emulator.library.has_file(folder, local):
            return local
    raise RefusedError(404, f"There is no file or folder {path}")


def _existing(folder: Path, relative: PurePosixPath) -> Path:
    """The path below a folder. Existing names with accents are found in either of the two ways to write them."""
    found = folder
    for part in relative.parts:
        named = found / part
        if not named.exists() and part not in ("..", "") and found.is_dir():
            wanted = unicodedata.normalize("NFC", part)
            named = next((each for each in found.iterdir() if unicodedata.normalize("NFC", each.name) == wanted), named)
        found = named
    return found


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
