"""``@task.datalore_notebook``: a function returns the parameters, and the notebook runs with them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from inspect import isasyncgenfunction, isawaitable, isgeneratorfunction
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import (
    DecoratedOperator,
    context_merge,
    task_decorator_factory,
)

from airflow_provider_datalore import xcom

try:
    from airflow.providers.common.compat.sdk import determine_kwargs
except ImportError:  # common-compat before 1.14.3, newer than what Airflow 2.11.2 and 3.1.8 came out with
    from airflow.utils.operator_helpers import determine_kwargs  # type: ignore[attr-defined]  # newer ones lack it

from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator

if TYPE_CHECKING:
    from typing import ParamSpec, Protocol, Self, TypeAlias

    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_provider_datalore.api.models import Run
    from airflow_provider_datalore.hooks.datalore import DataloreHook

    FunctionParams = ParamSpec("FunctionParams")
    Options = ParamSpec("Options")
    Parameters: TypeAlias = Mapping[str, Any] | None

    class NotebookTaskFactory(Protocol[FunctionParams]):
        """A decorated function: called in a DAG, it makes the task."""

        def __call__(self, *args: FunctionParams.args, **kwargs: FunctionParams.kwargs) -> XComArg:
            """Make the task; its output is the run id."""

        def expand(self, **arguments: Any) -> XComArg:
            """Make a task for each element of the arguments."""

        def expand_kwargs(self, arguments: Any, *, strict: bool = True) -> XComArg:
            """Make a task for each mapping of arguments."""

        def partial(self, **arguments: Any) -> Self:
            """Fix arguments of the function for all tasks that ``expand`` makes."""

        def override(self, **options: Any) -> Self:
            """The same function with other options of the task."""

    class NotebookTaskDecorator(Protocol):
        """Decorates a function that returns a notebook's parameters."""

        def __call__(
            self, function: Callable[FunctionParams, Parameters | Awaitable[Parameters]], /
        ) -> NotebookTaskFactory[FunctionParams]:
            """Decorate a function."""


class DataloreNotebookDecoratedOperator(DecoratedOperator, DataloreRunNotebookOperator):
    """Runs a notebook with the parameters that a function returns; otherwise the same as its base class.

    The function is called when a run is about to be started, and not when a retry uses the run of an earlier try. What
    it returns is not rendered as a template: its values may come from anywhere.

    :param python_callable: returns the values by the *Variable* of the notebook's controls, or None for none.
        The result of an ``async`` function is awaited.
    :param op_args: its positional arguments. (templated)
    :param op_kwargs: its keyword arguments. (templated)
    """

    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        *(name for name in DataloreRunNotebookOperator.template_fields if name != xcom.PARAMETERS),
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {**DecoratedOperator.template_fields_renderers}
    custom_operator_name = "@task.datalore_notebook"

    def __init__(
        self,
        *,
        python_callable: Callable[..., Parameters | Awaitable[Parameters]],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if xcom.PARAMETERS in kwargs:
            raise TypeError("@task.datalore_notebook does not accept parameters=…: the function returns them")
        if isgeneratorfunction(python_callable) or isasyncgenfunction(python_callable):
            raise TypeError(
                f"the function {getattr(python_callable, '__name__', 'of @task.datalore_notebook')!r} yields values; "
                "@task.datalore_notebook requires a function that returns a mapping: use return in place of yield"
            )
        if kwargs.get("multiple_outputs"):
            raise TypeError("@task.datalore_notebook has one output, the run id: leave multiple_outputs out")
        super().__init__(python_callable=python_callable, op_args=op_args, op_kwargs=op_kwargs, **kwargs)

    def parameters_for(self, context: Context) -> Mapping[str, Any] | None:
        """What the function returns for this task, checked.

        :raises DataloreConfigurationError: if that is not a mapping, or holds a value that Datalore does not accept.
        """
        from airflow.providers.common.compat.sdk import redact

        from airflow_provider_datalore.api.parameters import to_datalore
        from airflow_provider_datalore.exceptions import DataloreConfigurationError

        context_merge(context, self.op_kwargs)
        returned: object = self.python_callable(
            *self.op_args, **determine_kwargs(self.python_callable, self.op_args, context)
        )
        if isawaitable(returned):
            returned = asyncio.run(_result_of(returned))
        if returned is not None and not isinstance(returned, Mapping):
            raise DataloreConfigurationError(
                f"The function of task {self.task_id!r} returned a {type(returned).__name__}; it must return the "
                "notebook's parameters as a mapping such as {'region': 'eu'}, or None for none."
            )
        masked: Any = redact(to_datalore(returned))
        context["ti"].xcom_push(key=xcom.PARAMETERS, value=masked)
        self.parameters = returned
        return returned

    @staticmethod
    def xcom_push(context: Context, key: str, value: Any, **_: Any) -> None:
        """Push a value; Airflow 3.0 requires this method of decorated tasks, and lacks it itself."""
        context["ti"].xcom_push(key=key, value=value)

    def _deliver(self, run: Run, hook: DataloreHook, context: Context) -> str:
        """Restore what the function returned, for the asset events, if another process called it."""
        if self.parameters is None:
            own = context["ti"]
            self.parameters = own.xcom_pull(task_ids=own.task_id, key=xcom.PARAMETERS, map_indexes=own.map_index)
        return super()._deliver(run, hook, context)


async def _result_of(awaitable: Awaitable[object]) -> object:
    return await awaitable


if TYPE_CHECKING:

    def _with_options_of(operator: Callable[Options, object]) -> Callable[Options, NotebookTaskDecorator]: ...

    # The same as ``@task.datalore_notebook``, which type checkers and editors cannot see.
    datalore_notebook_task = _with_options_of(DataloreRunNotebookOperator)

else:

    def datalore_notebook_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> Any:
        """Decorate a function that returns a notebook's parameters; the arguments are the operator's.

        :param python_callable: the function.
        :param kwargs: ``notebook_id``, and the other options of :class:`.DataloreRunNotebookOperator` but
            ``parameters``.
        """
        return task_decorator_factory(
            python_callable=python_callable,
            # Without it, Airflow takes the function's return annotation for that of the task.
            multiple_outputs=kwargs.pop("multiple_outputs", None) or False,
            decorated_operator_class=DataloreNotebookDecoratedOperator,
            **kwargs,
        )
