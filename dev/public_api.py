"""Guards the public API: docs/public_api.txt has all that docs/reference.md documents, one fact a line.

The check fails where the code differs from that file, and the file is only written if CHANGELOG.md names what changed.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from pathlib import Path
from typing import NamedTuple

from dev import new_in
from dev.reference import CannotTellError, Fact, Facts, Reader

ROOT = Path(__file__).resolve().parent.parent
SNAPSHOT = "docs/public_api.txt"
HEADER = """\
# The public API: what docs/reference.md documents in airflow_provider_datalore. Written by `make public-api`.
# Digests of the lines below, and of the Unreleased section of the changelog when they last changed: {} {}
"""


class Change(NamedTuple):
    """A difference between the snapshot and the code; None is what one of them lacks."""

    key: str
    before: Fact | None
    after: Fact | None

    @property
    def name(self) -> str:
        """What the changelog has to name, such as the argument; empty if only a type changed."""
        only_type = self.before and self.after and self.before.value == self.after.value
        return "" if only_type else str(re.findall(r"[\w-]+", self.key)[-1])

    def __str__(self) -> str:
        if self.after is None:
            return f"removed  {self.key}"
        if self.before is None:
            return f"added    {self.key}: {self.after}"
        return f"changed  {self.key}: was {self.before}, is {self.after}"


def compare(before: Facts, after: Facts) -> list[Change]:
    """What changed; of what is new or gone only itself, without its members and arguments."""
    changes = [
        Change(key, before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]
    whole = [change.key for change in changes if None in change[1:]]
    return [it for it in changes if not any(it.key.startswith((f"{owner}.", f"{owner}(")) for owner in whole)]


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def render(facts: Facts, section: str) -> str:
    lines = "\n".join(f"{key}: {fact}" for key, fact in facts.items())
    return f"{HEADER.format(digest(lines), section)}{lines}\n"


def parse(snapshot: str) -> tuple[Facts, str]:
    """The facts in a snapshot, and the digest of the changelog's section when it was written."""
    header, lines = snapshot.splitlines()[:2], snapshot.splitlines()[2:]
    digests = header[-1].split()[-2:] if header else []
    if len(digests) != 2 or digests[0] != digest("\n".join(lines)):
        raise CannotTellError(
            f"{SNAPSHOT} is not as `make public-api` wrote it: it was edited or merged. Restore it with "
            f"`git checkout HEAD -- {SNAPSHOT}`, then run `make public-api`."
        )
    pairs = (line.split(": ", 1) for line in lines)
    return {key: Fact(*fact.split("  # ", 1)) for key, fact in pairs}, digests[1]


def unreleased(changelog: str) -> str:
    """The section of the changelog about what is not released yet."""
    found = re.search(r"^## \[?Unreleased\b.*?$(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else ""


def check(root: Path = ROOT) -> str:
    """What is wrong: how the code differs from the snapshot; empty if it does not."""
    path = root / SNAPSHOT
    facts = Reader(root).read()
    changes = compare(parse(path.read_text())[0], facts) if path.exists() else []
    if path.exists() and not changes:
        return ""
    shown = "".join(f"\n  {change}" for change in changes) or " it does not exist"
    return (
        f"The public API differs from {SNAPSHOT}:{shown}\n"
        "If users are to see this change: describe it in CHANGELOG.md under Unreleased, then run `make public-api`."
    )


def write(root: Path = ROOT) -> str:
    """Write the snapshot, if the changelog names what changed.

    :return: what is missing in the changelog; empty if nothing is.
    """
    path = root / SNAPSHOT
    facts = Reader(root).read()
    section = unreleased((root / "CHANGELOG.md").read_text())
    if path.exists():
        before, known = parse(path.read_text())
        changes = compare(before, facts)
        named = [change for change in changes if change.name]
        missing = [it for it in named if not re.search(rf"(?<![\w-]){re.escape(it.name)}(?![\w-])", section)]
        if missing:
            shown = "".join(f"\n  {it.name}: {it}" for it in missing)
            return f"CHANGELOG.md does not name these under Unreleased:{shown}"
        if named and digest(section) == known:
            shown = "".join(f"\n  {change}" for change in named)
            return f"Nothing was written in CHANGELOG.md under Unreleased since the last change of the API:{shown}"
        if not changes:
            return ""
        new_in.note((change.key for change in changes if change.before is None), root)
    path.write_text(render(facts, digest(section)))
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=f"Compare the public API with {SNAPSHOT}.")
    parser.add_argument("--write", action="store_true", help="write the file; requires that CHANGELOG.md names changes")
    options = parser.parse_args()
    try:
        problem = write() if options.write else check()
    except CannotTellError as error:
        problem = str(error)
    if problem:
        sys.exit(problem)
    print(f"{SNAPSHOT} agrees with the code.")


if __name__ == "__main__":
    main()
