"""Reads DAG files as Airflow does."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from inspect import signature
from pathlib import Path
from traceback import format_exc
from typing import Any

from airflow_provider_datalore.cli.command import UsageError

_DEPTH = "AIRFLOW__CORE__DAGBAG_IMPORT_ERROR_TRACEBACK_DEPTH"


@dataclass(slots=True)
class DagFiles:
    """The DAGs of some files.

    :param dags: the DAGs.
    :param broken: why a file cannot be read: the traceback, by the file's path.
    """

    dags: list[Any] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)


def read(paths: Sequence[str]) -> DagFiles:
    """Read DAG files and folders.

    :raises UsageError: if one of them does not exist.
    """
    for path in paths:
        if not Path(path).exists():
            raise UsageError(f"there is no file or folder {path!r}")
    found = DagFiles()
    seen: set[tuple[str, str]] = set()
    with _quiet():
        dag_bag = _dag_bag()
        for path in paths:
            root = Path(path).resolve()
            with _importable(root):
                bags = list(_bags(dag_bag, root, found))
            for bag in bags:
                for dag in bag.dags.values():
                    if (key := (dag.dag_id, dag.fileloc)) not in seen:
                        seen.add(key)
                        found.dags.append(dag)
                for file, error in bag.import_errors.items():
                    found.broken[str(root if root.is_file() else root / file)] = str(error)
    return found


def _bags(dag_bag: Any, root: Path, found: DagFiles) -> Iterator[Any]:
    """Airflow's collections of the DAGs in a file or a folder."""
    try:
        yield dag_bag(str(root))
    except KeyboardInterrupt:
        raise
    except BaseException:
        # Airflow 2 lets pass what is not an Exception, such as that of sys.exit() in one of the files.
        if root.is_file():
            found.broken[str(root)] = format_exc()
            return
        from airflow.utils.file import list_py_file_paths

        for file in list_py_file_paths(str(root)):
            yield from _bags(dag_bag, Path(file), found)


def _dag_bag() -> Any:
    """Airflow's class that reads a file or a folder, without examples."""
    try:
        module: Any = import_module("airflow.dag_processing.dagbag")
    except ImportError:  # Airflow before 3.2
        module = import_module("airflow.models.dagbag")
    has_examples = "include_examples" in signature(module.DagBag.__init__).parameters
    return partial(module.DagBag, include_examples=False) if has_examples else module.DagBag


@contextmanager
def _importable(root: Path) -> Iterator[None]:
    """Let DAG files import the modules beside them, as Airflow does for its DAGs folder."""
    from airflow.configuration import conf

    folder = root if root.is_dir() else root.parent
    added = [str(folder), str(Path(conf.get("core", "dags_folder")).expanduser())]
    sys.path[:0] = added
    try:
        yield
    finally:
        for name in added:
            with suppress(ValueError):
                sys.path.remove(name)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what DAG files print, and what Airflow logs, out of standard output, which has the result only."""
    sys.stdout.flush()
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    depth = os.environ.get(_DEPTH)
    # By default, the report of a broken file ends before the line of the file.
    os.environ[_DEPTH] = "100"
    try:
        kept = os.dup(1)
    except OSError:
        kept = -1
    try:
        if kept >= 0:
            os.dup2(2, 1)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if kept >= 0:
            os.dup2(kept, 1)
            os.close(kept)
        logging.disable(disabled)
        if depth is None:
            del os.environ[_DEPTH]
        else:
            os.environ[_DEPTH] = depth
