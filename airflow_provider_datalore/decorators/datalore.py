"""``@task.datalore_notebook``: a function returns the parameters, and the notebook runs with them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import cache
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
except ImportError:  # common-compat before 1.14.3, as at the release of Airflow 2.11.2 and 3.1.8
    from airflow.utils.operator_helpers import determine_kwargs  # type: ignore[attr-defined]  # newer ones lack it

from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
from airflow_provider_datalore.tasks.mapping import prepare

if TYPE_CHECKING:
    from typing import ParamSpec, Protocol, Self, TypeAlias

    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_provider_datalore.api.models import Run
    from airflow_provider_datalore.hooks.datalore import DataloreHook

    FunctionParams = ParamSpec("FunctionParams")
    Options = ParamSpec("Options")
    Parameters: TypeAlias = Mapping[str, Any] | None

    class NotebookTaskOutput(XComArg):
        """The output of a task that runs a notebook: the run id."""

        def value(self, name: str) -> XComArg:
            """One value that the notebook returns, as an argument of another task; a list of them for mapped tasks."""

    class NotebookTaskFactory(Protocol[FunctionParams]):
        """A decorated function: a call in a DAG creates the task."""

        def __call__(self, *args: FunctionParams.args, **kwargs: FunctionParams.kwargs) -> NotebookTaskOutput:
            """Create the task; its output is the run id."""

        def expand(self, **arguments: Any) -> NotebookTaskOutput:
            """Create a task for each element of the arguments."""

        def expand_kwargs(self, arguments: Any, *, strict: bool = True) -> NotebookTaskOutput:
            """Create a task for each mapping of arguments."""

        def partial(self, **arguments: Any) -> Self:
            """Set arguments of the function for all tasks that ``expand`` creates."""

        def override(self, **options: Any) -> Self:
            """The same function as a task with other options."""

    class NotebookTaskDecorator(Protocol):
        """Decorates a function that returns a notebook's parameters."""

        def __call__(
            self, function: Callable[FunctionParams, Parameters | Awaitable[Parameters]], /
        ) -> NotebookTaskFactory[FunctionParams]:
            """Decorate a function."""


class DataloreNotebookDecoratedOperator(DecoratedOperator, DataloreRunNotebookOperator):
    """Runs a notebook with the parameters that a function returns; otherwise the same as its base class.

    The function is called just before a run is started, and not if a retry uses the run of an earlier try. The returned
    values are not rendered as templates, because they may come from untrusted sources.

    :param python_callable: returns the values by the *Variable* of the notebook's controls, or None for no parameters.
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
                "@task.datalore_notebook requires a function that returns a mapping: use return instead of yield"
            )
        if kwargs.get("multiple_outputs"):
            raise TypeError("@task.datalore_notebook does not accept multiple_outputs: its only output is the run id")
        super().__init__(python_callable=python_callable, op_args=op_args, op_kwargs=op_kwargs, **kwargs)

    def parameters_for(self, context: Context) -> Mapping[str, Any] | None:
        """Call the function, and check the parameters that it returns.

        :raises DataloreConfigurationError: if they are not a mapping, or contain a value that Datalore does not accept.
        """
        from airflow.providers.common.compat.sdk import redact

        from airflow_provider_datalore.api.parameters import to_datalore
        from airflow_provider_datalore.api.text import reserved_key
        from airflow_provider_datalore.exceptions import DataloreConfigurationError
        from airflow_provider_datalore.tasks.pushing import push_for_tab

        context_merge(context, self.op_kwargs)
        returned: object = self.python_callable(
            *self.op_args, **determine_kwargs(self.python_callable, self.op_args, context)
        )
        if isawaitable(returned):
            returned = asyncio.run(_result_of(returned))
        if returned is not None and not isinstance(returned, Mapping):
            raise DataloreConfigurationError(
                f"The function of task {self.task_id!r} returned a {type(returned).__name__}, not a mapping.",
                to_do="It must return the notebook's parameters as a mapping such as {'region': 'eu'}, or None for no "
                "parameters.",
            )
        masked: Any = redact(to_datalore(returned))
        if reserved := reserved_key(masked):
            raise DataloreConfigurationError(
                f"The function of task {self.task_id!r} returned the parameter {reserved!r}, a name that Airflow "
                "reserves for itself in XComs. Rename the variable of the notebook's control."
            )
        push_for_tab(context, xcom.PARAMETERS, masked)
        self.parameters = returned
        return returned

    @staticmethod
    def xcom_push(context: Context, key: str, value: Any, **_: Any) -> None:
        """Push a value; Airflow 3.0 calls this method on decorated tasks, but does not define it."""
        context["ti"].xcom_push(key=key, value=value)

    def _deliver(self, run: Run, hook: DataloreHook, context: Context, public_url: str = "") -> str:
        """Restore the parameters for the asset events, if the function was called in another process."""
        if self.parameters is None:
            from airflow_provider_datalore.tasks.own_xcoms import own_xcom

            parameters = own_xcom(context, xcom.PARAMETERS)
            self.parameters = parameters if isinstance(parameters, Mapping) else None
        return super()._deliver(run, hook, context, public_url)


async def _result_of(awaitable: Awaitable[object]) -> object:
    return await awaitable


def _with_values(decorated: Any) -> Any:
    """The same decorated function of Airflow; the task that it creates has the method ``value``."""
    base: Any = type(decorated)
    decorated.__class__ = _class_with_values(base)
    return decorated


@cache
def _class_with_values(base: type) -> type:
    """A subclass of Airflow's class of decorated functions, which has no more attributes than its base."""

    class NotebookTaskFunction(base):  # type: ignore[misc]  # known only at run time
        __slots__ = ()

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            created = super().__call__(*args, **kwargs)
            created.value = created.operator.value
            return created

        def _expand(self, expand_input: Any, *, strict: bool) -> Any:
            created = super()._expand(expand_input, strict=strict)
            prepare(created.operator, [{}])
            created.value = created.operator.value
            return created

    return NotebookTaskFunction


if TYPE_CHECKING:

    def _with_options_of(operator: Callable[Options, object]) -> Callable[Options, NotebookTaskDecorator]: ...

    # The same as ``@task.datalore_notebook``, which type checkers and editors do not know.
    datalore_notebook_task = _with_options_of(DataloreRunNotebookOperator)

else:

    def datalore_notebook_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> Any:
        """Decorate a function that returns a notebook's parameters.

        :param python_callable: the function.
        :param kwargs: the arguments of :class:`.DataloreRunNotebookOperator`, except ``parameters``.
        """
        # Otherwise, Airflow derives it from the return annotation of the function, which does not return the task's
        # output.
        multiple_outputs = kwargs.pop("multiple_outputs", None) or False

        def decorate(function: Callable[..., Any] | None) -> Any:
            return task_decorator_factory(
                python_callable=function,
                multiple_outputs=multiple_outputs,
                decorated_operator_class=DataloreNotebookDecoratedOperator,
                **kwargs,
            )

        if python_callable is None:
            return lambda function: _with_values(decorate(function))
        return _with_values(decorate(python_callable))
