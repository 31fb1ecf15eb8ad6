"""Makes a notebook file usable in which fields are missing or have values of invalid types.

nbformat accepts many such files, and Jupyter opens them, but other code fails on them.
"""

from __future__ import annotations

import json
from typing import Any


def load(content: bytes) -> dict[str, Any]:
    """Read a notebook file: JSON in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    :return: the notebook; invalid fields of cells and metadata are corrected or removed, everything else is kept.
    :raises ValueError: the file is not a notebook.
    """
    notebook = json.loads(content)
    if not isinstance(notebook, dict):
        raise ValueError("it is JSON, but not an object")  # noqa: TRY004 - a mistake in a file, not in the program
    if "worksheets" in notebook and "cells" not in notebook:
        _repair_old_format(notebook)
        return notebook
    if not isinstance(notebook.get("cells"), list):
        raise ValueError("it is JSON, but has no cells")  # noqa: TRY004
    notebook["nbformat"] = _number(notebook.get("nbformat"), 4)
    notebook["nbformat_minor"] = _number(notebook.get("nbformat_minor"), 4)
    repair(notebook)
    return notebook


def repair(notebook: dict[str, Any]) -> None:
    """Correct or remove invalid fields of a notebook of format 4."""
    metadata = _set_unless(dict, notebook, "metadata", {})
    for section in ("kernelspec", "language_info"):
        _remove_unless(dict, metadata, section)
        _remove_unless(str, metadata.get(section, {}), "name", "language", "display_name")
    _remove_unless(str, metadata, "title")
    for number, cell in enumerate(notebook["cells"], start=1):
        if not isinstance(cell, dict):
            raise ValueError(f"cell {number} is not an object")  # noqa: TRY004
        _repair_cell(cell)
    _repair_ids(notebook["cells"], has_ids=notebook["nbformat_minor"] >= 5)


def _repair_cell(cell: dict[str, Any]) -> None:
    if not isinstance(cell.get("cell_type"), str):
        cell["cell_type"] = "code" if "outputs" in cell else "unknown"
    cell["source"] = _text(cell.get("source"))
    metadata = _set_unless(dict, cell, "metadata", {})
    _remove_unless(list, metadata, "tags")
    if "tags" in metadata:
        metadata["tags"] = [tag for tag in metadata["tags"] if isinstance(tag, str)]
    if "attachments" in cell:
        attachments = _set_unless(dict, cell, "attachments", {})
        cell["attachments"] = {name: files for name, files in attachments.items() if isinstance(files, dict)}
    if cell["cell_type"] == "code" and not isinstance(cell.get("execution_count"), int):
        cell["execution_count"] = None
    # nbformat reads the outputs of every cell that has some, whatever its type is.
    if cell["cell_type"] == "code" or "outputs" in cell:
        outputs = _set_unless(list, cell, "outputs", [])
        cell["outputs"] = [output for output in outputs if _is_output(output)]
        for output in cell["outputs"]:
            _repair_output(output)


def _is_output(output: object) -> bool:
    kinds = ("stream", "error", "display_data", "execute_result")
    return isinstance(output, dict) and output.get("output_type") in kinds


def _repair_output(output: dict[str, Any]) -> None:
    match output["output_type"]:
        case "stream":
            _set_unless(str, output, "name", "stdout")
            output["text"] = _text(output.get("text"))
        case "error":
            _remove_unless(str, output, "text")
            _set_unless(str, output, "ename", "")
            _set_unless(str, output, "evalue", "")
            traceback = _set_unless(list, output, "traceback", [])
            output["traceback"] = [line for line in traceback if isinstance(line, str)]
        case _:
            data = _set_unless(dict, output, "data", {})
            output["data"] = {mime: value for mime, value in data.items() if _fits(mime, value)}
            _set_unless(dict, output, "metadata", {})


def _fits(mime: str, value: object) -> bool:
    if mime.endswith("json"):
        return value is not None
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(line, str) for line in value))


def _repair_ids(cells: list[dict[str, Any]], *, has_ids: bool) -> None:
    """Give each cell an id of its own, which is the same whenever the file is read."""
    taken: set[str] = set()
    known = {cell["id"] for cell in cells if isinstance(cell.get("id"), str)}
    for index, cell in enumerate(cells):
        identifier = cell.get("id")
        if isinstance(identifier, str) and identifier and identifier not in taken:
            taken.add(identifier)
            continue
        cell.pop("id", None)
        if not has_ids and not known:
            continue
        new = f"cell-{index}"
        while new in known | taken:
            new += "-"
        cell["id"] = new
        taken.add(new)


def _repair_old_format(notebook: dict[str, Any]) -> None:
    """Add to a notebook of format 3 what nbformat requires for its conversion, and the language of its cells."""
    metadata = _set_unless(dict, notebook, "metadata", {})
    notebook["nbformat"] = _number(notebook.get("nbformat"), 3)
    worksheets = _set_unless(list, notebook, "worksheets", [])
    notebook["worksheets"] = [sheet for sheet in worksheets if isinstance(sheet, dict)]
    for sheet in notebook["worksheets"]:
        cells = _set_unless(list, sheet, "cells", [])
        sheet["cells"] = [cell for cell in cells if isinstance(cell, dict)]
        _set_unless(dict, sheet, "metadata", {})
        for cell in sheet["cells"]:
            cell_type = _set_unless(str, cell, "cell_type", "code")
            text = "input" if cell_type == "code" else "source"
            cell[text] = _text(cell.get(text))
            _set_unless(dict, cell, "metadata", {})
            if cell_type == "code":
                outputs = _set_unless(list, cell, "outputs", [])
                cell["outputs"] = [each for each in outputs if isinstance(each, dict) and "output_type" in each]
                _set_unless(bool, cell, "collapsed", False)
                language = cell.get("language")
                if isinstance(language, str) and language:
                    metadata.setdefault("language_info", {"name": language})


def _number(value: object, default: int) -> int:
    return int(value) if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()) else default


def _text(value: object) -> str:
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


def _set_unless(kind: type, section: dict[str, Any], name: str, value: Any) -> Any:
    """Set a field unless it has a value of this type.

    :return: the value that the field then has.
    """
    if not isinstance(section.get(name), kind):
        section[name] = value
    return section[name]


def _remove_unless(kind: type, section: dict[str, Any], *names: str) -> None:
    for name in names:
        if not isinstance(section.get(name), kind):
            section.pop(name, None)
