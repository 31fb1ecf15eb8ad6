"""Values of mapped tasks, in each form in which Airflow passes them on, as arguments of operators and the decorator."""

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_datalore.operators.artifacts import DataloreDownloadArtifactsOperator
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator


@dag(schedule=None)
def mapped_values():
    @task
    def numbers():
        return [1, 2, 3]

    @task
    def square(number):
        return number * number

    @task
    def name(number):
        return ["first", "second"][number]

    @task
    def glob(number):
        return ["*.ipynb", "*.*"][number]

    @task.datalore_notebook(notebook_id="me/echo")
    def decorated(values):
        return {"values": values}

    @task
    def text(value):
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
    one = DataloreRunNotebookOperator(
        task_id="run_outputs", notebook_id="me/echo", outputs=name.expand(number=[0, 1]), parameters={"values": [7]}
    )
    DataloreDownloadArtifactsOperator(
        task_id="download",
        run_id=one.output,
        destination="{{ var.value.destination }}",
        names=glob.expand(number=[0, 1]),
    )


dag = mapped_values()
