"""A program that exports an executed notebook: ``python -m … html sales failed < sales.ipynb``.

The format is the name of an exporter of nbconvert that needs no browser. Every export is one file: pictures are in it,
or are left out where the format cannot contain any.

It runs in a separate process with limited memory and time and without secrets in its environment, as everything that
renders notebooks. It writes the extension of the file, a line feed, and the file.

Source: https://nbconvert.readthedocs.io/en/latest/usage.html
"""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from airflow_provider_datalore.notebooks import displayable
from airflow_provider_datalore.notebooks.limited import limit_resources
from airflow_provider_datalore.notebooks.page_parts import OFFLINE_TEMPLATE, STYLE, mark_failed_cell
from airflow_provider_datalore.notebooks.self_contained import HEAD, contained

EXPORT_EXTRA = "export"
"""The extra of this package that installs nbconvert."""
EXPORT_PROGRAM = ("-m", "airflow_provider_datalore.notebooks.export")
"""Arguments of Python that run this program."""
MAX_EXPORT_BYTES = 64 * 1024**2
"""Maximum size of an exported file."""

NEEDS_BROWSER = frozenset(["webpdf", "qtpdf", "qtpng"])
_NEEDS_TEMPLATE = frozenset(["custom"])
NEEDS_PROGRAMS = {
    "asciidoc": ("pandoc",),
    "latex": ("pandoc",),
    "pdf": ("pandoc", "xelatex"),
    "rst": ("pandoc",),
}
"""The programs that exporters run, which pip does not install."""

_WITH_FILES = frozenset(["pdf"])
"""Formats whose exporter puts pictures into the file by itself, from files."""
_PICTURES = ("image/png", "image/jpeg", "image/svg+xml")
_EXTENSION = re.compile(r"(\.[A-Za-z0-9]{1,16}){1,2}")

_TEMPLATE = f"""
{OFFLINE_TEMPLATE}
{{%- block html_head -%}}
{HEAD}
{{{{ super() }}}}
{{%- endblock -%}}
{{%- block html_head_js -%}}{{%- endblock -%}}
{{%- block html_head_css -%}}
{{{{ super() }}}}
<style>
body {{ margin: 0 auto; padding: 16px 12px 48px; max-width: 1200px }}
{STYLE}
</style>
{{%- endblock -%}}
"""


@cache
def formats() -> dict[str, str]:
    """The exporters that are installed and need no browser, each with where it is; empty without nbconvert.

    Does not import nbconvert.
    """
    from importlib.metadata import entry_points
    from importlib.util import find_spec

    if find_spec("nbconvert") is None or find_spec("nbformat") is None:
        return {}
    found = entry_points(group="nbconvert.exporters")
    return {each.name: each.value for each in sorted(found) if each.name not in NEEDS_BROWSER | _NEEDS_TEMPLATE}


def export(content: bytes, form: str, name: str, *, failed: bool) -> tuple[str, bytes]:
    """Export a notebook.

    :param content: the executed ``.ipynb`` file.
    :param form: the name of the exporter, such as ``html``.
    :param name: the name of the notebook, without extension.
    :param failed: whether the run failed: then the cell in which it failed is marked in HTML.
    :return: the extension, such as ``.html``, and the file.
    :raises ValueError: if it is not a notebook; the message says why.
    """
    import nbformat

    notebook: Any = nbformat.from_dict(displayable.read(content))
    _keep_known_language(notebook)
    resources = {"metadata": {"name": name}}
    if form == "html":
        from airflow_provider_datalore.notebooks.page_exporter import CONTAINED_TEMPLATE, PageExporter

        if failed:
            mark_failed_cell(notebook, content)
        exporter: Any = PageExporter(
            raw_template=_TEMPLATE + CONTAINED_TEMPLATE, exclude_anchor_links=True, embed_images=False
        )
        exported, _ = exporter.from_notebook_node(notebook, resources)
        return ".html", _encoded(exported)
    exporter = _exporter(form)
    if form not in _WITH_FILES:
        _put_pictures_into(notebook, exporter)
    exported, _ = exporter.from_notebook_node(notebook, resources)
    if "html" in (getattr(exporter, "output_mimetype", "") or ""):
        exported = contained(exported, page=True)
    extension = exporter.file_extension or ""
    return extension if _EXTENSION.fullmatch(extension) else ".txt", _encoded(exported)


def _exporter(form: str) -> Any:
    from nbconvert.exporters import get_exporter
    from traitlets.config import Config

    one_file = Config()
    if form not in _WITH_FILES:
        one_file.ExtractOutputPreprocessor.enabled = False
        one_file.ExtractAttachmentsPreprocessor.enabled = False
    made: Any = get_exporter(form)(config=one_file)
    return made


def _keep_known_language(notebook: Any) -> None:
    """Keep of the language only its names: some exporters take from it what to import."""
    language = notebook.metadata.get("language_info", {})
    kept = {
        key: language[key]
        for key in ("name", "pygments_lexer", "file_extension")
        if isinstance(language.get(key), str) and len(language[key]) < 50
    }
    if not _EXTENSION.fullmatch(kept.get("file_extension", "")):
        kept.pop("file_extension", None)
    if kept:
        notebook.metadata["language_info"] = kept


def _put_pictures_into(notebook: Any, exporter: Any) -> None:
    """Let Markdown contain the pictures; from formats that cannot, they are removed: the text beside them is shown."""
    from nbconvert.exporters import HTMLExporter, LatexExporter, MarkdownExporter, RSTExporter
    from nbconvert.exporters.asciidoc import ASCIIDocExporter

    if isinstance(exporter, MarkdownExporter):
        for cell in notebook.cells:
            for output in cell.get("outputs", ()):
                _put_svg_into(output.get("data", {}))
            if cell.get("attachments"):
                cell.source = _with_attachments(cell.source, cell.attachments)
    elif not isinstance(exporter, HTMLExporter) and isinstance(
        exporter, (LatexExporter, RSTExporter, ASCIIDocExporter)
    ):
        for cell in notebook.cells:
            for output in cell.get("outputs", ()):
                data = output.get("data", {})
                if any(data.pop(kind, None) for kind in _PICTURES):
                    data.setdefault("text/plain", "(a picture)")


def _put_svg_into(data: Any) -> None:
    drawing = data.pop("image/svg+xml", None)
    if isinstance(drawing, str) and not any(kind in data for kind in ("image/png", "image/jpeg", "text/html")):
        encoded = base64.b64encode(drawing.encode("utf-8", "replace")).decode()
        data["text/markdown"] = f"![svg](data:image/svg+xml;base64,{encoded})"


def _with_attachments(source: str, attachments: Mapping[str, Any]) -> str:
    for name, kinds in attachments.items():
        for address in _addresses(kinds):
            source = source.replace(f"](attachment:{name})", f"]({address})")
    return source


def _addresses(kinds: Any) -> Iterator[str]:
    for kind, content in kinds.items():
        if kind in _PICTURES and isinstance(content, str):
            yield f"data:{kind};base64,{content.strip()}"


def _encoded(exported: str | bytes) -> bytes:
    return exported.encode("utf-8", "replace") if isinstance(exported, str) else bytes(exported)


def main() -> None:
    """Read a notebook from standard input, and write the exported file to standard output."""
    limit_resources()
    form, name, *failed = sys.argv[1:]
    try:
        extension, exported = export(sys.stdin.buffer.read(), form, name, failed=bool(failed))
    except Exception as error:
        # The first line says what it is; those of a validation error continue with the notebook's content.
        reason = (str(error).strip().splitlines() or [""])[0]
        sys.exit(reason if type(error) is ValueError else f"{type(error).__name__}: {reason}")
    if len(exported) > MAX_EXPORT_BYTES:
        sys.exit(f"the file is larger than {MAX_EXPORT_BYTES // 1024**2} MiB")
    sys.stdout.buffer.write(extension.encode() + b"\n" + exported)


if __name__ == "__main__":
    main()
