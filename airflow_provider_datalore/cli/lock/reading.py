"""Reads the facts about notebooks: from Datalore, from executed notebooks and from files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from airflow_provider_datalore.api.models import Artifact
from airflow_provider_datalore.api.text import one_line, storable
from airflow_provider_datalore.catalog.facts import Source, facts_of, heading_of, of_cells, of_file
from airflow_provider_datalore.cli.lock.targets import Target
from airflow_provider_datalore.exceptions import (
    DataloreApiError,
    DataloreConfigurationError,
    DataloreError,
    DataloreNotebookApiMissingError,
)
from airflow_provider_datalore.hooks.datalore import DataloreHook
from airflow_provider_datalore.hooks.workspaces import PlacedNotebook, Workspaces
from airflow_provider_datalore.notebooks.reading import MAX_NOTEBOOK_BYTES, NotANotebookError

_TO_DO = (
    "Give its content as well: the address of an executed notebook, which is a link of the task that ran it, or "
    "OWNER/ID=FILE.ipynb with a file that you have exported or downloaded."
)

_NO_WORKSPACES = (
    "the server has no Workspace API, or the token may not read workspaces, which requires the scope WORKSPACE with "
    "level READ."
)


@dataclass(frozen=True, slots=True)
class Read:
    """A notebook as it is now.

    :param target: what named it.
    :param id: ``owner/id``; empty if only its file is known.
    :param name: its folder path and title, or its title alone.
    :param is_placed: whether the name comes from a workspace, so that it is the notebook's name now.
    :param facts: the other facts.
    """

    target: Target
    id: str
    name: str
    is_placed: bool
    facts: Mapping[str, Any]


class Reader:
    """Reads notebooks over one connection, which is loaded when it is needed.

    :param conn_id: the Airflow connection.
    :param known: the notebooks in the lock file.
    """

    def __init__(self, conn_id: str, known: Mapping[str, Mapping[str, Any]]) -> None:
        self.conn_id = conn_id
        self.notes: list[str] = []
        """What the user should know besides."""
        self._known = known
        self._places: dict[str, PlacedNotebook] = {}
        self._folder: tuple[str, ...] = ()
        self._workspaces: set[str] = set()
        self._elsewhere: set[str] = set()

    @cached_property
    def hook(self) -> DataloreHook:
        """The hook of the connection."""
        return DataloreHook(self.conn_id)

    def folder(self, path: str) -> list[Target]:
        """The notebooks in a folder of any workspace, and in its subfolders.

        :raises DataloreError: if the workspaces cannot be listed, or there is no such folder.
        """
        names = tuple(part for part in path.split("/") if part)
        try:
            places = list(Workspaces(self.hook).notebooks())
        except DataloreApiError as error:
            if error.status not in (403, 404):
                raise
            raise DataloreConfigurationError(
                f"Folder {path!r:.200} cannot be listed: {_NO_WORKSPACES}\n{error.message}",
                to_do="Name the notebooks by their ids or addresses instead of --folder.",
            ) from error
        # A path may begin with the name of the workspace.
        found = [
            place
            for place in places
            if names in (place.folder[: len(names)], (place.workspace, *place.folder)[: len(names)])
        ]
        if not found:
            raise DataloreConfigurationError(
                f"No workspace has notebooks in a folder {path!r:.200}.",
                to_do="Correct the path. It is the one that Datalore shows for the workspace, such as Sales/Daily.",
            )
        self._places.update({place.id: place for place in found})
        self._folder = names
        self._workspaces = {place.workspace for place in found}
        self._elsewhere = {place.id for place in places}
        return [Target(place.name, notebook=place.id, language=place.language) for place in found]

    def inside(self, name: str, identifier: str) -> bool:
        """Whether a notebook of the lock file was in the folder that was listed last, to judge by its name.

        :param name: its name in the lock file.
        :param identifier: its id, which may show that it is in another workspace.
        """
        folder = tuple(name.split("/")[:-1])
        if folder[: len(self._folder)] == self._folder:
            return True
        if self._folder[0] not in self._workspaces or identifier in self._elsewhere:
            return False
        return folder[: len(self._folder) - 1] == self._folder[1:]

    def read(self, targets: Iterable[Target]) -> Iterator[Read | DataloreError]:
        """Read each notebook; an error takes the place of one that cannot be read."""
        waiting = list(targets)
        self._find_places(waiting)
        while waiting:
            target = waiting.pop(0)
            try:
                try:
                    yield self._read(target)
                except DataloreNotebookApiMissingError:
                    # The file that follows contains what the server cannot tell.
                    if not waiting or waiting[0].file is None or waiting[0].notebook:
                        raise
                    file = waiting.pop(0)
                    yield self._read(replace(target, file=file.file, title=target.title or file.title))
            except DataloreNotebookApiMissingError as error:
                yield DataloreNotebookApiMissingError(
                    f"Notebook {target.text} cannot be read.\n{error.message}", to_do=_TO_DO
                )
            except DataloreError as error:
                yield error

    def id_of(self, target: Target) -> str:
        """The id that a target names; empty for a file alone.

        :raises DataloreError: if it is not an id on the server of the connection.
        """
        if not target.notebook:
            return ""
        if target.file is not None:
            return str(self._parsed(target.notebook))
        return str(self.hook.parse_notebook_id(target.notebook))

    @staticmethod
    def _parsed(notebook: str) -> object:
        from airflow_provider_datalore.api.notebook_id import NotebookId

        return NotebookId.parse(notebook)

    def _find_places(self, targets: Iterable[Target]) -> None:
        """Look for the folders and titles of notebooks, as far as the token may read them."""
        wanted = set()
        for target in targets:
            if target.notebook and target.file is None:
                try:
                    identifier = self.id_of(target)
                except DataloreError:
                    continue  # Reported when the notebook is read.
                if identifier not in self._places:
                    wanted.add(identifier)
        if not wanted:
            return
        try:
            self._places.update({place.id: place for place in Workspaces(self.hook).notebooks(wanted)})
        except DataloreApiError as error:
            if error.status not in (403, 404):
                raise
            self.notes.append(f"The folders of the notebooks are not known, so names are titles: {_NO_WORKSPACES}")

    def _read(self, target: Target) -> Read:
        identifier = self.id_of(target)
        source = self._source(target, identifier)
        place = self._places.get(identifier)
        facts = facts_of(source)
        if language := target.language or (place.language if place else ""):
            facts["language"] = language
        name = place.name if place is not None else self._name(target, identifier, source)
        name = one_line(str(storable(name))).strip("/")
        return Read(target, identifier, name or identifier, place is not None, facts)

    def _source(self, target: Target, identifier: str) -> Source:
        try:
            if target.file is not None:
                return of_file(target.file.read_bytes())
            if target.artifact:
                artifact = Artifact(name=f"{target.title}.ipynb", path=self._artifact_path(target.artifact))
                return of_file(self.hook.read_artifact(artifact, max_bytes=MAX_NOTEBOOK_BYTES))
        except (NotANotebookError, OSError) as error:
            raise DataloreConfigurationError(f"{target.text} is not a notebook that can be read: {error}.") from None
        return of_cells(self.hook.notebook(identifier).cells())

    def _artifact_path(self, path: str) -> str:
        """The path of an artifact on the host of the connection, whose public address may have a prefix."""
        return path[path.index("/notebook/") :]

    def _name(self, target: Target, identifier: str, source: Source) -> str:
        """The name of a notebook whose place is not known: the present one, or its title."""
        if target.name:
            return target.name
        for name, facts in self._known.items():
            ids = facts.get("ids")
            if identifier and isinstance(ids, Mapping) and ids.get(self.conn_id) == identifier:
                return name
        title = target.title or heading_of(source) or identifier.rpartition("/")[2]
        twins = [name for name in self._known if name.rpartition("/")[2] == title]
        return twins[0] if len(twins) == 1 else title
