"""Writes the bill of materials of a release: what an installation of the package, and of its extras, consists of.

In CycloneDX's JSON format. It lists the versions that are installed here, on the newest Airflow; installers choose
others if they are told to. The same installation gives the same bytes.
"""

from __future__ import annotations

import argparse
import uuid
from importlib.metadata import Distribution, distribution
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dev.index_page import read_addresses
from dev.licences import NAME, extras, licences, needed

VERSION = SchemaVersion.V1_6


def file_name(version: str) -> str:
    """The name of the file for a version of the package."""
    return f"{NAME.replace('-', '_')}-{version}.cdx.json"


def bill_of_materials() -> Bom:
    """The package, everything that it needs, and everything that only its extras need."""
    own = distribution(NAME)
    package = component(own, ComponentScope.REQUIRED)
    for name, address in read_addresses()._asdict().items():
        kind = ExternalReferenceType.VCS if name == "repository" else ExternalReferenceType.DOCUMENTATION
        if address:
            package.external_references.add(ExternalReference(type=kind, url=XsUri(address)))
    required = {canonicalize_name(it.metadata["Name"]) for it in needed()}
    components = {canonicalize_name(NAME): package}
    found = {canonicalize_name(it.metadata["Name"]): it for it in needed(*extras())}
    for name, each in found.items():
        components[name] = component(each, ComponentScope.REQUIRED if name in required else ComponentScope.OPTIONAL)
    serial = uuid.uuid5(uuid.NAMESPACE_URL, "\n".join(sorted(str(it.purl) for it in components.values())))
    bom = Bom(components=[it for it in components.values() if it is not package], serial_number=serial)
    bom.metadata.component = package
    for name, each in ({canonicalize_name(NAME): own} | found).items():
        names = {canonicalize_name(Requirement(it).name) for it in each.requires or []}
        bom.register_dependency(components[name], [components[it] for it in sorted(names & components.keys())])
    return bom


def component(found: Distribution, scope: ComponentScope) -> Component:
    """One distribution."""
    factory = LicenseFactory()
    name = found.metadata["Name"]
    purl = PackageURL("pypi", name=canonicalize_name(name), version=found.version)
    named = [factory.make_from_string(it) for it in licences(found)]
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=found.version,
        purl=purl,
        bom_ref=str(purl),
        scope=scope,
        # The format allows one expression, or several licences by name.
        licenses=named,
    )


def write(path: Path) -> Path:
    """Write the bill of materials.

    :return: the file.
    """
    bom = bill_of_materials()
    # The moment of writing, which the format allows to leave out, would make each file different.
    bom.metadata.timestamp = None  # type: ignore[assignment]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(make_outputter(bom, OutputFormat.JSON, VERSION).output_as_string(indent=2) + "\n")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the bill of materials of the package.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    print(write(folder / file_name(distribution(NAME).version)))


if __name__ == "__main__":
    main()
