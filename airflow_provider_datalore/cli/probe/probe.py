"""Runs the experiments of ``probe`` in their order."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from airflow_provider_datalore.api.notebook_id import NotebookId
from airflow_provider_datalore.api.response_errors import scope_challenge
from airflow_provider_datalore.api.run_api import UNKNOWN_RUN_ID
from airflow_provider_datalore.api.text import one_line, shorten
from airflow_provider_datalore.cli.command import FAILED, OK, UsageError
from airflow_provider_datalore.cli.probe import MAX_PARALLEL, consent, parameters, words
from airflow_provider_datalore.cli.probe.artifact_watch import ArtifactWatch
from airflow_provider_datalore.cli.probe.exchange import Exchange
from airflow_provider_datalore.cli.probe.notebooks import NotebookExperiments, note_challenge
from airflow_provider_datalore.cli.probe.record import Record
from airflow_provider_datalore.cli.probe.runs import RunExperiments, Watched
from airflow_provider_datalore.cli.probe.workspaces import workspace_api
from airflow_provider_datalore.exceptions import DataloreConfigurationError, DataloreError
from airflow_provider_datalore.hooks.datalore import DataloreHook


def run(arguments: argparse.Namespace) -> int:
    """Ask for consent, find out how Datalore behaves, write that into a file, and say it in words.

    :return: the exit code.
    :raises UsageError: if an argument is not valid.
    :raises DataloreError: if the notebook cannot be run, or the file not be written.
    """
    if arguments.parallel is not None and not 2 <= arguments.parallel <= MAX_PARALLEL:
        raise UsageError(f"--parallel is {arguments.parallel}; it must be between 2 and {MAX_PARALLEL}.")
    output = Path(arguments.output)
    if not output.parent.is_dir():
        raise UsageError(f"--output: there is no folder {output.parent}.")
    hook = DataloreHook(arguments.conn_id)
    notebook = _parse(hook, "--notebook", arguments.notebook)
    failing = (
        None if arguments.failing_notebook is None else _parse(hook, "--failing-notebook", arguments.failing_notebook)
    )
    planned = consent.plan(hook.connection.base_url, notebook, failing, arguments.parallel, output)
    if not consent.ask(planned, agreed=arguments.yes):
        print("Nothing was done.")
        return FAILED
    record = Record()
    probe = Probe(Exchange(hook.client, record), record, notebook)
    try:
        probe.run(failing, arguments.parallel)
    except (DataloreError, KeyboardInterrupt):
        print(f"What was found out until now is in {output}.")
        raise
    finally:
        hook.client.close()
        record.write(output)
    print("\n".join(words.report(record)))
    print(f"\nWritten to {output}. `datalore-emulator NOTEBOOKS_FOLDER --like {output}` behaves like this Datalore.")
    return OK


class Probe:
    """The experiments, each of which may fail without preventing the next."""

    def __init__(self, exchange: Exchange, record: Record, notebook: NotebookId) -> None:
        self.record = record
        self.runs = RunExperiments(exchange, record, notebook)
        self.notebooks = NotebookExperiments(exchange, record, notebook)
        self.exchange = exchange

    def run(self, failing: NotebookId | None, parallel: int | None) -> None:
        """All experiments.

        :raises DataloreError: if not even one run of the notebook was possible.
        """
        _say("Reading what needs no run ...")
        self.runs.without_a_run()
        self._try("the Workspace API", partial(workspace_api, self.exchange, self.record))
        has_api = self.notebooks.has_api()
        _say("Running the notebook ...")
        first = self._run_once()
        if self.notebooks.token_is_below_notebook_api:
            self.record.set("run_api_scope", "USER_BASIC")
        known = (self.notebooks.known_parameter() if has_api else None) or self._parameter_in_artifact(first)
        succeeded, artifacts = first.parsed().succeeded, first.parsed().artifacts
        connection = self.exchange.client.connection
        with ArtifactWatch(connection, first.run_id, artifacts, time.monotonic()) as watch:
            self._isolated_runs(first, known, failing, parallel)
            if has_api:
                self._try("the notebook", self._notebook_api)
            else:
                _say("Running it interactively ...")
                self._try("an interactive run", partial(self.notebooks.interactive, watched=False))
        if succeeded and watch.expired_after is not None:
            self.record.set("artifacts_expire_after", watch.expired_after)

    def _isolated_runs(
        self, first: Watched, known: parameters.KnownParameter | None, failing: NotebookId | None, parallel: int | None
    ) -> None:
        _say("Running it with odd parameters and fields ...")
        self._try("direct_file_storage_write", partial(self.runs.direct_file_storage_write, first))
        self._try("unknown_field", self.runs.unknown_field)
        self._try("parameters", partial(self.runs.parameters, known))
        if failing is not None:
            _say("Running the notebook that fails ...")
            self._try("a failed run", partial(self.runs.failing, failing))
        if parallel is not None:
            _say(f"Starting {parallel} runs at once ...")
            self._try("parallel runs", partial(self.runs.parallel, parallel))

    def _run_once(self) -> Watched:
        try:
            return self.runs.first()
        except DataloreError:
            self._note_scope()
            raise

    def _note_scope(self) -> None:
        """Record the scope that the Run API requires, if that is why a run was refused."""
        response = self.exchange.run(UNKNOWN_RUN_ID)
        if response.status == 403:
            note_challenge(response, self.record)
            scope = scope_challenge(response).get("scope", "")
            if scope:
                self.record.set("run_api_scope", scope)

    def _notebook_api(self) -> None:
        notebooks = self.notebooks
        if notebooks.is_busy():
            self.record.remark("Something was running in the notebook, so it was not run interactively.")
            return
        _say("Reading the notebook ...")
        self._try("a token for one notebook", notebooks.elsewhere)
        self._try("report_layout", notebooks.report_layout)
        self._try("missing_worksheet", notebooks.missing_worksheet)
        _say("Running it interactively ...")
        self._try("files_need_session", notebooks.files_without_session)
        self._try("an interactive run", partial(notebooks.interactive, watched=True))
        self._try("after_restart", notebooks.restart)
        _say("Adding cells, running and deleting them ...")
        self._try("cells", notebooks.cells_by_request)
        self._try("the session", notebooks.stop)

    def _try(self, what: str, experiment: Callable[[], None]) -> None:
        try:
            experiment()
        except DataloreError as error:
            self.record.remark(f"Not found out, {what}: {shorten(one_line(str(error)))}")

    def _parameter_in_artifact(self, first: Watched) -> parameters.KnownParameter | None:
        notebook = first.parsed().executed_notebook
        if notebook is None:
            return None
        response = self.runs.download(notebook)
        return parameters.from_notebook(response.body) if response.status == 200 else None


def _parse(hook: DataloreHook, option: str, text: str) -> NotebookId:
    connection = hook.connection
    try:
        return connection.notebook_id(text)
    except DataloreConfigurationError as error:
        raise UsageError(f"{option}: {error}") from None


def _say(text: str) -> None:
    print(text, flush=True)
