"""nbconvert's page of a notebook, made accessible while it is written instead of by parsing the finished page again.

nbconvert parses each page that it has written with BeautifulSoup, to give images an alternative text and to let the
keyboard reach cells and outputs. For a large page, this takes most of the time and memory. The template here does the
same for each output.
"""

from __future__ import annotations

import re
from typing import Any

from nbconvert import HTMLExporter
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.widgetsdatatypefilter import WidgetsDataTypeFilter

from airflow_provider_datalore.notebooks.self_contained import contained

ALT_TEXT = "No description has been provided for this image"

_TEXT_OUTPUTS = ("stream_stdout", "stream_stderr", "stream_stdin", "error", "data_text", "data_latex")
_RICH_OUTPUTS = (
    "data_svg",
    "data_html",
    "data_markdown",
    "data_png",
    "data_jpg",
    "data_javascript",
    "data_widget_view",
)
_PARTS = {
    "input_group": "super() | focusable",
    "markdowncell": "super() | focusable_input | described",
    "rawcell": "super() | described",
    **dict.fromkeys(_TEXT_OUTPUTS, "super() | focusable"),
    **dict.fromkeys(_RICH_OUTPUTS, "super() | focusable | described"),
}
"""What the template writes for the blocks of nbconvert's template."""

_BY_NOTEBOOKS = (*_RICH_OUTPUTS, "data_mermaid", "markdowncell", "rawcell")
"""The blocks into which nbconvert writes HTML of the notebook as it is."""


def _template(parts: dict[str, str]) -> str:
    return "\n".join(f"{{%- block {name} -%}}{{{{ {content} }}}}{{%- endblock -%}}" for name, content in parts.items())


ACCESSIBLE_TEMPLATE = _template(_PARTS)
CONTAINED_TEMPLATE = _template(
    _PARTS | {name: _PARTS.get(name, "super()").replace("super()", "super() | contained") for name in _BY_NOTEBOOKS}
)
"""The same for a page that has to be self-contained."""

_NAME_ENDS = r"(?=[\s/>])"
_VALUE = r"""(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^\s>"'][^\s>]*+)"""
_ATTRIBUTE = rf"[^\s/>][^\s/>=]*+(?:\s*+=\s*+{_VALUE}?+)?+"
_TAG_GOES_ON = rf"(?:[\s/]++|{_ATTRIBUTE})*+(?:>|\Z)"
"""The rest of a tag; if the tag does not end, the rest of the text, so that nothing is read again from each tag on."""

_IMAGE_OR_OTHER = re.compile(
    "<(?:"
    r"!--(?:-?>|.*?(?:--!?>|\Z))"
    # These two are empty in an SVG if they end with a slash.
    rf"|(?:title|style){_NAME_ENDS}{_TAG_GOES_ON}(?<=/>)"
    rf"|(script|style|textarea|title|xmp|noscript|template){_NAME_ENDS}{_TAG_GOES_ON}.*?(?:</\1{_NAME_ENDS}|\Z)"
    rf"|(img){_NAME_ENDS}{_TAG_GOES_ON}"
    rf"|/?[a-z][^\s/>]*+{_TAG_GOES_ON}"
    ")",
    re.IGNORECASE | re.DOTALL,
)
"""An image, or what may contain the text of one: a comment, an element that contains text, any other tag."""

_ATTRIBUTE_NAME = re.compile(rf"(?=([^\s/>][^\s/>=]*+)){_ATTRIBUTE}")
_MENTIONS_IMAGE = re.compile("<img", re.IGNORECASE)


_Exporter: Any = HTMLExporter  # nbconvert has no types


class PageExporter(_Exporter):  # type: ignore[misc]  # for the same reason
    """Writes pages as nbconvert does, without parsing them again.

    Its ``raw_template`` has to include :data:`ACCESSIBLE_TEMPLATE` or :data:`CONTAINED_TEMPLATE`.
    """

    def from_notebook_node(self, nb: Any, resources: Any = None, **kw: Any) -> tuple[str, dict[str, Any]]:
        """Write the page of a notebook."""
        language = nb.metadata.get("language_info", {})
        lexer = language.get("pygments_lexer") or language.get("name")
        resources = self._init_resources(resources)
        widgets = WidgetsDataTypeFilter(notebook_metadata=self._nb_metadata, parent=self, resources=resources)
        self.register_filter("highlight_code", Highlight2HTML(pygments_lexer=lexer, parent=self))
        self.register_filter("filter_data_type", widgets)
        self.register_filter("focusable", focusable)
        self.register_filter("focusable_input", focusable_input)
        self.register_filter("described", described)
        self.register_filter("contained", contained)
        # What HTMLExporter itself adds is the second parse.
        page, resources = super(_Exporter, self).from_notebook_node(nb, resources, **kw)
        return page, resources


def focusable(html: str) -> str:
    """Let the keyboard reach the first ``<div>``, which is the one that the template writes around its content."""
    return html.replace("<div ", '<div tabindex="0" ', 1)


def focusable_input(html: str) -> str:
    """Let the keyboard reach the input of a cell."""
    return html.replace('<div class="jp-Cell-inputWrapper"', '<div tabindex="0" class="jp-Cell-inputWrapper"', 1)


def described(html: str) -> str:
    """Give each image that has no alternative text a general one; scripts, comments and attributes stay as they are."""
    return _IMAGE_OR_OTHER.sub(_described, html) if _MENTIONS_IMAGE.search(html) else html


def _described(found: re.Match[str]) -> str:
    tag, name = found[0], found[2]
    if name is None or not tag.endswith(">"):
        return tag
    rest = tag[1 + len(name) :]
    has_text = any(attribute[1].lower() == "alt" for attribute in _ATTRIBUTE_NAME.finditer(rest))
    return tag if has_text else f'<{name} alt="{ALT_TEXT}"{rest}'
