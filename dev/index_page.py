"""The package's page on the package index: the README, and the addresses of the repository and the documentation.

Hatchling loads this file when it builds the package, so it uses only the standard library.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.metadata.plugin.interface import MetadataHookInterface

ROOT = Path(__file__).resolve().parent.parent
_RELATIVE_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?!https?:)(?P<path>[^)#]*)(?P<heading>#[^)]*)?\)")


class Addresses(NamedTuple):
    """Where the project is published; an address is empty as long as it is not known.

    :param repository: such as ``https://github.com/owner/name``.
    :param documentation: such as ``https://name.readthedocs.io/en/stable``.
    """

    repository: str
    documentation: str

    @property
    def unknown(self) -> list[str]:
        """The names of the addresses that are not known."""
        return [name for name, address in self._asdict().items() if not address]

    @property
    def wrong(self) -> list[str]:
        """What is wrong with the addresses that are known, in words."""
        found = []
        if self.repository and not re.fullmatch(r"https://[^/\s]+\.[^/\s.]+/[\w.-]+/[\w.-]+", self.repository):
            found.append(f"repository is {self.repository!r}, which is not like https://github.com/owner/name")
        if self.documentation and not re.fullmatch(r"https://[^/\s]+\.[^/\s.]+(/[^\s?#]*)?", self.documentation):
            found.append(f"documentation is {self.documentation!r}, which is not like https://name.readthedocs.io")
        return found


def read_addresses(root: Path = ROOT) -> Addresses:
    """Read the addresses from table ``tool.published`` of pyproject.toml."""
    published = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["published"]
    return Addresses(*(published[name].strip().rstrip("/") for name in Addresses._fields))


def index_page(readme: str, addresses: Addresses, version: str) -> str:
    """The README with absolute links: the index shows it without the repository's other files.

    A link whose address is not known yet becomes plain text, and such a picture is removed.
    """

    def absolute(link: re.Match[str]) -> str:
        path, heading = link["path"], link["heading"] or ""
        tree = f"{addresses.repository}/{'raw' if link['image'] else 'blob'}/v{version}/"
        if path.startswith("docs/") and path.endswith(".md"):
            base, path = f"{addresses.documentation}/", path.removeprefix("docs/").removesuffix(".md") + ".html"
            known = addresses.documentation
        else:
            base, known = tree, addresses.repository
        # The index gives headings no ids, so links within the page lead nowhere.
        if not known or not path:
            return "" if link["image"] else link["text"]
        return f"{link['image']}[{link['text']}]({base}{path}{heading})"

    page = _RELATIVE_LINK.sub(absolute, readme)
    return re.sub(r"\n{3,}", "\n\n", page)


class IndexPage(MetadataHookInterface):
    """Sets the metadata that depend on the addresses."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        root = Path(self.root)
        addresses = read_addresses(root)
        version = re.search(r'"(.+)"', (root / "airflow_provider_datalore" / "__init__.py").read_text().split("=")[-1])
        assert version is not None
        text = index_page((root / "README.md").read_text(), addresses, version[1])
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
        metadata["urls"] = {"Datalore's Run API": "https://www.jetbrains.com/help/datalore/run-api.html"}
        if addresses.documentation:
            metadata["urls"]["Documentation"] = addresses.documentation
        if addresses.repository:
            metadata["urls"] |= {
                "Source": addresses.repository,
                "Changelog": f"{addresses.repository}/blob/main/CHANGELOG.md",
                "Issues": f"{addresses.repository}/issues",
            }
