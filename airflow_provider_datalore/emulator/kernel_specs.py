"""Which kernel executes a notebook, and which notebooks cannot be executed here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager

if TYPE_CHECKING:
    from nbformat import NotebookNode

_PYTHON = re.compile(r"(?:i|x)?python[\d.]*|py|pyspark", re.IGNORECASE)
_CELL_TYPES = ("code", "markdown", "raw", "heading")


class NotExecutableError(Exception):
    """The notebook cannot be executed here; the message says why."""


class KernelSpec(NamedTuple):
    """An installed kernel.

    :param name: its name.
    :param language: its language, such as ``python``.
    """

    name: str
    language: str

    @property
    def is_python(self) -> bool:
        """Whether its language is Python."""
        return _is_python(self.language)


def kernel_of(notebook: NotebookNode) -> KernelSpec:
    """The kernel that executes a notebook.

    A notebook from another machine may name a Python kernel that is not installed here, such as that of a conda
    environment. Datalore runs it nevertheless, so Python's own kernel replaces it. No other language is replaced:
    some of its code may be valid Python, with other effects.

    :raises NotExecutableError: its kernel is not installed, or a cell is of an unknown type.
    """
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type not in _CELL_TYPES:
            raise NotExecutableError(f"Cell {number} is of type {cell.cell_type!r}, which the emulator cannot execute")
    wanted, language = _wanted(notebook.metadata)
    manager = KernelSpecManager()
    installed = manager.find_kernel_specs()
    if wanted.lower() in installed:
        found = KernelSpec(wanted.lower(), _language_of(manager, wanted.lower()))
        if found.is_python and language and not _is_python(language):
            raise NotExecutableError(
                f"The notebook's language is {language}, but its kernel {wanted!r} executes {found.language}"
            )
        return found
    if _is_python(language) or (not language and (not wanted or "python" in wanted.lower())):
        return KernelSpec(NATIVE_KERNEL_NAME, "python")
    kernel = f"the kernel {wanted!r}" if wanted else "a kernel for it"
    raise NotExecutableError(
        f"The notebook's language is {language or 'unknown'}, and {kernel} is not installed in the emulator's "
        f"environment (installed: {', '.join(sorted(installed)) or 'none'})"
    )


def _wanted(metadata: Any) -> tuple[str, str]:
    """The kernel's name and the language that a notebook's metadata contains; empty if they are missing."""
    spec, info = metadata.get("kernelspec", {}), metadata.get("language_info", {})
    other = metadata.get("kernel_info")
    name = spec.get("name") or (other.get("name") if isinstance(other, dict) else None) or ""
    return str(name), str(spec.get("language") or info.get("name") or "")


def _language_of(manager: KernelSpecManager, name: str) -> str:
    try:
        return str(manager.get_kernel_spec(name).language)
    except Exception as error:
        # The file may be anything; jupyter_client raises what its parsers raise.
        raise NotExecutableError(f"The description of the kernel {name!r} cannot be read: {error}") from error


def _is_python(language: str) -> bool:
    return _PYTHON.fullmatch(language.strip()) is not None
