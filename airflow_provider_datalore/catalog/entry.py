"""One notebook of the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_datalore.catalog.lock_file import damaged

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Param

    from airflow_provider_datalore.catalog.controls import LockedControl

MAX_LISTED = 30


class CatalogEntry:
    """A notebook that the lock file knows; accepted wherever a ``notebook_id`` is. Returned by ``catalog[name]``.

    :param name: its folder path and title, such as ``"Sales/Daily sales"``.
    :param facts: what the lock file contains about it.
    :param path: the lock file.
    :raises DataloreConfigurationError: if the facts are not as ``airflow datalore lock`` writes them.
    """

    def __init__(self, name: str, facts: Mapping[str, Any], path: Path) -> None:
        self.name = name
        self.path = path
        self.facts = facts
        self.language: str = _checked(facts, "language", str, "", name, path)
        self.doc_md: str = _checked(facts, "description", str, "", name, path)
        """The notebook's own description: the first paragraph of its text, as Markdown."""
        self.ids: dict[str, str] = _checked(facts, "ids", dict, {}, name, path)
        if not all(isinstance(each, str) and _is_id(each) for each in self.ids.values()):
            raise damaged(path, f"the ids of notebook {name!r} are not texts of the form owner/id")
        self.cells: tuple[str, ...] = tuple(_checked(facts, "cells", list, [], name, path))
        """A hash of the code of each code cell."""
        if not all(isinstance(each, str) for each in self.cells):
            raise damaged(path, f"the cells of notebook {name!r} are not texts")
        controls = _checked(facts, "controls", dict, None, name, path)
        self.knows_controls = controls is not None
        """Whether the controls are known; if not, parameters are left to Datalore."""
        self._controls: Mapping[str, Any] = controls or {}

    @cached_property
    def controls(self) -> dict[str, LockedControl]:
        """The controls by their variable, in the order of the notebook."""
        from airflow_provider_datalore.catalog.controls import LockedControl

        found = {}
        for name, facts in self._controls.items():
            try:
                found[name] = LockedControl(name, facts)
            except ValueError as error:
                raise damaged(self.path, f"control {name!r} of notebook {self.name!r}: {error}") from None
        return found

    def id_for(self, conn_id: str) -> str:
        """The notebook's id for an Airflow connection, ``owner/id``.

        :raises DataloreConfigurationError: if the lock file does not have one.
        """
        found = self.ids.get(conn_id)
        if found is None:
            from airflow_provider_datalore.api.text import listed
            from airflow_provider_datalore.exceptions import DataloreConfigurationError

            known = listed(sorted(self.ids), MAX_LISTED) or "no connection"
            raise DataloreConfigurationError(
                f"Notebook {self.name!r} has no id for connection {conn_id!r}.\n"
                f"The catalog {self.path} has one for {known}.",
                to_do=f"Run `airflow-datalore lock --conn-id {conn_id} --file {self.path} NOTEBOOK`, or use another "
                "connection.",
            )
        return found

    def params(self, /, **defaults: Any) -> dict[str, Param]:
        """Airflow's ``Param`` for each control, so that **Trigger DAG** shows the notebook's own form.

        :param defaults: other defaults than the notebook's own, by variable.
        :raises DataloreConfigurationError: if the notebook has no such control, or it does not accept the default.
        """
        from airflow_provider_datalore.catalog.contract import check_written
        from airflow_provider_datalore.catalog.forms import param

        check_written(self, defaults)
        given = {name: self.controls[name].typed(value) for name, value in defaults.items() if name in self.controls}
        return {name: param(control, given) for name, control in self.controls.items()}

    def parameters(self) -> dict[str, Any]:
        """The values of the form that :meth:`params` made, for ``parameters=``, each in the type of its control."""
        from airflow_provider_datalore.catalog.forms import ParamValue

        return {name: ParamValue(name, control) for name, control in self.controls.items()}

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<notebook {self.name!r} of {self.path.name}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CatalogEntry) and (self.name, self.path) == (other.name, other.path)

    def __hash__(self) -> int:
        return hash((self.name, self.path))

    # It never changes, so Airflow's copies of tasks and default_args share it.
    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


def _is_id(text: str) -> bool:
    """Whether it has the form ``owner/id``; a pattern would cost each DAG file its compilation."""
    return len([part for part in text.split("/") if part and not part.isspace()]) == 2 == text.count("/") + 1


def _checked(facts: Mapping[str, Any], key: str, kind: type, otherwise: Any, name: str, path: Path) -> Any:
    value = facts.get(key)
    if value is None:
        return otherwise
    if not isinstance(value, kind):
        raise damaged(path, f"{key} of notebook {name!r} is a {type(value).__name__}")
    return value
