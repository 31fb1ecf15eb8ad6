"""Checks the licences of everything that an installation of the package, or of an extra, consists of: `make licences`.

Each has to be permissive; of MPL-2.0, only changes to the package's own files have to be published.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement

NAME = "airflow-provider-datalore"
FREE = re.compile(
    r"Apache[ -]?(2\.0|Software License|License, Version 2\.0)"
    r"|BSD([ -][23]-Clause)?( License)?|0BSD|[23]-Clause BSD License"
    r"|MIT(-0)?( License)?|ISC( License)?( \(ISCL\))?|PSF-2\.0|Python Software Foundation License"
    r"|The Unlicense( \(Unlicense\))?|HPND"
    r"|MPL-2\.0|Mozilla Public License 2\.0( \(MPL 2\.0\))?"
)
CHOSEN = {
    # Comes with Airflow, by python-slugify; of several licences the Artistic one is taken.
    "text-unidecode",
}

NOT_IN_METADATA = {
    # Named in the repository of OpenLineage, of which it is a part.
    "openlineage_sql": "Apache-2.0",
}


class LicenceError(Exception):
    """A licence is not permissive, or cannot be looked up; the message names the packages."""


def extras() -> list[str]:
    """The names of the package's extras."""
    return distribution(NAME).metadata.get_all("Provides-Extra", [])


def needed(*chosen: str) -> Iterator[Distribution]:
    """The package's dependencies and those of some extras, and theirs in turn.

    :raises LicenceError: if one of them is not installed here.
    """
    waiting = [(NAME, frozenset(chosen))]
    seen: set[tuple[str, frozenset[str]]] = set()
    named: set[str] = set()
    while waiting:
        name, with_extras = waiting.pop()
        if (name, with_extras) in seen:
            continue
        seen.add((name, with_extras))
        try:
            found = distribution(name)
        except PackageNotFoundError:
            raise LicenceError(f"{name} is needed and is not installed here, so its licence is not known.") from None
        if found.metadata["Name"] not in named | {NAME}:
            named.add(found.metadata["Name"])
            yield found
        waiting += [
            (requirement.name, frozenset(requirement.extras))
            for requirement in map(Requirement, found.requires or [])
            if requirement.marker is None
            or any(requirement.marker.evaluate({"extra": it}) for it in {"", *with_extras})
        ]


def licences(found: Distribution) -> list[str]:
    """The licences that a distribution names; where there are several, all of them."""
    metadata = found.metadata
    if metadata["Name"] in NOT_IN_METADATA:
        return [NOT_IN_METADATA[metadata["Name"]]]
    expression = next(iter(metadata.get_all("License-Expression", [])), "")
    classifiers = [it for it in metadata.get_all("Classifier", []) if it.startswith("License :: ")]
    names = [it.rpartition(" :: ")[2] for it in classifiers if it != "License :: OSI Approved"]
    # Older metadata have an expression, or any words, in this field.
    text = expression or (not names and next(iter(metadata.get_all("License", [])), ""))
    return re.split(r" AND | OR ", text.strip()) if text else names


def refused(found: Distribution) -> list[str]:
    """The licences of a distribution that are not permissive, or "names none"."""
    if found.metadata["Name"] in CHOSEN:
        return []
    named = licences(found)
    return [it for it in named if not FREE.fullmatch(it)] if named else ["names none"]


def check() -> str:
    """Check all licences.

    :return: what was checked, in words.
    :raises LicenceError: if one is not permissive.
    """
    found = list(needed(*extras()))
    if bad := [f"{it.metadata['Name']}: {', '.join(refused(it))}" for it in found if refused(it)]:
        raise LicenceError(f"These licences have to be looked at: {'; '.join(sorted(bad))}")
    return (
        f"The licences of {len(found)} packages are permissive, or MPL-2.0. Of those that text-unidecode offers, the "
        "Artistic License is taken."
    )


def main() -> None:
    try:
        for found in sorted(needed(*extras()), key=lambda it: it.metadata["Name"].lower()):
            print(f"{found.metadata['Name']} {found.version}: {', '.join(licences(found)) or 'names none'}")
        print(check())
    except LicenceError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
