"""Values of mapped tasks, in each form in which Airflow passes them on, as arguments of operators and the decorator."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat import sdk
from airflow.providers.common.compat.sdk import task

from airflow_provider_datalore.operators.artifacts import DataloreDownloadArtifactsOperator
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator


@sdk.dag(schedule=None)
def mapped_values() -> None:
    @task
    def numbers() -> list[int]:
        return [1, 2, 3]

    @task
    def square(number: int) -> int:
        return number * number

    @task
    def name(number: int) -> str:
        return ["first", "second"][number]

    @task
    def glob(number: int) -> str:
        return ["*.ipynb", "*.*"][number]

    @task.datalore_notebook(notebook_id="me/echo")
    def decorated(values: Any) -> dict[str, Any]:
        return {"values": values}

    @task
    def text(value: int) -> str:
        return str(value)

    squares = square.expand(number=numbers())
    more = text.expand(value=[10, 20])
    values = {
        "mapped": squares,
        "map": squares.map(lambda each: each + 1),
        "concat": squares.concat(more),
        "output": DataloreRunNotebookOperator.partial(task_id="many", notebook_id="me/echo")
        .expand(parameters=[{"values": [1]}, {"values": [2]}])
        .output,
    }
    for form, value in values.items():
        DataloreRunNotebookOperator(task_id=f"run_{form}", notebook_id="me/echo", parameters={"values": value})
    zipped = squares.zip(more).map(lambda pair: f"{pair[0]}-{pair[1]}")
    DataloreRunNotebookOperator(task_id="run_zip", notebook_id="me/echo", parameters={"values": zipped})
    decorated(squares)
    # The operators declare what an argument is when the task runs.
    names: Any = name.expand(number=[0, 1])
    globs: Any = glob.expand(number=[0, 1])
    one: Any = DataloreRunNotebookOperator(
        task_id="run_outputs", notebook_id="me/echo", outputs=names, parameters={"values": [7]}
    )
    DataloreDownloadArtifactsOperator(
        task_id="download",
        run_id=one.output,
        destination="{{ var.value.destination }}",
        names=globs,
    )


dag = mapped_values()
