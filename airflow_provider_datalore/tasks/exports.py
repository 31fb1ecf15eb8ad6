"""Exports the executed notebook for people without an account: as HTML or in another format, beside the artifacts."""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow_provider_datalore.api.filenames import distinct_names
from airflow_provider_datalore.api.text import choices, one_line
from airflow_provider_datalore.api.values import as_list
from airflow_provider_datalore.exceptions import DataloreConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import BaseHook, ObjectStoragePath

    from airflow_provider_datalore.api.models import Run
    from airflow_provider_datalore.hooks.datalore import DataloreHook

READ_TIMEOUT = 60.0
"""Seconds for reading the executed notebook."""
EXPORT_TIMEOUT = 120.0
"""Seconds for all exports of a run together; each has at most 30 seconds of processor time."""

log = logging.getLogger(__name__)


def check(export: object, artifacts_to: object) -> None:
    """Check the formats before the notebook runs, not hours later.

    :raises DataloreConfigurationError: if a format is unknown or needs a browser, what it requires is not installed on
        this worker, or there is no folder for the files.
    """
    if export is None:
        return
    from shutil import which

    from airflow_provider_datalore.notebooks.export import EXPORT_EXTRA, NEEDS_BROWSER, NEEDS_PROGRAMS, formats

    if artifacts_to is None:
        raise DataloreConfigurationError(
            "export is set, but artifacts_to is not: there is no folder for the exported files.",
            to_do="Set artifacts_to, or remove export.",
        )
    wanted = requested(export)
    known = formats()
    if not known:
        raise DataloreConfigurationError(
            "export requires nbconvert, which is not installed on this worker.",
            to_do=f"Run pip install 'airflow-provider-datalore[{EXPORT_EXTRA}]' on the workers.",
        )
    for form in wanted:
        if form in NEEDS_BROWSER:
            raise DataloreConfigurationError(
                f"export has {form!r}, which needs a browser, and workers have none.",
                to_do="Use 'html', which every browser can print.",
            )
        if form not in known:
            raise DataloreConfigurationError(
                f"export has {form!r:.60}, which is not an exporter of nbconvert.",
                to_do=f"Use {choices(tuple(known))}.",
            )
        missing = [program for program in NEEDS_PROGRAMS.get(form, ()) if which(program) is None]
        if missing:
            raise DataloreConfigurationError(
                f"export has {form!r}, which requires {' and '.join(missing)} on the worker.",
                to_do=f"Install {' and '.join(missing)} on the workers, or use another format such as 'html'.",
            )


def requested(export: object) -> list[str]:
    """The requested formats, each once.

    :raises DataloreConfigurationError: if they are not a list of names.
    """
    names = [export] if isinstance(export, str) else as_list(export)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise DataloreConfigurationError(
            f"export is {export!r:.100}; it must be a list of formats.", to_do="Use a list such as ['html']."
        )
    return list(dict.fromkeys(names))


def exported(
    run: Run,
    hook: DataloreHook,
    destination: str | ObjectStoragePath,
    export: Sequence[str],
) -> Iterator[str]:
    """Export the executed notebook of a run.

    Never fails: an export that fails is logged, so that it does not hide the outcome of the run.

    :param destination: the folder for the files.
    :return: the paths, each as soon as its file is saved.
    """
    if (notebook := run.executed_notebook) is None:
        log.warning("Run %s has no executed notebook, so nothing was exported.", run.run_id)
        return
    from airflow_provider_datalore.notebooks.reading import MAX_NOTEBOOK_BYTES

    try:
        content = hook.read_artifact(notebook, max_bytes=MAX_NOTEBOOK_BYTES, within=READ_TIMEOUT)
    except Exception as error:
        log.warning("Nothing was exported: the executed notebook of run %s could not be read: %s", run.run_id, error)
        return
    taken = [artifact.name for artifact in run.artifacts]
    yield from exported_content(
        content, notebook.name, hook, destination, export, failed=not run.succeeded, taken=taken
    )


def exported_content(
    content: bytes,
    name: str,
    hook: BaseHook,
    destination: str | ObjectStoragePath,
    export: Sequence[str],
    *,
    failed: bool,
    taken: Sequence[str] = (),
) -> Iterator[str]:
    """Export a notebook that has been read. Never fails, see :func:`exported`.

    :param content: the executed ``.ipynb`` file.
    :param name: its name.
    :param taken: the names of the other files in the folder, in the order in which they were named.
    """
    from airflow_provider_datalore import storage

    deadline = time.monotonic() + EXPORT_TIMEOUT
    names = list(taken)
    for form in requested(export):
        try:
            target = storage.folder(destination)
            path = _export(content, name, form, hook, target, failed=failed, names=names, deadline=deadline)
        except subprocess.TimeoutExpired:
            log.warning("The notebook was not exported as %s: it took longer than %g s.", form, EXPORT_TIMEOUT)
        except Exception as error:
            log.warning("The notebook was not exported as %s: %s", form, error)
        else:
            yield path


def _export(
    content: bytes,
    name: str,
    form: str,
    hook: BaseHook,
    target: ObjectStoragePath,
    *,
    failed: bool,
    names: list[str],
    deadline: float,
) -> str:
    from airflow_provider_datalore import storage
    from airflow_provider_datalore.notebooks import limited
    from airflow_provider_datalore.notebooks.export import EXPORT_PROGRAM

    stem = distinct_names([name])[0].removesuffix(".ipynb")
    arguments = [*EXPORT_PROGRAM, form, stem, *(["failed"] if failed else [])]
    done = limited.run(arguments, content, max(0.1, deadline - time.monotonic()))
    if done.returncode != 0:
        raise RuntimeError(one_line(limited.last_line(done))[:300])
    extension, _, file = done.stdout.partition(b"\n")
    names.append(f"{stem}{extension.decode()}")
    path = target / distinct_names(names)[-1]
    size = storage.write([file], path, f"the notebook as {form}")
    log.info("Wrote the executed notebook as %s to %s, %d bytes.", form, path, size)
    storage.register_lineage(path, hook)
    return str(path)
