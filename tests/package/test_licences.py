"""Whoever installs the package, or an extra of it, gets nothing whose licence asks more of them than Apache-2.0."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution

import pytest
from packaging.requirements import Requirement

NAME = "airflow-provider-datalore"
FREE = re.compile(
    r"Apache[ -]?(2\.0|Software License|License, Version 2\.0)"
    r"|BSD([ -][23]-Clause)?( License)?|0BSD|[23]-Clause BSD License"
    r"|MIT(-0)?( License)?|ISC( License)?( \(ISCL\))?|PSF-2\.0|Python Software Foundation License"
    r"|The Unlicense( \(Unlicense\))?|HPND"
    # Changes to their own files have to be published, and nothing else.
    r"|MPL-2\.0|Mozilla Public License 2\.0( \(MPL 2\.0\))?"
)
CHOSEN = {
    # Comes with Airflow, by python-slugify; of several licences the Artistic one is taken.
    "text-unidecode",
}


def needed() -> Iterator[Distribution]:
    """The package's dependencies and those of its extras, and theirs in turn, as far as they are installed here."""
    own = distribution(NAME)
    waiting = [(NAME, frozenset(own.metadata.get_all("Provides-Extra", [])))]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        if name != NAME:
            yield found
        waiting += [
            (requirement.name, frozenset(requirement.extras))
            for requirement in map(Requirement, found.requires or [])
            if requirement.marker is None or any(requirement.marker.evaluate({"extra": it}) for it in {"", *extras})
        ]


def licences(found: Distribution) -> list[str]:
    """The licences that a distribution names; where there are several, all of them."""
    metadata = found.metadata
    expression = next(iter(metadata.get_all("License-Expression", [])), "")
    classifiers = [it for it in metadata.get_all("Classifier", []) if it.startswith("License :: ")]
    names = [it.rpartition(" :: ")[2] for it in classifiers if it != "License :: OSI Approved"]
    # Older metadata have an expression, or any words, in this field.
    text = expression or (not names and next(iter(metadata.get_all("License", [])), ""))
    return re.split(r" AND | OR ", text.strip()) if text else names


@pytest.mark.parametrize("name", sorted({found.metadata["Name"] for found in needed()} - CHOSEN))
def test_licence_of(name: str) -> None:
    for licence in licences(distribution(name)):
        assert FREE.fullmatch(licence), licence
