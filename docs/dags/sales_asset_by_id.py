"""A notebook as an asset, by its id and the host of Datalore."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datalore.assets.datalore import create_asset
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator

# [START by_id]
SALES = create_asset("me/daily_sales", host="https://datalore.example.com")
# [END by_id]

with DAG("sales_asset_by_id", schedule=None) as dag:
    DataloreRunNotebookOperator(
        task_id="daily_sales", notebook_id="me/daily_sales", parameters={"region": "North"}, outlets=[SALES]
    )
